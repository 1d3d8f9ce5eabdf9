"""The Python API: look at a rollback, and run it. The only room that knows the order of the stages.

    previews = workflow.preview("2024-05-01 10:00+00:00")
    results = workflow.roll_back(previews, destroy_data=True)

Nothing here prints or asks: what is under way is told to a `Progress`, what cannot be done is raised as a RollbackError.
"""

from rollback_app.safety import Preview

from .hold import Holds, hold, holds, lift
from .preview import deployments, preview
from .recorded import code_manifest, mark_release, rollbacks
from .run import Result, Unfinished, rehearse, roll_back
from .verdict import SchemaCheck, check_schema

__all__ = [
    "Holds",
    "Preview",
    "Result",
    "SchemaCheck",
    "Unfinished",
    "check_schema",
    "code_manifest",
    "deployments",
    "hold",
    "holds",
    "lift",
    "mark_release",
    "preview",
    "rehearse",
    "roll_back",
    "rollbacks",
]
