"""Earlier rollbacks of a database: what each did, and where one broke off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from .records import Key, Record


@dataclass(frozen=True)
class Position:
    """Where a run broke off inside a step that is not one transaction.

    records: the ids of the step's records. operations: how many of its operations are undone, counted as they run (those inside
    others one by one). statements: those of the operation under way; None if it had not begun, or they were not known
    before. statements_done: how many of them are done. doubtful: may the next one be done too? Not if it failed whenever it
    was tried, and the database said so. command: what was typed. restored: `django_migrations` is not the table that it was.
    """

    key: Key
    records: tuple[int, ...]
    operations: int
    statements: tuple[str, ...] | None = None
    statements_done: int = 0
    doubtful: bool = False
    command: str = ""
    restored: bool = False


class Outcome(str, Enum):
    """How a run ended. The journal holds the first three. Of a run that is still `started` the lock tells more: it is under
    way if that is held, else it was killed, or it cannot be told which."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Run:
    """A run, as it was noted. started, finished, moment: aware, in UTC. steps: the plan's, each with the moment at which it
    had been applied. steps_done: how many of them were unapplied and committed. seconds: of the whole run. one_transaction:
    did it run as one? None if that was not noted. inside: did it not come to the end of the step behind the last one done,
    of which a part may be done? reason: why it was done. own_reverses: the steps that were
    undone by reverses of the project's own. again: the steps that were applied again since. backup: that was taken before it, if
    one was."""

    number: int
    started: datetime
    finished: datetime | None
    outcome: Outcome
    operator: str
    host: str
    command: str
    moment: datetime | None
    digest: str
    release: str
    steps: tuple[tuple[Key, datetime], ...]
    steps_done: int
    seconds: float
    error: str
    one_transaction: bool | None = None
    inside: bool = False
    reason: str = ""
    own_reverses: frozenset[Key] = frozenset()
    again: frozenset[Key] = frozenset()
    backup: Backup | None = None

    @property
    def unapplied(self) -> tuple[Key, ...]:
        return tuple(key for key, _ in self.steps[: self.steps_done])


@dataclass(frozen=True)
class Backup:
    """A backup that was taken before a run. way: by which, in words. name: of its file, or what else it is known by; may be
    empty. made: when; aware. bytes: None, if that is not known. verified: what was looked at, in words. restore: what to type
    to restore it; empty, if nobody says."""

    way: str
    name: str
    made: datetime
    seconds: float
    bytes: int | None
    verified: str
    restore: str


@dataclass(frozen=True)
class State:
    """What there was before a run. records: of `django_migrations`, in the order of recording. tables: those that the run was
    about to change, each with the SQL that makes it. why_not: why that could not be read; else empty."""

    records: tuple[Record, ...]
    tables: Mapping[str, str]
    why_not: str = ""


def with_applied_again(runs: Iterable[Run], records: Iterable[Record], precision: timedelta) -> list[Run]:
    """The runs, newest first, each told which of its steps were applied again: their records are newer than the run, or a
    later run has unapplied them once more."""
    applied = {record.key: record.applied for record in records}
    later: set[Key] = set()
    found = []
    for run in runs:
        again = {key for key in run.unapplied if key in applied and applied[key] > run.started - precision}
        found.append(replace(run, again=frozenset(again | later.intersection(run.unapplied))))
        later.update(run.unapplied)
    return found
