"""Unapplies a plan: in one transaction, or step by step with a note of each operation. Also rehearses, and verifies."""

from .failures import NotAsExpected, StepFailed
from .progress import Bookmark, Done, Keeper, Progress
from .recording import Beside, Sent
from .rehearsal import Rehearsal, Rehearsed, rehearse
from .retries import Retries
from .run import Outcome, run
from .steps import backwards, forwards, new_editor, plain_twin
from .verification import differences, names_in

__all__ = [
    "Beside",
    "Bookmark",
    "Done",
    "Keeper",
    "NotAsExpected",
    "Outcome",
    "Progress",
    "Rehearsal",
    "Rehearsed",
    "Retries",
    "Sent",
    "StepFailed",
    "backwards",
    "differences",
    "forwards",
    "names_in",
    "new_editor",
    "plain_twin",
    "rehearse",
    "run",
]
