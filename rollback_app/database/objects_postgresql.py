"""What hangs on tables of PostgreSQL, by its own book of dependencies: what CASCADE takes along is what is written there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.planner import Change, Known, TableChange
from rollback_app.safety import Fate, ListedObject, Object

from .by_index import by_index, by_number
from .definitions_postgresql import Address, definitions, own
from .objects_by_text import type_changes
from .tenants import in_own_schema, own_alone

# What is dropped, and all that depends on it, as DROP … CASCADE finds it (dependency.c, findDependentObjects): backwards to what
# an object is a part of, and forwards to what needs it. Of an inheriting table the column goes too.
_GONE = f"""
WITH RECURSIVE inherited(n, relation, attribute, direct) AS (
    SELECT n, c.oid, a.attnum, true
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY s(tab, col, n)
    JOIN {by_index("pg_class", "c", "oid = to_regclass(tab)")} ON true
    LEFT JOIN {by_index("pg_attribute", "a", "attrelid = c.oid AND attname = col AND NOT attisdropped")} ON true
    WHERE col = '' OR a.attnum IS NOT NULL
    UNION
    SELECT n, i.inhrelid, b.attnum, false
    FROM inherited JOIN {by_index("pg_inherits", "i", "inhparent = relation")} ON true
    JOIN {by_index("pg_attribute", "a", "attrelid = relation AND attnum = attribute")} ON true
    JOIN {by_index("pg_attribute", "b", "attrelid = inhrelid AND attname = a.attname AND NOT attisdropped")} ON NOT b.attislocal
), reached(n, classid, objid, objsubid, held) AS (
    SELECT n, 'pg_class'::regclass::oid, relation, coalesce(attribute, 0)::int, false FROM inherited
    UNION
    SELECT n, next.classid, next.objid, next.objsubid, next.held FROM reached found CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid, CASE d.deptype WHEN 'n' THEN true WHEN 'i' THEN found.held ELSE false END
        FROM pg_depend d
        WHERE d.refclassid = found.classid AND d.refobjid = found.objid
        AND (d.refobjsubid = found.objsubid OR found.objsubid = 0) AND d.deptype IN ('n', 'a', 'i', 'P', 'S')
        UNION ALL
        SELECT d.refclassid, d.refobjid, d.refobjsubid, found.held FROM pg_depend d
        WHERE d.classid = found.classid AND d.objid = found.objid AND d.objsubid = found.objsubid AND d.deptype = 'i'
        AND d.classid IN ('pg_rewrite'::regclass, 'pg_constraint'::regclass)
        UNION ALL
        -- The value of a generated column is the column, and is not lost in silence.
        SELECT 'pg_class'::regclass, e.adrelid, e.adnum::int, true FROM pg_attrdef e
        JOIN {by_index("pg_attribute", "a", "attrelid = e.adrelid AND attnum = e.adnum AND attgenerated <> ''")} ON true
        WHERE found.classid = 'pg_attrdef'::regclass AND e.oid = found.objid
    ) next(classid, objid, objsubid, held)
), found AS (
    -- What is dropped only by CASCADE: nothing takes it along by itself.
    SELECT n, classid, objid, objsubid, bool_and(held) AS held FROM reached GROUP BY n, classid, objid, objsubid
)
"""
_NEEDS = by_index("pg_depend", "d", "refclassid = 'pg_class'::regclass AND refobjid = relation")
# What looks at a column whose type changes, or at a column with a foreign key to it, whose type changes with it. Indexes,
# constraints and statistics are made again by ALTER TYPE; anything else makes it fail (tablecmds.c, ATExecAlterColumnType).
_STOPS = f"""
WITH inherited AS (
    SELECT n, a.attrelid AS relation, a.attnum AS attribute, true AS direct
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY s(tab, col, n)
    JOIN {by_index("pg_attribute", "a", "attrelid = to_regclass(tab) AND attname = col AND NOT attisdropped")} ON true
), altered AS (
    SELECT n, relation, attribute FROM inherited
    UNION
    SELECT n, c.conrelid, c.conkey[1] FROM inherited JOIN {_NEEDS} ON d.refobjsubid = attribute
    JOIN {by_number("pg_constraint", "c", found="d")} ON true
    WHERE c.contype = 'f' AND c.confrelid = relation AND c.confkey = ARRAY[attribute]
), found AS (
    SELECT DISTINCT n, CASE WHEN e.oid IS NULL AND r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END AS classid,
        coalesce(e.adrelid, r.ev_class, d.objid) AS objid, coalesce(e.adnum, d.objsubid)::int AS objsubid, true AS held
    FROM altered JOIN {_NEEDS} ON d.refobjsubid = attribute
    LEFT JOIN {by_number("pg_attrdef", "e", found="d")} ON true
    LEFT JOIN {by_number("pg_rewrite", "r", found="d")} ON r.rulename = '_RETURN'
    WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass,
        'pg_publication_rel'::regclass)
    OR e.adnum <> attribute OR d.classid = 'pg_class'::regclass AND d.objsubid NOT IN (0, attribute)
)
"""
_KIND = """CASE WHEN i.type = 'table column' AND a.attgenerated <> '' THEN 'generated column'
        WHEN i.type = 'table column' THEN 'column'
        WHEN c.relispartition THEN 'partition' WHEN c.relkind IN ('r', 'p', 'f') THEN 'inheriting table'
        WHEN con.contype = 'f' THEN 'foreign key' WHEN con.contype = 'c' THEN 'check'
        WHEN con.contype = 'u' THEN 'unique constraint'
        WHEN con.contype = 'p' THEN 'primary key' WHEN con.contype = 'x' THEN 'exclusion constraint'
        WHEN i.type = 'statistics object' THEN 'statistics' WHEN i.type = 'publication relation' THEN 'publication'
        WHEN i.type = 'default value' THEN 'default' ELSE i.type END"""
_NAME = "CASE WHEN i.type = 'default value' THEN regexp_replace(i.identity, '^for ', '') ELSE i.identity END"
_DESCRIBED = f"""
, described AS (
    SELECT f.*, i.type, i.schema, i.identity, r.rulename, x.indexrelid, con.contype, con.conkey, t.tgisinternal,
        a.attgenerated, n.nspname, c.relkind, c.relispartition, s.seqrelid,
        coalesce(con.conname, a.attname, c.relname)::text AS own, {_KIND} AS kind, {_NAME} AS name,
        coalesce(r.ev_class, con.conrelid, t.tgrelid, p.polrelid, e.adrelid, b.prrelid, x.indrelid, y.stxrelid,
            CASE WHEN f.classid = 'pg_class'::regclass THEN f.objid END) AS relation
    FROM found f CROSS JOIN LATERAL pg_identify_object(f.classid, f.objid, f.objsubid) i
    LEFT JOIN {by_number("pg_rewrite", "r", found="f")} ON true
    LEFT JOIN {by_number("pg_constraint", "con", found="f")} ON true
    LEFT JOIN {by_number("pg_trigger", "t", found="f")} ON true
    LEFT JOIN {by_number("pg_policy", "p", found="f")} ON true
    LEFT JOIN {by_number("pg_attrdef", "e", found="f")} ON true
    LEFT JOIN {by_number("pg_publication_rel", "b", found="f")} ON true
    LEFT JOIN {by_number("pg_statistic_ext", "y", found="f")} ON true
    LEFT JOIN {by_number("pg_proc", "q", found="f")} ON true
    LEFT JOIN {by_number("pg_class", "c", found="f")} ON true
    LEFT JOIN {by_index("pg_namespace", "n", "oid = c.relnamespace")} ON true
    LEFT JOIN {by_index("pg_attribute", "a", "attrelid = c.oid AND attnum = f.objsubid AND f.objsubid > 0")} ON true
    LEFT JOIN {by_index("pg_index", "x", "indexrelid = c.oid")} ON true
    LEFT JOIN {by_index("pg_sequence", "s", "seqrelid = c.oid")} ON true
)
SELECT n, kind, name, own,
    (SELECT CASE WHEN pg_table_is_visible(oid) THEN '' ELSE relnamespace::regnamespace || '.' END || relname
        FROM pg_class WHERE oid = relation),
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = relation
        AND attnum = ANY (coalesce(conkey, (SELECT indkey::int2[] FROM pg_index WHERE pg_index.indexrelid = objid)))),
    CASE WHEN relkind IN ('r', 'p', 'f') AND objsubid = 0
        THEN CASE WHEN pg_table_is_visible(objid) THEN '' ELSE nspname || '"."' END || own END,
    held, classid::bigint, objid::bigint, objsubid
