"""Brings back views, functions and triggers as they were recorded: what is newer is dropped, and what differs is made anew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from functools import partial

from django.db import transaction
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.bookkeeping import OBJECTS_TABLE, record_objects
from rollback_app.database import Database, first_line
from rollback_app.history import Key
from rollback_app.safety import Defined, ObjectChange, RecordedObjects, object_changes

from .attempts import as_far_as_possible, execute, why_not


class BringsBack:
    """recorded: what to bring back. applied: what is applied before the run. tell: is given each warning. changes: what the run
    has changed, once it has."""

    def __init__(
        self, database: Database, recorded: RecordedObjects, applied: Collection[Key], tell: Callable[[str], object]
    ) -> None:
        self._database, self._recorded, self._applied, self._tell = database, recorded, applied, tell
        self._before: Sequence[Defined] = ()
        self.changes: tuple[ObjectChange, ...] = ()

    def before_steps(self) -> Collection[str]:
        """Record what there is, so that no definition is lost, and drop what is in the way. The names of what is gone.

        Errors: those of Django's database layer."""
        self._before = self._database.defined()
        self._record()
        dropped, _ = self._drop(self._recorded.in_the_way & set(map(str, self._before)), self._before)
        return [each.name for each in dropped]

    def _record(self) -> None:
        try:
            with transaction.atomic(using=self._database.alias) if self._in_transaction else nullcontext():
                record_objects(self._database, self._applied, self._before)
        except (DatabaseError, InterfaceError) as error:
            self._tell(
                f"{OBJECTS_TABLE} cannot be written, so that newer definitions are not kept: {first_line(error)}."
            )

    @property
    def _in_transaction(self) -> bool:
        return self._database.connection.in_atomic_block

    def after_receivers(self) -> Collection[str]:
        """Make all of it as it was recorded. The names of what may be gone, or is another one.

        Errors: those of Django's database layer, if they are about a lock or a lost connection."""
        now = self._database.defined()
        wanted = {str(each): each for each in self._recorded.then}
        differ = [str(each) for each in now if wanted.get(str(each)) != each]
        newer = [name for name in differ if name not in wanted]
        with transaction.atomic(using=self._database.alias) if self._database.can_undo_ddl else nullcontext():
            dropped, stay = self._drop(newer if self._database.replaces_objects else differ, now)
            there = set(self._database.defined())
            not_made = self._make([each for each in self._recorded.then if each not in there])
        for each, why in stay:
            if str(each) not in wanted:
                self._tell(f"{each}, which is newer, could not be dropped: {why}.")
        for each, why in not_made:
            self._tell(f"{each} could not be made as it was recorded: {why}. {OBJECTS_TABLE} has its definition.")
        after = self._database.defined()
        self.changes = tuple(object_changes(self._before, after))
        return {each.name for each in (*dropped, *(each for each in self._before if each not in set(after)))}

    def _drop(self, names: Iterable[str], there: Sequence[Defined]) -> tuple[list[Defined], list[tuple[Defined, str]]]:
        """(what was dropped: these, and what needs them; what could not be dropped, and why)."""
        wanted = set(self._database.with_users(list(names)))
        newest_first = [each for each in reversed(there) if str(each) in wanted]
        stay = as_far_as_possible(newest_first, lambda each: self._why_not(partial(self._database.drop, each)))
        left = {each for each, _ in stay}
        return [each for each in newest_first if each not in left], stay

    def _make(self, objects: Sequence[Defined]) -> list[tuple[Defined, str]]:
        return as_far_as_possible(
            objects, lambda each: self._why_not(partial(execute, self._database, each.definition))
        )

    def _why_not(self, do: Callable[[], object]) -> str:
        return why_not(self._database, do, refused_only=True)
