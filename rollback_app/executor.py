"""Unapplies a plan with Django's own operations and schema editor: in one transaction, or step by step.

Django's executor is not used: it computes states for another order, records a step outside of the step's transaction, and
cannot put a whole plan into one transaction. What an operation does is Django's; what surrounds it is here.
"""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.apps import apps as installed_apps
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RenameModel, RunPython, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.utils import DatabaseError, InterfaceError
from django.utils.module_loading import module_has_submodule

from . import advice
from .database import Database, first_line
from .effects import Kind, is_concurrent, name_of_code
from .errors import DatabaseUnusable, Locked, RollbackError
from .history import Position
from .planner import Plan, Step
from .safety import Refused
from .states import States, Undo, leaves
from .verdict import Verdict
from .verification import Verifier


@dataclass(frozen=True)
class Done:
    """A step that was unapplied, and how many seconds it took."""

    step: Step
    seconds: float


class StepFailed(RollbackError):
    """A run broke off. Facts: the step (None outside of one), what was going on (words), its SQL (empty if the failure was
    not in a statement), the database's or Python's own words, what state the database is in now; doubtful: may the statement
    have been done all the same?"""

    def __init__(
        self,
        step: Step | None,
        doing: str,
        words: str,
        *,
        sql: str = "",
        locked: bool = False,
        doubtful: bool = False,
        advice: str = "",
    ) -> None:
        self.step, self.doing, self.words, self.sql, self.advice = step, doing, words, sql, advice
        self.doubtful = doubtful
        self.state = ""
        self.returncode = Locked.returncode if locked else RollbackError.returncode
        super().__init__("")

    def settle(self, state: str, hint: str) -> None:
        """Say what state the database is in, and what to do next, once that is known."""
        at = f" at {self.step.key}" if self.step else ""
        statement = f"\nThe statement was: {self.sql}" if self.sql else ""
        self.message = f"The rollback failed{at}, {self.doing}: {self.words}{statement}\n{state}"
        faked = ""
        if self.step and not self.advice:  # a reason that is known is not that one
            faked = f" If {self.step.key} was recorded without ever being run, add --fake {self.step.key}."
        self.state, self.hint = state, hint + faked

    def mend(self, then: str) -> str:
        """What to do about it, and then."""
        return f"{self.advice} Then {then}" if self.advice else f"Mend what is named above and {then}"


class NotAsExpected(StepFailed):
    """All steps were undone, and then the tables were not what the migrations at the target say. Facts: the verdict."""

    def __init__(self, verdict: Verdict, *, stays: bool) -> None:
        self.verdict, self.stays = verdict, stays
        listed = "; ".join(map(str, verdict.new[:5]))
        more = f"; and {len(verdict.new) - 5} more" if len(verdict.new) > 5 else ""
        super().__init__(None, "comparing the tables with what the migrations at the target say", f"{listed}{more}")

    def settle(self, state: str, hint: str) -> None:
        if self.stays:
            super().settle(f"{state} Nothing of it can be taken back.", "Mend these tables by hand.")
        else:
            super().settle(state, "Look at what undoing these migrations does. To accept the differences: --no-verify")


class Bookmark:
    """Where a run notes how far it has come, so that another can go on behind it; this one notes nothing.

    What is noted inside a transaction is true only if that is committed.
    """

    def step_begun(self, position: Position) -> None:
        """A step begins, or goes on, here."""

    def operation_begun(self, statements: Sequence[str], done: int) -> None:
        """An operation will run these statements, of which so many are done."""

    def statement_done(self, number: int) -> None:
        """So many of these statements are done."""

    def operation_done(self, number: int) -> None:
        """So many operations of the step are done."""

    def step_done(self, number: int) -> None:
        """So many steps are done."""

    def finished(self) -> None:
        """All is done."""


