"""Views, functions and triggers as each `migrate` has left them: each definition is stored once, and a snapshot says which there
were, and what was applied then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import models

from rollback_app.database import Database
from rollback_app.history import Key
from rollback_app.safety import Defined

from .runs import now
from .tables import OwnMeta, Table

OBJECTS = "rollback_app_object"
SNAPSHOTS = "rollback_app_snapshot"


class ObjectEntry(models.Model):
    """A definition."""

    kind = models.CharField(max_length=20)
    name = models.TextField()
    definition = models.TextField()

    class Meta(OwnMeta):
        db_table = OBJECTS

    def __str__(self) -> str:
        return f"{self.pk}: {self.kind} {self.name}"


class SnapshotEntry(models.Model):
    """What there was. at: text, as in the journal. applied: the digest of the names of all migrations that were applied. numbers:
    JSON, those of the definitions."""

    at = models.CharField(max_length=40)
    applied = models.CharField(max_length=64)
    numbers = models.TextField()

    class Meta(OwnMeta):
        db_table = SNAPSHOTS

    def __str__(self) -> str:
        return f"{self.pk}: {self.at}"


def record_objects(database: Database, applied: Collection[Key], found: Sequence[Defined]) -> None:
    """Record what there is while these migrations are applied, unless that is known. Errors: those of Django's database layer."""
    entries, snapshots = Table(database, ObjectEntry), Table(database, SnapshotEntry)
    known = dict(entries.must_read(_numbered))
    entries.add_all([vars(each) for each in dict.fromkeys(found) if each not in known])
    known = dict(entries.must_read(_numbered))
    numbers = [known[each] for each in found]
    newest = next((there for digest, _, there in snapshots.must_read(_snapshot) if digest == _digest(applied)), None)
    if newest != numbers:
        snapshots.add(at=now(), applied=_digest(applied), numbers=json.dumps(numbers))


def recorded_objects(database: Database, applied: Collection[Key]) -> tuple[datetime, tuple[Defined, ...]] | None:
    """When somebody last recorded what there was while just these migrations were applied, and that; None, if nobody did."""
    snapshots = Table(database, SnapshotEntry).read(_snapshot)
    newest = next(((at, numbers) for digest, at, numbers in snapshots if digest == _digest(applied)), None)
    if newest is None:
        return None
    at, numbers = newest
    known = {number: each for each, number in Table(database, ObjectEntry).read(_numbered)}
    return (at, tuple(known[number] for number in numbers)) if known.keys() >= set(numbers) else None


def _digest(applied: Collection[Key]) -> str:
    return hashlib.sha256("\n".join(sorted(map(str, applied))).encode()).hexdigest()


def _numbered(row: Any) -> tuple[Defined, int]:
    return Defined(row.kind, row.name, row.definition), row.id


def _snapshot(row: Any) -> tuple[str, datetime, list[int]]:
    return row.applied, datetime.fromisoformat(row.at), json.loads(row.numbers)
