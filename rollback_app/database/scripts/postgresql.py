"""Scripts for psql."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import Any

from rollback_app.database.postgresql import KEEP_AWAY

from .base import ANEW, Condition, Dialect, Numbers


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

    def comment(self, table: str, words: str) -> list[str]:
        return [f"COMMENT ON TABLE {self.quote(table)} IS {self.literal(words)}"]

    def check_rows(self) -> list[str]:
        return ["SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED"]

    def numbered(self, table: str, number: int) -> list[str]:
        sequence = f"pg_get_serial_sequence({self.literal(self.quote(table))}, 'id')"
        return [f"SELECT setval({sequence}, {number})"]

    def lock_writers(self, tables: Collection[str]) -> list[str]:
        listed = ", ".join(map(self.quote, sorted(tables)))
        return [f"LOCK TABLE {listed} IN ACCESS EXCLUSIVE MODE"] if tables else []

    def _number(self, numbers: Numbers) -> list[str]:
        """A script that has failed half-way has moved it, and left no rows."""
        beyond = f"{numbers.column} > {numbers.number - (not numbers.given)}"
        words = f"rows of {numbers.table} were numbered since this script was made. {ANEW}"
        return [
            f"    IF (SELECT (last_value, is_called) <> ({_place(numbers)}) FROM {numbers.sequence}) THEN",
            f"        LOCK TABLE {numbers.table} IN SHARE ROW EXCLUSIVE MODE;",
            f"        IF EXISTS (SELECT 1 FROM {numbers.table} WHERE {beyond}) THEN",
            f"            RAISE EXCEPTION USING MESSAGE = {self.literal(words)};",
            "        END IF;",
            f"        PERFORM setval({self.literal(numbers.sequence)}, {_place(numbers)});",
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
