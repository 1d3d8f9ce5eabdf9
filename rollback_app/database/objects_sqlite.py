"""What hangs on tables of SQLite, read from the text that made it.

A table is remade by making a new one of the columns that the model has, and renaming that: what else it had is gone. SQLite
looks through all views and triggers when anything is renamed or a column is dropped, and refuses if one of them is broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, takewhile
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.planner import Change, Known, TableChange
from rollback_app.safety import Defined, Fate, ListedObject, Object

from . import rules_sqlite
from .objects_by_text import Written, of, users, uses, words

_LOOKS_THROUGH_ALL = (Change.REMAKES, Change.RENAMES, Change.DROPS_COLUMN)


def objects(
    connection: BaseDatabaseWrapper, changes: Sequence[TableChange], known: Known
) -> list[tuple[TableChange, Object]]:
    """See `safety.Inspector`."""
    catalog = _Catalog(connection, known)
    remade = {(each.step.key, each.table) for each in changes if each.change is Change.REMAKES}
    found: list[tuple[TableChange, Object]] = []
    for index, change in enumerate(changes):
        if change.change is Change.DROPS_TABLE:
            later = next((each for each in changes[index:] if each.change in _LOOKS_THROUGH_ALL), None)
            found += [(change, each) for each in catalog.belongings(change.table)]
            found += list(_broken(change, later, users(change.table, catalog.written)))
        elif change.change is Change.DROPS_COLUMN:
            alone = (change.step.key, change.table) not in remade
            found += [(change, each) for each in catalog.on_column(change.table, change.column, alone=alone)]
            found += [(change, each) for each in (catalog.rules(change.table, change.column) if alone else ())]
        elif change.change is Change.REMAKES:
            found += [(change, each) for each in catalog.unknown_columns(change.table)]
            found += [(change, each) for each in catalog.options(change.table)]
            found += [(change, each) for each in catalog.rules(change.table)]
            for each in users(change.table, catalog.written):
                found.append((change, _object(each, Fate.STOPS, "SQLite renames no table that it uses")))
    return found


def _broken(
    change: TableChange, later: TableChange | None, written: Sequence[Written]
) -> Iterator[tuple[TableChange, Object]]:
    for each in written:
        if later:
            yield later, _object(each, Fate.STOPS, f"it uses table {change.table}, which is gone by then")
        else:
            yield change, _object(each, Fate.BREAKS)


def _object(each: Written, fate: Fate, what: str = "") -> Object:
    return Object(each.kind, each.name, fate, each.definition, what=what)


class _Catalog:
    """written: the views, and the triggers and indexes that no migration knows."""

    def __init__(self, connection: BaseDatabaseWrapper, known: Known) -> None:
        self._connection, self._known = connection, known
        self._tables: dict[str, str] = {}
        self.written: list[Written] = []
        for kind, name, table, sql in _master(connection):
            if kind == "table":
                self._tables[table] = sql
            elif kind != "index" or not known.has_name(name, table, ()):
                self.written.append(Written(kind, name, table, sql, sql))

    def belongings(self, table: str) -> list[Object]:
        return [_object(each, Fate.GOES) for each in of(table, self.written)]

    def on_column(self, table: str, column: str, *, alone: bool) -> Iterator[Object]:
        """alone: is the column dropped by itself? Else the table is remade."""
        what = f"it uses column {column}"
        mine = [each for each in of(table, self.written) if uses(each, column)]
        for each in mine:
            if alone and (each.kind == "index" or column.lower() in words(_body(each.text))):
                yield _object(each, Fate.STOPS, what)
            else:
                yield _object(each, Fate.BREAKS if alone else Fate.GOES)
        if alone:
            others = [each for each in users(table, self.written, column) if each.table != table]
            yield from (_object(each, Fate.STOPS, what) for each in others)

    def unknown_columns(self, table: str) -> Iterator[Object]:
        quote = self._connection.ops.quote_name
        for column, kind in self._columns(table):
            if not self._known.has_column(table, column):
                name = f"{table}.{column}"
                number = self._fetch(f"SELECT count({quote(column)}) FROM {quote(table)}")
                if number and kind == "column":
                    rows = f"{number} row{' has' if number == 1 else 's have'} a value in it"
                    yield Object(kind, name, Fate.STOPS, rows=number, what=f"{rows}, and no migration knows it")
                else:
                    yield Object(kind, name, Fate.GOES, self._added(table, column))
                    yield from (_object(each, Fate.GOES) for each in of(table, self.written) if uses(each, column))

    def _added(self, table: str, column: str) -> str:
        """The SQL that adds a column as the table has it."""
        quote = self._connection.ops.quote_name
        parts = _parts(self._tables[table].partition("(")[2])
        text = next(part for part in parts if _name(part).lower() == column.lower())
        return f"ALTER TABLE {quote(table)} ADD COLUMN {text}"

    def _columns(self, table: str) -> list[tuple[str, str]]:
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, CASE WHEN hidden THEN 'generated column' ELSE 'column' END FROM pragma_table_xinfo(%s)",
                [table],
            )
            return list(cursor.fetchall())

    def _fetch(self, sql: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]

    def options(self, table: str) -> list[Object]:
        """What stands behind the columns: STRICT, WITHOUT ROWID."""
        behind = self._tables.get(table, "").rpartition(")")[2].upper()
        options = [option for option in ("STRICT", "WITHOUT ROWID") if option in behind]
        return [Object("option", f"{option} of table {table}", Fate.GOES) for option in options]

    def rules(self, table: str, column: str = "") -> Iterator[Object]:
        """Those that no migration knows. column: it is dropped by itself; without one, the table is remade."""
        for rule in rules_sqlite.rules(self._tables.get(table, "")):
            if rule.is_known(table, self._known) or (column and not rule.uses(column)):
                continue
            goes = not column or (rule.kind == "CHECK" and rule.column == column)
            what = "" if goes else f"SQLite drops no column that it uses, as {column}"
            yield Object(
                "constraint", f"{rule} of table {table}", Fate.GOES if goes else Fate.STOPS, rule.text, what=what
            )


# A literal, a quoted name or a comment, which may hold anything; or a single character.
_PIECE = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\[[^]]*\]|--[^\n]*\n|/\*.*?\*/|.", re.DOTALL)


def _parts(sql: str) -> list[str]:
    """What stands between the commas, up to the parenthesis that closes it all; without comments."""
    pieces = _PIECE.findall(sql)
    depths = accumulate((piece == "(") - (piece == ")") for piece in pieces)
    parts = [""]
    for piece, depth in takewhile(lambda each: each[1] >= 0, zip(pieces, depths, strict=True)):
        if piece == "," and not depth:
            parts.append("")
        else:
            parts[-1] += " " if piece.startswith(("--", "/*")) else piece
    return [part.strip() for part in parts]


def _name(part: str) -> str:
    """The first name in it, without quotes."""
    first = _PIECE.findall(part)[0]
    return str(first[1:-1] if len(first) > 1 else re.split(r"\s|\(", part)[0])


def _body(sql: str) -> str:
    """What a trigger does, without the columns of which it waits for a change."""
    before, begin, after = sql.partition("BEGIN")
    when = before.upper().partition(" WHEN ")[2]
    return f"{when} {begin} {after}"


def _master(connection: BaseDatabaseWrapper) -> list[tuple[str, str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"
            " AND name NOT LIKE 'sqlite\\_%%' ESCAPE '\\' ORDER BY rowid"
        )
        return list(cursor.fetchall())


def _columns(connection: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.name, c.name FROM sqlite_master t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'"
        )
        return list(cursor.fetchall())


def names(connection: BaseDatabaseWrapper) -> set[str]:
    """See `Database.object_names`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type || ' ' || name FROM sqlite_master UNION ALL"
            " SELECT CASE WHEN c.hidden THEN 'generated column ' ELSE 'column ' END || t.name || '.' || c.name"
            " FROM sqlite_master t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'"
        )
        return {name for (name,) in cursor.fetchall()}


