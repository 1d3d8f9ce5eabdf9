"""How our own tables are read and written: they make and bring up to date themselves, and never stand in the way.

A table that cannot be read, for want of a right or because it has another shape, counts as absent, and a warning says so once.
Older and newer releases of this app may share a table: a column that is missing is added before the first write, and a
column that comes later must have a default or be null, so that an older release can go on writing.

Nothing here sends a signal of a model or asks a router.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, TypeVar

from django.apps.registry import Apps
from django.db import models, transaction
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.database import Database, Shape, first_line, shape

_LOGGER = logging.getLogger("rollback_app.bookkeeping")
_T = TypeVar("_T")
_told: set[tuple[str, str]] = set()  # (title of the database, table) of those that could not be read when last tried


class OwnMeta:
    """What the models of our tables have in common. They are in a registry of their own, so that no migration is made for them
    and none unmakes them."""

    apps = Apps()
    app_label = "rollback_app"
    auto_created = True  # Django sends no signals for such models; receivers of any model know nothing of these


class Unreadable(DatabaseError):
    """A table of ours cannot be read, or a table of its name is not one of ours."""


class Table:
    """One of our tables in one database. seldom: the columns that only `must_find` reads, since they are large."""

    def __init__(self, database: Database, model: type[models.Model], seldom: Collection[str] = ()) -> None:
        self.database, self.model, self.seldom = database, model, frozenset(seldom)
        self.name = model._meta.db_table
        self._fields: dict[str, Any] = {field.name: field for field in model._meta.local_fields}
        self._alias = database.alias
        self._all: models.QuerySet[Any] = models.QuerySet(model, using=self._alias)

    @property
    def told(self) -> bool:
        """Could it not be read when last tried, and was that said?"""
        return (self.database.title, self.name) in _told

    # Reading

    def read(self, make: Callable[[Any], _T], **without: Any) -> list[_T]:
        """What `make` makes of each row, newest first; nothing if there is no table or it cannot be read. without: rows that
        have one of these values are left out.

        Errors: those of the database that are about something else: a lock, a lost connection.
        """
        try:
            found = self.must_read(make, **without)
        except Unreadable as error:
            if not self.told:
                _told.add((self.database.title, self.name))
                _LOGGER.warning("Table %s of %s is ignored: %s", self.name, self.database.title, first_line(error))
            return []
        if not without:  # a part that can be read says little about the rest
            _told.discard((self.database.title, self.name))
        return found

    def must_read(self, make: Callable[[Any], _T], **without: Any) -> list[_T]:
        """The same, but a table that cannot be read is an error. Errors: Unreadable, and those of `read`."""
        return self._made(make, without)

    def must_find(self, make: Callable[[Any], _T], number: int) -> _T | None:
        """What `make` makes of the row of this number, with all of its columns; None, if there is none. Errors: those of
        `must_read`."""
        return next(iter(self._made(make, {}, number)), None)

    def _made(self, make: Callable[[Any], _T], without: dict[str, Any], number: int | None = None) -> list[_T]:
        try:
            return [make(row) for row in self._rows(without, number)]
        except Unreadable:
            raise
        except (DatabaseError, InterfaceError) as error:
            if self.database.is_lock_timeout(error) or not self.database.is_answer(error):
                raise
            raise Unreadable(first_line(error)) from error
        # Of `make`, over values that we would not have written.
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise Unreadable(f"it has another shape ({first_line(error)})") from error

    def _rows(self, without: dict[str, Any], number: int | None) -> list[Any]:
        there = self._there()
        if there is None:
            return []
        defaults = {name: field.get_default() for name, field in self._missing(there).items()}
        query = self._all.order_by("-pk") if number is None else self._all.filter(pk=number)
        if any(defaults[name] == without[name] for name in without.keys() & defaults.keys()):
            return []
        for name in without.keys() - defaults.keys():
            query = query.exclude(**{name: without[name]})
        columns = self._fields.keys() - defaults.keys() - (self.seldom if number is None else set())
        # In a savepoint, so that a transaction around it outlives a failure.
        inside = self.database.connection.in_atomic_block
        with transaction.atomic(using=self._alias) if inside else nullcontext():
            return [SimpleNamespace(**row, **defaults) for row in query.values(*columns)]

    def _there(self) -> Shape | None:
        # Not by Django's introspection: it lists all tables, parses a definition on SQLite once for each of its columns,
        # and a project may have another one (django-pgschemas 1.1), which fails here.
        return shape(self.database.connection, self.name)

    def _missing(self, there: Shape) -> dict[str, Any]:
        """The columns that the table lacks, because another release made it. Errors: Unreadable, if none did."""
        missing = self._fields.keys() - {column.name for column in there.columns}
        for name in sorted(missing):
            if not (self._fields[name].has_default() or self._fields[name].null):
                raise Unreadable(f"it has another shape: there is no column {name}")
        return {name: self._fields[name] for name in self._fields if name in missing}

    def rows(self, **only: Any) -> models.QuerySet[Any]:
        """The rows that have these values, to be read and changed as Django does. The table must be there, and as we make it."""
        found: models.QuerySet[Any] = self._all.filter(**only)
        return found

    # Writing: the errors are those of Django's database layer

    def add(self, **values: Any) -> int:
        """Write a row, and give its number. Checks that it could be changed, too."""
        self._bring_up_to_date()
        with transaction.atomic(using=self._alias):
            (row,) = self._all.bulk_create([self.model(**values)])
            # MySQL does not tell the number; there nobody else writes meanwhile.
            number = int(row.pk or self._all.latest("pk").pk)
            self._all.filter(pk=number).update(**values)
            return number

    def add_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write these rows, in a statement or a few."""
        if rows:
            self._bring_up_to_date()
            with transaction.atomic(using=self._alias):
                self._all.bulk_create([self.model(**values) for values in rows])

    def change(self, number: int, only: Mapping[str, Any], **values: Any) -> None:
        """Change the row of this number, if it has those values."""
        with transaction.atomic(using=self._alias):
            self._all.filter(pk=number, **only).update(**values)

    def delete(self, number: int) -> None:
        """Delete the row of this number. No signal is sent."""
        with transaction.atomic(using=self._alias):
            self._all.filter(pk=number)._raw_delete(self._alias)  # noqa: SLF001  # Django's own way

    def _bring_up_to_date(self) -> None:
        editor = self.database.connection.schema_editor()
        for sql, params in self.changes():
            editor.execute(sql, params)

    def changes(self) -> Iterator[tuple[str, Any]]:
        """What makes the table, or brings it up to date."""
        # Not as a context: on SQLite that looks through all rows of the file for some that point nowhere, fails on those that
        # were there before, and enforces foreign keys again, which a run has switched off.
        editor = self.database.connection.schema_editor()
        there = self._there()
        if there is None:
            yield editor.table_sql(self.model)
            for index in self.model._meta.indexes:
                yield str(index.create_sql(self.model, editor)), None
            return
        for field in self._missing(there).values():
            # Not `add_field`, which makes the table anew on SQLite, and drops the default.
            definition, params = editor.column_sql(self.model, field, include_default=True)
            table, column = editor.quote_name(self.name), editor.quote_name(field.name)
            yield f"ALTER TABLE {table} ADD COLUMN {column} {definition}", params
