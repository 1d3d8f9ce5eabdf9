"""MariaDB and MySQL: a change of a table commits, so a run goes step by step, under a lock that has a name."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.errors import DatabaseUnusable
from rollback_app.planner import Known, Right, TableChange
from rollback_app.safety import Defined, ListedObject, Object

from . import backups, objects_mysql
from .base import Database, whole_number

# A statement that uses no other table than this one.
_ITS_TABLE = re.compile(r"(?:ALTER|DROP) TABLE `((?:[^`]|``)+)`(?!.*\bREFERENCES\b)", re.IGNORECASE | re.DOTALL)
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?:TABLE )?(?P<scope>\S+) TO ")

# https://mariadb.com/docs/server/server-management/variables-and-modes/server-system-variables#read_only
_DESPITE_READ_ONLY = ("ALL PRIVILEGES ON *.*", "READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN")


class MySQL(Database):
    can_undo_ddl = False
    loses_checks = True
    tells_all_rights = False
    locks_out_migrate = False
    clock = "SELECT utc_timestamp(6)"

    @property
    def vendor_name(self) -> str:
        if "mysql_server_data" not in vars(
            self.connection
        ):  # which of them it is, the server has told when it was connected to
            return "MariaDB or MySQL"
        return "MariaDB" if self.connection.mysql_is_mariadb else "MySQL"  # type: ignore[attr-defined]

    def backup_line(self) -> str:
        program = "mariadb-dump" if self.vendor_name == "MariaDB" else "mysqldump"
        return backups.mysqldump(self.connection.settings_dict, program)

    def _connect(self) -> None:
        if not self.connection.settings_dict["NAME"]:  # which the server allows, and then there are no tables
            raise DatabaseUnusable(
                f"DATABASES['{self.alias}'] names no database.", hint="Fix NAME in DATABASES in the settings."
            )
        super()._connect()

    def estimate(self, table: str) -> int | None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_rows FROM information_schema.tables WHERE table_schema = database() AND table_name = %s",
                [table],
            )
            return whole_number(cursor.fetchone())

    def objects(self, changes: Sequence[TableChange], known: Known) -> Sequence[tuple[TableChange, Object]]:
        return objects_mysql.objects(self.connection, changes, known, self._tables)

    def listing(self, known: Known) -> Collection[ListedObject]:
        return objects_mysql.listing(self.connection, known)

    def differs(self, column: str, value: str, field: Any) -> str:
        """A collation may take different texts for the same, and what the server calls JSON may be spaced in another way."""
        kind = field.db_type(self.connection)
        if kind == "json":
            column, value = f"COALESCE(JSON_EXTRACT({column}, '$'), {column})", f"JSON_EXTRACT({value}, '$')"
        binary = "BINARY " if kind.startswith(("json", "varchar", "char", "longtext")) else ""
        return f"{binary}{column} <> {binary}{value}"

    @contextmanager
    def without_foreign_keys(self) -> Iterator[None]:
        self.connection.disable_constraint_checking()
        try:
            yield
        finally:
            self.connection.enable_constraint_checking()

    @contextmanager
    def locked_for(self, statements: Sequence[str], *besides: str) -> Iterator[None]:
        """Under LOCK TABLES nothing but the locked tables can be used, so it is left out where statements may use others; and
        where the user has no right to it."""
        found = [_ITS_TABLE.match(sql) for sql in statements]
        tables = {each[1].replace("``", "`") for each in found if each}
        here = self.connection.introspection.table_names()
        if not all(found) or not tables <= set(here):
            yield
            return
        listed = sorted({*tables, *(table for table in besides if table in here)})
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(f"LOCK TABLES {', '.join(f'{self.connection.ops.quote_name(t)} WRITE' for t in listed)}")
            except DatabaseError as error:
                if error.args[:1] not in ((1044,), (1142,)):  # ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR
                    raise
        try:
            yield
        finally:
            with (
                suppress(DatabaseError, InterfaceError),
                self.connection.cursor() as cursor,
            ):  # a lost connection has no locks
                cursor.execute("UNLOCK TABLES")

    def comment(self, table: str, words: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {self.connection.ops.quote_name(table)} COMMENT = %s", [words])

    def columns(self) -> frozenset[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = database()"
            )
            return frozenset(cursor.fetchall())

    def object_names(self) -> Collection[str]:
        return objects_mysql.names(self.connection)

    def defined(self) -> Sequence[Defined]:
        return objects_mysql.defined(self.connection)

    def table_definitions(self, names: Collection[str]) -> Mapping[str, str]:
        return objects_mysql.table_definitions(self.connection, names)

    @property
    def replaces_objects(self) -> bool:
        return bool(self.connection.mysql_is_mariadb)  # type: ignore[attr-defined]

    def read_only(self) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW GRANTS")
            may_write_anyway = any(right in line for (line,) in cursor.fetchall() for right in _DESPITE_READ_ONLY)
            cursor.execute(
                "SHOW VARIABLES WHERE variable_name IN ('read_only', 'tx_read_only', 'transaction_read_only')"
                " AND value NOT IN ('OFF', '0')"
            )
            switched_on = [name for name, _ in cursor.fetchall() if name != "read_only" or not may_write_anyway]
        return f"{switched_on[0]} is on." if switched_on else ""

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
        # CREATE INDEX needs a right of its own, ALTER TABLE none but ALTER: which of them Django sends is not known here.
        for table, right in sorted(each for each in needed if each[1] is not Right.INDEX):
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
    def reading(self, *, during_a_rollback: bool = False) -> Iterator[None]:
        with super().reading(), self._short_waits():
            if not during_a_rollback and self.rollback_under_way() is not None:
                with ExitStack() as done_by_now:
                    done_by_now.enter_context(self._named_lock())
            yield

    def rollback_under_way(self) -> str | None:
        with self.connection.cursor() as cursor:
            # The processes of other users are seen only by those who have that right.
            cursor.execute(
                "SELECT concat('connection ', used.id, coalesce(concat(' of ', p.user, ', from ', p.host), ''))"
                " FROM (SELECT IS_USED_LOCK(%s) id) used LEFT JOIN information_schema.processlist p ON p.id = used.id"
                " WHERE used.id <> connection_id()",
                [self.lock_name],
            )
            return next((str(row[0]) for row in cursor.fetchall()), None)

    @property
    def lock_name(self) -> str:
        return f"rollback_app.{self.connection.settings_dict['NAME']}"[:64]

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
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, %s)", [self.lock_name, self.timeouts.lock])
            (got,) = cursor.fetchone()
        if not got:
            raise self.held(self.rollback_under_way() or "", by_rollback=True)
        try:
            yield
        finally:
            # A lost connection has released the lock itself.
            with suppress(DatabaseError, InterfaceError), self.connection.cursor() as cursor:
                cursor.execute("SELECT RELEASE_LOCK(%s)", [self.lock_name])

    def others(self) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT concat('connection ', p.id, ' of ', p.user, ', from ', p.host, ', since ', t.trx_started)"
                " FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id"
                " WHERE p.id <> connection_id() AND p.db = database() ORDER BY t.trx_started"
            )
            found = "; ".join(str(row[0]) for row in cursor.fetchall())
        return f"Other transactions that are open now: {found}." if found else ""

    def is_lock_timeout(self, error: BaseException) -> bool:
        return error.args[:1] in ((1205,), (1213,))  # ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK

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

    def is_missing(self, error: BaseException) -> bool:
        return error.args[:1] in ((1054,), (1146,))  # ER_BAD_FIELD_ERROR, ER_NO_SUCH_TABLE

    def is_done_already(self, error: BaseException) -> bool:
        return bool(error.args) and error.args[0] in _DONE_ALREADY


# https://mariadb.com/docs/server/reference/error-codes: a table, column, key or constraint that exists, or does not
_DONE_ALREADY = (1005, 1050, 1051, 1054, 1060, 1061, 1068, 1091, 1146, 1826)
