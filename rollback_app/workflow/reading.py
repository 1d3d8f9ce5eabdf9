"""Looking at one database: under a read lock of its own, for a moment, as a plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import DatabaseError, InterfaceError

from rollback_app import bookkeeping, conf, moments, planner, project
from rollback_app.bookkeeping import (
    Journal,
    recorded_deployments,
)
from rollback_app.checking import with_declared
from rollback_app.database import Database, first_line
from rollback_app.errors import CodeUnusable, DatabaseUnusable, Locked, UsageError
from rollback_app.history import Code, Cut, Key, Outcome, Record
from rollback_app.history import deployments as grouped
from rollback_app.moments import Moment, kinds
from rollback_app.packages import Package, with_packages
from rollback_app.planner import Choices, Plan
from rollback_app.states import States, with_reverses

from .once import Once


def code(database: Database, package: Package | None = None, once: Once | None = None) -> Code:
    """The migrations on disk, and from packages those that are recorded and not on disk: the given one, and those that are stored
    in the database, if the settings say so. once: see there. All with the project's own reverses, and what it declares of them.

    Errors: UsageError, for a package of another project; CodeUnusable; those of Django's database layer.
    """
    found = once.code() if once else project.code()
    packages = [package] if package else []
    if package:
        _check_project(package, found.migrations.keys())
    if package or conf.packages():
        recorded = {record.key for record in database.records()}
        if conf.packages():
            packages += bookkeeping.stored_packages(database, recorded - found.migrations.keys())
        found = with_packages(found, packages, recorded)
    try:
        reverses = conf.reverses()
    except ImproperlyConfigured as error:
        raise CodeUnusable(str(error), hint="Fix it in the settings.") from error
    return with_declared(with_reverses(found, reverses, project.digest), conf.declared())


def _check_project(package: Package, here: Collection[Key]) -> None:
    same = len(package.code.intersection(here))
    if same * 2 < len(here):
        raise UsageError(
            f"The package {package.where} is probably another project's: its release has {same or 'none'} of the {len(here)} "
            "migrations of this code.",
            hint="Give a package of this project.",
        )


@contextmanager
def reading(database: Database) -> Iterator[None]:
    """`Database.reading` of what a rollback changes. Errors: Locked, which tells of a rollback whose it is."""
    try:
        with database.reading():
            yield
    except Locked as error:
        tell_whose(database, error)
        raise


@contextmanager
def writing(database: Database) -> Iterator[None]:
    """`Database.all_or_nothing`, for what is no rollback. Errors: Locked; DatabaseUnusable."""
    with errors_of_writing(database), database.all_or_nothing():
        yield


@contextmanager
def errors_of_writing(database: Database) -> Iterator[None]:
    """Errors: Locked and DatabaseUnusable, for those of Django's database layer."""
    try:
        yield
    except Locked as error:
        tell_whose(database, error)
        error.hint = f"{error.hint.partition(';')[0]}."  # there are no --retries here
        raise
    except (DatabaseError, InterfaceError) as error:
        if database.is_lock_timeout(error):
            hint = "Nothing was changed. Wait until they are done and run the same command again."
            raise Locked(database.held().message, hint=hint) from error
        raise DatabaseUnusable(
            f"{database.title} cannot be written to: {first_line(error)}", hint="Check the rights of its user."
        ) from error


def tell_whose(database: Database, error: Locked) -> None:
    """Add to the message what the journal knows about a rollback that is in the way."""
    if not error.by_rollback:
        return
    with suppress(Locked, DatabaseUnusable), database.reading(during_a_rollback=True):
        for run in [each for each in Journal(database).records() if each.outcome is Outcome.STARTED]:
            who = f"{run.operator} on {run.host}" if run.operator else run.host
            began = f"It was started by {who} at {run.started:%Y-%m-%d %H:%M:%S} UTC"
            error.message += f"\n{began}:\n  {run.command}" if run.command else f"\n{began}."


def zone_name(name: str | None) -> str:
    return settings.TIME_ZONE if name is None else name


def finder(
    moment: str | Moment,
    zone: str | None,
    now: datetime,
    gap: timedelta,
    text_of: Callable[[str], str] = project.text_of,
) -> Callable[[Database, Code], Moment]:
    """What tells for a database and a code which moment is meant; a date and time is the same for all of them."""
    kind = kinds.of(moment) if isinstance(moment, str) else None
    if isinstance(moment, Moment) or kind is None:
        said = moments.parse(moment, default_zone=zone_name(zone), now=now) if isinstance(moment, str) else moment
        return lambda database, code: said
    find, argument = kind
    local, open_once = moments.zone_named(zone_name(zone)), cache(text_of)  # stdin can be read only once

    def look_up(database: Database, code: Code) -> Moment:
        rows, recorded = database.records(), recorded_deployments(database)
        precision = database.precision()
        groups = grouped(rows, gap, recorded, precision)
        broke_off = _broke_off(database, rows)
        known = kinds.Known(moment, rows, code, groups, recorded, precision, local, now, open_once, broke_off)
        return find(argument, known)

    return look_up


def _broke_off(database: Database, rows: Sequence[Record]) -> str:
    """The command of the newest run, if it broke off after some of its steps, and nothing was applied since; else empty."""
    newest = next(iter(Journal(database).records()), None)
    if newest is None or newest.outcome in (Outcome.FINISHED, Outcome.STARTED) or not newest.steps_done:
        return ""
    if any(row.applied > newest.started for row in rows):
        return ""
    return newest.command or "it was run through the Python API"


def plan_for(database: Database, code: Code, moment: Moment, choices: Choices, once: Once | None = None) -> Plan:
    rows = database.records()
    kept = None if moment.kept is None else frozenset(Key(*name) for name in moment.kept)
    cut = Cut(moment.at, database.precision(), kept, moment.zero)
    position, recorded = Journal(database).position(), recorded_deployments(database)
    states = once.states if once else States
    return planner.plan(code, rows, cut, choices, database.names(), position, recorded, states)
