"""Earlier rollbacks of a database: what each did, and where one broke off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from .records import Key


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
    """How a run ended; a run that is still `started` is under way, or was killed."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class Run:
    """A run, as it was noted. started, finished, moment: aware, in UTC. steps: the plan's, each with the moment at which it
    had been applied. steps_done: how many of them were undone and committed. seconds: of the whole run."""

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
