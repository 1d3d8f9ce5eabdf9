"""Fleets: a row for each rollback of a fleet, and one for each of its members, in the default database.

A worker has a member as long as its lease lasts, which it renews. Who finds a lease that has run out takes the member over:
that is safe also if the first worker is only slow, since a rollback holds a lock of its own in the member's database.
"""

from __future__ import annotations

import json
import random
import socket
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from django.db import models
from django.db.models import F, Q

from rollback_app.database import Database
from rollback_app.errors import Locked
from rollback_app.history import Fleet, Member, MemberRecord, MemberState, Turn, fleet_line

from .runs import now, operator
from .tables import OwnMeta, Table

FLEETS = "rollback_app_fleetrun"
MEMBERS = "rollback_app_fleet"
LEASE = 30.0  # seconds
MOST_TRIES = 3
IN_QUEUE = "queue"  # which sorts behind every time
_OFFERED = 20  # members that a worker chooses from, so that two seldom want the same


class FleetEntry(models.Model):
    """orders: JSON. tasks: the back end of tasks that has it, or empty. next_task: IN_QUEUE, or until when a task that runs
    stands by. Times are text, as in the journal."""

    started = models.CharField(max_length=40)
    ended = models.CharField(max_length=40, default="")
    operator = models.CharField(max_length=200)
    host = models.CharField(max_length=200)
    command = models.TextField()
    orders = models.TextField()
    max_failures = models.IntegerField()
    stopped = models.CharField(max_length=40, default="")
    lease = models.CharField(max_length=40)
    shard = models.CharField(max_length=40, default="")
    tasks = models.CharField(max_length=200, default="")
    next_task = models.CharField(max_length=40, default="")

    class Meta(OwnMeta):
        db_table = FLEETS

    def __str__(self) -> str:
        return f"{self.pk}: since {self.started}"


