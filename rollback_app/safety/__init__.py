"""A plan and facts about the database -> findings: what blocks, what needs consent, what is worth knowing.

Each check is one function in the file of its theme; adding one is that function, its line in CHECKS and its tests.
"""

from .checks import CHECKS, blockers, judge
from .comparison import Comparison, Difference, in_words
from .consent import check_can_be_taken_back, check_nothing_blocks, check_nothing_lost
from .findings import Count, Finding, Inspector, Level, Preview, Refused, Violations, digits
from .listing import Listed, Listing, RolledBack, marks, rolled_back
from .objects import Fate, ListedObject, Object, gone, named

__all__ = [
    "CHECKS",
    "Comparison",
    "Count",
    "Difference",
    "Fate",
    "Finding",
    "Inspector",
    "Level",
    "Listed",
    "ListedObject",
    "Listing",
    "Object",
    "Preview",
    "Refused",
    "RolledBack",
    "Violations",
    "blockers",
    "check_can_be_taken_back",
    "check_nothing_blocks",
    "check_nothing_lost",
    "digits",
    "gone",
    "in_words",
    "judge",
    "marks",
    "named",
    "rolled_back",
]
