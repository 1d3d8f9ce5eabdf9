"""What hangs on tables of PostgreSQL, by its own book of dependencies: what CASCADE takes along is what is written there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.planner import Change, Known, TableChange
from rollback_app.safety import Fate, ListedObject, Object

from .objects_by_text import type_changes

# What is dropped, and all that depends on it, as DROP … CASCADE finds it (dependency.c, findDependentObjects): backwards to what
# an object is a part of, and forwards to what needs it. Of an inheriting table the column goes too.
_GONE = """
WITH RECURSIVE inherited(n, relation, attribute, direct) AS (
    SELECT n, c.oid, a.attnum, true
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY s(tab, col, n)
    JOIN pg_class c ON c.oid = to_regclass(tab)
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = col AND NOT a.attisdropped
    WHERE col = '' OR a.attnum IS NOT NULL
    UNION
    SELECT n, i.inhrelid, b.attnum, false
    FROM inherited JOIN pg_inherits i ON i.inhparent = relation
    JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = attribute
    JOIN pg_attribute b ON b.attrelid = i.inhrelid AND b.attname = a.attname AND NOT b.attisdropped AND NOT b.attislocal
), found(n, classid, objid, objsubid) AS (
    SELECT n, 'pg_class'::regclass::oid, relation, coalesce(attribute, 0)::int FROM inherited
    UNION
    SELECT n, next.classid, next.objid, next.objsubid FROM found CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
        WHERE d.refclassid = found.classid AND d.refobjid = found.objid
        AND (d.refobjsubid = found.objsubid OR found.objsubid = 0) AND d.deptype IN ('n', 'a', 'i', 'P', 'S')
        UNION ALL
        SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d
        WHERE d.classid = found.classid AND d.objid = found.objid AND d.objsubid = found.objsubid AND d.deptype = 'i'
        AND d.classid IN ('pg_rewrite'::regclass, 'pg_constraint'::regclass)
        UNION ALL
        -- The value of a generated column is the column.
        SELECT 'pg_class'::regclass, e.adrelid, e.adnum::int FROM pg_attrdef e
        JOIN pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum AND a.attgenerated <> ''
        WHERE found.classid = 'pg_attrdef'::regclass AND e.oid = found.objid
    ) next
)
"""
# What looks at a column whose type changes, or at a column with a foreign key to it, whose type changes with it. Indexes,
# constraints and statistics are made again by ALTER TYPE; anything else makes it fail (tablecmds.c, ATExecAlterColumnType).
_STOPS = """
WITH inherited AS (
    SELECT n, a.attrelid AS relation, a.attnum AS attribute, true AS direct
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY s(tab, col, n)
    JOIN pg_attribute a ON a.attrelid = to_regclass(tab) AND a.attname = col AND NOT a.attisdropped
), altered AS (
    SELECT n, relation, attribute FROM inherited
    UNION
    SELECT n, c.conrelid, c.conkey[1] FROM inherited
    JOIN pg_constraint c ON c.contype = 'f' AND c.confrelid = relation AND c.confkey = ARRAY[attribute]
), found AS (
    SELECT DISTINCT n, CASE WHEN e.oid IS NULL AND r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END AS classid,
        coalesce(e.adrelid, r.ev_class, d.objid) AS objid, coalesce(e.adnum, d.objsubid)::int AS objsubid
    FROM altered JOIN pg_depend d
    ON d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND d.refobjsubid = attribute
    LEFT JOIN pg_attrdef e ON d.classid = 'pg_attrdef'::regclass AND e.oid = d.objid
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'
    WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass,
        'pg_publication_rel'::regclass)
    OR e.adnum <> attribute OR d.classid = 'pg_class'::regclass AND d.objsubid NOT IN (0, attribute)
)
"""
_DESCRIBED = """
, described AS (
    SELECT f.*, i.type, i.schema, i.identity, r.rulename, x.indexrelid, con.contype, con.conkey, t.tgisinternal,
        a.attgenerated, c.relkind, c.relispartition, s.seqrelid,
        coalesce(con.conname, c.relname)::text AS own,
        coalesce(r.ev_class, con.conrelid, t.tgrelid, p.polrelid, e.adrelid, b.prrelid, x.indrelid, y.stxrelid,
            CASE WHEN f.classid = 'pg_class'::regclass THEN f.objid END) AS relation,
        CASE WHEN con.oid IS NOT NULL THEN pg_get_constraintdef(con.oid)
            WHEN r.rulename <> '_RETURN' THEN pg_get_ruledef(r.oid)
            WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid)
            WHEN x.indexrelid IS NOT NULL THEN pg_get_indexdef(x.indexrelid)
            WHEN t.oid IS NOT NULL THEN pg_get_triggerdef(t.oid)
            WHEN y.oid IS NOT NULL THEN pg_get_statisticsobjdef(y.oid)
            WHEN p.oid IS NOT NULL THEN concat_ws(' ', 'FOR', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
                WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
            WHEN a.attgenerated <> '' THEN 'GENERATED ALWAYS AS ('
                || (SELECT pg_get_expr(g.adbin, g.adrelid) FROM pg_attrdef g WHERE g.adrelid = f.objid AND g.adnum = f.objsubid)
                || ') STORED'
            WHEN q.oid IS NOT NULL AND q.prokind IN ('f', 'p') THEN pg_get_functiondef(q.oid)
        END AS definition
    FROM found f CROSS JOIN LATERAL pg_identify_object(f.classid, f.objid, f.objsubid) i
    LEFT JOIN pg_rewrite r ON f.classid = 'pg_rewrite'::regclass AND r.oid = f.objid
    LEFT JOIN pg_constraint con ON f.classid = 'pg_constraint'::regclass AND con.oid = f.objid
    LEFT JOIN pg_trigger t ON f.classid = 'pg_trigger'::regclass AND t.oid = f.objid
    LEFT JOIN pg_policy p ON f.classid = 'pg_policy'::regclass AND p.oid = f.objid
    LEFT JOIN pg_attrdef e ON f.classid = 'pg_attrdef'::regclass AND e.oid = f.objid
    LEFT JOIN pg_publication_rel b ON f.classid = 'pg_publication_rel'::regclass AND b.oid = f.objid
    LEFT JOIN pg_statistic_ext y ON f.classid = 'pg_statistic_ext'::regclass AND y.oid = f.objid
    LEFT JOIN pg_proc q ON f.classid = 'pg_proc'::regclass AND q.oid = f.objid
    LEFT JOIN pg_class c ON f.classid = 'pg_class'::regclass AND c.oid = f.objid
    LEFT JOIN pg_attribute a ON f.classid = 'pg_class'::regclass AND a.attrelid = f.objid AND a.attnum = f.objsubid
        AND f.objsubid > 0
    LEFT JOIN pg_index x ON f.classid = 'pg_class'::regclass AND x.indexrelid = f.objid
    LEFT JOIN pg_sequence s ON f.classid = 'pg_class'::regclass AND s.seqrelid = f.objid
)
SELECT n, CASE WHEN type = 'table column' AND attgenerated <> '' THEN 'generated column' WHEN type = 'table column' THEN 'column'
        WHEN relispartition THEN 'partition' WHEN relkind IN ('r', 'p', 'f') THEN 'inheriting table'
        WHEN contype = 'f' THEN 'foreign key' WHEN contype = 'c' THEN 'check' WHEN contype = 'u' THEN 'unique constraint'
        WHEN contype = 'p' THEN 'primary key' WHEN contype = 'x' THEN 'exclusion constraint'
        WHEN type = 'statistics object' THEN 'statistics' WHEN type = 'publication relation' THEN 'publication'
        WHEN type = 'default value' THEN 'default' ELSE type END,
    CASE WHEN type = 'default value' THEN regexp_replace(identity, '^for ', '')
        ELSE identity END,
    own, (SELECT CASE WHEN pg_table_is_visible(oid) THEN '' ELSE relnamespace::regnamespace || '.' END || relname FROM pg_class
        WHERE oid = relation),
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = relation
        AND attnum = ANY (coalesce(conkey, (SELECT indkey::int2[] FROM pg_index WHERE pg_index.indexrelid = objid)))),
    coalesce(definition, ''), CASE WHEN relkind IN ('r', 'p', 'f') AND objsubid = 0 THEN objid::regclass::text END
