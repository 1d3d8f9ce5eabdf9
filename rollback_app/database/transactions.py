"""Marks the transaction of a run, to tell whether it is still open later, and what became of it.

SQL or code of a migration may end a transaction and begin another one, without an error and without Django's knowledge.
"""

from __future__ import annotations

from typing import Any, Protocol

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError


class Mark(Protocol):
    """Made inside a transaction."""

    def is_open(self) -> bool:
        """Is the marked transaction still the open one?"""

    def was_committed(self) -> bool:
        """Was it committed? Asked outside of transactions. Closes the connection, whatever state a failure has left it in."""


def mark(connection: BaseDatabaseWrapper) -> Mark:
    """Mark the open transaction of a database that can roll back changes of tables."""
    found: Mark = _MARKS[connection.vendor](connection)
    return found


class _PostgreSQLMark:
    """PostgreSQL numbers its transactions, and remembers what became of each."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._number = self._ask("SELECT txid_current()")

    def is_open(self) -> bool:
        return bool(self._ask("SELECT txid_current_if_assigned()") == self._number)

    def was_committed(self) -> bool:
        self._connection.close()
        return bool(self._ask(f"SELECT txid_status({self._number})") == "committed")

    def _ask(self, query: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]


class _SQLiteMark:
    """A number in the connection's own temporary database is part of the transaction: it stays only with a commit. A savepoint
    goes with its transaction, even if another one was begun since."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._number = self._stored() + 1
        self._execute(f"PRAGMA temp.user_version = {self._number}")
        self._execute("SAVEPOINT rollback_app_run")
        self._is_there = True

    def is_open(self) -> bool:
        if self._is_there:  # else the last try to set it again failed
            try:
                self._execute("RELEASE rollback_app_run")
            except OperationalError as error:
                if "no such savepoint" not in str(error):
                    raise
                return False
        self._is_there = False
        self._execute("SAVEPOINT rollback_app_run")
        self._is_there = True
        return True

    def was_committed(self) -> bool:
        committed = self._stored() == self._number
        self._connection.close()
        return committed

    def _stored(self) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute("PRAGMA temp.user_version")
            return int(cursor.fetchone()[0])

    def _execute(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)


_MARKS: dict[str, Any] = {"postgresql": _PostgreSQLMark, "sqlite": _SQLiteMark}
