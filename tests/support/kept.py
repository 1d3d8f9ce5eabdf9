"""What a database has kept, and whether its catalogue and its tables say the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rollback_app.bookkeeping import KEPT_TABLE, Catalogue, table_of
from rollback_app.database import get
from rollback_app.safety import Kept, KeptKind
from tests.support.databases import Database, ask
from tests.support.schema import JOURNAL, everything

PREFIX = "rollback_kept_"


# Why a user who may not create tables can keep nothing.
NO_TABLES = {
    "postgresql": "no_tables may not make tables in schema public",
    "mariadb": "no_tables@% has no right to create table rollback_kept_1",
}
_GIVE = {
    "postgresql": """
        CREATE ROLE no_tables LOGIN PASSWORD 'few'; GRANT USAGE ON SCHEMA public TO no_tables;
        GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO no_tables; GRANT ALL ON ALL TABLES IN SCHEMA public TO no_tables
    """,
    "mariadb": """
        CREATE USER no_tables IDENTIFIED BY 'few';
        GRANT SELECT, INSERT, UPDATE, DELETE, DROP, ALTER, INDEX, REFERENCES ON {name}.* TO no_tables
    """,
}
_OWN = {"postgresql": "ALTER TABLE {table} OWNER TO no_tables", "mariadb": "DO 0"}
_TAKE = {
    "postgresql": "REASSIGN OWNED BY no_tables TO {owner}; DROP OWNED BY no_tables; DROP ROLE no_tables",
    "mariadb": "DROP USER no_tables",
}


@contextmanager
def making_no_tables(database: Database, *changed: str) -> Iterator[None]:
    """Its user may do everything to the tables that are there, and to these also change them, but may create none."""
    settings = database.connection.settings_dict
    owner = {name: settings[name] for name in ("USER", "PASSWORD")}
    own = [_OWN[database.vendor].format(table=table) for table in ("django_migrations", *changed)]
    ask(database, *_GIVE[database.vendor].format(name=settings["NAME"]).split(";"), *own)
    database.connection.close()
    settings.update(USER="no_tables", PASSWORD="few")
    yield
    database.connection.close()
    settings.update(owner)
    ask(database, *_TAKE[database.vendor].format(owner=owner["USER"]).split(";"))


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
