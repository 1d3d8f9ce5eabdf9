"""The tables of MariaDB and MySQL, from information_schema."""

from __future__ import annotations

import re

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.compatibility import Column, Constraint, Fills, ForeignKey, Relation, Rule, Trigger, of_words

from .rows import Rows, Tables, fetch

_HERE = "table_schema = database() AND table_name IN %s"
_RELATIONS = f"""
SELECT table_name, CASE WHEN table_type = 'VIEW' THEN 'view' ELSE 'table' END,
    (SELECT is_updatable FROM information_schema.views v
    WHERE v.table_schema = t.table_schema AND v.table_name = t.table_name)
FROM information_schema.tables t WHERE {_HERE}
"""
_COLUMNS = f"""
SELECT table_name, column_name, column_type, is_nullable = 'YES', coalesce(column_default, 'NULL') <> 'NULL', lower(extra),
    coalesce(generation_expression, ''), collation_name
FROM information_schema.columns WHERE {_HERE}
"""
_UNIQUE = f"""
SELECT table_name, index_name, group_concat(column_name), max(column_name IS NULL OR sub_part IS NOT NULL)
FROM information_schema.statistics WHERE non_unique = 0 AND {_HERE} GROUP BY table_name, index_name
"""
_MARIADB_CHECKS = f"""
SELECT table_name, constraint_name, check_clause
FROM information_schema.check_constraints WHERE {_HERE.replace("table_schema", "constraint_schema")}
"""
# MySQL tells the table of a check elsewhere; there the names of checks are unique in a schema.
_MYSQL_CHECKS = f"""
SELECT table_name, constraint_name, check_clause FROM information_schema.check_constraints
JOIN information_schema.table_constraints t USING (constraint_schema, constraint_name) WHERE {_HERE}
"""
_FOREIGN_KEYS = """
SELECT k.table_name, group_concat(k.column_name ORDER BY k.ordinal_position), k.referenced_table_name, r.delete_rule
FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
ON r.constraint_schema = k.table_schema AND r.table_name = k.table_name AND r.constraint_name = k.constraint_name
WHERE k.table_schema = database() AND (k.table_name IN %s OR k.referenced_table_name IN %s)
GROUP BY k.table_name, k.constraint_name, k.referenced_table_name, r.delete_rule
"""
_TRIGGERS = """
SELECT event_object_table, trigger_name, event_manipulation FROM information_schema.triggers
WHERE event_object_schema = database() AND event_object_table IN %s
"""
_ALL = frozenset({"INSERT", "UPDATE", "DELETE"})


def read(connection: BaseDatabaseWrapper, tables: Tables) -> Rows:
    names = tuple(tables)
    mariadb: bool = connection.mysql_is_mariadb  # type: ignore[attr-defined]
    return Rows(
        relations=[
            Relation(name, kind, _ALL if updatable == "YES" else frozenset())
            for name, kind, updatable in fetch(connection, _RELATIONS, [names])
        ],
        columns=[
            (table, _column(name, words, null, default, extra, expression, collation))
            for table, name, words, null, default, extra, expression, collation in fetch(connection, _COLUMNS, [names])
        ],
        constraints=[
            *(
                (table, Constraint(Rule.UNIQUE, name, frozenset((columns or "").split(",")), not unusual), "")
                for table, name, columns, unusual in fetch(connection, _UNIQUE, [names])
            ),
            *(
                (table, Constraint(Rule.CHECK, name, frozenset(re.findall("`([^`]+)`", clause))), clause)
                for table, name, clause in fetch(connection, _MARIADB_CHECKS if mariadb else _MYSQL_CHECKS, [names])
            ),
        ],
        triggers=[
            (table, Trigger(name, frozenset({event}))) for table, name, event in fetch(connection, _TRIGGERS, [names])
        ],
        foreign_keys=[
            ForeignKey(table, tuple(columns.split(",")), target, "" if rule in ("NO ACTION", "RESTRICT") else rule)
            for table, columns, target, rule in fetch(connection, _FOREIGN_KEYS, [names] * 2)
        ],
    )


def _column(
    name: str, words: str, null: bool, default: bool, extra: str, expression: str, collation: str | None
) -> Column:
    fills = Fills.DEFAULT if default else Fills.NOTHING
    if expression:
        fills = Fills.GENERATED
    elif "auto_increment" in extra:
        fills = Fills.NUMBER
    definition = f"{words} COLLATE {collation} NULL" if collation else f"{words} NULL"
    return Column(name, of_words(words), bool(null), fills, definition)
