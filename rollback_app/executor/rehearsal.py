"""A run that does everything, tells what it did, and is taken back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.utils import InterfaceError, OperationalError, ProgrammingError

from rollback_app.database import Database, Numbers, dialect, first_line
from rollback_app.planner import Plan, Step
from rollback_app.safety import Comparison

from .progress import BRINGS_BACK, KEEPS, PUTS_BACK, Bookmark, Keeper, Progress
from .recording import Recorder, Sent
from .run import run


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
    words, strongest first. sent: everything that was not taken back meanwhile, and that may have changed something, in its order.
    numbers: where those sequences stood that it used."""

    steps: tuple[Rehearsed, ...]
    around: tuple[Around, ...]
    locks: Mapping[str, str]
    comparison: Comparison | None
    sent: tuple[Sent, ...]
    numbers: tuple[Numbers, ...]


def rehearse(
    database: Database,
    plan: Plan,
    prepare: Callable[[], Plan],
    progress: Progress,
    *,
    verify: bool,
    named: Collection[str] = frozenset(),
    keeper: Keeper,
    bookmark: Bookmark | None = None,
) -> Rehearsal:
    """bookmark: notes the run, also in the transaction that is taken back.

    Errors: those of `executor.run`. The database must be able to take back changes of the schema."""
    traces: Any = (_Traces if database.uses_up_numbers else _NumbersOfTables)(database)
    recorder = Recorder(database, progress, traces.moved)
    try:
        with database.connection.execute_wrapper(recorder):
            outcome = run(
                database,
                plan,
                prepare,
                recorder,
                bookmark or Bookmark(),
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
        Rehearsed(done.step, done.seconds, recorder.rows[done.step], recorder.statements(done.step))
        for done in outcome.done
    )
    around = tuple(
        Around(part.doing, part.when, seconds, statements)
        for part, seconds in recorder.seconds.items()
        if part.doing in (KEEPS, PUTS_BACK, BRINGS_BACK) and (statements := recorder.statements(part))
    )
    return Rehearsal(steps, around, traces.locks, outcome.comparison, tuple(recorder.sent), traces.used)


class _NumbersOfTables:
    """SQLite: the whole file is locked against writing, and all of it is taken back, the numbers of rows included."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._before = self._read()
        self.locks: dict[str, str] = {}
        self.used: tuple[Numbers, ...] = ()

    def _read(self) -> dict[str, int]:
        with self._database.connection.cursor() as cursor:
            cursor.execute("SELECT name FROM sqlite_master WHERE name = 'sqlite_sequence'")
            cursor.execute("SELECT name, seq FROM sqlite_sequence" if cursor.fetchone() else "SELECT 1, 1 WHERE false")
            return dict(cursor.fetchall())

    def moved(self) -> list[str]:
        """The statements that put what gives numbers where it stands, of what has given some since this was last asked."""
        return []

    def read_locks(self) -> None:
        """At the end of the transaction."""
        now = self._read()
        self.used = tuple(
            Numbers(name, number) for name, number in self._before.items() if now.get(name, number) != number
        )

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
# Each that is asked is locked for reading, and the other schemas of thousands have thousands.
_SEEN = " AND n.nspname = ANY (current_schemas(false))"
_SET = "SELECT setval(%s::regclass, %s, %s)"
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


def _numbers(counter: _Counter, place: _Place) -> Numbers:
    return Numbers(counter.table, place.number, place.given, counter.column, counter.name)


class _Traces:
    """Locks are read before they are gone; and numbers that sequences gave are no part of a transaction."""

    def __init__(self, database: Database) -> None:
        self._database, self._dialect = database, dialect(database)
        self._tables = dict(self._ask(_TABLES))
        # Of all transactions that are open now or will be. What they write counts as written meanwhile.
        ((self._oldest,),) = self._ask(_OLDEST)
        self._counters = self._seen = self._read_counters()
        self.locks: dict[str, str] = {}
        self.used: tuple[Numbers, ...] = ()

    def _ask(self, query: str, *params: Any) -> list[Any]:
        with self._database.connection.cursor() as cursor:
            cursor.execute(query, params or None)
            return list(cursor.fetchall())

    def _read_counters(self) -> dict[_Counter, _Place]:
        query = _COUNTERS + _SEEN if self._database.schema else _COUNTERS
        last = {_Counter(*names): number for *names, number in self._ask(query)}
        found = {counter: _Place(number, given=True) for counter, number in last.items() if number is not None}
        unused = [counter for counter, number in last.items() if number is None]
        for start in range(0, len(unused), 500):  # each is locked for reading until the query ends
            some = unused[start : start + 500]
            numbers = self._ask(
                " UNION ALL ".join(f"SELECT {place}, last_value FROM {each.name}" for place, each in enumerate(some))
            )
            found.update({some[place]: _Place(number, given=False) for place, number in numbers})
        return found

    def moved(self) -> list[str]:
        before, self._seen = self._seen, self._read_counters()
        return [
            self._dialect.composed(_SET, [counter.name, place.number, place.given])
            for counter, place in self._seen.items()
            if place != before.get(counter)
        ]

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
        self.used = tuple(_numbers(counter, self._counters[counter]) for counter in moved)
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
                self._ask(_SET, counter.name, place.number, place.given)
        except (OperationalError, ProgrammingError) as error:
            return [f"The next number of {counter.table} could not be set back: {first_line(error)}"]
        return []


def _words(mode: str) -> str:
    """As LOCK TABLE spells it: AccessExclusive -> ACCESS EXCLUSIVE."""
    return "".join(f" {letter}" if letter.isupper() else letter for letter in mode).strip().upper()
