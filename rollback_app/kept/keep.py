"""Keeps what a run is about to drop, in tables of our own beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.bookkeeping import Catalogue
from rollback_app.database import Database, Shape, shape, shapes_of
from rollback_app.planner import Step
from rollback_app.safety import Kept, KeptKind, KeptState, ToKeep, coming_back

from .copies import BECAME, Copies, NotKept
from .objects import keep_objects
from .order import newest
from .pending import Pending, names_during
from .put_back import put_back
from .recorded import BringsBack
from .store import waiting


class Keeper:
    """Keeps these things before these steps, for the run of this number in the journal, and puts back after each what a `migrate`
    had kept. objects: brings back views, functions and triggers. by_migrate: is it a `migrate` that keeps, and the step that of
    `planner.applied`? gives_back: is anything put back? kept: what it has kept, once it has. nothing_of: what it would have kept,
    had there been anything of it. given_back: what it has put back, as far as that went."""

    def __init__(
        self,
        database: Database,
        things: Sequence[ToKeep],
        steps: Sequence[Step],
        objects: BringsBack | None = None,
        *,
        one_transaction: bool,
        by_migrate: bool = False,
        gives_back: bool = False,
    ) -> None:
        self._database, self._steps = database, steps
        self._things = [thing for thing in things if thing.kind is not KeptKind.OBJECT]
        self._objects = [thing for thing in things if thing.kind is KeptKind.OBJECT]
        self._one_transaction, self._by_migrate, self._gives_back = one_transaction, by_migrate, gives_back
        self._catalogue, self._copies = Catalogue(database), Copies(database)
        self._pending = Pending(database, self._catalogue, self._copies, steps, by_migrate=by_migrate)
        self._numbers: list[int] = []
        self._gives_back_for: set[str] = set()  # few migrations have: nothing else is looked for step by step
        self.objects = objects
        self.run = 0
        self.kept: tuple[Kept, ...] = ()
        self.nothing_of: list[ToKeep] = []
        self.given_back: list[Kept] = []

    def before_steps(self) -> Collection[str]:
        """Under the lock of the run, and in its transaction, where there is one. If it fails, what it has copied is gone again.
        The names of objects that are gone.

        Errors: Locked; NotKept; those of Django's database layer."""
        self._keep()
        if self._gives_back:
            entries = self._catalogue.entries()
            self._gives_back_for = {
                each.about for each in coming_back(entries, {str(step.key) for step in self._steps})
            }
        return self.objects.before_steps() if self.objects else ()

    def after_receivers(self) -> Collection[str]:
        """Those of post_migrate have run; in the transaction of the run, where there is one. The names of objects that may
        be gone.

        Errors: those of Django's database layer."""
        return self.objects.after_receivers() if self.objects else ()

    def _keep(self) -> None:
        if not (self._things or self._objects or self._pending.is_left_of_others()):
            return
        try:
            with self._all_or_none() as undo, self._database.seeing_all_rows():
                self._keep_all(undo)
        except (DatabaseError, InterfaceError) as error:
            if self._one_transaction or not self._database.is_lock_timeout(error):
                raise
            raise self._database.held() from error
        self._read()

    def before_step(self, step: Step) -> None:
        """A step of a run that is not one transaction begins. Errors: NotKept, if what it drops is no longer what was copied."""
        self._pending.before(step)

    def dropping(self, step: Step, statements: Sequence[str]) -> AbstractContextManager[None]:
        """Some statements of such a step are executed inside. Errors: as `before_step`."""
        return self._pending.dropping(step, statements)

    def values_of(self, step: Step, table: str, column: str) -> str:
        """The statement that puts into this column, which a step adds again, what was kept of it; empty if nothing was."""
        entries = waiting(self._database) if str(step.key) in self._gives_back_for else []
        for entry in coming_back(entries, {str(step.key)}):
            if entry.kind is KeptKind.COLUMN and (entry.table, entry.column) == (table, column):
                return self._copies.filling(entry)
        return ""

    def give_back(self, step: Step, apps: Any) -> None:
        """A step is undone, and not committed yet where it is a transaction. apps: the registry whose models fit the database."""
        found = self._catalogue.entries() if str(step.key) in self._gives_back_for else []
        if entries := newest(self._catalogue, coming_back(found, {str(step.key)})):
            numbers = [entry.number for entry in entries]
            self.given_back += put_back(self._database, entries, made_now=numbers, apps=apps)
            if self._database.connection.in_atomic_block:
                self._database.check_rows()  # PostgreSQL alters no table with pending trigger events

    def step_done(self, step: Step) -> None:
        """A step that is committed by itself has dropped its things."""
        self._pending.done(step)

    def broke_off(self) -> None:
        """A run that is not one transaction has failed."""
        with suppress(DatabaseError, InterfaceError):  # as of a lost connection; then a later run is the more careful
            self._pending.broke_off()

    def after_steps(self) -> None:
        self._pending.end()
        self._read()
        for entry in self.kept:
            if entry.kind is KeptKind.VALUES:
                table = names_during(self._steps, "", entry.table, "")[-1][0]
                names = {
                    name: names_during(self._steps, "", entry.table, name)[-1][1] for name in (*entry.key, entry.column)
                }
                self._copies.note_what_became(entry, names, table)

    def _read(self) -> None:
        self.kept = tuple(each for each in reversed(self._catalogue.entries()) if each.number in self._numbers)

    @contextmanager
    def _all_or_none(self) -> Iterator[ExitStack]:
        """A transaction for the copies, or else what takes them back."""
        with ExitStack() as undo:
            if self._database.can_undo_ddl and not self._one_transaction:
                undo.enter_context(transaction.atomic(using=self._database.alias))
                self._database.lock()
                yield undo
            else:
                yield undo
                undo.pop_all()

    def _keep_all(self, undo: ExitStack) -> None:
        tables = dict.fromkeys(thing.table for thing in self._things)
        there_are = shapes_of(self._database.connection, tables)
        things = self._things
        if self._one_transaction:
            self._database.lock_writers(there_are)
            self._pending.replace(things)
        else:
            things = self._pending.adopt(things, self.run)
            self._numbers = self._pending.numbers
        found = list[tuple[ToKeep, Shape]]()
        for thing in things:
            there = there_are.get(thing.table) or shape(self._database.connection, thing.table)
            if there and (not thing.column or there.column(thing.column)):
                # Without a key nothing can be put back.
                found.append((replace(thing, only_losses=bool(thing.column and not there.key)), there))
        have_rows = self._copies.have_rows([thing for thing, _ in found])
        for (thing, there), has in zip(found, have_rows, strict=True):
            if has:
                self._keep_one(thing, there, undo)
            else:
                self.nothing_of.append(thing)
        self._pending.copied()
        self._numbers += keep_objects(self._catalogue, self._objects, self.run)

    def _keep_one(self, thing: ToKeep, there: Shape, undo: ExitStack) -> None:
        columns = list(dict.fromkeys([*there.key, thing.column])) if thing.column else list(there.stored)
        if thing.column and len(columns) < 2:
            raise NotKept(
                f"{thing.source} has got values meanwhile, and cannot be kept without a primary key",
                hint="To see what would be lost, {again} with --plan.",
            )
        entry = {
            "run": self.run,
            "kind": thing.kind,
            "table": thing.table,
            "column": thing.column,
            "name": thing.name,
            "key": there.key,
            "columns": columns_of(thing, there, columns),
            "put_back": thing.put_back,
            "about": thing.about,
            "by_migrate": self._by_migrate,
            "state": KeptState.KEPT,
        }
        wanted = None
        if not self._one_transaction:
            # Before the copy: what is written while that is made is found, then, before the drop.
            fingerprint, wanted = self._copies.fingerprint_of(thing)
            entry |= {"state": KeptState.COPIED, "fingerprint": fingerprint}
            entry |= {"names": names_during(self._steps, thing.about, thing.table, thing.column)}
        number = self._catalogue.add(**entry)
        if not self._database.can_undo_ddl:
            undo.callback(self._take_back, number)
        copied = self._copies.make(number, thing, columns, wanted=wanted)
        self._catalogue.change(number, rows=copied, left=copied, bytes=self._copies.size(number, copied))
        self._numbers.append(number)
        if not self._one_transaction:
            self._pending.add(number, thing)

    def _take_back(self, number: int) -> None:
        with suppress(DatabaseError, InterfaceError):  # a lost connection, perhaps: the next run finds it
            self._catalogue.drop_table(number)
            self._catalogue.forget(number)


def columns_of(thing: ToKeep, there: Shape, names: Sequence[str]) -> list[tuple[str, str]]:
    """Of the kept table, with their types."""
    found = [(each.name, each.type) for each in there.columns if each.name in names]
    return found + [(BECAME, kind) for name, kind in found if thing.kind is KeptKind.VALUES and name == thing.column]