class Progress:
    """What a run tells while it is under way; a caller overrides what it wants to know.

    shows_sql: does `ran` want to be told? (Putting the values into a statement takes time.)
    """

    shows_sql = False

    def began(self, step: Step) -> None:
        """A step begins."""

    def finished(self, done: Done) -> None:
        """A step is undone (with --step-by-step: committed)."""

    def broke_off(self) -> None:
        """The run failed, or its step that had begun; it may be tried again."""

    def ran(self, sql: str) -> None:
        """A statement was sent to the database."""

    def warned(self, text: str) -> None:
        """Something is not as it should be, and the run goes on."""

    def verified(self, verdict: Verdict) -> None:
        """After the last step: whether the tables are what the migrations at the target say."""

    def rendered_everything(self, operation: Operation) -> None:
        """An operation was given all models of the project: what it looks at is not known, or is everything."""


_Prepare = Callable[[], Plan]


@dataclass(frozen=True)
class Outcome:
    """What a run did. verdict: None, if nothing was verified."""

    done: tuple[Done, ...]
    verdict: Verdict | None


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
) -> Outcome:
    """Unapply a plan. prepare: reads the history again and plans anew, called under the lock. before_rollback: for a
    rehearsal, called at the end of the transaction, which is then rolled back.

    Errors: Locked; Refused, if the history changed since `expected` was planned; StepFailed, which says what state the
    database is in.
    """
    watch = _Watch(database, progress, verify=verify)
    with _old_objects_aside(), database.connection.execute_wrapper(watch):
        if one_transaction:
            done = _in_one_transaction(database, expected, prepare, watch, bookmark, before_rollback)
        else:
            done = _step_by_step(database, expected, prepare, watch, bookmark)
    return Outcome(tuple(done), watch.verdict)


@contextmanager
def _old_objects_aside() -> Iterator[None]:
    """The models that are rendered for an operation are soon garbage, in circles. Python need not go through all that was there
    before to find it: that took an eighth of the time of a large run."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _in_one_transaction(
    database: Database,
    expected: Plan,
    prepare: _Prepare,
    watch: _Watch,
    bookmark: Bookmark,
    before_rollback: Callable[[], None] | None,
) -> list[Done]:
    done: list[Done] = []
    try:
        with _failures(database, watch, None, "before or after its steps"), database.all_or_nothing():
            plan = _same(expected, prepare())
            with _signals(database, plan, watch) as states, _no_new_orphans(database, None):
                watch.prepare_to_verify(plan, states)
                for step, undos in _walk(plan, states):
                    with _nothing_lost_in_silence(database, plan, step):
                        done.append(_undo(database, step, undos, watch))
                database.delete_rows(plan.deleted)
            watch.verify(stays=False)
            bookmark.finished()
            _check_it_can_be_committed(database)
            if before_rollback:
                before_rollback()
                transaction.set_rollback(True, using=database.alias)
    except StepFailed as error:
        error.settle(*_after_all_or_nothing(database, expected, error))
        raise
    return done


def _check_it_can_be_committed(database: Database) -> None:
    # A savepoint that could not be rolled back, perhaps in a receiver, is noted by Django, and the commit becomes a rollback.
    if transaction.get_rollback(using=database.alias):
        raise StepFailed(None, "before the commit", "the transaction can only be undone")


def _step_by_step(
    database: Database, expected: Plan, prepare: _Prepare, watch: _Watch, bookmark: Bookmark
) -> list[Done]:
    done: list[Done] = []
    try:
        with (
            _failures(database, watch, None, "before or after its steps"),
            database.settings_of_run(),
            database.alone(),
        ):
            plan = _same(expected, prepare())
            with _signals(database, plan, watch) as states:
                watch.prepare_to_verify(plan, states)
                for step, undos in _walk(plan, states):
                    done.append(_one_step(database, plan, step, undos, done, watch, bookmark))
                database.delete_rows(plan.bookkeeping)
            watch.verify(stays=True)
            bookmark.finished()
    except StepFailed as error:
        error.settle(*_after_some_steps(database, expected, done, error))
        raise
    return done


def _one_step(
    database: Database,
    plan: Plan,
    step: Step,
    undos: list[Undo],
    done: list[Done],
    watch: _Watch,
    bookmark: Bookmark,
) -> Done:
    """A step in a transaction of its own, if the database and the migration allow one."""
    gone = {row.id for finished in done for row in finished.step.rows}
    expected = {row.id for row in plan.rows} - gone
    in_transaction = database.can_undo_ddl and step.migration.atomic
    with _failures(database, watch, step, "before or after its operations"), ExitStack() as stack:
        if in_transaction:
            stack.enter_context(transaction.atomic(using=database.alias, durable=True))
            database.lock()
            stack.enter_context(_no_new_orphans(database, step))
            stack.enter_context(_nothing_lost_in_silence(database, plan, step))
        if {row.id for row in database.rows()} != expected:
            raise StepFailed(step, "before it began", "somebody else changed django_migrations meanwhile")
        if not in_transaction:
            return _undo_in_pieces(database, plan, step, undos, watch, bookmark, number=len(done) + 1)
        found = _undo(database, step, undos, watch)
        database.delete_rows(step.rows)
        bookmark.step_done(len(done) + 1)
        return found


@contextmanager
def _failures(database: Database, watch: _Watch, step: Step | None, doing: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes a StepFailed, with the facts; the original is chained to it."""
    try:
        yield
    except Locked as error:
        if step is None:
            raise  # before anything was done
        raise StepFailed(step, "taking the lock", error.message, locked=True) from error
    except RollbackError:
        raise
    except KeyboardInterrupt as error:
        raise StepFailed(step, doing, "it was interrupted", doubtful=True, advice=advice.INTERRUPTED) from error
    # Reverse code and signal receivers may raise anything.
    except Exception as error:
        if isinstance(error, (DatabaseError, InterfaceError)):
            locked = database.is_lock_timeout(error)
            words, what_to_do = first_line(error), advice.about(error)
            doubtful = not database.is_answer(error)
            raise StepFailed(
                step, doing, words, sql=watch.sql, locked=locked, doubtful=doubtful, advice=what_to_do
            ) from error
        words = f"{type(error).__name__}: {first_line(error)}"
        raise StepFailed(step, doing, words, advice=advice.TRACEBACK) from error


