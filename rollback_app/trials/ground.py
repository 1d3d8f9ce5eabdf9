"""A test database, made as Django's test runner makes it, under a name of its own. The project's databases are not touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.database import first_line
from rollback_app.errors import DatabaseUnusable, RollbackError

_SUFFIX = "_rollback"


class CannotApply(RollbackError):
    """A migration cannot be applied, without any rows: that is no matter of rolling back."""


@contextmanager
def on_test_database(alias: str, *, keepdb: bool = False, worker: str = "") -> Iterator[None]:
    """Inside, this alias is a test database, and so is each other alias one, which is not made and so cannot be used.
    Django's settings for test databases (TEST) count. keepdb: one that is there is used, as it is, and stays. worker: another
    name for each process that works beside others.

    Errors: DatabaseUnusable, if it cannot be made.
    """
    # It loads the test client and template engines, which no other command needs.
    from django.test.utils import override_settings  # noqa: PLC0415

    before = {name: connections[name] for name in connections}
    try:
        for name, connection in before.items():
            connections[name] = _copy(connection, worker)
        connection = connections[alias]
        # As fast as test suites have it: nobody logs in here.
        hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        with _made(connection, keepdb=keepdb), override_settings(PASSWORD_HASHERS=hashers):
            yield
    finally:
        for name, connection in before.items():
            BaseDatabaseWrapper.close(connections[name])  # Django's SQLite keeps those in memory open
            connections[name] = connection


@contextmanager
def for_processes(alias: str, workers: Iterable[str], *, keepdb: bool = False) -> Iterator[None]:
    """Inside, there are test databases for processes of these names, which open them with keepdb. They go in the end, whatever
    has become of the processes; unless keepdb says that they stay.

    Errors: DatabaseUnusable, if they cannot be made.
    """
    with ExitStack() as stack:
        for worker in workers:
            connection = _copy(connections[alias], worker)
            stack.callback(BaseDatabaseWrapper.close, connection)  # Django's SQLite keeps those in memory open
            if connection.vendor == "sqlite" and not keepdb:
                stack.callback(_remove_journal, str(connection.settings_dict["NAME"]))
            stack.enter_context(_made(connection, keepdb=keepdb))
            connection.close()  # what is done there is theirs
        yield


def _remove_journal(name: str) -> None:
    """What SQLite leaves beside a file when a process that writes is killed."""
    for ending in ("-journal", "-wal", "-shm"):
        Path(name + ending).unlink(missing_ok=True)


def _copy(connection: Any, worker: str) -> Any:
    """For the test database of this one, which may not be there."""
    found = connection.copy()
    name = found.creation._get_test_db_name()  # noqa: SLF001  # what Django's test runner would use
    before, sign, after = str(name).partition("?")  # a database of SQLite's in memory has parameters
    found.settings_dict["TEST"]["NAME"] = found.settings_dict["NAME"] = f"{before}{_SUFFIX}{worker}{sign}{after}"
    return found


@contextmanager
def _made(connection: Any, *, keepdb: bool) -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    said: list[str] = []
    creation = connection.creation
    creation.log = said.append
    try:
        creation._create_test_db(verbosity=0, autoclobber=True, keepdb=keepdb)  # noqa: SLF001
        connection.ensure_connection()
    except (DatabaseError, InterfaceError, SystemExit) as error:
        # Django's test runner prints what happened, and exits.
        words = first_line(error) if not said else said[-1].rpartition("test database: ")[2].splitlines()[0]
        raise DatabaseUnusable(
            f"The test database '{name}' cannot be made: {words}",
            hint="Let the user of the database make databases, or make this one by hand and give --keepdb. "
            "--static reads the migrations only.",
        ) from error
    try:
        yield
    finally:
        connection.close()
        creation.destroy_test_db(None, verbosity=0, keepdb=keepdb)


def emptied(connection: Any) -> None:
    """Drop all views and tables. Errors: DatabaseUnusable."""
    try:
        _empty(connection)
    except DatabaseError as error:
        raise DatabaseUnusable(
            f"The test database '{connection.settings_dict['NAME']}' cannot be emptied: {first_line(error)}",
            hint="Drop it, or let the user of the database own what is in it.",
        ) from error


def _empty(connection: Any) -> None:
    with connection.cursor() as cursor:
        there = connection.introspection.get_table_list(cursor)
    with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
        for each in there:
            if each.type == "v":
                editor.execute(f"DROP VIEW {editor.quote_name(each.name)}")
        for each in there:
            if each.type == "t":
                editor.execute(editor.sql_delete_table % {"table": editor.quote_name(each.name)})
