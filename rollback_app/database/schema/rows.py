"""What each kind of database tells of its tables, before it is put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.compatibility import Column, Constraint, ForeignKey, Relation, Trigger

Tables = Collection[str]


@dataclass(frozen=True)
class Rows:
    """columns, constraints, triggers: with the name of their table. constraints: also with the words of a check."""

    relations: Sequence[Relation]
    columns: Sequence[tuple[str, Column]]
    constraints: Sequence[tuple[str, Constraint, str]]
    triggers: Sequence[tuple[str, Trigger]]
    foreign_keys: Sequence[ForeignKey]


def fetch(connection: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return list(found)


def by_table(rows: Iterable[tuple[str, Any]]) -> Mapping[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for table, each in rows:
        found[table].append(each)
    return found


def grouped(rows: Sequence[tuple[str, str, str]]) -> list[tuple[str, Trigger]]:
    """(table, trigger, event) as triggers, each with all its events."""
    events: dict[tuple[str, str], set[str]] = {}
    for table, name, event in rows:
        events.setdefault((table, name), set()).add(event)
    return [(table, Trigger(name, frozenset(found))) for (table, name), found in events.items()]
