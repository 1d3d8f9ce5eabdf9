"""Whose code runs when an operation is undone: Django's, also in classes of others that inherit it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db.migrations.operations.base import Operation


def acts_as(operation: Operation) -> type[Operation] | None:
    """Django's class that the operation is or inherits, if undoing it runs only code of that class; else None."""
    kind: Any = type(operation)
    return _acts_as(kind)


@cache
def _acts_as(kind: Any) -> type[Operation] | None:
    own = next(base for base in kind.__mro__ if base.__module__.startswith("django."))
    return own if all(getattr(kind, name) is getattr(own, name) for name in _used(own)) else None


def _used(own: Any) -> set[str]:
    """The methods of Django's class that `database_backwards` calls, itself included."""
    found, todo = set[str](), {"database_backwards"}
    while todo:
        name = todo.pop()
        found.add(name)
        code = getattr(getattr(own, name), "__code__", None)
        todo |= {called for called in getattr(code, "co_names", ()) if hasattr(own, called)} - found
    return found
