"""All that differs between databases: reading rows, facts for checks, locks, timeouts and transactions.

`Database` wraps one of Django's connections; what a vendor does differently is a subclass, found by `connection.vendor`.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import truncate_name
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import DatabaseError, InterfaceError, OperationalError
from django.utils.connection import ConnectionDoesNotExist

from . import offenders
from .demands import Demand
from .effects import Names
from .errors import DatabaseUnusable, Locked, UsageError
from .history import Key, Row
from .safety import Count, Offenders
from .today import Right

COUNTED_ROWS = 1_000_000  # a table is looked through up to here: about a second, even on a slow disk
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?:TABLE )?(?P<scope>\S+) TO ")
_COMPARABLE = (str, int, float, bool, Decimal, dt.date, dt.datetime, dt.time, uuid.UUID)


@dataclass(frozen=True)
class Timeouts:
    """lock: seconds to wait for a lock of somebody else. statement: seconds that one statement may take; None for no limit."""

    lock: float = 5.0
    statement: float | None = None


_DEFAULT_TIMEOUTS = Timeouts()


def first_line(error: BaseException) -> str:
    """The database's own words, without the position and the repetition of the statement."""
    text = str(error)
    if len(error.args) == 2 and isinstance(error.args[0], int):  # of MariaDB and MySQL: number and text
        text = f"{error.args[1]} (error {error.args[0]})"
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)


