"""What rollbacks have kept: looked at, and dropped."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db import DEFAULT_DB_ALIAS

from rollback_app import database as databases
from rollback_app import kept
from rollback_app.bookkeeping import KEPT_TABLE, Unreadable
from rollback_app.database import first_line
from rollback_app.errors import DatabaseUnusable, UsageError
from rollback_app.safety import KeptData

from .reading import reading, writing


def kept_data(alias: str = DEFAULT_DB_ALIAS, numbers: Collection[int] | None = None) -> KeptData:
    """What is kept in a database; of these numbers alone, if they are given.

    Errors: UsageError, also for a number that does not exist; DatabaseUnusable.
    """
    database = databases.get(alias)
    with database.reading(during_a_rollback=True):
        try:
            found = kept.look(database)
        except Unreadable as error:
            raise DatabaseUnusable(
                f"The catalogue of kept data, {KEPT_TABLE}, of {database.title} cannot be read: {first_line(error)}",
                hint="Check the rights of its user, and that no other program has made a table of this name.",
            ) from error
    if numbers is None:
        return found
    unknown = sorted(set(numbers) - found.numbers)
    if unknown:
        which = "is no kept data with the number" if len(unknown) == 1 else "are no kept data with the numbers"
        raise UsageError(
            f"There {which} {', '.join(map(str, unknown))} in {alias}.", hint="`showkept` lists what is kept."
        )
    return found.only(numbers)


def kept_to_drop(
    alias: str = DEFAULT_DB_ALIAS, numbers: Collection[int] | None = None, *, older_than: timedelta | None = None
) -> KeptData:
    """What `drop_kept` would drop: of these numbers, or of all, or of all that was kept longer ago than this.

    Errors: as of `kept_data`.
    """
    found = kept_data(alias, numbers)
    left = [each for each in found.entries if each.open or each.number in found.without_table]
    if older_than is None:
        return found.only({each.number for each in left} | set(found.without_entry))
    return found.only({each.number for each in left if found.now - each.made > older_than})


def drop_kept(alias: str, numbers: Collection[int]) -> None:
    """Drop what is kept under these numbers, for good. Errors: UsageError; Locked; DatabaseUnusable."""
    database = databases.get(alias)
    with reading(database):
        database.records()  # what Django has never migrated cannot be locked
    with writing(database):
        kept.drop(database, numbers)
