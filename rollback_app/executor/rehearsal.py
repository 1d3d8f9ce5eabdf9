"""A run that does everything, tells what it did, and is taken back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.migrations.operations.base import Operation
from django.db.utils import InterfaceError, OperationalError, ProgrammingError

from rollback_app.bookkeeping import KEPT_TABLE, OBJECTS_TABLE, SNAPSHOTS_TABLE
from rollback_app.database import Database, first_line
from rollback_app.planner import Plan, Step
from rollback_app.safety import Comparison

from .progress import Bookmark, Done, Keeper, Progress
from .run import run

_NOTES = (KEPT_TABLE, OBJECTS_TABLE, SNAPSHOTS_TABLE)


@dataclass(frozen=True)
class Rehearsed:
    """A step that was undone and is there again. rows: how many were inserted, updated or deleted. statements: all but those
    that only read, with their values, ready to be run."""

    step: Step
    seconds: float
    rows: int
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Around:
    """What keeps data, before the first step or after the last one, puts back after a step what a `migrate` had kept, or brings
    back views, functions and triggers, after the receivers. statements: without those of the catalogue."""

    doing: str
    when: str
    seconds: float
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal tells. around: only what does anything. locks: by table the strongest that was taken, in PostgreSQL's
    words, strongest first."""

    steps: tuple[Rehearsed, ...]
    around: tuple[Around, ...]
    locks: Mapping[str, str]
    comparison: Comparison | None


def rehearse(
    database: Database,
    plan: Plan,
    prepare: Callable[[], Plan],
    progress: Progress,
    *,
    verify: bool,
    named: Collection[str] = frozenset(),
    keeper: Keeper,
) -> Rehearsal:
    """Errors: those of `executor.run`. The database must be able to take back changes of the schema."""
    recorder = _Recorder(database, progress)
    traces: Any = (_Traces if database.uses_up_numbers else _NoTraces)(database)
    try:
        with database.connection.execute_wrapper(recorder):
            outcome = run(
                database,
                plan,
                prepare,
                recorder,
                Bookmark(),
                one_transaction=True,
                verify=verify,
                before_rollback=traces.read_locks,
                named=named,
                keeper=keeper,
            )
    finally:
        for words in traces.remove():
            recorder.warned(words)
    steps = tuple(
        Rehearsed(done.step, done.seconds, recorder.rows[done.step], tuple(recorder.statements[done.step]))
        for done in outcome.done
    )
    around = tuple(
        Around(doing, when, recorder.seconds[when], tuple(statements))
        for when, doing in recorder.doing.items()
        if (statements := recorder.statements[when])
    )
    return Rehearsal(steps, around, traces.locks, outcome.comparison)


# What Django and we ask the catalog begins with line breaks, and with WITH; a comment may come first.
_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(\w+)", re.DOTALL)
_READS = ("SELECT", "PRAGMA", "SAVEPOINT", "RELEASE", "ROLLBACK", "SHOW", "EXPLAIN", "VALUES", "TABLE")
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


def _only_reads(sql: str) -> bool:
    found = _FIRST_WORD.match(sql)
    word = found[1].upper() if found else ""
    return "setval(" not in sql and (word in _READS or (word == "WITH" and not _WRITES.search(sql)))


class _Recorder(Progress):
    """Writes down the statements of each step, and hands on what is told."""

    def __init__(self, database: Database, inner: Progress) -> None:
        self.database, self.inner = database, inner
        self.shows_sql = inner.shows_sql
        self.statements: dict[Step | str, list[str]] = {}
        self.doing: dict[str, str] = {}
        self.rows: dict[Step, int] = {}
        self.seconds: dict[str, float] = {}
        self.part: Step | str | None = None
        self.before = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(sql, params, many, context)
        if self.part and not _only_reads(sql) and not self._is_noted(sql):
            cursor = context["cursor"]
            operations = self.database.connection.ops
            self.statements[self.part].append(operations.last_executed_query(cursor.cursor, sql, params))
            if isinstance(self.part, Step):
                self.rows[self.part] += max(cursor.rowcount, 0)  # -1 where there is nothing to count
        return result

    def _is_noted(self, sql: str) -> bool:
        """Is it about our notes of what is kept, which are no part of the data?"""
        return isinstance(self.part, str) and any(f'"{table}"' in sql for table in _NOTES)

    @contextmanager
    def beside(self, when: str, doing: str) -> Iterator[None]:
        self.part, self.statements[when], self.doing[when] = when, [], doing
        start = time.monotonic()
        yield
        self.part, self.seconds[when] = None, time.monotonic() - start

    def _changed(self) -> int:
        """All rows that a connection of SQLite has ever changed, since its cursors do not count where they return them; 0
        elsewhere."""
        return int(getattr(self.database.connection.connection, "total_changes", 0))

    def began(self, step: Step) -> None:
        self.part = step
        self.statements[step], self.rows[step] = [], 0
        self.before = self._changed()
        self.inner.began(step)

    def finished(self, done: Done) -> None:
        self.part = None
        if changed := self._changed() - self.before:
            self.rows[done.step] = changed
        self.inner.finished(done)

    def ran(self, sql: str) -> None:
        self.inner.ran(sql)

    def warned(self, text: str) -> None:
        self.inner.warned(text)

    def verified(self, comparison: Comparison) -> None:
        self.inner.verified(comparison)

    def rendered_everything(self, operation: Operation) -> None:
        self.inner.rendered_everything(operation)


