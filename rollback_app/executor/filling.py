"""Adds a column that takes no nulls again, to rows that are there, with the values that were kept of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db.migrations.operations import RemoveField
from django.db.models import NOT_PROVIDED

from rollback_app.database import Database
from rollback_app.planner import Step, is_filled
from rollback_app.states import Undo, acts_as

from .progress import Keeper


def with_values(undos: list[Undo], step: Step, keeper: Keeper, database: Database) -> list[Undo]:
    """The same, where the operations that add such a column again know (`values`) the statement that fills it."""
    return [
        _with_values(each, step, keeper, database) if acts_as(each.operation) is RemoveField else each for each in undos
    ]


def _with_values(undo: Undo, step: Step, keeper: Keeper, database: Database) -> Undo:
    operation: Any = copy.copy(undo.operation)
    model = undo.to_state.models[step.key.app, operation.model_name_lower]
    model_field, names = model.fields[operation.name], database.names()
    column = names.column(operation.name, model_field)
    if column and not model_field.null and (not is_filled(model_field) or model_field.unique):
        operation.values = keeper.values_of(step, names.table(model), column)
        operation.database = database
    return replace(undo, operation=operation)


@contextmanager
def filling(editor: Any, operation: Any) -> Iterator[None]:
    """Where an operation knows the values of its column, that is added inside as one that takes nulls, filled, and changed
    then."""
    add_field, values = editor.add_field, getattr(operation, "values", "")

    def add_and_fill(model: Any, model_field: Any) -> None:
        nullable = copy.copy(model_field)
        nullable.null, nullable.default, nullable.db_default = True, NOT_PROVIDED, NOT_PROVIDED
        database = operation.database
        if database.loses_checks:
            nullable.db_check = _no_check
        add_field(model, nullable)
        editor.execute(values, None)
        if database.can_undo_ddl and not editor.collect_sql:
            database.check_rows()  # PostgreSQL alters no table with pending trigger events
        check = model_field.db_check(editor.connection) if database.loses_checks else ""
        with _not_null_with(editor, check):
            editor.alter_field(model_field.model, nullable, model_field)

    if values:
        editor.add_field = add_and_fill
    try:
        yield
    finally:
        editor.add_field = add_field


def _no_check(connection: Any) -> None:
    return None


@contextmanager
def _not_null_with(editor: Any, check: str | None) -> Iterator[None]:
    """A column that is made NOT NULL inside gets this check with that."""
    before = editor.sql_alter_column_not_null
    if check:
        editor.sql_alter_column_not_null = f"{before} CHECK ({check.replace('%', '%%')})"
    yield
    editor.sql_alter_column_not_null = before
