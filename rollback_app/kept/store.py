"""What is kept in a database: its catalogue beside the tables that are really there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timezone

from rollback_app.bookkeeping import Catalogue
from rollback_app.database import Database, shape
from rollback_app.safety import Kept, KeptData, KeptKind, KeptState


def look(database: Database) -> KeptData:
    """Errors: Unreadable, if there is a catalogue that cannot be read; those of Django's database layer."""
    catalogue = Catalogue(database)
    entries, tables = catalogue.entries_or_error(), catalogue.tables()
    without_table = {each.number for each in entries if each.open and _has_table(each) and each.number not in tables}
    return KeptData(
        database.alias,
        database.title,
        tuple(_now(database, entry, entry.number in without_table) for entry in entries),
        tuple(sorted(tables - {entry.number for entry in entries})),
        frozenset(without_table),
        datetime.now(timezone.utc),
    )


def drop(database: Database, numbers: Collection[int]) -> None:
    """Drop what is kept under these numbers, in the transaction that is open where tables can be part of one."""
    catalogue = Catalogue(database)
    for number in sorted(numbers):
        catalogue.drop_table(number)
        catalogue.change(number, state=KeptState.DROPPED, left=0, why=())


def _has_table(entry: Kept) -> bool:
    return entry.kind is not KeptKind.OBJECT


def _now(database: Database, entry: Kept, is_dropped: bool) -> Kept:
    """The entry as it counts now."""
    if is_dropped:
        return replace(entry, state=KeptState.DROPPED, left=0)
    if entry.state is KeptState.COPIED and is_gone(database, entry):
        return replace(entry, state=KeptState.KEPT)
    return entry


def is_gone(database: Database, entry: Kept) -> bool:
    """Is the table or column not there that an entry is a copy of?"""
    there = shape(database.connection, entry.table)
    return there is None or bool(entry.column and not there.column(entry.column))
