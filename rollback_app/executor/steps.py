"""Unapplies one migration inside a transaction."""

from __future__ import annotations

import copy
import time
from typing import Any

from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation

from rollback_app.database import Database
from rollback_app.planner import Step, is_concurrent, name_of_code, without_concurrently
from rollback_app.states import Undo, acts_as, before_and_after, leaves

from .filling import filling, with_values
from .objects import is_known
from .progress import PUTS_BACK, Done, Keeper
from .watch import Watch


def undo(database: Database, step: Step, undos: list[Undo], watch: Watch, keeper: Keeper) -> Done:
    """Unapply one step inside a transaction, except for its records."""
    watch.progress.began(step)
    start = time.monotonic()
    editor = new_editor(database)
    for nested in with_values(leaves(undos, step.key.app), step, keeper, database):
        with watch.failures(step, in_words(nested.operation)):
            watch.changed_rows = watch.by_code = isinstance(nested.operation, (RunPython, RunSQL))
            with watch.operation(step, nested.operation):
                backwards(nested, step, editor, plain_twin(nested.operation))
                if not is_known(nested.operation):
                    watch.check_transaction(step, in_words(nested.operation))
            if watch.changed_rows:
                database.check_rows()  # PostgreSQL alters no table with pending trigger events
        if nested.rendered_everything:
            watch.progress.rendered_everything(nested.operation)
    watch.by_code = False
    with watch.failures(step, "running the deferred SQL of its operations"):
        for statement in editor.deferred_sql:
            editor.execute(statement, None)
    done = Done(step, time.monotonic() - start)
    watch.progress.finished(done)
    return done


def give_back(step: Step, undos: list[Undo], watch: Watch, keeper: Keeper) -> None:
    """Put back what applying this step, which is undone now, had destroyed and kept."""
    if undos:
        beside = watch.progress.beside(f"after {step.key}", PUTS_BACK)
        with watch.failures(step, "putting back what a migrate had kept"), beside:
            keeper.give_back(step, undos[-1].to_state.asked)


def new_editor(database: Database) -> BaseDatabaseSchemaEditor:
    editor = database.connection.schema_editor(atomic=False)
    # Never left with __exit__: on SQLite that checks constraints even after an error, which hides the error.
    editor.__enter__()
    return editor


def _plain_sql(operation: Any, *args: Any) -> None:
    operation.reverse_sql = without_concurrently(operation.reverse_sql)
    operation.database_backwards(*args)


def backwards(undo: Undo, step: Step, editor: BaseDatabaseSchemaEditor, twin: Any = None) -> None:
    if _is_kept_away(undo.operation, step.key.app, editor.connection.alias):
        return
    # A copy, because RenameModel and RenameField swap their own attributes while they run, and leave them swapped when they fail.
    operation = copy.copy(undo.operation)
    run = twin or type(operation).database_backwards
    with filling(editor, operation):
        run(operation, step.key.app, editor, undo.from_state, undo.to_state)


def forwards(undo: Undo, app_label: str, editor: BaseDatabaseSchemaEditor) -> None:
    """Apply an operation inside a transaction: a concurrent one by its plain twin."""
    operation: Any = copy.copy(undo.operation)
    if _is_kept_away(operation, app_label, editor.connection.alias):
        return
    run = type(operation).database_forwards
    if isinstance(operation, RunSQL) and editor.connection.in_atomic_block:
        operation.sql = without_concurrently(operation.sql)
    elif is_concurrent(type(operation)) and editor.connection.in_atomic_block:
        run = _of_plain_class(operation, "database_forwards")
    run(operation, app_label, editor, *before_and_after(undo))


def _is_kept_away(operation: Any, app_label: str, alias: str) -> bool:
    """Does a router keep this code away from the database? Then it never ran there, and need not have a reverse."""
    return acts_as(operation) in (RunPython, RunSQL) and not router.allow_migrate(alias, app_label, **operation.hints)


def in_words(operation: Operation) -> str:
    if isinstance(operation, RunPython):  # which describes itself as "Raw Python operation"
        return f"running {name_of_code(operation.reverse_code)}"
    return f"undoing '{operation.describe()}'"


def plain_twin(operation: Operation) -> Any:
    """What undoes the operation inside a transaction. The reverse of AddIndex for AddIndexConcurrently, and so on: the nearest
    class that may run in one."""
    if isinstance(operation, RunSQL):
        return _plain_sql
    if not is_concurrent(type(operation)):
        return type(operation).database_backwards
    return _of_plain_class(operation, "database_backwards")


def _of_plain_class(operation: Operation, name: str) -> Any:
    bases = type(operation).__mro__
    return next(vars(base)[name] for base in bases if name in vars(base) and not is_concurrent(base))
