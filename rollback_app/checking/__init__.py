"""Can each new migration be rolled back? What reading tells, without a database: plans, checks, declarations, the baseline.

"New" is what the older release does not have. All of it, applied and then taken back to that release, is a plan like any other:
the checks look at its steps, and at the text of the files that they come from.
"""

from .baseline import read as read_baseline
from .baseline import without
from .baseline import written as written_baseline
from .declared import with_declared
from .filling import fills_what_is_new, is_filled_again
from .findings import Finding, Severity
from .new import DECLARATIONS, Looked, leaves_of, looked_at, plan_of
from .source import Source
from .static import CHECKS, read_through

__all__ = [
    "CHECKS",
    "DECLARATIONS",
    "Finding",
    "Looked",
    "Severity",
    "Source",
    "fills_what_is_new",
    "is_filled_again",
    "leaves_of",
    "looked_at",
    "plan_of",
    "read_baseline",
    "read_through",
    "with_declared",
    "without",
    "written_baseline",
]
