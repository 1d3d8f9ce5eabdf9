"""What is the same for all databases, and what each has to tell."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from django.conf import settings
from django.db import router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import truncate_name
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.errors import CodeUnusable, DatabaseUnusable, Locked
from rollback_app.history import Record
from rollback_app.planner import Known, Names, Requirement, Right, TableChange
from rollback_app.safety import Count, ListedObject, Object, Violations

from . import history_table, violations
from .errors import first_line
from .given import added, given
from .keeps_rows import KeepsRows
from .programmable import Programmable
from .tenants import InSchema, schema_of

COUNTED_ROWS = 1_000_000  # a table is looked through up to here: about a second, even on a slow disk


@dataclass(frozen=True)
class Timeouts:
    """lock: seconds to wait for a lock of somebody else. statement: seconds that one statement may take; None for no limit."""

    lock: float = 5.0
    statement: float | None = None


class Database(KeepsRows, Programmable, InSchema, ABC):
    """One database of the project, by its alias.

    What a kind of database can do are class attributes, and code asks these, never the name of the vendor. The README's table
    of promises is made from them (tests/support/promises.py).
    """

    can_undo_ddl: ClassVar[bool] = True
    """Changes of tables are part of a transaction: a run is all or nothing, and can be rehearsed. Without it each piece of a
    run is noted in the journal, which a run that goes on needs."""

    columns_in_schema: ClassVar[str] = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
    )
    """The query for the columns of a table that names its schema."""

    remakes_tables: ClassVar[bool] = False
    """To change a table is to make a new one from the columns that the migrations know, and to copy the rows."""

    enforces_types: ClassVar[bool] = True
    """Values that do not fit the type of a column are refused, so that what a change of type makes of them is known before."""

    tells_all_rights: ClassVar[bool] = True
    """Whether the user has each right that a run needs can be told before it. False: as far as simple grants tell."""

    locks_out_migrate: ClassVar[bool] = True
    """The lock of a run makes Django's own `migrate` wait, too."""

    lets_readers_go_on: ClassVar[bool] = False
    """During a run, others read what was there before it, and do not wait."""

    holds_lock_between_steps: ClassVar[bool] = True
    """A run that goes step by step keeps others from rolling back between two steps, too."""

    names_lock_holders: ClassVar[bool] = True
    """Who holds a lock can be told: the server's process, its user, since when."""

    limits_statements: ClassVar[bool] = False
    """`--statement-timeout` ends a statement that takes too long."""

    can_be_pooled: ClassVar[bool] = False
    """There are servers in front of it that give each transaction another session. Locks and timeouts hold behind them."""

    uses_up_numbers: ClassVar[bool] = False
    """A transaction that is taken back has used up numbers of sequences all the same: a rehearsal gives them back. It also
    tells which locks it took."""

    clock: ClassVar[str] = ""
    """SQL that asks the server for its time, in UTC; empty for a database that has this machine's clock."""

    def __init__(self, connection: BaseDatabaseWrapper, timeouts: Timeouts) -> None:
        self.connection = connection
        self.alias = connection.alias
        self.timeouts = timeouts
        self.schema = schema_of(connection)  # as it is now: it is the connection's to change
        self._seen: dict[Any, Any] = {}

    @property
    def vendor_name(self) -> str:
        return str(self.connection.display_name)  # "PostgreSQL", "SQLite"

    @property
    def title(self) -> str:
        """Alias, engine, and where it is; never the password."""
        schema = f", schema {self.schema.name}" if self.schema else ""
        return f"{self.alias}: {self.vendor_name}, {self.where}{schema}"

    @property
    def _history_table(self) -> str:
        return self.connection.ops.quote_name(MigrationRecorder.Migration._meta.db_table)

    @property
    def where(self) -> str:
        options = self.connection.settings_dict
        host = str(options["HOST"] or "local")
        return f"{options['NAME']} on {host}{':' if options['PORT'] else ''}{options['PORT']}"

    @abstractmethod
    def backup_line(self) -> str:
        """The line that takes a backup, for people to paste; never the password."""

    # Reading

    @contextmanager
    def reading(self, *, during_a_rollback: bool = False) -> Iterator[None]:
        """What surrounds looking at the database. It changes nothing, waits for others only as long as `timeouts` says, and
        sees no run half-way. during_a_rollback: only tables of our own are read, which a run does not lock.

        Errors: DatabaseUnusable, if the database cannot be reached or read; Locked.
        """
        try:
            self._connect()
            yield
        except (DatabaseError, InterfaceError) as error:
            if self.is_lock_timeout(error):
                raise self.held() from error
            if self.is_missing(error):
                raise Locked(
                    f"Somebody changed {self.title} while it was being read: {first_line(error)}",
                    hint="Nothing was changed here. Wait until they are done, then run the same command again.",
                ) from error
            raise DatabaseUnusable(
                f"{self.title} cannot be read: {first_line(error)}",
                hint=self._hint_for_reading(error),
            ) from error

    def _hint_for_reading(self, error: BaseException) -> str:
        return "Check DATABASES in the settings, the rights of its user, and that the server is running."

    def _connect(self) -> None:
        """Errors: DatabaseUnusable, if the settings are such that none can be tried; those of Django's database layer."""
        try:
            self.connection.ensure_connection()
            self.connection.timezone  # noqa: B018  # which is read with the first record
        except (DatabaseError, InterfaceError):
            raise
        # A driver that gets options that it does not know may raise anything.
        except Exception as error:
            raise DatabaseUnusable(
                f"No connection to {self.title} can be made: {type(error).__name__}: {first_line(error)}",
                hint="Fix DATABASES in the settings.",
            ) from error

    @abstractmethod
    def rollback_under_way(self) -> str | None:
        """Who is running a rollback of this database in another session, in words: empty if the database cannot tell who.
        None for nobody."""

    def records(self) -> tuple[Record, ...]:
        """The rows of `django_migrations`, in the order of recording, their times as Django stores them for this database
        and USE_TZ.

        Errors: DatabaseUnusable, if there is no such table, or not as Django makes it; those of Django's database layer.
        """
        return history_table.read(self.connection, self.title, self.is_missing)

    def precision(self) -> dt.timedelta:
        """What the column `applied` can tell apart."""
        return dt.timedelta(microseconds=1)

    def names(self) -> Names:
        """How this database and this project name things."""
        longest = self.connection.ops.max_name_length()
        return Names(
            shorten=lambda name: truncate_name(name, longest),
            canonical=self._canonical,
            swapped=lambda setting: getattr(settings, setting, None),
            allowed=self._allows,
        )

    def _canonical(self, name: str) -> str:
        """Without quotes around it or its parts, and spelled as it is there, where the case does not matter."""
        bare = str(self.connection.ops.quote_name(name))[1:-1]
        if not self.connection.features.ignores_table_name_case:
            return bare
        return self._spelled.setdefault(bare.lower(), bare)

    @cached_property
    def _spelled(self) -> dict[str, str]:
        return {name.lower(): name for name in self._tables}

    def _allows(self, app_label: str, hints: Mapping[str, Any]) -> bool:
        try:
            return bool(router.allow_migrate(self.alias, app_label, **hints))
        # A router is code of the project's and may raise anything.
        except Exception as error:
            about = f"model {app_label}.{hints['model_name']}" if "model_name" in hints else f"code of {app_label}"
            raise CodeUnusable(
                f"A router of DATABASE_ROUTERS failed when asked about {about} on {self.alias}:"
                f" {type(error).__name__}: {first_line(error)}",
                hint="Fix its allow_migrate(). Add --traceback to see where it failed.",
            ) from error

    def count(self, table: str, columns: Mapping[str, Any]) -> tuple[Count, dict[str, Count]] | None:
        """See `safety.Inspector`. One query, which looks at COUNTED_ROWS rows at the most."""
        quote = self.connection.ops.quote_name
        there = self._columns_of(table)
        if there is None:
            return None
        with self.connection.cursor() as cursor:
            known = {name: columns[name] for name in sorted(there & columns.keys())}
            sums, params = ["count(*)"], list[Any]()
            for name, field in known.items():
                condition, parameters = self.own_value(name, field)
                sums.append(f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END)")
                params += parameters
            inner = ", ".join(map(quote, known)) or "1"
            limited = f"SELECT {inner} FROM {quote(table)} LIMIT {COUNTED_ROWS + 1}"
            cursor.execute(f"SELECT {', '.join(sums)} FROM ({limited}) looked_at", params or None)
            rows, *values = cursor.fetchone()
        more = rows > COUNTED_ROWS
        found = {name: Count(int(value or 0), more) for name, value in zip(known, values, strict=True)}
        return Count(min(rows, COUNTED_ROWS), more, self.estimate(table) if more else None), found

    def own_value(self, column: str, field: Any) -> tuple[str, list[Any]]:
        """(condition, parameters) of the rows that hold in a column something else than what adding it gives. field: its Django
        field, or None if it is not known."""
        name = str(self.connection.ops.quote_name(column))
        conditions, params = [f"{name} IS NOT NULL"], list[Any]()
        for value, parameters in given(self.connection, field):
            conditions.append(self.differs(name, value, field))
            params += parameters
        return " AND ".join(conditions), params

    def not_as_added(self, column: str, field: Any) -> tuple[str, Sequence[Any]]:
        """(condition, parameters) of the rows of which it is not known that adding the column gives them what they hold. These
        are more than those of `own_value`: also a null where there is a default, or {} where there is none."""
        name = str(self.connection.ops.quote_name(column))
        value = added(self.connection, field)
        if value is None:
            return "1 = 1", ()
        sql, params = value
        if sql == "NULL":
            return f"{name} IS NOT NULL", ()
        return f"({name} IS NULL OR {self.differs(name, sql, field)})", params

    def estimate(self, table: str) -> int | None:
        """How many rows the database takes this table to have, without looking; None, if it has no idea."""
        return None

    def violations(self, requirement: Requirement, *, count: bool = True) -> Violations | None:
        """See `safety.Inspector`."""
        limit = COUNTED_ROWS if count else 0
        found = violations.find(self.connection, requirement, self._columns_of, limit, self._seen)
        return replace(found, query=f"{self.setting}{found.query}") if found and found.query else found

    @abstractmethod
    def objects(self, changes: Sequence[TableChange], known: Known) -> Sequence[tuple[TableChange, Object]]:
        """See `safety.Inspector`."""

    @abstractmethod
    def listing(self, known: Known) -> Collection[ListedObject]:
        """All views, triggers, indexes and so on that the migrations do not know, to compare before and after a run."""

    @abstractmethod
    def object_names(self) -> Collection[str]:
        """Of all views, triggers, indexes and so on that there are, as "view name"; see `safety.Object`."""

    @abstractmethod
    def read_only(self) -> str:
        """See `safety.Inspector`."""

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        """See `safety.Inspector`. Here the file's rights are all there are."""
        return []

    def _columns_of(self, table: str) -> set[str] | None:
        """The columns of a table, if it is there. One with a schema in its name, as other"."table, is asked for by itself."""
        quote = self.connection.ops.quote_name("")[0]
        schema, separator, name = table.rpartition(f"{quote}.{quote}")
        if separator and table not in self._tables:
            with self.connection.cursor() as cursor:
                cursor.execute(self.columns_in_schema, [schema, name])
                if found := {column for (column,) in cursor.fetchall()}:
                    self._tables[table] = found
        return self._tables.get(table)

    @cached_property
    def _tables(self) -> dict[str, set[str]]:
        """The columns of each table; none of a view, which no migration makes. Asked for once: this object lives for one look
        at the database."""
        found: dict[str, set[str]] = {name: set() for name in self.table_names()}
        for table, column in self.columns():
            found.setdefault(table, set()).add(column)
        return found

    def table_names(self) -> Collection[str]:
        """Of all tables and views."""
        return self.connection.introspection.table_names(include_views=True)

    @abstractmethod
    def differs(self, column: str, value: str, field: Any) -> str:
        """The condition that a column does not hold the value of an SQL expression, to the letter."""

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

    def lock(self) -> None:  # MySQL has its lock already, from settings_of_run
        """Keep others from migrating until the transaction ends. Errors: Locked."""

    @abstractmethod
    def columns(self) -> frozenset[tuple[str, str]]:
        """(table, column) of all that there are."""

    def check_rows(self) -> None:
        """Have the database check now what it would check at the end of the transaction."""
        self.connection.check_constraints()

    def orphans(self) -> int:
        """Rows that point to rows that are not there; 0 where the database enforces that there are none."""
        return 0

    @abstractmethod
    def is_lock_timeout(self, error: BaseException) -> bool:
        """Did it wait for somebody else's lock in vain?"""

    def held(self, holder: str = "", *, by_rollback: bool = False) -> Locked:
        """The error for a lock that somebody else holds. by_rollback: is that known to be a rollback?"""
        what = "Another rollback is running on" if by_rollback else "Somebody else is working on"
        return Locked(
            f"{what} {self.title}{': ' + holder if holder else ''}.",
            hint="Nothing was changed. Wait until they are done and run the same command again; "
            "--retries 5 tries again by itself.",
            by_rollback=by_rollback,
        )

    def watching_others(self) -> AbstractContextManager[None]:
        """What surrounds a run, so that `others` knows who was in the way of it."""
        return nullcontext()

    def others(self) -> str:
        """Who was in the way of a statement that waited in vain for a lock: a sentence, empty where the database cannot tell."""
        return ""

    def is_answer(self, error: BaseException) -> bool:
        """Did the database say that a statement failed? Else nobody knows: the connection was lost meanwhile."""
        return isinstance(error, DatabaseError)

    @abstractmethod
    def is_missing(self, error: BaseException) -> bool:
        """Does it say that there is no such table or column?"""

    def is_done_already(self, error: BaseException) -> bool:
        """Does it say that what a statement makes is there already, or that what it drops is gone?"""
        return False

    def drop_invalid_index(self, name: str) -> None:  # others have no such indexes
        """Drop an index that was begun concurrently and not finished, if that is what it is."""

    def made(self, table: str) -> str:
        """What tells a table from one of the same name that takes its place, as when a backup is restored. Empty where the
        whole database is restored or nothing."""
        return ""

    def delete_records(self, records: Collection[Record]) -> None:
        """Delete rows from `django_migrations`, whichever router the project has. No signals are sent: a receiver for any model
        might look at tables that are gone."""
        recorder = MigrationRecorder(self.connection)
        ids = sorted(record.id for record in records)
        for start in range(0, len(ids), 500):  # a statement takes only so many parameters: 999 on an old SQLite
            some = recorder.migration_qs.filter(id__in=ids[start : start + 500])
            some._raw_delete(self.alias)  # noqa: SLF001  # Django's own way to delete without signals


def whole_number(row: tuple[Any]) -> int | None:
    """The number in a row of statistics; None, if it is not known, as of a table that was never analysed."""
    return int(row[0]) if row[0] else None
