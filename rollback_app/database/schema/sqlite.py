"""The tables of SQLite: from its pragmas, and from the text of CREATE for what no pragma tells."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.compatibility import Column, Constraint, Fills, ForeignKey, Relation, Rule, Trigger, of_words
from rollback_app.database.catalog import bare, tokens_of

from .rows import Rows, Tables, fetch

_T = "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name IN (SELECT value FROM json_each(%s))"
_COLUMNS = f"""
SELECT t.name, c.name, c.type, NOT c."notnull", coalesce(upper(c.dflt_value), 'NULL') <> 'NULL', c.hidden IN (2, 3),
    c.pk AND lower(c.type) = 'integer' AND (SELECT count(*) FROM pragma_table_xinfo(t.name) k WHERE k.pk) = 1
FROM ({_T}) t, pragma_table_xinfo(t.name) c
"""
_UNIQUE = f"""
SELECT t.name, l.name, l.partial, (SELECT json_group_array(i.name) FROM pragma_index_info(l.name) i), m.sql
FROM ({_T}) t, pragma_index_list(t.name) l LEFT JOIN sqlite_master m ON m.name = l.name AND m.type = 'index' WHERE l."unique"
"""
_FOREIGN_KEYS = """
SELECT m.name, group_concat(k."from"), k."table", k.on_delete FROM sqlite_master m, pragma_foreign_key_list(m.name) k
WHERE m.type = 'table' GROUP BY m.name, k.id
"""
_TRIGGERS = """
SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (SELECT value FROM json_each(%s))
"""


def read(connection: BaseDatabaseWrapper, tables: Tables) -> Rows:
    names = [json.dumps(list(tables))]
    relations = fetch(connection, _T, names)
    columns = [
        (table, _column(name, words, null, default, generated, number))
        for table, name, words, null, default, generated, number in fetch(connection, _COLUMNS, names)
    ]
    known = {table: {column.name for other, column in columns if other == table} for table, *_ in relations}
    return Rows(
        relations=[Relation(name, kind) for name, kind, _ in relations],
        columns=columns,
        constraints=[
            *(
                (table, _unique(name, json.loads(found), partial, sql, known[table]), "")
                for table, name, partial, found, sql in fetch(connection, _UNIQUE, names)
            ),
            *((name, *found) for name, _, sql in relations for found in _checks(sql, known[name])),
        ],
        triggers=[
            (table, Trigger(name, frozenset({_event(sql)}))) for table, name, sql in fetch(connection, _TRIGGERS, names)
        ],
        foreign_keys=[
            ForeignKey(table, tuple(found.split(",")), target, "" if rule in ("NO ACTION", "RESTRICT") else rule)
            for table, found, target, rule in fetch(connection, _FOREIGN_KEYS, [])
            if table in known or target in known
        ],
    )


def _column(name: str, words: str, null: bool, default: bool, generated: bool, number: bool) -> Column:
    fills = Fills.DEFAULT if default else Fills.NOTHING
    if generated:
        fills = Fills.GENERATED
    elif number:
        fills = Fills.NUMBER
    return Column(name, of_words(words), bool(null), fills)


def _unique(name: str, found: list[str | None], partial: bool, sql: str, columns: Collection[str]) -> Constraint:
    if partial or None in found:
        return Constraint(Rule.UNIQUE, name, frozenset(_mentioned(tokens_of(sql), columns)), plain=False)
    return Constraint(Rule.UNIQUE, name, frozenset(filter(None, found)))


def _mentioned(words: Collection[str], columns: Collection[str]) -> set[str]:
    lower = {bare(word) for word in words if not word.startswith("'")}
    return {column for column in columns if column.lower() in lower}


def _checks(sql: str, columns: Collection[str]) -> Iterator[tuple[Constraint, str]]:
    words = tokens_of(sql)
    for place, word in enumerate(words):
        if word.lower() == "check" and words[place + 1 : place + 2] == ["("]:
            inside = list(_group(words, place + 1))
            name = words[place - 1] if words[place - 2].lower() == "constraint" else ""
            yield Constraint(Rule.CHECK, name.strip('"`[]'), frozenset(_mentioned(inside, columns))), " ".join(inside)


def _group(words: list[str], start: int) -> Iterator[str]:
    """What is between the parenthesis at `start` and the one that closes it."""
    depth, place = 1, start
    while depth:
        yield words[place]
        place += 1
        depth += (words[place] == "(") - (words[place] == ")")


def _event(sql: str) -> str:
    """Of CREATE TRIGGER name BEFORE INSERT ON …: the name may be anything, but is one word."""
    return next(word.upper() for word in tokens_of(sql)[3:] if word.upper() in ("INSERT", "UPDATE", "DELETE"))
