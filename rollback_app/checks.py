"""System checks at deploy time: is what going back in time rests on in order?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone as django_timezone

from . import conf, database

ALLOWED = timedelta(minutes=1)


def clocks(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for alias in databases or ():
        try:
            distance = _distance(connections[alias])
        except DatabaseError:
            continue  # whoever asked for this check will say so, and better
        if abs(distance) > ALLOWED:
            words = f"{abs(distance).total_seconds():.0f} s {'ahead of' if distance > timedelta() else 'behind'}"
            found.append(
                Warning(
                    f"The clock of the database '{alias}' is {words} that of this machine, which times migrations.",
                    hint="Set both clocks by the network (NTP), or look at 'python manage.py showdeployments' before you name a "
                    "moment.",
                    id="rollback.W101",
                )
            )
    return found


def _distance(connection: BaseDatabaseWrapper) -> timedelta:
    """How far the clock of the database is ahead."""
    kind = database.KINDS.get(connection.vendor)
    if kind is None or not kind.clock:
        return timedelta()
    with connection.cursor() as cursor:
        cursor.execute(kind.clock)
        (there,) = cursor.fetchone()
    aware: datetime = there.replace(tzinfo=timezone.utc)
    return aware - datetime.now(timezone.utc)


def future_records(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for alias in databases or ():
        try:
            names = _future_records(connections[alias])
        except DatabaseError:
            continue
        if names:
            found.append(
                Warning(
                    f"{len(names)} rows of django_migrations in the database '{alias}' lie in the future: "
                    f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}.",
                    hint="Someone's clock was wrong. To roll back, name manifest:FILE, which needs no clock.",
                    id="rollback.W102",
                )
            )
    return found


def _future_records(connection: BaseDatabaseWrapper) -> list[str]:
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return []
    late = recorder.migration_qs.filter(applied__gt=django_timezone.now() + ALLOWED).order_by("id")
    return [f"{app}.{name}" for app, name in late.values_list("app", "name")]


def recording(**kwargs: Any) -> list[CheckMessage]:
    if conf.records():
        return []
    return [
        Warning(
            "Deployments are not recorded, so that showdeployments has to guess them.",
            hint="Take RECORD out of ROLLBACK in the settings, or put this warning into SILENCED_SYSTEM_CHECKS.",
            id="rollback.W103",
        )
    ]


def connect() -> None:
    register(clocks, Tags.database)
    register(future_records, Tags.database)
    register(recording, "rollback", deploy=True)  # whoever switched it off should not be told at every command
