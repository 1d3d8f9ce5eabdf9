"""A project of tests/real, deployed several times as Django does it, and what is true about each late part of its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tests.support import history
from tests.support.history import Key

# wagtailcore.0005 and 0008 come apart, and so do 0070, which renames a model, and 0086, which makes permissions for it: in
# one deployment Django 6.1 refuses to rename the permissions.
SHARES = (0.06, 0.3, 0.6, 0.85, 1)


class UnsquashedLoader(MigrationLoader):
    """Reads the code as it was before anything was squashed."""

    def load_disk(self) -> None:
        super().load_disk()
        squashes = {
            key: found.replaces[-1]
            for key, found in self.disk_migrations.items()
            if found.replaces and set(found.replaces) <= self.disk_migrations.keys()
        }
        for key in squashes:
            del self.disk_migrations[key]
        for found in self.disk_migrations.values():
            found.dependencies = [squashes.get(parent, parent) for parent in found.dependencies]


def deployments(alias: str) -> list[list[Key]]:
    """The whole plan for an empty database in parts: with each, every app comes a bit further. A migration comes as
    soon as it and all that it depends on are due."""
    executor = _executor(alias, UnsquashedLoader)
    graph = executor.loader.graph
    whole = [(migration.app_label, migration.name) for migration, _ in executor.migration_plan(graph.leaf_nodes())]
    of_app = {app: [key for key in whole if key[0] == app] for app, _ in whole}
    due = {key: number / len(keys) for keys in of_app.values() for number, key in enumerate(keys)}
    latest = {key: max(due[needed] for needed in graph.forwards_plan(key)) for key in whole}
    return [[key for key in whole if start <= latest[key] < end] for start, end in pairwise((0, *SHARES))]


def deploy(alias: str, loader: type[MigrationLoader], keys: Sequence[Key], at: datetime) -> Any:
    """What `migrate` does, for several apps at once, as if it had happened at that moment; the models as they are then."""
    before = set(history.keys(alias))
    executor = _executor(alias, loader)
    plan = [(executor.loader.graph.nodes[key], False) for key in keys]
    state = executor._create_project_state(with_applied_migrations=True)  # noqa: SLF001
    emit_pre_migrate_signal(0, False, alias, apps=state.apps, plan=plan)
    state = executor.migrate(None, plan, state)
    _drop_doubled_permissions(state)
    state.clear_delayed_apps_cache()
    emit_post_migrate_signal(0, False, alias, apps=state.apps, plan=plan)
    new = [key for key in history.keys(alias) if key not in before]
    history.set_applied(alias, {key: at + timedelta(seconds=number) for number, key in enumerate(new)})
    return state.apps


def _drop_doubled_permissions(state: ProjectState) -> None:
    """Permissions that old migrations declare and that Django has made by itself since version 2.1 (view_…): an old Django
    ran them, and today's fails to make them twice."""
    doubled = []
    for (app, name), model in state.models.items():
        declared = model.options.get("permissions", ())
        left = [permission for permission in declared if permission[0] != f"view_{name}"]
        if len(left) != len(declared):
            model.options["permissions"] = left
            doubled.append((app, name))
    if doubled:
        state.reload_models(doubled)


def migrate_all(alias: str) -> None:
    """All that is missing, in one go and without signals."""
    executor = _executor(alias, MigrationLoader)
    executor.migrate(executor.loader.graph.leaf_nodes())


def irreversible(late: Iterable[Key]) -> list[str]:
    """Which of these migrations cannot be undone, straight from Django's operations. A squash of which all is late stands
    for its originals."""
    disk = MigrationLoader(None).disk_migrations
    keys = set(late)
    for key, migration in disk.items():
        if migration.replaces and keys.issuperset(migration.replaces):
            keys = keys - set(migration.replaces) | {key}
        elif migration.replaces:
            keys.discard(key)
    return sorted(
        ".".join(key)
        for key in keys
        if not all(nested.reversible for operation in disk[key].operations for nested in _nested(operation))
    )


def _executor(alias: str, loader: type[MigrationLoader]) -> MigrationExecutor:
    executor = MigrationExecutor(connections[alias])
    executor.loader = loader(connections[alias])
    return executor


def _nested(operation: Operation) -> Iterator[Any]:
    yield operation
    for inner in getattr(operation, "database_operations", ()):
        yield from _nested(inner)
