"""System checks: are the settings right, and are the clocks and records that a rollback relies on?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone as django_timezone

from . import backup, conf, database, project
from .bookkeeping import Catalogue
from .errors import RollbackError
from .safety import Size
from .states import reverse_problems

ALLOWED = timedelta(minutes=1)


def clocks(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for alias in databases or ():
        try:
            distance = _distance(connections[alias])
        except DatabaseError:
            continue  # `migrate`, or whatever asked for this check, says so
        if abs(distance) > ALLOWED:
            words = f"{abs(distance).total_seconds():.0f} s {'ahead of' if distance > timedelta() else 'behind'}"
            found.append(
                Warning(
                    f"The clock of the database '{alias}' is {words} that of this machine, which times migrations.",
                    hint="Set both clocks by the network (NTP), or check `showdeployments` before you choose a moment.",
                    id="rollback.W101",
                )
            )
    return found


def _distance(connection: BaseDatabaseWrapper) -> timedelta:
    """How far the clock of the database is ahead."""
    kind = database.kind_of(connection)
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
                    f"{len(names)} record{'s' if len(names) > 1 else ''} of django_migrations in the database '{alias}' "
                    f"{'are' if len(names) > 1 else 'is'} in the future: "
                    f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}.",
                    hint="A clock was wrong. To roll back, give manifest:FILE, which needs no clock.",
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


def kept_for_long(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Personal data may be among it."""
    found: list[CheckMessage] = []
    days = conf.keep_days()
    for alias in databases or ():
        try:
            numbers = _kept_before(connections[alias], datetime.now(timezone.utc) - timedelta(days=days))
        except DatabaseError:
            continue
        if numbers:
            one = len(numbers) == 1
            found.append(
                Warning(
                    f"{'A copy' if one else f'{len(numbers)} copies'} of what was dropped in the database '{alias}' "
                    f"{'is' if one else 'are'} kept for more than {days:g} days: {', '.join(map(str, numbers[:5]))}"
                    f"{', …' if len(numbers) > 5 else ''}.",
                    hint="`showkept` shows what they hold, and `dropkept` drops them. KEEP_DAYS of ROLLBACK in the settings "
                    "says how long is long.",
                    id="rollback.W104",
                )
            )
    return found


def _kept_before(connection: BaseDatabaseWrapper, moment: datetime) -> list[int]:
    kind = database.kind_of(connection)
    entries = Catalogue(kind(connection, database.Timeouts())).entries() if kind else []
    return sorted(entry.number for entry in entries if entry.open and entry.made < moment)


def recording(**kwargs: Any) -> list[CheckMessage]:
    if conf.records():
        return []
    return [
        Warning(
            "Deployments are not recorded, so `showdeployments` groups migrations by the pauses between them.",
            hint="Remove RECORD from ROLLBACK in the settings, or add this warning to SILENCED_SYSTEM_CHECKS.",
            id="rollback.W103",
        )
    ]


def settings(**kwargs: Any) -> list[CheckMessage]:
    hint = (
        f"The keys of ROLLBACK are {', '.join(conf.KEYS)}. See the page about choosing a moment in the documentation."
    )
    problems = conf.problems()
    try:
        size = conf.keep_at_most()
        Size.parse("0" if size is None else size)
    except ValueError as error:
        problems.append(f"ROLLBACK['KEEP_AT_MOST'] is wrong: {error}")
    way, _ = conf.backup()
    if way and (problem := backup.problem(way)):
        problems.append(f"ROLLBACK['BACKUP'] {problem}.")
    found: list[CheckMessage] = [Error(problem, hint=hint, id="rollback.E101") for problem in problems]
    if problem := conf.release_problem():
        found.append(Warning(problem, hint=hint, id="rollback.W106"))
    return found


def reverses(**kwargs: Any) -> list[CheckMessage]:
    """Loads the migrations only if there are any."""
    if conf.problems():
        return []  # E101 says so
    try:
        found = conf.reverses()
        said = list(reverse_problems(project.code(), found, project.digest)) if found else []
    except (ImproperlyConfigured, RollbackError) as error:
        said = [str(error)]
    hint = "See the page about migrations that cannot be undone in the documentation."
    return [Warning(each, hint=hint, id="rollback.W105") for each in said]


def connect() -> None:
    register(settings, "rollback")
    register(reverses, "rollback")
    register(clocks, Tags.database)
    register(future_records, Tags.database)
    register(kept_for_long, Tags.database)
    register(recording, "rollback", deploy=True)  # not at every command, since it may be off on purpose
