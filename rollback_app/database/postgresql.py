"""PostgreSQL: a run is one transaction; locks are those of a transaction, so that they hold behind pgbouncer."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError, ProgrammingError

from rollback_app.planner import Known, Right, TableChange
from rollback_app.safety import Defined, ListedObject, Object

from . import backups, defined_postgresql, definitions_postgresql, objects_postgresql
from .base import COUNTED_ROWS, Database, whole_number
from .blockers import Blockers
from .by_index import by_index
from .errors import sqlstate
from .tenants import in_own_schema, own_alone, same_again

# The upper half of an advisory lock's key; the lower half is the history table, of which each schema may have one.
_OURS = 1_919_118_435
# What guards a run does nothing for a long time by design, and so does a run while it waits for reverse code. (The second
# setting came with PostgreSQL 17.)
_NO_LIMITS = (
    "SELECT set_config(name, '0', true) FROM pg_settings"
    " WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
)
# Numbers of tables are those of one database; another may use the same.
_LOCKS_HERE = (
    "SELECT pid FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_OF_A_ROLLBACK = f"locktype = 'advisory' AND classid = {_OURS} AND objid = to_regclass(%s)::oid"
_MAY_BE_OF_A_ROLLBACK = f"({_OF_A_ROLLBACK} OR mode = 'AccessExclusiveLock' AND relation = to_regclass(%s)::oid)"
KEEP_AWAY = f"SELECT pg_advisory_xact_lock(({_OURS}::bigint << 32) + %s::regclass::oid::bigint)"


_NOT_OWNED = """
SELECT current_user || ' does not own table ' || relname || ', which the run changes: its owner is '
    || pg_get_userbyid(relowner) || '.'
FROM pg_class WHERE oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) name)
AND relkind IN ('r', 'p') AND NOT pg_has_role(relowner, 'USAGE') ORDER BY relname
"""
_NO_NEW_TABLES = """
SELECT DISTINCT current_user || ' may not make tables in schema ' || nspname || ', as the run does.'
FROM pg_namespace WHERE nspname IN (SELECT coalesce(name, current_schema()) FROM unnest(%s::text[]) name)
AND NOT has_schema_privilege(oid, 'CREATE')
"""
_NO_NEW_INDEXES = """
SELECT DISTINCT current_user || ' may not make or rename tables and indexes in schema ' || n.nspname || ', as the run does.'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) name) AND NOT has_schema_privilege(n.oid, 'CREATE')
"""


_OF_OTHER_SCHEMAS = """
SELECT 'Table ' || relname || ' is not in schema ' || current_schema() || ': the run would change the one of schema '
    || nspname || '.'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT to_regclass(name) FROM unnest(%s::text[]) name) AND nspname <> current_schema() ORDER BY relname
