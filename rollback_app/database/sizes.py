"""How much room rows take, by statistics and by a sample."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db.backends.base.base import BaseDatabaseWrapper

from .shapes import parts, shape
from .tenants import in_own_schema

SAMPLE = 1000  # rows
_OVERHEAD = 24  # bytes of a row, besides its values

_LENGTH: Mapping[str, str] = {
    "postgresql": "pg_column_size({})",
    "mysql": "length({})",
    "sqlite": "length(CAST({} AS BLOB))",
}


def row_bytes(connection: BaseDatabaseWrapper, table: str, columns: Collection[str]) -> float:
    """Bytes that these columns take in a row, on the average of some rows that have a value in the last of them;
    without columns, those of a whole row."""
    quote, length = connection.ops.quote_name, _LENGTH[connection.vendor]
    there = shape(connection, table)
    names = [quote(name) for name in columns or (there.stored if there else ["1"])]
    has_value = f" WHERE {names[-1]} IS NOT NULL" if columns else ""
    summed = " + ".join(f"coalesce({length.format(name)}, 0)" for name in names)
    listed = ", ".join(names)
    sample = f"SELECT {listed} FROM {quote(table)}{has_value} LIMIT {SAMPLE}"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT avg({summed}) FROM ({sample}) sample")
        return float(cursor.fetchone()[0] or 0) + _OVERHEAD


def size(connection: BaseDatabaseWrapper, table: str) -> int | None:
    """Bytes that a table takes; of SQLite the whole database, which is no less. None, if there is no such table."""
    params = {"postgresql": [in_own_schema(connection, table)], "mysql": parts(table, "`"), "sqlite": []}[
        connection.vendor
    ]
    with connection.cursor() as cursor:
        cursor.execute(_SIZE[connection.vendor], params)
        found = cursor.fetchone()
    return int(found[0]) if found and found[0] is not None else None


def total_size(connection: BaseDatabaseWrapper) -> int:
    """Bytes of all rows, without their indexes; of SQLite the whole file."""
    with connection.cursor() as cursor:
        cursor.execute(_TOTAL[connection.vendor])
        return int(cursor.fetchone()[0] or 0)


_TOTAL: Mapping[str, str] = {
    "postgresql": (
        "SELECT sum(pg_table_size(oid)) FROM pg_class WHERE relkind IN ('r', 'm')"
        " AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
    ),
    "mysql": "SELECT sum(data_length) FROM information_schema.tables WHERE table_schema = database()",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
}
_SIZE: Mapping[str, str] = {
    "postgresql": "SELECT pg_table_size(to_regclass(%s))",
    "mysql": (
        "SELECT data_length FROM information_schema.tables"
        " WHERE table_schema = coalesce(nullif(%s, ''), database()) AND table_name = %s"
    ),
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
}
