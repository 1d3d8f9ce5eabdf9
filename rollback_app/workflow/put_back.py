"""Putting back by hand what rollbacks have kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db import DEFAULT_DB_ALIAS

from rollback_app import database as databases
from rollback_app import kept
from rollback_app.errors import UsageError, database_option
from rollback_app.safety import Kept, KeptData, KeptState, Refused, table_of

from .kept import kept_data
from .reading import errors_of_writing, reading


def put_back(
    alias: str = DEFAULT_DB_ALIAS, numbers: Collection[int] | None = None, *, overwrite: bool = False
) -> list[Kept]:
    """Put back the kept data of these numbers (all that is still kept, without numbers), as far as possible. What it is
    afterwards, in the order of the numbers: `left` and `why` tell what could not be put back.

    overwrite: kept values win over those that the rows hold.

    Errors: UsageError, for a number that does not exist or of which nothing is left; Refused, for a copy of what is still
    there; Locked; DatabaseUnusable.
    """
    database = databases.get(alias)
    with reading(database):
        database.records()  # nothing is put back while a rollback is under way
    found = kept_data(alias, numbers)
    copies = {each.number for each in found.entries if each.state is KeptState.COPIED}
    if numbers is None:
        entries = [each for each in found.entries if each.open and each.number not in copies]
    else:
        for error in _not_to_put_back(found, copies):
            raise error
        entries = [each for each in found.entries if each.open]
    with errors_of_writing(database):
        done = {entry.number: entry for entry in kept.put_back(database, entries, overwrite=overwrite)}
    others = [] if numbers is None else [each for each in found.entries if each.number not in done]
    return sorted([*done.values(), *others], key=lambda entry: entry.number)


def _not_to_put_back(found: KeptData, copies: Collection[int]) -> Iterator[UsageError | Refused]:
    """What is wrong with numbers that were given."""
    option = database_option(found.alias)
    for number in found.without_entry:
        yield UsageError(
            f"The catalogue knows nothing of table {table_of(number)}, so nobody knows where its rows belong.",
            hint=f"Copy them by SQL of your own, or drop them: python manage.py dropkept {number}{option}",
        )
    for each in found.entries:
        if each.state is KeptState.DROPPED:
            why = (
                f"somebody dropped its table {table_of(each.number)}"
                if each.number in found.without_table
                else "it was dropped"
            )
            yield UsageError(
                f"Nothing is left of {each.number}, {each.source}: {why}.", hint="`showkept` lists what is kept."
            )
        if each.number in copies:
            yield Refused(
                f"{each.number} is a copy of {each.source}, which is still there: the rollback broke off before it dropped that.",
                hint="Finish that rollback first: run the same command again. Or drop the copy: "
                f"python manage.py dropkept {each.number}{option}",
            )
