"""What tables look like: those that are there, and those that Django would make for a model, as facts that can be compared.

A fact is (table, kind, words), for example ("a_book", "column", "pages integer NOT NULL"). Names of constraints and indexes and
the order of columns are no part of it. What Django would make is made, in a place that nobody else sees, and read by the
same queries.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.db.utils import DatabaseError, NotSupportedError, OperationalError, ProgrammingError

from .by_index import by_index
from .tenants import own_alone

Fact = tuple[str, str, str]
Facts = Counter[Fact]
Together = Mapping[str, Collection[tuple[str, ...]]]
# As the catalog tells them: a fact, and its name if it is an index. `facts` makes sense of them.
Rows = Sequence[tuple[str, str, str, str]]

TOGETHER = (
    100  # tables made at a time: PostgreSQL keeps a lock for each, and for each of its indexes, until they are gone
)


class CannotMake(Exception):
    """There is no place where tables could be made to compare with, or what they need is not there."""


def rows(connection: BaseDatabaseWrapper, tables: Collection[str] | None = None) -> Rows:
    """What the catalog says about these tables, or about all that are visible without naming a schema. Cheap: one query."""
    query = _QUERIES[connection.vendor](connection)
    names = _NAMES[connection.vendor](tables)
    with connection.cursor() as cursor:
        cursor.execute(query, [names] * query.count("%s"))
        found: Rows = cursor.fetchall()
        return found


def facts(rows: Rows) -> Facts:
    return Counter(fact for table, kind, words, _ in rows for fact in _facts(table, kind, words))


def made(connection: BaseDatabaseWrapper, models: Sequence[type[Model]], together: Together) -> Facts:
    """What the tables of these models would look like. Tables of many-to-many fields come with their model. together: by the
    label of a model its `index_together`, which Django 5.1 and later keep out of the class.

    Errors: CannotMake, for example for lack of the right to do so.
    """
    place = _PLACES[connection.vendor]
    found: Facts = Counter()
    for start in range(0, len(models), TOGETHER):
        found += facts(place(connection, models[start : start + TOGETHER], together))
    return found


def _statements(connection: BaseDatabaseWrapper, models: Sequence[type[Model]], together: Together) -> list[str]:
    # Collected first, so that a server gets them in one piece.
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for model in models:
            editor.create_model(model)
            done = getattr(model._meta, "index_together", ())  # by create_model: on Django 5.0 and older
            editor.alter_index_together(model, done, together.get(model._meta.label, ()))
    return list(editor.collected_sql)


def with_join_tables(models: Collection[type[Model]]) -> list[type[Model]]:
    """The models, and those that Django makes for their many-to-many fields: `create_model` makes the tables of all."""
    fields: Any = [field for model in models for field in model._meta.local_many_to_many]
    joins = [field.remote_field.through for field in fields]
    return [*models, *(join for join in joins if join._meta.auto_created)]


def _names(models: Sequence[type[Model]]) -> list[str]:
    return [model._meta.db_table for model in with_join_tables(models)]


# PostgreSQL

_SEEN = "relkind IN ('r', 'p') AND pg_table_is_visible(oid)"
_POSTGRESQL = f"""
WITH t AS MATERIALIZED (
    SELECT oid, relname::text AS name FROM pg_class
    WHERE {_SEEN}
    AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND (%s::text[] IS NULL OR relname = ANY (%s::text[]))
)
SELECT t.name, 'table', '', '' FROM t
UNION ALL
SELECT t.name, 'column', concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN 'NOT NULL' END,
    CASE WHEN a.attidentity <> '' OR e.words LIKE 'nextval(%%' THEN 'automatic number' -- Django 4.0 and older made serial columns
        WHEN a.attgenerated <> '' THEN 'GENERATED ' || e.words ELSE 'DEFAULT ' || e.words END,
    CASE WHEN a.attcollation <> y.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END), ''
