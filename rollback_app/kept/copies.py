"""The SQL of copying a source into a table of its own, and of comparing it with what it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.utils import DataError, NotSupportedError, OperationalError, ProgrammingError

from rollback_app.bookkeeping import table_of
from rollback_app.database import Database, fingerprint, shape, typed, updating
from rollback_app.errors import RollbackError
from rollback_app.safety import Kept, KeptKind, ToKeep

_COMMENT = "Rows that were kept before they were dropped: see `python manage.py showkept {}`. Dropped by `dropkept {}`."
_AGAIN = "Stop what writes to it, then {again}. It is then copied again."


# What is said of values that cannot be converted, or of types.
_ABOUT_VALUES = (DataError, NotSupportedError, OperationalError, ProgrammingError)
_AT_ONCE = 200  # PostgreSQL lists at most 1664 columns, and SQLite 2000
BECAME = "rollback_became"  # the column of what the run has made of a kept value


class NotKept(RollbackError):
    """The copy is not what it is a copy of. In the hint, {again} stands for running the command again."""


class Copies:
    """The tables of one database that hold what is kept there."""

    def __init__(self, database: Database) -> None:
        self._database, self._connection = database, database.connection

    def has_rows(self, thing: ToKeep) -> bool:
        rows, params = self.rows(thing)
        query = f"SELECT EXISTS (SELECT 1 {rows})"
        if not thing.condition:
            return bool(self._fetch(query, params))
        try:
            with transaction.atomic(using=self._connection.alias):
                return bool(self._fetch(query))
        except _ABOUT_VALUES:  # the condition fails for a value that has come since
            return True

    def have_rows(self, things: Sequence[ToKeep]) -> list[bool]:
        """`has_rows` of each of these, which is asked in a statement or a few."""
        found = list[bool]()
        for start in range(0, len(things), _AT_ONCE):
            found += self._have_rows(things[start : start + _AT_ONCE])
        return found

    def _have_rows(self, things: Sequence[ToKeep]) -> Iterator[bool]:
        asked, params = list[str](), list[Any]()
        for thing in things:
            condition, values = self._condition(thing)
            asked.append(f"EXISTS (SELECT 1 FROM {self._quote(thing.table)} WHERE {condition})")
            params += values
        try:
            with transaction.atomic(using=self._connection.alias), self._connection.cursor() as cursor:
                cursor.execute(f"SELECT {', '.join(asked)}", params or None)
                found = cursor.fetchone()
        except _ABOUT_VALUES:  # of one of them
            yield from map(self.has_rows, things)
            return
        for thing, has in zip(things, found, strict=True):
            # The rows of a table may be those of others that inherit from it.
            yield bool(has) and (bool(thing.column) or self.has_rows(thing))

    def make(self, number: int, thing: ToKeep, columns: Sequence[str], *, wanted: int | None = None) -> int:
        """Copy these columns of the rows that are kept into the table of this number. How many rows that has. wanted: how many it
        should have; None, if they have not been counted yet.

        Errors: NotKept, if somebody wrote meanwhile; those of Django's database layer."""
        rows, params = self.rows(thing)
        listed, made = ", ".join(map(self._quote, columns)), self._quote(table_of(number))
        names = listed
        if thing.kind is KeptKind.VALUES:  # of the same type; see `note_what_became`
            names, listed = f"{listed}, {BECAME}", f"{listed}, {self._quote(thing.column)} AS {BECAME}"
        if params or thing.condition:  # which not every driver can send with CREATE TABLE, or which may fail
            self._execute(f"CREATE TABLE {made} AS SELECT {listed} {rows.partition(' WHERE ')[0]} WHERE 1 = 0")
            rows, copied = self._fill(f"INSERT INTO {made} ({names}) SELECT {listed}", thing)
        else:
            copied = self._execute(f"CREATE TABLE {made} AS SELECT {listed} {rows}")
        if copied < 0:  # SQLite does not tell of a table that it makes
            copied = self._fetch(f"SELECT count(*) FROM {made}")
        self._database.comment(table_of(number), self._database.spelled(comment_of(number)))
        if wanted is None:
            wanted = self._fetch(f"SELECT count(*) {rows}", params)
        if copied != wanted:
            words = f"{copied} rows were copied, and {wanted} counted"
            raise NotKept(f"Somebody wrote to {thing.source} while it was copied: {words}", hint=_AGAIN)
        return copied

    def size(self, number: int, rows: int) -> int:
        """Bytes that so many rows of a copy take, about."""
        return round(rows * self._database.row_bytes(table_of(number), ()))

    def note_what_became(self, entry: Kept, names: Mapping[str, str], table: str) -> None:
        """Note beside each kept value what the run has made of it, as it will be when it has its old type again. Where the server
        knows no way back, it stays what it was, so that no row is taken for one that nobody has changed since. names: the
        columns as they are called now; table: the same."""
        was = dict(entry.columns)

        def as_before(name: str) -> str:
            return typed(self._connection, f"k.{self._quote(names[name])}", was[name])

        where = " AND ".join(f"t.{self._quote(name)} = {as_before(name)}" for name in entry.key)
        kept, live = self._quote(table_of(entry.number)), self._quote(table)
        statement = updating(self._connection, kept, live, {BECAME: as_before(entry.column)}, where)
        with suppress(*_ABOUT_VALUES), transaction.atomic(using=self._connection.alias):
            self._execute(statement)

    def filling(self, entry: Kept) -> str:
        """The statement that puts the values of a column, which is there as it was, into the rows of their keys."""
        kept, column = self._quote(table_of(entry.number)), self._quote(entry.column)
        where = " AND ".join(f"t.{name} = k.{name}" for name in map(self._quote, entry.key))
        return updating(self._connection, self._quote(entry.table), kept, {column: f"k.{column}"}, where)

    def _fill(self, insert: str, thing: ToKeep) -> tuple[str, int]:
        """Copy the rows. FROM and WHERE of them, and how many they are."""
        if thing.condition:
            rows, _ = self.rows(thing)
            with suppress(*_ABOUT_VALUES), transaction.atomic(using=self._connection.alias):
                return rows, self._execute(f"{insert} {rows}")
            thing = replace(thing, condition="")  # all, since it cannot be asked of each
        rows, params = self.rows(thing)
        return rows, self._execute(f"{insert} {rows}", params)

    def fingerprint(self, table: str, column: str) -> str:
        """Of a table, or of a column of it; empty, if there is none."""
        return self._fingerprint(table, column)[0]

    def fingerprint_of(self, thing: ToKeep) -> tuple[str, int | None]:
        """(the fingerprint of what is copied, how many rows of it are kept; None if they are to be counted apart)."""
        if thing.kind is KeptKind.VALUES:  # whose condition may fail
            return self.fingerprint(thing.table, thing.column), None
        return self._fingerprint(thing.table, thing.column, *self._condition(thing))

    def _fingerprint(
        self, table: str, column: str, condition: str = "", params: Sequence[Any] = ()
    ) -> tuple[str, int | None]:
        there = shape(self._connection, table)
        columns = [*there.key, column] if there and column else there.stored if there else ()
        if there is None or not set(columns) <= set(there.stored):
            return "", None
        known = [each for each in there.columns if each.name in columns]
        return fingerprint(self._connection, self._from(table, column), known, condition, params)

    def rows(self, thing: ToKeep) -> tuple[str, Sequence[Any]]:
        """FROM and WHERE of the rows that are kept, and the parameters."""
        condition, params = self._condition(thing)
        return f"FROM {self._from(thing.table, thing.column)} WHERE {condition}", params

    def _condition(self, thing: ToKeep) -> tuple[str, Sequence[Any]]:
        if thing.kind is KeptKind.VALUES:
            return thing.condition or f"{self._quote(thing.column)} IS NOT NULL", ()
        if thing.only_losses:
            return self._database.own_value(thing.column, thing.field)
        if thing.column and not thing.everything:
            return self._database.not_as_added(thing.column, thing.field)
        return "1 = 1", ()

    def _from(self, table: str, column: str) -> str:
        return self._quote(table) if column else self._database.own_rows(table)

    def _quote(self, name: str) -> str:
        return str(self._connection.ops.quote_name(name))

    def _execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """How many rows were written, as far as the database tells."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return int(cursor.rowcount)

    def _fetch(self, sql: str, params: Sequence[Any] = ()) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return int(cursor.fetchone()[0])


def comment_of(number: int) -> str:
    """What is said in the database of the copy of this number."""
    return _COMMENT.format(number, number)


def written_to(source: str, migration: str) -> NotKept:
    """The error for a source that is no longer what was copied."""
    return NotKept(f"Somebody wrote to {source} after it was copied, so {migration} did not drop it", hint=_AGAIN)
