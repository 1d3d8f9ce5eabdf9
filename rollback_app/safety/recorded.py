"""Views, functions and triggers as they were recorded at a `migrate`, and what of them a rollback to there brings back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cached_property

from .kept import Hanging
from .objects import Fate, Object


@dataclass(frozen=True)
class Defined:
    """An object that its definition, SQL, makes as a whole. kind: function, procedure, view, materialized view or trigger. name:
    as that of `Object`."""

    kind: str
    name: str
    definition: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Does(str, Enum):
    """What a run does to such an object."""

    MAKES = "comes back"
    REPLACES = "changes back"
    DROPS = "is dropped"
    MAKES_AGAIN = "is dropped on the way, and made again"


@dataclass(frozen=True)
class ObjectChange:
    kind: str
    name: str
    does: Does


@dataclass(frozen=True)
class RecordedObjects:
    """What a plan brings back. at: when the migrations that stay were all that was applied, and a `migrate` recorded this; None,
    if none did. then: what there was. now: what there is. hanging: what of that hangs on what the plan changes, and needs no
    finding, since all will be as it was recorded."""

    at: datetime | None = None
    then: tuple[Defined, ...] = ()
    now: tuple[Defined, ...] = ()
    hanging: tuple[Object, ...] = ()

    @property
    def in_the_way(self) -> frozenset[str]:
        """What would make a step fail, and is dropped before the first one; as "view name"."""
        return frozenset(str(each) for each in self.hanging if each.fate is Fate.STOPS)

    @cached_property
    def changes(self) -> tuple[ObjectChange, ...]:
        """What differs now, and what the steps do not leave as it is."""
        found = changes(self.now, self.then)
        told = {(each.kind, each.name) for each in found}
        again = [each for each in self.hanging if each.fate is not Fate.BREAKS and (each.kind, each.name) not in told]
        return (*found, *(ObjectChange(each.kind, each.name, Does.MAKES_AGAIN) for each in again))

    def takes_care_of(self, each: Object, *, one_transaction: bool) -> bool:
        """Will it be as it was recorded, whatever the steps do to it? What is newer and goes along with a table or column is
        kept like everything else that does."""
        if str(each) not in self._names_now:
            return False
        if each.fate is Fate.STOPS:  # dropping it first would not be taken back with the step
            return one_transaction
        return each.fate is Fate.BREAKS or str(each) in self._names_then

    @cached_property
    def _names_now(self) -> frozenset[str]:
        return frozenset(map(str, self.now))

    @cached_property
    def _names_then(self) -> frozenset[str]:
        return frozenset(map(str, self.then))


def changes(now: Iterable[Defined], then: Iterable[Defined]) -> list[ObjectChange]:
    """What makes of these objects those."""
    there = {str(each): each for each in now}
    wanted = {str(each): each for each in then}
    newer = [(each, Does.DROPS) for name, each in there.items() if name not in wanted]
    older = [(each, Does.REPLACES if name in there else Does.MAKES) for name, each in wanted.items()]
    differ = [(each, does) for each, does in older if there.get(str(each)) != each]
    return [ObjectChange(each.kind, each.name, does) for each, does in [*newer, *differ]]


def parted(
    hanging: Iterable[Hanging], recorded: RecordedObjects | None, *, one_transaction: bool
) -> tuple[list[Hanging], tuple[Object, ...]]:
    """(what needs a finding, what does not, since it will be as it was recorded)."""
    left: list[Hanging] = []
    cared_for: list[Object] = []
    for each in hanging:
        if recorded and recorded.takes_care_of(each.object, one_transaction=one_transaction):
            cared_for.append(each.object)
        else:
            left.append(each)
    return left, tuple(cared_for)