def listing(connection: BaseDatabaseWrapper, known: Known) -> list[ListedObject]:
    """See `Database.listing`."""
    columns = [
        ListedObject(f"column {table}.{column}", "column", f"{table}.{column}", table)
        for table, column in _columns(connection)
        if known.tables.get(table) and not known.has_column(table, column)
    ]
    return columns + [
        ListedObject(f"{kind} {name}", kind, name, table, sql)
        for kind, name, table, sql in _master(connection)
        if not (kind == "table" and table in known.tables) and not (kind == "index" and known.has_name(name, table, ()))
    ]


def defined(connection: BaseDatabaseWrapper) -> list[Defined]:
    """See `Database.defined`."""
    return [Defined(kind, name, sql) for kind, name, _, sql in _master(connection) if kind in ("view", "trigger")]


def table_definitions(connection: BaseDatabaseWrapper, names: Collection[str]) -> dict[str, str]:
    """See `Database.table_definitions`."""
    found: dict[str, str] = {}
    with connection.cursor() as cursor:
        # An index that a rule of the table makes has no SQL of its own.
        cursor.execute(
            "SELECT tbl_name, sql FROM sqlite_master WHERE tbl_name IN (SELECT value FROM json_each(%s)) AND sql IS NOT NULL"
            " AND type <> 'view' ORDER BY tbl_name, type <> 'table', name",
            [json.dumps(sorted(names))],
        )
        for table, sql in cursor.fetchall():
            found[table] = f"{found.get(table, '')}{sql};\n"
    return found
