"""The copies of a run that is not one transaction, from when they are complete until the step that drops their source is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from rollback_app.bookkeeping import RUNS_TABLE, Catalogue
from rollback_app.database import Database, is_there
from rollback_app.planner import Effect, Kind, Step, renamed
from rollback_app.safety import Kept, KeptKind, KeptState, ToKeep

from .copies import Copies, written_to

_Name = tuple[str, str]  # of a table and a column, which is empty for a whole table


class Pending:
    """Knows each copy whose source has still to be dropped. The source is compared with what it was when it was copied before a
    step drops it, and before a step that may change its rows; after such a step, what it is then is what counts."""

    def __init__(
        self, database: Database, catalogue: Catalogue, copies: Copies, steps: Sequence[Step], *, by_migrate: bool
    ) -> None:
        self._database, self._catalogue, self._copies = database, catalogue, copies
        self._by_migrate = by_migrate
        self._steps = steps
        self._entries: dict[int, Kept] = {}
        self._called: dict[int, _Name] = {}  # what the source is called at this point of the run
        self._in_doubt: dict[int, str] = {}  # the fingerprints of what an earlier run, or somebody else, has changed

    # Before the first step

    def is_left_of_others(self) -> bool:
        """Has an earlier run copied something that it has not dropped?"""
        return any(entry.state is KeptState.COPIED for entry in self._catalogue.noted())

    def replace(self, things: Sequence[ToKeep]) -> None:
        """For a run that is one transaction: drop what an earlier run has copied of these and never dropped."""
        for entry in self._unfinished():
            if any(_is_copy_of(entry, thing) for thing in things):
                self._forget(entry)

    def adopt(self, things: Sequence[ToKeep], run: int) -> list[ToKeep]:
        """Make copies of an earlier run, which broke off, those of this run, as far as their sources are what they were. What is
        to be copied."""
        steps = {str(step.key) for step in self._steps if not step.fake}
        found, left = list[ToKeep](), list(things)
        for entry in self._unfinished():
            thing = next((each for each in left if _is_copy_of(entry, each)), None)
            name = (thing.table, thing.column) if thing else self._name_by_now(entry)
            if (thing is None and entry.about not in steps) or name is None:
                continue
            if thing:
                left.remove(thing)
            found += self._adopt(entry, thing or ToKeep(entry.kind, entry.about, *name, everything=True), run)
        return found + left

    def _adopt(self, entry: Kept, thing: ToKeep, run: int) -> Iterator[ToKeep]:
        """Comes back with what is to be copied."""
        found = self._copies.fingerprint(thing.table, thing.column)
        same = found == entry.fingerprint
        if same or entry.changing:
            self._catalogue.change(entry.number, run=run, about=thing.about)
            self.add(entry.number, thing)
            if not same and entry.put_back and entry.kind is not KeptKind.VALUES:
                # The step that had begun has changed it, or somebody else has: what it is now is kept besides, to be put back
                # by hand.
                self._in_doubt[entry.number] = found
                yield replace(thing, about="", put_back=False, everything=True)
        else:
            # What goes back only by hand is of another run, for all that is known.
            (self._forget if entry.put_back else self._settle)(entry)
            yield thing

    def copied(self) -> None:
        """All that was to be copied is complete."""
        for number, found in self._in_doubt.items():
            self._note(self._entries[number], changing=False, fingerprint=found)

    def _unfinished(self) -> list[Kept]:
        """What an earlier run has copied, and not dropped. What it has not even finished to copy is dropped."""
        kept = {entry.number for entry in self._catalogue.entries() if entry.state is KeptState.KEPT}
        found = []
        for entry in self._catalogue.noted():
            if entry.half_made:
                self._forget(entry)
            elif entry.state is KeptState.COPIED and entry.kind is not KeptKind.OBJECT:
                if entry.number in kept and entry.put_back:
                    self._settle(entry)
                elif entry.by_migrate == self._by_migrate:
                    found.append(entry)
        return found

    def _name_by_now(self, entry: Kept) -> _Name | None:
        """What the source is called now, as far as that can be told from what is there."""
        names = reversed(entry.names)
        return next((name for name in names if is_there(self._database.connection, *name)), None)

    def _settle(self, entry: Kept) -> None:
        self._catalogue.change(entry.number, state=KeptState.KEPT)

    def _forget(self, entry: Kept) -> None:
        self._catalogue.drop_table(entry.number)
        self._catalogue.forget(entry.number)

    # Step by step

    def add(self, number: int, thing: ToKeep) -> None:
        """A copy is complete."""
        (entry,) = (each for each in self._catalogue.noted() if each.number == number)
        self._entries[number] = entry
        self._called[number] = thing.table, thing.column

    @property
    def numbers(self) -> list[int]:
        return list(self._entries)

    def before(self, step: Step) -> None:
        """Errors: NotKept."""
        for entry in list(self._entries.values()):
            drops, changes = entry.about == str(step.key), _may_change(step, *self._called[entry.number])
            if (drops or changes) and (name := self._name(entry)):
                self._look(entry, name, step, drops=drops, changes=changes)

    def _look(self, entry: Kept, name: _Name, step: Step, *, drops: bool, changes: bool) -> None:
        if drops and self._database.connection.in_atomic_block:
            self._database.lock_writers([name[0]])
        if entry.put_back and self._copies.fingerprint(*name) != entry.fingerprint:
            raise written_to(entry.source, str(step.key))
        if changes:
            self._note(entry, changing=True)

    @contextmanager
    def dropping(self, step: Step, statements: Sequence[str]) -> Iterator[None]:
        """Where a step is no transaction: nobody writes from the look at what its statements drop to the drop, as far as the
        database has such locks. Errors: NotKept."""
        text, quote = "\n".join(statements), self._database.connection.ops.quote_name
        about = [entry for entry in self._entries.values() if entry.about == str(step.key) and not entry.changing]
        named = [(entry, name) for entry in about if (name := self._name(entry)) and quote(name[0]) in text]
        dropped = [(entry, name) for entry, name in named if not name[1] or quote(name[1]) in text]
        with self._database.locked_for(statements, RUNS_TABLE) if dropped else nullcontext():
            for entry, name in dropped:
                if self._copies.fingerprint(*name) != entry.fingerprint:
                    raise written_to(entry.source, str(step.key))
            yield

    def done(self, step: Step) -> None:
        for entry in list(self._entries.values()):
            self._called[entry.number] = names_during([step], "", *self._called[entry.number])[-1]
            if entry.about == str(step.key):
                self._catalogue.change(entry.number, state=KeptState.KEPT)
                del self._entries[entry.number]
            elif entry.changing and entry.put_back and (name := self._name(entry)):
                self._note(entry, changing=False, fingerprint=self._copies.fingerprint(*name))

    def broke_off(self) -> None:
        """A step has failed. What has not changed a source, or was taken back, has left it as it was."""
        for entry in list(self._entries.values()):
            name = self._name(entry) if entry.changing else None
            if name and self._copies.fingerprint(*name) == entry.fingerprint:
                self._note(entry, changing=False)

    def end(self) -> None:
        """All steps are done; what is put back only by hand was kept for that long."""
        for number in self._entries:
            self._catalogue.change(number, state=KeptState.KEPT)

    def _note(self, entry: Kept, *, changing: bool, fingerprint: str = "") -> None:
        found = replace(entry, changing=changing, fingerprint=fingerprint or entry.fingerprint)
        if found != entry:
            self._catalogue.change(entry.number, changing=changing, fingerprint=found.fingerprint)
            self._entries[entry.number] = found

    def _name(self, entry: Kept) -> _Name | None:
        """What the source is called at this point of the run. Where a step that broke off has renamed it already, what is there
        tells."""
        name = self._called[entry.number]
        return name if is_there(self._database.connection, *name) else self._name_by_now(entry)


def names_during(steps: Sequence[Step], about: str, table: str, column: str) -> list[_Name]:
    """What a table or column is called in the course of these steps, to that about a migration, if that is one of them."""
    names = [(table, column)]
    for step in steps:
        for effect in step.effects:
            found = renamed([effect], *names[-1])
            names += [found] * (found != names[-1])
        if str(step.key) == about:
            break
    return names


def _is_copy_of(entry: Kept, thing: ToKeep) -> bool:
    names = entry.names or ((entry.table, entry.column),)
    return (entry.kind, entry.put_back) == (thing.kind, thing.put_back) and (thing.table, thing.column) in names


def _may_change(step: Step, table: str, column: str) -> bool:
    """May undoing this step change what is kept of this table or column, other than by dropping that?"""
    return any(_changes(effect, table, column) for effect in step.effects)


def _changes(effect: Effect, table: str, column: str) -> bool:
    if effect.kind in (Kind.CODE, Kind.RUNS_SQL, Kind.UNKNOWN):
        return True
    if table not in (effect.table, effect.touches):
        return False
    if effect.kind in (Kind.DROPS_COLUMN, Kind.MAKES):  # which a copy of another column has nothing to do with
        return not column
    return effect.kind is Kind.CHANGES
