"""What a column holds where nobody has set a value: what adding it gives. Dropping it loses nothing of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import NOT_PROVIDED, JSONField, Value
from django.db.models.functions import Now, Random
from django.db.models.sql import Query

from rollback_app.planner import is_filled

_EMPTY: tuple[Any, ...] = ([], {})


def given(connection: BaseDatabaseWrapper, field: Any) -> list[tuple[str, Sequence[Any]]]:
    """(SQL, parameters) of each value other than null that a column of this field is given. field: may be bound to no model;
    None if it is not known."""
    if field is None or not (field.null or is_filled(field)):
        return []
    # Prepared by Django's own field: a subclass may refuse an empty value.
    empty: list[Any] = (
        [JSONField().get_db_prep_save(value, connection) for value in _EMPTY] if isinstance(field, JSONField) else []
    )
    values = [*empty, *_default(connection, field)]
    return [("%s", [value]) for value in values] + _database_default(connection, field)


def added(connection: BaseDatabaseWrapper, field: Any) -> tuple[str, Sequence[Any]] | None:
    """(SQL, parameters) of the one value that adding a column of this field gives to each row; None if that is not known, or
    another one on another day."""
    if field is None or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return None
    if getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED:  # Django 5.0 and later
        return next(iter(_database_default(connection, field, always_the_same=True)), None)
    if not is_filled(field):
        return "NULL", ()
    # Any other function may know the day, as date.today does.
    if callable(field.default) and field.default not in (dict, list):
        return None
    found = _default(connection, field)
    return ("%s", found) if found else None


def default(connection: BaseDatabaseWrapper, field: Any) -> Any:
    """What Django gives a row that comes without a value for this field; None if that is nothing, or the database's own."""
    if getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED:  # Django 5.0 and later
        return None
    try:
        with _without_queries():
            return connection.schema_editor().effective_default(field)
    except Exception:  # noqa: BLE001  # a default may be a function of the project's and raise anything
        return None


def _default(connection: BaseDatabaseWrapper, field: Any) -> list[Any]:
    """The default as Django gives it to the rows that are there; none if it has no value that is always the same."""
    changing = field.has_default() and callable(field.default)
    try:
        with _without_queries():
            if changing and field.default() != field.default():
                return []
            # `default`, or '' for a text that may be blank.
            value: Any = connection.schema_editor().effective_default(field)
    except Exception:  # noqa: BLE001  # a default may be a function of the project's and raise anything
        return []
    return [] if value is None else [value]


@contextmanager
def _without_queries() -> Iterator[None]:
    """Nothing is asked of a database, and nothing is written to it."""

    def refuse(execute: Any, sql: str, *args: Any) -> None:
        raise RuntimeError(f"A default may not use the database: {sql}")

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(refuse))
        yield


def _database_default(
    connection: BaseDatabaseWrapper, field: Any, *, always_the_same: bool = False
) -> list[tuple[str, Sequence[Any]]]:
    default: Any = getattr(field, "db_default", NOT_PROVIDED)  # Django 5.0 and later
    if default is NOT_PROVIDED:
        return []
    expression = default if hasattr(default, "resolve_expression") else Value(default, field)
    if not _is_harmless(expression) or (always_the_same and any(map(_changes, expression.flatten()))):
        return []
    compiler = Query(None).get_compiler(connection=connection)
    sql, params = compiler.compile(expression)
    return [(f"({sql})", params)]


def _is_harmless(expression: Any) -> bool:
    """Is it made of values and of Django's own functions? SQL of somebody else's may do anything when it is asked for."""
    return all(
        node.value is not None
        if isinstance(node, Value)
        else type(node).__module__.startswith("django.db.models.functions")
        for node in expression.flatten()
    )


def _changes(node: Any) -> bool:
    return isinstance(node, (Now, Random)) or "UUID" in type(node).__name__  # RandomUUID, UUID4, UUID7
