"""What the migrations know of a database before the run: tables, their columns, and the names of indexes and constraints.

What else hangs on a table was made by hand, or by SQL: no model says how to make it again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.migrations.state import ModelState

from rollback_app.states import States

from .names import Names
from .plan import Plan

# Django names what a model does not name after table, columns and eight hexadecimal digits.
_BY_DJANGO = re.compile(r"_[0-9a-f]{8,}(_(uniq|like|idx|check|pk|fk.*)?)?$")
_BY_THE_DATABASE = re.compile(r"_(pkey|key|check|fkey)\d*$")  # a constraint that was given no name
_LONGEST = 63  # PostgreSQL cuts a longer name


@dataclass(frozen=True)
class Known:
    """tables: their columns, by their names without quotes, as "schema.table" of one that is named so; empty for one that only
    an operation names. names: of indexes and constraints that a model or an operation names. rules: the columns (table,
    column) that have a rule of their own, which may have no name. commented: the tables of which a model says what they, or their
    columns, are for."""

    tables: Mapping[str, frozenset[str]]
    names: frozenset[str]
    rules: frozenset[tuple[str, str]]
    commented: frozenset[str] = frozenset()

    def has_name(self, name: str, table: str, columns: Collection[str]) -> bool:
        """Is this an index or constraint that the migrations made? columns: those that it is about."""
        if name in self.names or _BY_DJANGO.search(name):
            return table in self.tables
        unnamed = name in columns or _BY_THE_DATABASE.search(name)
        return bool(unnamed) and any((table, column) in self.rules for column in columns)

    def has_column(self, table: str, column: str) -> bool:
        return column in self.tables.get(table, ())


def known(plan: Plan, names: Names, states: States | None = None) -> Known:
    """states: those of the plan, if they are at hand. Computing them raises where `plan.obstacles` are in the way."""
    effects = [effect for step in plan.steps for effect in step.effects]
    tables: dict[str, frozenset[str]] = {effect.table: frozenset() for effect in effects}
    named = {effect.frees for effect in effects}
    rules: set[tuple[str, str]] = set()
    commented: set[str] = set()
    start = (states or plan.states()).start()
    names = replace(names, states=(start,))
    for model in start.models.values():
        if names.lives_here(model):
            tables.update(_tables(model, names))
            rules.update(_rules(model, names))
            if _is_commented(model):
                commented.add(names.table(model).replace('"', ""))
            for kind in ("indexes", "constraints"):
                named.update(each.name for each in model.options.get(kind, ()))
    unquoted = {table.replace('"', ""): columns for table, columns in tables.items()}
    named = {name[:_LONGEST] for name in named}
    unquoted_rules = frozenset((table.replace('"', ""), column) for table, column in rules)
    return Known(unquoted, frozenset(named), unquoted_rules, frozenset(commented))


def _is_commented(model: ModelState) -> bool:
    return bool(model.options.get("db_table_comment")) or any(
        getattr(each, "db_comment", None) for each in model.fields.values()
    )


def _tables(model: ModelState, names: Names) -> dict[str, frozenset[str]]:
    """The table of a model, and those that Django makes for its many-to-many fields, with the columns that they may have."""
    found = {}
    columns = {"_order"} if model.options.get("order_with_respect_to") else set[str]()
    for name, model_field in model.fields.items():
        if join := names.join_table(model, name, model_field):
            found[join] = frozenset({"id", *_ends(model, model_field)})
        elif column := names.column(name, model_field):
            columns.add(column)
    return {names.table(model): frozenset(columns), **found}


def _ends(model: ModelState, model_field: Any) -> set[str]:
    target = model_field.remote_field.model
    there = str(target if isinstance(target, str) else target.__name__).rpartition(".")[2].lower()
    here = model.name_lower
    return {f"{here}_id", f"{there}_id", f"from_{here}_id", f"to_{here}_id"}


def _rules(model: ModelState, names: Names) -> set[tuple[str, str]]:
    """The columns that Django may give a key, a unique rule, a check or a foreign key as it makes them."""
    found = set()
    for name, model_field in model.fields.items():
        column: Any = names.column(name, model_field)
        checked = "Positive" in model_field.get_internal_type() or model_field.get_internal_type() == "JSONField"
        if model_field.primary_key or model_field.unique or model_field.is_relation or checked:
            found.add((names.table(model), column))
        if join := names.join_table(model, name, model_field):
            found.update((join, end) for end in {"id", *_ends(model, model_field)})
    return found