@contextmanager
def _no_new_orphans(database: Database, step: Step | None) -> Iterator[None]:
    before = database.orphans()
    yield
    more = database.orphans() - before
    if more > 0:
        plural = "s" if more > 1 else ""
        raise StepFailed(step, "checking foreign keys", f"{more} row{plural} would point to rows that are not there")


_OPAQUE = (Kind.CODE, Kind.RUNS_SQL, Kind.UNKNOWN)  # these may drop what they like


@contextmanager
def _nothing_lost_in_silence(database: Database, plan: Plan, step: Step) -> Iterator[None]:
    """What a faked step made may still be there, unknown to the states; a table that is remade from them would lose it."""
    renames = any(isinstance(operation, RenameModel) for operation in step.migration.operations)
    if renames or not plan.choices.fake or any(e.kind in _OPAQUE for e in step.effects):
        yield
        return
    before = database.columns()
    yield
    named = {(effect.table, effect.column) for effect in step.effects}
    for table, column in sorted(before - database.columns()):
        if not named & {(table, ""), (table, column)}:
            raise StepFailed(step, "remaking tables", f"column {table}.{column} would be lost, and no step drops it")


def _same(expected: Plan, found: Plan) -> Plan:
    if expected.digest != found.digest:
        raise Refused(
            "The history changed meanwhile: what is recorded now is not what the plan was made from. Nothing was changed.",
            hint="Run the same command with --plan again, and look at the new plan.",
        )
    return found


def _walk(plan: Plan, states: States) -> Iterator[tuple[Step, list[Undo]]]:
    """The steps with their operations; a faked step has none, and no states either."""
    walk = states.backwards()
    for step in plan.steps:
        yield step, [] if step.fake else next(walk)[1]


def _undo(database: Database, step: Step, undos: list[Undo], watch: _Watch) -> Done:
    """Undo one step inside a transaction, except for its rows."""
    watch.progress.began(step)
    start = time.monotonic()
    editor = _editor(database)
    for nested in leaves(undos, step.key.app):
        with _failures(database, watch, step, _in_words(nested.operation)):
            watch.changed_rows = isinstance(nested.operation, (RunPython, RunSQL))
            concurrent = is_concurrent(type(nested.operation))
            _backwards(nested, step, editor, _plain_twin(nested.operation) if concurrent else None)
            if watch.changed_rows:
                database.check_rows()  # PostgreSQL alters no table with pending trigger events
        if nested.rendered_everything:
            watch.progress.rendered_everything(nested.operation)
    with _failures(database, watch, step, "in what its operations put off to its end"):
        for statement in editor.deferred_sql:
            editor.execute(statement, None)
    done = Done(step, time.monotonic() - start)
    watch.progress.finished(done)
    return done


