"""What a plan tells of the difference between the older code and the newer database. Nothing is rendered."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.db.models import CASCADE

from rollback_app.planner import Effect, Kind, Plan
from rollback_app.states import States, targets_of

Model = tuple[str, str]  # app label, lower-case model name

_ROWS = {Kind.CODE, Kind.RUNS_SQL, Kind.NOOP, Kind.IRREVERSIBLE, Kind.UNKNOWN}


def _effects(plan: Plan) -> Iterator[Effect]:
    for step in plan.steps:
        yield from () if step.fake else step.effects


def look_at(plan: Plan) -> tuple[str, ...]:
    """The steps whose code or SQL may have changed rows, or what no model tells of: oldest first."""
    steps = [step for step in plan.steps if not step.fake and any(effect.kind in _ROWS for effect in step.effects)]
    return tuple(str(step.key) for step in reversed(steps))


def touched(plan: Plan, states: States) -> list[Model]:
    """The older code's models that the newer migrations changed, or pointed to, or whose tables their SQL names. All, if
    there are records of migrations that this code does not have: what these did is not known."""
    older, newer = states.end().models, states.start().models
    if plan.obstacles.ghosts:
        return list(older)
    named = {effect.table.lower() for effect in _effects(plan)} | set(_words_of_sql(plan))
    changed = [(key, model) for key, model in newer.items() if model is not older.get(key)]
    changed += [(key, model) for key, model in older.items() if model is not newer.get(key)]
    pointed_at = {target for key, model in changed for target in targets_of(model.fields.values(), key)}
    direct = [
        key for key, model in older.items() if model is not newer.get(key) or key in pointed_at or _table(model) & named
    ]
    return direct + _deleted_with(direct, older)


def _deleted_with(keys: list[Model], models: Mapping[Model, Any]) -> list[Model]:
    """Other models: where Django deletes a row of one, it deletes rows of these too."""
    found = dict.fromkeys(keys)
    waiting = list(found)
    while waiting:
        key = waiting.pop()
        fields = [
            field for field in models[key].fields.values() if getattr(field.remote_field, "on_delete", None) is CASCADE
        ]
        new = [target for target in targets_of(fields, key) if target in models and target not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return list(found)[len(keys) :]


def other_tables(touched: Collection[Model], states: States) -> frozenset[str]:
    """The tables of the older code's other models and of their many-to-many fields, in lower case."""
    others = [model for key, model in states.end().models.items() if key not in touched]
    return frozenset(name for model in others for name in (*_table(model), *_join_tables(model)))


def _join_tables(model: Any) -> Iterator[str]:
    (table,) = _table(model)
    for name, field in model.fields.items():
        if field.many_to_many and not field.remote_field.through:
            yield (field.db_table or f"{table}_{name}").lower()


def _words_of_sql(plan: Plan) -> Iterator[str]:
    operations = [operation for step in plan.steps for operation in step.migration.operations]
    while operations:
        operation: Any = operations.pop()
        operations += getattr(operation, "database_operations", ())
        yield from (word.lower() for word in re.findall(r"\w+", str(getattr(operation, "sql", ""))))


def _table(model: Any) -> set[str]:
    written = model.options.get("db_table") or f"{model.app_label}_{model.name_lower}"
    return {str(written).strip('"').lower()}


def names_now(plan: Plan) -> dict[tuple[str, str], str]:
    """What the older code's tables (name, "") and columns (table, name) are called now, where that is another name."""
    found: dict[tuple[str, str], str] = {}
    for effect in [each for each in _effects(plan) if each.renamed_to]:
        if effect.column:
            place = (effect.table, effect.column)
            found[effect.table, effect.renamed_to] = found.pop(place, effect.column)
        else:
            found[effect.renamed_to, ""] = found.pop((effect.table, ""), effect.table)
    return found


def defaults_of(plan: Plan) -> Iterable[tuple[str, str, Any]]:
    """(table, column, field) of what the newer migrations added."""
    return [(effect.table, effect.column, effect.field) for effect in _effects(plan) if effect.column and effect.field]
