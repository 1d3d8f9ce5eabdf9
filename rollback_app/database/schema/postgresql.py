"""The tables of PostgreSQL, from its catalog."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.compatibility import Column, Constraint, Fills, ForeignKey, Relation, Rule, of_words
from rollback_app.database.by_index import by_index
from rollback_app.database.tenants import own_alone

from .rows import Rows, Tables, fetch, grouped

_T = "SELECT oid FROM pg_class WHERE relname = ANY (%s) AND relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(oid)"
_RELATIONS = f"""
SELECT relname::text, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
    ELSE 'table' END, pg_relation_is_updatable(oid, true)
FROM pg_class WHERE oid = ANY (ARRAY({_T}))
"""
_COLUMNS = f"""
SELECT c.relname::text, a.attname::text,
    CASE WHEN y.typtype = 'd' THEN format_type(y.typbasetype, y.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END,
    NOT (a.attnotnull OR y.typnotnull),
    CASE WHEN a.attgenerated <> '' THEN 'generated' WHEN a.attidentity = 'a' THEN 'always' WHEN a.attidentity = 'd' THEN 'number'
        WHEN e.words LIKE 'nextval(%%' THEN 'number' WHEN coalesce(e.words, y.typdefault, 'NULL') NOT LIKE 'NULL%%' THEN 'default'
        ELSE 'nothing' END
FROM pg_class c JOIN {by_index("pg_attribute", "a", "attrelid = c.oid AND attnum > 0 AND NOT attisdropped")} ON true
JOIN {by_index("pg_type", "y", "oid = a.atttypid")} ON true
LEFT JOIN {by_index("pg_attrdef", "d", "adrelid = c.oid AND adnum = a.attnum")} ON true
LEFT JOIN LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) AS words) e ON true
WHERE c.oid = ANY (ARRAY({_T}))
"""
_NAMES = "ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = {} AND attnum = ANY ({}) ORDER BY attnum)"
_CONSTRAINTS = f"""
SELECT conrelid, conname::text, CASE contype WHEN 'c' THEN 'check' ELSE 'exclusion' END,
    {_NAMES.format("conrelid", "conkey")}, true, true
FROM pg_constraint WHERE contype IN ('c', 'x') AND conrelid = ANY (ARRAY({_T}))
UNION ALL
SELECT i.indrelid, x.relname::text, 'unique',
    CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL
        THEN {_NAMES.format("i.indrelid", "(i.indkey::int2[])[0:i.indnkeyatts - 1]")}
        ELSE ARRAY(SELECT attname::text FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid
            AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0) END,
    i.indexprs IS NULL AND i.indpred IS NULL, NOT coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
FROM pg_index i JOIN {by_index("pg_class", "x", "oid = i.indexrelid")} ON true
WHERE i.indisunique AND i.indisready AND i.indrelid = ANY (ARRAY({_T}))
"""
_NAMED = """
SELECT CASE WHEN pg_table_is_visible(oid) THEN '' ELSE relnamespace::regnamespace || '.' END || relname AS name
FROM pg_class WHERE oid = {}
"""
_FOREIGN_KEYS = f"""
WITH t AS MATERIALIZED ({_T})
SELECT a.name, {_NAMES.format("conrelid", "conkey")}, b.name,
    CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE '' END
FROM pg_constraint
CROSS JOIN LATERAL ({_NAMED.format("conrelid")}) a CROSS JOIN LATERAL ({_NAMED.format("confrelid")}) b
WHERE contype = 'f' AND conparentid = 0 AND oid = ANY (ARRAY(
    SELECT c.oid FROM t JOIN {by_index("pg_constraint", "c", "conrelid = t.oid")} ON true
    -- Those that point to it, of which there is no index.
    UNION SELECT d.objid FROM t JOIN {by_index("pg_depend", "d", "refclassid = 'pg_class'::regclass AND refobjid = t.oid")}
    ON d.classid = 'pg_constraint'::regclass))
"""
_TRIGGERS = f"""
SELECT c.relname::text, t.tgname::text, e.event
FROM pg_trigger t JOIN {by_index("pg_class", "c", "oid = t.tgrelid")} ON true
JOIN (VALUES ('INSERT', 4), ('DELETE', 8), ('UPDATE', 16)) e(event, bit) ON t.tgtype::int & e.bit <> 0
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid = ANY (ARRAY({_T}))
"""
_TAKES = {"UPDATE": 4, "INSERT": 8, "DELETE": 16}  # of pg_relation_is_updatable


def read(connection: BaseDatabaseWrapper, tables: Tables) -> Rows:
    table = by_index("pg_class", "c", "oid = f.relation")
    names, named = (
        list(tables),
        f"SELECT c.relname::text, f.* FROM ({_CONSTRAINTS}) f(relation) JOIN {table} ON true",
    )

    def ask(query: str, times: int = 1) -> list[tuple[Any, ...]]:
        return fetch(connection, query.replace(_T, _T + own_alone(connection, "oid")), [names] * times)

    return Rows(
        relations=[
            Relation(name, kind, frozenset(each for each, bit in _TAKES.items() if takes & bit))
            for name, kind, takes in ask(_RELATIONS)
        ],
        columns=[
            (table, Column(name, of_words(words), null, Fills(fills)))
            for table, name, words, null, fills in ask(_COLUMNS)
        ],
        constraints=[
            (table, Constraint(Rule(rule), name, frozenset(columns), plain, distinct), "")
            for table, _, name, rule, columns, plain, distinct in ask(named, 2)
        ],
        triggers=grouped([(table, name, event) for table, name, event in ask(_TRIGGERS)]),
        foreign_keys=[
            ForeignKey(table, tuple(columns), target, on_delete)
            for table, columns, target, on_delete in ask(_FOREIGN_KEYS)
        ],
    )
