"""Which rows and names in a database do not meet what undoing an operation demands of them.

Each query looks at a bounded number of rows. The answer comes with a query that lists the offending rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import NOT_PROVIDED, UniqueConstraint
from django.db.utils import DataError, ProgrammingError

from rollback_app.planner import Need, Requirement
from rollback_app.safety import Count, Violations

_DECIMALS = ("DecimalField", "FloatField")


def find(
    connection: BaseDatabaseWrapper, requirement: Requirement, tables: Mapping[str, set[str]], limit: int
) -> Violations | None:
    """The rows or the name in the way; None if there can be none: the database makes no such demand, or has no such table
    or column. tables: those that there are, with their columns. limit: of the rows that are looked at."""
    if requirement.need is Need.FREE_TABLE:
        return Violations(Count(1)) if requirement.column in tables else None
    if requirement.today not in tables:
        return None
    try:
        with transaction.atomic(using=connection.alias):
            return _FINDERS[requirement.need](_Search(connection, requirement, tables[requirement.today], limit))
    # The column has another type today, which cannot be compared so, until the run itself has changed it: not judged.
    except (ProgrammingError, DataError):
        return None


@dataclass(frozen=True)
class _Search:
    connection: BaseDatabaseWrapper
    requirement: Requirement
    there: set[str]  # the columns of the table, today
    limit: int

    @property
    def vendor(self) -> str:
        return self.connection.vendor

    def quote(self, name: str) -> str:
        return str(self.connection.ops.quote_name(name))

    @property
    def column(self) -> str:
        return self.quote(self.requirement.column)

    def fetch(self, sql: str) -> tuple[Any, ...]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, None)  # no parameters: conditions of constraints come as whole SQL
            found: tuple[Any, ...] = cursor.fetchone()
            return found

    def is_there(self) -> bool:
        """Are the columns that it is about in the table, under names that cannot be mistaken?"""
        renamed = dict(self.requirement.renamed)
        wanted = {renamed.get(name, name) for name in self.requirement.columns}
        return not self.there & renamed.keys() and wanted <= self.there

    def source(self, limited: bool) -> str:
        """The table as the operation will find it, under its name by then, with the names of its columns by then."""
        requirement, alias = self.requirement, self.quote(self.requirement.table)
        if not limited and not requirement.renamed:
            return self.quote(requirement.today) + (f" {alias}" if requirement.table != requirement.today else "")
        today = dict(requirement.renamed)
        if (
            limited and requirement.constraint is None
        ):  # only what is looked at: MariaDB and MySQL write it down before they look
            columns = [f"{self.quote(today.get(then, then))} AS {self.quote(then)}" for then in requirement.columns]
        else:
            columns = ["t.*", *(f"{self.quote(live)} AS {self.quote(then)}" for then, live in requirement.renamed)]
        limit = f" LIMIT {self.limit + 1}" if limited else ""
        return f"(SELECT {', '.join(columns)} FROM {self.quote(requirement.today)} t{limit}) {alias}"

    def matching(self, condition: str) -> Violations | None:
        """The rows for which this holds."""
        if not self.is_there():
            return None
        total, number = self.fetch(
            f"SELECT count(*), sum(CASE WHEN {condition} THEN 1 ELSE 0 END) FROM {self.source(limited=True)}"
        )
        listed = f"SELECT * FROM {self.source(limited=False)} WHERE {condition}"
        return Violations(Count(int(number or 0), more=total > self.limit), listed)


def _few_rows(search: _Search) -> Violations | None:
    field, at_most = search.requirement.after, search.requirement.at_most
    if search.vendor == "mysql" and not at_most and _has_zero(search, field):
        # MariaDB and MySQL fill such a column with 0 or an empty text, even in strict mode.
        return _rows(search, at_most=1) if field.unique else None
    return _rows(search, at_most)


def _rows(search: _Search, at_most: int) -> Violations | None:
    table = search.quote(search.requirement.today)
    (number,) = search.fetch(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {search.limit + 1}) looked_at")
    if number <= at_most:
        return None
    return Violations(Count(min(number, search.limit), more=number > search.limit), f"SELECT * FROM {table}")


def _has_zero(search: _Search, field: Any) -> bool:
    """Is there a value that MariaDB and MySQL take for this column when nobody gives one?"""
    if field.is_relation:
        return not field.db_constraint
    if field.get_internal_type() in ("DateField", "DateTimeField"):
        (mode,) = search.fetch("SELECT @@sql_mode")
        return "NO_ZERO_DATE" not in mode
    return True


def _no_nulls(search: _Search) -> Violations | None:
    if _is_filled(search):
        return None
    if not search.requirement.columns:
        return _rows(search, at_most=0)
    return search.matching(f"{search.column} IS NULL")


def _is_filled(search: _Search) -> bool:
    """Does Django fill the nulls of a column that is NOT NULL again?"""
    field: Any = search.requirement.after
    if field.db_default is not NOT_PROVIDED:
        return True
    # SQLite's table is made anew with the default that a new column has, which an empty text can be.
    filled = field.has_default() or search.vendor == "sqlite"
    return filled and search.connection.schema_editor().effective_default(field) is not None


def _unique(search: _Search) -> Violations | None:
    """Rows that share their values with others."""
    requirement, condition, nulls_too = search.requirement, "", False
    if requirement.constraint is not None:
        editor = search.connection.schema_editor()
        if not requirement.columns or requirement.constraint.create_sql(requirement.model(), editor) is None:
            return None  # over expressions, which are not looked at; or not supported by this database
        condition = requirement.constraint._get_condition_sql(requirement.model(), editor) or ""  # noqa: SLF001 - as its create_sql does
        nulls_too = requirement.constraint.nulls_distinct is False
    if not search.is_there():
        return None
    columns = [search.quote(name) for name in requirement.columns]
    conditions = [f"({condition})"] if condition else []
    conditions += [] if nulls_too else [f"{column} IS NOT NULL" for column in columns]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    listed = ", ".join(columns)
    grouped = f"{where} GROUP BY {listed} HAVING count(*) > 1"
    source = search.source(limited=True)
    total, number = search.fetch(
        f"SELECT (SELECT count(*) FROM {source}),"
        f" (SELECT sum(shared) FROM (SELECT count(*) AS shared FROM {source}{grouped}) doubled)"
    )
    query = f"SELECT {listed}, count(*) FROM {search.source(limited=False)}{grouped}"
    return Violations(Count(int(number or 0), more=total > search.limit), query)


def _check(search: _Search) -> Violations | None:
    requirement = search.requirement
    if requirement.constraint is not None:
        editor = search.connection.schema_editor()
        check = requirement.constraint._get_check_sql(requirement.model(), editor)  # noqa: SLF001 - as its create_sql does
        return search.matching(f"NOT ({check})")
    before, after = (_bound(field, requirement.column) for field in (requirement.before, requirement.after))
    check = after.db_check(search.connection)
    if not check or check == before.db_check(search.connection):
        return None
    return search.matching(f"NOT ({check})")


def _bound(field: Any, column: str) -> Any:
    found = field.clone()
    found.set_attributes_from_name(column)
    found.column = column
    return found


def _points(search: _Search) -> Violations | None:
    table, column = search.requirement.target
    pointed = f"SELECT 1 FROM {search.quote(table)} there WHERE there.{search.quote(column)} = {search.column}"
    if table not in search.connection.introspection.table_names():
        return None
    return search.matching(f"{search.column} IS NOT NULL AND NOT EXISTS ({pointed})")


# Types. SQLite does not enforce them.


def _fits(search: _Search) -> Violations | None:
    condition = _too_long(search, cut=False) or _out_of_range(search)
    return search.matching(condition) if condition else None


def _kept(search: _Search) -> Violations | None:
    condition = _too_long(search, cut=True) or _rounded(search)
    return search.matching(condition) if condition else None


def _type(field: Any) -> str:
    return str(field.get_internal_type())


def _too_long(search: _Search, *, cut: bool) -> str:
    """Longer than the column will be. cut: where the database cuts such a value in silence; else where it refuses it."""
    before, after = search.requirement.before, search.requirement.after
    length = getattr(after, "max_length", None)
    types = search.connection.data_types
    if search.vendor == "sqlite" or length is None or "varchar" not in str(types.get(_type(after))):
        return ""
    if (getattr(before, "max_length", None) or length + 1) <= length:
        return ""
    # When the type changes, and not only its length, Django tells PostgreSQL to cast, and a cast to varchar(n) cuts.
    if cut != (search.vendor == "postgresql" and types.get(_type(before)) != types.get(_type(after))):
        return ""
    value = f"CAST({search.column} AS text)" if search.vendor == "postgresql" else search.column
    return f"char_length({value}) > {length}"


def _out_of_range(search: _Search) -> str:
    before, after = search.requirement.before, search.requirement.after
    whole = search.connection.ops.integer_field_ranges
    if search.vendor == "sqlite" or _type(before) not in {*whole, *_DECIMALS}:
        return ""
    value = _round(search)
    if _type(after) in whole:
        low, high = whole[_type(after)]
        least, most = whole.get(_type(before), (low - 1, high + 1))
        below = least < low and not _bound(after, "x").db_check(search.connection)  # else the check finds those
        found = [f"{value} < {low}"] * below + [f"{value} > {high}"] * (most > high)
        return " OR ".join(found)
    if _type(after) == "DecimalField":
        return f"abs({value}) >= {10 ** (after.max_digits - after.decimal_places)}"
    return ""


def _rounded(search: _Search) -> str:
    before, after = search.requirement.before, search.requirement.after
    to_whole = _type(after) in search.connection.ops.integer_field_ranges
    if search.vendor == "sqlite" or _type(before) not in _DECIMALS or not (to_whole or _type(after) == "DecimalField"):
        return ""
    return f"{_number(search)} <> {_round(search)}"


def _number(search: _Search) -> str:
    # PostgreSQL rounds floating numbers to whole ones only.
    return f"CAST({search.column} AS numeric)" if search.vendor == "postgresql" else search.column


def _round(search: _Search) -> str:
    """The values as they will be."""
    if _type(search.requirement.before) not in _DECIMALS:
        return search.column
    places = getattr(search.requirement.after, "decimal_places", None) or 0
    return f"round({_number(search)}, {places})"


# Names


def _free_column(search: _Search) -> Violations | None:
    return Violations(Count(1)) if search.requirement.column in search.there else None


def _free_index(search: _Search) -> Violations | None:
    """On PostgreSQL and SQLite a name is taken in all of the schema, elsewhere in its table."""
    name, constraint = search.requirement.column, search.requirement.constraint
    if getattr(constraint, "condition", None) and search.vendor == "mysql" and isinstance(constraint, UniqueConstraint):
        return None  # it is not made at all
    sql = {
        "postgresql": "SELECT 1 FROM pg_class WHERE relname = %s AND pg_table_is_visible(oid)",
        "sqlite": "SELECT 1 FROM sqlite_master WHERE name = %s",
    }.get(search.vendor)
    if sql and (constraint is None or _is_index(constraint, search.vendor)):
        with search.connection.cursor() as cursor:
            cursor.execute(sql, [name])
            return Violations(Count(1)) if cursor.fetchone() else None
    if search.vendor == "sqlite":
        return None  # it becomes a part of the table, where names may be doubled
    with search.connection.cursor() as cursor:
        taken = name in search.connection.introspection.get_constraints(cursor, search.requirement.today)
    return Violations(Count(1)) if taken else None


def _is_index(constraint: Any, vendor: str) -> bool:
    """Is it made as an index, and so named among those? On SQLite only where it cannot be a part of the table."""
    return isinstance(constraint, UniqueConstraint) and (vendor == "postgresql" or constraint.condition is not None)


_FINDERS: dict[Need, Callable[[_Search], Violations | None]] = {
    Need.FEW_ROWS: _few_rows,
    Need.NO_NULLS: _no_nulls,
    Need.UNIQUE: _unique,
    Need.FITS: _fits,
    Need.KEPT: _kept,
    Need.POINTS: _points,
    Need.CHECK: _check,
    Need.FREE_COLUMN: _free_column,
    Need.FREE_INDEX: _free_index,
}
