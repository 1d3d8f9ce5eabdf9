"""What each way to take a backup has, and taking one."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol

from rollback_app.database import Database
from rollback_app.errors import RollbackError
from rollback_app.history import Backup, Key, Record


class BackupFailed(RollbackError):
    """No backup could be taken, or what was taken is none. The run has not begun."""

    def __init__(self, alias: str, why: str) -> None:
        super().__init__(
            f"The backup of {alias} failed: {why.rstrip('.')}. Nothing was changed.",
            hint="Fix that and run the same command again. --no-backup leaves the backup out.",
        )


@dataclass(frozen=True)
class Taken:
    """A backup. name: of its file, or what else it is known by. made: when; aware. bytes: None, if that is not known. verified:
    what was looked at, in words. restore: what to type; empty, if nobody says."""

    name: str
    made: datetime
    bytes: int | None
    verified: str
    restore: str = ""


class Way(Protocol):
    """A way to take a backup. name: in words, after "by"."""

    @property
    def name(self) -> str: ...

    def why_not(self, database: Database) -> str:
        """Why it cannot be taken of this database, in a sentence; empty if it can, as far as that can be told before."""
        ...

    def size(self, database: Database) -> int | None:
        """Bytes that it will take, at most, as far as that can be told. None, if it takes none to speak of."""
        ...

    def free(self) -> int | None:
        """Bytes that are free where it will be. None, if that cannot be told."""
        ...

    def take(self, database: Database, records: Collection[Key]) -> Taken:
        """Take it, and look whether it is one. records: those of `django_migrations`, which must be in it.

        Errors: BackupFailed.
        """
        ...


def take(way: Way, database: Database, records: Collection[Record], newest: Record | None) -> Backup:
    """Take a backup. newest: the record of the plan that must be in it, since an older backup lacks what the run destroys.

    Errors: BackupFailed.
    """
    began = time.monotonic()
    taken = way.take(database, {record.key for record in records})
    if newest and taken.made < newest.applied:
        raise BackupFailed(
            database.alias,
            f"{taken.name} is of {_utc(taken.made)}. It is older than {newest.key}, applied {_utc(newest.applied)}, "
            "so it lacks what this run may destroy",
        )
    return Backup(
        way.name, taken.name, taken.made, time.monotonic() - began, taken.bytes, taken.verified, taken.restore
    )


def _utc(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def without_password(text: str, database: Database) -> str:
    """What a program says may hold it."""
    password = str(database.connection.settings_dict["PASSWORD"] or "")
    return text.replace(password, "***") if password else text
