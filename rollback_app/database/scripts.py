"""What an SQL script needs besides the statements of the run itself, for the program that the database comes with.

Values are composed into statements by the driver, or quoted by the database.
"""

from __future__ import annotations

import math
import re
import shlex
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.history import Record

from .base import Database
from .postgresql import KEEP_AWAY


@dataclass(frozen=True)
class Numbers:
    """Where what numbers rows stood before a run that used it. table, column: what it numbers. sequence: its name. All names are
    quoted as SQL needs it. SQLite numbers the rows of a table, and that is all. number: the last that was given, or else (given:
    False) the first that will be."""

    table: str
    number: int
    given: bool = True
    column: str = ""
    sequence: str = ""


@dataclass(frozen=True)
class Condition:
    """What must be true before the script changes anything. sql: an expression. words: why it stops, if it is not."""

    sql: str
    words: str


_ANEW = "Make the script anew"


class Dialect(ABC):
    """Scripts for one database, read by its own program."""

    began: ClassVar[str]
    """When the transaction began, as our own tables have times: text, ISO 8601 in UTC."""

    now: ClassVar[str]
    """The time, as above."""

    who: ClassVar[str]
    """Who runs the script, as far as the database knows; else empty."""

    seconds: ClassVar[str]
    """How long the transaction has been open."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection: BaseDatabaseWrapper = database.connection

    # Values

    @abstractmethod
    def composed(self, sql: str, params: Any) -> str:
        """A statement with its values."""

    def sent(self, cursor: Any, sql: str, params: Any, *, many: bool) -> list[str]:
        """The statements that were executed just now. cursor: of the driver. params: a list of lists, if many."""
        return [self.composed(sql, each) for each in (params if many else [params])]

    def literal(self, value: Any) -> str:
        return self.composed("%s", [value])

    def quote(self, name: str) -> str:
        return str(self.connection.ops.quote_name(name))

    # Before the run

    @abstractmethod
    def program(self, file: str) -> str:
        """The line that runs a script of this name; without the password."""

    @abstractmethod
    def opening(self, conditions: Sequence[Condition], numbers: Sequence[Numbers]) -> list[str]:
        """What stops at the first error, begins the transaction and takes the lock, and then stops unless these conditions are
        true, and the next numbers of rows are those that the statements of the script reckon with."""

    def same_records(self, records: Collection[Record]) -> Condition:
        """The records of django_migrations are these, and no others."""
        table = self.quote("django_migrations")
        rows = ",\n        ".join(
            f"({each.id}, {self.literal(each.key.app)}, {self.literal(each.key.name)})" for each in records
        )
        number, count = len(records), f"(SELECT count(*) FROM {table}"
        same = f"{count}) = {number}\n    AND {count} WHERE (id, app, name) IN (VALUES\n        {rows})) = {number}"
        return Condition(
            same, f"the records of django_migrations are not those that this script was made from. {_ANEW}"
        )

    def none_of(self, source: str, query: str) -> Condition:
        """The query, of what is not kept since there was nothing of it, still finds no row. source: what it is about."""
        return Condition(
            f"NOT EXISTS (SELECT 1 {query})",
            f"{source} has got values since this script was made, which it would not keep. {_ANEW}",
        )

    def standing(self, numbers: Numbers) -> str:
        """The statement that puts what numbers rows where it stands, though nothing that was sent has brought it there."""
        return f"SELECT setval({self.literal(numbers.sequence)}, {_place(numbers)})"

    # After it

    @abstractmethod
    def closing(self, words: str) -> list[str]:
        """What commits, and says these words."""

    def cannot_do(self, sql: str) -> str:
        """What in this statement only Django's own connection can do, in words; empty if there is nothing."""
        return ""


