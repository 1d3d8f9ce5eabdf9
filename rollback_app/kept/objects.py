"""Definitions of objects that no migration knows: kept before a run, and run again when what they hang on is there again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rollback_app.bookkeeping import Catalogue
from rollback_app.database import Database
from rollback_app.safety import Kept, KeptKind, KeptState, ToKeep

from .attempts import as_far_as_possible, execute, why_not


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

    def attempt(entry: Kept) -> str:
        why = "" if entry.name in there else why_not(database, partial(execute, database, entry.definition))
        if not why:
            there.add(entry.name)
        return why

    newest_first = sorted(entries, key=lambda each: -each.number)  # of two with one name the newer is made
    failed = {entry.number: why for entry, why in as_far_as_possible(newest_first, attempt)}
    catalogue = Catalogue(database)
    done = [_as_it_is_now(entry, failed.get(entry.number, "")) for entry in newest_first]
    for entry in done:
        catalogue.change(entry.number, state=entry.state, why=entry.why, tried=True)
    return done


def _as_it_is_now(entry: Kept, why: str) -> Kept:
    if why:
        return replace(entry, why=((0, why),), tried=True)
    return replace(entry, state=KeptState.PUT_BACK, why=(), tried=True)
