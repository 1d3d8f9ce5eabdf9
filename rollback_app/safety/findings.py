"""What a finding is, and what the checks see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from rollback_app.errors import RollbackError
from rollback_app.moments import Moment
from rollback_app.planner import Plan, Requirement, Right


class Level(str, Enum):
    """How a finding weighs: it refuses the run, asks for consent, or only informs."""

    BLOCKER = "blocker"
    LOSS = "loss"
    REMARK = "remark"


@dataclass(frozen=True)
class Finding:
    """id: stable, as in Django's system checks. about: the migration, or empty. hint: what to type or do next. facts: for
    programs."""

    id: str
    level: Level
    about: str
    text: str
    hint: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Refused(RollbackError):
    """The plan may not run: blockers, or missing consent. Carries the findings that say why."""

    returncode = 3

    def __init__(self, message: str, *, hint: str = "", findings: Sequence[Finding] = ()) -> None:
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)


@dataclass(frozen=True)
class Count:
    """A number of rows; `more`: there are more rows than were looked at, so that it may be larger. about: how many there are
    by the database's own statistics, if there are more."""

    number: int
    more: bool = False
    about: int | None = None

    @property
    def lossless(self) -> bool:
        return not self.number and not self.more

    def __str__(self) -> str:
        return f"more than {digits(self.number)}" if self.more else digits(self.number)

    @property
    def found(self) -> str:
        """The same for rows that were looked for among others: there may be no more of them."""
        return f"at least {digits(self.number)}" if self.more else digits(self.number)


def digits(number: int) -> str:
    return f"{number:,}".replace(",", " ")


@dataclass(frozen=True)
class Violations:
    """What is in the way of an operation. count: of the rows; if there are `more`, not all were looked at. query: lists them,
    empty for a name that is taken."""

    count: Count
    query: str = ""


@dataclass(frozen=True)
class Preview:
    """What a rollback would do to one database, and what speaks against it.

    alias, title: of the database. one_transaction: would it run as one, all or nothing? now: when it was read, aware, UTC.
    """

    alias: str
    title: str
    moment: Moment
    plan: Plan
    findings: tuple[Finding, ...]
    one_transaction: bool
    now: datetime

    def of_level(self, level: Level) -> list[Finding]:
        return [finding for finding in self.findings if finding.level is level]


class Inspector(Protocol):
    """The facts about a database that checks ask for. Met by `database.Database` by shape."""

    @property
    def vendor_name(self) -> str: ...

    @property
    def can_undo_ddl(self) -> bool: ...

    def count(self, table: str, columns: Mapping[str, Any]) -> tuple[Count, dict[str, Count]] | None:
        """Rows of a table, and for each column (name -> Django field or None) the rows with a value that is neither null
        nor the field's default. None, if there is no such table or column."""

    def violations(self, requirement: Requirement) -> Violations | None:
        """What does not meet a demand. None, if there is no such table or column, or this database does not demand it."""

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        """A sentence for each of these rights to tables that the database's user lacks, as far as that can be told."""


@dataclass(frozen=True)
class Judged:
    """What the checks see. one_transaction: does the whole run as one. count: may live rows be counted?"""

    plan: Plan
    inspector: Inspector
    one_transaction: bool
    count: bool
