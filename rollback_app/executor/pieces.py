"""Unapplies one migration that cannot run in one transaction, noting each piece, so that a run that breaks off can be resumed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from django.db import transaction
from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.utils import DatabaseError

from rollback_app.database import Database
from rollback_app.history import Position
from rollback_app.planner import Plan, Step, is_concurrent
from rollback_app.states import Undo, acts_as, leaves

from .failures import StepFailed
from .filling import with_values
from .progress import Bookmark, Done, Keeper
from .steps import backwards, give_back, in_words, new_editor
from .watch import Watch


def undo_in_pieces(
    database: Database,
    plan: Plan,
    step: Step,
    undos: list[Undo],
    watch: Watch,
    bookmark: Bookmark,
    keeper: Keeper,
    *,
    number: int,
) -> Done:
    """Unapply one step that cannot run in one transaction. Each piece is noted before the next begins, so that a run that breaks
    off can be resumed behind it. number: of the step in its plan, from 1."""
    watch.progress.began(step)
    start = time.monotonic()
    earlier = plan.earlier.resumes if plan.earlier.resumes and plan.earlier.resumes.key == step.key else None
    position = earlier or Position(step.key, tuple(row.id for row in step.records), operations=0)
    bookmark.step_begun(position)
    editor = new_editor(database)
    nested = with_values(leaves(undos, step.key.app), step, keeper, database)
    for index, undo in enumerate(nested[position.operations :], position.operations):
        begun = earlier if index == position.operations else None
        watch.by_code = isinstance(undo.operation, (RunPython, RunSQL))
        with watch.failures(step, in_words(undo.operation)):
            script = _script(database, undo, step, begun)
            if script is not None:
                with ExitStack() as stack:
                    stack.enter_context(watch.operation(step, undo.operation))
                    with watch.keeping(step, begun=True):
                        stack.enter_context(keeper.dropping(step, script))
                    _run_script(database, script, bookmark, begun)
                bookmark.operation_done(index + 1)
            else:
                if begun and is_concurrent(type(undo.operation)):
                    operation: Any = undo.operation
                    database.drop_invalid_index(getattr(operation, "index", operation).name)
                with _alone(database, undo.operation, step), _noting_statements(database, editor, bookmark, begun):
                    with watch.operation(step, undo.operation):
                        _backwards_and_deferred(undo, step, editor)
                    bookmark.operation_done(index + 1)
                    watch.guard_callbacks()
        if undo.rendered_everything:
            watch.progress.rendered_everything(undo.operation)
    give_back(step, undos, watch, keeper)
    with _transaction(database):
        database.delete_records(step.records)
        bookmark.step_done(number)
    done = Done(step, time.monotonic() - start)
    watch.progress.finished(done)
    return done


def _backwards_and_deferred(undo: Undo, step: Step, editor: Any) -> None:
    """Undo an operation and what the schema editor defers to the end of a migration (indexes, foreign keys), as if the operation
    were a migration by itself, so that a run can be resumed behind it."""
    backwards(undo, step, editor)
    for statement in editor.deferred_sql:
        editor.execute(statement, None)
    editor.deferred_sql.clear()


def _script(database: Database, undo: Undo, step: Step, begun: Position | None) -> tuple[str, ...] | None:
    """The statements that an operation will run. None, if they cannot be known beforehand.

    begun: where an earlier run broke off in it. What that run noted counts: after its statements, Django might generate others.
    But if the next statement is known to have failed, the code may have been fixed since.

    Errors: StepFailed, if the code no longer has the statements that were executed.
    """
    if begun is None or begun.statements is None:
        return _collected(database, undo, step)
    done = begun.statements_done
    fixed = not begun.doubtful and (not done or isinstance(undo.operation, RunSQL))
    found = _collected(database, undo, step) if fixed else None
    if found is None:
        return begun.statements
    if found[:done] != begun.statements[:done]:
        raise StepFailed(
            step,
            in_words(undo.operation),
            f"an earlier run has executed {done} of its statements, and this code has different ones",
            what_to_do="Restore these statements as they were, change only the later ones, then {again}.",
        )
    return found


def _collected(database: Database, undo: Undo, step: Step) -> tuple[str, ...] | None:
    """The statements of an operation. None for code, for operations that are not Django's, for one that reads what its own
    statements would have made, and for one that runs in a transaction of its own (see `_alone`) and needs no notes."""
    operation = undo.operation
    kind = acts_as(operation)
    known = kind not in (None, RunPython) and str(getattr(kind, "__module__", "")).startswith("django.db.migrations.")
    if not known or (database.can_undo_ddl and not isinstance(operation, RunSQL)):
        return None
    collector: Any = database.connection.schema_editor(collect_sql=True, atomic=False)
    collector.deferred_sql = []
    try:
        _backwards_and_deferred(undo, step, collector)
    except DatabaseError:
        return None
    return tuple(collector.collected_sql)


def _run_script(database: Database, statements: Sequence[str], bookmark: Bookmark, begun: Position | None) -> None:
    """Run statements one by one. begun: how far an earlier run got with them."""
    done = begun.statements_done if begun else 0
    bookmark.operation_begun(statements, done)
    for index, statement in enumerate(statements[done:], done):
        # The schema editor would refuse to change a table in a transaction; here it is for the note, and for changes of rows.
        # Where a transaction holds changes of tables too, this is SQL whose author wanted none.
        together = nullcontext() if database.can_undo_ddl else _transaction(database)
        with together, database.connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except DatabaseError as error:
                if not (_may_be_done(begun, index) and database.is_done_already(error)):
                    raise
            bookmark.statement_done(index + 1)


def _may_be_done(begun: Position | None, index: int) -> bool:
    """May an earlier run have executed the statement of this number, from 0?"""
    return begun is not None and index < begun.statements_done + begun.doubtful


@contextmanager
def _alone(database: Database, operation: Operation, step: Step) -> Iterator[None]:
    """A transaction for one operation and its note, unless its author wanted none or it refuses to run in one."""
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
    """A transaction for a piece of a step, with the lock where that belongs to a transaction."""
    with transaction.atomic(using=database.alias):
        database.lock()
        yield


@contextmanager
def _noting_statements(database: Database, editor: Any, bookmark: Bookmark, begun: Position | None) -> Iterator[None]:
    """Note each statement of an operation whose statements are known only as they come. A resumed run executes all of them again;
    "done already" from the database is then no failure, if an earlier run may have executed that one."""
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
