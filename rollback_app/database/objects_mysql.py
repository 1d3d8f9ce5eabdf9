"""What hangs on tables of MariaDB and MySQL, read from the information schema and from the text of views and triggers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.planner import Change, Known, TableChange
from rollback_app.safety import Defined, Fate, ListedObject, Object

from .objects_by_text import Written, of, type_changes, users, uses

_WRITTEN = """
SELECT 'view', table_name, table_name, view_definition
FROM information_schema.views WHERE table_schema = database()
UNION ALL
SELECT 'trigger', trigger_name, event_object_table, action_statement
FROM information_schema.triggers WHERE trigger_schema = database()
UNION ALL
SELECT 'generated column', concat(table_name, '.', column_name), table_name, generation_expression
FROM information_schema.columns WHERE table_schema = database() AND generation_expression <> ''
UNION ALL
"""
_MARIADB_CHECKS = """
SELECT 'check', concat(table_name, '.', constraint_name), table_name, check_clause
FROM information_schema.check_constraints WHERE constraint_schema = database()
"""
# MySQL tells the table of a check elsewhere; there the names of checks are unique in a schema.
_MYSQL_CHECKS = """
SELECT 'check', concat(table_name, '.', constraint_name), table_name, check_clause
FROM information_schema.check_constraints c JOIN information_schema.table_constraints t
USING (constraint_schema, constraint_name) WHERE constraint_schema = database()
"""
_KEYS = """
SELECT 'index', index_name, table_name, group_concat(coalesce(column_name, '') ORDER BY seq_in_index), '', ''
FROM information_schema.statistics s WHERE table_schema = database() AND index_name <> 'PRIMARY'
AND NOT EXISTS (SELECT 1 FROM information_schema.referential_constraints r
    WHERE r.constraint_schema = database() AND r.table_name = s.table_name AND r.constraint_name = s.index_name)
GROUP BY table_name, index_name
UNION ALL
SELECT 'foreign key', constraint_name, table_name, group_concat(column_name ORDER BY ordinal_position),
    referenced_table_name, group_concat(referenced_column_name ORDER BY ordinal_position)
