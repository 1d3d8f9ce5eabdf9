"""Puts back what rollbacks have kept, as far as that can be done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from django.apps import apps as installed_apps

from rollback_app.bookkeeping import Catalogue, table_of
from rollback_app.database import Database, Shape, shape
from rollback_app.safety import Kept, KeptKind, KeptState

from .left_out import keep_columns
from .moves import MOVES, Move, RowsMove
from .objects import make_again
from .order import in_order
from .together import Together


def put_back(
    database: Database,
    entries: Sequence[Kept],
    *,
    made_now: Collection[int] = (),
    overwrite: bool = False,
    apps: Any = installed_apps,
) -> list[Kept]:
    """Put these entries back as far as possible, and return them as they are afterwards, with new ones for columns that their
    tables have not got.

    made_now: numbers of those whose table or column this very `migrate` has made. overwrite: kept values win over whatever the
    rows hold. Of several entries of one source, the newest goes first, and the others never replace what is there. apps: the
    registry whose models fit the database.

    Errors: those of Django's database layer, for a connection that is lost.
    """
    putting = _PuttingBack(database, made_now, apps, overwrite=overwrite)
    made_by_objects = [entry for entry in entries if entry.kind is KeptKind.TABLE and entry.name]
    found = putting.run([entry for entry in entries if entry not in made_by_objects])
    return [*found, *putting.run(made_by_objects)]


class _PuttingBack:
    def __init__(self, database: Database, made_now: Collection[int], apps: Any, *, overwrite: bool) -> None:
        self._database, self._made_now, self._apps, self._overwrite = database, made_now, apps, overwrite
        self._catalogue = Catalogue(database)
        self._fields: dict[tuple[str, str], Any] = {}

    def run(self, entries: Sequence[Kept]) -> list[Kept]:
        done: dict[int, Kept] = {}
        newest: set[tuple[KeptKind, str]] = set()
        waves: list[list[Kept]] = [[], []]
        new: list[Kept] = []
        for entry in sorted(entries, key=lambda each: -each.number):
            known = (entry.kind, entry.source) in newest
            newest.add((entry.kind, entry.source))
            waves[known].append(entry)
        for number, wave in enumerate(waves):
            for kind in MOVES:
                of_kind = [entry for entry in wave if entry.kind is kind and entry.open]
                moves = [move for entry in of_kind if (move := self._move(entry, done, older=bool(number)))]
                new += [
                    each for move in moves if isinstance(move, RowsMove) for each in keep_columns(self._database, move)
                ]
                for group in in_order(moves):
                    done.update(Together(self._database, group).go())
        objects = [entry for entry in entries if entry.kind is KeptKind.OBJECT and entry.open]
        if objects:
            done |= {entry.number: entry for entry in make_again(self._database, objects)}
        return [done.get(entry.number, entry) for entry in entries] + new

    def _move(self, entry: Kept, done: dict[int, Kept], *, older: bool) -> Move | None:
        """None, if there is nothing to try: `done` then has what it is."""
        connection = self._database.connection
        if shape(connection, table_of(entry.number)) is None:
            done[entry.number] = self._note(entry, state=KeptState.DROPPED, left=0, why=())
            return None
        live = shape(connection, entry.table)
        if live is None or (why := _missing(entry, live)):
            why = f"table {entry.table} is not there" if live is None else why
            done[entry.number] = self._note(entry, why=((entry.left, why),))
            return None
        made_now = entry.number in self._made_now and entry.kind is not KeptKind.VALUES
        wins = (made_now or self._overwrite) and not older
        return MOVES[entry.kind](self._database, entry, live, wins=wins, field_of=self._field_of)

    def _note(self, entry: Kept, **values: Any) -> Kept:
        self._catalogue.change(entry.number, **values)
        return replace(entry, **values)

    def _field_of(self, table: str, column: str) -> Any:
        if not self._fields:
            self._fields = {
                (model._meta.db_table, field.column): field
                for model in self._apps.get_models(include_auto_created=True)
                for field in model._meta.local_concrete_fields
            }
        return self._fields.get((table, column))


def _missing(entry: Kept, live: Shape) -> str:
    """The column that is not there and that an entry would go back to, in words; empty if all is."""
    gone = [name for name in ([*entry.key, entry.column] if entry.column else []) if name not in live.stored]
    return f"column {gone[0]} of table {entry.table} is not there" if gone else ""
