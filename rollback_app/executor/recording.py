"""Writes down what a run sends to the database."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation

from rollback_app.bookkeeping import KEPT_TABLE, OBJECTS_TABLE, SNAPSHOTS_TABLE
from rollback_app.database import Database, dialect
from rollback_app.planner import Step
from rollback_app.safety import Comparison
from rollback_app.states import acts_as

from .progress import RECEIVERS, Done, Progress
from .steps import in_words

_NOTES = (KEPT_TABLE, OBJECTS_TABLE, SNAPSHOTS_TABLE)


@dataclass(frozen=True)
class Beside:
    """What is done beside the steps, and between which."""

    doing: str
    when: str


@dataclass(frozen=True)
class Sent:
    """A statement that a run sent, with its values, ready to be run. part: what it belongs to. doing: the operation that it
    undoes, in words; empty for another. by_code: was it sent by code that may do anything? reads: does it seem to change
    nothing?"""

    part: Step | Beside
    sql: str
    doing: str
    by_code: bool
    reads: bool


# What Django and we ask the catalog begins with line breaks, and with WITH; a comment may come first.
_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(\w+)", re.DOTALL)
_READS = ("SELECT", "PRAGMA", "SAVEPOINT", "RELEASE", "ROLLBACK", "SHOW", "EXPLAIN", "VALUES", "TABLE")
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


def _only_reads(sql: str) -> bool:
    found = _FIRST_WORD.match(sql)
    word = found[1].upper() if found else ""
    return "setval(" not in sql and (word in _READS or (word == "WITH" and not _WRITES.search(sql)))


_SAVEPOINT = re.compile(
    r"""(SAVEPOINT|RELEASE(?: SAVEPOINT)?|ROLLBACK TO(?: SAVEPOINT)?)\s+["`]?(\w+)""", re.IGNORECASE
)
_FROM = re.compile(r"\bFROM\b", re.IGNORECASE)


class Recorder(Progress):
    """Writes down the statements that are sent, and hands on what is told."""

    def __init__(self, database: Database, inner: Progress, moved: Callable[[], Sequence[str]]) -> None:
        """moved: the statements that put what gives numbers where it stands, as far as that is no part of a transaction."""
        self.inner, self.moved = inner, moved
        self.shows_sql = inner.shows_sql
        self.dialect, self._database = dialect(database), database
        self.connection: Any = database.connection
        self.sent: list[Sent] = []
        self.rows: dict[Step, int] = {}
        self.seconds: dict[Beside, float] = {}
        self.part: Step | Beside | None = None
        self.doing, self.by_code, self.by_sql = "", False, False
        self.marks: list[tuple[str, int]] = []  # the savepoints that are open, and what had been sent by then
        self.before = 0

    def statements(self, part: Step | Beside) -> tuple[str, ...]:
        """Those of the steps and of what is kept, without those that only read, and those about our notes of it."""
        noted = () if isinstance(part, Step) else [f'"{table}"' for table in _NOTES]
        return tuple(
            each.sql
            for each in self.sent
            if each.part == part and not each.reads and not any(name in each.sql for name in noted)
        )

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(sql, params, many, context)
        if self._database.is_placing(sql):
            return result
        if savepoint := _SAVEPOINT.match(sql):
            self._minds(savepoint[1].upper(), savepoint[2])
        elif self.part and "txid_current_if_assigned" not in sql:  # which asks whether the transaction is still ours
            cursor, reads = context["cursor"], _only_reads(sql)
            # SQL of a migration may do anything. Code reads through the ORM, but for functions that it calls.
            calls = self._is_code() and not _FROM.search(sql)
            if not reads or self.by_sql or calls or "set_config(" in sql:
                for each in self.dialect.sent(cursor.cursor, sql, params, many=many):
                    self.sent.append(Sent(self.part, each, self.doing, self._is_code(), reads))
            if isinstance(self.part, Step) and not reads:
                self.rows[self.part] += max(cursor.rowcount, 0)  # -1 where there is nothing to count
        return result

    def _is_code(self) -> bool:
        return self.by_code or (isinstance(self.part, Beside) and self.part.doing == RECEIVERS)

    def _minds(self, word: str, name: str) -> None:
        """What is taken back was never sent, but it has used numbers."""
        if word == "SAVEPOINT":
            self.marks.append((name, len(self.sent)))
            return
        places = [place for place, (mark, _) in enumerate(self.marks) if mark == name]
        if places:
            if word.startswith("ROLLBACK"):
                del self.sent[self.marks[places[-1]][1] :]
                if self.part:  # else it is of the verification
                    self.sent += [
                        Sent(self.part, each, self.doing, self._is_code(), reads=True) for each in self.moved()
                    ]
            del self.marks[places[-1] + word.startswith("ROLLBACK") :]

    def undoing(self, operation: Operation | None) -> None:
        self.doing = in_words(operation) if operation else ""
        self.by_sql = isinstance(operation, RunSQL)
        self.by_code = operation is not None and acts_as(operation) in (None, RunPython)
        self.inner.undoing(operation)

    @contextmanager
    def beside(self, when: str, doing: str) -> Iterator[None]:
        self.part = part = Beside(doing, when)
        start = time.monotonic()
        try:
            yield
        finally:
            self.part, self.seconds[part] = None, self.seconds.get(part, 0) + time.monotonic() - start

    def _changed(self) -> int:
        """All rows that a connection of SQLite has ever changed, since its cursors do not count where they return them; 0
        elsewhere."""
        return int(getattr(self.connection.connection, "total_changes", 0))

    def began(self, step: Step) -> None:
        self.part = step
        self.rows[step] = 0
        self.before = self._changed()
        self.inner.began(step)

    def finished(self, done: Done) -> None:
        self.part = None
        if changed := self._changed() - self.before:
            self.rows[done.step] = changed
        self.inner.finished(done)

    def ran(self, sql: str) -> None:
        self.inner.ran(sql)

    def warned(self, text: str) -> None:
        self.inner.warned(text)

    def verified(self, comparison: Comparison) -> None:
        self.inner.verified(comparison)

    def rendered_everything(self, operation: Operation) -> None:
        self.inner.rendered_everything(operation)