FROM described
"""
# Of what goes, that which is no part of something else that is named: types, stored values, keys' own indexes, defaults, …
_NAMED = """
WHERE classid <> 'pg_type'::regclass AND rulename IS DISTINCT FROM '_RETURN' AND NOT coalesce(tgisinternal, false)
AND schema IS DISTINCT FROM 'pg_toast' AND NOT coalesce(contype IN ('n', 't'), false)
AND NOT EXISTS (SELECT FROM inherited i WHERE classid = 'pg_class'::regclass AND i.relation = objid
    AND coalesce(i.attribute, 0) = objsubid)
AND NOT (indexrelid IS NOT NULL AND EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = indexrelid AND k.contype <> 'f'))
AND NOT (classid = 'pg_attrdef'::regclass AND EXISTS (SELECT FROM described o WHERE o.n = described.n
    AND o.classid = 'pg_class'::regclass AND o.objid = described.relation AND (o.objsubid = 0 OR o.objsubid = (
        SELECT adnum FROM pg_attrdef WHERE oid = described.objid))))
-- A sequence that fills its column is a part of it.
AND NOT (seqrelid IS NOT NULL AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = seqrelid
    AND (d.deptype = 'i' OR d.deptype = 'a' AND EXISTS (SELECT FROM pg_depend u JOIN pg_attrdef g ON g.oid = u.objid
        WHERE u.classid = 'pg_attrdef'::regclass AND u.refobjid = seqrelid AND g.adrelid = d.refobjid
        AND g.adnum = d.refobjsubid))))
