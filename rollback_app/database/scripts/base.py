"""What all scripts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.database.base import Database
from rollback_app.history import Record


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
    brief: str = ""  # where there is no room for more than 64 signs


ANEW = "Make the script anew"


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

    together: ClassVar[tuple[str, ...]] = ()
    """What begins and ends a transaction, where the script is none."""

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

    def whole(self, sql: str) -> str:
        """A statement as the program takes it for one."""
        return sql

    def numbered(self, table: str, number: int) -> list[str]:
        """What follows on a row that was inserted with this number, so that the next gets another one."""
        return []

    def check_rows(self) -> list[str]:
        """What has the database check now what it would check at the end."""
        return []

    def lock_writers(self, tables: Collection[str]) -> list[str]:
        """What keeps others from writing to these tables until the end, where something does."""
        return []

    def comment(self, table: str, words: str) -> list[str]:
        """What says in the database what a table is for, where there are comments."""
        return []

    def check(self, name: str, condition: Condition) -> list[str]:
        """What stops in the middle of a script that is no transaction, unless this is true."""
        return []

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
        listed = self._list_of(f"\n        {rows}")
        return Condition(
            f"{count}) = {number}\n    AND {count} WHERE (id, app, name) IN ({listed})) = {number}",
            f"the records of django_migrations are not those that this script was made from. {ANEW}",
            "the records are not those that this script was made from",
        )

    def _list_of(self, rows: str) -> str:
        return f"VALUES{rows}"

    def none_of(self, source: str, query: str) -> Condition:
        """The query, of what is not kept since there was nothing of it, still finds no row. source: what it is about."""
        return Condition(
            f"NOT EXISTS (SELECT 1 {query})",
            f"{source} has got values since this script was made, which it would not keep. {ANEW}",
            f"{source} has got values since, which would not be kept",
        )

    # After it

    @abstractmethod
    def closing(self, words: str) -> list[str]:
        """What commits, and says these words."""

    def cannot_do(self, sql: str) -> str:
        """What in this statement only Django's own connection can do, in words; empty if there is nothing."""
        return ""
