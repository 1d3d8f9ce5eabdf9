"""Definitions of objects that no migration knows: kept before a run, and run again when what they hang on is there again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from django.db import transaction
from django.db.utils import DatabaseError

from rollback_app.bookkeeping import Catalogue
from rollback_app.database import Database, first_line
from rollback_app.safety import Kept, KeptKind, KeptState, ToKeep


def keep_objects(catalogue: Catalogue, things: Sequence[ToKeep], run: int) -> list[int]:
    """Write down these definitions, but for those that a run which broke off has written down. The numbers of all."""
    open_entries = [each for each in catalogue.entries() if each.kind is KeptKind.OBJECT and each.open]
    there = {_identity(each): each.number for each in open_entries}
    return [there.get(_identity(thing)) or _add(catalogue, thing, run) for thing in things]


def _identity(each: Kept | ToKeep) -> tuple[str, ...]:
    return each.table, each.column, each.name, each.definition


def _add(catalogue: Catalogue, thing: ToKeep, run: int) -> int:
    return catalogue.add(
        run=run,
        kind=KeptKind.OBJECT,
        table=thing.table,
        column=thing.column,
        name=thing.name,
        definition=thing.definition,
        state=KeptState.KEPT,
    )


def make_again(database: Database, entries: Sequence[Kept]) -> list[Kept]:
    """Make the objects of these entries again, whose tables and columns are there, and note in the catalogue what became of each.
    Call it outside of a transaction. The entries as they are then: put back, or still kept, with the database's own words.

    What is there already, by its name, counts as put back. One may need another: what fails is tried again as long as any other
    succeeds. Each is made as a whole or not at all.
    """
    there = set(database.object_names())
    waiting = sorted(entries, key=lambda each: -each.number)  # of two with one name the newer
    made, failed = list[Kept](), list[Kept]()
    while waiting:
        failed = []
        for entry in waiting:
            if why := "" if entry.name in there else _make(database, entry.definition):
                failed.append(replace(entry, why=((0, why),), tried=True))
            else:
                there.add(entry.name)
                made.append(replace(entry, state=KeptState.PUT_BACK, why=(), tried=True))
        if len(failed) == len(waiting):
            break
        waiting = failed
    catalogue = Catalogue(database)
    for entry in [*made, *failed]:
        catalogue.change(entry.number, state=entry.state, why=entry.why, tried=True)
    return [*made, *failed]


def _make(database: Database, definition: str) -> str:
    """Why it could not be made; empty if it was."""
    can_be_undone = database.can_undo_ddl
    try:
        with (
            transaction.atomic(using=database.alias) if can_be_undone else nullcontext(),
            database.connection.cursor() as cursor,
        ):
            cursor.execute(definition)
    except DatabaseError as error:
        return first_line(error)
    return ""
