"""What runs in a process of its own, in the folder of a generated project: making its database, and each way of undoing.

python -m benchmarks.ways NAME [WORDS]; BENCHMARK_DATABASE is the URL of the database.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

URL = urlsplit(os.environ.get("BENCHMARK_DATABASE", ""))
MOMENT = "2024-05-15T11:00:00+00:00"
CHANGES = ("ALTER", "CREATE", "DROP", "INSERT", "UPDATE", "DELETE", "SET CONSTRAINTS", "COMMENT")


def _setup() -> Any:
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    import django

    django.setup()
    from django.db import connection

    return connection


def make(kept: str) -> None:
    """Migrate an empty database; the migrations up to number `kept` of each app are recorded before MOMENT.

    With rollback_app's own states, forwards: Django's own way takes as long as it takes to undo it.
    """
    connection = _setup()
    from django.core.management import call_command
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.recorder import MigrationRecorder

    from rollback_app.states import States, database_operations

    call_command("migrate", "contenttypes", verbosity=0)
    call_command("migrate", "auth", verbosity=0)
    loader = MigrationLoader(connection)
    early = [key for key in loader.graph.nodes if key[1] <= f"{int(kept):04}_z" and key[0].startswith("app")]
    plan = _ordered(loader, early) + _ordered(loader, [key for key in loader.graph.nodes if key not in set(early)])
    done = list(loader.applied_migrations)
    states = States([loader.graph.nodes[key] for key in _ordered(loader, done)], plan_of(loader, plan, done), ())
    recorder = MigrationRecorder(connection)
    with connection.schema_editor() as editor:
        for migration, undos in reversed(list(states.backwards())):
            for undo in reversed(undos):
                for nested in reversed(database_operations(undo, migration.app_label)):
                    nested.operation.database_forwards(migration.app_label, editor, nested.to_state, nested.from_state)
            for statement in editor.deferred_sql:
                editor.execute(statement)
            editor.deferred_sql.clear()
            recorder.record_applied(migration.app_label, migration.name)
    recorder.migration_qs.update(applied="2024-01-01T00:00:00Z")
    late = recorder.migration_qs.filter(app__startswith="app", name__gt=f"{int(kept):04}_z")
    late.update(applied=MOMENT)
    call_command("migrate", verbosity=0)  # nothing is left to apply; content types and permissions are made


def plan_of(loader: Any, keys: list[Any], without: list[Any]) -> list[Any]:
    return [loader.graph.nodes[key] for key in keys if key not in set(without)]


def _ordered(loader: Any, keys: list[Any]) -> list[Any]:
    """The keys in an order that the dependencies allow."""
    wanted = set(keys)
    ordered = dict.fromkeys(key for leaf in loader.graph.leaf_nodes() for key in loader.graph.forwards_plan(leaf))
    return [key for key in ordered if key in wanted]


def rows(number: str) -> None:
    """Fill the first app's table."""
    connection = _setup()
    series = {
        "sqlite": "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) SELECT i FROM n) s",
        "postgresql": "generate_series(1, %s) s(i)",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO app000_item (name, number) SELECT 'name ' || i, i %% 100 FROM " + series, [int(number)]
        )


# The ways


def per_app(target: str, *apps: str) -> None:
    """One call of migrate for each app, in one process; dependants first, which is the quickest."""
    _setup()
    from django.core.management import call_command

    for app in reversed(apps):
        call_command("migrate", app, target, verbosity=0)


def one_plan(target: str, *apps: str) -> None:
    """One plan over all apps, run by Django's executor."""
    connection = _setup()
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    targets = [(app, target) for app in apps]
    executor.migrate(targets, executor.migration_plan(targets))


def record(statements: str) -> None:
    """Ours, keeping each statement that changes something; without its own book-keeping and its verification."""
    connection = _setup()
    from django.core.management import call_command

    kept = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(CHANGES):
            converted = tuple(str(value) if hasattr(value, "isoformat") else value for value in params or ())
            kept.append((sql, converted if params else None, many))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        call_command(
            "rollbackmigrationsafter",
            MOMENT,
            interactive=False,
            destroy_data=True,
            count=False,
            verbosity=0,
            verify=False,
            journal=False,
        )
    Path(statements).write_bytes(pickle.dumps(kept))


def bound(statements: str) -> None:
    """The statements of a run, sent by the driver in one transaction; nothing else is loaded."""
    kept = pickle.loads(Path(statements).read_bytes())
    if URL.scheme == "sqlite":
        with sqlite3.connect(URL.path, isolation_level=None) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("BEGIN")
            for sql, params, many in kept:
                sent = sql.replace("%s", "?").replace("%%", "%") if params else sql
                (connection.executemany if many else connection.execute)(sent, params or ())
            connection.execute("COMMIT")
        return
    import psycopg

    with psycopg.connect(URL.geturl()) as server:
        cursor = psycopg.ClientCursor(server)  # as Django does, with the values put into the statement here
        for sql, params, many in kept:
            if many:
                cursor.executemany(sql, params)
            else:
                cursor.execute(sql, params)


def load() -> None:
    """What any command that reads the migrations has to do: Django's set-up and its own loading of the files."""
    _setup()
    from django.db.migrations.loader import MigrationLoader

    MigrationLoader(None, load=False).load_disk()


def inside() -> None:
    """Ours, telling how many seconds its statements took: those of the operations, those of its own, and all the rest."""
    start = time.perf_counter()
    connection = _setup()
    from django.core.management import call_command

    spent = {"own": 0.0, "ddl": 0.0}

    def clock(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        kind = "ddl" if sql.startswith(CHANGES) else "own"
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            spent[kind] += time.perf_counter() - began

    with connection.execute_wrapper(clock):
        call_command("rollbackmigrationsafter", MOMENT, interactive=False, destroy_data=True, verbosity=0)
    # The commit is no statement to Django's wrappers; it writes what the run changed.
    spent["rest"] = time.perf_counter() - start - sum(spent.values())
    json.dump(spent, sys.stdout)


def facts() -> None:
    """What the database is now: each way must leave the same."""
    connection = _setup()
    lines = []
    with connection.cursor() as cursor:
        for table in sorted(
            set(connection.introspection.table_names(cursor)) - {"rollback_app_run", "rollback_app_hold"}
        ):
            columns = connection.introspection.get_table_description(cursor, table)
            lines += sorted(f"{table}.{column.name} {column.type_code} {column.null_ok}" for column in columns)
            constraints = connection.introspection.get_constraints(cursor, table).values()
            lines += sorted(f"{table} {sorted(value.items(), key=str)}" for value in constraints)
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
        lines += map(str, cursor.fetchall())
    print(hashlib.sha256("\n".join(lines).encode()).hexdigest())


def copy(template: str) -> None:
    """Make the PostgreSQL database as a copy of another, or empty if there is none."""
    import psycopg

    with psycopg.connect(URL._replace(path="/postgres").geturl(), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{URL.path[1:]}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{URL.path[1:]}" TEMPLATE "{template}"')


COMMANDS: dict[str, Callable[..., None]] = {
    found.__name__: found for found in (make, rows, per_app, one_plan, record, bound, load, inside, facts, copy)
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
