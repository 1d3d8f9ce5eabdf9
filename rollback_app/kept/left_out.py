"""Columns of a kept table that the table itself has not got when its rows go back: perhaps a later `migrate` makes them."""

from __future__ import annotations

from collections.abc import Iterator

from rollback_app.bookkeeping import Catalogue, table_of
from rollback_app.database import Database
from rollback_app.safety import Kept, KeptKind, KeptState, ToKeep

from .copies import Copies
from .moves import RowsMove


def keep_columns(database: Database, move: RowsMove) -> Iterator[Kept]:
    """Keep the values of these columns by themselves, each as of a column that was dropped. The new entries."""
    catalogue, copies, entry = Catalogue(database), Copies(database), move.entry
    known = {(each.table, each.column) for each in catalogue.entries() if each.number > entry.number and each.column}
    for name in move.left_out if move.key else ():
        thing = ToKeep(KeptKind.COLUMN, entry.about, table_of(entry.number), name, only_losses=True)
        if (entry.table, name) in known or not copies.has_rows(thing):
            continue
        columns = [*move.key, name]
        number = catalogue.add(
            run=entry.run,
            kind=KeptKind.COLUMN,
            table=entry.table,
            column=name,
            key=move.key,
            columns=[each for each in entry.columns if each[0] in columns],
            put_back=entry.put_back,
            about=entry.about,
            state=KeptState.KEPT,
        )
        rows, why = copies.make(number, thing, columns), f"column {name} of table {entry.table} is not there"
        catalogue.change(number, rows=rows, left=rows, bytes=copies.size(number, rows), why=((rows, why),))
        yield next(each for each in catalogue.entries() if each.number == number)
