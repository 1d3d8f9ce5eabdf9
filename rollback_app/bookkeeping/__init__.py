"""Our own tables, in the database that they are about: the journal of rollbacks, and the recorded deployments.

They are made on first need, as Django makes `django_migrations`: without migrations, so that no rollback unmakes them.
"""

from .deployments import LONGEST, Recorder, add_deployment, recorded_deployments
from .deployments import TABLE as DEPLOYMENTS_TABLE
from .runs import TABLE as RUNS_TABLE
from .runs import Journal

__all__ = [
    "DEPLOYMENTS_TABLE",
    "LONGEST",
    "RUNS_TABLE",
    "Journal",
    "Recorder",
    "add_deployment",
    "recorded_deployments",
]
