"""What is said about errors that the servers themselves raise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.executor import advice
from tests.support.databases import Database

TABLE = "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL UNIQUE, CONSTRAINT small CHECK (n < 9))"


def error_of(database: Database, *statements: str) -> BaseException:
    """Of the last statement; those before it are done."""
    *first, last = statements
    with database.connection.cursor() as cursor:
        for statement in first:
            cursor.execute(statement)
        with pytest.raises((DatabaseError, InterfaceError)) as caught:
            cursor.execute(last)
    return caught.value


@pytest.fixture
def table(database: Database) -> Iterator[Database]:
    with database.connection.cursor() as cursor:
        cursor.execute(TABLE)
    yield database
    database.connection.close()  # whatever state it is in


@pytest.mark.parametrize(
    "statements",
    [
        ["INSERT INTO t VALUES (1, 1)", "INSERT INTO t VALUES (2, 1)"],
        ["INSERT INTO t VALUES (1, NULL)"],
        ["INSERT INTO t VALUES (1, 10)"],
        [
            "CREATE TABLE u (t integer, FOREIGN KEY (t) REFERENCES t (id))",
            "INSERT INTO t VALUES (1, 1)",
            "INSERT INTO u VALUES (1)",
            "DELETE FROM t",
        ],
    ],
    ids=["unique", "null", "check", "foreign key"],
)
def test_what_the_rules_of_the_database_forbid(table: Database, statements: Sequence[str]) -> None:
    assert "violate a constraint" in advice.about(error_of(table, *statements))


MAY_NOT = {
    "sqlite": ["PRAGMA query_only = 1", "INSERT INTO t VALUES (1, 1)"],
    "postgresql": ["GRANT USAGE ON SCHEMA public TO pg_monitor", "SET ROLE pg_monitor", "INSERT INTO t VALUES (1, 1)"],
}
TOO_SLOW = {
    "postgresql": ["SET statement_timeout = 100", "SELECT pg_sleep(9)"],
    "mariadb": ["SET max_statement_time = 0.1", "SELECT sum(a.seq * b.seq) FROM seq_1_to_100000 a, seq_1_to_100000 b"],
}
FULL = {
    "sqlite": ["PRAGMA max_page_count = 1", "CREATE TABLE u (n integer)"],
    "mariadb": [
        "SET max_heap_table_size = 16384",
        "CREATE TABLE m (n integer) ENGINE = MEMORY",
        "INSERT INTO m SELECT seq FROM seq_1_to_100000",
    ],
}
GONE = {
    "postgresql": ["SELECT pg_terminate_backend(pg_backend_pid())"],
    "mariadb": ["KILL CONNECTION_ID()"],
}


@pytest.mark.databases(*MAY_NOT)
def test_what_the_user_may_not_do(table: Database) -> None:
    assert "has no right" in advice.about(error_of(table, *MAY_NOT[table.vendor]))


@pytest.mark.databases(*TOO_SLOW)
def test_what_takes_too_long(table: Database) -> None:
    assert "--statement-timeout" in advice.about(error_of(table, *TOO_SLOW[table.vendor]))


@pytest.mark.databases(*FULL)
def test_a_disk_without_room(table: Database) -> None:
    assert "disk of the database is full" in advice.about(error_of(table, *FULL[table.vendor]))


@pytest.mark.databases(*GONE)
def test_a_connection_that_the_server_ends(table: Database) -> None:
    with table.connection.cursor() as cursor:
        try:
            cursor.execute(GONE[table.vendor][0])
        except (DatabaseError, InterfaceError) as error:  # MariaDB says first that the statement was interrupted
            first = error
        with pytest.raises((DatabaseError, InterfaceError)) as caught:
            cursor.execute("SELECT 1")
    if table.vendor == "postgresql":
        assert "The connection was lost" in advice.about(first)
    assert "The connection was lost" in advice.about(caught.value)


def test_of_other_errors_only_their_own_words_tell(table: Database) -> None:
    assert advice.about(error_of(table, "SELECT nothing FROM t")) == ""
