"""History and cut -> the plan: what is unapplied, in which order, why, what undoing each step does and what it requires.

"Why is this migration in my plan?" is answered here and nowhere else.
"""

from .applying import applied, may_destroy
from .choice import DEFAULT_GAP, NO_CHOICES, Choices, Pull
from .commands import Commands, migrate_commands
from .current_names import (
    EMPTY,
    Help,
    Reach,
    Right,
    all_requirements,
    changed_tables,
    drops,
    renamed,
    rights,
)
from .effect import Effect, Kind, is_concurrent
from .forward import code_on_the_way
from .known import Known, known
from .names import Names, name_of_code
from .plan import Basis, EarlierRun, Obstacles, Plan, Stays, Step, plan
from .requirements import Need, Requirement, is_exclusion, is_filled
from .sql_statements import (
    cascades,
    changes_something,
    ends_transaction,
    refuses_transaction,
    removes_data,
    without_concurrently,
)
from .table_changes import Change, TableChange, table_changes

__all__ = [
    "DEFAULT_GAP",
    "EMPTY",
    "NO_CHOICES",
    "Basis",
    "Change",
    "Choices",
    "Commands",
    "EarlierRun",
    "Effect",
    "Help",
    "Kind",
    "Known",
    "Names",
    "Need",
    "Obstacles",
    "Plan",
    "Pull",
    "Reach",
    "Requirement",
    "Right",
    "Stays",
    "Step",
    "TableChange",
    "all_requirements",
    "applied",
    "cascades",
    "changed_tables",
    "changes_something",
    "code_on_the_way",
    "drops",
    "ends_transaction",
    "is_concurrent",
    "is_exclusion",
    "is_filled",
    "known",
    "may_destroy",
    "migrate_commands",
    "name_of_code",
    "plan",
    "refuses_transaction",
    "removes_data",
    "renamed",
    "rights",
    "table_changes",
    "without_concurrently",
]
