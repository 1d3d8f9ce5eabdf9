"""Unapplies a plan: in one transaction, or step by step with a note of each operation. Also rehearses, and verifies."""

from .collecting import Collected, CollectedStep, collect
from .failures import NotAsExpected, StepFailed
from .progress import AFTER, BEFORE, KEEPS, NOTES, RECORDS, Bookmark, Done, Keeper, Progress
from .recording import Beside, Sent
from .rehearsal import Rehearsal, Rehearsed, rehearse
from .retries import Retries
from .run import Outcome, old_objects_aside, run
from .steps import backwards, forwards, new_editor, plain_twin
from .verification import differences, names_in

__all__ = [
    "AFTER",
    "BEFORE",
    "KEEPS",
    "NOTES",
    "RECORDS",
    "Beside",
    "Bookmark",
    "Collected",
    "CollectedStep",
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
    "collect",
    "differences",
    "forwards",
    "names_in",
    "new_editor",
    "old_objects_aside",
    "plain_twin",
    "rehearse",
    "run",
]
