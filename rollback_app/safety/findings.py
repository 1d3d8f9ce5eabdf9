"""Findings, and what the checks that make them see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from rollback_app.compatibility import Verdict
from rollback_app.errors import RollbackError
from rollback_app.history import Deployment, just_after
from rollback_app.moments import Moment
from rollback_app.planner import Known, Names, Plan, Requirement, Right, TableChange

from .coming_back import Back
from .counts import Count, Violations
from .kept import Change, Drop, Hanging, ToKeep
from .objects import Object
from .recorded import RecordedObjects


class Level(str, Enum):
    """What a finding means for the run: it is refused, it needs consent, or nothing (a remark)."""

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


@dataclass(frozen=True)
class BackupFirst:
    """way: by which, in words. bytes: that it takes at most, and free: where it will be; None, if that is not known. why_not: why
    it cannot be taken, in a sentence; else empty."""

    way: str
    bytes: int | None = None
    free: int | None = None
    why_not: str = ""


class Refused(RollbackError):
    """The plan may not run, because of blockers or missing consent. `findings` says why; the message is `brief`, and the first of
    them."""

    returncode = 3

    def __init__(self, brief: str, *, hint: str = "", findings: Sequence[Finding] = ()) -> None:
        more = [f"And {len(findings) - 3} more."] if len(findings) > 3 else []
        super().__init__(" ".join([brief, *(finding.text for finding in findings[:3]), *more]), hint=hint)
        self.brief, self.findings = brief, tuple(findings)


@dataclass(frozen=True)
class Preview:
    """What a rollback would do to one database, and the findings about it.

    alias, title: of the database. one_transaction: would all of it be one transaction? now: when it was read, aware, UTC. kept:
    what the run would keep of what it drops, in the order of the plan; also what holds nothing yet. verdict: could the older
    code run on the database as it is? None, if there is nothing to undo. reason: why it is done. recorded: the views, functions
    and triggers that the run brings back; None, if it shall not. backs: what the run would put back that a `migrate` has kept.
    backup: that the run takes first; None, if it shall not. backup_line: what takes one by hand, without the password.
    """

    alias: str
    title: str
    moment: Moment
    plan: Plan
    findings: tuple[Finding, ...]
    one_transaction: bool
    now: datetime
    kept: tuple[ToKeep, ...] = ()
    verdict: Verdict | None = None
    reason: str = ""
    recorded: RecordedObjects | None = None
    backs: tuple[Back, ...] = ()
    backup: BackupFirst | None = None
    backup_line: str = ""

    @property
    def nearly_kept(self) -> tuple[Deployment, datetime] | None:
        """If a deployment that is undone began shortly after a date and time that was typed, perhaps to keep it: that
        deployment, and the moment that keeps it."""
        plan, at = self.plan, self.moment.at
        if self.moment.kept is not None or self.moment.words:
            return None
        later = [group for group in plan.basis.deployments if group.start >= at and any(map(plan.takes, group.records))]
        # `showdeployments` prints whole seconds: who pastes these means that deployment.
        if not later or at == later[0].start.replace(microsecond=at.microsecond and later[0].start.microsecond):
            return None
        if later[0].start - at > plan.basis.choices.gap:
            return None
        before = [self.now, *(group.start for group in later[1:])]
        return later[0], just_after(later[0], before, plan.basis.cut.precision)

    def of_level(self, level: Level) -> list[Finding]:
        return [finding for finding in self.findings if finding.level is level]


class Inspector(Protocol):
    """The facts about a database that checks ask for. `database.Database` has this shape."""

    @property
    def vendor_name(self) -> str: ...

    @property
    def can_undo_ddl(self) -> bool: ...

    @property
    def setting(self) -> str:
        """What stands before a statement that is shown to be pasted; empty, where there is no other schema to be taken for this
        one."""

    def count(self, table: str, columns: Mapping[str, Any]) -> tuple[Count, dict[str, Count]] | None:
        """Rows of a table, and for each column (name -> Django field or None) the rows with a value that is neither null
        nor the field's default. None, if there is no such table or column."""

    def key(self, table: str) -> tuple[str, ...]:
        """The columns of the primary key of a table, in its order; none if there is no such table."""

    def row_bytes(self, table: str, columns: Collection[str]) -> float:
        """Bytes that these columns, or a whole row, take on the average; of columns, where the last of them has a value."""

    def size(self, table: str) -> int | None:
        """Bytes that a table takes, at most. None, if there is no such table."""

    def violations(self, requirement: Requirement, *, count: bool = True) -> Violations | None:
        """What does not meet a requirement. None, if there is no such table or column, or this database does not require it.
        count: without it, hardly a row is looked at, and the number says nothing."""

    def names(self) -> Names:
        """How this database and this project name things."""

    def objects(self, changes: Sequence[TableChange], known: Known) -> Sequence[tuple[TableChange, Object]]:
        """What these changes do to objects that are not known, in the order of the changes."""

    def read_only(self) -> str:
        """Why nothing can be written to the database, in a sentence; empty if it can."""

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        """A sentence for each of these rights to tables that the database's user lacks, as far as that can be told."""

    def of_other_schemas(self, tables: Collection[str]) -> Sequence[str]:
        """Where each customer has a schema: a sentence for each of these tables that is not there, so that SQL would find the one
        of that name in another schema."""


@dataclass(frozen=True)
class Judged:
    """What the checks see. one_transaction: is the whole run one transaction? count: may rows be counted? drops: what the plan
    drops, and what of it is kept. hanging: what hangs on what it changes, and no migration knows. changes: values that it cuts or
    rounds, and what of them is kept. recorded: the objects that it brings back, if it shall. backs: what the run puts back."""

    plan: Plan
    inspector: Inspector
    one_transaction: bool
    count: bool
    drops: tuple[Drop, ...] = ()
    hanging: tuple[Hanging, ...] = ()
    changes: tuple[Change, ...] = ()
    recorded: RecordedObjects | None = None
    backs: tuple[Back, ...] = ()
