"""The project of tests/real deployed several times, as Django does it, and what is true about each late part of its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import connections
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from tests.support import history
from tests.support.history import Key

FIRST = datetime(2026, 1, 5, 10, tzinfo=timezone.utc)
WEEK = timedelta(days=7)


class UnsquashedLoader(MigrationLoader):
    """Reads the code as it was before anything was squashed."""

    def load_disk(self) -> None:
        super().load_disk()
        squashes = {key: found.replaces[-1] for key, found in self.disk_migrations.items() if found.replaces}
        for key in squashes:
            del self.disk_migrations[key]
        for found in self.disk_migrations.values():
            found.dependencies = [squashes.get(parent, parent) for parent in found.dependencies]


LOADERS = {"slices": MigrationLoader, "upgrades": UnsquashedLoader}


def executor(alias: str, kind: str) -> MigrationExecutor:
    made = MigrationExecutor(connections[alias])
    made.loader = LOADERS[kind](connections[alias])
    return made


def deployments(alias: str, kind: str) -> list[list[Key]]:
    """What each deployment of an empty database applies, in order.

    slices: the whole plan of Django's, cut in four; most apps come in one piece. upgrades: every app comes a bit further
    with every deployment, from before there were squash migrations.
    """
    loader = executor(alias, kind).loader
    whole = [(found.app_label, found.name) for found, _ in executor(alias, kind).migration_plan(loader.graph.leaf_nodes())]
    if kind == "slices":
        return [whole[len(whole) * start // 4 : len(whole) * end // 4] for start, end in pairwise(range(5))]
    apps = [[key for key in whole if key[0] == app] for app in dict.fromkeys(app for app, _ in whole)]
    reached: list[set[Key]] = [set()]
    for share in (0.1, 0.3, 0.5, 0.75, 1):
        newest = [keys[max(round(len(keys) * share), 1) - 1] for keys in apps]
        reached.append(reached[-1].union(*(loader.graph.forwards_plan(key) for key in newest)))
    return [[key for key in whole if key in after - before] for before, after in pairwise(reached)]


def deploy(alias: str, kind: str, keys: Sequence[Key], at: datetime) -> None:
    """What `migrate` does, for several apps at once, as if it had happened at that moment."""
    before = set(history.keys(alias))
    migrating = executor(alias, kind)
    plan = [(migrating.loader.graph.nodes[key], False) for key in keys]
    state = migrating._create_project_state(with_applied_migrations=True)  # noqa: SLF001
    emit_pre_migrate_signal(0, False, alias, apps=state.apps, plan=plan)
    state = migrating.migrate(None, plan, state)
    state.clear_delayed_apps_cache()
    emit_post_migrate_signal(0, False, alias, apps=state.apps, plan=plan)
    new = [key for key in history.keys(alias) if key not in before]
    history.set_applied(alias, {key: at + timedelta(seconds=number) for number, key in enumerate(new)})


def irreversible(late: Iterable[Key]) -> list[str]:
    """Which of these migrations cannot be undone, straight from Django's operations. A squash of which all is late stands
    for its originals."""
    disk: dict[Key, Migration] = MigrationLoader(None).disk_migrations
    keys = set(late)
    for key, found in disk.items():
        if found.replaces:
            keys = keys - set(found.replaces) | {key} if keys.issuperset(found.replaces) else keys - {key}
    return sorted(
        ".".join(key)
        for key in keys
        if not all(nested.reversible for operation in disk[key].operations for nested in _nested(operation))
    )


def _nested(operation: Operation) -> Iterator[Any]:
    yield operation
    for inner in getattr(operation, "database_operations", ()):
        yield from _nested(inner)
