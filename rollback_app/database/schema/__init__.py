"""What `compatibility` compares: a live schema, and what the classes of models ask of it, both as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.compatibility import Column, Constraint, Relation, Rule, Schema, Type
from rollback_app.database.catalog import with_join_tables
from rollback_app.database.tenants import schema_of

from . import mysql, postgresql, sqlite
from .models import default, wanted
from .rows import Rows, Tables, by_table

__all__ = ["default", "live", "wanted", "with_join_tables"]


def live(connection: BaseDatabaseWrapper, tables: Tables) -> Schema:
    """What there is of these tables, in five queries."""
    if not tables:
        return Schema(connection.vendor, {})
    found = _READS[connection.vendor](connection, tables)
    columns, constraints, triggers = (
        by_table(rows)
        for rows in (found.columns, [(table, each) for table, *each in found.constraints], found.triggers)
    )
    relations = {
        relation.name: _whole(relation, columns[relation.name], constraints[relation.name], triggers[relation.name])
        for relation in found.relations
    }
    here = schema_of(connection)
    setting = here.setting if here else ""
    return Schema(connection.vendor, relations, tuple(found.foreign_keys), connection.ops.quote_name, setting)


def _whole(relation: Relation, columns: list[Any], constraints: list[Any], triggers: list[Any]) -> Relation:
    json = {column for rule, words in constraints if _is_json(rule, words) for column in rule.columns}
    return replace(
        relation,
        columns={each.name: _as_json(each) if each.name in json else each for each in columns},
        constraints=tuple(rule for rule, _ in constraints),
        triggers=tuple(triggers),
    )


def _is_json(rule: Constraint, words: str) -> bool:
    """Is it the check by which SQLite and MariaDB know a JSON value from any other text?"""
    return rule.rule is Rule.CHECK and len(rule.columns) == 1 and "json_valid" in words.lower()


def _as_json(column: Column) -> Column:
    definition = column.definition and f"{column.definition} CHECK (json_valid(`{column.name}`))"
    return replace(column, type=Type(column.type.words, "JSON"), definition=definition)


_READS: Mapping[str, Callable[[BaseDatabaseWrapper, Tables], Rows]] = {
    "postgresql": postgresql.read,
    "mysql": mysql.read,
    "sqlite": sqlite.read,
}
