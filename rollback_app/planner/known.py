"""What the migrations know of a database before the run: tables, their columns, and the names of indexes and constraints.

What else hangs on a table was made by hand, or by SQL: no model says how to make it again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.migrations.state import ModelState
from django.db.models import Field

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
    column) that have a rule of their own, which may have no name. checks: those of a field that writes its own. together: for
    tables the sets of columns that a model calls unique together. commented: the tables of which a model says what they, or
    their columns, are for."""

    tables: Mapping[str, frozenset[str]]
    names: frozenset[str]
    rules: frozenset[tuple[str, str]]
    checks: frozenset[tuple[str, str]] = frozenset()
    together: Mapping[str, frozenset[frozenset[str]]] = field(default_factory=dict)
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
    """states: those of the plan, if they are at hand. Computing them raises where `plan.obstacles` are in the way. Of a plan that
    resumes inside a step, what is known before and after that step."""
    effects = [effect for step in plan.steps for effect in step.effects]
    tables: dict[str, frozenset[str]] = {effect.table: frozenset() for effect in effects}
    named = {effect.frees for effect in effects}
    rules, checks, commented = set[tuple[str, str]](), set[tuple[str, str]](), set[str]()
    together: dict[str, frozenset[frozenset[str]]] = {}
    rest = plan.after_resumed
    starts = [(states or plan.states()).start(), *([rest.states().start()] if rest else [])]
    for start in starts:
        names = replace(names, states=(start,))
        for model in [each for each in start.models.values() if names.lives_here(each)]:
            for table, columns in _tables(model, names).items():
                tables[table] = tables.get(table, frozenset()) | columns
            rules.update(_rules(model, names))
            checks.update(_checks(model, names))
            together[names.table(model)] = together.get(names.table(model), frozenset()) | _together(model, names)
            if _is_commented(model):
                commented.add(names.table(model).replace('"', ""))
            for kind in ("indexes", "constraints"):
                named.update(each.name for each in model.options.get(kind, ()))
    unquoted = {table.replace('"', ""): columns for table, columns in tables.items()}
    found = frozenset(name[:_LONGEST] for name in named)
    unquoted_rules = frozenset((table.replace('"', ""), column) for table, column in rules)
    return Known(unquoted, found, unquoted_rules, frozenset(checks), together, frozenset(commented))


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


def _checks(model: ModelState, names: Names) -> set[tuple[str, str]]:
    """The columns of fields that write their own check, of whatever text."""
    return {
        (names.table(model), names.column(name, model_field) or "")
        for name, model_field in model.fields.items()
        if type(model_field).db_check is not Field.db_check
    }


def _together(model: ModelState, names: Names) -> frozenset[frozenset[str]]:
    sets = model.options.get("unique_together") or ()
    return frozenset(
        frozenset((names.column(name, model.fields[name]) or "").lower() for name in fields) for fields in sets
    )