FROM t JOIN {by_index("pg_attribute", "a", "attrelid = t.oid AND attnum > 0 AND NOT attisdropped")} ON true
JOIN {by_index("pg_type", "y", "oid = a.atttypid")} ON true
LEFT JOIN {by_index("pg_attrdef", "d", "adrelid = t.oid AND adnum = a.attnum")} ON true
LEFT JOIN LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) AS words) e ON true
UNION ALL
SELECT t.name, CASE c.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint' WHEN 'c' THEN 'check'
    WHEN 'f' THEN 'foreign key' ELSE 'exclusion' END,
    regexp_replace(pg_get_constraintdef(c.oid), '^(PRIMARY KEY|UNIQUE|CHECK|FOREIGN KEY) ', ''), ''
FROM t JOIN {by_index("pg_constraint", "c", "conrelid = t.oid AND contype IN ('p', 'u', 'c', 'f', 'x')")} ON true
UNION ALL
SELECT t.name, CASE WHEN i.indisunique THEN 'unique index' ELSE 'index' END,
    concat_ws(' ', substring(pg_get_indexdef(i.indexrelid) FROM ' USING (.*)$'),
    CASE WHEN NOT i.indisvalid THEN 'INVALID' END), x.relname::text
FROM t JOIN {by_index("pg_index", "i", "indrelid = t.oid")} ON true
JOIN {by_index("pg_class", "x", "oid = i.indexrelid")} ON true
WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = t.oid AND c.conindid = i.indexrelid
    AND c.contype IN ('p', 'u', 'x') OFFSET 0)
"""


def _in_pg_temp(connection: BaseDatabaseWrapper, models: Sequence[type[Model]], together: Together) -> Rows:
    """As temporary tables, gone with a savepoint: that needs no right that PostgreSQL does not give to everybody."""
    try:
        return _as_temporary(connection, models, together)
    # No right to make them; or a type or a function that they need is gone. Anything else is a failure of the run.
    except (ProgrammingError, NotSupportedError) as error:
        raise CannotMake(str(error)) from error


def _as_temporary(connection: BaseDatabaseWrapper, models: Sequence[type[Model]], together: Together) -> Rows:
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        before: Any = connection.savepoint()
        try:
            # A CREATE TABLE makes temporary tables where this schema comes first. Types and collations are still found. In one
            # piece: another cursor would set the search path anew, where schemas are many.
            first = "SELECT set_config('search_path', 'pg_temp, ' || current_setting('search_path'), true);"
            made = [*_pointed_at(connection, models), *_statements(connection, models, together)]
            cursor.execute("\n".join([first, *made]))
            return rows(connection, _names(models))
        finally:
            connection.savepoint_rollback(before)  # raises, where set_rollback(True) is silent


def _pointed_at(connection: BaseDatabaseWrapper, models: Sequence[type[Model]]) -> Iterator[str]:
    """Tables to point to, with nothing but the columns that are pointed to; else foreign keys would lock the real ones."""
    wanted: dict[str, dict[str, str]] = {}
    quote = connection.ops.quote_name
    here = set(_names(models))
    for model in with_join_tables(models):
        fields: Any = model._meta.local_concrete_fields
        for field in fields:
            if field.remote_field and field.db_constraint:
                target = field.target_field
                wanted.setdefault(target.model._meta.db_table, {})[target.column] = target.db_type(connection)
    for table, columns in wanted.items():
        if table not in here:
            yield f"CREATE TABLE {quote(table)} ({', '.join(f'{quote(c)} {kind} UNIQUE' for c, kind in columns.items())});"


# MariaDB and MySQL

_HERE = "table_schema = database() AND (%s IS NULL OR find_in_set(table_name, %s))"
_MYSQL = f"""
SELECT table_name, 'table', '', '' FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND {_HERE}
UNION ALL
SELECT table_name, 'column', concat_ws(' ', column_name, column_type, if(is_nullable = 'NO', 'NOT NULL', NULL),
    concat('DEFAULT ', nullif(column_default, 'NULL')), nullif(extra, ''), nullif(generation_expression, ''),
    concat('COLLATE ', collation_name)), ''
FROM information_schema.columns WHERE {_HERE}
UNION ALL
SELECT table_name, if(index_name = 'PRIMARY', 'primary key', if(non_unique, 'index', 'unique index')),
    concat_ws(' ', index_type, group_concat(coalesce(column_name, 'expression'), coalesce(concat('(', sub_part, ')'), ''),
    if(collation = 'D', ' DESC', '') ORDER BY seq_in_index)), index_name
