"""What the class of a model asks of its table, by Django's own words for this database."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CASCADE, DO_NOTHING, NOT_PROVIDED, SET_NULL, AutoField, JSONField, UniqueConstraint

from rollback_app.compatibility import ModelTable, Reading, Type, Wanted, of_words
from rollback_app.database.given import given


def wanted(connection: BaseDatabaseWrapper, model: Any, canonical: Callable[[str], str]) -> ModelTable:
    """What a model asks of its table. canonical: the name of a table as the catalog has it."""
    meta = model._meta
    # A field may have no column, as a composite key.
    fields = [field for field in meta.local_concrete_fields if field.db_type(connection) is not None]
    return ModelTable(
        label=meta.label,
        table=canonical(meta.db_table),
        columns=tuple(_column(connection, field, canonical) for field in fields),
        unique=frozenset(_unique(meta)),
        constraints=frozenset(constraint.name for constraint in meta.constraints),
        parents=tuple(canonical(parent._meta.db_table) for parent in _parents(meta)),
        managed=meta.managed,
    )


def _parents(meta: Any) -> list[Any]:
    """Also those above them; of a proxy the model behind it."""
    tables = dict.fromkeys(parent._meta.concrete_model for parent in meta.get_parent_list())
    return [parent for parent in tables if parent._meta.db_table != meta.db_table]


def _unique(meta: Any) -> list[frozenset[str]]:
    names = [[field.name] for field in meta.local_fields if field.unique]  # a composite key is not concrete
    names += [list(together) for together in meta.unique_together]
    rules = [rule for rule in meta.constraints if isinstance(rule, UniqueConstraint)]
    names += [list(rule.fields) for rule in rules if rule.fields and rule.condition is None]
    return [frozenset(each for name in group for each in _columns_of(meta.get_field(name))) for group in names]


def _columns_of(field: Any) -> list[str]:
    return [part.column for part in getattr(field, "fields", ())] or [field.column]  # a composite key has several


def _column(connection: BaseDatabaseWrapper, field: Any, canonical: Callable[[str], str]) -> Wanted:
    words = field.db_type(connection)
    target = field.target_field if field.is_relation else field
    kind = of_words(words)
    if isinstance(target, JSONField) and kind.family in ("text", "JSON"):
        kind = Type(words, "JSON")
    points_to = canonical(field.remote_field.model._meta.db_table) if field.is_relation else ""
    return Wanted(
        column=field.column,
        type=kind,
        null=field.null,
        automatic=isinstance(field, AutoField),
        generated=getattr(field, "generated", False),
        db_default=_has_db_default(field),
        primary_key=field.primary_key,
        checked=bool(field.db_check(connection)) or kind.family == "JSON",  # which MariaDB checks by itself
        points_to=points_to,
        constraint=field.is_relation and field.db_constraint,
        on_delete=_on_delete(field) if field.is_relation else "",
        reads=partial(_reading, connection, field, target),
    )


def _has_db_default(field: Any) -> bool:
    return getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED  # Django 5.0 and later


_BY_DJANGO = {DO_NOTHING: "NOBODY", CASCADE: "CASCADE", SET_NULL: "SET NULL"}


def _on_delete(field: Any) -> str:
    on_delete = field.remote_field.on_delete
    by_django = _BY_DJANGO.get(on_delete, "DJANGO")
    return "DATABASE" if hasattr(on_delete, "on_delete_sql") else by_django  # Django 6.1 and later


# What the drivers give for values of each family.
_VALUES: dict[str, tuple[Any, ...]] = {
    "whole number": (7, 2**62),
    "decimal number": (Decimal("7.5"),),
    "floating number": (7.5,),
    "text": ("text", "7"),
    "JSON": ('{"a": 1}', "7"),
    "boolean": (True, False),
    "date": (date(2024, 5, 1),),
    "time": (time(10, 30),),
    "duration": (timedelta(hours=1),),
    "UUID": (UUID(int=7),),
    "binary": (b"bytes",),
}


def _reading(connection: BaseDatabaseWrapper, field: Any, target: Any, family: str) -> Reading:
    """What Django's own conversion makes of values that the driver gives for a column of this family."""
    found = {_reading_of(connection, field, target, value) for value in _values(connection, family)}
    return found.pop() if len(found) == 1 else Reading.OTHER


def _reading_of(connection: BaseDatabaseWrapper, field: Any, target: Any, value: Any) -> Reading:
    column = field.get_col(field.model._meta.db_table)
    try:
        for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection)):
            value = convert(value, column, connection)
    # A field may be the project's, and raise anything.
    except Exception:  # noqa: BLE001
        return Reading.FAILS
    return Reading.SAME if _is_of(target, value) else Reading.OTHER


def _is_of(field: Any, value: Any) -> bool:
    """Would the field give this value itself? Nobody asks it when a row is read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a time without a zone
            python = field.to_python(value)
    except Exception:  # noqa: BLE001  # as above
        return False
    return type(python) is type(value) and bool(python == value)


def _values(connection: BaseDatabaseWrapper, family: str) -> tuple[Any, ...]:
    if family == "date and time":
        aware = connection.vendor == "postgresql" and settings.USE_TZ
        return (datetime(2024, 5, 1, 10, 30, tzinfo=timezone.utc if aware else None),)
    others: dict[tuple[str, str], tuple[Any, ...]] = {
        ("decimal number", "sqlite"): (7.5,),
        ("UUID", "mysql"): (str(UUID(int=7)),),
        ("UUID", "sqlite"): (UUID(int=7).hex,),
        ("boolean", "mysql"): (1, 0),
    }
    return others.get((family, connection.vendor), _VALUES.get(family, ()))


def default(connection: BaseDatabaseWrapper, field: Any) -> str:
    """SQL for the value that a field gives where none is named, if it is always the same; else empty."""
    found = given(connection, field)[-1:]
    if isinstance(field, JSONField) or not found:
        return ""
    ((sql, parameters),) = found
    quote = connection.schema_editor().quote_value
    return str(sql % tuple(quote(each) for each in parameters)) if parameters else sql
