"""Reading `django_migrations`, as Django stores it for a database and USE_TZ."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import DatabaseError

from rollback_app.errors import DatabaseUnusable
from rollback_app.history import Key, Record

from .errors import first_line
from .shapes import is_there


def read(
    connection: BaseDatabaseWrapper, title: str, is_missing: Callable[[BaseException], bool]
) -> tuple[Record, ...]:
    """Its rows, in the order of recording. title: of the database, for messages. is_missing: is this error about a column?

    Errors: DatabaseUnusable, if there is no such table, or not as Django makes it; those of Django's database layer.
    """
    recorder = MigrationRecorder(connection)
    if not is_there(connection, recorder.Migration._meta.db_table):
        raise DatabaseUnusable(
            f"{title} has no table django_migrations: Django has never migrated it.",
            hint="It is probably the wrong database. Check DATABASES in the settings, or name another with --database.",
        )
    found = recorder.migration_qs.order_by("id").values_list("id", "app", "name", "applied")
    try:
        return tuple(Record(id, Key(app, name), _in_utc(applied)) for id, app, name, applied in found)
    except DatabaseError as error:
        if not is_missing(error):
            raise
        raise _other(title, f"{first_line(error)}.") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise _other(title, f"a time in its column applied cannot be read ({first_line(error)}).") from error


def _other(title: str, why: str) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"The table django_migrations of {title} is not as Django makes it: {why}",
        hint="Fix that, or restore the table from a backup. `showmigrations --list` must work again.",
    )


def _in_utc(stored: dt.datetime | None) -> dt.datetime:
    """A stored time is aware with USE_TZ, and else in the project's zone (django.utils.timezone.now)."""
    if stored is None:
        raise ValueError("there is none")
    if stored.tzinfo is None:
        stored = stored.replace(tzinfo=ZoneInfo(settings.TIME_ZONE))
    return stored.astimezone(dt.timezone.utc)