-- What belongs to a table that goes as a whole and was not asked for goes with that one.
AND NOT EXISTS (SELECT FROM described o WHERE o.n = described.n AND o.classid = 'pg_class'::regclass AND o.objsubid = 0
    AND o.objid = described.relation AND o.relkind IN ('r', 'p', 'f', 'v', 'm')
    AND NOT (described.classid = o.classid AND described.objid = o.objid AND described.objsubid = 0)
    AND NOT EXISTS (SELECT FROM inherited i WHERE i.direct AND i.relation = o.objid))
"""


# All that may hang on a table, with the columns of a constraint or an index. An object keeps its number when it is renamed.
_LISTING = """SELECT * FROM (
WITH t AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.relkind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
        CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname || '.' END || c.relname AS own
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT 'class ' || oid, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END,
    name, own, own, '{}'::text[], name
FROM t
UNION ALL
SELECT 'rule ' || r.oid, 'rule', quote_ident(r.rulename) || ' on ' || t.name, r.rulename, own, '{}'::text[], t.name
FROM t JOIN pg_rewrite r ON r.ev_class = t.oid AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'policy ' || p.oid, 'policy', quote_ident(p.polname) || ' on ' || t.name, p.polname, own, '{}'::text[], t.name
FROM t JOIN pg_policy p ON p.polrelid = t.oid
UNION ALL
SELECT 'trigger ' || g.oid, 'trigger', quote_ident(g.tgname) || ' on ' || t.name, g.tgname, own, '{}'::text[], t.name
FROM t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
UNION ALL
SELECT 'statistics ' || s.oid, 'statistics',
    s.stxnamespace::regnamespace || '.' || quote_ident(s.stxname), s.stxname, own, '{}'::text[], t.name
FROM t JOIN pg_statistic_ext s ON s.stxrelid = t.oid
UNION ALL
SELECT 'publication ' || b.oid, 'publication',
    t.name || ' in publication ' || quote_ident(p.pubname), p.pubname, own, '{}'::text[], t.name
FROM t JOIN pg_publication_rel b ON b.prrelid = t.oid JOIN pg_publication p ON p.oid = b.prpubid
UNION ALL
SELECT 'constraint ' || c.oid, CASE c.contype WHEN 'u' THEN 'unique constraint' WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key'
    ELSE 'exclusion constraint' END, quote_ident(c.conname) || ' on ' || t.name, c.conname, own,
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = t.oid AND attnum = ANY (c.conkey)), t.name
FROM t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('u', 'c', 'f', 'x')
UNION ALL
SELECT 'class ' || c.oid, 'index',
    c.relnamespace::regnamespace || '.' || quote_ident(c.relname), c.relname, own, '{}'::text[], t.name
