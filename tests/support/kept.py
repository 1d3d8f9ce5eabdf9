"""What a database has kept, and whether its catalogue and its tables say the same."""

from __future__ import annotations

from typing import Any

from rollback_app.bookkeeping import KEPT_TABLE, Catalogue, table_of
from rollback_app.database import get
from rollback_app.safety import Kept, KeptKind
from tests.support.databases import Database
from tests.support.schema import JOURNAL, everything

PREFIX = "rollback_kept_"


def tables(database: Database) -> set[str]:
    with database.connection.cursor() as cursor:
        return {name for name in database.connection.introspection.table_names(cursor) if name.startswith(PREFIX)}


def besides(database: Database) -> dict[str, Any]:
    """Everything but what is kept."""
    return everything(database.connection, JOURNAL | {KEPT_TABLE} | tables(database))


def open_copies(database: Database) -> list[Kept]:
    """Oldest first. Each has a table with as many rows as the catalogue says, and there is no other such table."""
    found = [entry for entry in reversed(Catalogue(get(database.alias)).entries()) if entry.open]
    copies = [entry for entry in found if entry.kind is not KeptKind.OBJECT]
    assert tables(database) == {table_of(entry.number) for entry in copies}
    with database.connection.cursor() as cursor:
        for entry in copies:
            cursor.execute(f"SELECT count(*) FROM {table_of(entry.number)}")
            assert cursor.fetchone() == (entry.left,), entry
    return found
