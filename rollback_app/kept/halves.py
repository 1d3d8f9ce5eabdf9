"""Moves rows back, and finds those that the database refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, IntegrityError

from rollback_app.database import NUMBER, WHY, Database, first_line

from .moves import Move

MOST = 1000  # rows that are refused one by one, before the rest is left alone
_TOO_MANY = f"not tried, since more than {MOST} other rows were refused"


class _Lost(IntegrityError):
    """The database took fewer rows than it was given, and said nothing."""

    def __init__(self) -> None:
        super().__init__("a trigger or a rule of the table left the row out")


def move_rows(connection: BaseDatabaseWrapper, move: Move, only: str = "1 = 1", params: Sequence[Any] = ()) -> None:
    """Move the rows of k for which this condition holds. Errors: those of the database, also if it left out any."""
    ((wanted,),) = fetch(connection, f"SELECT count(*) FROM {move.source} k WHERE {only}", params)
    moved = sum(execute(connection, each.sql, each.params) for each in move.statements(only, params)) if wanted else 0
    if moved != wanted:
        raise _Lost


def is_refusal(database: Database, error: DatabaseError) -> bool:
    """Is it about the rows? Else the connection is lost, or somebody else has a lock, and other rows fare no better."""
    return isinstance(error, _Lost) or (database.is_answer(error) and not database.is_lock_timeout(error))


class Halves:
    """Moves the rows that have no reason to stay; where that fails, one half and then the other, down to single rows.

    together: other tables that these rows point to come later in the transaction."""

    def __init__(self, database: Database, move: Move, *, together: bool) -> None:
        self._database, self._move, self._together = database, move, together
        self._connection = database.connection
        self._failed: dict[int, str] = {}

    def go(self) -> dict[int, str]:
        """The numbers of the rows that stay, and the database's words. The kept table says so, too."""
        rows = f"SELECT min({NUMBER}), max({NUMBER}) FROM {self._move.source} WHERE {WHY} IS NULL"
        ((first, last),) = fetch(self._connection, rows)
        if first is None:
            return {}
        self._between(first, last)
        # One row may have held what another wants, such as a unique value.
        while 0 < len(self._failed) < MOST:
            waiting, self._failed = self._failed, {}
            for row in waiting:
                self._mark(row, row, None)
                self._between(row, row)
            if len(self._failed) == len(waiting):
                break
        return self._failed

    def _between(self, first: int, last: int) -> None:
        if len(self._failed) >= MOST:
            self._leave(first, last, _TOO_MANY)
            return
        try:
            with transaction.atomic(using=self._database.alias):
                only = f"k.{NUMBER} BETWEEN %s AND %s AND k.{WHY} IS NULL"
                move_rows(self._connection, self._move, only, [first, last])
                if not self._together:
                    self._database.check_now()
        except DatabaseError as error:
            if not is_refusal(self._database, error):
                raise
            if first == last:
                self._leave(first, last, first_line(error))
            else:
                middle = (first + last) // 2
                self._between(first, middle)
                self._between(middle + 1, last)

    def _leave(self, first: int, last: int, why: str) -> None:
        rows = f"SELECT {NUMBER} FROM {self._move.source} WHERE {WHY} IS NULL AND {NUMBER} BETWEEN %s AND %s"
        self._failed |= {row: why for (row,) in fetch(self._connection, rows, [first, last])}
        self._mark(first, last, why)

    def _mark(self, first: int, last: int, why: str | None) -> None:
        only = f"{NUMBER} BETWEEN %s AND %s" + (f" AND {WHY} IS NULL" if why else "")
        execute(self._connection, f"UPDATE {self._move.source} SET {WHY} = %s WHERE {only}", [why, first, last])


def execute(connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any] = ()) -> int:
    """How many rows were touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return int(cursor.rowcount)


def fetch(connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return list(cursor.fetchall())
