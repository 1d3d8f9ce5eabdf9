"""A rollback of a fleet from its beginning to its end: begun, gone on with, looked at, stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from rollback_app.bookkeeping import Fleets
from rollback_app.errors import UsageError
from rollback_app.history import Fleet, Member, MemberRecord, MemberState
from rollback_app.safety import FleetPlan

from .orders import Orders
from .work import book

Work = Callable[[int, Orders], None]
_NONE = "There was no rollback of a fleet here."


@dataclass(frozen=True)
class Status:
    """How far a fleet is. members: in the order of their turns. waits: is it with a back end of tasks, and nobody works on it?"""

    fleet: Fleet
    members: tuple[MemberRecord, ...]
    under_way: bool
    waits: bool = False

    @property
    def counts(self) -> Counter[MemberState]:
        return Counter(each.state for each in self.members)

    @property
    def done(self) -> bool:
        """Are all done that were not left out?"""
        return self.counts.keys() <= {MemberState.DONE, MemberState.SKIPPED}


def begin(plan: FleetPlan, orders: Orders, command: str, max_failures: int, shard: str = "", tasks: str = "") -> int:
    """Note what is to be done; the fleet's number. tasks: the back end that will have it; empty, if processes do the work.
    Errors: Locked, if another is under way; StateUnusable."""
    with book() as fleets:
        return fleets.begin(command, orders.to_store(), max_failures, plan.records(), shard, tasks)


def begin_again(status: Status, plan: FleetPlan, orders: Orders, max_failures: int, tasks: str = "") -> int:
    """Go on with those of a fleet that are not done, as they are now. Errors: as those of `begin`."""
    before = {each.member: each for each in status.members}
    now = [replace(each, number=before[each.member].number, turn=before[each.member].turn) for each in plan.records()]
    with book() as fleets:
        fleets.again(status.fleet, orders.to_store(), max_failures, now, tasks)
    return status.fleet.number


def carry_out(number: int, orders: Orders, work: Work) -> tuple[Status, float]:
    """Have it done; (how it ended, seconds)."""
    began = time.monotonic()
    work(number, orders)
    with book() as fleets:
        fleets.end(number)
        return _status(fleets, fleets.get(number)), time.monotonic() - began


def status(shard: str = "") -> Status:
    """Of the newest fleet, or of the newest of a shard. Errors: UsageError, if there was none; StateUnusable."""
    with book() as fleets:
        return _status(fleets, fleets.newest(shard))


def _status(fleets: Fleets, fleet: Fleet | None) -> Status:
    """Errors: UsageError."""
    if fleet is None:
        raise UsageError(_NONE, hint="Begin one: python manage.py rollbackfleet MOMENT --plan")
    members = tuple(fleets.members(fleet.number))
    return Status(fleet, members, fleets.is_under_way(fleet), fleets.waits(fleet))


def stop(shard: str = "") -> Status:
    """No new member of the newest fleet, or of the newest of a shard, is begun. Errors: as those of `status`."""
    found = status(shard)
    with book() as fleets:
        fleets.stop(found.fleet.number)
        return _status(fleets, fleets.get(found.fleet.number))


def left(found: Status) -> list[tuple[Member, datetime | None]]:
    """The members that are not done, each with its moment. Errors: UsageError, if there are none; Locked."""
    with book() as fleets:
        fleets.check_none_under_way(found.fleet.shard, waiting=True)
    rest = [(each.member, each.at) for each in found.members if each.state is not MemberState.DONE]
    if not rest:
        raise UsageError("All members of that fleet are done.", hint="Begin another: rollbackfleet MOMENT --plan")
    return rest