def _editor(database: Database) -> BaseDatabaseSchemaEditor:
    editor = database.connection.schema_editor(atomic=False)
    # Never left with __exit__: on SQLite it checks constraints even while an error is under way, which hides the error.
    editor.__enter__()
    return editor


def _backwards(undo: Undo, step: Step, editor: BaseDatabaseSchemaEditor, twin: Any = None) -> None:
    # A copy, because RenameModel and RenameField swap their own attributes while they run, and stay so when they fail.
    operation = copy.copy(undo.operation)
    backwards = twin or type(operation).database_backwards
    backwards(operation, step.key.app, editor, undo.from_state, undo.to_state)


def _in_words(operation: Operation) -> str:
    if isinstance(operation, RunPython):  # which describes itself as "Raw Python operation"
        return f"running {name_of_code(operation.reverse_code)}"
    return f"undoing '{operation.describe()}'"


def _plain_twin(operation: Operation) -> Any:
    """The reverse of AddIndex for AddIndexConcurrently, and so on: the nearest class that may run in a transaction."""
    return next(
        vars(base)["database_backwards"]
        for base in type(operation).__mro__
        if "database_backwards" in vars(base) and not is_concurrent(base)
    )


# Steps that are not one transaction


def _undo_in_pieces(
    database: Database,
    plan: Plan,
    step: Step,
    undos: list[Undo],
    watch: _Watch,
    bookmark: Bookmark,
    *,
    number: int,
) -> Done:
    """Undo one step that cannot be taken back as a whole, noting each piece before the next begins, so that a run that breaks
    off can be continued behind it. number: of the step in its plan, from 1."""
    watch.progress.began(step)
    start = time.monotonic()
    earlier = plan.resumes if plan.resumes and plan.resumes.key == step.key else None
    position = earlier or Position(step.key, tuple(row.id for row in step.rows), operations=0)
    bookmark.step_begun(position)
    editor = _editor(database)
    nested = leaves(undos, step.key.app)
    for index, undo in enumerate(nested[position.operations :], position.operations):
        begun = earlier if index == position.operations else None
        with _failures(database, watch, step, _in_words(undo.operation)):
            script = _script(database, undo, step, begun)
            if script is not None:
                _run_script(database, script, bookmark, begun)
                bookmark.operation_done(index + 1)
            else:
                if begun and is_concurrent(type(undo.operation)):
                    operation: Any = undo.operation
                    database.drop_invalid_index(getattr(operation, "index", operation).name)
                with _alone(database, undo.operation, step), _noting_statements(database, editor, bookmark, begun):
                    _backwards_and_deferred(undo, step, editor)
                    bookmark.operation_done(index + 1)
        if undo.rendered_everything:
            watch.progress.rendered_everything(undo.operation)
    with _transaction(database):
        database.delete_rows(step.rows)
        bookmark.step_done(number)
    done = Done(step, time.monotonic() - start)
    watch.progress.finished(done)
    return done


def _backwards_and_deferred(undo: Undo, step: Step, editor: Any) -> None:
    """What the schema editor puts off to the end of a migration (indexes, foreign keys) is done at the end of the operation,
    as if that were a migration by itself: so a run can be continued behind it."""
    _backwards(undo, step, editor)
    for statement in editor.deferred_sql:
        editor.execute(statement, None)
    editor.deferred_sql.clear()


def _script(database: Database, undo: Undo, step: Step, begun: Position | None) -> tuple[str, ...] | None:
    """The statements that an operation will run. None, if they cannot be known before.

    begun: where an earlier run broke off in it. What that one noted counts, for the statements that are done may be why Django
    would not make the same ones again. But if the next one is known to have failed, the code may have been mended since.
    """
    if begun is None or begun.statements is None:
        return _collected(database, undo, step)
    done = begun.statements_done
    if not begun.doubtful and (not done or isinstance(undo.operation, RunSQL)):
        found = _collected(database, undo, step)
        if found is not None and found[:done] == begun.statements[:done]:
            return found
    return begun.statements