class Database(ABC):
    """One database of the project, by its alias."""

    def __init__(self, connection: BaseDatabaseWrapper, timeouts: Timeouts) -> None:
        self.connection = connection
        self.alias = connection.alias
        self.timeouts = timeouts

    @property
    def vendor_name(self) -> str:
        return str(self.connection.display_name)  # "PostgreSQL", "SQLite"

    @property
    def can_undo_ddl(self) -> bool:
        return bool(self.connection.features.can_rollback_ddl)

    @property
    def title(self) -> str:
        """Alias, engine, and where it is; never the password."""
        return f"{self.alias}: {self.vendor_name}, {self.where}"

    @property
    def _history_table(self) -> str:
        return self.connection.ops.quote_name(MigrationRecorder.Migration._meta.db_table)

    @property
    def where(self) -> str:
        options = self.connection.settings_dict
        host = str(options["HOST"] or "local")
        return f"{options['NAME']} on {host}{':' if options['PORT'] else ''}{options['PORT']}"

    # Reading

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What surrounds looking at the database: it changes nothing, and does not wait for others for long.

        Errors: DatabaseUnusable, if it cannot be reached or does not let itself be read; Locked.
        """
        try:
            yield
        except (DatabaseError, InterfaceError) as error:
            if self.is_lock_timeout(error):
                raise self.held() from error
            raise DatabaseUnusable(
                f"{self.title} cannot be read: {first_line(error)}",
                hint="Look at DATABASES in the settings, at the rights of its user, and whether the server runs.",
            ) from error

    def rows(self) -> tuple[Row, ...]:
        """The rows of `django_migrations`, in the order of recording, their times as Django stores them for this database
        and USE_TZ.

        Errors: DatabaseUnusable, if there is no such table; those of Django's database layer.
        """
        recorder = MigrationRecorder(self.connection)
        if not recorder.has_table():
            raise DatabaseUnusable(
                f"{self.title} has no table django_migrations: Django has never migrated it.",
                hint="It is more likely the wrong database. Look at DATABASES in the settings, or name another with --database.",
            )
        found = recorder.migration_qs.order_by("id").values_list("id", "app", "name", "applied")
        return tuple(Row(id, Key(app, name), _in_utc(applied)) for id, app, name, applied in found)

    def precision(self) -> dt.timedelta:
        """What the column `applied` can tell apart."""
        return dt.timedelta(microseconds=1)

    def names(self) -> Names:
        """How this database and this project name things."""
        longest = self.connection.ops.max_name_length()
        return Names(
            shorten=lambda name: truncate_name(name, longest),
            swapped=lambda setting: getattr(settings, setting, None),
            allowed=lambda app, model: bool(router.allow_migrate(self.alias, app, model_name=model)),
        )

    def count(self, table: str, columns: Mapping[str, Any]) -> tuple[Count, dict[str, Count]] | None:
        """See `safety.Inspector`. One query, which looks at COUNTED_ROWS rows at the most."""
        quote = self.connection.ops.quote_name
        if table not in self._tables:
            return None
        with self.connection.cursor() as cursor:
            known = {}
            if columns:
                cursor.execute(f"SELECT * FROM {quote(table)} LIMIT 0")
                known = {column[0]: columns[column[0]] for column in cursor.description if column[0] in columns}
            sums, params = ["count(*)"], []
            for name, field in known.items():
                condition = f"{quote(name)} IS NOT NULL"
                default = self._default(field)
                if default is not None:
                    condition += f" AND {quote(name)} <> %s"
                    params.append(default)
                sums.append(f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END)")
            inner = ", ".join(map(quote, known)) or "1"
            limited = f"SELECT {inner} FROM {quote(table)} LIMIT {COUNTED_ROWS + 1}"
            cursor.execute(f"SELECT {', '.join(sums)} FROM ({limited}) looked_at", params or None)
            rows, *values = cursor.fetchone()
        more = rows > COUNTED_ROWS
        found = {name: Count(int(value or 0), more) for name, value in zip(known, values, strict=True)}
        return Count(min(rows, COUNTED_ROWS), more, self.estimate(table) if more else None), found

    def estimate(self, table: str) -> int | None:
        """How many rows the database takes this table to have, without looking; None, if it has no idea."""
        return None

    def offending(self, demand: Demand) -> Offenders | None:
        """See `safety.Inspector`."""
        return offenders.find(self.connection, demand, self._tables, COUNTED_ROWS)

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        """See `safety.Inspector`. Here the file's rights are all there are."""
        return []

    @cached_property
    def _tables(self) -> set[str]:
        """Asked for once: this object lives for one look at the database."""
        return set(self.connection.introspection.table_names(include_views=True))

    def _default(self, field: Any) -> Any:
        """What the column of a field holds where nobody set a value, if that can be compared with in SQL; else None."""
        if field is None or callable(field.default):
            return None
        # The value that existing rows are given when the field is added: `default`, or '' for a text that may be blank.
        value: Any = self.connection.schema_editor().effective_default(field)
        return value if isinstance(value, _COMPARABLE) else None

    # Running

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """One transaction, begun with the lock that keeps others from migrating; anything raised inside undoes all of it.

        Errors: Locked.
        """
        with self.settings_of_run(), transaction.atomic(using=self.alias, durable=True):
            self.lock()
            yield

    def settings_of_run(self) -> AbstractContextManager[None]:
        """What surrounds a run, outside of its transactions."""
        return nullcontext()

    def alone(self) -> AbstractContextManager[None]:
        """Keeps other rollbacks away during a run that is not one transaction. Errors: Locked."""
        return nullcontext()

    def lock(self) -> None:  # noqa: B027  # MySQL has its lock already, from settings_of_run
        """Keep others from migrating until the transaction ends. Errors: Locked."""

    def columns(self) -> frozenset[tuple[str, str]]:
        """(table, column) of all that could be lost by remaking tables; none where tables are changed in place."""
        return frozenset()

    def check_rows(self) -> None:
        """Have the database check now what it would check at the end of the transaction."""
        self.connection.check_constraints()

    def orphans(self) -> int:
        """Rows that point to rows that are not there; 0 where the database enforces that there are none."""
        return 0

    @abstractmethod
    def is_lock_timeout(self, error: BaseException) -> bool:
        """Did it wait for somebody else's lock in vain?"""

    def held(self, holder: str = "") -> Locked:
        """The error for a lock that somebody else holds."""
        return Locked(
            f"Somebody else is working on {self.title}{': ' + holder if holder else ''}.",
            hint="Nothing was changed. Wait until they are done and run the same command again; "
            "--retries 5 tries again by itself.",
        )

    def others(self) -> list[str]:
        """Whose transactions are open now, in words, oldest first; none where the database cannot tell."""
        return []

    def is_answer(self, error: BaseException) -> bool:
        """Did the database say that a statement failed? Else nobody knows: the connection was lost meanwhile."""
        return isinstance(error, DatabaseError)

    def is_done_already(self, error: BaseException) -> bool:
        """Does it say that what a statement makes is there already, or that what it drops is gone?"""
        return False

    def drop_invalid_index(self, name: str) -> None:  # noqa: B027  # others have no such indexes
        """Drop an index that was begun concurrently and not finished, if that is what it is."""

    def made(self, table: str) -> str:
        """What tells a table from one of the same name that takes its place, as when a backup is restored. Empty where the
        whole database is restored or nothing."""
        return ""

    def delete_rows(self, rows: Collection[Row]) -> None:
        """Delete rows from `django_migrations`, whichever router the project has."""
        recorder = MigrationRecorder(self.connection)
        ids = sorted(row.id for row in rows)
        for start in range(0, len(ids), 500):  # a statement takes only so many parameters: 999 on an old SQLite
            recorder.migration_qs.filter(id__in=ids[start : start + 500]).delete()


