"""The Python API: look at a rollback, and run it. The only place that knows the order of the stages.

    previews = workflow.preview("2024-05-01 10:00+00:00")
    results = workflow.roll_back(previews, destroy_data=True)

Nothing here prints or asks: what is under way is told to a `Progress`, what cannot be done is raised as a RollbackError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache, partial
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.utils import DatabaseError, InterfaceError

from rollback_app import database as databases
from rollback_app import executor, moments, planner, project, safety
from rollback_app.bookkeeping import (
    DEPLOYMENTS_TABLE,
    LONGEST,
    RUNS_TABLE,
    Journal,
    add_deployment,
    recorded_deployments,
)
from rollback_app.database import Database, Timeouts, first_line
from rollback_app.errors import DatabaseUnusable, Locked, RollbackError, UsageError, shown
from rollback_app.executor import Bookmark, Done, Progress, Rehearsal, Retries, StepFailed
from rollback_app.history import Cut, Key, Outcome, Record, RecordedDeployment, Run, with_applied_again
from rollback_app.history import deployments as grouped
from rollback_app.moments import Moment, kinds, manifest
from rollback_app.planner import Choices, Plan
from rollback_app.safety import Comparison, Listed, Listing, Preview, marks, rolled_back


@dataclass(frozen=True)
class Result:
    """What a run did to one database."""

    preview: Preview
    done: tuple[Done, ...]
    comparison: Comparison | None = None


class _Noted(Journal, Bookmark):
    """The journal, as the executor keeps its place in it."""


class Unfinished(RollbackError):
    """A run over several databases broke off. results: the databases that are done; cause: what happened to the next."""

    def __init__(
        self, cause: RollbackError, results: Sequence[Result], failed: Preview, left: Sequence[Preview]
    ) -> None:
        done = ", ".join(result.preview.alias for result in results)
        names = ", ".join(preview.alias for preview in left)
        here = f"Nothing was changed in {failed.alias}"  # and what about the others, the next sentence says
        summary = f"Databases rolled back before that: {done or 'none'}; not begun: {names or 'none'}."
        message, hint = (text.replace("Nothing was changed", here) for text in (cause.message, cause.hint))
        rest = " ".join(f"--database {preview.alias}" for preview in [failed, *left])
        super().__init__(f"{message}\n{summary}", hint=f"{hint} Name only the databases that are left: {rest}")
        self.cause, self.results, self.returncode = cause, tuple(results), cause.returncode


def preview(
    moment: str | Moment,
    *,
    using: Sequence[str] = (DEFAULT_DB_ALIAS,),
    zone: str | None = None,
    choices: Choices = planner.NO_CHOICES,
    step_by_step: bool = False,
    count: bool = True,
    timeouts: Timeouts | None = None,
) -> list[Preview]:
    """What going back to the moment would do to each database; changes nothing.

    moment: as `moments.parse` reads it, in `zone` (an IANA name; the project's TIME_ZONE without one) if it has no offset; or
    another kind of moment, as `kinds.KINDS` has them, looked up in each database by itself.
    count: look at live rows to tell what would be lost; without it every drop counts as a loss.

    Errors: UsageError, DatabaseUnusable, CodeUnusable.
    """
    now = datetime.now(timezone.utc)
    find = _finder(moment, zone, now, choices.gap)
    found = []
    for alias in dict.fromkeys(using):
        database = databases.get(alias, timeouts or Timeouts())
        one_transaction = database.can_undo_ddl and not step_by_step
        with _reading(database):
            here = find(database)
            plan = _plan(database, here, choices)
            findings = safety.judge(plan, database, one_transaction=one_transaction, count=count)
        found.append(Preview(alias, database.title, here, plan, findings, one_transaction, now))
    return found


def _finder(moment: str | Moment, zone: str | None, now: datetime, gap: timedelta) -> Callable[[Database], Moment]:
    """What tells for a database which moment is meant; a date and time is the same for all of them."""
    kind = kinds.of(moment) if isinstance(moment, str) else None
    if isinstance(moment, Moment) or kind is None:
        said = moments.parse(moment, default_zone=_zone(zone), now=now) if isinstance(moment, str) else moment
        return lambda database: said
    find, argument = kind
    local, open_once = moments.zone_named(_zone(zone)), cache(project.text_of)  # stdin can be read only once

    def look_up(database: Database) -> Moment:
        rows, recorded = database.records(), recorded_deployments(database)
        precision = database.precision()
        groups = grouped(rows, gap, recorded, precision)
        broke_off = _broke_off(database, rows)
        known = kinds.Known(moment, rows, project.code(), groups, recorded, precision, local, now, open_once, broke_off)
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


def _zone(name: str | None) -> str:
    return settings.TIME_ZONE if name is None else name


def deployments(
    alias: str = DEFAULT_DB_ALIAS,
    *,
    gap: timedelta = planner.DEFAULT_GAP,
    zone: str | None = None,
    limit: int | None = None,
    since: str | None = None,
    count: bool = True,
) -> Listing:
    """The deployments of a database, newest first, each with the blockers of a rollback to before it; changes nothing.

    limit: so many of the newest. since: those that ended at or after it, as `moments.parse` reads it. count: look at live
    rows, as a plan does.

    Errors: UsageError, DatabaseUnusable, CodeUnusable.
    """
    now = datetime.now(timezone.utc)
    local = moments.zone_named(_zone(zone))
    after = moments.parse(since, default_zone=_zone(zone), now=now).at if since is not None else None
    database, code = databases.get(alias), project.code()
    with _reading(database):
        rows, recorded, precision = database.records(), recorded_deployments(database), database.precision()
        groups, position = grouped(rows, gap, recorded, precision), Journal(database).position()
        chosen = [group for group in reversed(groups) if after is None or group.end >= after][:limit]
        found = []
        for number, group in enumerate(chosen, 1):
            cut, choices = Cut(group.start, precision), Choices(gap=gap)
            plan = planner.plan(code, rows, cut, choices, database.names(), position, recorded)
            blockers = safety.blockers(plan, database, one_transaction=database.can_undo_ddl, count=count)
            found.append(Listed(number, cut.to_paste(rows), group, marks(group, plan), blockers))
        gone = rolled_back(Journal(database).records(), rows, gap, recorded, precision)
    oldest = after if after or not chosen or chosen[-1] is groups[0] else chosen[-1].start
    shown = tuple(each for each in gone if oldest is None or each.deployment.start >= oldest)
    return Listing(alias, database.title, local, gap, tuple(found), shown, len(groups), now)


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
    moments.zone_named(_zone(zone))
    when = now if at is None else moments.parse(at, default_zone=_zone(zone), now=now).at
    database = databases.get(alias)
    with _reading(database):
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
            hint=f"Its user must be allowed to make and to fill the table {DEPLOYMENTS_TABLE}.",
        ) from error
    return mark


def code_manifest() -> dict[str, Any]:
    """The migrations that this code has. Errors: CodeUnusable."""
    return manifest.data(project.code())


def roll_back(
    previews: Sequence[Preview],
    *,
    destroy_data: bool = False,
    progress: Progress | None = None,
    timeouts: Timeouts | None = None,
    journal: bool = True,
    command: str = "",
    retries: Retries | None = None,
    verify: bool = True,
) -> list[Result]:
    """Run what was looked at. destroy_data: the consent to lose what the findings say would be lost. journal: note the run in
    the database; command: what was typed, for that note. retries: how often to begin again after waiting for a lock in vain,
    if nothing is committed yet. verify: compare the tables at the end with what the migrations at the target say, and fail if
    the run made them differ.

    Errors: Refused, if something blocks, consent is missing, or the history changed since; Locked; StepFailed, which says
    what state the database is in; Unfinished, if that happened to one of several databases.
    """
    safety.check_nothing_blocks(previews)
    safety.check_nothing_lost(previews, agreed=destroy_data)
    results: list[Result] = []
    for index, looked_at in enumerate(previews):
        try:
            note = command if journal else None
            attempt = partial(_run, looked_at, progress or Progress(), timeouts or Timeouts(), note, verify=verify)
            undone = (Locked, StepFailed) if looked_at.one_transaction else (Locked,)
            results.append((retries or Retries()).run(attempt, again_after=undone))
        except RollbackError as error:
            if isinstance(error, Locked):
                _tell_whose(databases.get(looked_at.alias), error)
            if len(previews) == 1:
                raise
            raise Unfinished(error, results, looked_at, previews[index + 1 :]) from error
    return results


def rehearse(
    previews: Sequence[Preview],
    *,
    progress: Progress | None = None,
    timeouts: Timeouts | None = None,
    verify: bool = True,
) -> list[tuple[Preview, Rehearsal]]:
    """Do all that `roll_back` would do, and take it back. Needs no consent, and is not noted in the journal.

    Errors: Refused, if something blocks, or if what is done could not be taken back; Locked; StepFailed.
    """
    safety.check_nothing_blocks(previews)
    safety.check_can_be_taken_back(previews)
    return [
        (looked_at, _rehearse(looked_at, progress or Progress(), timeouts or Timeouts(), verify=verify))
        for looked_at in previews
        if not looked_at.plan.empty
    ]


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


@contextmanager
def _reading(database: Database) -> Iterator[None]:
    """`Database.reading` of what a rollback changes. Errors: Locked, which tells of a rollback whose it is."""
    try:
        with database.reading():
            yield
    except Locked as error:
        _tell_whose(database, error)
        raise


def _tell_whose(database: Database, error: Locked) -> None:
    """Add to the message what the journal knows about a rollback that is in the way."""
    if not error.by_rollback:
        return
    with suppress(Locked, DatabaseUnusable), database.reading(during_a_rollback=True):
        for run in [each for each in Journal(database).records() if each.outcome is Outcome.STARTED]:
            who = f"{run.operator} on {run.host}" if run.operator else run.host
            began = f"It was started by {who} at {run.started:%Y-%m-%d %H:%M:%S} UTC"
            error.message += f"\n{began}:\n  {run.command}" if run.command else f"\n{began}."


def _run(looked_at: Preview, progress: Progress, timeouts: Timeouts, command: str | None, *, verify: bool) -> Result:
    """command: None for a run that is not noted."""
    if looked_at.plan.empty:
        return Result(looked_at, ())
    database = databases.get(looked_at.alias, timeouts)
    bookmark = None if command is None else _begun(database, looked_at, progress, command)
    try:
        outcome = executor.run(
            database,
            looked_at.plan,
            lambda: _plan_again(database, looked_at),
            progress,
            bookmark or Bookmark(),
            one_transaction=looked_at.one_transaction,
            verify=verify,
            named=_named(looked_at),
        )
    except RollbackError as error:
        progress.broke_off()
        if bookmark:
            # The error itself is what counts; a run that could not be noted as failed is shown as broken off.
            with suppress(DatabaseError, InterfaceError):
                database.connection.close_if_unusable_or_obsolete()
                bookmark.failed(error.message, doubtful=isinstance(error, StepFailed) and error.doubtful)
        raise
    return Result(looked_at, outcome.done, outcome.comparison)


def _named(looked_at: Preview) -> frozenset[str]:
    """The objects that no migration knows, and of which the plan says that they go."""
    return safety.named(finding.facts for finding in looked_at.findings)


def _rehearse(looked_at: Preview, progress: Progress, timeouts: Timeouts, *, verify: bool) -> Rehearsal:
    database = databases.get(looked_at.alias, timeouts)
    choices = looked_at.plan.basis.choices
    try:
        return executor.rehearse(
            database,
            looked_at.plan,
            lambda: _plan(database, looked_at.moment, choices),
            progress,
            verify=verify,
            named=_named(looked_at),
        )
    except RollbackError:
        progress.broke_off()
        raise


def _begun(database: Database, looked_at: Preview, progress: Progress, command: str) -> _Noted | None:
    """The journal of a run that begins; None, if it cannot be written and the run can do without.

    Errors: Locked; DatabaseUnusable, where only the journal tells how to go on after a failure.
    """
    bookmark = _Noted(database)
    try:
        with database.settings_of_run():
            moment = looked_at.moment
            bookmark.begin(
                looked_at.plan,
                moment.at if moment.kept is None else None,
                command,
                one_transaction=looked_at.one_transaction,
            )
    except (DatabaseError, InterfaceError) as error:
        if database.is_lock_timeout(error):
            raise database.held() from error
        words = f"The journal of {database.title} cannot be written: {first_line(error)}"
        if not database.can_undo_ddl:
            raise DatabaseUnusable(
                f"{words}. Without it, a run that breaks off inside a migration could not go on. Nothing was changed.",
                hint=f"Let its user create the table {RUNS_TABLE}, or add --no-journal.",
            ) from error
        if not bookmark.ignored:  # which was a warning already
            progress.warned(f"{words}. The run goes on without it.")
        return None
    return bookmark


def _plan_again(database: Database, looked_at: Preview) -> Plan:
    """The plan for what is recorded now: the same, if that is the same, for a plan is made of nothing else that can change."""
    plan = looked_at.plan
    if database.records() == plan.basis.records and Journal(database).position() == plan.earlier.position:
        return plan
    return _plan(database, looked_at.moment, plan.basis.choices)


def _plan(database: Database, moment: Moment, choices: Choices) -> Plan:
    rows = database.records()
    kept = None if moment.kept is None else frozenset(Key(*name) for name in moment.kept)
    cut = Cut(moment.at, database.precision(), kept, moment.zero)
    position, recorded = Journal(database).position(), recorded_deployments(database)
    return planner.plan(project.code(), rows, cut, choices, database.names(), position, recorded)
