"""The backup before a run: that it will be taken, and how to restore it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rollback_app.history import Backup
from rollback_app.planner import Kind
from rollback_app.safety import BackupFirst, Level, Preview, Size

from .base import Line, seconds, stamp


def first_lines(preview: Preview) -> Iterator[Line]:
    """What the summary of a plan says of it; that there is none only where it would be the only way back."""
    backup = preview.backup
    if backup:
        if not backup.why_not:
            size = [] if backup.bytes is None else [f"at most about {Size(backup.bytes)}"]
            free = [] if backup.free is None else [f"{Size(backup.free)} free"]
            room = f" ({', '.join([*size, *free])})" if size else ""
            yield Line(f"Takes a backup first, by {backup.way}{room}.")
    elif not preview.one_transaction and (preview.of_level(Level.LOSS) or _runs_code(preview)):
        yield Line(
            "Takes no backup first: what is lost, or fails half-way, cannot be taken back. Add --backup.", "WARNING"
        )


def _runs_code(preview: Preview) -> bool:
    steps = [step for step in preview.plan.steps if not step.fake]
    return any(effect.kind in (Kind.CODE, Kind.RUNS_SQL) for step in steps for effect in step.effects)


def first_data(backup: BackupFirst | None) -> dict[str, Any] | None:
    return {"way": backup.way, "bytes": backup.bytes, "free": backup.free} if backup else None


def taken_lines(backup: Backup | None) -> Iterator[Line]:
    """The last lines of a run that has taken one."""
    if backup:
        yield Line(f"The backup from before it, by {backup.way} ({details(backup)})" + (":" if backup.name else "."))
        if backup.name:
            yield Line(f"  {backup.name}", whole=True)
        if backup.restore:
            yield Line("If you need what was there before, this restores it:")
            yield Line(f"  {backup.restore}", whole=True)


def details(backup: Backup) -> str:
    size = "" if backup.bytes is None else f"{Size(backup.bytes)}, "
    return f"{size}took {seconds(backup.seconds)}; {backup.verified}"


def taken_data(backup: Backup | None) -> dict[str, Any] | None:
    return {**vars(backup), "made": stamp(backup.made)} if backup else None
