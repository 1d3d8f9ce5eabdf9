"""Migrations and rows as plain data, for tests of the pure core: no files, no database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation

from rollback_app.history import Code, Cut, Key, Record

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
CUT = Cut(NOON)


def key(text: str) -> Key:
    return Key(*text.split("."))


def keys(*texts: str) -> list[Key]:
    return [key(text) for text in texts]


def made(name: str, *depends: str, operations: Sequence[Operation] = (), **attributes: Any) -> Migration:
    """A migration `app.name` that depends on others; further attributes, as `replaces`, in the same short form."""
    app, short = name.split(".")
    migration = Migration(short, app)
    migration.dependencies = [(found.app, found.name) for found in map(key, depends)]
    migration.operations = list(operations)
    for attribute, names in attributes.items():
        setattr(migration, attribute, [(found.app, found.name) for found in map(key, names)])
    return migration


def code(*migrations: Migration, unmigrated: Sequence[str] = ()) -> Code:
    return Code.of(migrations, unmigrated)


def recorded(*names: str, late: Sequence[str] = ()) -> list[Record]:
    """Rows in this order: the early ones a minute apart until 11:00, then the late ones from 12:00 on."""
    early = NOON - timedelta(hours=1, minutes=len(names))
    rows = [Record(index, key(name), early + timedelta(minutes=index)) for index, name in enumerate(names, 1)]
    more = [
        Record(index + len(names), key(name), NOON + timedelta(minutes=index - 1)) for index, name in enumerate(late, 1)
    ]
    return rows + more
