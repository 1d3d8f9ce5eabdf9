"""What a database really looks like, read from its catalog by SQL of our own: the tests' independent truth.

A schema is a multiset of facts, such as ("a_book", "column", "id bigint NOT NULL IDENTITY"). Names of constraints and
indexes and the order of columns are kept apart from the fact, for a rollback need not restore them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

# Book-keeping comes into being on first need, so that it says nothing about what a migration did.
JOURNAL = frozenset({"rollback_app_run", "rollback_app_deployment", "rollback_app_hold", "rollback_app_package"})

Schema = Counter[tuple[str, str, str]]
Data = dict[str, list[tuple[Any, ...]]]


class _Names(frozenset[str]):
    """Names of tables, and with them those of all tables that hold kept data."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or str(name).startswith("rollback_kept_")


OURS = _Names(JOURNAL | {"rollback_app_kept"})
BOOKKEEPING = _Names(OURS | {"django_migrations"})


class Fact(NamedTuple):
    table: str
    kind: str
    detail: str
    name: str = ""  # of a constraint or an index; of a column: its position


def snapshot(connection: BaseDatabaseWrapper, exclude: Collection[str] = BOOKKEEPING) -> Schema:
    return Counter(fact[:3] for fact in facts(connection) if fact.table not in exclude)


def difference(before: Schema, after: Schema) -> list[str]:
    """What is gone (-) and what is new (+), a line each."""
    lost = [("-", fact) for fact in (before - after).elements()]
    new = [("+", fact) for fact in (after - before).elements()]
    lines = sorted(lost + new, key=lambda line: (line[1], line[0]))
    return [f"{sign} {table}: {kind} {detail}" for sign, (table, kind, detail) in lines]


def data(connection: BaseDatabaseWrapper, exclude: Collection[str] = OURS) -> Data:
    """The rows of every table, sorted, their values in the order of the columns' names."""
    found: Data = {}
    for table in sorted({fact.table for fact in facts(connection) if fact.kind == "column"}):
        if table in exclude:
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {'.'.join(map(connection.ops.quote_name, table.split('.')))}")
            places = sorted(range(len(cursor.description)), key=lambda place: cursor.description[place][0])
            found[table] = sorted((tuple(row[place] for place in places) for row in cursor.fetchall()), key=repr)
    return found


def everything(connection: BaseDatabaseWrapper, exclude: Collection[str] = JOURNAL) -> dict[str, Any]:
    """All of it, for "as it was to the byte": names and positions, rows, where each counter stands, and what is kept."""
    counters = _rows(connection, COUNTERS[connection.vendor]) if _counts(connection) else []
    return {
        "schema": sorted(fact for fact in facts(connection) if fact.table not in exclude),
        "data": data(connection, exclude),
        # Ours count what was tried, too: a sequence is no part of a transaction.
        "counters": sorted((tuple(row) for row in counters if row[0] not in exclude and row[0] not in OURS), key=repr),
    }


def facts(connection: BaseDatabaseWrapper) -> Iterator[Fact]:
    if connection.vendor == "sqlite":
        yield from _sqlite(connection)
    else:
        for query in {"postgresql": POSTGRESQL, "mysql": MARIADB}[connection.vendor]:
            yield from (Fact(*map(str, row)) for row in _rows(connection, query))


