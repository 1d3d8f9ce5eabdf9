"""Who holds the lock that a statement of a run waits for. PostgreSQL tells only while it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, InterfaceError

from .tenants import same_again


class Blockers(threading.Thread):
    """Asks on a connection of its own, which is made only when a statement has been running for half the lock timeout.

    connection: of the run. ask: gives, on another connection, those who block the run, in words. is_lock_timeout: of an error.
    blamed: who blocked the last statement that waited in vain.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        patience: float,
        ask: Callable[[BaseDatabaseWrapper], list[str]],
        is_lock_timeout: Callable[[BaseException], bool],
    ) -> None:
        super().__init__(daemon=True)
        self.blamed: list[str] = []
        self._connection, self._patience = connection, patience / 2
        self._ask, self._is_lock_timeout = ask, is_lock_timeout
        self._began: float | None = None  # of the statement that is running
        self._found: list[str] = []
        self._enough = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.start()
        try:
            with self._connection.execute_wrapper(self._statement):
                yield
        finally:
            self._enough.set()
            self.join()

    def _statement(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self._found, self._began = [], time.monotonic()
        try:
            return execute(sql, params, many, context)
        except DatabaseError as error:
            if self._is_lock_timeout(error):
                self.blamed = self._found
            raise
        finally:
            self._began = None

    def run(self) -> None:
        other = same_again(self._connection)
        while not self._enough.wait(min(1.0, max(0.05, self._patience / 2))):
            began = self._began
            if began is not None and time.monotonic() - began > self._patience:
                with suppress(DatabaseError, InterfaceError):  # perhaps there are too many connections
                    self._found = self._ask(other)
        other.close()
