"""The current names, before the run, of the tables and columns that the steps of a plan are about.

An operation is undone on a database that the steps before it have changed, and names a table as it is called by then. To
look at the database before the run, it has to be asked for by its current name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from django.db.models import CheckConstraint

from rollback_app.history import Position

from .effect import Effect, Kind
from .plan import Plan, Step
from .requirements import Need, Requirement, is_filled

_CODE = (Kind.CODE, Kind.RUNS_SQL, Kind.UNKNOWN)
EMPTY = ", which is empty by then"
_NAMES = (Need.FREE_TABLE, Need.FREE_COLUMN, Need.FREE_INDEX)


class Right(str, Enum):
    """What is done to a table."""

    DROP = "drop"
    ALTER = "alter"
    CREATE = "create"
    INDEX = "make an index on"


class Help(Enum):
    """What code that runs before an operation may do for what the operation requires."""

    NONE = "none"
    MAY_FIX = "change the rows that are in the way now"
    MAY_FILL = "fill the column, which the run itself has added"


@dataclass(frozen=True)
class Reach:
    """The tables that code or SQL can change: those of its app, those of the apps that its migration depends on, and those
    that its SQL names."""

    apps: Collection[str]
    sql: str

    @classmethod
    def of(cls, step: Step, effect: Effect) -> Reach:
        return cls({step.key.app, *(app for app, _ in step.migration.dependencies)}, effect.sql)

    def includes(self, app: str, tables: Collection[str]) -> bool:
        """tables: the names that a table of this app has had."""
        return app in self.apps or any(
            re.search(rf"(?<!\w){re.escape(table)}(?!\w)", self.sql, re.IGNORECASE) for table in tables
        )


class CurrentNames:
    """What the steps so far have done to the names. It is told of each effect, in the order in which they happen."""

    def __init__(self) -> None:
        self._code: list[Reach] = []
        self._code_before: dict[tuple[str, str], int] = {}  # what the run made -> how much code had run by then
        self._tables: dict[str, str] = {}
        self._columns: dict[tuple[str, str], str] = {}
        # (table, column), the latter empty for a whole table. Made: -> the field. Gone: dropped, or called otherwise by now.
        self._made: dict[tuple[str, str], Any] = {}
        self._gone: set[tuple[str, str]] = set()
        self._freed: set[str] = set()
        self._types: dict[
            str, dict[str, tuple[Any, ...]]
        ] = {}  # table -> column -> the fields of the types that it got

    def names(self, effect: Effect) -> tuple[str, str]:
        """Table and column of an effect that is about to happen."""
        return self.table(effect.table), self._columns.get((effect.table, effect.column), effect.column)

    def is_made(self, table: str, column: str) -> bool:
        """Did the run itself make it, so that it holds no rows of today?"""
        return bool(self._made.keys() & {(table, ""), (table, column)})

    def happens(self, step: Step, effect: Effect) -> None:
        table, column = self.names(effect)
        if effect.kind in _CODE:
            self._code.append(Reach.of(step, effect))
        self._freed.add(effect.frees)
        for requirement in effect.requirements:
            if requirement.need is Need.FITS:
                self._gets_type(requirement)
        if effect.renamed_to and effect.column:
            self._columns[effect.table, effect.renamed_to] = column
            self._gone.add((table, column))
        elif effect.renamed_to:
            self._tables[effect.renamed_to] = table
            self._gone.add((table, ""))
            self._columns.update(
                {(effect.renamed_to, name): live for (of, name), live in self._columns.items() if of == effect.table}
            )
        elif effect.kind is Kind.MAKES:
            self._made[table, column] = effect.field
            self._code_before[table, column] = len(self._code)
        elif effect.kind in (Kind.DROPS_TABLE, Kind.DROPS_COLUMN):
            self._gone.add((table, column))

    def _gets_type(self, requirement: Requirement) -> None:
        table = self.table(requirement.table)
        column = self._columns.get((requirement.table, requirement.column), requirement.column)
        types = self._types.setdefault(table, {})
        types[column] = (*types.get(column, ()), requirement.after)

    def table(self, name: str) -> str:
        """A table's name before the run."""
        return self._tables.get(name, name)

    def help(self, app: str, requirement: Requirement) -> Help:
        """What the code so far may have done for a requirement of an operation of this app, as `requirement` gives it."""
        tables = {requirement.table, requirement.today}
        helpful = [number for number, reach in enumerate(self._code) if reach.includes(app, tables)]
        if not helpful:
            return Help.NONE
        column = dict(requirement.renamed).get(requirement.filled, requirement.filled)
        fills = requirement.filled and helpful[-1] >= self._code_before[requirement.today, column]
        return Help.MAY_FILL if fills else Help.MAY_FIX

    def requirement(self, requirement: Requirement) -> Requirement | None:
        """What it requires of the database as it is now; None, if the run itself takes care of that."""
        table = self.table(requirement.table)
        if requirement.need in _NAMES:
            return None if self._is_free(requirement, table) else replace(requirement, today=table)
        if self.is_made(table, ""):
            return None
        columns = {then: live for (of, then), live in self._columns.items() if of == requirement.table and then != live}
        found = replace(
            requirement,
            today=table,
            renamed=tuple(columns.items()),
            types=tuple(self._types.get(table, {}).items()),
            target=(self.table(requirement.target[0]), self._columns.get(requirement.target, requirement.target[1])),
        )
        made = {column: field for (of, column), field in self._made.items() if of == table}
        # A constraint may look at any column of its table.
        about = list(made) if requirement.constraint else [columns.get(name, name) for name in requirement.columns]
        if not made.keys() & set(about):
            return found
        if requirement.need is Need.NO_NULLS and (field := made[about[0]]) and not is_filled(field):
            # It was added without a value, so every row that exists now has NULL in it by then.
            words = requirement.words + EMPTY
            return replace(found, columns=(), filled=requirement.column, words=words)
        return None

    def _is_free(self, requirement: Requirement, table: str) -> bool:
        if requirement.need is Need.FREE_TABLE:
            return (requirement.table, "") in self._gone
        if requirement.need is Need.FREE_COLUMN:
            return self.is_made(table, "") or (table, requirement.column) in self._gone
        # An index goes with its table and its columns, and which those are is not known here.
        return self.is_made(table, "") or bool(self._gone) or requirement.column in self._freed


