"""The backup that a run takes first, as far as it can be told before."""

from __future__ import annotations

from collections.abc import Iterator

from .findings import BackupFirst, Finding, Level
from .kept import Size


def cannot_back_up(backup: BackupFirst | None) -> Iterator[Finding]:
    """What is in the way of the backup; it stops the run, which is to have one."""
    if backup is None:
        return
    why = backup.why_not
    if not why and backup.bytes is not None and backup.free is not None and backup.free < backup.bytes:
        why = f"It may need {Size(backup.bytes)}, and {Size(backup.free)} are free where it would be."
    if why:
        text = f"No backup can be taken by {backup.way}. {why}"
        facts = {"way": backup.way, "bytes": backup.bytes, "free": backup.free}
        yield Finding("rollback.E018", Level.BLOCKER, "", text, "Fix that, or add --no-backup.", facts)
