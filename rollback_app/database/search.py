"""Looking through the rows of a table for those that are in the way of an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.planner import Requirement
from rollback_app.safety import Count, Violations

from .value_types import passed_through, type_of


@dataclass(frozen=True)
class Search:
    """What one requirement is looked for with.

    there: the columns of its table today. columns_of: those of any table, if it is there. limit: of the rows that are looked
    at. seen: what earlier searches of the same look at the database found out, for those that ask the same again.
    """

    connection: BaseDatabaseWrapper
    requirement: Requirement
    there: set[str]
    columns_of: Callable[[str], set[str] | None]
    limit: int
    seen: dict[Any, Any] = field(default_factory=dict)

    @property
    def vendor(self) -> str:
        return self.connection.vendor

    def quote(self, name: str) -> str:
        return str(self.connection.ops.quote_name(name))

    def literal(self, value: str) -> str:
        return str(self.connection.schema_editor().quote_value(value))

    @property
    def column(self) -> str:
        return self.quote(self.requirement.column)

    @property
    def types_by_then(self) -> list[str]:
        """Those that the run itself gives the column before this."""
        live = dict(self.requirement.renamed).get(self.requirement.column, self.requirement.column)
        return [type_of(self.connection, field) for field in dict(self.requirement.types).get(live, ())]

    def fetch(self, *statements: str) -> tuple[Any, ...]:
        """The first row that the last of these gives. Errors: those of Django's database layer; nothing is broken by them."""
        with transaction.atomic(using=self.connection.alias), self.connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql, None)  # no parameters: conditions of constraints come as whole SQL
            found: tuple[Any, ...] = cursor.fetchone()
            return found

    def is_there(self) -> bool:
        """Are the columns that it is about in the table?"""
        renamed = dict(self.requirement.renamed)
        return {renamed.get(name, name) for name in self.requirement.columns} <= self.there

    @property
    def alias(self) -> str:
        """The table's name by then, without its schema."""
        mark = self.quote("")[0]
        return self.quote(self.requirement.table.rpartition(f"{mark}.{mark}")[2])

    def source(self, limited: bool) -> str:
        """The table as the operation will find it, under its name by then, with the names and the values of its columns by
        then."""
        requirement, alias = self.requirement, self.alias
        if not limited and not requirement.renamed and not requirement.types:
            return self.quote(requirement.today) + (f" {alias}" if requirement.table != requirement.today else "")
        today = dict(requirement.renamed)
        if limited and requirement.constraint is None:
            # Only what is looked at: MariaDB and MySQL write it down before they look.
            columns = [(today.get(then, then), then) for then in requirement.columns]
        else:
            by_then = {live: then for then, live in requirement.renamed}
            columns = [
                (live, by_then.get(live, live))
                for live in sorted(self.there)
                if live in by_then or live not in today  # a column whose name another one has by then is gone by then
            ]
        types = dict(requirement.types)
        values = [passed_through(self.connection, self.quote(live), types.get(live, ())) for live, _ in columns]
        listed = ", ".join(f"{value} AS {self.quote(then)}" for value, (_, then) in zip(values, columns, strict=True))
        limit = f" LIMIT {self.limit + 1}" if limited else ""
        return f"(SELECT {listed} FROM {self.quote(requirement.today)} t{limit}) {alias}"

    def matching(self, condition: str) -> Violations | None:
        """The rows for which this holds."""
        if not self.is_there():
            return None
        total, number = self.fetch(
            f"SELECT count(*), sum(CASE WHEN {condition} THEN 1 ELSE 0 END) FROM {self.source(limited=True)}"
        )
        count = Count(int(number or 0), more=total > self.limit)
        return Violations(count, self.listing(condition), condition=condition)

    def listing(self, condition: str) -> str:
        """A query that lists them."""
        return f"SELECT * FROM {self.source(limited=False)} WHERE {condition}"
