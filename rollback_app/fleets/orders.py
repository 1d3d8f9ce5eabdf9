"""What each member of a fleet is told: the options of the main command, ready to be stored, since others may carry them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from rollback_app import moments, project
from rollback_app.database import Timeouts
from rollback_app.moments import Moment
from rollback_app.planner import Choices
from rollback_app.safety import Keeping


@dataclass(frozen=True)
class Orders:
    """moment, zone: as typed. manifest: what the file of a manifest holds, since it may be on another machine. databases: see
    `members.find`. gap: seconds. keep_at_most: bytes. The others are as those of the main command.

    destroy_data: the consent that was given, to what each member's record says that it loses.
    """

    moment: str
    zone: str
    manifest: str = ""
    databases: tuple[str, ...] = ()
    all_databases: bool = False
    cascade: bool = False
    split_deployment: bool = False
    exclude: tuple[str, ...] = ()
    fake: tuple[str, ...] = ()
    start_over: bool = False
    gap: float = 300.0
    steps: int | None = None
    step_by_step: bool = False
    count: bool = True
    keep: bool = True
    keep_at_most: int = Keeping().at_most
    keep_tables: tuple[str, ...] = ()
    reason: str = ""
    verify: bool = True
    journal: bool = True
    hold: bool = True
    destroy_data: bool = False
    lock_timeout: float = 5.0
    statement_timeout: float | None = None
    retries: int = 0

    @classmethod
    def stored(cls, found: Mapping[str, Any]) -> Orders:
        """What was stored by `to_store`, perhaps by another release."""
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found.items() if name in known
        }
        return cls(**values)

    def to_store(self) -> dict[str, Any]:
        return asdict(self)

    def at(self, at: datetime | None) -> str | Moment:
        """The moment, which for a member may be a time that was looked up before; None for one that has none."""
        if at is None:
            return self.moment
        zone = moments.zone_named(self.zone)
        words = "As it was when the fleet was looked at." if moments.kinds.of(self.moment) else ""
        return Moment(self.moment, at, zone, zone.key, words=words)

    def text_of(self, name: str) -> str:
        """Of a file that the moment names. Errors: UsageError."""
        return self.manifest or project.text_of(name)

    @property
    def choices(self) -> Choices:
        return Choices(
            cascade=self.cascade,
            split_deployment=self.split_deployment,
            exclude=self.exclude,
            fake=self.fake,
            start_over=self.start_over,
            gap=timedelta(seconds=self.gap),
            steps=self.steps,
        )

    @property
    def keeping(self) -> Keeping:
        return Keeping(self.keep, self.keep_at_most, self.keep_tables)

    @property
    def timeouts(self) -> Timeouts:
        return Timeouts(self.lock_timeout, self.statement_timeout)
