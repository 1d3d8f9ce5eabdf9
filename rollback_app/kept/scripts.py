"""What keeps data, written down for a script instead of being done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rollback_app.bookkeeping import Catalogue, KeptEntry, Table, Written, table_of
from rollback_app.database import Condition, Database, Dialect, shape
from rollback_app.errors import RollbackError
from rollback_app.planner import Step
from rollback_app.safety import KeptKind, KeptState, ToKeep

from .copies import Copies, comment_of
from .keep import columns_of
from .objects import keep_objects
from .pending import names_during


@dataclass(frozen=True)
class _Copy:
    number: int
    thing: ToKeep
    rows: str  # FROM and WHERE
    moves: bool  # is it called otherwise before it is dropped?


class KeptInScript:
    """Keeps these things before these steps, in a script. statements: what was written down so far. conditions: what must be true
    before. numbers: of the entries; copies: of those with a table, and that."""

    def __init__(
        self,
        database: Database,
        dialect: Dialect,
        things: Sequence[ToKeep],
        steps: Sequence[Step],
        statements: list[str],
    ) -> None:
        self._database, self._dialect, self._steps = database, dialect, steps
        self._things = [thing for thing in things if thing.kind is not KeptKind.OBJECT]
        self._objects = [thing for thing in things if thing.kind is KeptKind.OBJECT]
        self._copies, self._statements = Copies(database), statements
        taken = Catalogue(database).tables()
        self._catalogue = Catalogue(database, Written(Table(database, KeptEntry), dialect, statements, taken))
        self._made: list[_Copy] = []
        self.conditions: list[Condition] = []
        self.numbers: list[int] = []

    @property
    def copies(self) -> list[tuple[int, str]]:
        return [(each.number, table_of(each.number)) for each in self._made]

    def before_steps(self, run: int) -> None:
        """Errors: RollbackError, for what is kept by comparing it afterwards."""
        found = [(thing, there) for thing in self._things if (there := shape(self._database.connection, thing.table))]
        self._statements += self._dialect.lock_writers({thing.table for thing, _ in found})
        for thing, there in found:
            rows, params = self._copies.rows(thing)
            rows = self._dialect.composed(rows, params or None)
            if not self._copies.has_rows(thing):
                self.conditions.append(self._dialect.none_of(thing.source, rows))
                continue
            if thing.kind is KeptKind.VALUES:
                raise RollbackError(
                    f"{thing.about} cuts or rounds values of {thing.source}, which are kept by comparing them afterwards",
                    hint="Use this command itself, without --format sql, or add --no-keep.",
                )
            columns = list(dict.fromkeys([*there.key, thing.column])) if thing.column else list(there.stored)
            names = names_during(self._steps, thing.about, thing.table, thing.column)
            number = self._catalogue.add(
                run=run,
                kind=thing.kind,
                table=thing.table,
                column=thing.column,
                name=thing.name,
                key=there.key,
                columns=columns_of(thing, there, columns),
                put_back=thing.put_back,
                about=thing.about,
                by_migrate=False,
                state=KeptState.COPIED,
                names=() if self._database.can_undo_ddl else names,
            )
            listed, made = ", ".join(map(self._dialect.quote, columns)), self._dialect.quote(table_of(number))
            self._statements.append(f"CREATE TABLE {made} AS SELECT {listed} {rows}")
            self._statements += self._dialect.comment(table_of(number), self._database.spelled(comment_of(number)))
            self._made.append(_Copy(number, thing, rows, len(names) > 1))
            self.numbers.append(number)
        self.numbers += keep_objects(self._catalogue, self._objects, run)

    def before_step(self, step: Step) -> Iterator[str]:
        """What stops where somebody wrote meanwhile to what this step drops, as far as the number of rows tells."""
        for each in self._made:
            if each.thing.about == str(step.key) and not each.moves:
                kept = f"(SELECT count(*) FROM {self._dialect.quote(table_of(each.number))})"
                words = f"somebody wrote to {each.thing.source} after it was copied"
                condition = Condition(f"(SELECT count(*) {each.rows}) = {kept}", words)
                yield from self._dialect.check(f"kept_{each.number}", condition)

    def step_done(self, step: Step) -> None:
        for each in self._made:
            if each.thing.about == str(step.key):
                self._catalogue.change(each.number, state=KeptState.KEPT)

    def after_steps(self) -> None:
        """What is put back only by hand was kept for that long."""
        for each in self._made:
            if each.thing.about not in {str(step.key) for step in self._steps}:
                self._catalogue.change(each.number, state=KeptState.KEPT)