FROM information_schema.statistics WHERE {_HERE} GROUP BY table_name, index_name, non_unique, index_type
UNION ALL
SELECT k.table_name, 'foreign key', concat('(', group_concat(k.column_name ORDER BY k.ordinal_position), ') to ',
    k.referenced_table_name, ' (', group_concat(k.referenced_column_name ORDER BY k.ordinal_position), ') ON UPDATE ',
    r.update_rule, ' ON DELETE ', r.delete_rule), ''
FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
ON r.constraint_schema = k.table_schema AND r.table_name = k.table_name AND r.constraint_name = k.constraint_name
WHERE k.{_HERE.replace("(table_name", "(k.table_name")}
GROUP BY k.table_name, k.constraint_name, k.referenced_table_name, r.update_rule, r.delete_rule
UNION ALL
"""
_MARIADB_CHECKS = f"""
SELECT table_name, 'check', check_clause, ''
FROM information_schema.check_constraints WHERE {_HERE.replace("table_schema", "constraint_schema")}
"""
# MySQL tells the table of a check elsewhere; there the names of checks are unique in a schema.
_MYSQL_CHECKS = f"""
SELECT table_name, 'check', check_clause, ''
FROM information_schema.check_constraints c JOIN information_schema.table_constraints t
USING (constraint_schema, constraint_name) WHERE {_HERE}
"""


def _in_a_database_of_its_own(
    connection: BaseDatabaseWrapper, models: Sequence[type[Model]], together: Together
) -> Rows:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute("SELECT database(), @@character_set_database, @@collation_database")
        here, characters, collation = cursor.fetchone()
        # The same for each run on this database, of which there is only one at a time: a run that was killed left it behind.
        name = quote(f"rollback_app_{hashlib.sha256(here.encode()).hexdigest()[:12]}")
        try:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET {characters} COLLATE {collation}")
        except OperationalError as error:
            if error.args[0] != 1044:  # ER_DBACCESS_DENIED_ERROR
                raise
            raise CannotMake(str(error.args[1])) from error
        try:
            cursor.execute(f"USE {name}")
            with connection.constraint_checks_disabled():  # nothing else is there for foreign keys to point to
                for statement in _statements(connection, models, together):
                    cursor.execute(statement)
            return rows(connection, _names(models))
        finally:
            cursor.execute(f"USE {quote(here)}")
            cursor.execute(f"DROP DATABASE {name}")


# SQLite: pragmas, and the text of CREATE for what no pragma tells

_SQLITE = """
WITH t AS (
    SELECT name, sql FROM sqlite_master
    WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%%' ESCAPE '\\'
    AND (%s IS NULL OR name IN (SELECT value FROM json_each(%s)))
)
SELECT t.name, 'table', t.sql, '' FROM t
UNION ALL
-- A column that points to a key takes over the key's new type only when its table is remade: the two types are one here.
SELECT t.name, 'column', c.name || ' ' || CASE WHEN lower(c.type) = 'bigint'
    AND c.name IN (SELECT f."from" FROM pragma_foreign_key_list(t.name) f) THEN 'integer' ELSE lower(c.type) END
    || CASE WHEN c."notnull" THEN ' NOT NULL' ELSE '' END || coalesce(' DEFAULT ' || c.dflt_value, '')
    || CASE WHEN c.pk THEN ' PRIMARY KEY ' || c.pk ELSE '' END, ''
FROM t, pragma_table_xinfo(t.name) c
UNION ALL
SELECT t.name, CASE l.origin WHEN 'u' THEN 'unique constraint' ELSE 'primary key' END,
    (SELECT '(' || group_concat(i.name, ', ') || ')' FROM pragma_index_info(l.name) i), ''
FROM t, pragma_index_list(t.name) l WHERE l.origin <> 'c'
UNION ALL
SELECT t.name, 'index', m.sql, m.name
FROM t JOIN sqlite_master m ON m.tbl_name = t.name AND m.type = 'index' AND m.sql IS NOT NULL
UNION ALL
SELECT t.name, 'foreign key', '(' || group_concat(k."from", ', ') || ') to ' || k."table" || ' ('
    || group_concat(k."to", ', ') || ') ON UPDATE ' || k.on_update || ' ON DELETE ' || k.on_delete, ''
