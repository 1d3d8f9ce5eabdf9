"""Views and triggers of databases that do not book what these use: it is read from their text."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.planner import TableChange

_WORD = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\"([^\"]+)\"|`([^`]+)`|\[([^]]+)\]|(\w+)", re.DOTALL)


@dataclass(frozen=True)
class Written:
    """A view, a trigger, an index or the like. table: the one that it belongs to; of a view, its own name. text: what it does;
    definition: the SQL that makes it, where that text is all of it."""

    kind: str
    name: str
    table: str
    text: str
    definition: str

    @cached_property
    def words(self) -> frozenset[str]:
        """The names in it, in lower case, none of what stands in literals and comments."""
        return words(self.text)


def words(text: str) -> frozenset[str]:
    return frozenset("".join(found).lower() for found in _WORD.findall(text)) - {""}


def uses(found: Written, *names: str) -> bool:
    return {name.lower() for name in names} <= found.words


def users(table: str, written: Sequence[Written], column: str = "") -> list[Written]:
    """The views, and the triggers of other tables, that use a table (or a column of it), and the views of these views."""
    names = (table, column) if column else (table,)
    may_use = [each for each in written if each.kind == "view" or (each.kind == "trigger" and each.table != table)]
    found = {each: None for each in may_use if uses(each, *names)}
    waiting = list(found)
    while waiting:
        name = waiting.pop().name
        more = [each for each in may_use if uses(each, name) and each.name != name and each not in found]
        found.update(dict.fromkeys(more))
        waiting += more
    return list(found)


def of(table: str, written: Collection[Written]) -> list[Written]:
    """What belongs to a table."""
    return [each for each in written if each.table == table and each.kind != "view"]


def type_changes(connection: BaseDatabaseWrapper, change: TableChange) -> bool:
    """Will the column have another type, or another collation?"""
    before, after = (field.db_parameters(connection) for field in (change.before, change.after))
    return any(before.get(what) != after.get(what) for what in ("type", "collation"))
