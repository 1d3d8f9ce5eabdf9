"""Our own tables, in the database that they are about: the journal of rollbacks, the recorded deployments, the catalogue of
kept data, the holds, the signed packages, and the recorded views, functions and triggers.

They are made on first need, as Django makes `django_migrations`: without migrations, so that no rollback unmakes them.
"""

from rollback_app.safety import table_of

from .deployments import LONGEST, Recorder, add_deployment, recorded_deployments
from .deployments import TABLE as DEPLOYMENTS_TABLE
from .fleets import Fleets
from .holds import TABLE as HOLDS_TABLE
from .holds import HoldEntry, add_hold, holds, lift_holds
from .kept import TABLE as KEPT_TABLE
from .kept import Catalogue, KeptEntry
from .objects import OBJECTS as OBJECTS_TABLE
from .objects import SNAPSHOTS as SNAPSHOTS_TABLE
from .objects import record_objects, recorded_objects
from .packages import TABLE as PACKAGES_TABLE
from .packages import add_package, stored_packages
from .runs import TABLE as RUNS_TABLE
from .runs import Journal, RunEntry
from .scripts import Written, stamps
from .tables import Table, Unreadable

__all__ = [
    "DEPLOYMENTS_TABLE",
    "HOLDS_TABLE",
    "KEPT_TABLE",
    "LONGEST",
    "OBJECTS_TABLE",
    "PACKAGES_TABLE",
    "RUNS_TABLE",
    "SNAPSHOTS_TABLE",
    "Catalogue",
    "Fleets",
    "HoldEntry",
    "Journal",
    "KeptEntry",
    "Recorder",
    "RunEntry",
    "Table",
    "Unreadable",
    "Written",
    "add_deployment",
    "add_hold",
    "add_package",
    "holds",
    "lift_holds",
    "record_objects",
    "recorded_deployments",
    "recorded_objects",
    "stamps",
    "stored_packages",
    "table_of",
]
