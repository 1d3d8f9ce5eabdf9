"""Keeps what a run is about to drop, in tables of our own beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rollback_app.bookkeeping import Catalogue, table_of
from rollback_app.database import Database, Shape, shape
from rollback_app.errors import RollbackError
from rollback_app.planner import Step
from rollback_app.safety import Kept, KeptKind, KeptState, ToKeep

from .objects import keep_objects

_COMMENT = "Rows that a rollback has kept: see `python manage.py showkept {}`. Dropped by `dropkept {}`."


class NotKept(RollbackError):
    """The copy is not what it is a copy of."""


class Keeper:
    """Keeps these things, for the run of this number in the journal. kept: what it has kept, once it has."""

    def __init__(self, database: Database, things: Sequence[ToKeep], *, one_transaction: bool) -> None:
        self._database = database
        self._things = [thing for thing in things if thing.kind is not KeptKind.OBJECT]
        self._objects = [thing for thing in things if thing.kind is KeptKind.OBJECT]
        self._one_transaction = one_transaction
        self._catalogue = Catalogue(database)
        self._about: dict[int, str] = {}  # number of an entry -> the migration that drops its source
        self.run = 0
        self.kept: tuple[Kept, ...] = ()

    def before_steps(self) -> None:
        """Under the lock of the run, and in its transaction, where there is one. Errors: NotKept; those of Django's database
        layer."""
        shapes = {thing.table: shape(self._database.connection, thing.table) for thing in self._things}
        self._database.lock_writers([table for table, there in shapes.items() if there])
        numbers = [self._keep(thing, there) for thing in self._things if (there := shapes[thing.table])]
        numbers += keep_objects(self._catalogue, self._objects, self.run)
        self.kept = tuple(each for each in reversed(self._catalogue.entries()) if each.number in numbers)

    def step_done(self, step: Step) -> None:
        """A step that is committed by itself has dropped its things."""
        for entry in self.kept:
            if self._about.get(entry.number) == str(step.key):
                self._catalogue.change(entry.number, state=KeptState.KEPT)

    def _keep(self, thing: ToKeep, there: Shape) -> int | None:
        """The number of the new entry; None, if there is nothing to keep."""
        if thing.column and there.column(thing.column) is None:
            return None  # it is gone already
        columns = list(dict.fromkeys([*there.key, thing.column])) if thing.column else list(there.stored)
        condition, params = self._condition(thing)
        source = self._quote(thing.table) if thing.column else self._database.own_rows(thing.table)
        rows = f"FROM {source} WHERE {condition}"
        if not self._fetch(f"SELECT EXISTS (SELECT 1 {rows})", params):
            return None
        if thing.column and len(columns) < 2:
            raise NotKept(
                f"{thing.source} has got values meanwhile, and cannot be kept without a primary key.",
                hint="Run the same command again to see what would be lost.",
            )
        state = KeptState.KEPT if self._one_transaction or not thing.put_back else KeptState.COPIED
        number = self._catalogue.add(
            run=self.run,
            kind=thing.kind,
            table=thing.table,
            column=thing.column,
            key=there.key,
            columns=[(each.name, each.type) for each in there.columns if each.name in columns],
            put_back=thing.put_back,
            state=state,
        )
        self._about[number] = thing.about
        copied = self._copy(number, columns, rows, params)
        self._catalogue.change(number, rows=copied, left=copied, bytes=self._database.size(table_of(number)))
        return number

    def _condition(self, thing: ToKeep) -> tuple[str, Sequence[Any]]:
        if not thing.column or thing.everything:
            return "1 = 1", []
        return self._database.own_value(thing.column, thing.field)

    def _copy(self, number: int, columns: Sequence[str], rows: str, params: Sequence[Any]) -> int:
        """Make the table of an entry. How many rows it has."""
        listed, made = ", ".join(map(self._quote, columns)), self._quote(table_of(number))
        if params:  # which not every driver can send with CREATE TABLE
            self._execute(f"CREATE TABLE {made} AS SELECT {listed} {rows.partition(' WHERE ')[0]} WHERE 1 = 0")
            self._execute(f"INSERT INTO {made} ({listed}) SELECT {listed} {rows}", params)
        else:
            self._execute(f"CREATE TABLE {made} AS SELECT {listed} {rows}")
        self._database.comment(table_of(number), _COMMENT.format(number, number))
        copied, wanted = self._fetch(f"SELECT count(*) FROM {made}"), self._fetch(f"SELECT count(*) {rows}", params)
        if copied != wanted:
            raise NotKept(
                f"{copied} of {wanted} rows were copied {rows.partition(' WHERE ')[0].lower()}.",
                hint="Somebody wrote to it meanwhile. Stop the application, then run the same command again.",
            )
        return copied

    def _quote(self, name: str) -> str:
        return str(self._database.connection.ops.quote_name(name))

    def _execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        with self._database.connection.cursor() as cursor:
            cursor.execute(sql, params or None)

    def _fetch(self, sql: str, params: Sequence[Any] = ()) -> int:
        with self._database.connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return int(cursor.fetchone()[0])
