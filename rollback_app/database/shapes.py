"""The columns and the key of a table, as they are in the database now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .tenants import in_own_schema


@dataclass(frozen=True)
class Column:
    """type: as the database spells it. generated: does the database compute its values? required: does it take no null, and has
    no default of the database's?"""

    name: str
    type: str
    generated: bool
    required: bool


@dataclass(frozen=True)
class Shape:
    """A table's columns in their order, and those of its primary key in theirs."""

    columns: tuple[Column, ...]
    key: tuple[str, ...]

    def column(self, name: str) -> Column | None:
        return next((each for each in self.columns if each.name == name), None)

    @property
    def stored(self) -> tuple[str, ...]:
        """The names of the columns whose values are not computed."""
        return tuple(each.name for each in self.columns if not each.generated)


def shape(connection: BaseDatabaseWrapper, table: str) -> Shape | None:
    """None, if there is no such table. table: as Django names it, perhaps with a schema, as other"."table."""
    return shapes_of(connection, [table]).get(table)


def shapes_of(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> dict[str, Shape]:
    """Those of the tables that are there."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with connection.cursor() as cursor:
        for query, params in _QUERIES[connection.vendor](connection, list(tables)):
            cursor.execute(query, params)
            for table, *row in cursor.fetchall():
                found.setdefault(table, []).append(tuple(row))
    return {table: _shape(rows) for table, rows in found.items()}


def _shape(rows: Sequence[tuple[Any, ...]]) -> Shape:
    keys = sorted((place, name) for name, _, _, _, place in rows if place)
    columns = tuple(Column(name, kind, bool(generated), bool(required)) for name, kind, generated, required, _ in rows)
    return Shape(columns, tuple(name for _, name in keys))


def parameter(connection: BaseDatabaseWrapper, column: Column | None) -> str:
    """The placeholder of a value for this column, where no other thing tells PostgreSQL its type."""
    return typed(connection, "%s", column.type) if column else "%s"


def typed(connection: BaseDatabaseWrapper, value: str, kind: str) -> str:
    """A value as one of this type, on PostgreSQL, which asks for that; the others do it by themselves."""
    return f"CAST({value} AS {kind})" if connection.vendor == "postgresql" else value


def is_there(connection: BaseDatabaseWrapper, table: str, column: str = "") -> bool:
    """Is there such a table, with such a column?"""
    found = shape(connection, table)
    return found is not None and (not column or found.column(column) is not None)


_POSTGRESQL = """
SELECT asked.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
    coalesce(array_position((SELECT indkey::int2[] FROM pg_index WHERE indrelid = attrelid AND indisprimary), a.attnum) + 1, 0)
FROM unnest(%s::text[], %s::text[]) asked(name, quoted)
JOIN pg_attribute a ON a.attrelid = to_regclass(asked.quoted) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
# The subquery names its table once more, and is not joined: MariaDB and MySQL open each table of the server for a join.
_MYSQL = """
SELECT %s, c.column_name, c.column_type, coalesce(c.generation_expression, '') <> '',
    c.is_nullable = 'NO' AND c.column_default IS NULL AND c.extra NOT LIKE '%%auto_increment%%',
    CASE WHEN c.column_key = 'PRI' THEN (
        SELECT s.seq_in_index FROM information_schema.statistics s
        WHERE s.table_schema = coalesce(nullif(%s, ''), database()) AND s.table_name = %s
        AND s.column_name = c.column_name AND s.index_name = 'PRIMARY'
    ) ELSE 0 END
FROM information_schema.columns c
WHERE c.table_schema = coalesce(nullif(%s, ''), database()) AND c.table_name = %s ORDER BY c.ordinal_position
"""
_SQLITE = """
SELECT %s, name, type, hidden IN (2, 3), "notnull" AND dflt_value IS NULL AND NOT pk, pk
FROM pragma_table_xinfo(%s) WHERE hidden <> 1 ORDER BY cid
"""


def parts(table: str, quote: str) -> list[str]:
    """The schema of a table, or empty, and its name."""
    schema, _, name = table.rpartition(f"{quote}.{quote}")
    return [schema, name]


_QUERIES: dict[str, Callable[[Any, Sequence[str]], Iterable[tuple[str, Sequence[Any]]]]] = {
    "postgresql": lambda connection, tables: [
        (_POSTGRESQL, [tables, [in_own_schema(connection, table) for table in tables]])
    ],
    "mysql": lambda connection, tables: ((_MYSQL, [table, *parts(table, "`") * 2]) for table in tables),
    "sqlite": lambda connection, tables: ((_SQLITE, [table, table]) for table in tables),
}