FROM described
"""
# Of what goes, that which is no part of something else that is named: types, stored values, keys' own indexes, defaults, …
_NAMED = """
WHERE classid <> 'pg_type'::regclass AND rulename IS DISTINCT FROM '_RETURN' AND NOT coalesce(tgisinternal, false)
AND schema IS DISTINCT FROM 'pg_toast' AND NOT coalesce(contype IN ('n', 't'), false)
AND NOT EXISTS (SELECT FROM inherited i WHERE classid = 'pg_class'::regclass AND i.relation = objid
    AND coalesce(i.attribute, 0) = objsubid)
AND NOT (kind = 'column' AND EXISTS (SELECT FROM inherited i WHERE i.relation = objid AND i.attribute IS NULL))
AND NOT (indexrelid IS NOT NULL AND EXISTS (SELECT FROM pg_constraint k
    WHERE k.conrelid = described.relation AND k.conindid = indexrelid AND k.contype <> 'f' OFFSET 0))
AND NOT (classid = 'pg_attrdef'::regclass AND EXISTS (SELECT FROM described o WHERE o.n = described.n
    AND o.classid = 'pg_class'::regclass AND o.objid = described.relation AND (o.objsubid = 0 OR o.objsubid = (
        SELECT adnum FROM pg_attrdef WHERE oid = described.objid))))
