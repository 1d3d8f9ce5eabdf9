"""Scripts for mariadb and mysql."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from rollback_app.database.mysql import MySQL

from .base import Condition, Dialect, Numbers

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`""", re.DOTALL)


class MySQLDialect(Dialect):
    """MariaDB too. A script is no transaction there."""

    database: MySQL
    together = ("START TRANSACTION", "COMMIT")

    began = now = "date_format(utc_timestamp(), '%Y-%m-%dT%H:%i:%s+00:00')"
    who = "substring_index(user(), '@', 1)"
    seconds = "0"

    def composed(self, sql: str, params: Any) -> str:
        return sql if params is None else str(sql % tuple(map(self._quoted, params)))

    def _quoted(self, value: Any) -> str:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"X'{bytes(value).hex()}'"
        return str(self.connection.schema_editor().quote_value(value))

    def whole(self, sql: str) -> str:
        """The program ends a statement at each semicolon but the quoted ones."""
        text = sql.strip().removesuffix(";")
        if ";" not in _QUOTED.sub("", text):
            return text
        end = "//"
        while end in text:
            end += "/"
        return f"DELIMITER {end}\n{text}\n{end}\nDELIMITER ;"

    def comment(self, table: str, words: str) -> list[str]:
        return [f"ALTER TABLE {self.quote(table)} COMMENT = {self.literal(words)}"]

    def program(self, file: str) -> str:
        options = self.connection.settings_dict
        named = [("-h", options["HOST"]), ("-P", options["PORT"]), ("-u", options["USER"])]
        words = [f"{option} {shlex.quote(str(value))}" for option, value in named if value]
        return " ".join(
            [
                "mariadb" if self._is_mariadb else "mysql",
                *words,
                "-p",
                shlex.quote(str(options["NAME"])),
                f"< {shlex.quote(file)}",
            ]
        )

    @property
    def _is_mariadb(self) -> bool:
        return bool(self.connection.mysql_is_mariadb)  # type: ignore[attr-defined]

    def _list_of(self, rows: str) -> str:
        return rows

    def opening(self, conditions: Sequence[Condition], numbers: Sequence[Numbers]) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT @@sql_mode")
            (mode,) = cursor.fetchone()
        seconds = max(1, round(self.database.timeouts.lock))
        got = f"coalesce(GET_LOCK({self.literal(self.database.lock_name)}, {self.database.timeouts.lock:g}), 0)"
        lock = Condition(got, "", "somebody else is rolling this database back")
        return [
            "SET NAMES utf8mb4;",
            *(["SET SESSION check_constraint_checks = 1;"] if self._is_mariadb else []),
            f"SET SESSION sql_mode = {self.literal(mode)};",
            f"SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds};",
            *(f"{each};" for each in self.check("locked", lock)),
            *(f"{line};" for n, each in enumerate(conditions, 1) for line in self.check(f"condition_{n}", each)),
        ]

    def check(self, name: str, condition: Condition) -> list[str]:
        table = self.quote(f"rollback_app_check_{name}")
        words = self.quote((condition.brief or condition.words).replace("`", "")[:64])
        return [
            f"CREATE TEMPORARY TABLE {table} (holds integer, CONSTRAINT {words} CHECK (holds <> 0))",
            f"INSERT INTO {table} SELECT coalesce({condition.sql}, 0)",
            f"DROP TEMPORARY TABLE {table}",
        ]

    def closing(self, words: str) -> list[str]:
        return [f"DO RELEASE_LOCK({self.literal(self.database.lock_name)});", f"SELECT {self.literal(words)} AS '';"]
