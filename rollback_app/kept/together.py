"""Puts back, in one transaction, entries that point to each other; mostly it is one entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

from django.db import transaction
from django.db.utils import DatabaseError

from rollback_app.bookkeeping import Catalogue, table_of
from rollback_app.database import NUMBER, WHY, Database, first_line, numbering, shape
from rollback_app.safety import Kept, KeptState

from .halves import Halves, execute, fetch, is_refusal, move_rows
from .moves import Move

_Failures = dict[int, dict[int, str]]  # number of an entry -> number of a row -> why it cannot go back


class Together:
    """The moves of one transaction."""

    def __init__(self, database: Database, moves: Sequence[Move]) -> None:
        self._database, self._moves = database, moves
        self._connection, self._catalogue = database.connection, Catalogue(database)
        self._beside: Mapping[str, Move] = {move.entry.table: move for move in moves}
        self._circle = any(reference.table in self._beside for move in moves for reference in move.references())
        self._done: dict[int, Kept] = {}

    def go(self) -> dict[int, Kept]:
        """What each is afterwards, by its number. Errors: a lost connection's."""
        try:
            with self._database.without_foreign_keys() if self._circle else nullcontext():
                if not self._all_at_once():
                    self._as_far_as_possible()
        except DatabaseError as error:
            if not self._database.is_answer(error):
                raise
            self._done = {move.entry.number: self._stays(move.entry, first_line(error)) for move in self._moves}
        for entry in self._done.values():
            if not entry.left:
                self._catalogue.drop_table(entry.number)
        return self._done

    def _stays(self, entry: Kept, why: str) -> Kept:
        return self._note(entry, entry.left, [(entry.left, why)])

    # The whole, with a statement or two

    def _all_at_once(self) -> bool:
        """False, if something is in the way."""
        try:
            with transaction.atomic(using=self._database.alias):
                if any(self._is_in_the_way(move) for move in self._moves):
                    return False
                for move in self._moves:
                    move_rows(self._connection, move)
                self._database.check_now()
                done = [self._finish(move, []) for move in self._moves]
        except DatabaseError as error:
            if not is_refusal(self._database, error):
                raise
            return False
        self._done = {entry.number: entry for entry in done}
        return True

    def _is_in_the_way(self, move: Move) -> bool:
        return any(
            fetch(
                self._connection, f"SELECT EXISTS (SELECT 1 FROM {move.source} k WHERE {each.condition})", each.params
            )[0][0]
            for each in move.obstacles(self._beside)
        )

    # Row by row, where that does not go

    def _as_far_as_possible(self) -> None:
        for move in self._moves:
            self._number(move)
        failed: _Failures = {move.entry.number: {} for move in self._moves}
        while not self._done:
            with transaction.atomic(using=self._database.alias):
                self._mark(failed)
                new = {
                    move.entry.number: Halves(self._database, move, together=self._circle).go() for move in self._moves
                }
                if self._circle and any(new.values()):
                    # Others may point to these: all of it once more, without them.
                    transaction.set_rollback(True, using=self._database.alias)
                    failed = {number: failed[number] | rows for number, rows in new.items()}
                    continue
                self._database.check_now()
                done = [self._finish(move, self._reasons(move)) for move in self._moves]
            self._done = {entry.number: entry for entry in done}

    def _number(self, move: Move) -> None:
        there = shape(self._connection, table_of(move.entry.number))
        if there and there.column(NUMBER) is None:
            with transaction.atomic(using=self._database.alias) if self._database.can_undo_ddl else nullcontext():
                for statement in numbering(self._connection, table_of(move.entry.number)):
                    execute(self._connection, statement)

    def _mark(self, failed: _Failures) -> None:
        """Say of each row that cannot go why not: what is known, and what follows from that."""
        for move in self._moves:
            execute(self._connection, f"UPDATE {move.source} SET {WHY} = NULL")
            for row, why in failed[move.entry.number].items():
                execute(self._connection, f"UPDATE {move.source} SET {WHY} = %s WHERE {NUMBER} = %s", [why, row])
        marked = 1
        while marked:
            marked = 0
            for move in self._moves:
                for each in move.obstacles(self._beside, marked=True):
                    update = f"UPDATE {move.source} AS k SET {WHY} = %s WHERE {WHY} IS NULL AND ({each.condition})"
                    marked += execute(self._connection, update, [each.why, *each.params])
            marked *= self._circle  # else nothing follows from it

    def _reasons(self, move: Move) -> list[tuple[int, str]]:
        found = fetch(
            self._connection,
            f"SELECT count(*), {WHY} FROM {move.source} WHERE {WHY} IS NOT NULL GROUP BY {WHY} ORDER BY 1 DESC, 2",
        )
        execute(self._connection, f"DELETE FROM {move.source} WHERE {WHY} IS NULL")
        return [(int(number), str(why)) for number, why in found]

    # Both

    def _finish(self, move: Move, why: list[tuple[int, str]]) -> Kept:
        self._database.raise_sequences(move.entry.table, move.names)
        return self._note(move.entry, sum(number for number, _ in why), why)

    def _note(self, entry: Kept, left: int, why: list[tuple[int, str]]) -> Kept:
        state = entry.state
        if left < entry.left:
            state = KeptState.PARTLY if left else KeptState.PUT_BACK
        self._catalogue.change(entry.number, state=state, left=left, why=tuple(why), tried=True)
        return replace(entry, state=state, left=left, why=tuple(why), tried=True)
