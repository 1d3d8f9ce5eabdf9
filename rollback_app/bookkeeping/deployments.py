"""What is remembered of deployments: a table of our own, made on first need as Django makes `django_migrations`."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence

from django.apps.registry import Apps
from django.conf import settings
from django.db import DatabaseError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.utils.timezone import get_default_timezone, make_aware, make_naive

from rollback_app.history import RecordedDeployment

TABLE = "rollback_app_deployment"
LONGEST = 200
_LOGGER = logging.getLogger(__name__)


class Deployment(models.Model):
    """In a registry of its own, so that no migration is made for it and none unmakes it."""

    release = models.CharField(max_length=LONGEST)
    start = models.DateTimeField()
    end = models.DateTimeField()

    objects: models.Manager[Deployment] = models.Manager()

    class Meta:
        apps = Apps()
        app_label = "rollback_app"
        db_table = TABLE
        auto_created = True  # Django sends no signals for such models; receivers of any model know nothing of this one

    def __str__(self) -> str:
        return f"{self.release or '?'} from {self.start} to {self.end}"


def recorded_deployments(connection: BaseDatabaseWrapper) -> list[RecordedDeployment]:
    """All that is remembered, in the order of writing; nothing where there is no table."""
    if not _exists(connection):
        return []
    found = Deployment.objects.using(connection.alias).order_by("id").values_list("release", "start", "end")
    return [RecordedDeployment(release, _in_utc(start), _in_utc(end)) for release, start, end in found]


def add_deployment(connection: BaseDatabaseWrapper, recorded: RecordedDeployment) -> None:
    if not _exists(connection):
        with connection.schema_editor() as editor:
            editor.create_model(Deployment)
    with transaction.atomic(using=connection.alias):
        Deployment.objects.using(connection.alias).create(
            release=recorded.release, start=_stored(recorded.start), end=_stored(recorded.end)
        )


def _exists(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        return TABLE in connection.introspection.table_names(cursor)


def _in_utc(stored: dt.datetime) -> dt.datetime:
    if stored.tzinfo is None:
        stored = make_aware(stored, get_default_timezone())
    return stored.astimezone(dt.timezone.utc)


def _stored(at: dt.datetime) -> dt.datetime:
    return at if settings.USE_TZ else make_naive(at, get_default_timezone())


class Recorder:
    """Sees each `migrate` begin and end, by Django's signals, which come once for each app."""

    def __init__(self) -> None:
        self.begun: dict[str, tuple[object, str, dt.datetime]] = {}

    def begin(self, alias: str, plan: Sequence[tuple[Migration, bool]], release: Callable[[], str]) -> None:
        """A rollback, and a `migrate` that has nothing to apply, are no deployments."""
        if all(backwards for _, backwards in plan):
            self.begun.pop(alias, None)
        # Another plan is another run: the one before it failed, and had no end.
        elif alias not in self.begun or self.begun[alias][0] is not plan:
            self.begun[alias] = plan, release()[:LONGEST], dt.datetime.now(dt.timezone.utc)

    def end(self, alias: str) -> None:
        if alias in self.begun:
            _, release, start = self.begun.pop(alias)
            try:
                add_deployment(connections[alias], RecordedDeployment(release, start, dt.datetime.now(dt.timezone.utc)))
            except DatabaseError as error:  # the deployment itself went well, and is not to fail for this
                _LOGGER.warning("The deployment on %s was not recorded: %s", alias, error)
