"""A plan and facts about the database -> findings: what blocks, what needs consent, what is worth knowing.

Each check is one function in the file of its theme; adding one is that function, its line in CHECKS and its tests.
"""

from .approval import Approved, approved_in, check_approved, is_digest
from .backup import cannot_back_up
from .checks import CHECKS, blockers, judge
from .coming_back import Back, backs, coming_back
from .comparison import Comparison, Difference, in_words
from .consent import check_can_be_taken_back, check_nothing_blocks, check_nothing_lost
from .counts import Count, Violations, digits
from .destroyed import by_applying
from .findings import BackupFirst, Finding, Inspector, Level, Preview, Refused
from .fleets import (
    Checked,
    FleetGroup,
    FleetPlan,
    Judged,
    Standing,
    canary_of,
    check_fleet,
    check_fleet_approved,
    check_fleet_loses_nothing,
    judged,
    lost,
)
from .kept import KEPT_PREFIX, NOT_KEEPING, Keeping, Kept, KeptData, KeptKind, KeptState, Size, ToKeep, table_of
from .listing import Listed, Listing, RolledBack, marks, rolled_back
from .objects import Fate, ListedObject, Object, gone, named
from .recorded import Defined, Does, ObjectChange, RecordedObjects
from .recorded import changes as object_changes

__all__ = [
    "CHECKS",
    "KEPT_PREFIX",
    "NOT_KEEPING",
    "Approved",
    "Back",
    "BackupFirst",
    "Checked",
    "Comparison",
    "Count",
    "Defined",
    "Difference",
    "Does",
    "Fate",
    "Finding",
    "FleetGroup",
    "FleetPlan",
    "Inspector",
    "Judged",
    "Keeping",
    "Kept",
    "KeptData",
    "KeptKind",
    "KeptState",
    "Level",
    "Listed",
    "ListedObject",
    "Listing",
    "Object",
    "ObjectChange",
    "Preview",
    "RecordedObjects",
    "Refused",
    "RolledBack",
    "Size",
    "Standing",
    "ToKeep",
    "Violations",
    "approved_in",
    "backs",
    "blockers",
    "by_applying",
    "canary_of",
    "cannot_back_up",
    "check_approved",
    "check_can_be_taken_back",
    "check_fleet",
    "check_fleet_approved",
    "check_fleet_loses_nothing",
    "check_nothing_blocks",
    "check_nothing_lost",
    "coming_back",
    "digits",
    "gone",
    "in_words",
    "is_digest",
    "judge",
    "judged",
    "lost",
    "marks",
    "named",
    "object_changes",
    "rolled_back",
    "table_of",
]
