"""Running what was looked at, and rehearsing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial

from django.db import transaction
from django.db.utils import DatabaseError, InterfaceError

from rollback_app import bookkeeping, conf, executor, kept, planner, safety
from rollback_app import database as databases
from rollback_app.bookkeeping import (
    HOLDS_TABLE,
    RUNS_TABLE,
    Journal,
)
from rollback_app.database import Database, Timeouts, first_line
from rollback_app.errors import DatabaseUnusable, Locked, RollbackError
from rollback_app.executor import Bookmark, Done, Progress, Rehearsal, Retries, StepFailed
from rollback_app.history import Backup, HoldSource, State
from rollback_app.kept import BringsBack
from rollback_app.planner import Plan
from rollback_app.safety import Comparison, Kept, ObjectChange, Preview

from .backup import take_all, with_the_way_back
from .reading import plan_for, tell_whose
from .told import told


@dataclass(frozen=True)
class Result:
    """What a run did to one database. kept: of what it dropped. held: may `migrate` not do it again? objects: views, functions
    and triggers that it changed. given_back: what it has put back, as far as that went, of what a `migrate` had kept. backup:
    that was taken first."""

    preview: Preview
    done: tuple[Done, ...]
    comparison: Comparison | None = None
    kept: tuple[Kept, ...] = ()
    held: bool = False
    objects: tuple[ObjectChange, ...] = ()
    given_back: tuple[Kept, ...] = ()
    backup: Backup | None = None


class Ends(Bookmark):
    """Holds `migrate` when all is done, in the run's transaction where there is one. hold: does that, and gives the number of the
    hold; None if nothing is held. held: that number, or 0."""

    hold: Callable[[], int] | None = None
    held = 0

    def finished(self) -> None:
        super().finished()
        self.held = self.hold() if self.hold else 0


class _Noted(Ends, Journal, Bookmark):
    """The journal, as the executor keeps its place in it."""


class Keeper(kept.Keeper, executor.Keeper):
    """Keeps data, as the executor asks for it."""


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
    hold: bool = False,
) -> list[Result]:
    """Run what was looked at. destroy_data: the consent to lose what the findings say would be lost. journal: note the run in
    the database; command: what was typed, for that note. retries: how often to begin again after waiting for a lock in vain,
    if nothing is committed yet. verify: compare the tables at the end with what the migrations at the target say, and fail if
    the run made them differ. hold: refuse a later `migrate` that would apply these migrations again.

    Errors: Refused, if something blocks, consent is missing, or the history changed since; BackupFailed, before anything is
    changed; Locked; StepFailed, which says what state the database is in; Unfinished, if that happened to one of several
    databases.
    """
    safety.check_nothing_blocks(previews)
    safety.check_nothing_lost(previews, agreed=destroy_data)
    progress = progress or Progress()
    backups = take_all(previews, progress)
    results: list[Result] = []
    with with_the_way_back(backups):
        for index, looked_at in enumerate(previews):
            try:
                note = _Note(command, backups.get(looked_at.alias)) if journal else None
                attempt = partial(_run, looked_at, progress, timeouts or Timeouts(), note, verify=verify, hold=hold)
                undone = (Locked, StepFailed) if looked_at.one_transaction else (Locked,)
                with told(looked_at, command, progress):
                    result = (retries or Retries()).run(attempt, again_after=undone)
                results.append(replace(result, backup=backups.get(looked_at.alias)))
            except RollbackError as error:
                if isinstance(error, Locked):
                    tell_whose(databases.get(looked_at.alias), error)
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


@dataclass(frozen=True)
class _Note:
    """What the journal notes of a run that the plan does not know."""

    command: str
    backup: Backup | None


def _run(
    looked_at: Preview, progress: Progress, timeouts: Timeouts, note: _Note | None, *, verify: bool, hold: bool
) -> Result:
    """note: None for a run that is not noted."""
    if looked_at.plan.empty:
        return Result(looked_at, ())
    database = databases.get(looked_at.alias, timeouts)
    keeper = keeper_of(database, looked_at, progress)
    journal = None if note is None else _begun(database, looked_at, progress, note)
    keeper.run = journal.number if journal else 0
    bookmark = journal or Ends()
    if hold:
        bookmark.hold = partial(add_hold, database, looked_at, progress)
    try:
        outcome = executor.run(
            database,
            looked_at.plan,
            lambda: plan_again(database, looked_at),
            progress,
            bookmark,
            one_transaction=looked_at.one_transaction,
            verify=verify,
            named=named_in(looked_at),
            keeper=keeper,
        )
    except RollbackError as error:
        progress.broke_off()
        if journal:
            # The error itself is what counts; a run that could not be noted as failed is shown as broken off.
            with suppress(DatabaseError, InterfaceError):
                database.connection.close_if_unusable_or_obsolete()
                journal.failed(error.message, doubtful=isinstance(error, StepFailed) and error.doubtful)
        raise
    objects = keeper.objects.changes if keeper.objects else ()
    back = tuple(keeper.given_back)
    for words in kept.left_behind(back, database.alias):
        progress.warned(f"Kept data of {database.alias}: {words}")
    return Result(looked_at, outcome.done, outcome.comparison, keeper.kept, bool(bookmark.held), objects, back)


def keeper_of(database: Database, looked_at: Preview, progress: Progress) -> Keeper:
    plan, recorded = looked_at.plan, looked_at.recorded
    objects = None
    if recorded and recorded.at:
        applied = {record.key for record in plan.basis.records}
        objects = BringsBack(database, recorded, applied, progress.warned)
    return Keeper(
        database,
        looked_at.kept,
        plan.steps,
        objects,
        one_transaction=looked_at.one_transaction,
        gives_back=conf.puts_back(),
    )


def add_hold(database: Database, looked_at: Preview, progress: Progress) -> int:
    """The number of the hold; 0 for one that cannot be written, which does not undo the run."""
    try:
        with transaction.atomic(using=database.alias) if database.connection.in_atomic_block else nullcontext():
            keys = [step.key for step in looked_at.plan.steps]
            return bookkeeping.add_hold(database, HoldSource.ROLLBACK, looked_at.reason, keys)
    except (DatabaseError, InterfaceError) as error:
        words = f"`migrate` is not held, since {HOLDS_TABLE} cannot be written: {first_line(error)}"
        progress.warned(f"{words}. Do not run it from the newer release.")
        return 0


def named_in(looked_at: Preview) -> frozenset[str]:
    """The objects that no migration knows, and of which the plan says that they go, or become as they were recorded."""
    hanging = looked_at.recorded.hanging if looked_at.recorded else ()
    return safety.named(finding.facts for finding in looked_at.findings) | {each.name for each in hanging}


def _rehearse(looked_at: Preview, progress: Progress, timeouts: Timeouts, *, verify: bool) -> Rehearsal:
    database = databases.get(looked_at.alias, timeouts)
    choices = looked_at.plan.basis.choices
    try:
        return executor.rehearse(
            database,
            looked_at.plan,
            lambda: plan_for(database, looked_at.plan.basis.code, looked_at.moment, choices),
            progress,
            verify=verify,
            named=named_in(looked_at),
            keeper=keeper_of(database, looked_at, progress),
        )
    except RollbackError:
        progress.broke_off()
        raise


def _begun(database: Database, looked_at: Preview, progress: Progress, note: _Note) -> _Noted | None:
    """The journal of a run that begins; None, if it cannot be written and the run can do without.

    Errors: Locked; DatabaseUnusable, where only the journal tells how to go on after a failure.
    """
    bookmark, state = _Noted(database), state_before(database, looked_at.plan)
    try:
        with database.settings_of_run():
            begin(bookmark, looked_at, note.command, state, note.backup)
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


def begin(journal: Journal, looked_at: Preview, command: str, state: State, backup: Backup | None = None) -> None:
    """Errors: those of Django's database layer."""
    moment = looked_at.moment
    journal.begin(
        looked_at.plan,
        moment.at if moment.kept is None else None,
        command,
        one_transaction=looked_at.one_transaction,
        reason=looked_at.reason,
        state=state,
        backup=backup,
    )


def state_before(database: Database, plan: Plan) -> State:
    """What there is before the run, which also runs if that cannot be told."""
    records = plan.basis.records
    try:
        with database.reading(during_a_rollback=True):
            return State(records, database.table_definitions(planner.changed_tables(plan)))
    except RollbackError as error:
        return State(records, {}, error.message)


def plan_again(database: Database, looked_at: Preview) -> Plan:
    """The plan for what is recorded now: the same, if that is the same, for a plan is made of nothing else that can change."""
    plan = looked_at.plan
    if database.records() == plan.basis.records and Journal(database).position() == plan.earlier.position:
        return plan
    return plan_for(database, plan.basis.code, looked_at.moment, plan.basis.choices)
