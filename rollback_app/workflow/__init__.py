"""The Python API: look at a rollback, and run it. The only room that knows the order of the stages.

    previews = workflow.preview("2024-05-01 10:00+00:00")
    results = workflow.roll_back(previews, destroy_data=True)

Nothing here prints or asks: what is under way is told to a `Progress`, what cannot be done is raised as a RollbackError.
"""

from rollback_app.safety import Preview

from .checking import Checked, Trial, check_rollback
from .hold import Holds, hold, holds, lift
from .kept import drop_kept, kept_data, kept_to_drop
from .objects import record as record_objects
from .once import Once
from .packages import make_package, read_package
from .preview import deployments, preview
from .put_back import put_back
from .recorded import code_manifest, mark_release, rollback, rollbacks
from .run import Result, Unfinished, rehearse, roll_back
from .script import Script, script
from .verdict import SchemaCheck, check_schema

__all__ = [
    "Checked",
    "Holds",
    "Once",
    "Preview",
    "Result",
    "SchemaCheck",
    "Script",
    "Trial",
    "Unfinished",
    "check_rollback",
    "check_schema",
    "code_manifest",
    "deployments",
    "drop_kept",
    "hold",
    "holds",
    "kept_data",
    "kept_to_drop",
    "lift",
    "make_package",
    "mark_release",
    "preview",
    "put_back",
    "read_package",
    "record_objects",
    "rehearse",
    "roll_back",
    "rollback",
    "rollbacks",
    "script",
]