FROM information_schema.key_column_usage WHERE table_schema = database() AND referenced_table_name IS NOT NULL
GROUP BY table_name, constraint_name, referenced_table_name
"""


# Tables first.
_TABLES_AND_TRIGGERS = """
SELECT 'table', table_name, table_name FROM information_schema.tables
WHERE table_schema = database() AND table_type = 'BASE TABLE' AND table_name IN %s
UNION ALL
SELECT 'trigger', trigger_name, event_object_table FROM information_schema.triggers
WHERE trigger_schema = database() AND event_object_table IN %s ORDER BY 3, 1, 2
"""


class _Key:
    """An index or a foreign key that no migration knows. target, theirs: table and columns that it points to."""

    def __init__(self, kind: str, name: str, table: str, columns: str, target: str, theirs: str) -> None:
        self.kind, self.name, self.table, self.target = kind, name, table, target
        self.columns, self.theirs = columns.split(","), theirs.split(",")

    def object(self, fate: Fate, what: str = "") -> Object:
        return Object(self.kind, f"{self.table}.{self.name}", fate, what=what)


@dataclass(frozen=True)
class _Catalog:
    """What no migration knows. tables: all, with their columns. dropped: the tables that the plan drops."""

    tables: Mapping[str, Collection[str]]
    dropped: frozenset[str]
    written: Sequence[Written]
    keys: Sequence[_Key]

    def with_table(self, table: str) -> Iterator[Object]:
        belongings = of(table, self.written)
        yield from (_object(each, Fate.GOES) for each in belongings if each.kind != "generated column")
        yield from (_object(each, Fate.BREAKS) for each in users(table, self.written))
        for key in self.keys:
            if key.table == table:
                yield key.object(Fate.GOES)
            elif key.target == table and key.table not in self.dropped:
                yield key.object(Fate.STOPS, "it points there")

    def with_column(self, table: str, column: str) -> Iterator[Object]:
        for each in of(table, self.written):
            if uses(each, column):
                yield self._on_column(each, column)
        yield from (_object(each, Fate.BREAKS) for each in users(table, self.written, column))
        for key in self.keys:
            if key.target == table and column in key.theirs:
                yield key.object(Fate.STOPS, "it points there")
            elif key.table == table and column in key.columns:
                yield _of_column(key, column)

    def _on_column(self, each: Written, column: str) -> Object:
        if each.kind == "trigger":
            return _object(each, Fate.BREAKS)
        # A check of this column alone goes with it.
        others = each.words & {name.lower() for name in self.tables[each.table]} - {column.lower()}
        if each.kind == "check" and not others:
            return _object(each, Fate.GOES)
        return _object(each, Fate.STOPS, f"it uses column {column}")

    def with_type(self, table: str, column: str) -> Iterator[Object]:
        """A foreign key keeps the types of both its ends. What else uses a column is made to fit the new type."""
        for key in self.keys:
            ends = (key.table, key.columns), (key.target, key.theirs)
            if key.target and any(table == of and column in columns for of, columns in ends):
                yield key.object(Fate.STOPS, "it keeps the types of both its ends")


def objects(
    connection: BaseDatabaseWrapper,
    changes: Sequence[TableChange],
    known: Known,
    tables: Mapping[str, Collection[str]],
) -> list[tuple[TableChange, Object]]:
    """See `safety.Inspector`. tables: all, with their columns."""
    dropped = frozenset(each.table for each in changes if each.change is Change.DROPS_TABLE)
    catalog = _Catalog(tables, dropped, _written(connection, known), _keys(connection, known))
    found: list[tuple[TableChange, Object]] = []
    for change in changes:
        hanging: Iterable[Object] = ()
        if change.change is Change.DROPS_TABLE:
            hanging = catalog.with_table(change.table)
        elif change.change is Change.DROPS_COLUMN:
            hanging = catalog.with_column(change.table, change.column)
        elif change.change is Change.CHANGES_TYPE and type_changes(connection, change):
            hanging = catalog.with_type(change.table, change.column)
        found += [(change, each) for each in hanging]
    made = _Definitions(connection)
    return [(change, replace(each, definition=made.of(each))) for change, each in found]


class _Definitions:
    """The SQL that makes objects again, with who defined them, as the server shows it. What this user may not look into is not
    found in the first place."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._lines: dict[str, list[str]] = {}  # of the statements that make tables

    def of(self, each: Object) -> str:
        if each.kind in ("view", "trigger"):
            return self.shown(each.kind, each.name)
        table, _, name = each.name.partition(".")
        if table not in self._lines:
            self._lines[table] = self.shown("table", table).splitlines()
        begins = _BEGINS[each.kind].format(re.escape(self._quote(name)))
        # A check that stands with its column is in no line of its own.
        checks = [f"CONSTRAINT {self._quote(name)} CHECK ({each.definition})"] if each.kind == "check" else []
        lines = [line for line in self._lines[table] if re.match(begins, line)] or checks
        return "".join(f"ALTER TABLE {self._quote(table)} ADD {line.strip().rstrip(',')}" for line in lines)

    def shown(self, kind: str, name: str) -> str:
        """Empty for a routine that this user may not look into."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SHOW CREATE {kind.upper()} {self._quote(name)}")
            return str(cursor.fetchone()[1 if kind in ("table", "view") else 2] or "")

    def _quote(self, name: str) -> str:
        return f"`{name.replace('`', '``')}`"  # Django's own takes a name with quotes in it to be quoted


_BEGINS = {
    "index": "  (UNIQUE |FULLTEXT |SPATIAL )?KEY {} ",
    "foreign key": "  CONSTRAINT {} FOREIGN KEY ",
    "check": "  CONSTRAINT {} CHECK ",
    "generated column": "  {} ",
}


def _object(each: Written, fate: Fate, what: str = "") -> Object:
    return Object(each.kind, each.name, fate, each.text, what=what)


def _of_column(key: _Key, column: str) -> Object:
    if key.target or len(key.columns) > 1:
        return key.object(Fate.STOPS, f"it is made of column {column}")  # an index of several would become another one
    return key.object(Fate.GOES)


def _written(connection: BaseDatabaseWrapper, known: Known) -> list[Written]:
    return [each for each in _all_written(connection) if not _is_known(each, known)]


def _all_written(connection: BaseDatabaseWrapper) -> list[Written]:
    checks = _MARIADB_CHECKS if connection.mysql_is_mariadb else _MYSQL_CHECKS  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN + checks)
        return [Written(kind, name, table, text, "") for kind, name, table, text in cursor.fetchall()]


def _is_known(each: Written, known: Known) -> bool:
    if each.kind == "check":
        return known.has_name(each.name.removeprefix(f"{each.table}."), each.table, each.words)
    return each.kind == "generated column" and known.has_column(each.table, each.name.rpartition(".")[2])


def _keys(connection: BaseDatabaseWrapper, known: Known) -> list[_Key]:
    return [key for key in _all_keys(connection) if not known.has_name(key.name, key.table, key.columns)]


def _all_keys(connection: BaseDatabaseWrapper) -> list[_Key]:
    with connection.cursor() as cursor:
        cursor.execute(_KEYS)
        return [_Key(*row) for row in cursor.fetchall()]


def names(connection: BaseDatabaseWrapper) -> set[str]:
    """See `Database.object_names`."""
    return {f"{each.kind} {each.name}" for each in _all_written(connection)} | {
        f"{key.kind} {key.table}.{key.name}" for key in _all_keys(connection)
    }


def listing(connection: BaseDatabaseWrapper, known: Known) -> list[ListedObject]:
    """See `Database.listing`."""
    found = [
        ListedObject(f"{each.kind} {each.name}", each.kind, each.name, each.table)
        for each in _written(connection, known)
        if each.kind != "generated column"
    ]
    for key in _keys(connection, known):
        name = f"{key.table}.{key.name}"
        found.append(ListedObject(f"{key.kind} {name}", key.kind, name, key.table))
    return found


_DEFINED = """
SELECT 1, lower(routine_type), routine_name FROM information_schema.routines
WHERE routine_schema = database() AND routine_type IN ('FUNCTION', 'PROCEDURE')
UNION ALL
SELECT 2, 'view', table_name FROM information_schema.views WHERE table_schema = database()
UNION ALL
SELECT 3, 'trigger', trigger_name FROM information_schema.triggers WHERE trigger_schema = database()
ORDER BY 1, 3
"""


def defined(connection: BaseDatabaseWrapper) -> list[Defined]:
    """See `Database.defined`. What this user may not look into is left out."""
    with connection.cursor() as cursor:
        cursor.execute(_DEFINED)
        found = cursor.fetchall()
    made = _Definitions(connection)
    # MariaDB replaces at once, and what was granted on a routine stays.
    verb = "CREATE OR REPLACE " if connection.mysql_is_mariadb else "CREATE "  # type: ignore[attr-defined]
    shown = [(kind, name, made.shown(kind, name)) for _, kind, name in found]
    return [Defined(kind, name, verb + sql.removeprefix("CREATE ")) for kind, name, sql in shown if sql]


def table_definitions(connection: BaseDatabaseWrapper, names: Collection[str]) -> dict[str, str]:
    """See `Database.table_definitions`."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES_AND_TRIGGERS, [sorted(names) or [""]] * 2)
        there = cursor.fetchall()
    made, found = _Definitions(connection), dict[str, str]()
    for kind, name, table in there:
        found[table] = f"{found.get(table, '')}{made.shown(kind, name)};\n"
    return found