def _collected(database: Database, undo: Undo, step: Step) -> tuple[str, ...] | None:
    """None for code, for operations that are not Django's, and for one that looks at what its own statements would have
    made; and where nothing need be noted, since the database takes back what is not finished."""
    operation = undo.operation
    known = type(operation).__module__.startswith("django.db.migrations.") and not isinstance(operation, RunPython)
    if database.can_undo_ddl or not known:
        return None
    collector: Any = database.connection.schema_editor(collect_sql=True, atomic=False)
    collector.deferred_sql = []
    try:
        _backwards_and_deferred(undo, step, collector)
    except DatabaseError:
        return None
    return tuple(collector.collected_sql)


def _run_script(database: Database, statements: Sequence[str], bookmark: Bookmark, begun: Position | None) -> None:
    """Run statements one by one. begun: how far an earlier run has come with them."""
    done = begun.statements_done if begun else 0
    bookmark.operation_begun(statements, done)
    for index, statement in enumerate(statements[done:], done):
        # The schema editor would refuse to change a table in a transaction; here it is for the note, and for changes of rows.
        with _transaction(database), database.connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except DatabaseError as error:
                if not (_may_be_done(begun, index) and database.is_done_already(error)):
                    raise
            bookmark.statement_done(index + 1)


def _may_be_done(begun: Position | None, index: int) -> bool:
    """May an earlier run have done the statement of this number, from 0?"""
    return begun is not None and index < begun.statements_done + begun.doubtful


@contextmanager
def _alone(database: Database, operation: Operation, step: Step) -> Iterator[None]:
    """A transaction for one operation and its note, unless its author wanted none, or it refuses to run in one."""
    wanted = operation.atomic or (step.migration.atomic and operation.atomic is not False)
    can_be = (
        database.can_undo_ddl and not isinstance(operation, (RunPython, RunSQL)) and not is_concurrent(type(operation))
    )
    if not (wanted or can_be):
        yield
        return
    with _transaction(database):
        yield


@contextmanager
def _transaction(database: Database) -> Iterator[None]:
    """For a piece of a step; where the lock is one of a transaction, with that."""
    with transaction.atomic(using=database.alias):
        database.lock()
        yield


@contextmanager
def _noting_statements(database: Database, editor: Any, bookmark: Bookmark, begun: Position | None) -> Iterator[None]:
    """For an operation whose statements are known only as they come: each is noted. They are all run again, and that the
    database says "done already" of one is no failure, if an earlier run may have done it."""
    execute = editor.execute
    number, done = 0, begun.statements_done if begun else 0

    def execute_and_note(sql: Any, params: Any = ()) -> None:
        nonlocal number
        try:
            execute(sql, params)
        except DatabaseError as error:
            # Inside a transaction, what was not noted was not done either.
            in_doubt = not database.connection.in_atomic_block and _may_be_done(begun, number)
            if not (in_doubt and database.is_done_already(error)):
                raise
        number += 1
        bookmark.statement_done(max(number, done))

    editor.execute = execute_and_note
    try:
        yield
    finally:
        editor.execute = execute


class _Watch:
    """Sees each statement of a run: remembers the last one, for the message, and whether rows were changed; and which tables
    were touched, to verify them."""

    def __init__(self, database: Database, progress: Progress, *, verify: bool) -> None:
        self.database = database
        self.progress = progress
        self.sql = ""
        self.changed_rows = False
        self.verdict: Verdict | None = None
        self._wanted = verify
        self._verifier: Verifier | None = None

    def prepare_to_verify(self, plan: Plan, states: States) -> None:
        if self._wanted:
            self._verifier = Verifier(self.database, plan, states)

    def verify(self, *, stays: bool) -> None:
        """stays: is what was done committed already? Errors: NotAsExpected."""
        if self._verifier:
            verifier, self._verifier = self._verifier, None  # its own statements touch nothing
            self.verdict = verifier.verdict()
            self.progress.verified(self.verdict)
            if self.verdict.new:
                raise NotAsExpected(self.verdict, stays=stays)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if JOURNAL in sql:
            return execute(sql, params, many, context)  # our own notes
        self.sql = sql
        self.changed_rows = self.changed_rows or sql.split(None, 1)[:1] not in _NO_ROWS
        result = execute(sql, params, many, context)
        if self._verifier:
            self._verifier.saw(sql)
        if self.progress.shows_sql:
            operations = self.database.connection.ops
            self.progress.ran(operations.last_executed_query(context["cursor"].cursor, sql, params))
        return result


