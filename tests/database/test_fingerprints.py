"""A change of rows changes their fingerprint; their order, and who asks, does not."""

from __future__ import annotations

from itertools import product
from string import ascii_letters
from zlib import crc32

import pytest

from rollback_app.database import fingerprint, shape
from tests.support.databases import Database


@pytest.fixture
def table(database: Database) -> Database:
    binary = {"postgresql": "bytea", "mariadb": "longblob"}.get(database.vendor, "blob")
    execute(
        database,
        f"CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), number numeric(10, 2), long_one {binary})",
        "INSERT INTO t VALUES (1, 'one', 1.5, NULL), (2, NULL, NULL, NULL), (3, '', 2.5, NULL)",
    )
    return database


def execute(database: Database, *statements: str) -> None:
    with database.connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def of(database: Database) -> str:
    there = shape(database.connection, "t")
    assert there
    return fingerprint(database.connection, "t", there.columns)[0]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET name = 'ONE' WHERE id = 1",
        "UPDATE t SET name = 'one ' WHERE id = 1",
        "UPDATE t SET name = '' WHERE id = 2",
        "UPDATE t SET name = NULL WHERE id = 3",
        "UPDATE t SET number = 1.51 WHERE id = 1",
        "UPDATE t SET long_one = 'x' WHERE id = 1",
        "UPDATE t SET id = 4 WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
        "INSERT INTO t (id) VALUES (5)",
    ],
)
def test_it_changes_with_the_rows(table: Database, change: str) -> None:
    before = of(table)
    assert before.startswith("3:")
    execute(table, change)
    assert of(table) != before


def test_it_stays_the_same(table: Database) -> None:
    before = of(table)
    table.connection.close()
    assert of(table) == before
    execute(
        table, "CREATE TABLE u AS SELECT * FROM t", "DELETE FROM t", "INSERT INTO t SELECT * FROM u ORDER BY id DESC"
    )
    assert of(table) == before


def test_what_stands_beside_each_other_is_told_apart(table: Database) -> None:
    """Where one text ends and the next begins, and a text from a null."""
    execute(table, "CREATE TABLE u (id integer PRIMARY KEY, one varchar(20), two varchar(20))")

    def of_row(*values: str) -> str:
        execute(table, "DELETE FROM u", f"INSERT INTO u VALUES (1, {', '.join(values)})")
        there = shape(table.connection, "u")
        assert there
        return fingerprint(table.connection, "u", there.columns)[0]

    rows = [("'a,b'", "'c'"), ("'a'", "'b,c'"), ("'a,1,b'", "''"), ("NULL", "'N'"), ("'N'", "NULL"), ("''", "'N'")]
    rows += [("NULL", "NULL"), ("''", "NULL"), ("NULL", "''"), ("''", "''")]
    assert len({of_row(*row) for row in rows}) == len(rows)


def test_no_rows(table: Database) -> None:
    execute(table, "DELETE FROM t")
    assert of(table) == "0:0"


def test_two_rows_that_change_places(table: Database) -> None:
    """Also where the sum of what MariaDB makes of each row stays the same."""

    def hashed(number: int, name: str) -> int:
        return crc32(f"{number},{len(name)},{name},N,N".encode())

    one, other = next(
        (first, second)
        for first, second in product(product(range(4, 90), ascii_letters), repeat=2)
        if first[0] < second[0]
        and first[1] != second[1]
        and hashed(*first) + hashed(*second) == hashed(first[0], second[1]) + hashed(second[0], first[1])
    )
    execute(table, f"INSERT INTO t (id, name) VALUES ({one[0]}, '{one[1]}'), ({other[0]}, '{other[1]}')")
    before = of(table)
    execute(
        table,
        f"UPDATE t SET name = '{other[1]}' WHERE id = {one[0]}",
        f"UPDATE t SET name = '{one[1]}' WHERE id = {other[0]}",
    )
    assert of(table) != before
