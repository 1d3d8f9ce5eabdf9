"""The SQL that makes an object of PostgreSQL again: all of it, with what was granted and said of it. All names are in full, since
who runs it may look in other schemas."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .tenants import in_own_schema

# What was asked for, and what belongs to a view or a table that is made again as a whole. What others need comes first.
_PARTS = """
WITH asked AS (
    SELECT n, classid, objid, objsubid
    FROM unnest(%s::oid[], %s::oid[], %s::int[]) WITH ORDINALITY a(classid, objid, objsubid, n)
), whole AS (
    SELECT n, objid FROM asked JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid AND objsubid = 0
    WHERE c.relkind IN ('v', 'm', 'r', 'p', 'f')
), part(n, rank, classid, objid, objsubid) AS (
    SELECT n, 0, classid, objid, objsubid FROM asked
    UNION ALL
    SELECT n, 1, 'pg_class'::regclass, a.attrelid, a.attnum FROM whole JOIN pg_attribute a ON a.attrelid = objid
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT n, 2, 'pg_attrdef'::regclass, d.oid, 0 FROM whole JOIN pg_attrdef d ON d.adrelid = objid
    JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE a.attgenerated = ''
    UNION ALL
    SELECT n, 3, 'pg_constraint'::regclass, k.oid, 0 FROM whole JOIN pg_constraint k ON k.conrelid = objid
    WHERE k.conislocal AND k.contype IN ('c', 'p', 'u', 'x', 'f')
    UNION ALL
    SELECT n, 4, 'pg_class'::regclass, i.indexrelid, 0 FROM whole JOIN pg_index i ON i.indrelid = objid
    WHERE NOT EXISTS (SELECT FROM pg_constraint k
        WHERE k.conrelid = objid AND k.conindid = i.indexrelid AND k.contype <> 'f')
    UNION ALL
    SELECT n, 5, 'pg_rewrite'::regclass, r.oid, 0 FROM whole JOIN pg_rewrite r ON r.ev_class = objid
    WHERE r.rulename <> '_RETURN'
    UNION ALL
    SELECT n, 6, 'pg_trigger'::regclass, t.oid, 0 FROM whole JOIN pg_trigger t ON t.tgrelid = objid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT n, 7, 'pg_statistic_ext'::regclass, s.oid, 0 FROM whole JOIN pg_statistic_ext s ON s.stxrelid = objid
    UNION ALL
    SELECT n, 8, 'pg_policy'::regclass, p.oid, 0 FROM whole JOIN pg_policy p ON p.polrelid = objid
)
"""
_SEEN = """
, seen AS (
    SELECT part.*, i.type, i.identity, c.relkind, c.reloptions, c.relispopulated, c.relispartition,
        pg_get_expr(c.relpartbound, c.oid) AS bound,
        (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid) AS parents,
        c.oid AS relation, a.attname, a.attgenerated, a.attnotnull, a.attacl, c.relacl, q.proacl, q.prokind,
        s.seqrelid, x.indexrelid, con.oid AS con, con.conname, con.conrelid, t.oid AS trigger, t.tgname, t.tgrelid, t.tgenabled,
        r.oid AS rule, r.rulename, r.ev_class, r.ev_enabled, p.oid AS policy, y.oid AS statistics, q.oid AS function,
        d.adrelid, d.adnum, d.adbin, b.prpubid, b.prrelid, b.oid AS published,
        CASE WHEN c.relkind = 'v' THEN 'VIEW' WHEN c.relkind = 'm' THEN 'MATERIALIZED VIEW'
            WHEN s.seqrelid IS NOT NULL THEN 'SEQUENCE' WHEN c.relkind IN ('r', 'p', 'f') THEN 'TABLE'
            WHEN y.oid IS NOT NULL THEN 'STATISTICS'
            WHEN q.prokind = 'p' THEN 'PROCEDURE' WHEN q.oid IS NOT NULL THEN 'FUNCTION' END AS owned,
        pg_get_userbyid(coalesce(c.relowner, y.stxowner, q.proowner)) AS owner,
        CASE WHEN part.objsubid > 0 THEN col_description(part.objid, part.objsubid)
            ELSE obj_description(part.objid, part.classid::regclass::name) END AS said,
        CASE i.type WHEN 'table column' THEN 'COLUMN' WHEN 'view column' THEN 'COLUMN'
            WHEN 'materialized view column' THEN 'COLUMN' WHEN 'table constraint' THEN 'CONSTRAINT'
            WHEN 'statistics object' THEN 'STATISTICS' ELSE upper(i.type) END AS called
    FROM part CROSS JOIN LATERAL pg_identify_object(classid, objid, objsubid) i
    LEFT JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid
    LEFT JOIN pg_attribute a ON classid = 'pg_class'::regclass AND a.attrelid = objid AND a.attnum = objsubid AND objsubid > 0
    LEFT JOIN pg_sequence s ON classid = 'pg_class'::regclass AND s.seqrelid = objid
    LEFT JOIN pg_index x ON classid = 'pg_class'::regclass AND x.indexrelid = objid
    LEFT JOIN pg_constraint con ON classid = 'pg_constraint'::regclass AND con.oid = objid
    LEFT JOIN pg_trigger t ON classid = 'pg_trigger'::regclass AND t.oid = objid
    LEFT JOIN pg_rewrite r ON classid = 'pg_rewrite'::regclass AND r.oid = objid
    LEFT JOIN pg_policy p ON classid = 'pg_policy'::regclass AND p.oid = objid
    LEFT JOIN pg_statistic_ext y ON classid = 'pg_statistic_ext'::regclass AND y.oid = objid
    LEFT JOIN pg_proc q ON classid = 'pg_proc'::regclass AND q.oid = objid
    LEFT JOIN pg_attrdef d ON classid = 'pg_attrdef'::regclass AND d.oid = objid
    LEFT JOIN pg_publication_rel b ON classid = 'pg_publication_rel'::regclass AND b.oid = objid
)
, columns AS (
    SELECT a.attrelid, a.attnum, format('%%I ', attname) || format_type(atttypid, atttypmod)
        || CASE WHEN attcollation NOT IN (0, typcollation)
            THEN ' COLLATE ' || (pg_identify_object('pg_collation'::regclass, attcollation, 0)).identity ELSE '' END
        || coalesce((SELECT format(CASE attgenerated WHEN 's' THEN ' GENERATED ALWAYS AS (%%s) STORED'
            WHEN 'v' THEN ' GENERATED ALWAYS AS (%%s) VIRTUAL' ELSE ' DEFAULT %%s' END, pg_get_expr(e.adbin, e.adrelid))
            FROM pg_attrdef e WHERE e.adrelid = attrelid AND e.adnum = attnum), '')
        || CASE attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY'
            WHEN 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY' ELSE '' END
        || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END AS made
    FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
    WHERE attislocal AND attnum > 0 AND NOT attisdropped AND attrelid IN (SELECT objid FROM part)
), enabled(letter, words) AS (VALUES ('D', 'DISABLE'), ('R', 'ENABLE REPLICA'), ('A', 'ENABLE ALWAYS'))
"""
# Each statement, and its place among those of its part.
_STATEMENTS = """
SELECT n, rank, objid, objsubid, 1, CASE
    WHEN objsubid > 0 AND attgenerated <> '' AND rank = 0 THEN format('ALTER TABLE %%s ADD COLUMN %%s', relation::regclass,
        (SELECT made FROM columns WHERE attrelid = objid AND attnum = objsubid))
    WHEN objsubid > 0 THEN NULL
    WHEN relkind IN ('v', 'm') THEN format('CREATE %%s %%s', owned, objid::regclass)
        || coalesce(' WITH (' || array_to_string(reloptions, ', ') || ')', '')
        || format(E' AS\n%%s', rtrim(pg_get_viewdef(objid), ';')) || CASE WHEN relispopulated THEN '' ELSE E'\n  WITH NO DATA' END
    WHEN relkind = 'r' AND relispartition THEN format('CREATE TABLE %%s PARTITION OF %%s %%s', objid::regclass, parents, bound)
    WHEN relkind IN ('r', 'p') AND NOT relispartition THEN format('CREATE TABLE %%s (%%s)', objid::regclass,
        (SELECT string_agg(made, ', ' ORDER BY attnum) FROM columns WHERE attrelid = objid))
        || coalesce(' INHERITS (' || parents || ')', '')
        || coalesce(' PARTITION BY ' || pg_get_partkeydef(objid), '')
    WHEN indexrelid IS NOT NULL THEN pg_get_indexdef(objid)
    WHEN seqrelid IS NOT NULL THEN (SELECT format('CREATE SEQUENCE %%s AS %%s INCREMENT %%s MINVALUE %%s MAXVALUE %%s',
            objid::regclass, format_type(seqtypid, NULL), seqincrement, seqmin, seqmax)
        || format(' START %%s CACHE %%s', seqstart, seqcache)
        || CASE WHEN seqcycle THEN ' CYCLE' ELSE '' END FROM pg_sequence s WHERE s.seqrelid = objid)
    WHEN con IS NOT NULL THEN format('ALTER TABLE %%s ADD CONSTRAINT %%I ', conrelid::regclass, conname)
        || pg_get_constraintdef(con)
    WHEN trigger IS NOT NULL THEN pg_get_triggerdef(trigger)
    WHEN rule IS NOT NULL THEN rtrim(pg_get_ruledef(rule), ';')
    WHEN policy IS NOT NULL THEN (SELECT format('CREATE POLICY %%I ON %%s AS ', polname, polrelid::regclass)
        || CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END || ' FOR '
        || CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END
        || ' TO ' || (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ')
            FROM unnest(polroles) role)
        || coalesce(' USING (' || pg_get_expr(polqual, polrelid) || ')', '')
        || coalesce(' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')', '') FROM pg_policy p WHERE p.oid = policy)
    WHEN statistics IS NOT NULL THEN pg_get_statisticsobjdef(statistics)
    WHEN function IS NOT NULL AND prokind <> 'a' THEN rtrim(pg_get_functiondef(function), E'\n')
    WHEN adrelid IS NOT NULL THEN (SELECT format('ALTER TABLE %%s ALTER COLUMN %%I SET DEFAULT %%s', adrelid::regclass, a.attname,
        pg_get_expr(adbin, adrelid)) FROM pg_attribute a WHERE a.attrelid = adrelid AND a.attnum = adnum)
    WHEN published IS NOT NULL THEN (SELECT format('ALTER PUBLICATION %%I ADD TABLE ONLY %%s', u.pubname, prrelid::regclass)
        -- Columns and rows, which PostgreSQL 14 does not know.
        || coalesce((SELECT CASE WHEN to_jsonb(b) ->> 'prattrs' IS NULL THEN '' ELSE
                (SELECT format(' (%%s)', string_agg(quote_ident(name), ', '))
                FROM jsonb_array_elements_text(to_jsonb(v) -> 'attnames') name) END
            || coalesce(' WHERE ' || (to_jsonb(v) ->> 'rowfilter'), '')
        FROM pg_publication_rel b, pg_publication_tables v, pg_class c WHERE b.oid = published AND v.pubname = u.pubname
            AND c.oid = prrelid AND v.tablename = c.relname AND v.schemaname = c.relnamespace::regnamespace::text), '')
        FROM pg_publication u WHERE u.oid = prpubid)
END FROM seen
UNION ALL
SELECT n, rank, objid, objsubid, 2, format('SELECT pg_catalog.%%I(%%L, %%s)', 'setval', identity, number)
FROM seen CROSS JOIN LATERAL (SELECT CASE WHEN has_sequence_privilege(seqrelid, 'SELECT, USAGE')
    THEN pg_sequence_last_value(seqrelid) END) last(number)
WHERE seqrelid IS NOT NULL AND number IS NOT NULL
UNION ALL
SELECT n, rank, objid, objsubid, 2, format('ALTER TABLE %%s %%s TRIGGER %%I', tgrelid::regclass, enabled.words, tgname)
FROM seen JOIN enabled ON enabled.letter = tgenabled
UNION ALL
SELECT n, rank, objid, objsubid, 2, format('ALTER TABLE %%s %%s RULE %%I', ev_class::regclass, enabled.words, rulename)
FROM seen JOIN enabled ON enabled.letter = ev_enabled
UNION ALL
SELECT n, rank, objid, objsubid, 3, format('ALTER %%s %%s OWNER TO %%I', owned, identity, owner) FROM seen
WHERE owned IS NOT NULL AND objsubid = 0
UNION ALL
SELECT n, rank, seen.objid, seen.objsubid, 4,
    format('ALTER SEQUENCE %%s OWNED BY %%s.%%I', identity, d.refobjid::regclass, a.attname)
FROM seen JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = seqrelid AND d.deptype = 'a' AND d.refobjsubid > 0
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
UNION ALL
SELECT n, rank, objid, objsubid, 5, format('REVOKE ALL ON %%s %%s FROM PUBLIC', owned, identity) FROM seen
WHERE proacl IS NOT NULL
UNION ALL
SELECT n, rank, objid, objsubid, 6, format('GRANT %%s%%s ON %%s TO %%s%%s', privilege_type,
    CASE WHEN objsubid > 0 THEN format(' (%%I)', attname) ELSE '' END,
    CASE WHEN owned IN ('SEQUENCE', 'FUNCTION', 'PROCEDURE') THEN owned || ' ' || identity ELSE relation::regclass::text END,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM seen CROSS JOIN LATERAL aclexplode(CASE WHEN objsubid > 0 THEN attacl ELSE coalesce(relacl, proacl) END) acl
WHERE grantee <> (SELECT oid FROM pg_roles WHERE rolname = owner)
-- A table that is made again gets by itself what ALTER DEFAULT PRIVILEGES grants.
AND NOT EXISTS (SELECT FROM pg_default_acl d JOIN pg_class c ON c.oid = relation AND objsubid = 0, aclexplode(defaclacl) given
    WHERE defaclrole = c.relowner AND defaclobjtype = 'r' AND defaclnamespace IN (0, c.relnamespace) AND owned = 'TABLE'
    AND (given.grantee, given.privilege_type, given.is_grantable) = (acl.grantee, acl.privilege_type, acl.is_grantable))
UNION ALL
SELECT n, rank, objid, objsubid, 7, format('COMMENT ON %%s %%s IS %%L', called, identity, said) FROM seen WHERE said IS NOT NULL
UNION ALL
SELECT n, rank, objid, objsubid, 8, format('ALTER TABLE %%s %%s ROW LEVEL SECURITY', identity, words)
FROM seen JOIN pg_class c ON c.oid = relation AND objsubid = 0
CROSS JOIN LATERAL (VALUES ('ENABLE', c.relrowsecurity), ('FORCE', c.relforcerowsecurity)) security(words, is_on)
WHERE is_on
"""


_ALL = f"""
SELECT n, rank, place, sql FROM ({_PARTS}{_SEEN}{_STATEMENTS}) statements(n, rank, objid, part, place, sql)
"""
_ORDER = " ORDER BY n, rank, objid, part, place, sql"
_SETTINGS = {"search_path": "pg_catalog", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_SET = f"SELECT {', '.join(f'set_config({name!r}, %s, true)' for name in _SETTINGS)}"
# What is about a table or column itself, and what to call it.
_OWN = {6: "grant", 7: "comment", 8: "row level security"}


_TABLES = """
SELECT name, 'pg_class'::regclass::oid::bigint, oid::bigint
FROM unnest(%s::text[], %s::text[]) asked(quoted, name) JOIN pg_class ON oid = to_regclass(quoted) WHERE relkind IN ('r', 'p')
ORDER BY name
"""


class Address(NamedTuple):
    """As pg_depend has it."""

    class_id: int
    object_id: int
    column: int


def definitions(connection: BaseDatabaseWrapper, addresses: Sequence[Address]) -> list[str]:
    """The SQL for each of these; empty for what no SQL makes."""
    found: list[list[str]] = [[] for _ in addresses]
    for number, _, place, sql in _rows(connection, _ALL + _ORDER, addresses):
        statements = found[number - 1]
        if sql and (statements or place == 1):  # what is said of something that cannot be made makes nothing
            statements.append(f"{sql};\n")
    return ["".join(statements) for statements in found]


def table_definitions(connection: BaseDatabaseWrapper, names: Collection[str]) -> dict[str, str]:
    """See `Database.table_definitions`."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, [[in_own_schema(connection, name) for name in sorted(names)], sorted(names)])
        there = cursor.fetchall()
    made = definitions(connection, [Address(class_id, object_id, 0) for _, class_id, object_id in there])
    return {name: sql for (name, _, _), sql in zip(there, made, strict=True)}


def own(connection: BaseDatabaseWrapper, addresses: Sequence[Address]) -> list[dict[str, str]]:
    """For each of these tables and columns the SQL that says again who may use it, what it is for, and that rows have policies:
    kind -> SQL."""
    found: list[dict[str, str]] = [{} for _ in addresses]
    query = f"{_ALL} WHERE rank < 2 AND place IN (6, 7, 8) {_ORDER}"
    for number, _, place, sql in _rows(connection, query, addresses):
        mine = found[number - 1]
        mine[_OWN[place]] = f"{mine.get(_OWN[place], '')}{sql};\n"
    return found


def _rows(connection: BaseDatabaseWrapper, query: str, addresses: Sequence[Address]) -> list[tuple[int, int, int, str]]:
    if not addresses:
        return []
    with _names_in_full(connection) as cursor:
        cursor.execute(query, [list(part) for part in zip(*addresses, strict=True)])
        return list(cursor.fetchall())


@contextmanager
def _names_in_full(connection: BaseDatabaseWrapper) -> Iterator[Any]:
    """A cursor that gives names with their schemas. Another one would set the search path anew, where schemas are many. Joins go
    by indexes: what is asked for are a few rows of catalogs that have millions where schemas are many."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'current_setting({name!r})' for name in _SETTINGS)}")
        before = cursor.fetchone()
        cursor.execute(_SET, list(_SETTINGS.values()))
        yield cursor
        cursor.execute(_SET, before)