JOURNAL = "rollback_app_run"
_NO_ROWS = (["ALTER"], ["CREATE"], ["DROP"], ["COMMENT"], ["SET"], ["SELECT"], ["PRAGMA"])


# What `migrate` does around a run


@contextmanager
def _signals(database: Database, plan: Plan, watch: _Watch) -> Iterator[States]:
    """pre_migrate and post_migrate, once for the whole run, as the migrate command sends them."""
    for app_config in installed_apps.get_app_configs():
        if module_has_submodule(app_config.module, "management"):
            import_module(".management", app_config.name)
    sent = [(step.migration, True) for step in plan.steps if not step.fake]
    states = plan.states()
    operations = sum(len(migration.operations) for migration, _ in sent)
    with _failures(database, watch, None, "in a receiver of pre_migrate"):
        emit_pre_migrate_signal(0, False, database.alias, apps=states.start().apps, plan=sent)
    # Receivers may add operations to these migrations: contenttypes does, to rename its rows.
    if operations != sum(len(migration.operations) for migration, _ in sent):
        states = plan.states()
    yield states
    after = _with_relations(states.end())
    with _failures(database, watch, None, "in a receiver of post_migrate"):
        emit_post_migrate_signal(0, False, database.alias, apps=after, plan=sent)


def _with_relations(state: ProjectState) -> Any:
    """The models of a final state; those of apps without migrations are rendered without relations at first."""
    apps: Any = state.apps
    with apps.bulk_update():
        keys = [(model.app_label, model.name_lower) for model in apps.real_models]
        for key in keys:
            apps.unregister_model(*key)
    apps.render_multiple([ModelState.from_model(installed_apps.get_model(*key)) for key in keys])
    return apps


# What state the database is in after a failure


def _after_all_or_nothing(database: Database, plan: Plan, failed: StepFailed) -> tuple[str, str]:
    database.connection.close()
    try:
        with database.reading():
            found, others = database.rows(), _others(database, failed)
    except (DatabaseUnusable, Locked):
        return (
            f"{database.title} cannot be reached now. The run was not committed, so it undoes itself.",
            "When it is back, run the same command with --plan to see where it is.",
        )
    # Others may have changed other rows since; they were waiting for this lock.
    if {row.id for row in plan.deleted} & {row.id for row in found}:
        return f"Nothing was changed: everything is as it was before.{others}", failed.mend(
            "run the same command again."
        )
    return (
        "The run was committed before that, or during it: it is done.",
        "Run the same command with --plan: it has nothing left to do.",
    )


def _after_some_steps(database: Database, plan: Plan, done: list[Done], failed: StepFailed) -> tuple[str, str]:
    left = plan.steps[len(done) :]
    state = f"{len(done)} of {len(plan.steps)} steps are undone and stay so"
    if done:
        state += f", the last is {done[-1].step.key}"
    if failed.step and not (database.can_undo_ddl and failed.step.migration.atomic):
        state += f". Of {failed.step.key} a part may be undone; its row is still there"
    names = ", ".join(str(step.key) for step in left[:5]) + (", …" if len(left) > 5 else "")
    left_over = f" Left: {names}." if left else ""
    return f"{state}.{left_over}{_others(database, failed)}", failed.mend(
        "run the same command again: it goes on from there."
    )


def _others(database: Database, failed: StepFailed) -> str:
    """Who may have been in the way, if somebody was."""
    found = ""
    if failed.returncode == Locked.returncode:
        with suppress(DatabaseError, InterfaceError):
            found = "; ".join(database.others())
    return f" Transactions of others that are open now: {found}." if found else ""
