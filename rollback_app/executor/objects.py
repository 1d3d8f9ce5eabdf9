"""Nothing vanishes in silence: what no migration knows is there after the run as before it, or the plan has named it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.utils import DatabaseError

from rollback_app.database import Database, first_line
from rollback_app.planner import Plan, Step, known
from rollback_app.safety import KEPT_PREFIX, ListedObject, gone
from rollback_app.states import States, acts_as

from . import advice
from .failures import StepFailed

_MADE_AGAIN = ("index", "trigger")


class ObjectGuard:
    """Made before the first step, under the lock. Expects all that no migration knows to stay, but for what the plan has named,
    and what code or SQL of a migration drops itself. Makes again what SQLite drops because it remakes a table."""

    def __init__(self, database: Database, plan: Plan, states: States, named: Collection[str]) -> None:
        self._database, self._named = database, named
        self._known = known(plan, database.names(), states)
        self._first_names = _first_names(plan)
        self._expected = set(self._listing())
        self._is_code = False
        self._sql: list[str] = []  # what code has changed of the schema
        self._there: set[ListedObject] = set()  # before it did

    def saw(self, sql: str) -> None:
        """A statement is about to be sent to the database."""
        if self._is_code and changes_schema(sql):
            self._is_code = False  # of what is asked here
            if not self._sql:
                self._there = set(self._listing())
            self._sql.append(sql)
            self._is_code = True

    @contextmanager
    def around(self, step: Step, operation: Operation) -> Iterator[None]:
        """An operation is undone inside. Errors: StepFailed."""
        self._is_code, self._sql = not is_known(operation), []
        try:
            yield
        finally:
            self._is_code = False
        if self._database.remakes_tables:
            self._make_again(step)
        if self._sql:
            self._expected -= gone(self._there, self._listing())

    def check(self, step: Step | None) -> None:
        """Errors: StepFailed, if something is gone that should not be."""
        missing = gone(self._expected, self._listing()) if self._expected else ()
        silent = sorted(str(each) for each in missing if not self._may_go(each))
        if silent:
            doing = "comparing the objects that no migration knows with those before"
            words = f"gone, although the plan does not name {'it' if len(silent) == 1 else 'them'}: {', '.join(silent)}"
            raise StepFailed(step, doing, words, what_to_do=advice.GONE)

    def _may_go(self, each: ListedObject) -> bool:
        with_its_table = each.kind == "column" and each.table not in self._tables()
        return each.name in self._named or each.table in self._named or with_its_table

    def _tables(self) -> list[str]:
        return list(self._database.connection.introspection.table_names())

    def _listing(self) -> list[ListedObject]:
        """By the numbers that the database gives, or else by the names that their tables had before the run; without tables of
        kept rows, which go when these are put back."""
        return [
            each._replace(
                id=each.id.replace(f" {each.table}.", f" {self._first_names.get(each.table, each.table)}.", 1)
            )
            for each in self._database.listing(self._known)
            if not each.table.rpartition(".")[2].startswith(KEPT_PREFIX)
        ]

    def _make_again(self, step: Step) -> None:
        """The indexes and triggers of tables that are still there."""
        if not any(each.kind in _MADE_AGAIN for each in self._expected):
            return
        now = {each.id: each for each in self._listing()}
        # A renaming has changed the text of what stays.
        self._expected = {now.get(each.id, each) for each in self._expected}
        tables = self._tables()
        mine = set(re.findall(r"\w+", " ".join(self._sql)))
        for each in sorted(self._expected):
            lost = each.kind in _MADE_AGAIN and each.id not in now and each.table in tables
            if lost and not self._may_go(each) and each.name not in mine:
                try:
                    with self._database.connection.cursor() as cursor:
                        cursor.execute(each.sql)
                except DatabaseError as error:
                    doing = f"making {each} again after its table was remade"
                    raise StepFailed(step, doing, first_line(error), sql=each.sql, what_to_do=advice.GONE) from error


def _first_names(plan: Plan) -> dict[str, str]:
    """The names before the run of the tables that it renames."""
    found: dict[str, str] = {}
    for effect in (effect for step in plan.steps for effect in step.effects):
        if effect.renamed_to and not effect.column:
            found[effect.renamed_to] = found.get(effect.table, effect.table)
    return found


def is_known(operation: Operation) -> bool:
    """Is it undone by code of Django's alone, of which we know what it does?"""
    return acts_as(operation) not in (None, RunPython, RunSQL)


_ROWS_ONLY = (
    "SELECT",
    "WITH",
    "INSERT",
    "UPDATE",
    "DELETE",
    "SAVEPOINT",
    "RELEASE",
    "ROLLBACK",
    "PRAGMA",
    "SET",
    "LOCK",
)


def changes_schema(sql: str) -> bool:
    """May this statement change the schema?"""
    return not sql.lstrip()[:9].upper().startswith(_ROWS_ONLY)
