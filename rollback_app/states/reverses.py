"""Puts a project's own reverses in place of the operations of others' migrations that have none."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.operations import RunPython, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

from rollback_app.history import Code, Key

# A function, SQL statements, or None: it restores nothing.
Part = Callable[..., Any] | tuple[str, ...] | None
Reverses = Mapping[
    str, tuple[tuple[Part, ...], str]
]  # by app.name: a part for each operation, and the digest of the file
Digest = Callable[[Migration], str]


class OwnPython(RunPython):
    """The project's own reverse, a function."""

    own = True


class OwnSQL(RunSQL):
    """The project's own reverse, SQL."""

    own = True


def with_reverses(code: Code, reverses: Reverses, digest: Digest) -> Code:
    """The code with these reverses; an operation whose reverse does not fit keeps none, and says why (`no_reverse`)."""
    found = dict(code.migrations)
    for name, (parts, wanted) in reverses.items():
        key = _key(name)
        if key in found and (needed := len(list(_without(found[key].operations)))):
            why_not = _why_not(name, found[key], parts, wanted, needed, digest)
            rest = iter(parts * needed if parts == (None,) else parts)
            migration: Any = copy.copy(found[key])
            found[key] = migration
            migration.operations = [_replaced(each, rest, why_not) for each in migration.operations]
    return replace(code, migrations=found)


def reverse_problems(code: Code, reverses: Reverses, digest: Digest) -> Iterator[str]:
    """What is wrong with them, a sentence for each."""
    for name, (parts, wanted) in reverses.items():
        migration = code.migrations.get(_key(name))
        if migration is None:
            yield f"ROLLBACK['REVERSES'] names {name}, and there is no such migration."
            continue
        needed = len(list(_without(migration.operations)))
        if not needed:
            yield f"ROLLBACK['REVERSES'] names {name}, all operations of which have a reverse."
        elif why_not := _why_not(name, migration, parts, wanted, needed, digest):
            yield f"{why_not}."


def _key(name: str) -> Key:
    app, _, rest = name.partition(".")
    return Key(app, rest)


def _without(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The operations that have no reverse, also inside others, in their order."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _without(operation.database_operations)
        elif not operation.reversible:
            yield operation


def _why_not(name: str, migration: Migration, parts: tuple[Part, ...], wanted: str, needed: int, digest: Digest) -> str:
    if wanted and not digest(migration).startswith(wanted):
        return f"ROLLBACK['REVERSES'] has a reverse for another file of {name}: its digest is {digest(migration)[:12]}"
    if len(parts) != needed and parts != (None,):
        return f"ROLLBACK['REVERSES'] has {len(parts)} reverses for {name}, which needs {needed}"
    return ""


def _replaced(operation: Any, parts: Iterator[Any], why_not: str) -> Any:
    found = copy.copy(operation)
    if isinstance(operation, SeparateDatabaseAndState):
        found.database_operations = [_replaced(each, parts, why_not) for each in operation.database_operations]
        return found
    if operation.reversible:
        return operation
    if why_not:
        found.no_reverse = why_not
        return found
    part, hints = next(parts), getattr(operation, "hints", {})
    if isinstance(part, tuple):
        own: Operation = OwnSQL(RunSQL.noop, list(part), hints=hints)
    else:
        own = OwnPython(getattr(operation, "code", RunPython.noop), part or RunPython.noop, hints=hints)
    return SeparateDatabaseAndState([own], [operation])
