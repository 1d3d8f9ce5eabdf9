"""Holds: which migrations `migrate` may not apply until somebody lifts it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from .records import Key

if TYPE_CHECKING:  # moments, which reads histories, has to work where there is no Django
    from django.db.migrations import Migration


class Source(str, Enum):
    """What holds: a rollback, `migratehold --on`, the settings, or the environment."""

    ROLLBACK = "rollback"
    COMMAND = "command"
    SETTING = "setting"
    ENVIRONMENT = "environment"


@dataclass(frozen=True)
class Hold:
    """migrations: those that are held; none of them named means every migration. since: aware, UTC; none if nobody noted it.
    number: of its row; 0 if it has none."""

    source: Source
    migrations: tuple[Key, ...] = ()
    since: datetime | None = None
    by: str = ""
    reason: str = ""
    number: int = 0

    def holds(self, migration: Migration) -> bool:
        """A squash would do what the migrations do that it replaces."""
        names = {Key(migration.app_label, migration.name), *(Key(*name) for name in migration.replaces)}
        return not self.migrations or not names.isdisjoint(self.migrations)


def held(holds: Iterable[Hold], plan: Iterable[tuple[Migration, bool]]) -> tuple[Hold, list[Key]] | None:
    """The first hold that is in the way of a plan of `migrate`, with what it holds of that; None, if all are free."""
    forwards = [migration for migration, backwards in plan if not backwards]
    for hold in holds:
        found = [Key(migration.app_label, migration.name) for migration in forwards if hold.holds(migration)]
        if found:
            return hold, found
    return None


def held_of(holds: Sequence[Hold], keys: Iterable[Key]) -> bool:
    """Is any of these migrations held?"""
    wanted = set(keys)
    return any(not hold.migrations or not wanted.isdisjoint(hold.migrations) for hold in holds)
