"""Tries each new migration: rows in its tables, forward, back, forward again; what is not as it was, is a finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

from django.core.management.commands.migrate import Command as Migrate
from django.db import transaction
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ModelState

from rollback_app.checking import Finding, Looked, Severity, fills_what_is_new, is_filled_again
from rollback_app.database import Database, first_line
from rollback_app.executor import backwards, forwards, new_editor, plain_twin
from rollback_app.history import Key
from rollback_app.planner import (
    Kind,
    Names,
    Plan,
)
from rollback_app.states import States, leaves

from .contents import Row, Schema, Watcher, changed, changed_rows, rows_of
from .ground import CannotApply, emptied
from .kept import Kept
from .seeds import Seeder
from .work import Work, is_atomic, sql_of

# What each of them checks, by the id of its finding.
CHECKS = {
    "rollback.C010": "reversible",
    "rollback.C011": "leaves_no_trace",
    "rollback.C012": "rows_survive",
    "rollback.C013": "up_down_up",
}
_OPAQUE = (Kind.CODE, Kind.RUNS_SQL, Kind.NOOP, Kind.UNKNOWN)
_UNDO = "Correct the reverse. To see it by hand: migrate forward, put rows into the table, migrate back."


class _Failed(Exception):
    """direction: what failed, as "applying". found: what was found before it."""

    def __init__(self, direction: str, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {first_line(error)}")
        self.direction = direction
        self.found: list[Finding] = []


@dataclass(frozen=True)
class _Seen:
    schema: Schema
    rows: Mapping[str, list[Row]]


class Trials:
    """The migrations of a plan, applied one after the other to an empty test database. Those that are looked at are tried."""

    def __init__(self, database: Database, plan: Plan, looked: Sequence[Looked], seeder: Seeder) -> None:
        self._database, self._plan, self._seeder = database, plan, seeder
        self._names: Names = database.names()
        self._looked = {look.step.key: look for look in looked}
        self._applied: list[Work] = []

    @contextmanager
    def started(self, *, kept: bool = False) -> Iterator[Iterator[tuple[Key, list[Finding]]]]:
        """Gives what is found of each migration that is tried, in the order in which they are applied. After the last one all are
        applied. kept: the database is used again; inside is a transaction then, if all that is new can run in one, and in the
        end it is as the older release has it.

        Errors: CannotApply.
        """
        works = list(self._works())
        number = len(self._plan.stays.migrations)
        older, newer = works[:number], works[number:]
        state = Kept(self._database, self._plan)
        in_transaction = kept and bool(older) and all(work.in_transaction for work in newer)
        if in_transaction and state.is_there():
            self._watcher = Watcher(self._database)
            self._applied = older
        else:
            if kept:
                emptied(self._database.connection)
            self._begin()
            for work in older:
                self._apply(work)
                self._applied.append(work)
            if in_transaction:
                state.note()
        if not in_transaction:
            yield self._run(newer)
            return
        with self._database.settings_of_run(), transaction.atomic(using=self._database.alias):
            yield self._run(newer)
            transaction.set_rollback(True, using=self._database.alias)

    def _works(self) -> Iterator[Work]:
        everything = [*self._plan.stays.migrations, *self._plan.undone_oldest_first]
        states = States([], everything, self._plan.basis.code.unmigrated)
        for migration, undos in reversed(list(states.backwards())):
            in_transaction = self._database.can_undo_ddl and is_atomic(migration)
            yield Work(migration, undos, leaves(undos, migration.app_label), in_transaction)

    def _run(self, works: list[Work]) -> Iterator[tuple[Key, list[Finding]]]:
        for work in works:
            look = self._looked.get(work.key)
            if look is None or not work.undos or _is_irreversible(look):
                self._apply(work)
                found = []
            else:
                found = self._try(look, work)
            self._applied.append(work)
            if look is not None:
                yield work.key, found

    def _begin(self) -> None:
        """The tables of apps without migrations, as the test runner makes them."""
        command = Migrate(stdout=StringIO())
        command.verbosity = 0
        command.sync_apps(self._database.connection, self._plan.basis.code.unmigrated)
        self._watcher = Watcher(self._database)

    def _try(self, look: Looked, work: Work) -> list[Finding]:
        try:
            found = self._cycle(look, work, with_rows=True)
        except _Failed as failed:
            found = self._again(look, work, failed)
        if work.in_transaction:
            self._apply(work)
        return found

    def _again(self, look: Looked, work: Work, failed: _Failed) -> list[Finding]:
        """It failed with rows. Does it with others, or without any? Errors: CannotApply."""
        if failed.direction == "applying":
            self._back_to_before(work)
            try:
                return self._cycle(look, work, with_rows=True, nulls=False)
            except _Failed as other:
                failed = other
        self._back_to_before(work)
        try:
            found, without = self._cycle(look, work, with_rows=False), None
        except _Failed as error:
            found, without = [], error
            if error.direction == "applying":
                raise _cannot_apply(work.key, error) from error
            self._back_to_before(work)
            if not work.in_transaction:
                self._apply(work)
        if failed.found:
            return failed.found  # what it left behind is in the way
        if failed.direction == "applying":
            made_up = "could not be tried with rows: applying it fails with those that were made up"
            found = [_warning(look, f"{work.key} {made_up}, and not without: {failed}."), *found]
            failed = without or failed
        only = "" if without else " This fails with rows in the tables, and not without."
        if failed.direction == "undoing":
            found.append(look.finding("rollback.C010", f"{work.key} cannot be undone: {failed}.{only}", _UNDO))
        elif failed.direction == "applying again":
            text = f"{work.key} cannot be applied again after it was undone: {failed}.{only}"
            found.append(look.finding("rollback.C013", text, "Take back in the reverse what is in the way."))
        return found

    def _back_to_before(self, work: Work) -> None:
        """Where the database cannot take back what a trial has left."""
        if not work.in_transaction:
            emptied(self._database.connection)
            self._begin()
            for each in self._applied:
                self._apply(each)

    def _cycle(self, look: Looked, work: Work, *, with_rows: bool, nulls: bool = True) -> list[Finding]:
        """Errors: _Failed."""
        with self._sandbox(work):
            tables, notes = set[str](), list[str]()
            if with_rows:
                there = self._watcher.schema(objects=False).facts
                tables, notes = self._seeder.seed(work.before.asked, self._models(look, work), there, nulls=nulls)
            self._database.check_rows()
            first = self._seen(look, tables)
            self._do("applying", work, lambda: self._forwards(work))
            second = self._seen(look, tables)
            self._do("undoing", work, lambda: self._backwards(look, work))
            third = self._seen(look, tables)
            touched = self._touched(look, work)
            left = self._left(look, work, first, third, touched)
            try:
                self._do("applying again", work, lambda: self._forwards(work))
            except _Failed as failed:
                failed.found = left
                raise
            fourth = self._seen(look, tables)
            again = changed(second.schema, fourth.schema)
        again += changed_rows(*_comparable(look, second.rows, fourth.rows), touched)
        if again and not left:
            text = f"{work.key} gives another result when it is applied again after it was undone: {'; '.join(again)}."
            left = [look.finding("rollback.C013", text, _UNDO)]
        return [*(_warning(look, f"{work.key} could not be tried with all rows. {note}.") for note in notes), *left]

    def _left(
        self, look: Looked, work: Work, first: _Seen, third: _Seen, touched: Collection[tuple[str, str]]
    ) -> list[Finding]:
        """What is not as it was before."""
        found = []
        if trace := changed(first.schema, third.schema):
            text = f"{work.key} leaves a trace: after it was applied and undone, {'; '.join(trace)}."
            found.append(look.finding("rollback.C011", text, _UNDO))
        if lost := [] if _may_change_rows(look) else changed_rows(first.rows, third.rows, touched):
            text = f"{work.key} changes rows for good: after it was applied and undone, {'; '.join(lost)}."
            found.append(look.finding("rollback.C012", text, f"{_UNDO} {_BY_DESIGN}"))
        return found

    # One direction

    def _forwards(self, work: Work) -> None:
        editor = new_editor(self._database)
        for undo in reversed(work.leaves):
            forwards(undo, work.key.app, editor)
            if work.in_transaction:
                # PostgreSQL alters no table with pending trigger events. With `migrate` there are none of rows that were there.
                self._database.check_rows()
        for statement in editor.deferred_sql:
            editor.execute(statement, None)

    def _backwards(self, look: Looked, work: Work) -> None:
        editor = new_editor(self._database)
        for undo in work.leaves:
            backwards(undo, look.step, editor, plain_twin(undo.operation) if work.in_transaction else None)
            if work.in_transaction:
                self._database.check_rows()  # PostgreSQL alters no table with pending trigger events
        for statement in editor.deferred_sql:
            editor.execute(statement, None)

    def _do(self, direction: str, work: Work, run: Callable[[], None]) -> None:
        """Errors: _Failed, whatever the migration's code raises."""
        try:
            with self._watcher.watching():
                if work.in_transaction:
                    with transaction.atomic(using=self._database.alias):
                        run()
                        self._database.check_rows()
                else:
                    run()
        except Exception as error:
            raise _Failed(direction, error) from error

    def _apply(self, work: Work) -> None:
        """For good, to tables without rows but those that migrations make. Errors: CannotApply."""
        try:
            with self._database.settings_of_run():
                self._do("applying", work, lambda: self._forwards(work))
        except _Failed as failed:
            raise _cannot_apply(work.key, failed) from failed
        self._watcher.settled()

    @contextmanager
    def _sandbox(self, work: Work) -> Iterator[None]:
        """Where the database can, what is done inside is undone."""
        with self._database.settings_of_run():
            if not work.in_transaction:
                yield
                self._watcher.settled()
                return
            try:
                with transaction.atomic(using=self._database.alias):
                    yield
                    transaction.set_rollback(True, using=self._database.alias)
            finally:
                self._watcher.named.clear()

    # What is looked at

    def _models(self, look: Looked, work: Work) -> set[tuple[str, str]]:
        """The models whose tables it touches: that it changes, that its code asks for, that its SQL names."""
        before: dict[tuple[str, str], ModelState] = work.before.models
        sql = [str(each) for leaf in work.leaves for each in sql_of(leaf.operation)]
        words = {word.lower() for each in sql for word in re.findall(r"\w+", each)}
        asked = {(app, model.lower()) for app, model, _ in look.source.models_asked_for()}
        return {
            key
            for key, model in before.items()
            if model is not work.after.models.get(key) or key in asked or self._names.table(model).lower() in words
            if self._names.lives_here(model)
        }

    def _seen(self, look: Looked, seeded: Collection[str]) -> _Seen:
        opaque = _is_opaque(look)
        schema = self._watcher.schema(objects=opaque)
        tables = schema.facts.keys() if opaque else schema.facts.keys() & seeded
        return _Seen(schema, rows_of(self._database, sorted(tables)))

    def _touched(self, look: Looked, work: Work) -> set[tuple[str, str]]:
        """The tables (name, "") and columns that it changes on purpose, so that their values may be others after it; and those
        that code sets by saving."""
        found = {
            (effect.table, effect.column)
            for effect in look.step.effects
            if effect.kind in (Kind.MAKES, Kind.DROPS_COLUMN, Kind.DROPS_TABLE)
            if not is_filled_again(look, effect.index)
        }
        for leaf in work.leaves:
            operation: Any = leaf.operation
            for state in (leaf.to_state, leaf.from_state) if isinstance(operation, AlterField) else ():
                model: ModelState = state.models[work.key.app, operation.model_name_lower]
                found.add((self._names.table(model), self._column(model, operation.name)))
        for state in (work.before, work.after):
            for each in state.models.values():
                names = [name for name, field in each.fields.items() if getattr(field, "auto_now", False)]
                found |= {(self._names.table(each), self._column(each, name)) for name in names}
        return found

    def _column(self, model: ModelState, name: str) -> str:
        return self._names.column(name, model.fields[name]) or "?"