def renamed(effects: Iterable[Effect], table: str, column: str) -> tuple[str, str]:
    """What a table and a column of it are called after these effects."""
    for effect in effects:
        if effect.renamed_to and effect.table == table:
            if not effect.column:
                table = effect.renamed_to
            elif effect.column == column:
                column = effect.renamed_to
    return table, column


def drops(steps: Iterable[Step]) -> list[tuple[Step, Effect, str, str]]:
    """(step, effect, table, column) of each drop, except of what the run itself made."""
    today, found = CurrentNames(), []
    for step, effect in _all(steps):
        table, column = today.names(effect)
        if effect.kind in (Kind.DROPS_TABLE, Kind.DROPS_COLUMN) and not today.is_made(table, column):
            found.append((step, effect, table, column))
        today.happens(step, effect)
    return found


def all_requirements(
    steps: Iterable[Step], resumes: Position | None = None
) -> Iterator[tuple[Step, Requirement, Help]]:
    """(step, requirement, what code that runs before it may do for it) of each requirement. resumes: where in them an earlier
    run stopped, if it did."""
    today = CurrentNames()
    for step, effect in _all(steps):
        # The operations of a step that broke off are done in part.
        broken_off = resumes is not None and resumes.key == step.key
        for requirement in () if broken_off else effect.requirements:
            # No row meets or breaks the last need: see `table_changes`.
            if requirement.need is not Need.TYPE_CHANGES and (found := today.requirement(requirement)):
                yield step, found, today.help(step.key.app, found)
        today.happens(step, effect)


def rights(plan: Plan) -> set[tuple[str, Right]]:
    """(table, right) for each table that a plan changes, drops or makes."""
    today, found = CurrentNames(), set[tuple[str, Right]]()
    for step, effect in _all(plan.steps):
        table = today.table(effect.table or effect.touches)
        if table and not today.is_made(table, ""):
            if effect.kind is Kind.DROPS_TABLE:
                found.add((table, Right.DROP))
            elif effect.kind is Kind.MAKES and not effect.column:
                found.add((table, Right.CREATE))
            else:
                found.add((table, Right.ALTER))
                found.update([(table, Right.INDEX)] * _makes_an_index(effect))
        today.happens(step, effect)
    return found


def changed_tables(plan: Plan) -> set[str]:
    """The tables that a plan changes or drops, as they are called before the run, and each word of its SQL, which may be one."""
    words = {word for _, effect in _all(plan.steps) for word in re.findall(r"\w+", effect.sql)}
    return {table for table, right in rights(plan) if right is not Right.CREATE} | words


def _makes_an_index(effect: Effect) -> bool:
    """Does it make an index on a table that is there, or give an index or the table another name?"""
    if effect.renamed_to and not effect.column:
        return True
    if effect.kind is Kind.MAKES and effect.field is not None:
        return bool(effect.field.unique or effect.field.db_index)
    return any(
        requirement.need in (Need.UNIQUE, Need.FREE_INDEX)
        and not isinstance(requirement.constraint, CheckConstraint)
        and not getattr(requirement.before, "unique", False)  # it has one
        for requirement in effect.requirements
    )


def _all(steps: Iterable[Step]) -> Iterator[tuple[Step, Effect]]:
    for step in steps:
        for effect in step.effects:
            yield step, effect