class PostgreSQLDialect(Dialect):
    began = """to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')"""
    now = began.replace("now()", "clock_timestamp()")
    who = "session_user"
    seconds = "extract(epoch FROM clock_timestamp() - now())"

    # What decides how statements are read. Not client_encoding: psql's own is set below.
    _settings = ("search_path", "TimeZone", "DateStyle", "IntervalStyle", "default_tablespace")

    def composed(self, sql: str, params: Any) -> str:
        return str(self.connection.ops.compose_sql(sql, params)) if params else sql  # type: ignore[attr-defined]

    def sent(self, cursor: Any, sql: str, params: Any, *, many: bool) -> list[str]:
        if many:
            return super().sent(cursor, sql, params, many=many)
        return [self.connection.ops.last_executed_query(cursor, sql, params)]

    def program(self, file: str) -> str:
        options = self.connection.settings_dict
        named = [("-h", options["HOST"]), ("-p", options["PORT"]), ("-U", options["USER"]), ("-d", options["NAME"])]
        return " ".join(
            [
                "psql -X",
                *(f"{option} {shlex.quote(str(value))}" for option, value in named if value),
                f"-f {shlex.quote(file)}",
            ]
        )

    def opening(self, conditions: Sequence[Condition], numbers: Sequence[Numbers]) -> list[str]:
        waits = self.database.timeouts
        limits = {
            "lock_timeout": f"{max(1, round(waits.lock * 1000))}ms",
            "statement_timeout": "0" if waits.statement is None else f"{max(1, round(waits.statement * 1000))}ms",
            "idle_in_transaction_session_timeout": "0",
            "jit": "off",
            "standard_conforming_strings": "on",
        }
        values = {**limits, **{name: self._ask(f"SELECT current_setting('{name}')") for name in self._settings}}
        role, user = self._ask("SELECT current_user::text"), self._ask("SELECT session_user::text")
        history = self.quote("django_migrations")
        settings = [f"    PERFORM set_config('{name}', {self.literal(value)}, true);" for name, value in values.items()]
        checks = [
            line
            for each in conditions
            for line in (
                f"    IF NOT ({each.sql}) THEN",
                f"        RAISE EXCEPTION USING MESSAGE = {self.literal(each.words)};",
                "    END IF;",
            )
        ]
        return [
            "\\set ON_ERROR_STOP on",
            "\\set ON_ERROR_ROLLBACK off",
            "\\encoding UTF8",
            "BEGIN;",
            *([f"SET LOCAL ROLE {self.quote(role)};"] if role != user else []),
            _block(settings),
            f"LOCK TABLE {history} IN ACCESS EXCLUSIVE MODE;",
            _block([f"    PERFORM {KEEP_AWAY.removeprefix('SELECT ') % self.literal(history)};"]),
            _block([*checks, *(line for each in numbers for line in self._number(each))]),
        ]

    def _number(self, numbers: Numbers) -> list[str]:
        """A script that has failed half-way has moved it, and left no rows."""
        beyond = f"{numbers.column} > {numbers.number - (not numbers.given)}"
        words = f"rows of {numbers.table} were numbered since this script was made. {_ANEW}"
        return [
            f"    IF (SELECT (last_value, is_called) <> ({_place(numbers)}) FROM {numbers.sequence}) THEN",
            f"        LOCK TABLE {numbers.table} IN SHARE ROW EXCLUSIVE MODE;",
            f"        IF EXISTS (SELECT 1 FROM {numbers.table} WHERE {beyond}) THEN",
            f"            RAISE EXCEPTION USING MESSAGE = {self.literal(words)};",
            "        END IF;",
            f"        PERFORM {self.standing(numbers).removeprefix('SELECT ')};",
            "    END IF;",
        ]

    def closing(self, words: str) -> list[str]:
        return ["COMMIT;", f"\\echo {words}"]

    def _ask(self, query: str) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return str(cursor.fetchone()[0])


def _place(numbers: Numbers) -> str:
    return f"{numbers.number}, {str(numbers.given).lower()}"


def _block(lines: Sequence[str]) -> str:
    """PL/pgSQL to be run once. The quotes around it are such as it has not inside."""
    body, tag = "\n".join(lines), "rollback_app"
    while f"${tag}$" in body:
        tag += "_"
    return f"DO ${tag}$\nBEGIN\n{body}\nEND\n${tag}$;"