_BY_DESIGN = "If they may stay, say so with reversible_by_design = True on the Migration class."


def _is_opaque(look: Looked) -> bool:
    """May it do anything?"""
    return any(effect.kind in _OPAQUE for effect in look.step.effects)


def _is_irreversible(look: Looked) -> bool:
    return any(effect.kind is Kind.IRREVERSIBLE for effect in look.step.effects)


def _may_change_rows(look: Looked) -> bool:
    """Is it declared, or found already, that what its code did stays?"""
    noop = any(effect.kind is Kind.NOOP and not fills_what_is_new(look, effect.index) for effect in look.step.effects)
    return noop or look.declared.get("reversible_by_design") is True


def _comparable(
    look: Looked, before: Mapping[str, list[Row]], after: Mapping[str, list[Row]]
) -> tuple[Mapping[str, list[Row]], Mapping[str, list[Row]]]:
    """Code may fill in the time or random values, so that of its rows only the number must be the same."""
    if _is_opaque(look):
        return ({}, {}) if look.declared.get("reversible_by_design") is True else (_numbers(before), _numbers(after))
    return before, after


def _numbers(rows: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """The rows without their values."""
    return {table: [{} for _ in each] for table, each in rows.items()}


def _cannot_apply(key: Key, failed: _Failed) -> CannotApply:
    return CannotApply(
        f"{key} cannot be applied to an empty database: {failed}",
        hint="Make 'python manage.py migrate' work on an empty database first. --static reads the migrations only.",
    )


def _warning(look: Looked, text: str) -> Finding:
    hint = "Give a function that makes rows for it: ROLLBACK['SEED'] in the settings."
    return replace(look.finding("rollback.C014", text, hint), severity=Severity.WARNING)