class _NoTraces:
    """SQLite: the whole file is locked against writing, and all of it is taken back."""

    def __init__(self, database: Database) -> None:
        self.locks: dict[str, str] = {}

    def read_locks(self) -> None:
        """At the end of the transaction."""

    def remove(self) -> list[str]:
        """After it. Gives what could not be removed, in words."""
        return []


_MODES = (
    *("AccessExclusive", "Exclusive", "ShareRowExclusive", "Share"),
    *("ShareUpdateExclusive", "RowExclusive", "RowShare", "AccessShare"),
)

_TABLES = """
SELECT c.oid, CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname || '.' END || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
_LOCKS = """
SELECT relation, replace(mode, 'Lock', '') FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
"""
# Those that belong to a column, and count upwards; NULL where no number was given yet.
_COUNTERS = """
SELECT format('%I.%I', n.nspname, s.relname), format('%I.%I', m.nspname, t.relname), quote_ident(a.attname),
    CASE s.relkind WHEN 'S' THEN pg_sequence_last_value(s.oid) END
FROM pg_sequence q JOIN pg_class s ON s.oid = q.seqrelid JOIN pg_namespace n ON n.oid = s.relnamespace
JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace m ON m.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE q.seqincrement > 0 AND s.relpersistence <> 't'
    AND CASE s.relkind WHEN 'S' THEN has_sequence_privilege(s.oid, 'SELECT') ELSE false END
"""
_OLDEST = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_NOW = "SELECT pg_current_xact_id()::text::bigint"


@dataclass(frozen=True)
class _Counter:
    """A sequence, and what it numbers; all names quoted."""

    name: str
    table: str
    column: str


@dataclass(frozen=True)
class _Place:
    """Where a sequence stands: the last number that it gave, or else the first that it will."""

    number: int
    given: bool


class _Traces:
    """Locks are read before they are gone; and numbers that sequences gave are no part of a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables = dict(self._ask(_TABLES))
        # Of all transactions that are open now or will be. What they write counts as written meanwhile.
        ((self._oldest,),) = self._ask(_OLDEST)
        self._counters = self._read_counters()
        self.locks: dict[str, str] = {}

    def _ask(self, query: str, *params: Any) -> list[Any]:
        with self._database.connection.cursor() as cursor:
            cursor.execute(query, params or None)
            return list(cursor.fetchall())

    def _read_counters(self) -> dict[_Counter, _Place]:
        last = {_Counter(*names): number for *names, number in self._ask(_COUNTERS)}
        found = {counter: _Place(number, given=True) for counter, number in last.items() if number is not None}
        unused = [counter for counter, number in last.items() if number is None]
        for start in range(0, len(unused), 500):  # each is locked for reading until the query ends
            some = unused[start : start + 500]
            numbers = self._ask(
                " UNION ALL ".join(f"SELECT {place}, last_value FROM {each.name}" for place, each in enumerate(some))
            )
            found.update({some[place]: _Place(number, given=False) for place, number in numbers})
        return found

    def read_locks(self) -> None:
        held: dict[str, set[str]] = {}
        for relation, mode in self._ask(_LOCKS):
            if relation in self._tables:  # nobody else waits for a table that was made meanwhile
                held.setdefault(self._tables[relation], set()).add(mode)
        strongest = {table: min(map(_MODES.index, modes)) for table, modes in held.items()}
        self.locks = {table: _words(_MODES[rank]) for table, rank in sorted(strongest.items(), key=lambda x: x[::-1])}

    def remove(self) -> list[str]:
        try:
            now = self._read_counters()
        except (OperationalError, InterfaceError) as error:
            return [f"Whether numbers were used up could not be seen: {first_line(error)}"]
        moved = [counter for counter, place in now.items() if place != self._counters.get(counter, place)]
        return [words for counter in moved for words in self._set_back(counter)]

    def _set_back(self, counter: _Counter) -> list[str]:
        """Give the numbers back, unless somebody else has taken some meanwhile. An insert that is under way holds a lock that
        this one waits for, and so will be seen. Rows with such numbers that were there before are no sign of it."""
        place = self._counters[counter]
        try:
            with transaction.atomic(using=self._database.alias):
                self._ask(
                    "SELECT set_config('lock_timeout', %s, true)", f"{round(self._database.timeouts.lock * 1000)}ms"
                )
                with self._database.connection.cursor() as cursor:
                    cursor.execute(f"LOCK TABLE {counter.table} IN SHARE ROW EXCLUSIVE MODE")
                ((now,),) = self._ask(_NOW)
                ((taken,),) = self._ask(
                    f"SELECT EXISTS (SELECT 1 FROM {counter.table} WHERE {counter.column} > %s AND %s - age(xmin) >= %s)",
                    *(place.number - (not place.given), now, self._oldest),
                )
                if taken:
                    return [f"Somebody else has written to {counter.table} meanwhile: its numbers go on from there."]
                self._ask("SELECT setval(%s::regclass, %s, %s)", counter.name, place.number, place.given)
        except (OperationalError, ProgrammingError) as error:
            return [f"The next number of {counter.table} could not be set back: {first_line(error)}"]
        return []


def _words(mode: str) -> str:
    """As LOCK TABLE spells it: AccessExclusive -> ACCESS EXCLUSIVE."""
    return "".join(f" {letter}" if letter.isupper() else letter for letter in mode).strip().upper()
