"""What a plan does to tables that things may hang on which no migration knows, by the names of today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from .current_names import CurrentNames
from .effect import Effect, Kind
from .plan import Plan, Step
from .requirements import Need


class Change(str, Enum):
    DROPS_TABLE = "drops table"
    DROPS_COLUMN = "drops column"
    CHANGES_TYPE = "changes column"
    REMAKES = "remakes table"  # on SQLite
    RENAMES = "renames"


@dataclass(frozen=True)
class TableChange:
    """table, column: as they are called before the run. before, after: the field of a column whose type may change. sql: what
    RunSQL has run before it. unsure: has code run before it, which may do anything?"""

    step: Step
    change: Change
    table: str
    column: str = ""
    before: Any = field(default=None, compare=False, repr=False)
    after: Any = field(default=None, compare=False, repr=False)
    sql: str = field(default="", compare=False, repr=False)
    unsure: bool = field(default=False, compare=False)

    @property
    def about(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table


def table_changes(plan: Plan) -> list[TableChange]:
    """In the order in which they happen; without those of what the run itself makes."""
    today, found, sql, unsure = CurrentNames(), list[TableChange](), "", False
    for step in plan.steps:
        for effect in step.effects:
            made_by_it = [each for each in _changes(step, effect, today) if not today.is_made(each.table, each.column)]
            found += [replace(each, sql=sql, unsure=unsure) for each in made_by_it]
            sql += f"{effect.sql};\n" if effect.sql else ""
            unsure = unsure or effect.kind in (Kind.CODE, Kind.UNKNOWN)
            today.happens(step, effect)
    return found


def _changes(step: Step, effect: Effect, today: CurrentNames) -> Iterator[TableChange]:
    table, column = today.names(effect)
    if effect.kind is Kind.DROPS_TABLE:
        yield TableChange(step, Change.DROPS_TABLE, table)
    elif effect.kind is Kind.DROPS_COLUMN:
        yield TableChange(step, Change.DROPS_COLUMN, table, column)
    elif effect.renamed_to:
        yield TableChange(step, Change.RENAMES, table)
    for requirement in effect.requirements:
        if requirement.need is Need.TYPE_CHANGES and (found := today.requirement(requirement)):
            renamed = dict(found.renamed)
            name = renamed.get(found.column, found.column)
            yield TableChange(step, Change.CHANGES_TYPE, found.today, name, found.before, found.after)
    if effect.remakes:
        yield TableChange(step, Change.REMAKES, today.table(effect.table or effect.touches))
