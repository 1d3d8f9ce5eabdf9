"""The catalogue of kept data: a row for each table, column or object that a rollback has kept, in the database that it is about.

The rows themselves are in tables of their own, `rollback_kept_<number>`. Times are text, as ISO 8601 in UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from django.db import models

from rollback_app.database import Database, is_there
from rollback_app.safety import KEPT_PREFIX, Kept, KeptKind, KeptState, table_of

from .tables import OwnMeta, Table

TABLE = "rollback_app_kept"
_NUMBERED = re.compile(f"{KEPT_PREFIX}([1-9][0-9]*)")


class KeptEntry(models.Model):
    """columns, key, why, names: JSON. See `safety.Kept`."""

    run = models.IntegerField(default=0)
    kind = models.CharField(max_length=20)
    source_table = models.TextField()
    source_column = models.TextField(default="")
    name = models.TextField(default="")
    definition = models.TextField(default="")
    columns = models.TextField(default="[]")
    key = models.TextField(default="[]")
    rows = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(null=True)
    made = models.CharField(max_length=40)
    state = models.CharField(max_length=20)
    left = models.BigIntegerField(default=0)
    why = models.TextField(default="[]")
    put_back = models.BooleanField(default=True)
    tried = models.BooleanField(default=False)
    about = models.TextField(default="")
    names = models.TextField(default="[]")
    fingerprint = models.TextField(default="")
    changing = models.BooleanField(default=False)
    by_migrate = models.BooleanField(default=False)

    class Meta(OwnMeta):
        db_table = TABLE

    def __str__(self) -> str:
        return f"{self.pk}: {self.state}"


class Catalogue:
    """The catalogue of one database. Reading needs no table; writing raises the errors of Django's database layer."""

    def __init__(self, database: Database, entries: Table | None = None) -> None:
        """entries: where they are written."""
        self.database = database
        self._entries = entries or Table(database, KeptEntry)

    def entries(self) -> list[Kept]:
        """All of them, newest first. What was copied counts as kept once its source is gone, also if the run was killed before it
        could note that; one that is put back only by hand as soon as it is complete."""
        return self._as_they_are(self.noted())

    def noted(self) -> list[Kept]:
        """All of them, newest first, as they were noted."""
        return self._entries.read(_kept)

    def entries_or_error(self) -> list[Kept]:
        """The same, but a catalogue that cannot be read is an error. Errors: Unreadable."""
        return self._as_they_are(self._entries.must_read(_kept))

    def _as_they_are(self, entries: Sequence[Kept]) -> list[Kept]:
        return [replace(each, state=KeptState.KEPT) if self._is_kept(each) else each for each in entries]

    def tables(self) -> set[int]:
        """The numbers of the tables of kept rows that are there, whether or not they have an entry."""
        return {int(found[1]) for name in self.database.table_names() if (found := _NUMBERED.fullmatch(name))}

    def drop_table(self, number: int) -> None:
        """Drop the table of this number, if it is there."""
        if number in self.tables():
            with self.database.connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {self.database.connection.ops.quote_name(table_of(number))}")

    def settle(self) -> None:
        """Note what counts as kept, before somebody makes its source again."""
        for each in self.noted():
            if self._is_kept(each):
                self.change(each.number, state=KeptState.KEPT)

    def _is_kept(self, entry: Kept) -> bool:
        if entry.state is not KeptState.COPIED or entry.half_made:
            return False
        if entry.kind in (KeptKind.TABLE, KeptKind.COLUMN) and entry.put_back:
            names = entry.names or [(entry.table, entry.column)]
            return not any(is_there(self.database.connection, table, column) for table, column in names)
        is_applied = entry.about in {str(record.key) for record in self.database.records()}
        return not entry.put_back or is_applied == entry.by_migrate

    def add(self, **values: Any) -> int:
        """Write an entry, and give its number, of which there is no table yet. values: as `safety.Kept` has them, without the
        number."""
        taken = self.tables()  # as those that a lost catalogue has left
        while (number := self._entries.add(made=_now(), **_stored(values))) in taken:
            self.forget(number)
        return number

    def change(self, number: int, **values: Any) -> None:
        self._entries.change(number, {}, **_stored(values))

    def forget(self, number: int) -> None:
        """Delete an entry, as of something that proved to be empty."""
        self._entries.delete(number)


_JSON = ("columns", "key", "why", "names")
_NAMES = {"table": "source_table", "column": "source_column"}


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    return {
        _NAMES.get(name, name): json.dumps(value) if name in _JSON else getattr(value, "value", value)
        for name, value in values.items()
    }


def _kept(row: Any) -> Kept:
    return Kept(
        number=row.id,
        run=row.run,
        kind=KeptKind(row.kind),
        table=row.source_table,
        column=row.source_column,
        name=row.name,
        definition=row.definition,
        columns=_pairs(json.loads(row.columns)),
        key=tuple(json.loads(row.key)),
        rows=row.rows,
        bytes=row.bytes,
        made=datetime.fromisoformat(row.made),
        state=KeptState(row.state),
        left=row.left,
        why=_pairs(json.loads(row.why)),
        put_back=row.put_back,
        tried=row.tried,
        about=row.about,
        names=_pairs(json.loads(row.names)),
        fingerprint=row.fingerprint,
        changing=row.changing,
        by_migrate=row.by_migrate,
    )


def _pairs(found: Sequence[Sequence[Any]]) -> tuple[tuple[Any, Any], ...]:
    return tuple((first, second) for first, second in found)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
