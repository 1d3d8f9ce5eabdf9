"""A fleet: many databases, or many schemas of one, each with its own `django_migrations`, that are rolled back in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any


@dataclass(frozen=True)
class Member:
    """One of a fleet. name: by which people know it. alias: of its database in DATABASES. schema: in that database, on
    PostgreSQL; empty for what the connection has by itself. shared: do the others need what it holds? It then comes last."""

    name: str
    alias: str = "default"
    schema: str = ""
    shared: bool = False


class Turn(IntEnum):
    """When a member is rolled back: none begins before all of an earlier turn are done."""

    CANARY = 0
    BATCH = 1
    SHARED = 2


class MemberState(str, Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class MemberRecord:
    """How far a member of a fleet is.

    digest: of the plan of its group; empty, if it has nothing to do. at: its moment, aware; None for one that is no time.
    seconds: that it took. error: what went wrong, and what to do. worker: that has it, or had it. lease: until when that
    worker has it, unless it says more; aware, UTC. tries: how often it was begun. lost: what it would
    lose, as it was agreed to.
    """

    number: int
    member: Member
    turn: Turn
    state: MemberState
    digest: str = ""
    at: datetime | None = None
    seconds: float = 0.0
    error: str = ""
    worker: str = ""
    lease: datetime | None = None
    tries: int = 0
    lost: tuple[str, ...] = ()


def fleet_line(shard: str, *words: str) -> str:
    """The command about the newest fleet, or that of a shard, with these options, to paste."""
    part = ["--shard", shard] if shard else []
    return " ".join(["python manage.py rollbackfleet", *words, *part])


@dataclass(frozen=True)
class Fleet:
    """A rollback of a fleet, as it was noted. started, ended: aware, UTC. command: what was typed. orders: what each member is
    told. max_failures: after more than that no new member is begun. stopped: did somebody stop it? lease: until when somebody
    watches it or works on it, unless they say more. shard: the part of the fleet that it is about, as `3/10`; empty for all.
    tasks: the back end of tasks that has it; empty, if processes do the work."""

    number: int
    started: datetime
    ended: datetime | None
    operator: str
    host: str
    command: str
    orders: Mapping[str, Any]
    max_failures: int
    stopped: bool
    lease: datetime
    shard: str = ""
    tasks: str = ""

    def to_type(self, *words: str) -> str:
        """The command about it with these options, to paste."""
        return fleet_line(self.shard, *words)

    def meets(self, shard: str) -> bool:
        """May it be about members of this shard? Shards of one number of shards have none in common."""
        mine, other = self.shard.partition("/"), shard.partition("/")
        return mine[2] != other[2] or mine[0] == other[0]
