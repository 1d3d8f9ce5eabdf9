"""What moving rows from one table into another takes, as each database writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .shapes import parts
from .tenants import in_own_schema


@dataclass(frozen=True)
class Reference:
    """A foreign key: its columns, and the table and columns that they point to."""

    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]


def references(connection: BaseDatabaseWrapper, table: str) -> list[Reference]:
    """The foreign keys of a table, as the database enforces them."""
    query, params = _REFERENCES[connection.vendor](connection, table)
    found: dict[Any, list[tuple[str, str, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        for name, target, mine, theirs in cursor.fetchall():
            found.setdefault(name, []).append((target, mine, theirs))
    return [
        Reference(tuple(mine for _, mine, _ in pairs), pairs[0][0], tuple(theirs for _, _, theirs in pairs))
        for pairs in found.values()
    ]


_REFERENCES: dict[str, Callable[[Any, str], tuple[str, Sequence[str]]]] = {
    "postgresql": lambda connection, table: (
        """
SELECT c.oid, CASE WHEN pg_table_is_visible(t.oid) THEN t.relname ELSE n.nspname || '"."' || t.relname END,
    a.attname, b.attname
FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY k(mine, theirs, place)
JOIN pg_class t ON t.oid = c.confrelid JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.mine
JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.theirs
WHERE c.contype = 'f' AND c.conrelid = to_regclass(%s) ORDER BY c.oid, k.place
""",
        [in_own_schema(connection, table)],
    ),
    "mysql": lambda connection, table: (
        """
SELECT constraint_name, referenced_table_name, column_name, referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema = coalesce(nullif(%s, ''), database()) AND table_name = %s AND referenced_table_name IS NOT NULL
ORDER BY constraint_name, ordinal_position
""",
        parts(table, "`"),
    ),
    "sqlite": lambda connection, table: (
        """
SELECT f.id, f."table", f."from",
    coalesce(f."to", (SELECT name FROM pragma_table_info(f."table") WHERE pk = f.seq + 1))
FROM pragma_foreign_key_list(%s) f ORDER BY f.id, f.seq
""",
        [table],
    ),
}


def updating(connection: BaseDatabaseWrapper, table: str, source: str, values: Mapping[str, str], where: str) -> str:
    """UPDATE of a table, t, from another, k. table, source: quoted. values: expressions of columns, which are quoted."""
    setting = ", ".join(f"{_PREFIX[connection.vendor]}{name} = {value}" for name, value in values.items())
    return _UPDATING[connection.vendor].format(table=table, source=source, setting=setting, where=where)


_PREFIX: Mapping[str, str] = {"postgresql": "", "mysql": "t.", "sqlite": ""}
_UPDATING: Mapping[str, str] = {
    "postgresql": "UPDATE {table} AS t SET {setting} FROM {source} AS k WHERE {where}",
    "mysql": "UPDATE {table} AS t JOIN {source} AS k ON {where} SET {setting}",
    "sqlite": "UPDATE {table} AS t SET {setting} FROM {source} AS k WHERE {where}",
}


def inserting(connection: BaseDatabaseWrapper, table: str, columns: Iterable[str], select: str) -> str:
    """INSERT of what a query gives; numbers that the database would give by itself, too. table, columns: quoted."""
    own_numbers = " OVERRIDING SYSTEM VALUE" if connection.vendor == "postgresql" else ""
    return f"INSERT INTO {table} ({', '.join(columns)}){own_numbers} {select}"


def same(connection: BaseDatabaseWrapper, one: str, other: str) -> str:
    """The condition that two expressions of one type have the same value, to the letter, or are both null."""
    return _SAME[connection.vendor].format(one, other)


_SAME: Mapping[str, str] = {
    "postgresql": "CAST({} AS text) IS NOT DISTINCT FROM CAST({} AS text)",  # not every type can be compared
    "mysql": "BINARY {} <=> BINARY {}",
    "sqlite": "{} IS {} COLLATE BINARY",
}


def nowhere(
    connection: BaseDatabaseWrapper, values: Sequence[str], table: str, columns: Sequence[str], only: str
) -> str:
    """The condition that no row of a table without an index on these columns has these values. All quoted. only: a condition
    of the rows of that table that count."""
    if connection.vendor == "postgresql":  # which joins
        match = " AND ".join(f"q.{column} = {value}" for column, value in zip(columns, values, strict=True))
        return f"NOT EXISTS (SELECT FROM {table} q WHERE {match} AND {only})"
    # Which make a table with an index of such a list. DISTINCT, so that MySQL lets the table itself be updated.
    listed = ", ".join(columns)
    there = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return (
        f"({', '.join(values)}) NOT IN (SELECT {listed} FROM"
        f" (SELECT DISTINCT {listed} FROM {table} q WHERE {there} AND {only}) q)"
    )


def numbering(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """The statements that number the rows of a table of kept data, and give it room for why a row stays. table: its name."""
    quoted = connection.ops.quote_name(table)
    return [
        each.format(table=quoted, index=connection.ops.quote_name(f"{table}_row"))
        for each in _NUMBERING[connection.vendor]
    ]


NUMBER, WHY = "rollback_row", "rollback_why"
_NUMBERING: Mapping[str, Sequence[str]] = {
    "postgresql": [f"ALTER TABLE {{table}} ADD COLUMN {NUMBER} bigserial PRIMARY KEY, ADD COLUMN {WHY} text"],
    "mysql": [
        f"ALTER TABLE {{table}} ADD COLUMN {NUMBER} bigint AUTO_INCREMENT PRIMARY KEY, ADD COLUMN {WHY} longtext"
    ],
    "sqlite": [
        f"ALTER TABLE {{table}} ADD COLUMN {WHY} text",
        f"ALTER TABLE {{table}} ADD COLUMN {NUMBER} integer",
        f"UPDATE {{table}} SET {NUMBER} = _rowid_",
        f"CREATE INDEX {{index}} ON {{table}} ({NUMBER})",
    ],
}
