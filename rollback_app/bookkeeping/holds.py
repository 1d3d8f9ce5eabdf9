"""Holds, a row for each, in the database that they are about. A hold that was lifted stays, with the time of that."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import models

from rollback_app.database import Database
from rollback_app.history import Hold, HoldSource, Key

from .runs import now, operator
from .tables import OwnMeta, Table

TABLE = "rollback_app_hold"


class HoldEntry(models.Model):
    """migrations: JSON, [[app, name], …]; an empty list holds all. Times are text, as in the journal."""

    since = models.CharField(max_length=40)
    operator = models.CharField(max_length=200)
    host = models.CharField(max_length=200)
    source = models.CharField(max_length=20)
    reason = models.TextField(default="")
    migrations = models.TextField()
    lifted = models.CharField(max_length=40, default="")

    class Meta(OwnMeta):
        db_table = TABLE

    def __str__(self) -> str:
        return f"{self.pk}: {self.source} since {self.since}"


def holds(database: Database) -> list[Hold]:
    """Those that are not lifted, newest first; nothing where there is no table, or it cannot be read."""
    return [hold for hold in Table(database, HoldEntry).read(_hold) if hold]


def add_hold(
    database: Database, source: HoldSource, reason: str, migrations: Iterable[Key] = (), table: Table | None = None
) -> int:
    """The number of the hold. table: where it is written. Errors: those of Django's database layer."""
    return (table or Table(database, HoldEntry)).add(
        since=now(),
        operator=operator(),
        host=socket.gethostname(),
        source=source.value,
        reason=reason,
        migrations=json.dumps([list(key) for key in migrations]),
    )


def lift_holds(database: Database) -> None:
    """Errors: those of Django's database layer."""
    table = Table(database, HoldEntry)
    for hold in holds(database):
        table.change(hold.number, {"lifted": ""}, lifted=now())


def _hold(row: Any) -> Hold | None:
    if row.lifted:
        return None
    by = f"{row.operator} on {row.host}" if row.operator else row.host
    keys = tuple(Key(*name) for name in json.loads(row.migrations))
    since = datetime.fromisoformat(row.since)
    return Hold(HoldSource(row.source), keys, since, by, row.reason, row.id)