class MemberEntry(models.Model):
    """fleet: its number. at: the member's moment, or empty. lost: JSON."""

    fleet = models.BigIntegerField()
    turn = models.IntegerField()
    name = models.CharField(max_length=200)
    alias = models.CharField(max_length=200)
    schema = models.CharField(max_length=200)
    shared = models.BooleanField()
    state = models.CharField(max_length=20)
    digest = models.CharField(max_length=20)
    at = models.CharField(max_length=40)
    seconds = models.FloatField(default=0)
    error = models.TextField(default="")
    worker = models.CharField(max_length=200, default="")
    lease = models.CharField(max_length=40, default="")
    tries = models.IntegerField(default=0)
    lost = models.TextField(default="[]")

    class Meta(OwnMeta):
        db_table = MEMBERS
        indexes = (models.Index(fields=["fleet", "state", "turn", "id"], name="rollback_app_fleet_next"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class Outlook(NamedTuple):
    """ready: may a member be begun now? busy: has a worker one, as far as its lease tells?"""

    ready: bool
    busy: bool


class Fleets:
    """The fleets that a database knows of. Errors: those of Django's database layer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fleets, self._members = Table(database, FleetEntry), Table(database, MemberEntry)

    # The whole

    def begin(
        self,
        command: str,
        orders: Mapping[str, Any],
        max_failures: int,
        members: Sequence[MemberRecord],
        shard: str = "",
        tasks: str = "",
    ) -> int:
        """Note a fleet, and its members as they are; its number. Errors: Locked, if another is under way."""
        self.check_none_under_way(shard)
        number = self._fleets.add(
            started=now(),
            operator=operator(),
            host=socket.gethostname(),
            command=command,
            orders=json.dumps(dict(orders)),
            max_failures=max_failures,
            lease=_until(),
            shard=shard,
            tasks=tasks,
        )
        # Of two that begin at the same time, at least one sees the other here.
        try:
            self.check_none_under_way(shard, but=number)
        except Locked:
            self._fleets.delete(number)
            raise
        for other in self._fleets.read(_fleet):
            if other.number != number and other.ended is None and other.meets(shard):
                self.stop(other.number)
        self._members.add_all([{"fleet": number, **_values(each)} for each in members])
        return number

    def again(
        self,
        fleet: Fleet,
        orders: Mapping[str, Any],
        max_failures: int,
        members: Sequence[MemberRecord],
        tasks: str = "",
    ) -> None:
        """Go on with a fleet, as it was read: those of its members as they are now. Errors: Locked, if one is under way."""
        self.check_none_under_way(fleet.shard, but=fleet.number)
        told = {"orders": json.dumps(dict(orders)), "max_failures": max_failures, "tasks": tasks}
        mine = self._fleets.rows(pk=fleet.number, lease=fleet.lease.isoformat(timespec="seconds"))
        if not mine.update(ended="", stopped="", lease=_until(), **told):
            raise _under_way(fleet)
        for each in members:  # but for those that a task has begun meanwhile
            mine = self._members.rows(pk=each.number).exclude(state=MemberState.DONE.value)
            mine.exclude(_HELD, lease__gte=now()).update(**_values(each))

    def check_none_under_way(self, shard: str, but: int = 0, *, waiting: bool = False) -> None:
        """None that is about members of this shard. but: the number of one that may be. waiting: may one be that waits for a
        worker? Errors: Locked."""
        for fleet in self._fleets.read(_fleet):
            if waiting and self.waits(fleet):
                continue
            if fleet.number != but and fleet.meets(shard) and self.is_under_way(fleet):
                raise _under_way(fleet)

    def is_under_way(self, fleet: Fleet) -> bool:
        """Does somebody watch it or work on it, or will a task?"""
        return fleet.ended is None and (_lasts(fleet) or bool(fleet.tasks and not fleet.stopped))

    def waits(self, fleet: Fleet) -> bool:
        """Is it with a back end of tasks, and nobody watches it or works on it?"""
        return self.is_under_way(fleet) and not _lasts(fleet)

    def newest(self, shard: str = "") -> Fleet | None:
        """Of this shard; empty for the newest of all."""
        return next((fleet for fleet in self._fleets.read(_fleet) if shard in ("", fleet.shard)), None)

    def get(self, number: int) -> Fleet | None:
        return self._fleets.must_find(_fleet, number)

    def line(self, number: int, *words: str) -> str:
        """See `Fleet.to_type`."""
        fleet = self.get(number)
        return fleet_line(fleet.shard if fleet else "", *words)

    def members(self, number: int) -> list[MemberRecord]:
        """All members, in their order."""
        return [_member(row) for row in self._members.rows(fleet=number).order_by("turn", "pk")]

    def counts(self, number: int) -> Counter[MemberState]:
        rows = self._members.rows(fleet=number).values_list("state").annotate(number=models.Count("pk")).order_by()
        return Counter({MemberState(state): found for state, found in rows})

    def renew(self, number: int) -> None:
        """Somebody watches it."""
        self._fleets.change(number, {"ended": ""}, lease=_until())

    def stop(self, number: int) -> None:
        """No new member is begun."""
        self._fleets.change(number, {"stopped": ""}, stopped=now())

    def end(self, number: int) -> None:
        self._fleets.change(number, {"ended": ""}, ended=now())

    # One member after the other

    def claim(self, number: int, worker: str, digest: str = "") -> MemberRecord | None:
        """A member that nobody has, for this worker; None, if none may be begun now. digest: of the group that it
        would rather have one of."""
        while offered := self._offered(number, digest):
            # In their order; but if another worker was quicker, others than it will look at next.
            for found in (offered[0], *random.sample(offered[1:], len(offered) - 1)):
                mine = self._members.rows(pk=found.pk, state=found.state, lease=found.lease)
                if found.tries >= MOST_TRIES:
                    error = f"Its workers died, {found.tries} times."
                    mine.update(state=MemberState.FAILED.value, error=error, lease="")
                elif mine.update(state=MemberState.RUNNING.value, worker=worker, lease=_until(), tries=F("tries") + 1):
                    return _member(self._members.rows(pk=found.pk).get())
        return None

    def _offered(self, number: int, digest: str) -> list[Any]:
        """Members that may be begun now."""
        fleet, rows = self.get(number), self._members.rows(fleet=number)
        if fleet is None or fleet.stopped or fleet.ended:
            return []
        if rows.filter(state=MemberState.FAILED.value).count() > fleet.max_failures:
            return []
        lost = rows.filter(_HELD, lease__lt=now())
        for free in (rows.filter(state=MemberState.WAITING.value), lost):
            turn = free.order_by("turn").values_list("turn", flat=True).first()
            if turn is not None and not rows.filter(turn__lt=turn, state__in=_NOT_DONE).exists():
                now_free = free.filter(turn=turn).order_by("pk")
                offered = list(now_free.filter(digest=digest)[:_OFFERED]) if digest else []
                return offered or list(now_free[:_OFFERED])
        return []

    def outlook(self, number: int) -> Outlook:
        """As at one instant, so that who reads it does not miss what goes from one worker to the next."""
        held = models.Count("pk", filter=Q(_HELD, lease__gte=now()))
        rows = self._members.rows(fleet=number).values_list("turn", "state")
        found = [
            (turn, MemberState(state), total, held)
            for turn, state, total, held in rows.annotate(total=models.Count("pk"), held=held).order_by("turn")
        ]
        fleet = self.get(number)
        failed = sum(total for _, state, total, _ in found if state is MemberState.FAILED)
        may = fleet is not None and not (fleet.stopped or fleet.ended) and failed <= fleet.max_failures
        now_on = next((turn for turn, state, _, _ in found if state is not MemberState.DONE), None)
        free = [
            total - held
            for turn, state, total, held in found
            if turn == now_on and state in (MemberState.WAITING, MemberState.RUNNING)
        ]
        return Outlook(may and any(free), any(held for *_, held in found))

    def is_coming(self, number: int) -> bool:
        """May a member be begun once others are done?"""
        states = self.counts(number)
        return bool(states[MemberState.RUNNING] and states[MemberState.WAITING])

    def keep(self, number: int, member: MemberRecord) -> None:
        """Its worker is alive."""
        self._members.rows(pk=member.number, worker=member.worker).update(lease=_until())
        self.renew(number)

    def note(self, member: MemberRecord, state: MemberState, seconds: float, error: str = "") -> None:
        """How it ended, unless another worker has it by now."""
        self._members.rows(pk=member.number, worker=member.worker).update(
            state=state.value, seconds=seconds, error=error, lease=""
        )

    def free(self, number: int, workers: Collection[str]) -> int:
        """These workers have died; how many members they had."""
        mine = self._members.rows(fleet=number, state=MemberState.RUNNING.value, worker__in=list(workers))
        return mine.update(state=MemberState.WAITING.value, lease="")

    # The next task

    def note_queued(self, number: int) -> None:
        """A task for it is about to be in the queue."""
        self._fleets.change(number, {}, next_task=IN_QUEUE)

    def stand_by(self, number: int, seconds: float) -> bool:
        """A task waits for members that may be begun, at most so long; False, if another one does."""
        free = self._fleets.rows(pk=number).filter(Q(next_task=IN_QUEUE) | Q(next_task__lt=now()))
        return bool(free.update(next_task=_until(seconds)))

    def has_next(self, number: int) -> bool:
        """Is a task for it in the queue, or does one stand by?"""
        return self._fleets.rows(pk=number, next_task__gte=now()).exists()


# By the states that there are, not by those that there are not: so the index is used, and none of the many that are done is read.
_NOT_DONE = [state.value for state in MemberState if state is not MemberState.DONE]
_HELD = Q(state=MemberState.RUNNING.value)


def _under_way(fleet: Fleet) -> Locked:
    who = f"{fleet.operator} on {fleet.host}" if fleet.operator else fleet.host
    about = f"If it was killed, that is noticed within {LEASE:.0f} s. "
    if fleet.tasks:
        about = f"The workers of TASKS['{fleet.tasks}'] have it. To stop it: {fleet.to_type('--stop')}\n"
    return Locked(
        f"The rollback of a fleet is under way, which {who} started at {fleet.started:%Y-%m-%d %H:%M:%S} UTC. "
        "Nothing was changed.",
        hint=f"{about}To see how far it is: {fleet.to_type('--status')}",
    )


def _until(seconds: float | None = None) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds or LEASE)).isoformat(timespec="seconds")


def _lasts(fleet: Fleet) -> bool:
    return fleet.lease > datetime.now(timezone.utc)


def _values(each: MemberRecord) -> dict[str, Any]:
    return {
        "turn": each.turn.value,
        **vars(each.member),
        "state": each.state.value,
        "digest": each.digest,
        "at": each.at.isoformat() if each.at else "",
        "seconds": each.seconds,
        "error": each.error,
        "worker": each.worker,
        "lease": "",
        "tries": each.tries,
        "lost": json.dumps(each.lost),
    }


def _member(row: Any) -> MemberRecord:
    return MemberRecord(
        number=row.pk,
        member=Member(row.name, row.alias, row.schema, row.shared),
        turn=Turn(row.turn),
        state=MemberState(row.state),
        digest=row.digest,
        at=_time(row.at),
        seconds=row.seconds,
        error=row.error,
        worker=row.worker,
        lease=_time(row.lease),
        tries=row.tries,
        lost=tuple(json.loads(row.lost)),
    )


def _fleet(row: Any) -> Fleet:
    return Fleet(
        number=row.id,
        started=datetime.fromisoformat(row.started),
        ended=_time(row.ended),
        operator=row.operator,
        host=row.host,
        command=row.command,
        orders=json.loads(row.orders),
        max_failures=row.max_failures,
        stopped=bool(row.stopped),
        lease=datetime.fromisoformat(row.lease),
        shard=row.shard,
        tasks=row.tasks,
    )


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
