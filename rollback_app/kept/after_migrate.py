"""Puts back what rollbacks have kept at the end of the `migrate` that makes it again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.migrations import Migration
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.bookkeeping import Catalogue
from rollback_app.database import Database, Timeouts, first_line, kind_of, shape
from rollback_app.errors import database_option
from rollback_app.safety import Kept, KeptKind, KeptState

from .order import newest
from .put_back import put_back

_LOGGER = logging.getLogger("rollback_app.kept")
_BY_HAND = "`python manage.py showkept {0}{1}` shows them, and `python manage.py putback {0}{1}` tries again."


@dataclass(frozen=True)
class _Begun:
    """types: of each source before, by the number of its entry: of the column, or empty for a table; None if it was not there."""

    plan: object
    database: Database
    types: dict[int, str | None]


class AfterMigrate:
    """Sees each `migrate` begin and end. No error of a database gets out: the `migrate` itself went well."""

    def __init__(self) -> None:
        self._begun: dict[str, _Begun] = {}

    def begin(self, alias: str, plan: Sequence[tuple[Migration, bool]]) -> bool:
        """Is there anything that might be put back? Called once for each app."""
        if alias in self._begun and self._begun[alias].plan is plan:
            return bool(self._begun[alias].types)
        self._begun.pop(alias, None)
        kind = kind_of(connections[alias])
        if kind is None or any(backwards for _, backwards in plan):
            return False
        database = kind(connections[alias], Timeouts())
        types: dict[int, str | None] = {}
        try:
            Catalogue(database).settle()
            types = {entry.number: _type(database, entry) for entry in _waiting(database)}
        except (DatabaseError, InterfaceError) as error:
            _warn(database, first_line(error))
        self._begun[alias] = _Begun(plan, database, types)
        return bool(types)

    def end(self, alias: str, apps: Any, tell: Callable[[str], object], *, wanted: bool) -> None:
        """apps: the registry whose models fit the database. tell: is given a line for what was put back. wanted: else it is only
        said how to do it by hand."""
        begun = self._begun.pop(alias, None)
        if begun is None or not begun.types:
            return
        try:
            self._end(begun, apps, tell, wanted=wanted)
        except (DatabaseError, InterfaceError) as error:
            _warn(begun.database, first_line(error))

    def _end(self, begun: _Begun, apps: Any, tell: Callable[[str], object], *, wanted: bool) -> None:
        database, catalogue = begun.database, Catalogue(begun.database)
        waiting = _waiting(database)
        made = [entry for entry in waiting if _is_made(entry, begun.types, _type(database, entry))]
        objects = {entry.name for entry in made if entry.kind is KeptKind.OBJECT}
        ready = [entry for entry in waiting if entry in made or entry.name in objects]  # rows of a table that one makes
        ready = newest(catalogue, ready)
        if not wanted:
            for entry in ready[::-1]:
                catalogue.change(entry.number, tried=True)
                what = f"{entry.source} is there again. Its rows were not"
                what = f"{entry.source} was not" if entry.kind is KeptKind.OBJECT else what
                by_hand = f"`python manage.py putback {entry.number}{database_option(database.alias)}` does it."
                _warn(database, f"{what} put back, since ROLLBACK['PUT_BACK'] is False: {by_hand}")
            return
        made_now = [entry.number for entry in ready if begun.types.get(entry.number) is None]
        before = {entry.number: entry.left for entry in ready}
        for entry in put_back(database, ready[::-1], made_now=made_now, apps=apps):
            if back := before.get(entry.number, entry.left) - entry.left:
                tell(f"Put back what a rollback had kept of {entry.source}: {back} row{'s' if back > 1 else ''}.")
            if entry.kind is KeptKind.OBJECT and not entry.open:
                tell(f"Put back {entry.source}.")
            elif entry.kind is KeptKind.OBJECT and _waiting(database):
                catalogue.change(entry.number, tried=False)  # what it needs may come with a later `migrate`
            else:
                _say(database, entry)


def _say(database: Database, entry: Kept) -> None:
    for words in left_behind([entry], database.alias):
        _warn(database, words)


def left_behind(entries: Iterable[Kept], alias: str) -> Iterator[str]:
    """A sentence about each of these entries that was put back, and of which something is left, or gone."""
    for entry in entries:
        if entry.state is KeptState.DROPPED:
            yield f"the table with the rows of {entry.source}, number {entry.number}, was dropped by somebody."
        elif entry.state is not KeptState.PUT_BACK:
            reasons = "; ".join(
                f"{number}: {why}" if entry.kind is not KeptKind.OBJECT else why for number, why in entry.why
            )
            what = f"{entry.left} of {entry.rows} rows" if entry.kind is not KeptKind.OBJECT else "it"
            by_hand = _BY_HAND.format(entry.number, database_option(alias))
            yield f"{entry.source}: {what} could not be put back ({reasons}). {by_hand}"


def _warn(database: Database, words: str) -> None:
    _LOGGER.warning("Kept data of %s: %s", database.alias, database.spelled(words))


def _waiting(database: Database) -> list[Kept]:
    found = Catalogue(database).entries()
    return [each for each in found if each.open and each.put_back and not each.tried and not each.by_migrate]


def _type(database: Database, entry: Kept) -> str | None:
    """Of the column; empty for a whole table. None, if it is not there."""
    there = shape(database.connection, entry.table)
    if there is None or not entry.column:
        return None if there is None else ""
    column = there.column(entry.column)
    return column.type if column else None


def _is_made(entry: Kept, before: dict[int, str | None], now: str | None) -> bool:
    """Has this `migrate`, or one before it that broke off, made what an entry would go back to?"""
    if now is None or entry.state is KeptState.COPIED:  # what is gone was settled before
        return False
    if entry.kind is not KeptKind.VALUES:
        return True
    return now == dict(entry.columns).get(entry.column) or now != before.get(entry.number)
