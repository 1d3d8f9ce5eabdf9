"""The `migrate` commands that do what a plan does, if there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollback_app.history import Key

from .plan import Plan


@dataclass(frozen=True)
class Commands:
    """The `migrate` commands that do what a plan does, as (app, target) in the order in which to run them; without why_not
    they undo exactly the plan's steps."""

    targets: tuple[tuple[str, str], ...]
    why_not: str = ""


def migrate_commands(plan: Plan) -> Commands:
    """Express a plan as `migrate APP TARGET` commands, checked by working out what each would undo.

    `migrate APP TARGET` undoes the children of the target in its app, and all that depends on them
    (django.db.migrations.executor.MigrationExecutor.migration_plan).
    """
    if fakes := [str(step.key) for step in plan.steps if step.fake]:
        return Commands((), f"no migrate command unapplies some migrations and fakes {', '.join(fakes)}")
    if apart := sorted(str(key) for key in plan.basis.history.apart if key.app in plan.stays.targets):
        return Commands((), f"migrate cannot stop between the migrations that {', '.join(apart)} replaces")
    if stuck := [
        str(step.key) for step in plan.steps if not all(_has_reverse(each) for each in step.migration.operations)
    ]:
        return Commands((), f"migrate unapplies no operation without a reverse, as in {', '.join(stuck)}")
    left = [step.key for step in plan.steps]
    found = []
    while left:
        best = max(_candidates(plan, set(left), left), key=lambda candidate: candidate[0], default=None)
        if best is None:
            names = ", ".join(map(str, left))
            return Commands(
                (),
                f"no migrate command unapplies {names} without other migrations",
            )
        _, app, target, undone = best
        found.append((app, target))
        left = [key for key in left if key not in undone]
    return Commands(tuple(found))


def _has_reverse(operation: Any) -> bool:
    """One of its own, which `migrate` knows."""
    inner = getattr(operation, "database_operations", ())
    return operation.reversible and not hasattr(operation, "own") and all(map(_has_reverse, inner))


def _candidates(plan: Plan, left: set[Key], order: list[Key]) -> Iterator[tuple[tuple[int, int], str, str, set[Key]]]:
    """(rank, app, target, what it undoes) of each command that undoes some of what is left, and nothing else. The command with
    the newest step ranks first, then the one that undoes most."""
    children, kept = plan.basis.history.children, plan.basis.history.decisive.keys() - {step.key for step in plan.steps}
    for app in {key.app for key in left}:
        roots = [
            key
            for key in plan.basis.history.parents
            if key.app == app and not _in_app(plan.basis.history.parents[key], app)
        ]
        stays = [key for key in kept if key.app == app and _is_understood(plan, key)]
        starts = {"zero": roots, **{key.name: _in_app(children[key], app) for key in stays}}
        for target, first in starts.items():
            undone = _descendants(children, first) & (kept | left)
            if undone and undone <= left:
                yield (-min(order.index(key) for key in undone), len(undone)), app, target, undone


def _is_understood(plan: Plan, key: Key) -> bool:
    """`migrate` takes a name for the beginning of one, and refuses what begins several; "zero" is a word of its own."""
    others = [other for other in plan.basis.history.on_disk if other.app == key.app and other.name.startswith(key.name)]
    return others == [key] and key.name != "zero"


def _in_app(keys: Iterable[Key], app: str) -> list[Key]:
    return sorted(key for key in keys if key.app == app)


def _descendants(children: Mapping[Key, frozenset[Key]], start: Iterable[Key]) -> set[Key]:
    """The keys themselves, and all that depends on them."""
    found, todo = set[Key](), list(start)
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo.extend(children[key])
    return found
