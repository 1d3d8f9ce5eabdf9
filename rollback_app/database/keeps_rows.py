"""What keeping rows, and putting them back, asks of a database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import ClassVar

from django.db.backends.base.base import BaseDatabaseWrapper

from . import shapes, sizes


class KeepsRows:
    """A part of `Database`."""

    connection: BaseDatabaseWrapper

    loses_checks: ClassVar[bool] = False
    """To make a column NOT NULL drops the check that it was added with."""

    def key(self, table: str) -> tuple[str, ...]:
        """See `safety.Inspector`."""
        found = shapes.shape(self.connection, table)
        return found.key if found else ()

    def row_bytes(self, table: str, columns: Collection[str]) -> float:
        """See `safety.Inspector`."""
        return sizes.row_bytes(self.connection, table, columns)

    def size(self, table: str) -> int | None:
        """See `safety.Inspector`."""
        return sizes.size(self.connection, table)

    def total_size(self) -> int:
        """Bytes that all rows of the database take, at most."""
        return sizes.total_size(self.connection)

    def lock_writers(self, tables: Collection[str]) -> None:
        """Keep others from writing to these tables until the transaction ends. Nothing, where the lock of a run does that, or
        where no lock lasts that long. Errors: those of Django's database layer."""

    @contextmanager
    def seeing_all_rows(self) -> Iterator[None]:
        """Inside, and in a transaction, rows that are hidden from this user are an error, and not left out in silence."""
        yield

    def locked_for(self, statements: Sequence[str], *besides: str) -> AbstractContextManager[None]:
        """Keeps others from writing to the tables that these statements change. besides: tables of ours that are written to."""
        return nullcontext()

    def own_rows(self, table: str) -> str:
        """How FROM names a table for its rows alone, without those of tables that inherit from it."""
        return str(self.connection.ops.quote_name(table))

    def check_now(self) -> None:
        """Have the database check from here on, in this transaction, what it would check at the end. Nothing, where it cannot
        wait, or the end is soon enough."""

    def without_foreign_keys(self) -> AbstractContextManager[None]:
        """Outside of transactions: inside of this, rows may point to others that come later. Nothing, where foreign keys are
        looked at in the end."""
        return nullcontext()

    def raise_sequences(self, table: str, columns: Collection[str]) -> None:
        """The next number that the database gives is above all that are there. Nothing, where it sees to that itself."""

    def comment(self, table: str, words: str) -> None:
        """Say in the database what a table is for. Nothing, where there are no comments."""