class SQLiteDialect(Dialect):
    began = now = "strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')"
    who = ""
    seconds = "0"

    def composed(self, sql: str, params: Any) -> str:
        if params is None:
            return sql
        if isinstance(params, dict):
            return sql % {name: self._quoted(value) for name, value in params.items()}
        return sql % tuple(map(self._quoted, params))

    def _quoted(self, value: Any) -> str:
        """As SQLite itself quotes what the driver hands to it, but for what it has no literal for."""
        connection: Any = self.connection.connection
        bound, quoted = connection.execute("SELECT ?1, quote(?1)", [value]).fetchone()
        if isinstance(bound, str) and set("\0\r") & set(bound):  # the program drops the second before a line break
            return f"CAST(X'{bound.encode().hex()}' AS TEXT)"
        if isinstance(bound, float) and math.isinf(bound):
            return "9e999" if bound > 0 else "-9e999"
        return str(quoted)

    def program(self, file: str) -> str:
        return f"sqlite3 {shlex.quote(self.database.where)} < {shlex.quote(file)}"

    def opening(self, conditions: Sequence[Condition], numbers: Sequence[Numbers]) -> list[str]:
        all_conditions = [*conditions, *map(self._same_numbers, numbers)]
        places = {f"condition_{number}": each for number, each in enumerate(all_conditions, 1)}
        columns = [
            f"    {name} INTEGER CONSTRAINT {_in_quotes(each.words)} CHECK ({name})" for name, each in places.items()
        ]
        orphans = _in_quotes("rows would point to rows that do not exist")
        checks = [f"    coalesce({each.sql}, 0)" for each in all_conditions]
        return [
            ".bail on",
            f".timeout {round(self.database.timeouts.lock * 1000)}",
            "PRAGMA foreign_keys = OFF;",
            "PRAGMA legacy_alter_table = OFF;",
            "BEGIN IMMEDIATE;",
            "\n".join(
                [
                    "CREATE TEMP TABLE rollback_app_check (",
                    ",\n".join([*columns, f"    orphans INTEGER CONSTRAINT {orphans} CHECK (orphans)"]),
                    ");",
                ]
            ),
            "\n".join(
                [f"INSERT INTO rollback_app_check ({', '.join(places)}) SELECT", ",\n".join(checks) + ";"],
            ),
            f"CREATE TEMP TABLE rollback_app_orphans AS {_ORPHANS};",
        ]

    def _same_numbers(self, numbers: Numbers) -> Condition:
        stands = f"(SELECT seq FROM sqlite_sequence WHERE name = {self.literal(numbers.table)})"
        return Condition(
            f"{stands} = {numbers.number}", f"rows of {numbers.table} were numbered since this script was made. {_ANEW}"
        )

    def closing(self, words: str) -> list[str]:
        return [
            "-- No more rows than before may point to rows that do not exist.",
            f"INSERT INTO rollback_app_check (orphans) SELECT ({_ORPHANS}) <= number FROM rollback_app_orphans;",
            "DROP TABLE temp.rollback_app_check;",
            "DROP TABLE temp.rollback_app_orphans;",
            "COMMIT;",
            f".print {words}",
        ]

    def cannot_do(self, sql: str) -> str:
        if "\r" in sql:
            return "a carriage return in its SQL, which sqlite3 may drop"
        called = {name.lower() for name in _CALLED.findall(sql)}
        found = sorted(called & self._only_here)
        return f"{found[0]}(), a function that only Django gives SQLite" if found else ""

    @cached_property
    def _only_here(self) -> set[str]:
        """The functions that Django has added."""
        query = "SELECT name FROM pragma_function_list"
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            here = {str(name).lower() for (name,) in cursor.fetchall()}
        with closing(sqlite3.connect(":memory:")) as plain:
            return here - {str(name).lower() for (name,) in plain.execute(query)}


_ORPHANS = "SELECT count(*) AS number FROM pragma_foreign_key_check"
_CALLED = re.compile(r"\b([a-z_]\w*)\s*\(", re.IGNORECASE)


def _in_quotes(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_DIALECTS: dict[str, type[Dialect]] = {"postgresql": PostgreSQLDialect, "sqlite": SQLiteDialect}


def dialect(database: Database) -> Dialect:
    """Scripts for this database."""
    return _DIALECTS[database.connection.vendor](database)
