"""What holds `migrate`, in the database, the settings and the environment; holding by hand, and lifting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.db import DEFAULT_DB_ALIAS
from django.db.utils import DatabaseError

from rollback_app import bookkeeping, conf
from rollback_app import database as databases
from rollback_app.bookkeeping import HOLDS_TABLE
from rollback_app.database import Database, first_line
from rollback_app.errors import DatabaseUnusable
from rollback_app.history import Hold, HoldSource


@dataclass(frozen=True)
class Holds:
    """alias, title: of the database. holds: the settings' or the environment's first, then newest first."""

    alias: str
    title: str
    holds: tuple[Hold, ...]


def holds(using: str = DEFAULT_DB_ALIAS) -> Holds:
    """Errors: UsageError, DatabaseUnusable."""
    database = databases.get(using)
    with database.reading(during_a_rollback=True):
        found = bookkeeping.holds(database)
    switch = conf.switched_off()
    here = [Hold(HoldSource(switch))] if switch else []
    return Holds(using, database.title, (*here, *found))


def hold(using: str = DEFAULT_DB_ALIAS, reason: str = "") -> None:
    """Hold every migration. Errors: UsageError, DatabaseUnusable."""
    database = databases.get(using)
    with database.reading(during_a_rollback=True):
        pass  # that it can be
    _write(database, partial(bookkeeping.add_hold, database, HoldSource.COMMAND, reason))


def lift(using: str = DEFAULT_DB_ALIAS) -> None:
    """Lift what is held in the database. Errors: UsageError, DatabaseUnusable."""
    database = databases.get(using)
    with database.reading(during_a_rollback=True):
        pass  # that it can be
    _write(database, partial(bookkeeping.lift_holds, database))


def _write(database: Database, write: Callable[[], object]) -> None:
    try:
        write()
    except DatabaseError as error:
        raise DatabaseUnusable(
            f"{database.title} cannot be written to: {first_line(error)}",
            hint=f"Its user must be allowed to make and to fill the table {HOLDS_TABLE}.",
        ) from error