"""


class PostgreSQL(Database):
    limits_statements = True
    can_be_pooled = True
    uses_up_numbers = True
    clock = "SELECT clock_timestamp() AT TIME ZONE 'UTC'"

    _process = 0  # the server's process that works for this connection; behind a pool, in this transaction
    _guard = 0  # the server's process of the connection that guards a run

    def backup_line(self) -> str:
        return backups.pg_dump(self.connection.settings_dict)

    @contextmanager
    def reading(self, *, during_a_rollback: bool = False) -> Iterator[None]:
        with super().reading():
            try:
                with transaction.atomic(using=self.alias, durable=True), self.connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                    if not during_a_rollback:
                        self._wait_for_a_rollback()
                    self._set_timeouts()
                    if not during_a_rollback:
                        self._check_no_rollback()  # one that goes step by step, and is between two of them
                    with self.seeing_all_rows():
                        yield
            except OperationalError as error:
                if not self.is_lock_timeout(error):
                    raise
                self._check_no_rollback()
                raise self.held(self._with_locks("mode = 'AccessExclusiveLock' AND locktype = 'relation'")) from error

    def _hint_for_reading(self, error: BaseException) -> str:
        if "row-level security" not in str(error):
            return super()._hint_for_reading(error)
        return "Some rows are hidden from this user. Run it as one that sees all of them, as with BYPASSRLS."

    def _wait_for_a_rollback(self) -> None:
        # The first statement that reads anything, a SELECT without a table included, decides what the transaction sees. So
        # these are none, and what is read afterwards is from after the wait, and stays so: the lock is held to the end.
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{self._lock_timeout}'")
            # Without such a table, or the right to read it, those who read it next say so, and better.
            with suppress(ProgrammingError), transaction.atomic(using=self.alias):
                cursor.execute(f"LOCK TABLE {self._history_table} IN ACCESS SHARE MODE")

    def _check_no_rollback(self) -> None:
        """Errors: Locked."""
        holders = ""
        # The end of a run releases the table, for which others wait, a moment before the lock that is looked at here.
        for seconds in (0.05, 0.2, 0):
            holders = self._with_locks(f"granted AND {_OF_A_ROLLBACK}", self._history_table)
            if not holders:
                return
            time.sleep(seconds)
        raise self.held(holders, by_rollback=True)

    def rollback_under_way(self) -> str | None:
        # Also one that still waits for the lock.
        return self._with_locks(_MAY_BE_OF_A_ROLLBACK, *[self._history_table] * 2) or None

    def estimate(self, table: str) -> int | None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(reltuples) FROM pg_class WHERE oid = to_regclass(%s) AND reltuples > 0",
                [in_own_schema(self.connection, table)],
            )
            return whole_number(cursor.fetchone())

    def objects(self, changes: Sequence[TableChange], known: Known) -> Sequence[tuple[TableChange, Object]]:
        return objects_postgresql.objects(self.connection, changes, known, COUNTED_ROWS)

    def listing(self, known: Known) -> Collection[ListedObject]:
        return objects_postgresql.listing(self.connection, known)

    def object_names(self) -> Collection[str]:
        return objects_postgresql.names(self.connection)

    def defined(self) -> Sequence[Defined]:
        return defined_postgresql.defined(self.connection, self._history_table)

    def table_definitions(self, names: Collection[str]) -> Mapping[str, str]:
        return definitions_postgresql.table_definitions(self.connection, names)

    def with_users(self, objects: Collection[str]) -> Collection[str]:
        return defined_postgresql.with_users(self.connection, self._history_table, objects)

    def _in_a_statement(self, each: Defined) -> str:
        return each.name  # as the server has written it: with its schema, and in quotes where it needs them

    def read_only(self) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT CASE WHEN pg_is_in_recovery() THEN 'The server is a standby.'"
                " WHEN current_setting('default_transaction_read_only')::boolean"
                " THEN 'default_transaction_read_only is on for ' || current_user || '.' ELSE '' END"
            )
            return str(cursor.fetchone()[0])

    def _canonical(self, name: str) -> str:
        # PostgreSQL cuts longer names, which Django does only to those that it has made itself.
        return '"."'.join(part.encode()[:63].decode(errors="ignore") for part in super()._canonical(name).split('"."'))

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        named: dict[Right, list[str]] = {right: [] for right in Right}
        for table, right in sorted(needed):
            named[right].append(in_own_schema(self.connection, table))
        # Of the schemas of new tables those that are there; the plan does not know which its own SQL makes.
        made = sorted(table for table, right in needed if right is Right.CREATE)
        schemas = [table.rpartition('"."')[0].strip('"') or None for table in made]
        changed = [*named[Right.DROP], *named[Right.ALTER], *named[Right.INDEX]]
        questions = {_NOT_OWNED: changed, _NO_NEW_TABLES: schemas, _NO_NEW_INDEXES: named[Right.INDEX]}
        found = list[str]()
        with self.connection.cursor() as cursor:
            for question, about in questions.items():
                if about:
                    cursor.execute(question, [about])
                    found += [row[0] for row in cursor.fetchall()]
        return found

    def of_other_schemas(self, tables: Collection[str]) -> Sequence[str]:
        if self.schema is None:
            return []
        quoted = [self.connection.ops.quote_name(table) for table in sorted(tables) if '"."' not in table]
        with self.connection.cursor() as cursor:
            cursor.execute(_OF_OTHER_SCHEMAS, [quoted])
            return [row[0] for row in cursor.fetchall()]

    def differs(self, column: str, value: str, field: Any) -> str:
        """As texts: not every type can be compared, and the column may have another type by now."""
        return f"CAST({column} AS text) <> CAST(CAST({value} AS {field.db_type(self.connection)}) AS text)"

    def columns(self) -> frozenset[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname, a.attname FROM pg_class c"
                f" JOIN {by_index('pg_attribute', 'a', 'attrelid = c.oid AND attnum > 0 AND NOT attisdropped')} ON true"
                f" WHERE c.relkind IN ('r', 'p', 'f') AND {self._visible}"
            )
            return frozenset(cursor.fetchall())

    def table_names(self) -> Collection[str]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {self._visible}"
            )
            return [name for (name,) in cursor.fetchall()]

    @property
    def _visible(self) -> str:
        """The condition that a relation c can be named without its schema."""
        own = own_alone(self.connection, "c.oid")
        return f"pg_table_is_visible(c.oid) AND c.relnamespace <> 'pg_catalog'::regnamespace{own}"

    def lock(self) -> None:
        self._set_timeouts()
        # In a savepoint, so that the holders can be asked for afterwards.
        with self._naming_holders(), transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {self._history_table} IN ACCESS EXCLUSIVE MODE")

    def lock_writers(self, tables: Collection[str]) -> None:
        # The lock that the run needs in the end, at once: two that read and then wait for each other would be a deadlock.
        listed = ", ".join(map(self.connection.ops.quote_name, sorted(tables)))
        with self.connection.cursor() as cursor:
            # A statement is nothing where there is nothing to lock.
            cursor.execute(f"LOCK TABLE {listed} IN ACCESS EXCLUSIVE MODE" if tables else "SELECT")

    @contextmanager
    def seeing_all_rows(self) -> Iterator[None]:
        # https://www.postgresql.org/docs/current/ddl-rowsecurity.html
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('row_security')")
            (before,) = cursor.fetchone()
            cursor.execute("SET LOCAL row_security = off")
            yield
            cursor.execute("SELECT set_config('row_security', %s, true)", [before])

    def own_rows(self, table: str) -> str:
        name = super().own_rows(table)
        with self.connection.cursor() as cursor:
            # The rows of a table with partitions are in these.
            cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", [name])
            return name if cursor.fetchone()[0] else f"ONLY {name}"

    def check_now(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def raise_sequences(self, table: str, columns: Collection[str]) -> None:
        quoted = self.connection.ops.quote_name(table)
        with self.connection.cursor() as cursor:
            for column in columns:
                cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [quoted, column])
                (sequence,) = cursor.fetchone()
                if sequence:
                    highest = f"SELECT max({self.connection.ops.quote_name(column)}) AS number FROM {quoted}"
                    cursor.execute(
                        f"SELECT setval(%s, number) FROM ({highest}) h WHERE number >= (SELECT last_value FROM {sequence})",
                        [sequence],
                    )

    def comment(self, table: str, words: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"COMMENT ON TABLE {self.connection.ops.quote_name(table)} IS %s", [words])

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        with super().all_or_nothing():
            # Against a rollback that goes step by step, and is between two of them.
            with self._naming_holders(), transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
                cursor.execute(KEEP_AWAY, [self._history_table])
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        # In a connection of its own, whose transaction lasts as long as the run: behind pgbouncer a session does not. It reads
        # no rows, so that neither VACUUM nor an index that is made concurrently waits for it.
        guard = same_again(self.connection)
        try:
            guard.set_autocommit(False)
            with self._naming_holders(), guard.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [self._lock_timeout])
                cursor.execute(_NO_LIMITS)
                cursor.execute(KEEP_AWAY, [self._history_table])
                cursor.execute("SELECT pg_backend_pid()")
                (self._guard,) = cursor.fetchone()
            yield
        finally:
            self._guard = 0
            guard.close()

    @contextmanager
    def _naming_holders(self) -> Iterator[None]:
        """The error of a lock of a run that others hold says who they are."""
        try:
            yield
        except OperationalError as error:
            if not self.is_lock_timeout(error):
                raise
            self._check_no_rollback()
            raise self.held(self._with_locks("granted AND relation = %s::regclass", self._history_table)) from error

    @property
    def _lock_timeout(self) -> str:
        return _milliseconds(self.timeouts.lock)

    def _set_timeouts(self) -> None:
        """For this transaction only: behind pgbouncer the next one may run in another session."""
        statement = self.timeouts.statement
        with self.connection.cursor() as cursor:
            cursor.execute(
                # Without jit: PostgreSQL takes the queries of its catalogs for large ones, and compiles them for seconds.
                "SELECT pg_backend_pid(), set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
                " set_config('jit', 'off', true)",
                [self._lock_timeout, "0" if statement is None else _milliseconds(statement)],
            )
            self._process = cursor.fetchone()[0]
            cursor.execute(_NO_LIMITS)

    def _with_locks(self, which: str, *params: str) -> str:
        """The other sessions that have such locks, in words."""
        return "; ".join(self._sessions(f"pid IN ({_LOCKS_HERE} AND {which})", list(params)))

    @contextmanager
    def watching_others(self) -> Iterator[None]:
        self._blockers = Blockers(self.connection, self.timeouts.lock, self._who_blocks, self.is_lock_timeout)
        with self._blockers.watching():
            yield

    def _who_blocks(self, other: BaseDatabaseWrapper) -> list[str]:
        return self._sessions("pid = ANY(pg_blocking_pids(%s))", [self._process], other)

    def others(self) -> str:
        return f"Blocked by {'; '.join(self._blockers.blamed)}." if self._blockers.blamed else ""

    def _sessions(self, which: str, params: list[Any], connection: BaseDatabaseWrapper | None = None) -> list[str]:
        with (connection or self.connection).cursor() as cursor:
            cursor.execute(
                "SELECT 'process ' || pid || ' of ' || coalesce(usename, '?')"
                " || coalesce(' (' || nullif(application_name, '') || ')', '')"
                " || ', since ' || to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'"
                f" FROM pg_stat_activity WHERE pid NOT IN (pg_backend_pid(), %s) AND {which} ORDER BY xact_start",
                [self._guard, *params],
            )
            return [str(row[0]) for row in cursor.fetchall()]

    def is_lock_timeout(self, error: BaseException) -> bool:
        return sqlstate(error) in ("55P03", "40P01")  # lock_not_available, deadlock_detected

    def drop_invalid_index(self, name: str) -> None:
        # https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
        quoted = self.connection.ops.quote_name(name)
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid", [quoted])
            if cursor.rowcount:
                cursor.execute(f"DROP INDEX CONCURRENTLY {quoted}")

    def made(self, table: str) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)::oid", [in_own_schema(self.connection, table)])
            return str(cursor.fetchone()[0])

    def is_answer(self, error: BaseException) -> bool:
        # connection_exception, admin_shutdown and its like
        return not (sqlstate(error) or "08").startswith(("08", "57P"))

    def is_missing(self, error: BaseException) -> bool:
        return sqlstate(error) in ("42P01", "42703")  # undefined_table, undefined_column

    def is_done_already(self, error: BaseException) -> bool:
        # undefined_object, duplicate_table (https://www.postgresql.org/docs/current/errcodes-appendix.html): the only
        # statements that are not in a transaction drop and make indexes.
        return sqlstate(error) in ("42704", "42P07")


def _milliseconds(seconds: float) -> str:
    """At least one: none at all would mean no limit."""
    return f"{max(1, round(seconds * 1000))}ms"