-- A sequence that fills its column is a part of it.
AND NOT (seqrelid IS NOT NULL AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = seqrelid
    AND (d.deptype = 'i' OR d.deptype = 'a' AND EXISTS (SELECT FROM pg_attrdef g JOIN pg_depend u ON u.objid = g.oid
        WHERE u.classid = 'pg_attrdef'::regclass AND u.refclassid = 'pg_class'::regclass AND u.refobjid = seqrelid
        AND g.adrelid = d.refobjid AND g.adnum = d.refobjsubid OFFSET 0))))
-- What belongs to a table that goes as a whole and was not asked for goes with that one.
AND NOT EXISTS (SELECT FROM described o WHERE o.n = described.n AND o.classid = 'pg_class'::regclass AND o.objsubid = 0
    AND o.objid = described.relation AND o.relkind IN ('r', 'p', 'f', 'v', 'm')
    AND NOT (described.classid = o.classid AND described.objid = o.objid AND described.objsubid = 0)
    AND NOT EXISTS (SELECT FROM inherited i WHERE i.direct AND i.relation = o.objid))
"""


# All that may hang on a table, with the columns of a constraint or an index. An object keeps its number when it is renamed.
# Of a partition only what is its own: what hangs on the table that it is a part of comes and goes with that.
_LISTING = f"""SELECT * FROM (
WITH {{near}}t AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.relkind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
        CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname || '.' END || c.relname AS own
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'{{only_near}}
)
SELECT 'class ' || oid, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END,
    name, own, own, '{{}}'::text[], name
FROM t
UNION ALL
SELECT 'rule ' || r.oid, 'rule', quote_ident(r.rulename) || ' on ' || t.name, r.rulename, own, '{{}}'::text[], t.name
FROM t JOIN {by_index("pg_rewrite", "r", "ev_class = t.oid AND rulename <> '_RETURN'")} ON true
UNION ALL
SELECT 'policy ' || p.oid, 'policy', quote_ident(p.polname) || ' on ' || t.name, p.polname, own, '{{}}'::text[], t.name
FROM t JOIN {by_index("pg_policy", "p", "polrelid = t.oid")} ON true
UNION ALL
SELECT 'trigger ' || g.oid, 'trigger', quote_ident(g.tgname) || ' on ' || t.name, g.tgname, own, '{{}}'::text[], t.name
FROM t JOIN {by_index("pg_trigger", "g", "tgrelid = t.oid AND NOT tgisinternal AND tgparentid = 0")} ON true
UNION ALL
SELECT 'statistics ' || s.oid, 'statistics',
    s.stxnamespace::regnamespace || '.' || quote_ident(s.stxname), s.stxname, own, '{{}}'::text[], t.name
FROM t JOIN {by_index("pg_statistic_ext", "s", "stxrelid = t.oid")} ON true
UNION ALL
SELECT 'publication ' || b.oid, 'publication',
    t.name || ' in publication ' || quote_ident(p.pubname), p.pubname, own, '{{}}'::text[], t.name
FROM t JOIN {by_index("pg_publication_rel", "b", "prrelid = t.oid")} ON true JOIN pg_publication p ON p.oid = b.prpubid
UNION ALL
SELECT 'constraint ' || c.oid, CASE c.contype WHEN 'u' THEN 'unique constraint' WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key'
    ELSE 'exclusion constraint' END, quote_ident(c.conname) || ' on ' || t.name, c.conname, own,
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = t.oid AND attnum = ANY (c.conkey)), t.name
FROM t JOIN {by_index("pg_constraint", "c", "conrelid = t.oid AND contype IN ('u', 'c', 'f', 'x') AND conislocal")} ON true
UNION ALL
SELECT 'class ' || c.oid, 'index',
    c.relnamespace::regnamespace || '.' || quote_ident(c.relname), c.relname, own, '{{}}'::text[], t.name
