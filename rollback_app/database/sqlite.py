"""SQLite: a run is one transaction; tables are remade, which wants foreign keys switched off meanwhile."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db.utils import OperationalError

from rollback_app.errors import DatabaseUnusable
from rollback_app.planner import Known, TableChange
from rollback_app.safety import Defined, ListedObject, Object

from . import backups, objects_sqlite
from .base import Database


class SQLite(Database):
    remakes_tables = True
    columns_in_schema = "SELECT c.name FROM (SELECT %s AS place, %s AS name) t, pragma_table_xinfo(t.name, t.place) c"
    enforces_types = False
    lets_readers_go_on = True
    holds_lock_between_steps = False
    names_lock_holders = False

    @property
    def where(self) -> str:
        return str(self.connection.settings_dict["NAME"])

    def backup_line(self) -> str:
        return backups.sqlite(self.connection.settings_dict)

    def _connect(self) -> None:
        name = str(self.connection.settings_dict["NAME"])
        # sqlite3 would make an empty file, and then be asked why nothing is in it.
        on_disk = self.connection.connection is None and not name.startswith("file:") and name != ":memory:"
        if on_disk and not Path(name).is_file():
            raise DatabaseUnusable(
                f"{self.title}: there is no such file.",
                hint="Look at DATABASES in the settings, or name another database with --database.",
            )
        super()._connect()
        with self.connection.cursor() as cursor:
            cursor.execute("PRAGMA schema_version")  # reads the file, which a connection alone does not

    def object_names(self) -> Collection[str]:
        return objects_sqlite.names(self.connection)

    def defined(self) -> Sequence[Defined]:
        return objects_sqlite.defined(self.connection)

    def table_definitions(self, names: Collection[str]) -> Mapping[str, str]:
        return objects_sqlite.table_definitions(self.connection, names)

    def read_only(self) -> str:
        name = str(self.connection.settings_dict["NAME"])
        if name.startswith("file:") and ("mode=ro" in name or "immutable=1" in name):
            return "It was opened with mode=ro or immutable=1."
        with self.connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only")
            if cursor.fetchone()[0]:
                return "PRAGMA query_only is on."
            cursor.execute("SELECT file FROM pragma_database_list WHERE name = 'main' AND file <> ''")
            # SQLite writes a journal beside the file.
            files = [place for (file,) in cursor.fetchall() for place in (Path(file), Path(file).parent)]
        effective = os.access in os.supports_effective_ids
        locked = [place for place in files if not os.access(place, os.W_OK, effective_ids=effective)]
        return f"{locked[0]} is read-only for this user." if locked else ""

    @contextmanager
    def settings_of_run(self) -> Iterator[None]:
        with self._waiting(self.timeouts.lock):
            # Tables cannot be remade while foreign keys are enforced, and this cannot be changed inside a transaction
            # (https://www.sqlite.org/pragma.html#pragma_foreign_keys).
            self.connection.disable_constraint_checking()
            try:
                yield
            finally:
                self.connection.enable_constraint_checking()

    def rollback_under_way(self) -> str | None:
        """Or anybody else who is writing: a file does not know who has locked it."""
        with self._waiting(0), self.connection.cursor() as cursor:
            try:
                cursor.execute("BEGIN IMMEDIATE")
            except OperationalError as error:
                return "" if self.is_lock_timeout(error) else None  # None: nobody can write to it
            cursor.execute("ROLLBACK")
            return None

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        """Wait that long for locks of others."""
        with self.connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            (before,) = cursor.fetchone()
            cursor.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
        try:
            yield
        finally:
            with self.connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {before}")

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

    def objects(self, changes: Sequence[TableChange], known: Known) -> Sequence[tuple[TableChange, Object]]:
        return objects_sqlite.objects(self.connection, changes, known)

    def listing(self, known: Known) -> Collection[ListedObject]:
        return objects_sqlite.listing(self.connection, known)

    def columns(self) -> frozenset[tuple[str, str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT t.name, c.name FROM sqlite_master t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'"
            )
            return frozenset(cursor.fetchall())

    def differs(self, column: str, value: str, field: Any) -> str:
        return f"{column} <> {value} COLLATE BINARY"

    def check_rows(self) -> None:
        """Not while the run is under way: foreign keys are counted before and after it (`orphans`)."""

    def orphans(self) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pragma_foreign_key_check")
            return int(cursor.fetchone()[0])

    def is_missing(self, error: BaseException) -> bool:
        return str(error).startswith(("no such table", "no such column"))

    def is_lock_timeout(self, error: BaseException) -> bool:
        return "database is locked" in str(error) or "database table is locked" in str(error)
