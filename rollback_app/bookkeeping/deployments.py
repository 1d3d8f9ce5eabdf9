"""What is remembered of deployments, in a table of our own."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections, models
from django.db.migrations import Migration
from django.utils.timezone import get_default_timezone, make_aware, make_naive

from rollback_app.database import Database, Timeouts, kind_of
from rollback_app.history import RecordedDeployment

from .tables import OwnMeta, Table

TABLE = "rollback_app_deployment"
LONGEST = 200
_LOGGER = logging.getLogger(__name__)


class Deployment(models.Model):
    """What is remembered of one."""

    release = models.CharField(max_length=LONGEST, default="")
    start = models.DateTimeField()
    end = models.DateTimeField()

    class Meta(OwnMeta):
        db_table = TABLE

    def __str__(self) -> str:
        return f"{self.release or '?'} from {self.start} to {self.end}"


def recorded_deployments(database: Database) -> list[RecordedDeployment]:
    """All that is remembered, in the order of writing; nothing where there is no table."""
    return Table(database, Deployment).read(_recorded)[::-1]


def add_deployment(database: Database, recorded: RecordedDeployment) -> None:
    """Errors: those of Django's database layer."""
    Table(database, Deployment).add(release=recorded.release, start=_stored(recorded.start), end=_stored(recorded.end))


def _recorded(row: Any) -> RecordedDeployment:
    return RecordedDeployment(row.release, _in_utc(row.start), _in_utc(row.end))


def _in_utc(stored: dt.datetime) -> dt.datetime:
    if stored.tzinfo is None:
        stored = make_aware(stored, get_default_timezone())
    return stored.astimezone(dt.timezone.utc)


def _stored(at: dt.datetime) -> dt.datetime:
    return at if settings.USE_TZ else make_naive(at, get_default_timezone())


class Recorder:
    """Sees each `migrate` begin and end, by Django's signals, which come once for each app."""

    def __init__(self) -> None:
        self.begun: dict[str, tuple[object, str, dt.datetime, Database]] = {}

    def begin(self, alias: str, plan: Sequence[tuple[Migration, bool]], release: Callable[[], str]) -> None:
        """A rollback, and a `migrate` that has nothing to apply, are no deployments; neither is one of a database that cannot
        be rolled back."""
        kind = kind_of(connections[alias])
        if kind is None or all(backwards for _, backwards in plan):
            self.begun.pop(alias, None)
        # Another plan is another run: the one before it failed, and had no end.
        elif alias not in self.begun or self.begun[alias][0] is not plan:
            database = kind(connections[alias], Timeouts())
            self.begun[alias] = plan, release()[:LONGEST], dt.datetime.now(dt.timezone.utc), database

    def end(self, alias: str) -> None:
        if alias in self.begun:
            _, release, start, database = self.begun.pop(alias)
            recorded = RecordedDeployment(release, start, dt.datetime.now(dt.timezone.utc))
            try:
                add_deployment(database, recorded)
            except DatabaseError as error:  # the deployment itself went well, and is not to fail for this
                _LOGGER.warning("The deployment on %s was not recorded: %s", alias, error)
