"""The records of `django_migrations`, and the cut that divides them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

MICROSECOND = timedelta(microseconds=1)


class Key(NamedTuple):
    """The name of a migration: its app's label and its own name."""

    app: str
    name: str

    def __str__(self) -> str:
        return f"{self.app}.{self.name}"


@dataclass(frozen=True)
class Record:
    """A record of `django_migrations`. `applied` is aware, in UTC."""

    id: int
    key: Key
    applied: datetime


@dataclass(frozen=True)
class Cut:
    """The line between what stays and what goes.

    at: the moment, aware, in UTC. precision: what the column `applied` can tell apart; a record within it counts as at the
    moment, and so as late. kept: if it is not a time that decides, but a set: the migrations that stay. zero: was it asked
    for an app, or all of them, to go back to nothing?
    """

    at: datetime
    precision: timedelta = MICROSECOND
    kept: frozenset[Key] | None = None
    zero: bool = False

    def is_late(self, record: Record) -> bool:
        if self.kept is not None:
            return record.key not in self.kept
        return record.applied > self.at - self.precision

    def to_paste(self, records: Iterable[Record]) -> datetime:
        """The moment, in whole seconds if that divides these records in the same way."""
        whole = self.at.replace(microsecond=0)
        between = any(whole < record.applied + self.precision <= self.at for record in records)
        return self.at if between else whole

    @property
    def late(self) -> str:
        """Why a late record goes, in words."""
        return "was applied at or after the moment" if self.kept is None else "is not among what is kept"

    @property
    def early(self) -> str:
        """Why an early record stays, in words."""
        return "was applied before the moment" if self.kept is None else "is among what is kept"
