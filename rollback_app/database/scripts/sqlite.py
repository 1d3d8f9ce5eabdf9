"""Scripts for sqlite3."""

from __future__ import annotations

import math
import re
import shlex
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

from .base import ANEW, Condition, Dialect, Numbers

_ORPHANS = "SELECT count(*) AS number FROM pragma_foreign_key_check"
_PLACEHOLDER = re.compile(r"(?<!%)%s")
_CALLED = re.compile(r"\b([a-z_]\w*)\s*\(", re.IGNORECASE)


class SQLiteDialect(Dialect):
    began = now = "strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')"
    who = ""
    seconds = "0"

    def composed(self, sql: str, params: Any) -> str:
        if params is None:
            return sql
        if isinstance(params, dict):
            return sql % {name: self._quoted(value) for name, value in params.items()}
        # As Django's cursor does it, for which a % that stands alone is one.
        texts = [text.replace("%%", "%") for text in _PLACEHOLDER.split(sql)]
        values = [*map(self._quoted, params), ""]
        return "".join(f"{text}{value}" for text, value in zip(texts, values, strict=True))

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
            f"{stands} = {numbers.number}", f"rows of {numbers.table} were numbered since this script was made. {ANEW}"
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


def _in_quotes(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
