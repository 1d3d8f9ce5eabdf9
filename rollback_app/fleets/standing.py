"""Who is where: the members that have the same migrations applied, and on which this code can work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rollback_app import database as databases
from rollback_app import workflow
from rollback_app.errors import RollbackError
from rollback_app.history import Member
from rollback_app.safety import Checked, Standing

from .places import place_of

Mapped = Callable[[Callable[[Member], Any], Sequence[Member]], Iterable[Any]]


def standings(members: Sequence[Member], mapped: Mapped = map) -> list[Standing]:
    """What is applied in each of them, in their order; changes nothing. mapped: as for `survey`."""
    return list(mapped(_standing, members))


def check_schemas(members: Sequence[Member], mapped: Mapped = map) -> list[Checked]:
    """Can this code work on each of them as it is? Changes nothing. mapped: as for `survey`."""
    return list(mapped(_checked, members))


def _standing(member: Member) -> Standing:
    try:
        with place_of(member):
            database = databases.get(member.alias)
            with database.reading():
                return Standing(member, database.records())
    except RollbackError as error:
        return Standing(member, (), f"{error.message} {error.hint}")


def _checked(member: Member) -> Checked:
    try:
        with place_of(member):
            return Checked(member, workflow.check_schema(member.alias).verdict)
    except RollbackError as error:
        return Checked(member, None, f"{error.message} {error.hint}")
