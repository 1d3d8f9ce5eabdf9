"""What is kept in a database: its catalogue beside the tables that are really there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timezone

from rollback_app.bookkeeping import Catalogue
from rollback_app.database import Database
from rollback_app.safety import Kept, KeptData, KeptKind, KeptState


def look(database: Database) -> KeptData:
    """Errors: Unreadable, if there is a catalogue that cannot be read; those of Django's database layer."""
    catalogue = Catalogue(database)
    entries, tables = catalogue.entries_or_error(), catalogue.tables()
    without_table = {each.number for each in entries if each.open and _has_table(each) and each.number not in tables}
    return KeptData(
        database.alias,
        database.title,
        tuple(
            replace(each, state=KeptState.DROPPED, left=0) if each.number in without_table else each for each in entries
        ),
        tuple(sorted(tables - {entry.number for entry in entries})),
        frozenset(without_table),
        datetime.now(timezone.utc),
        database.setting,
    )


def waiting(database: Database) -> list[Kept]:
    """What is still kept, and has its table, newest first."""
    catalogue = Catalogue(database)
    entries = [each for each in catalogue.entries() if each.open]
    tables = catalogue.tables() if entries else set()
    return [each for each in entries if each.number in tables]


def drop(database: Database, numbers: Collection[int]) -> None:
    """Drop what is kept under these numbers, in the transaction that is open where tables can be part of one."""
    catalogue = Catalogue(database)
    for number in sorted(numbers):
        catalogue.drop_table(number)
        catalogue.change(number, state=KeptState.DROPPED, left=0, why=())


def _has_table(entry: Kept) -> bool:
    return entry.kind is not KeptKind.OBJECT
