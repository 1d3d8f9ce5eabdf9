"""A migration that is tried, and what of it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.migrations import Migration, RunSQL

from rollback_app.checking import leaves_of
from rollback_app.history import Key
from rollback_app.planner import ends_transaction, refuses_transaction, without_concurrently
from rollback_app.states import State, Undo


@dataclass(frozen=True)
class Work:
    """A migration and its operations. leaves: what runs when it is undone, in that order. in_transaction: can it run in one?"""

    migration: Migration
    undos: list[Undo]
    leaves: list[Undo]
    in_transaction: bool

    @property
    def key(self) -> Key:
        return Key(self.migration.app_label, self.migration.name)

    @property
    def before(self) -> State:
        return self.undos[-1].to_state

    @property
    def after(self) -> State:
        return self.undos[0].from_state


def is_atomic(migration: Migration) -> bool:
    """Can it run inside a transaction, if need be by its plain twins?"""
    sql = [each for operation in leaves_of(migration.operations) for each in sql_of(operation)]
    return not any(ends_transaction(each) or refuses_transaction(without_concurrently(each)) for each in sql)


def sql_of(operation: Any) -> list[Any]:
    return [operation.sql or "", operation.reverse_sql or ""] if isinstance(operation, RunSQL) else []
