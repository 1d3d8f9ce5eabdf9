"""The statements that undo a plan: those of our executor, and those that Django gives for the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core.management.sql import emit_pre_migrate_signal
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from rollback_app import workflow
from rollback_app.executor import Done, Progress
from rollback_app.planner import Step
from rollback_app.safety import Preview
from tests.support.history import Key

# Not about the schema or the data; the last are how a run watches over its transaction, and over what no migration knows.
BOOKKEEPING = (
    "SAVEPOINT",
    "RELEASE",
    "ROLLBACK TO SAVEPOINT",
    "SET CONSTRAINTS",
    "PRAGMA",
    "SELECT txid_current_if_assigned",
    "SELECT * FROM (\nWITH t",
    "SELECT name, type FROM sqlite_master",
    "SELECT t.name, c.name FROM sqlite_master",
    "SELECT type, name, tbl_name, sql FROM sqlite_master",
)


class Recorder(Progress):
    """Writes down what is sent to the database for each step, from its beginning to its end."""

    def __init__(self) -> None:
        self.steps: dict[str, list[str]] = {}
        self.now: list[str] | None = None

    def begin(self, key: Key) -> None:
        self.now = self.steps.setdefault(".".join(key), [])

    def end(self) -> None:
        """Sorted, because which model was rendered first decides on the order of what is alike: the indexes of a remade
        table, the tables that point to a renamed one, the rows that are deleted with another."""
        if self.now is not None:
            self.now.sort()
        self.now = None

    def began(self, step: Step) -> None:
        self.begin(step.key)

    def finished(self, done: Done) -> None:
        self.end()

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if self.now is not None and not sql.lstrip().startswith(BOOKKEEPING) and "django_migrations" not in sql:
            self.now.append(f"{_columns_sorted(sql)} {list(params or ())}")
        return execute(sql, params, many, context)


def _columns_sorted(sql: str) -> str:
    """When SQLite remakes a table, the place of an altered column depends on which state was rendered first."""
    if not sql.startswith('CREATE TABLE "new__'):
        return sql
    head, _, body = sql.partition(" (")
    return f"{head} ({', '.join(sorted(body.rpartition(')')[0].split(', ')))})"


def ours(previews: Sequence[Preview], *, verify: bool) -> dict[str, list[str]]:
    """Roll back, and tell how."""
    recorder = Recorder()
    with connection.execute_wrapper(recorder):
        workflow.roll_back(previews, destroy_data=True, progress=recorder, verify=verify)
    return recorder.steps


def of_django(kept: Sequence[Key], steps: Sequence[Key]) -> dict[str, list[str]]:
    """What Django does to undo these steps, newest first, while the kept migrations stay; nothing of it remains.

    The states are whole copies, for this very order: first the kept migrations, then the steps, oldest first.
    """
    loader = MigrationLoader(connection, replace_migrations=False)
    plan = [(loader.disk_migrations[key], True) for key in steps]
    emit_pre_migrate_signal(0, False, "default", apps=apps, plan=plan)  # adds operations that rename content types back
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for key in kept:
        loader.disk_migrations[key].mutate_state(state, preserve=False)
    walk = []
    for migration, _ in reversed(plan):
        undos = []
        for operation in migration.operations:
            before = state
            state = before.clone()
            operation.state_forwards(migration.app_label, state)
            undos.append((operation, state, before))
        walk.append((migration, undos))
    recorder = Recorder()
    connection.disable_constraint_checking()  # SQLite remakes tables only so
    try:
        with transaction.atomic(), connection.execute_wrapper(recorder):
            for migration, undos in reversed(walk):
                recorder.begin((migration.app_label, migration.name))
                with connection.schema_editor(atomic=False) as editor:
                    for operation, after, before in reversed(undos):
                        operation.database_backwards(migration.app_label, editor, after, before)
                        if connection.vendor == "postgresql":
                            connection.check_constraints()
                recorder.end()
            transaction.set_rollback(True)
    finally:
        connection.enable_constraint_checking()
    return recorder.steps
