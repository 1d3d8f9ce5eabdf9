"""What is recorded: rollbacks, releases, and the migrations of the code."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.utils import DatabaseError

from rollback_app import database as databases
from rollback_app import moments, project
from rollback_app.bookkeeping import (
    DEPLOYMENTS_TABLE,
    LONGEST,
    Journal,
    add_deployment,
)
from rollback_app.database import first_line
from rollback_app.errors import DatabaseUnusable, Locked, UsageError, shown
from rollback_app.history import Outcome, Record, RecordedDeployment, Run, State, with_applied_again
from rollback_app.moments import manifest

from .reading import reading, zone_name


def rollbacks(using: str = DEFAULT_DB_ALIAS) -> tuple[str, list[Run]]:
    """(what to call a database, the rollbacks that were noted in it, newest first). Errors: UsageError, DatabaseUnusable."""
    database = databases.get(using)
    with database.reading(during_a_rollback=True):
        runs = Journal(database).records()
    records: Sequence[Record] = ()
    precision = timedelta()
    if any(run.steps_done for run in runs) and not any(run.outcome is Outcome.STARTED for run in runs):
        # The journal is worth showing without them, too.
        with suppress(Locked, DatabaseUnusable), database.reading():
            records, precision = database.records(), database.precision()
    return database.title, with_applied_again(runs, records, precision)


def rollback(number: int, using: str = DEFAULT_DB_ALIAS) -> tuple[str, Run, State | None]:
    """(what to call a database, its rollback of this number, what there was before it, if that was noted).

    Errors: UsageError, DatabaseUnusable.
    """
    title, runs = rollbacks(using)
    found = next((run for run in runs if run.number == number), None)
    if found is None:
        raise UsageError(f"No rollback {number} was noted in {title}.", hint="`showrollbacks` lists them.")
    database = databases.get(using)
    with database.reading(during_a_rollback=True):
        return title, found, Journal(database).state(number)


def mark_release(
    name: str, at: str | None = None, alias: str = DEFAULT_DB_ALIAS, zone: str | None = None
) -> RecordedDeployment:
    """Give the state of the database at a moment (now) the name of a release.

    Errors: UsageError, DatabaseUnusable.
    """
    if not name.strip() or len(name) > LONGEST or not name.isprintable():
        raise UsageError(
            f"'{shown(name)}' cannot be the name of a release.",
            hint=f"Give 1 to {LONGEST} characters, none of them a control character, such as 2.1.0.",
        )
    now = datetime.now(timezone.utc)
    moments.zone_named(zone_name(zone))
    when = now if at is None else moments.parse(at, default_zone=zone_name(zone), now=now).at
    database = databases.get(alias)
    with reading(database):
        newest = max((row.applied for row in database.records() if row.applied <= when), default=None)
    if newest is None:
        raise UsageError(
            "No migration was applied before that moment.", hint="`showdeployments` lists what was applied."
        )
    mark = RecordedDeployment(name.strip(), newest, newest)
    try:
        add_deployment(database, mark)
    except DatabaseError as error:
        raise DatabaseUnusable(
            f"{database.title} cannot be written to: {first_line(error)}",
            hint=f"Let its user make and fill the table {DEPLOYMENTS_TABLE}.",
        ) from error
    return mark


def code_manifest() -> dict[str, Any]:
    """The migrations that this code has. Errors: CodeUnusable."""
    return manifest.data(project.code())