# The upper half of an advisory lock's key; the lower half is the history table, of which each schema may have one.
_OURS = 1_919_118_435
# What guards a run does nothing for a long time by design, and so does a run while it waits for reverse code. (The second
# setting came with PostgreSQL 17.)
_NO_LIMITS = (
    "SELECT set_config(name, '0', true) FROM pg_settings"
    " WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
)
_KEEP_AWAY = f"SELECT pg_advisory_xact_lock(({_OURS}::bigint << 32) + %s::regclass::oid::bigint)"


class PostgreSQL(Database):
    @contextmanager
    def reading(self) -> Iterator[None]:
        with super().reading():
            try:
                with transaction.atomic(using=self.alias, durable=True), self.connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                    self._set_timeouts()
                    yield
            except OperationalError as error:
                if not self.is_lock_timeout(error):
                    raise
                raise self.held(self._holders()) from error

    def estimate(self, table: str) -> int | None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(reltuples) FROM pg_class WHERE relname = %s AND pg_table_is_visible(oid) AND reltuples > 0",
                [table],
            )
            return _whole(cursor.fetchone())

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        tables = sorted({table for table, right in needed if right is not Right.CREATE})
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_user || ' does not own table ' || relname || ', which the run changes: its owner is '"
                " || pg_get_userbyid(relowner) || '.' FROM pg_class WHERE relname = ANY(%s) AND relkind IN ('r', 'p')"
                " AND pg_table_is_visible(oid) AND NOT pg_has_role(relowner, 'USAGE') ORDER BY relname",
                [tables],
            )
            found = [row[0] for row in cursor.fetchall()]
            if any(right is Right.CREATE for _, right in needed):
                cursor.execute(
                    "SELECT current_user || ' may not make tables in schema ' || current_schema() || ', as the run does.'"
                    " WHERE NOT has_schema_privilege(current_schema(), 'CREATE')"
                )
                found += [row[0] for row in cursor.fetchall()]
        return found

    def lock(self) -> None:
        self._set_timeouts()
        # In a savepoint, so that the holders can be asked for afterwards.
        with self._told_who_holds_it(), transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {self._history_table} IN ACCESS EXCLUSIVE MODE")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        with super().all_or_nothing():
            # Against a rollback that goes step by step, and is between two of them.
            with self._told_who_holds_it(), transaction.atomic(using=self.alias), self.connection.cursor() as cursor:
                cursor.execute(_KEEP_AWAY, [self._history_table])
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        # In a connection of its own, whose transaction lasts as long as the run: behind pgbouncer a session does not. It reads
        # no rows, so that neither VACUUM nor an index that is made concurrently waits for it.
        guard = self.connection.copy()
        try:
            guard.set_autocommit(False)
            with self._told_who_holds_it(), guard.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [self._lock_timeout])
                cursor.execute(_NO_LIMITS)
                cursor.execute(_KEEP_AWAY, [self._history_table])
            yield
        finally:
            guard.close()

    @contextmanager
    def _told_who_holds_it(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            if not self.is_lock_timeout(error):
                raise
            raise self.held(self._holders()) from error

    @property
    def _lock_timeout(self) -> str:
        return f"{round(self.timeouts.lock * 1000)}ms"

    def _set_timeouts(self) -> None:
        """For this transaction only: behind pgbouncer the next one may run in another session."""
        statement = self.timeouts.statement
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
                [self._lock_timeout, f"{round(statement * 1000)}ms" if statement else "0"],
            )
            cursor.execute(_NO_LIMITS)

    def _holders(self) -> str:
        return "; ".join(
            self._sessions(
                "pid IN (SELECT pid FROM pg_locks WHERE granted AND (relation = %s::regclass"
                f" OR locktype = 'advisory' AND classid = {_OURS} AND objid = %s::regclass::oid))",
                [self._history_table] * 2,
            )
        )

    def others(self) -> list[str]:
        return self._sessions("datname = current_database() AND xact_start IS NOT NULL", [])

    def _sessions(self, which: str, params: list[str]) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT 'process ' || pid || ' of ' || coalesce(usename, '?')"
                " || coalesce(' (' || nullif(application_name, '') || ')', '')"
                " || ', since ' || to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'"
                f" FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {which} ORDER BY xact_start",
                params,
            )
            return [str(row[0]) for row in cursor.fetchall()]

    def is_lock_timeout(self, error: BaseException) -> bool:
        return getattr(error.__cause__, "sqlstate", None) == "55P03"  # lock_not_available

    def drop_invalid_index(self, name: str) -> None:
        # https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
        quoted = self.connection.ops.quote_name(name)
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid", [quoted])
            if cursor.rowcount:
                cursor.execute(f"DROP INDEX CONCURRENTLY {quoted}")

    def made(self, table: str) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)::oid", [self.connection.ops.quote_name(table)])
            return str(cursor.fetchone()[0])

    def is_answer(self, error: BaseException) -> bool:
        # connection_exception, admin_shutdown and its like
        return not (getattr(error.__cause__, "sqlstate", None) or "08").startswith(("08", "57P"))

    def is_done_already(self, error: BaseException) -> bool:
        # undefined_object, duplicate_table (https://www.postgresql.org/docs/current/errcodes-appendix.html): the only
        # statements that are not in a transaction drop and make indexes.
        return getattr(error.__cause__, "sqlstate", None) in ("42704", "42P07")


