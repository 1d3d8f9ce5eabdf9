"""Keeps what a `migrate` itself destroys: before the first operation of each migration that does, in its transaction."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from django.db import connections, transaction
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.utils import DatabaseError, InterfaceError

from rollback_app.database import Database, Timeouts, first_line, kind_of
from rollback_app.errors import RollbackError
from rollback_app.planner import applied, may_destroy
from rollback_app.safety import Keeping, Kept, by_applying

from .keep import Keeper

_LOGGER = logging.getLogger("rollback_app.kept")


class BeforeDrops:
    """Sees each `migrate` begin and end."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[object, _Run]] = {}

    def begin(self, alias: str, plan: Sequence[tuple[Any, bool]], keeping: Keeping) -> None:
        """Put operations of our own around those of migrations that may destroy something. Called once for each app."""
        kind = kind_of(connections[alias])
        if kind is None or (alias in self._begun and self._begun[alias][0] is plan):
            return
        run = _Run(keeping)
        self._begun[alias] = plan, run
        for migration, backwards in plan:
            if not backwards and may_destroy(migration.operations):
                keep = _Keep(run, kind, migration)
                migration.operations = [keep, *migration.operations, _Kept(keep)]

    def end(self, alias: str, tell: Callable[[str], object]) -> None:
        """tell: is given a line for what was kept."""
        _, run = self._begun.pop(alias, (None, None))
        for each in run.kept if run else ():
            rows = f"{each.rows} row{'' if each.rows == 1 else 's'}"
            tell(f"Kept {rows} of {each.source}, which {each.about} has destroyed: number {each.number}.")


class _Run:
    """One `migrate`. keeping: what of it may be kept yet."""

    def __init__(self, keeping: Keeping) -> None:
        self.keeping = keeping
        self.kept: list[Kept] = []


class _Around(Operation):
    """Changes nothing that Django knows of."""

    reduces_to_sql = False
    reversible = False

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing."""


class _Keep(_Around):
    """Stands before the operations of a migration. It never fails that."""

    def __init__(self, run: _Run, kind: type[Database], migration: Migration) -> None:
        self._run, self._kind = run, kind
        self._migration = copy.copy(migration)  # without us
        self._keeper: Keeper | None = None

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        database = self._kind(schema_editor.connection, Timeouts())
        self._never_failing(database, lambda: self._keep(database, from_state))

    def _keep(self, database: Database, before: Any) -> None:
        in_transaction = database.connection.in_atomic_block
        step = applied(self._migration, before, database.names())
        things, not_kept = by_applying(step, database, self._run.keeping, one_transaction=in_transaction)
        for words in not_kept:
            _warn(database, f"{step.key} destroys what is not kept. {words}.")
        keeper = Keeper(database, things, [step], one_transaction=in_transaction, by_migrate=True)
        keeper.before_steps()
        self._keeper, self._step = keeper, step

    def done(self, schema_editor: Any) -> None:
        """The operations of the migration are done."""
        database, keeper = self._kind(schema_editor.connection, Timeouts()), self._keeper
        if keeper:
            self._never_failing(database, lambda: keeper.step_done(self._step))
            self._never_failing(database, keeper.after_steps)
            keeping = self._run.keeping
            size = sum(each.bytes or 0 for each in keeper.kept)
            self._run.keeping = replace(keeping, at_most=max(keeping.at_most - size, 0))
            self._run.kept += keeper.kept

    def _never_failing(self, database: Database, do: Callable[[], None]) -> None:
        inside = database.connection.in_atomic_block
        try:
            with transaction.atomic(using=database.alias) if inside else nullcontext():
                do()
        except (DatabaseError, InterfaceError, RollbackError) as error:
            _warn(database, f"{self._migration} destroys what could not be kept: {first_line(error)}")


class _Kept(_Around):
    """Stands behind them."""

    def __init__(self, keep: _Keep) -> None:
        self._keep = keep

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._keep.done(schema_editor)


def _warn(database: Database, words: str) -> None:
    _LOGGER.warning("Kept data of %s: %s", database.alias, words)
