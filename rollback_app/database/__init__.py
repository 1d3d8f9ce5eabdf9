"""All that differs between databases: reading records and rows, facts for checks, locks, timeouts and transactions.

`Database` wraps one of Django's connections. What a kind of database does differently is in its subclass; what it can do
are that subclass's class attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionDoesNotExist

from rollback_app.errors import DatabaseUnusable, UsageError, shown

from .base import Database, Timeouts
from .cast_back import Cast, cast
from .errors import details, first_line, sqlstate
from .fingerprints import fingerprint
from .given import default
from .moving import NUMBER, WHY, Reference, inserting, nowhere, numbering, references, same, updating
from .mysql import MySQL
from .postgresql import PostgreSQL
from .scripts import Condition, Dialect, Numbers, dialect
from .shapes import Column, Shape, is_there, parameter, shape, shapes_of, typed
from .spelling import normal
from .sqlite import SQLite
from .tenants import ONE_OF_MANY, schema_of
from .transactions import Mark, mark

__all__ = [
    "KINDS",
    "NUMBER",
    "ONE_OF_MANY",
    "WHY",
    "Cast",
    "Column",
    "Condition",
    "Database",
    "Dialect",
    "Mark",
    "Numbers",
    "Reference",
    "Shape",
    "Timeouts",
    "cast",
    "default",
    "details",
    "dialect",
    "fingerprint",
    "first_line",
    "get",
    "inserting",
    "is_there",
    "kind_of",
    "mark",
    "normal",
    "nowhere",
    "numbering",
    "parameter",
    "references",
    "same",
    "schema_of",
    "shape",
    "shapes_of",
    "spelling",
    "sqlstate",
    "typed",
    "updating",
]

_DEFAULT_TIMEOUTS = Timeouts()
# By the name that Django gives its connections (`connection.vendor`).
KINDS: dict[str, type[Database]] = {"postgresql": PostgreSQL, "sqlite": SQLite, "mysql": MySQL}


def get(alias: str = DEFAULT_DB_ALIAS, timeouts: Timeouts = _DEFAULT_TIMEOUTS) -> Database:
    """The database with this alias.

    Errors: UsageError, if there is none, or its engine is not one that this app knows; DatabaseUnusable, if Django knows none of
    this name.
    """
    try:
        connection = connections[alias]
    except ConnectionDoesNotExist as error:
        known = ", ".join(sorted(connections))
        raise UsageError(f"There is no database '{shown(alias)}' in DATABASES.", hint=f"Known: {known}.") from error
    except ImproperlyConfigured as error:
        raise DatabaseUnusable(
            f"DATABASES['{shown(alias)}'] cannot be used: {first_line(error)}", hint="Fix DATABASES in the settings."
        ) from error
    if connection.in_atomic_block:
        raise UsageError("A rollback cannot run inside a transaction.", hint="Call it outside of atomic().")
    kind = kind_of(connection)
    if kind is None:
        raise UsageError(
            f"{connection.vendor} is not a database that this command can roll back.",
            hint="legacyrollbacksql prints the migrate commands that do the same.",
        )
    return kind(connection, timeouts)


def spelling(aliases: Iterable[str]) -> Callable[[str], str]:
    """What spells each command in a text as it has to be typed to be about these databases: about their schema, where the
    connection is in one of many."""
    for alias in aliases:
        # Whoever uses such an alias says what is wrong with it.
        with suppress(ConnectionDoesNotExist, ImproperlyConfigured):
            if schema := schema_of(connections[alias]):
                return schema.spelled
    return str


def kind_of(connection: BaseDatabaseWrapper) -> type[Database] | None:
    """None for a database that cannot be rolled back."""
    return KINDS.get(connection.vendor)
