"""The statements that undoing a plan would send, found without sending them: operation by operation, with exact states.

Django's schema editor asks the catalog for names of constraints. What it is told is what the statements before it will have left
there; where that cannot be told, there is no statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db.migrations.operations import RunPython, RunSQL

from rollback_app.database import Database, first_line
from rollback_app.planner import Plan, Step, is_concurrent
from rollback_app.states import Undo, acts_as, leaves

from .steps import backwards, in_words


@dataclass(frozen=True)
class Collected:
    """The statements of an operation, described by words. by_hand: are they those of RunSQL?"""

    words: str
    statements: tuple[str, ...]
    by_hand: bool


@dataclass(frozen=True)
class CollectedStep:
    """operations: in the order in which they are undone. why_not: why the step cannot be written down, in words; else empty."""

    step: Step
    operations: tuple[Collected, ...]
    why_not: str = ""


class _Unknown(Exception):
    """What the catalog will say by then cannot be told."""


def collect(database: Database, plan: Plan) -> Iterator[CollectedStep]:
    """Each step of a plan, up to and with the first that cannot be written down. Reads the catalog, and nothing else."""
    catalog, walk = _Catalog(database.connection.introspection), plan.states().backwards()
    for step in plan.steps:
        found = CollectedStep(step, ()) if step.fake else _collected(database, step, next(walk)[1], catalog)
        yield found
        if found.why_not:
            return


def _collected(database: Database, step: Step, undos: list[Undo], catalog: _Catalog) -> CollectedStep:
    operations = []
    for undo in leaves(undos, step.key.app):
        words = in_words(undo.operation)
        kind = acts_as(undo.operation)
        if kind is RunPython or not str(getattr(kind, "__module__", "")).startswith(("django.db.", "django.contrib.")):
            return CollectedStep(step, (), f"{words} may send anything")
        if is_concurrent(type(undo.operation)):
            return CollectedStep(step, (), f"{words} cannot be part of a transaction")
        try:
            statements = _statements(database, undo, step, catalog)
        except _Unknown as error:
            return CollectedStep(step, (), f"{words} depends on what the statements before it leave of table {error}")
        # An operation may raise anything, as where the database is not what the migrations say.
        except Exception as error:  # noqa: BLE001
            return CollectedStep(step, (), f"{words} fails: {type(error).__name__}: {first_line(error)}")
        for statement in statements:
            catalog.learn(statement, by_hand=kind is RunSQL)
        operations.append(Collected(words, statements, kind is RunSQL))
    return CollectedStep(step, tuple(operations))


def _statements(database: Database, undo: Undo, step: Step, catalog: _Catalog) -> tuple[str, ...]:
    collector: Any = database.connection.schema_editor(collect_sql=True, atomic=False)
    collector.deferred_sql = []
    with _asked_instead(database, catalog):
        backwards(undo, step, collector)
        for statement in collector.deferred_sql:
            collector.execute(statement, None)
    return tuple(collector.collected_sql)


@contextmanager
def _asked_instead(database: Database, catalog: _Catalog) -> Iterator[None]:
    connection: Any = database.connection
    connection.introspection = catalog
    try:
        yield
    finally:
        connection.introspection = catalog.real


_NAME = r"""["`]((?:[^"`]|""|``)+)["`]"""
_RENAMES = re.compile(rf"(?:RENAME TABLE {_NAME} TO|ALTER TABLE {_NAME} RENAME TO) {_NAME}", re.IGNORECASE)
_TABLE = re.compile(rf"(?:ALTER|CREATE|DROP) TABLE {_NAME}|\bON {_NAME}", re.IGNORECASE)
_DROPS = re.compile(
    rf"DROP (?:CONSTRAINT|INDEX|KEY|CHECK)(?: IF EXISTS)? {_NAME}|DROP (FOREIGN KEY) {_NAME}|DROP COLUMN {_NAME}",
    re.IGNORECASE,
)
_SET_CONSTRAINTS = re.compile(r"^SET CONSTRAINTS [^;]*;\s*", re.IGNORECASE)
_HARMLESS = re.compile(
    r"(INSERT|UPDATE|DELETE|SELECT)\b"
    r"|ALTER TABLE \S+ (MODIFY|ALTER|ADD) (?!.*\b(CONSTRAINT|UNIQUE|REFERENCES|CHECK)\b)",
    re.IGNORECASE | re.DOTALL,
)


class _Catalog:
    """Stands for Django's introspection while statements are collected."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self._now: dict[str, str] = {}  # what a table will be called -> what it is called
        self._gone: dict[str, set[str]] = {}  # by the table as it is called: constraints and indexes that will be gone
        self._no_key: dict[str, set[str]] = {}  # foreign keys that will be gone; their index stays
        self._columns: dict[str, set[str]] = {}
        self._unknown: set[str] = set()  # tables, as they will be called
        self._all_unknown = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def get_constraints(self, cursor: Any, table: str) -> dict[str, Any]:
        live = self._live(table)
        found = {}
        for name, facts in self.real.get_constraints(cursor, live).items():
            gone = name in self._gone.get(live, ()) or name in self._gone.get("", ())
            if not (gone or self._columns.get(live, set()) & set(facts["columns"] or ())):
                no_key = name in self._no_key.get(live, ())
                found[name] = {**facts, "foreign_key": None} if no_key else facts
        return found

    def get_storage_engine(self, cursor: Any, table: str) -> Any:
        return self.real.get_storage_engine(cursor, self._now.get(table, table))

    def get_sequences(self, cursor: Any, table: str, fields: Any = ()) -> Any:
        return self.real.get_sequences(cursor, self._live(table), fields)

    def _live(self, table: str) -> str:
        if self._all_unknown or table in self._unknown:
            raise _Unknown(table)
        return self._now.get(table, table)

    def learn(self, statement: str, *, by_hand: bool) -> None:
        """What a statement will leave in the catalog."""
        if renames := _RENAMES.match(statement):
            old, new = renames[1] or renames[2], renames[3]
            self._now[new] = self._now.pop(old, old)
            if old in self._unknown:
                self._unknown.add(new)
            return
        if _HARMLESS.match(_SET_CONSTRAINTS.sub("", statement)):
            return
        if by_hand:
            self._all_unknown = True
            return
        statement = _SET_CONSTRAINTS.sub("", statement)
        drops = _DROPS.findall(statement)
        # PostgreSQL drops an index without naming its table.
        for table in [first or second for first, second in _TABLE.findall(statement)] or [""]:
            live = self._now.get(table, table)
            if not drops or " ADD " in statement:
                self._unknown.add(table)
            for index, key, of_key, column in drops:
                names = self._no_key if key else self._columns if column else self._gone
                names.setdefault(live, set()).add(of_key or column or index)
