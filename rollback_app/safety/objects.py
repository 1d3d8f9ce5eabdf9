"""What hangs on tables and is not known to the migrations: views, triggers, indexes made by hand, …"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple


class Fate(str, Enum):
    """What a change of a table does to something that hangs on it."""

    GOES = "goes along"
    BREAKS = "stays, and is broken"
    STOPS = "makes the step fail"


@dataclass(frozen=True)
class Object:
    """kind: in words, as "view". name: as the database names it, with its schema. fate: what happens to it. definition: the
    SQL that makes it again; empty if there is none. rows, table: of an inheriting table, and what Django would call it. what:
    more about the fate, in words."""

    kind: str
    name: str
    fate: Fate
    definition: str = ""
    rows: int | None = None
    what: str = ""
    table: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ListedObject(NamedTuple):
    """An object of the whole database, for a comparison before and after. id: what stays when it is renamed. sql: makes it
    again, where a run does so."""

    id: str
    kind: str
    name: str
    table: str
    sql: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def gone(before: Collection[ListedObject], after: Collection[ListedObject]) -> set[ListedObject]:
    """What is no longer there, under its own name or a new one."""
    ids, names = {each.id for each in after}, {(each.kind, each.name) for each in after}
    return {each for each in before if each.id not in ids and (each.kind, each.name) not in names}


def named(facts: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The names of the objects that findings with these facts say will go."""
    return frozenset(each["name"] for each in facts if "kind" in each)