FROM t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype <> 'f')
) listed
"""
# What keeps a column from being dropped otherwise. The rest goes by itself.
_NEED_CASCADE = (
    *(
        "view",
        "materialized view",
        "rule",
        "policy",
        "trigger",
        "function",
        "generated column",
        "default",
        "foreign key",
    ),
)
_NAMED_BY_MODELS = ("index", "check", "unique constraint", "exclusion constraint", "foreign key", "primary key")


class _Row(NamedTuple):
    """As the queries give it. own: the name without its schema. columns: those that a constraint or an index is about."""

    number: int
    kind: str
    name: str
    own: str | None
    table: str | None
    columns: list[str]
    definition: str
    relation: str | None


def objects(
    connection: BaseDatabaseWrapper, changes: Sequence[TableChange], known: Known, limit: int
) -> list[tuple[TableChange, Object]]:
    """See `safety.Inspector`. limit: of the rows of an inheriting table that are counted."""
    drops = [each for each in changes if each.change in (Change.DROPS_TABLE, Change.DROPS_COLUMN)]
    types = [each for each in changes if each.change is Change.CHANGES_TYPE and type_changes(connection, each)]
    # Since 6.0, Django drops a column without CASCADE.
    cascades = "CASCADE" in connection.SchemaEditorClass.sql_delete_column
    found = []
    for change, row in _rows(connection, drops, _GONE + _DESCRIBED + _NAMED):
        if not _is_known(row, known, change):
            rows = _count(connection, row.relation, limit) if row.relation else None
            goes = cascades or change.change is Change.DROPS_TABLE or row.kind not in _NEED_CASCADE
            fate = Fate.GOES if goes else Fate.STOPS
            found.append((change, Object(row.kind, row.name, fate, row.definition, rows)))
    for change, row in _rows(connection, types, _STOPS + _DESCRIBED):
        found.append((change, Object(row.kind, row.name, Fate.STOPS, row.definition)))
    return found


def _rows(
    connection: BaseDatabaseWrapper, changes: Sequence[TableChange], query: str
) -> Iterator[tuple[TableChange, _Row]]:
    if changes:
        tables = [connection.ops.quote_name(each.table) for each in changes]
        with connection.cursor() as cursor:
            cursor.execute(f"{query} ORDER BY 1, 2, 3", [tables, [each.column for each in changes]])
            for row in map(_Row._make, cursor.fetchall()):
                yield changes[row.number - 1], row


def _is_known(row: _Row, known: Known, change: TableChange) -> bool:
    """Is it the migrations' own?"""
    return (
        row.own is not None and row.kind in _NAMED_BY_MODELS and known.has_name(row.own, row.table or "", row.columns)
    )


def _count(connection: BaseDatabaseWrapper, relation: str, limit: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM (SELECT FROM {relation} LIMIT {limit}) looked_at")
        return int(cursor.fetchone()[0])


def listing(connection: BaseDatabaseWrapper, known: Known) -> list[ListedObject]:
    """See `Database.listing`."""
    with connection.cursor() as cursor:
        cursor.execute(_LISTING)
        return [
            ListedObject(id, kind, name, on)
            for id, kind, name, own, table, columns, on in cursor.fetchall()
            if not (kind in _NAMED_BY_MODELS and known.has_name(own, table, columns))
            and not (kind == "table" and table in known.tables)
        ]
