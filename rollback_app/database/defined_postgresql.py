"""The views, functions and triggers of PostgreSQL, with the SQL that makes them."""

from __future__ import annotations

from collections.abc import Collection

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.safety import Defined

from .by_index import by_index, by_number
from .definitions_postgresql import Address, definitions

# Of the schema of a table. Triggers of a view are made with that, and those of a partition with the table that it is a part of.
# By what needs the schema, of which there is an index.
_FOUND = f"""
inside AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_class c JOIN pg_depend d
    ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = c.relnamespace WHERE c.oid = to_regclass(%s)
),
every(rank, classid, objid) AS (
    SELECT 1, classid, objid FROM inside JOIN {by_number("pg_proc", "p")} ON true WHERE prokind <> 'a'
    UNION ALL
    SELECT 2, classid, objid FROM inside JOIN {by_number("pg_class", "c")} ON true WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT 3, 'pg_trigger'::regclass, t.oid FROM inside JOIN {by_number("pg_class", "c")} ON true
    JOIN {by_index("pg_trigger", "t", "tgrelid = c.oid")} ON true
    WHERE NOT tgisinternal AND relkind <> 'v' AND coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
), found AS (
    SELECT every.*, i.type AS kind, i.identity AS name FROM every CROSS JOIN LATERAL pg_identify_object(classid, objid, 0) i
    WHERE NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = every.classid AND d.objid = every.objid AND d.objsubid = 0 AND d.deptype = 'e')
)
"""
_DEFINED = f"WITH {_FOUND} SELECT kind, name, classid::oid::bigint, objid::bigint FROM found ORDER BY rank, objid"
# What needs an object needs its type too, and a view is made of its rule.
_WITH_USERS = f"""
WITH RECURSIVE {_FOUND}, needed(classid, objid) AS (
    SELECT classid::oid, objid FROM found WHERE kind || ' ' || name = ANY (%s)
    UNION
    SELECT CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END, coalesce(r.ev_class, d.objid)
    FROM needed n JOIN pg_depend d ON d.refclassid = n.classid AND d.refobjid = n.objid
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
)
SELECT kind || ' ' || name FROM found JOIN needed USING (classid, objid)
"""


def defined(connection: BaseDatabaseWrapper, table: str) -> list[Defined]:
    """See `Database.defined`; of the schema of this table, which is named in quotes."""
    with connection.cursor() as cursor:
        cursor.execute(_DEFINED, [table])
        found = cursor.fetchall()
    made = definitions(connection, [Address(class_id, object_id, 0) for _, _, class_id, object_id in found])
    return [Defined(kind, name, sql) for (kind, name, _, _), sql in zip(found, made, strict=True)]


def with_users(connection: BaseDatabaseWrapper, table: str, objects: Collection[str]) -> set[str]:
    """See `Database.with_users`."""
    with connection.cursor() as cursor:
        cursor.execute(_WITH_USERS, [table, list(objects)])
        return {name for (name,) in cursor.fetchall()}