class SQLite(Database):
    @property
    def where(self) -> str:
        return str(self.connection.settings_dict["NAME"])

    def rows(self) -> tuple[Row, ...]:
        name = str(self.connection.settings_dict["NAME"])
        # sqlite3 would make an empty file, and then be asked why nothing is in it.
        on_disk = self.connection.connection is None and not name.startswith("file:") and name != ":memory:"
        if on_disk and not Path(name).is_file():
            raise DatabaseUnusable(
                f"{self.title}: there is no such file.",
                hint="Look at DATABASES in the settings, or name another database with --database.",
            )
        return super().rows()

    @contextmanager
    def settings_of_run(self) -> Iterator[None]:
        with self.connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            (busy,) = cursor.fetchone()
            cursor.execute(f"PRAGMA busy_timeout = {round(self.timeouts.lock * 1000)}")
        # Tables cannot be remade while foreign keys are enforced, and this cannot be changed inside a transaction
        # (https://www.sqlite.org/pragma.html#pragma_foreign_keys).
        self.connection.disable_constraint_checking()
        try:
            yield
        finally:
            self.connection.enable_constraint_checking()
            with self.connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {busy}")

    def lock(self) -> None:
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(
                    f"DELETE FROM {self._history_table} WHERE 0"
                )  # a write takes the write lock, even of nothing
        except OperationalError as error:
            if not self.is_lock_timeout(error):
                raise
            raise self.held() from error

    def columns(self) -> frozenset[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"
            )
            return frozenset(cursor.fetchall())

    def check_rows(self) -> None:
        """Not while the run is under way: foreign keys are counted before and after it (`orphans`)."""

    def orphans(self) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pragma_foreign_key_check")
            return int(cursor.fetchone()[0])

    def is_lock_timeout(self, error: BaseException) -> bool:
        return "database is locked" in str(error) or "database table is locked" in str(error)