FROM t, pragma_foreign_key_list(t.name) k GROUP BY t.name, k.id
"""


def _in_memory(connection: BaseDatabaseWrapper, models: Sequence[type[Model]], together: Together) -> Rows:
    place = type(connection)({**connection.settings_dict, "NAME": ":memory:"}, connection.alias)
    try:
        statements = _statements(place, models, together)
        with place.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        return rows(place, _names(models))
    # A function or a module that only the application's own connection knows.
    except DatabaseError as error:
        raise CannotMake(str(error)) from error
    finally:
        BaseDatabaseWrapper.close(place)  # Django's SQLite keeps those in memory open


def _facts(table: str, kind: str, words: str) -> Iterator[Fact]:
    if kind == "table":
        yield table, "table", ""
        yield from ((table, *found) for found in _in_text(words))
    elif kind in ("index", "unique index") and words.startswith("CREATE "):
        # CREATE UNIQUE INDEX "name" ON "table" ("column" DESC) WHERE …
        tokens = tokens_of(words)
        unique = tokens[1].lower() == "unique"
        yield table, "unique index" if unique else "index", _normal(tokens[6 if unique else 5 :])
    else:
        yield table, kind, words


def _in_text(sql: str) -> Iterator[tuple[str, str]]:
    """What the CREATE TABLE of SQLite says that no pragma tells: (kind, words)."""
    tokens = tokens_of(sql)
    depth, column = 0, ""
    for place, part in enumerate(tokens):
        word = part.lower()
        depth -= part == ")"
        if depth == 1 and tokens[place - 1] in ("(", ","):
            column = bare(part)
        if depth == 1 and word == "check":
            yield "check", _group(tokens, place + 1)
        elif depth == 1 and word == "as":
            yield "generated column", f"{column} {_group(tokens, place + 1)}"
        elif depth == 1 and word == "collate":
            yield "collation", f"{column} {bare(tokens[place + 1])}"
        elif depth == 1 and word == "autoincrement":
            yield "automatic key", column
        depth += part == "("


_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?\*/|("(?:[^"]|"")*"|'(?:[^']|'')*'|`[^`]*`|\[[^]]*]|[\w.]+|[^\s\w])""", re.DOTALL
)


def tokens_of(sql: str) -> list[str]:
    return [token for token in _TOKEN.findall(sql) if token]


def _group(tokens: list[str], start: int) -> str:
    """What is between the parenthesis at `start` and the one that closes it."""
    depth, end = 1, start
    while depth:
        end += 1
        depth += {"(": 1, ")": -1}.get(tokens[end], 0)
    return _normal(tokens[start + 1 : end])


def bare(token: str) -> str:
    return token.strip('"`[]').lower()


def _normal(tokens: list[str]) -> str:
    """One spelling: a space between words, identifiers without quotes, nothing but literals in upper case."""
    return " ".join(token if token.startswith("'") else bare(token) for token in tokens)


_QUERIES: dict[str, Callable[[Any], str]] = {
    "postgresql": lambda connection: _POSTGRESQL.replace(_SEEN, _SEEN + own_alone(connection, "oid")),
    "mysql": lambda connection: _MYSQL + (_MARIADB_CHECKS if connection.mysql_is_mariadb else _MYSQL_CHECKS),
    "sqlite": lambda connection: _SQLITE,
}
_NAMES: dict[str, Callable[[Collection[str] | None], Any]] = {
    "postgresql": lambda tables: None if tables is None else list(tables),
    "mysql": lambda tables: None if tables is None else ",".join(tables),
    "sqlite": lambda tables: None if tables is None else json.dumps(list(tables)),
}
_PLACES: dict[str, Callable[[BaseDatabaseWrapper, Sequence[type[Model]], Together], Rows]] = {
    "postgresql": _in_pg_temp,
    "mysql": _in_a_database_of_its_own,
    "sqlite": _in_memory,
}
