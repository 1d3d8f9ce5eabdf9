"""What is new, as a plan: everything is applied, and taken back to what the older release has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from django.db.migrations import Migration

from rollback_app.history import Code, Cut, Key, Record, read
from rollback_app.planner import Choices, Names, Plan, Step, applied, plan

from .findings import Finding
from .source import Source

# Attributes of a Migration class, and their types.
DECLARATIONS: Mapping[str, type] = {"breaking": bool, "release": str, "reversible_by_design": bool}
_LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Looked:
    """What the checks see of a new migration. step: what undoing it does. applying: what applying it destroys, as the effects
    of a step. apps: those that it depends on, at any depth, and its own. installed: all apps that have migrations. kept: does
    `migrate` keep what it destroys (KEEP_DROPPED)? declared: what is declared of it, by the name of the attribute. required: what
    must be."""

    step: Step
    applying: Step
    source: Source
    apps: frozenset[str]
    installed: frozenset[str]
    kept: bool = False
    declared: Mapping[str, object] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    def leaves(self) -> Iterator[tuple[int, Any]]:
        """What runs on the database, with the index of the operation that it is, or is a part of."""
        for index, operation in enumerate(self.step.migration.operations):
            yield from ((index, leaf) for leaf in leaves_of([operation]))

    def finding(self, id: str, text: str, hint: str, operation: int | None = None, *, line: int = 0) -> Finding:
        """One about this migration. line: where it is, if that is not where the operation, or the class, begins."""
        number = len(self.step.migration.operations)
        where = self.source.line if operation is None else self.source.line_of(operation, number)
        return Finding(id, str(self.step.key), self.source.file, line or where, text, hint, operation)


def leaves_of(operations: Iterable[Any]) -> Iterator[Any]:
    """What of these runs on the database, at any depth."""
    for operation in operations:
        inner = getattr(operation, "database_operations", None)
        yield from [operation] if inner is None else leaves_of(inner)


def plan_of(code: Code, known: Collection[Key], names: Names) -> Plan:
    """The plan that takes a database with all migrations of this code back to those that are known.

    Errors: CodeUnusable, as `history.read`; what an operation raises that does not fit the models before it.
    """
    keys = {*code.migrations, *(Key(*name) for each in code.migrations.values() for name in each.replaces)}
    cut = Cut(_LONG_AGO, kept=_with_originals(code, known), zero=not known)
    unordered = [Record(number, key, _LONG_AGO) for number, key in enumerate(sorted(keys), 1)]
    history = read(code, unordered, cut)
    history.order(lambda key: 0)  # which tells of a circle
    rank = _as_migrate_does(history.parents)
    ordered = sorted(keys, key=lambda key: (rank.get(key, 0), key))
    records = [Record(number, key, _LONG_AGO) for number, key in enumerate(ordered, 1)]
    return plan(code, records, cut, Choices(cascade=True), names)


def _with_originals(code: Code, known: Collection[Key]) -> frozenset[Key]:
    """A database that knows a squash migration has what it stands for."""
    found, todo = set[Key](), list(known)
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo += [Key(*name) for name in code.migrations[key].replaces] if key in code.migrations else []
    return frozenset(found)


def _as_migrate_does(parents: Mapping[Key, Collection[Key]]) -> dict[Key, int]:
    """The place of each migration in the order in which `migrate` applies all of them: app by app, each after what it depends
    on. Projects come to rely on it, also where they do not declare it."""
    children = {parent: key for key, above in parents.items() for parent in above if parent.app == key.app}
    found: dict[Key, int] = {}
    for leaf in sorted(key for key in parents if key not in children):
        todo = [leaf]
        while todo:
            key = todo[-1]
            waiting = sorted((parent for parent in parents[key] if parent not in found), reverse=True)
            if waiting:
                todo += waiting
            else:
                found.setdefault(todo.pop(), len(found))
    return found


def looked_at(
    plan: Plan,
    chosen: Collection[Key],
    names: Names,
    source_of: Callable[[Migration], Source],
    *,
    kept: bool = False,
    required: Collection[str] = (),
) -> Iterator[Looked]:
    """The migrations of a plan that are chosen, in the order in which they are applied."""
    walked = dict(zip((step.key for step in plan.steps), plan.states().backwards(), strict=True))
    history = plan.basis.history
    installed = frozenset(key.app for key in history.migrations)
    for step in reversed(plan.steps):
        if step.key in chosen:
            migration, undos = walked[step.key]
            before = undos[-1].to_state if undos else plan.states().end()
            yield Looked(
                step,
                applied(migration, before, names),
                source_of(migration),
                frozenset(key.app for key in _ancestors(step.key, history.parents)),
                installed,
                kept,
                {name: getattr(migration, name) for name in DECLARATIONS if hasattr(migration, name)},
                frozenset(required),
            )


def _ancestors(key: Key, parents: Mapping[Key, Collection[Key]]) -> set[Key]:
    """All that it depends on, and itself."""
    found, todo = set[Key](), [key]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += parents[name]
    return found