def _rows(connection: BaseDatabaseWrapper, query: str, parameters: Sequence[Any] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _counts(connection: BaseDatabaseWrapper) -> bool:
    """SQLite has no table of counters before the first AUTOINCREMENT."""
    found = "SELECT name FROM sqlite_master WHERE name = 'sqlite_sequence'"
    return connection.vendor != "sqlite" or bool(_rows(connection, found))


# -- PostgreSQL: the server itself writes definitions in a canonical form ------------------------------------------

# What is not the system's own, nor part of an extension.
_OURS = """
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = {}.oid AND e.deptype = 'e')
"""
# A table's name says its schema only where that is not the usual one.
_TABLE = "CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || t.relname"
_TABLES = (
    f"pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace AND t.relkind IN ('r', 'p') AND {_OURS.format('t')}"
)

POSTGRESQL = [
    f"""SELECT {_TABLE}, 'table', concat_ws(' ', t.relkind, t.relpersistence, t.reloptions,
            pg_get_partkeydef(t.oid), pg_get_expr(t.relpartbound, t.oid), obj_description(t.oid, 'pg_class')), ''
        FROM {_TABLES}""",
    f"""SELECT {_TABLE}, 'column', concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'NOT NULL' END,
            CASE a.attidentity WHEN 'a' THEN 'IDENTITY ALWAYS' WHEN 'd' THEN 'IDENTITY' END,
            CASE WHEN a.attgenerated = '' THEN 'DEFAULT ' ELSE 'GENERATED ' END || pg_get_expr(d.adbin, d.adrelid),
            CASE WHEN a.attcollation <> y.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
            'COMMENT ' || quote_literal(col_description(t.oid, a.attnum))), a.attnum
        FROM {_TABLES} JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_type y ON y.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum""",
    # NOT NULL is said above; since PostgreSQL 18 it is a constraint ('n') as well.
    f"""SELECT {_TABLE}, CASE c.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check'
            WHEN 'f' THEN 'foreign key' ELSE 'exclusion' END, pg_get_constraintdef(c.oid), c.conname
        FROM {_TABLES} JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('p', 'u', 'c', 'f', 'x')""",
    # The name is cut out of the definition. The index of a constraint is said above.
    f"""SELECT {_TABLE}, 'index', concat_ws(' ',
            replace(pg_get_indexdef(i.indexrelid), ' INDEX ' || quote_ident(x.relname) || ' ON ', ' INDEX ON '),
            CASE WHEN NOT i.indisvalid THEN 'INVALID' END), x.relname
        FROM {_TABLES} JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.oid AND c.contype IN ('p', 'u', 'x'))""",
    # A sequence that a column owns is known by the column, any other by its name.
    f"""SELECT coalesce({_TABLE}, ''), 'sequence', concat_ws(' ',
            coalesce(quote_ident(a.attname), s.oid::regclass::text), format_type(q.seqtypid, NULL), q.seqstart,
            q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle),
            s.oid::regclass
        FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid
        LEFT JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_namespace n ON n.oid = t.relnamespace""",
    f"""SELECT t.oid::regclass, 'view', concat_ws(' ', t.relkind, pg_get_viewdef(t.oid)), ''
        FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE t.relkind IN ('v', 'm') AND {_OURS.format("t")}""",
    f"""SELECT {_TABLE}, 'trigger', concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled), ''
        FROM {_TABLES} JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal""",
    f"""SELECT '', 'function', pg_get_functiondef(f.oid), ''
        FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
        WHERE f.prokind IN ('f', 'p') AND {_OURS.format("f")}""",
    f"""SELECT '', 'collation', concat_ws(' ', c.oid::regcollation, c.collprovider, c.collisdeterministic,
            c.collcollate), ''
        FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE {_OURS.format("c")}""",
    "SELECT '', 'extension', extname, '' FROM pg_extension",
    "SELECT '', 'schema', nspname, '' FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
]

# -- MariaDB: INFORMATION_SCHEMA ------------------------------------------------------------------------------------

MARIADB = [
    """SELECT table_name, 'table', concat_ws(' ', engine, table_collation, create_options, table_comment), ''
        FROM information_schema.tables WHERE table_schema = database() AND table_type = 'BASE TABLE'""",
    """SELECT c.table_name, 'column', concat_ws(' ', column_name, column_type, if(is_nullable = 'NO', 'NOT NULL', NULL),
            concat('DEFAULT ', column_default), extra, generation_expression, concat('COLLATE ', collation_name),
            nullif(column_comment, '')), ordinal_position
        FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE c.table_schema = database() AND table_type = 'BASE TABLE'""",
    # Unique constraints are indexes here. A descending column has the collation D, a full-text one has none.
    """SELECT table_name, if(index_name = 'PRIMARY', 'primary key', if(non_unique, 'index', 'unique')),
            concat_ws(' ', index_type, group_concat(column_name, ifnull(concat('(', sub_part, ')'), ''), ' ',
            ifnull(collation, '') ORDER BY seq_in_index), if(ignored = 'YES', 'IGNORED', NULL)), index_name
        FROM information_schema.statistics WHERE table_schema = database()
        GROUP BY table_name, index_name, non_unique, index_type, ignored""",
    """SELECT k.table_name, 'foreign key', concat(group_concat(k.column_name ORDER BY k.ordinal_position), ' to ',
            k.referenced_table_name, ' ', group_concat(k.referenced_column_name ORDER BY k.ordinal_position),
            ' ON UPDATE ', r.update_rule, ' ON DELETE ', r.delete_rule), k.constraint_name
        FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
        ON r.constraint_schema = k.table_schema AND r.table_name = k.table_name
        AND r.constraint_name = k.constraint_name
        WHERE k.table_schema = database()
        GROUP BY k.table_name, k.constraint_name, k.referenced_table_name, r.update_rule, r.delete_rule""",
    """SELECT table_name, 'check', check_clause, constraint_name
        FROM information_schema.check_constraints WHERE constraint_schema = database()""",
    "SELECT table_name, 'view', view_definition, '' FROM information_schema.views WHERE table_schema = database()",
    """SELECT event_object_table, 'trigger', concat_ws(' ', trigger_name, action_timing, event_manipulation,
            action_order, action_statement), ''
        FROM information_schema.triggers WHERE trigger_schema = database()""",
    """SELECT '', 'routine', concat_ws(' ', routine_type, routine_name, routine_definition), ''
        FROM information_schema.routines WHERE routine_schema = database()""",
    """SELECT table_name, 'sequence', '', '' FROM information_schema.tables
        WHERE table_schema = database() AND table_type = 'SEQUENCE'""",
]

# -- SQLite: pragmas, and the text of CREATE for what no pragma tells ------------------------------------------------


def _sqlite(connection: BaseDatabaseWrapper) -> Iterator[Fact]:
    for kind, name, table, sql in _rows(connection, "SELECT type, name, tbl_name, sql FROM sqlite_master"):
        if name.startswith("sqlite_"):
            continue  # its own book-keeping, and indexes of constraints
        if kind == "table":
            yield from _sqlite_table(connection, table, sql)
        elif kind == "index":
            # UNIQUE INDEX "name" ON "table" ("column" DESC) WHERE …
            unique, _, rest = _normal(_tokens(sql)).removeprefix("create ").partition("index ")
            yield Fact(table, "index", unique + rest.partition(" on ")[2].partition(" ")[2], name)
        else:
            yield Fact(table, kind, _normal(_tokens(sql)))


def _sqlite_table(connection: BaseDatabaseWrapper, table: str, sql: str) -> Iterator[Fact]:
    tokens = _tokens(sql)
    start = tokens.index("(")
    body = _group(tokens, start)
    # STRICT and WITHOUT ROWID come last. The whole text stands in for the names of constraints.
    yield Fact(table, "table", _normal(tokens[start + len(body) + 2 :]), sql)
    said: dict[str, str] = {}  # by the text alone, about a column or the columns of a foreign key
    for part in _parts(body):
        key, said_here, checks = _sqlite_part(part)
        said[key] = said_here
        yield from (Fact(table, "check", check) for check in checks)
    yield from _sqlite_columns(connection, table, said)
    for _, name, _, origin, _ in _pragma(connection, "index_list", table):
        if origin != "c":  # of a constraint; the others are in sqlite_master
            columns = [row[2] for row in _pragma(connection, "index_info", name)]
            yield Fact(table, {"u": "unique", "pk": "primary key"}[origin], ", ".join(columns))
    keys: dict[int, list[Any]] = {}
    for row in _pragma(connection, "foreign_key_list", table):
        keys.setdefault(row[0], []).append(row)
    for rows in keys.values():
        columns, targets = ([str(row[place]) for row in rows] for place in (3, 4))
        late = " DEFERRED" if "DEFERRED" in said.get(",".join(columns).lower(), "") else ""
        actions = f"ON UPDATE {rows[0][5]} ON DELETE {rows[0][6]}"
        yield Fact(table, "foreign key", f"{', '.join(columns)} to {rows[0][2]} {', '.join(targets)} {actions}{late}")


def _sqlite_columns(connection: BaseDatabaseWrapper, table: str, said: dict[str, str]) -> Iterator[Fact]:
    for position, name, kind, not_null, default, key, hidden in _pragma(connection, "table_xinfo", table):
        words = [
            name,
            kind.lower(),
            "NOT NULL" if not_null else "",
            f"DEFAULT {default}" if default is not None else "",
            f"PRIMARY KEY {key}" if key else "",
            {2: "VIRTUAL", 3: "STORED"}.get(hidden, ""),
            said.get(name.lower(), "").replace("DEFERRED", ""),  # said with the foreign key
        ]
        yield Fact(table, "column", " ".join(filter(None, words)), str(position))


def _sqlite_part(part: list[str]) -> tuple[str, str, list[str]]:
    """Of a column or a constraint: whose columns it is about, what no pragma tells of them, and its checks."""
    top = list(_top_level(part))
    words = [word for _, word in top]
    columns = part[:1]
    if words[0] in {"constraint", "primary", "unique", "check", "foreign"}:
        columns = _group(part, part.index("(")) if "foreign" in words else []
    readers = {
        "deferred": lambda place: "DEFERRED",
        "autoincrement": lambda place: "AUTOINCREMENT",
        "collate": lambda place: f"COLLATE {_bare(part[place + 1])}",
        "as": lambda place: f"AS {_normal(_group(part, place + 1))}",
    }
    said = " ".join(readers[word](place) for place, word in top if word in readers)
    checks = [_normal(_group(part, place + 1)) for place, word in top if word == "check"]
    return ",".join(_bare(column) for column in columns if column != ","), said, checks


def _pragma(connection: BaseDatabaseWrapper, name: str, argument: str) -> list[Any]:
    return _rows(connection, f"SELECT * FROM pragma_{name}(%s)", [argument])


def _tokens(sql: str) -> list[str]:
    pattern = r"""--[^\n]* | /\*.*?\*/ | ("(?:[^"]|"")*" | '(?:[^']|'')*' | `[^`]*` | \[[^]]*] | [\w.]+ | [^\s\w])"""
    return [token for token in re.findall(pattern, sql, re.VERBOSE | re.DOTALL) if token]


def _group(tokens: list[str], start: int) -> list[str]:
    """What is between the parenthesis at `start` and the one that closes it."""
    depth = 0
    for place in range(start, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[place], 0)
        if not depth:
            return tokens[start + 1 : place]
    raise ValueError(f"unbalanced: {' '.join(tokens)}")


def _parts(tokens: list[str]) -> Iterator[list[str]]:
    """Split at the commas that are in no parenthesis."""
    depth, start = 0, 0
    for place, token in enumerate([*tokens, ","]):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == "," and not depth:
            yield tokens[start:place]
            start = place + 1


def _top_level(tokens: list[str]) -> Iterator[tuple[int, str]]:
    """The words outside parentheses, with their places."""
    depth = 0
    for place, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if not depth:
            yield place, token.lower()


def _bare(token: str) -> str:
    return token.strip('"`[]').lower()


def _normal(tokens: list[str]) -> str:
    """One spelling: a space between words, identifiers without quotes, nothing but literals in upper case."""
    return " ".join(token if token.startswith("'") else _bare(token) for token in tokens)


COUNTERS = {
    "sqlite": "SELECT name, seq FROM sqlite_sequence",
    "postgresql": """
        SELECT coalesce(t.relname, ''), s.oid::regclass::text, pg_sequence_last_value(s.oid) FROM pg_class s
        LEFT JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        LEFT JOIN pg_class t ON t.oid = d.refobjid WHERE s.relkind = 'S'""",
    "mysql": "SELECT table_name, auto_increment FROM information_schema.tables WHERE table_schema = database()",
}
