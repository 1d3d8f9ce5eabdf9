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
    "postgresql": ["GRANT USAGE ON SCHEMA public TO pg_monitor", "SET ROLE pg_monitor", "INSERT INTO t VALUES (1, 1)"],
}
READ_ONLY = {
    "sqlite": ["PRAGMA query_only = 1", "INSERT INTO t VALUES (1, 1)"],
    "postgresql": ["SET default_transaction_read_only = on", "INSERT INTO t VALUES (1, 1)"],
    "mariadb": ["SET SESSION TRANSACTION READ ONLY", "INSERT INTO t VALUES (1, 1)"],
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


@pytest.mark.databases(*READ_ONLY)
def test_a_database_that_is_read_only(table: Database) -> None:
    assert "is read-only" in advice.about(error_of(table, *READ_ONLY[table.vendor]))


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


CODES = {
    "postgresql": {
        "22001": "does not fit the type",
        "22P02": "does not fit the type",
        "23514": "violate a constraint",
        "25001": "--step-by-step runs it",
        "25006": "read-only",
        "25P03": "longer than a timeout of the server",
        "2BP01": "Other objects depend on it",
        "2D000": "--step-by-step runs it",
        "0A000": "Other objects depend on it",
        "28P01": "DATABASES",
        "40001": "Another transaction got in the way",
        "40P01": "Another transaction got in the way",
        "42501": "has no right",
        "42601": "not valid on this database",
        "42P01": "add --fake {step}",
        "42703": "add --fake {step}",
        "42704": "add --fake {step}",
        "42P07": "exists already",
        "42804": "cannot convert these types",
        "42830": "does not match the table",
        "44000": "violate a constraint",
        "53100": "disk of the database is full",
        "53200": "max_locks_per_transaction",
        "54000": "limit of the database",
        "55000": "not in a state that allows this",
        "55006": "in use in this very transaction",
        "55P03": "--lock-timeout",
        "55P04": "--step-by-step runs it",
        "57014": "--statement-timeout",
        "57P01": "connection was lost",
        "58030": "damaged",
        "P0001": "refused this with the words above",
        "XX001": "damaged",
        "F0000": "",
        "42P16": "",
    },
    "mariadb": {
        "1005": "does not match the table",
        "1050": "exists already",
        "1053": "connection was lost",
        "1054": "add --fake {step}",
        "1064": "not valid on this database",
        "1071": "limit of the database",
        "1091": "add --fake {step}",
        "1142": "has no right",
        "1146": "add --fake {step}",
        "1194": "damaged",
        "1205": "--lock-timeout",
        "1213": "Another transaction got in the way",
        "1264": "does not fit the type",
        "1290": "read-only",
        "1317": "--statement-timeout",
        "1406": "does not fit the type",
        "1451": "violate a constraint",
        "1553": "Other objects depend on it",
        "1644": "refused this with the words above",
        "1792": "read-only",
        "1114": "disk of the database is full",
        "1040": "DATABASES",
        "1235": "",
    },
}
RAISES = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'no such table: interrupted' USING ERRCODE = '{}'; END $$",
    "mariadb": "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {}, MESSAGE_TEXT = 'no such table: interrupted'",
}


@pytest.mark.databases(*CODES)
def test_each_code_that_a_server_sends_has_its_advice_or_none(table: Database) -> None:
    for code, words in CODES[table.vendor].items():
        said = advice.about(error_of(table, RAISES[table.vendor].format(code)))
        assert words in said, code
        assert bool(words) == bool(said), code
        assert ("--fake" in said) == (words == "add --fake {step}"), code


SQLITE = [
    ("DROP TABLE nowhere", "add --fake {step}"),
    ("SELECT nowhere FROM t", "add --fake {step}"),
    ("DROP INDEX nowhere", "add --fake {step}"),
    ("CREATE TABLE t (n integer)", "exists already"),
    ("ALTER TABLE t ADD COLUMN n integer", "exists already"),
    ("wrong", "not valid on this database"),
    ("INSERT INTO t VALUES ('x', 1)", "does not fit the type"),
    ("SELECT abs(-9223372036854775808)", ""),
    ("BEGIN; VACUUM", "--step-by-step runs it"),
    ("BEGIN; BEGIN", "--step-by-step runs it"),
    ("CREATE VIEW v AS SELECT n FROM t; ALTER TABLE t DROP COLUMN n", ""),
    ("CREATE VIEW v AS SELECT m FROM u; ALTER TABLE t RENAME TO w", "Other objects depend on it"),
]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("statements", "words"), SQLITE)
def test_the_words_of_sqlite(table: Database, statements: str, words: str) -> None:
    said = advice.about(error_of(table, *statements.split("; ")))
    assert words in said
    assert bool(words) == bool(said), said
