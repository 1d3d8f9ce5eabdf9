"""Hand-made rows of `django_migrations`, and what the statement says about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone, tzinfo

from django.db.migrations.recorder import MigrationRecorder

from rollback_app import legacy
from rollback_app.moments import Moment
from tests.support.databases import Database

T = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
MOMENT = Moment("2024-05-01 08:00+00:00", T, timezone.utc, "UTC")

# (app, name, seconds after T); the ids follow the order of the list.
HandMade = tuple[str, str, float]


def early(app: str, *names: str, at: float = -1000) -> list[HandMade]:
    return [(app, name, at + number) for number, name in enumerate(names)]


def late(app: str, *names: str, at: float = 0) -> list[HandMade]:
    return [(app, name, at + number) for number, name in enumerate(names)]


def write(database: Database, rows: Iterable[HandMade]) -> None:
    recorder = MigrationRecorder(database.connection)
    recorder.ensure_schema()
    recorder.Migration.objects.using(database.alias).bulk_create(
        recorder.Migration(id=number, app=app, name=name, applied=T + timedelta(seconds=seconds))
        for number, (app, name, seconds) in enumerate(rows, 1)
    )


def ask(database: Database, moment: Moment = MOMENT, *, stored_in: tzinfo = timezone.utc, alias: str = "") -> list[str]:
    """What the statement returns, run with the database's own client library."""
    sql = legacy.statement(database.connection.vendor, moment, stored_in=stored_in, database=alias)
    with database.connection.cursor() as cursor:
        cursor.execute(sql)
        return [line for (line,) in cursor.fetchall()]


def commands(lines: Iterable[str]) -> list[Sequence[str]]:
    """(app, target) of each line that is a command."""
    return [line.split()[3:5] for line in lines if not line.startswith("#")]
