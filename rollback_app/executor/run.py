"""Unapplies a plan with Django's own operations and schema editor: in one transaction, or step by step.

Django's executor is not used: it computes states for another order, records a step outside the step's transaction, and
cannot run a whole plan in one transaction. Django decides what an operation does; this module decides what surrounds it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from django.db import transaction

from rollback_app.database import Database
from rollback_app.history import Record
from rollback_app.planner import Kind, Plan, Step
from rollback_app.safety import Comparison, Refused
from rollback_app.states import States, Undo

from .failures import StepFailed, after_all_or_nothing, after_some_steps
from .pieces import undo_in_pieces
from .progress import AFTER, BEFORE, BRINGS_BACK, KEEPS, NOTES, RECEIVED, RECORDS, Bookmark, Done, Keeper, Progress
from .signals import signals
from .steps import give_back, undo
from .watch import Watch

_Prepare = Callable[[], Plan]


@dataclass(frozen=True)
class Outcome:
    """What a run did. comparison: None, if nothing was verified."""

    done: tuple[Done, ...]
    comparison: Comparison | None


def run(
    database: Database,
    expected: Plan,
    prepare: _Prepare,
    progress: Progress,
    bookmark: Bookmark,
    *,
    one_transaction: bool,
    verify: bool = True,
    before_rollback: Callable[[], None] | None = None,
    named: Collection[str] = frozenset(),
    keeper: Keeper,
) -> Outcome:
    """Unapply a plan. prepare: reads the history again and plans anew, called under the lock. before_rollback: for a
    rehearsal, called at the end of the transaction, which is then rolled back. named: the objects that no migration
    knows, and of which the plan says that they go. keeper: keeps what is dropped.

    Errors: Locked; Refused, if the history changed since `expected` was planned; StepFailed, which says what state the
    database is in.
    """
    watch = Watch(database, progress, verify=verify, one_transaction=one_transaction, named=named)
    with old_objects_aside(), database.watching_others(), database.connection.execute_wrapper(watch):
        if one_transaction:
            done = _in_one_transaction(database, expected, prepare, watch, bookmark, keeper, before_rollback)
        else:
            done = _step_by_step(database, expected, prepare, watch, bookmark, keeper)
    return Outcome(tuple(done), watch.comparison)


@contextmanager
def old_objects_aside() -> Iterator[None]:
    """Keep Python's garbage collector away from what was there before. The models rendered for an operation soon become cyclic
    garbage; finding it among everything else took an eighth of the time of a large run."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _in_one_transaction(
    database: Database,
    expected: Plan,
    prepare: _Prepare,
    watch: Watch,
    bookmark: Bookmark,
    keeper: Keeper,
    before_rollback: Callable[[], None] | None,
) -> list[Done]:
    done: list[Done] = []
    try:
        with watch.failures(None, "outside its steps"), database.all_or_nothing():
            plan = _same(expected, prepare())
            watch.mark_transaction()
            watch.progress.started(plan)
            with watch.progress.beside(BEFORE, NOTES):
                bookmark.begun()
            with signals(database, plan, watch) as states, _no_new_orphans(database, None):
                watch.check_transaction(None, "in the receivers of pre_migrate")
                with watch.keeping(None), watch.progress.beside(BEFORE, KEEPS):
                    watch.expects_gone(keeper.before_steps())
                watch.prepare_to_verify(plan, states)
                _undo_all(database, plan, states, watch, done, keeper)
                with watch.keeping(None), watch.progress.beside(AFTER, KEEPS):
                    keeper.after_steps()
            _bring_back(keeper, watch)
            watch.verify(stays=False)
            with watch.progress.beside(RECEIVED, NOTES):
                bookmark.finished()
            watch.check_transaction(None, "before the commit")
            watch.guard_callbacks()
            if before_rollback:
                before_rollback()
                transaction.set_rollback(True, using=database.alias)
    except StepFailed as error:
        error.settle(*after_all_or_nothing(database, expected, error, watch.mark))
        raise
    return done


def _bring_back(keeper: Keeper, watch: Watch) -> None:
    doing = "bringing back views, functions and triggers"
    with watch.failures(None, doing), watch.not_touching(), watch.progress.beside(RECEIVED, BRINGS_BACK):
        watch.expects_gone(keeper.after_receivers())