FROM t JOIN {by_index("pg_index", "i", "indrelid = t.oid")} ON true
    JOIN {by_index("pg_class", "c", "oid = indexrelid AND NOT relispartition")} ON true
WHERE NOT EXISTS (SELECT FROM pg_constraint k
    WHERE k.conrelid = t.oid AND k.conindid = i.indexrelid AND k.contype <> 'f' OFFSET 0)
) listed
"""
# The tables and views of a schema, and those anywhere that need one of these. Other schemas of thousands are not looked at.
_NEAR = f"""RECURSIVE near(id) AS (
    SELECT oid FROM pg_class WHERE true{{here}}
    UNION
    SELECT next.id FROM near CROSS JOIN LATERAL (
        SELECT CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid ELSE coalesce(r.ev_class, k.conrelid) END
        FROM pg_depend d LEFT JOIN {by_number("pg_rewrite", "r", found="d")} ON true
        LEFT JOIN {by_number("pg_constraint", "k", found="d")} ON true
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = near.id
    ) next(id) WHERE next.id IS NOT NULL
), """
# What has a name, by the tables that keep it; all of it is of a kind and a name as above.
_NAMES = f"""
SELECT {_KIND} || ' ' || {_NAME} FROM (
    SELECT 'pg_class'::regclass::oid, oid, 0 FROM pg_class
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum FROM pg_attribute WHERE attnum > 0 AND attgenerated <> ''
    UNION ALL SELECT 'pg_constraint'::regclass, oid, 0 FROM pg_constraint
    UNION ALL SELECT 'pg_trigger'::regclass, oid, 0 FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'pg_rewrite'::regclass, oid, 0 FROM pg_rewrite WHERE rulename <> '_RETURN'
    UNION ALL SELECT 'pg_policy'::regclass, oid, 0 FROM pg_policy
    UNION ALL SELECT 'pg_attrdef'::regclass, oid, 0 FROM pg_attrdef
    UNION ALL SELECT 'pg_publication_rel'::regclass, oid, 0 FROM pg_publication_rel
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, 0 FROM pg_statistic_ext
    UNION ALL SELECT 'pg_proc'::regclass, oid, 0 FROM pg_proc WHERE pronamespace::regnamespace <> 'pg_catalog'::regnamespace
) f(classid, objid, objsubid) CROSS JOIN LATERAL pg_identify_object(classid, objid, objsubid) i
LEFT JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid
LEFT JOIN pg_attribute a ON classid = 'pg_class'::regclass AND a.attrelid = objid AND a.attnum = objsubid AND objsubid > 0
LEFT JOIN pg_constraint con ON classid = 'pg_constraint'::regclass AND con.oid = objid
"""
# Only what has grants, comments or row level security: to write them down takes longer than to see that there are none.
_ADDRESSES = """
SELECT n, i.identity, 'pg_class'::regclass::bigint, c.oid::bigint, coalesce(a.attnum, 0)
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY s(tab, col, n) JOIN pg_class c ON c.oid = to_regclass(tab)
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = col AND NOT a.attisdropped
CROSS JOIN LATERAL pg_identify_object('pg_class'::regclass, c.oid, coalesce(a.attnum, 0)) i
WHERE CASE WHEN col = ''
    THEN c.relacl IS NOT NULL OR c.relrowsecurity OR c.relforcerowsecurity
        OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL)
    ELSE a.attacl IS NOT NULL END
OR EXISTS (SELECT FROM pg_description WHERE objoid = c.oid AND classoid = 'pg_class'::regclass
    AND (col = '' OR objsubid = a.attnum))
