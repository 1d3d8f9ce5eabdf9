"""Which rows and names in a database do not meet what undoing an operation demands of them.

Each query looks at a bounded number of rows. The answer comes with a query that lists the offending rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import NOT_PROVIDED, UniqueConstraint
from django.db.utils import DataError, ProgrammingError

from rollback_app.planner import Need, Requirement, is_exclusion
from rollback_app.safety import Count, Violations

from . import constraints, conversions
from .moving import nowhere
from .search import Search
from .tenants import in_own_schema

_TYPES = (Need.FITS, Need.KEPT, Need.READABLE)


def find(
    connection: BaseDatabaseWrapper,
    requirement: Requirement,
    columns_of: Callable[[str], set[str] | None],
    limit: int,
    seen: dict[Any, Any],
) -> Violations | None:
    """The rows or the name in the way; None if there can be none: the database makes no such demand, or has no such table
    or column. columns_of: the columns of a table, if it is there. limit: of the rows that are looked at. seen: see `Search`."""
    if requirement.need is Need.FREE_TABLE:
        return Violations(Count(1)) if columns_of(requirement.column) is not None else None
    there = columns_of(requirement.today)
    if there is None:
        return None
    search = Search(connection, requirement, there, columns_of, limit, seen)
    if requirement.need in _TYPES and not conversions.is_about_types(search):
        return None
    try:
        return _FINDERS[requirement.need](search)
    # The column has another type today, which cannot be compared so, until the run itself has changed it: not judged.
    except (ProgrammingError, DataError):
        return None


def _few_rows(search: Search) -> Violations | None:
    field, at_most = search.requirement.after, search.requirement.at_most
    if search.requirement.kept:
        return _without_kept(search, search.requirement.column, *search.requirement.kept)
    if search.vendor == "mysql" and not at_most and _has_zero(search, field):
        # MariaDB and MySQL fill such a column with 0 or an empty text, even in strict mode.
        return _rows(search, at_most=1) if field.unique else None
    return _rows(search, at_most)


def _rows(search: Search, at_most: int) -> Violations | None:
    table = search.quote(search.requirement.today)
    (number,) = search.fetch(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {search.limit + 1}) looked_at")
    if number <= at_most:
        return None
    return Violations(Count(min(number, search.limit), more=number > search.limit), f"SELECT * FROM {table}")


def _has_zero(search: Search, field: Any) -> bool:
    """Is there a value that MariaDB and MySQL take for this column when nobody gives one?"""
    if field.is_relation:
        return not field.db_constraint
    if field.get_internal_type() in ("DateField", "DateTimeField"):
        (mode,) = search.fetch("SELECT @@sql_mode")
        return "NO_ZERO_DATE" not in mode
    return True


def _without_kept(search: Search, column: str, table: str, key: Sequence[str]) -> Violations:
    """The rows for which there is no value in a table of kept ones."""
    today, live = dict(search.requirement.renamed), search.quote(search.requirement.today)
    values = [f"t.{search.quote(today.get(name, name))}" for name in key]
    known = f"q.{search.quote(column)} IS NOT NULL"
    condition = nowhere(search.connection, values, search.quote(table), [search.quote(name) for name in key], known)
    total, number = search.fetch(
        f"SELECT count(*), sum(CASE WHEN {condition} THEN 1 ELSE 0 END)"
        f" FROM (SELECT * FROM {live} LIMIT {search.limit + 1}) t"
    )
    return Violations(Count(int(number or 0), more=total > search.limit), f"SELECT * FROM {live} t WHERE {condition}")


def _no_nulls(search: Search) -> Violations | None:
    if _is_filled(search):
        return None
    if search.requirement.kept:
        return _without_kept(search, search.requirement.filled, *search.requirement.kept)
    if not search.requirement.columns:
        return _rows(search, at_most=0)
    return search.matching(f"{search.column} IS NULL")


def _is_filled(search: Search) -> bool:
    """Does Django fill the nulls of a column that is NOT NULL again?"""
    field: Any = search.requirement.after
    if getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED:  # Django 5.0 and later
        return True
    if field.is_relation:  # bound to no model, it cannot say how its default is stored
        return bool(field.has_default()) and field.default is not None
    # SQLite's table is made anew with the default that a new column has, which an empty text can be.
    filled = field.has_default() or search.vendor == "sqlite"
    return filled and search.connection.schema_editor().effective_default(field) is not None


def _points(search: Search) -> Violations | None:
    table, column = search.requirement.target
    pointed = f"SELECT 1 FROM {search.quote(table)} there WHERE there.{search.quote(column)} = {search.column}"
    if search.columns_of(table) is None:
        return None
    return search.matching(f"{search.column} IS NOT NULL AND NOT EXISTS ({pointed})")


# Names


def _free_column(search: Search) -> Violations | None:
    return Violations(Count(1)) if search.requirement.column in search.there else None


def _free_index(search: Search) -> Violations | None:
    """On PostgreSQL and SQLite a name is taken in all of the schema, elsewhere in its table."""
    name, constraint = search.requirement.column, search.requirement.constraint
    if getattr(constraint, "condition", None) and search.vendor == "mysql" and isinstance(constraint, UniqueConstraint):
        return None  # it is not made at all
    kind = "index" if constraint is None or _is_index(constraint, search.vendor) else "constraint"
    if sql := _TAKEN.get((search.vendor, kind)):
        with search.connection.cursor() as cursor:
            cursor.execute(sql, {"name": name, "table": in_own_schema(search.connection, search.requirement.today)})
            return Violations(Count(1)) if cursor.fetchone() else None
    if search.vendor == "sqlite":
        return None  # it becomes a part of the table, where names may be doubled
    with search.connection.cursor() as cursor:
        taken = name in search.connection.introspection.get_constraints(cursor, search.requirement.today)
    return Violations(Count(1)) if taken else None


_TAKEN: Mapping[tuple[str, str], str] = {
    ("postgresql", "index"): (
        "SELECT 1 FROM pg_class c JOIN pg_class t ON t.relnamespace = c.relnamespace"
        " WHERE t.oid = to_regclass(%(table)s) AND c.relname = %(name)s"
    ),
    ("postgresql", "constraint"): (
        "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(%(table)s) AND conname = %(name)s"
    ),
    ("sqlite", "index"): "SELECT 1 FROM sqlite_master WHERE name = %(name)s",
}


def _is_index(constraint: Any, vendor: str) -> bool:
    """Is it made as an index, and so named among those? On SQLite only where it cannot be a part of the table."""
    if vendor == "postgresql":
        return isinstance(constraint, UniqueConstraint) or is_exclusion(constraint)
    return isinstance(constraint, UniqueConstraint) and bool(constraint.condition or constraint.expressions)


_FINDERS: dict[Need, Callable[[Search], Violations | None]] = {
    Need.FEW_ROWS: _few_rows,
    Need.NO_NULLS: _no_nulls,
    Need.UNIQUE: constraints.doubles,
    Need.CHECK: constraints.breaking,
    Need.EXCLUDED: constraints.excluding,
    Need.FITS: conversions.not_fitting,
    Need.KEPT: conversions.changed,
    Need.READABLE: conversions.stranded,
    Need.POINTS: _points,
    Need.FREE_COLUMN: _free_column,
    Need.FREE_INDEX: _free_index,
}