class MySQL(Database):
    @property
    def vendor_name(self) -> str:
        if self.connection.connection is None:  # which of them it is, the server tells
            return "MariaDB or MySQL"
        return "MariaDB" if self.connection.mysql_is_mariadb else "MySQL"  # type: ignore[attr-defined]

    def estimate(self, table: str) -> int | None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_rows FROM information_schema.tables WHERE table_schema = database() AND table_name = %s",
                [table],
            )
            return _whole(cursor.fetchone())

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        """As far as SHOW GRANTS tells: what roles and patterns grant is not looked into."""
        granted: dict[str, str] = {}
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW GRANTS")
            for (line,) in cursor.fetchall():
                grant = _GRANT.match(line)
                if grant is None or "%" in grant["scope"]:
                    return []
                scope = grant["scope"].replace("\\", "").replace("`", "")
                granted[scope] = f"{granted.get(scope, '')},{grant['rights']},"
            cursor.execute("SELECT current_user()")
            (user,) = cursor.fetchone()
        name = self.connection.settings_dict["NAME"]
        found = []
        for table, right in sorted(needed):
            has = "".join(granted.get(scope, "") for scope in ("*.*", f"{name}.*", f"{name}.{table}"))
            if "ALL PRIVILEGES" not in has and f",{right.name}," not in has.replace(", ", ","):
                found.append(f"{user} has no right to {right.value} table {table}, as the run does.")
        return found

    def precision(self) -> dt.timedelta:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT datetime_precision FROM information_schema.columns"
                " WHERE table_schema = database() AND table_name = %s AND column_name = 'applied'",
                [MigrationRecorder.Migration._meta.db_table],
            )
            (digits,) = cursor.fetchone()
        return dt.timedelta(microseconds=10 ** (6 - int(digits)))

    @contextmanager
    def reading(self) -> Iterator[None]:
        with super().reading(), self._short_waits():
            yield

    @contextmanager
    def _short_waits(self) -> Iterator[None]:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout")
            before = cursor.fetchone()
            seconds = max(1, round(self.timeouts.lock))
            cursor.execute("SET lock_wait_timeout = %s, innodb_lock_wait_timeout = %s", [seconds, seconds])
        try:
            yield
        finally:
            # A lost connection has forgotten its settings.
            with suppress(DatabaseError, InterfaceError), self.connection.cursor() as cursor:
                cursor.execute("SET lock_wait_timeout = %s, innodb_lock_wait_timeout = %s", before)

    @contextmanager
    def settings_of_run(self) -> Iterator[None]:
        with self._short_waits(), self._named_lock():
            yield

    @contextmanager
    def _named_lock(self) -> Iterator[None]:
        name = f"rollback_app.{self.connection.settings_dict['NAME']}"[:64]
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, %s)", [name, self.timeouts.lock])
            (got,) = cursor.fetchone()
            if not got:
                cursor.execute(
                    "SELECT concat('connection ', id, ' of ', user, ', from ', host)"
                    " FROM information_schema.processlist WHERE id = IS_USED_LOCK(%s)",
                    [name],
                )
                raise self.held("; ".join(str(row[0]) for row in cursor.fetchall()))
        try:
            yield
        finally:
            # A lost connection has released the lock itself.
            with suppress(DatabaseError, InterfaceError), self.connection.cursor() as cursor:
                cursor.execute("SELECT RELEASE_LOCK(%s)", [name])

    def others(self) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT concat('connection ', p.id, ' of ', p.user, ', from ', p.host, ', since ', t.trx_started)"
                " FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id"
                " WHERE p.id <> connection_id() AND p.db = database() ORDER BY t.trx_started"
            )
            return [str(row[0]) for row in cursor.fetchall()]

    def is_lock_timeout(self, error: BaseException) -> bool:
        return error.args[:1] == (1205,)  # ER_LOCK_WAIT_TIMEOUT

    def made(self, table: str) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT UNIX_TIMESTAMP(create_time) FROM information_schema.tables"
                " WHERE table_schema = DATABASE() AND table_name = %s",
                [table],
            )
            return str(cursor.fetchone()[0])

    def is_answer(self, error: BaseException) -> bool:
        # Not from 2000 to 2999, which are the client's; nor ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED.
        number = error.args[0] if error.args else 0
        return isinstance(number, int) and number // 1000 not in (0, 2) and number not in (1053, 1927)

    def is_done_already(self, error: BaseException) -> bool:
        return bool(error.args) and error.args[0] in _DONE_ALREADY


# https://mariadb.com/docs/server/reference/error-codes: a table, column, key or constraint that exists, or does not
_DONE_ALREADY = (1005, 1050, 1051, 1054, 1060, 1061, 1068, 1091, 1146, 1826)


def _whole(row: tuple[Any]) -> int | None:
    """The number in a row of statistics; None, if it is not known, as of a table that was never analysed."""
    return int(row[0]) if row[0] else None


def _in_utc(stored: dt.datetime) -> dt.datetime:
    """A stored time is aware with USE_TZ, and else in the project's zone (django.utils.timezone.now)."""
    if stored.tzinfo is None:
        stored = stored.replace(tzinfo=ZoneInfo(settings.TIME_ZONE))
    return stored.astimezone(dt.timezone.utc)


_VENDORS: dict[str, type[Database]] = {"postgresql": PostgreSQL, "sqlite": SQLite, "mysql": MySQL}


def get(alias: str = DEFAULT_DB_ALIAS, timeouts: Timeouts = _DEFAULT_TIMEOUTS) -> Database:
    """The database with this alias. Errors: UsageError, if there is none, or its engine is not one that this app knows."""
    try:
        connection = connections[alias]
    except ConnectionDoesNotExist as error:
        known = ", ".join(sorted(connections))
        raise UsageError(f"There is no database '{alias}' in DATABASES.", hint=f"Known: {known}.") from error
    if connection.in_atomic_block:
        raise UsageError("A rollback cannot run inside a transaction.", hint="Call it outside of atomic().")
    try:
        kind = _VENDORS[connection.vendor]
    except KeyError as error:
        raise UsageError(
            f"{connection.vendor} is not a database that this command can roll back.",
            hint="legacyrollbacksql prints the migrate commands that do the same.",
        ) from error
    return kind(connection, timeouts)
