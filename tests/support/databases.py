"""The databases that the suite runs on, and how each is made empty: truly empty, not merely without rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

ALIASES = {"sqlite": "default", "postgresql": "postgresql", "mariadb": "mariadb"}
OTHER_ALIASES = {"sqlite": "other", "postgresql": "postgresql_other", "mariadb": "mariadb_other"}


@dataclass(frozen=True)
class Database:
    """`vendor` is the word of TEST_DATABASES and of the marker; Django's own is `connection.vendor` ("mysql")."""

    alias: str
    vendor: str

    def __str__(self) -> str:
        return self.alias

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.alias]


def empty(database: Database) -> None:
    connection = database.connection
    connection.close()
    {"sqlite": empty_sqlite, "postgresql": empty_postgresql, "mariadb": empty_mariadb}[database.vendor](connection)
    connection.close()  # no trace in the session either


def ask(database: Database, *statements: str) -> list[tuple[Any, ...]]:
    """The rows that the last of these statements gives; none, if it gives none."""
    found: list[tuple[Any, ...]] = []
    with database.connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            found = list(cursor.fetchall()) if cursor.description else []
    return found


def wait_until_alone(database: Database) -> None:
    """The server notices a killed client a moment later."""
    sql = {
        "postgresql": "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'",
        "mariadb": "SELECT 1 FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
    }.get(database.vendor)
    alone = sql is None
    while not alone:
        with database.connection.cursor() as cursor:
            cursor.execute(sql)
            alone = cursor.fetchone() is None


def empty_sqlite(connection: BaseDatabaseWrapper) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{connection.settings_dict['NAME']}{suffix}").unlink(missing_ok=True)


def empty_postgresql(connection: BaseDatabaseWrapper) -> None:
    name = connection.settings_dict["NAME"]
    with connection._nodb_cursor() as cursor:
        # A process that a test has killed may not be gone yet, and what it locks could not be dropped.
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {name}")
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        """)
        for (schema,) in cursor.fetchall():
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")
        cursor.execute("CREATE SCHEMA public")
        cursor.execute("SELECT quote_ident(pubname) FROM pg_publication")  # which is in no schema
        for (publication,) in cursor.fetchall():
            cursor.execute(f"DROP PUBLICATION {publication}")


def empty_mariadb(connection: BaseDatabaseWrapper) -> None:
    name = connection.settings_dict["NAME"]
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name])
        for (process,) in cursor.fetchall():
            cursor.execute("KILL %s", [process])
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name}")