def _undo_all(database: Database, plan: Plan, states: States, watch: Watch, done: list[Done], keeper: Keeper) -> None:
    """Undo all steps and delete the records. Should SQL or code commit, which cannot be known before, then the records tell which
    steps were done."""
    waiting: list[Record] = []
    for step, undos in _walk(plan, states):
        if _is_opaque(step):
            with watch.progress.beside(f"before {step.key}", RECORDS):
                database.delete_records(waiting)
            waiting.clear()
        done.append(undo(database, step, undos, watch, keeper))
        give_back(step, undos, watch, keeper)
        waiting += step.records
    with watch.progress.beside(AFTER, RECORDS):
        database.delete_records([*waiting, *plan.squashes])


def _step_by_step(
    database: Database, expected: Plan, prepare: _Prepare, watch: Watch, bookmark: Bookmark, keeper: Keeper
) -> list[Done]:
    done: list[Done] = []
    try:
        with (
            watch.failures(None, "outside its steps"),
            database.settings_of_run(),
            database.alone(),
        ):
            plan = _same(expected, prepare())
            watch.progress.started(plan)
            with signals(database, plan, watch) as states:
                with watch.keeping(None), watch.progress.beside(BEFORE, KEEPS):
                    watch.expects_gone(keeper.before_steps())
                watch.prepare_to_verify(plan, states)
                for step, undos in _walk(plan, states):
                    done.append(_one_step(database, plan, step, undos, done, watch, bookmark, keeper))
                with watch.keeping(None), watch.progress.beside(AFTER, KEEPS):
                    keeper.after_steps()
                database.delete_records(plan.squashes)
            _bring_back(keeper, watch)
            watch.verify(stays=True)
            bookmark.finished()
    except StepFailed as error:
        keeper.broke_off()
        error.settle(*after_some_steps(database, expected, done, error, watch.mark))
        raise
    return done


def _one_step(
    database: Database,
    plan: Plan,
    step: Step,
    undos: list[Undo],
    done: list[Done],
    watch: Watch,
    bookmark: Bookmark,
    keeper: Keeper,
) -> Done:
    """Unapply one step, in a transaction of its own if the database and the migration allow one."""
    gone = {row.id for finished in done for row in finished.step.records}
    expected = {row.id for row in plan.basis.records} - gone
    in_transaction = database.can_undo_ddl and step.migration.atomic
    watch.mark = None
    with watch.failures(step, "outside its operations"), ExitStack() as stack:
        if in_transaction:
            stack.enter_context(transaction.atomic(using=database.alias, durable=True))
            database.lock()
            watch.mark_transaction()
            stack.enter_context(_no_new_orphans(database, step))
        if {row.id for row in database.records()} != expected:
            raise StepFailed(step, "before it began", "somebody else changed django_migrations in the meantime")
        with watch.keeping(step):
            keeper.before_step(step)
        if not in_transaction:
            found = undo_in_pieces(database, plan, step, undos, watch, bookmark, keeper, number=len(done) + 1)
            watch.step_undone(step)
            keeper.step_done(step)
            return found
        found = undo(database, step, undos, watch, keeper)
        give_back(step, undos, watch, keeper)
        watch.step_undone(step)
        database.delete_records(step.records)
        keeper.step_done(step)
        bookmark.step_done(len(done) + 1)
        watch.guard_callbacks()
        return found


@contextmanager
def _no_new_orphans(database: Database, step: Step | None) -> Iterator[None]:
    before = database.orphans()
    yield
    more = database.orphans() - before
    if more > 0:
        rows = "1 row would point to a row that does" if more == 1 else f"{more} rows would point to rows that do"
        raise StepFailed(step, "checking foreign keys", f"{rows} not exist")


def _is_opaque(step: Step) -> bool:
    """May it do anything?"""
    return any(effect.kind in (Kind.CODE, Kind.RUNS_SQL, Kind.UNKNOWN) for effect in step.effects)


def _same(expected: Plan, found: Plan) -> Plan:
    if expected.digest != found.digest:
        raise Refused(
            "The history changed meanwhile: the records are not those that the plan was made from. Nothing was changed.",
            hint="Run the same command with --plan and look at the new plan.",
        )
    return found


def _walk(plan: Plan, states: States) -> Iterator[tuple[Step, list[Undo]]]:
    """The steps with their operations; a faked step has none."""
    walk = states.backwards()
    for step in plan.steps:
        yield step, [] if step.fake else next(walk)[1]