ORDER BY n
"""
_NAMED_BY_MODELS = ("index", "check", "unique constraint", "exclusion constraint", "foreign key", "primary key")


class _Row(NamedTuple):
    """As the queries give it. own: the name without its schema. columns: those that a constraint or an index is about. held:
    does it keep a column from being dropped without CASCADE, as Django 6 drops it?"""

    number: int
    kind: str
    name: str
    own: str | None
    table: str | None
    columns: list[str]
    relation: str | None
    held: bool
    address: Address


def objects(
    connection: BaseDatabaseWrapper, changes: Sequence[TableChange], known: Known, limit: int
) -> list[tuple[TableChange, Object]]:
    """See `safety.Inspector`. limit: of the rows of an inheriting table that are counted."""
    drops = [each for each in changes if each.change in (Change.DROPS_TABLE, Change.DROPS_COLUMN)]
    types = [each for each in changes if each.change is Change.CHANGES_TYPE and type_changes(connection, each)]
    gone = [each for each in _rows(connection, drops, _GONE + _DESCRIBED + _NAMED) if not _is_known(*each, known)]
    cascades = "CASCADE" in connection.SchemaEditorClass.sql_delete_column
    found = [
        (change, row, Fate.STOPS if change.column and row.held and not cascades else Fate.GOES) for change, row in gone
    ]
    found += [(change, row, Fate.STOPS) for change, row in _rows(connection, types, _STOPS + _DESCRIBED)]
    made = definitions(connection, [row.address for _, row, _ in found])
    return list(_own(connection, drops, known)) + [
        (change, _object(connection, row, fate, sql, limit))
        for (change, row, fate), sql in zip(found, made, strict=True)
    ]


def _own(
    connection: BaseDatabaseWrapper, drops: Sequence[TableChange], known: Known
) -> Iterator[tuple[TableChange, Object]]:
    """What was granted and said of the tables and columns themselves."""
    there = list(_addresses(connection, drops))
    for (change, name, _), kinds in zip(there, own(connection, [address for _, _, address in there]), strict=True):
        for kind, sql in kinds.items():
            if not (kind == "comment" and change.table.replace('"', "") in known.commented):
                yield change, Object(kind, f"on {name}", Fate.GOES, sql)


def _addresses(
    connection: BaseDatabaseWrapper, drops: Sequence[TableChange]
) -> Iterator[tuple[TableChange, str, Address]]:
    with connection.cursor() as cursor:
        tables = [in_own_schema(connection, each.table) for each in drops]
        cursor.execute(_ADDRESSES, [tables, [each.column for each in drops]])
        for number, name, *address in cursor.fetchall():
            yield drops[number - 1], name, Address(*address)


def _object(connection: BaseDatabaseWrapper, row: _Row, fate: Fate, sql: str, limit: int) -> Object:
    if row.relation is None:
        return Object(row.kind, row.name, fate, sql)
    table = row.relation if sql and row.kind == "inheriting table" else ""
    return Object(row.kind, row.name, fate, sql, _count(connection, row.relation, limit), table=table)


def _rows(
    connection: BaseDatabaseWrapper, changes: Sequence[TableChange], query: str
) -> Iterator[tuple[TableChange, _Row]]:
    if changes:
        tables = [in_own_schema(connection, each.table) for each in changes]
        with connection.cursor() as cursor:
            cursor.execute(f"{query} ORDER BY 1, 2, 3", [tables, [each.column for each in changes]])
            for *facts, class_id, object_id, column in cursor.fetchall():
                row = _Row._make([*facts, Address(class_id, object_id, column)])
                yield changes[row.number - 1], row


def _is_known(change: TableChange, row: _Row, known: Known) -> bool:
    """Is it the migrations' own?"""
    if row.kind == "generated column":
        return known.has_column(row.table or "", row.own or "")
    return (
        row.own is not None and row.kind in _NAMED_BY_MODELS and known.has_name(row.own, row.table or "", row.columns)
    )


def _count(connection: BaseDatabaseWrapper, relation: str, limit: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT FROM {connection.ops.quote_name(relation)} LIMIT {limit}) looked_at"
        )
        return int(cursor.fetchone()[0])


def names(connection: BaseDatabaseWrapper) -> set[str]:
    """See `Database.object_names`."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMES)
        return {name for (name,) in cursor.fetchall()}


def listing(connection: BaseDatabaseWrapper, known: Known) -> list[ListedObject]:
    """See `Database.listing`."""
    here = own_alone(connection, "oid")
    near, only_near = (_NEAR.format(here=here), " AND c.oid = ANY (ARRAY(SELECT id FROM near))") if here else ("", "")
    with connection.cursor() as cursor:
        cursor.execute(_LISTING.replace("{near}", near).replace("{only_near}", only_near))
        return [
            ListedObject(id, kind, name, on)
            for id, kind, name, own, table, columns, on in cursor.fetchall()
            if not (kind in _NAMED_BY_MODELS and known.has_name(own, table, columns))
            and not (kind == "table" and table in known.tables)
        ]
