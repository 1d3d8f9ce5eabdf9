"""Putting back by hand what rollbacks have kept."""

from __future__ import annotations

from collections.abc import Collection

from django.db import DEFAULT_DB_ALIAS

from rollback_app import database as databases
from rollback_app import kept
from rollback_app.bookkeeping import Catalogue
from rollback_app.errors import UsageError
from rollback_app.safety import Kept


def put_back(
    alias: str = DEFAULT_DB_ALIAS, numbers: Collection[int] | None = None, *, overwrite: bool = False
) -> list[Kept]:
    """Put back the kept data of these numbers (all that is still kept, without numbers), as far as possible. What it is
    afterwards, in the order of the numbers: `left` and `why` tell what could not be put back.

    overwrite: kept values win over those that the rows hold.

    Errors: UsageError, for a number that does not exist; those of Django's database layer, for a connection that is lost.
    """
    database = databases.get(alias)
    there = {entry.number: entry for entry in Catalogue(database).entries()}
    unknown = sorted(set(numbers or ()) - there.keys())
    if unknown:
        words = ", ".join(map(str, unknown))
        raise UsageError(f"Nothing is kept with the number {words}.", hint="`showkept` lists what is kept.")
    wanted = [entry for entry in there.values() if (entry.open if numbers is None else entry.number in numbers)]
    done = kept.put_back(database, wanted, overwrite=overwrite)
    return sorted(done, key=lambda entry: entry.number)
