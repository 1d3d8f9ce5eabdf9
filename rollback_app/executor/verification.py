"""Is the database, after the last step, what the migrations at the target say? Asked of each table that a run touched.

A difference that was there before the run is told, and is not the run's fault; one that was not is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db import router
from django.db.models import Model
from django.db.models.options import normalize_together

from rollback_app.database import Database, catalog, first_line, normal
from rollback_app.planner import Effect, Kind, Plan
from rollback_app.safety import Comparison, Difference
from rollback_app.states import States

from .objects import changes_schema


class Verifier:
    """Made before the first step; then asked after the last."""

    def __init__(self, database: Database, plan: Plan, states: States) -> None:
        self._connection = database.connection
        self._plan, self._states = plan, states
        self._named: set[str] = set()
        self._by_code: set[str] = set()
        self._before = catalog.rows(self._connection)

    def saw(self, sql: str, *, by_code: bool) -> None:
        """A statement was sent to the database. by_code: by SQL or code of a migration or a receiver."""
        names = set(names_in(sql))
        self._named |= names
        if by_code:
            self._by_code |= names

    def comparison(self) -> Comparison:
        models = self._tables(self._states.end().apps)
        touched, left_out = self._touched(models), self._left_out()
        try:
            after = catalog.facts(catalog.rows(self._connection, touched))
            found = self._differences(self._states.end(), models, touched, after)
            known = self._known(touched) if found else Counter()
        except catalog.CannotMake as error:
            return Comparison(left_out=left_out, why_not=first_line(error))
        new = sorted((found - known).elements())
        self._by_code |= set(self._left_to_code()) if new else set()
        there = {each.column for each in new if not each.missing}
        remade = self._remade_without_index_together(models)
        left_over = [each for each in new if each.by_django or (each.table in remade and each.kind == "index")]
        by_code = [each for each in new if each not in left_over and self._is_left_to_code(each, there)]
        return Comparison(
            len(touched),
            new=tuple(each for each in new if each not in left_over and each not in by_code),
            left_over=tuple(left_over),
            by_code=tuple(by_code),
            known=tuple(sorted((found & known).elements())),
            left_out=left_out,
        )

    def _remade_without_index_together(self, models: dict[str, type[Model]]) -> set[str]:
        """The tables that undoing DeleteModel has made: Django 5.1 and later forget the `index_together` there."""
        made = {effect.table for effect in self._effects() if effect.kind is Kind.MAKES and not effect.column}
        return {name for name in made & models.keys() if _together(self._states.end(), _key(models[name]))}

    def _left_to_code(self) -> Iterator[str]:
        """The tables and columns of what a step changes in the state alone."""
        for step in self._plan.steps:
            for name, field in _state_alone(() if step.fake else step.migration.operations):
                states = (self._states.start(), self._states.end())
                for state in [each for each in states if (step.key.app, name) in each.models]:
                    model = state.apps.get_model(step.key.app, name)
                    yield model._meta.db_table
                    yield from (each.column for each in model._meta.concrete_fields if each.name.lower() == field)

    def _is_left_to_code(self, difference: Difference, there: Collection[Any]) -> bool:
        """Is it something that the migrations do not know, on a table that SQL or code of a step is in charge of? What is missing
        is not, except for a column that is another than the migrations say."""
        if difference.table not in self._by_code:
            return False
        if difference.column is None:
            return not difference.missing
        return difference.column[1] in self._by_code and difference.column in there

    def _touched(self, models: Collection[str]) -> set[str]:
        """The tables that are, or should no longer be there, and that a statement has named, or an index of theirs."""
        renamed, _ = self._renamings()
        indexes = {renamed.get(table, table) for table, _, _, name in self._before if name in self._named}
        gone = {name for effect in self._effects() for name in _gone(effect)}
        return (set(models) | gone) & (self._named | indexes)

    def _left_out(self) -> tuple[str, ...]:
        """The touched tables with a schema or quotes in their names, as one writes them: there is no other place where such a
        table could be made."""
        gone = {name for effect in self._effects() for name in _gone(effect)}
        stays = {model._meta.db_table for model in self._models(self._states.end().apps)}
        parts = {name: [part for part in name.split('"') if part.strip(".")] for name in gone | stays if '"' in name}
        return tuple(sorted({".".join(each) for each in parts.values() if set(each) <= self._named}))

    def _effects(self) -> Iterator[Effect]:
        for step in self._plan.steps:
            yield from () if step.fake else step.effects

    def _tables(self, apps: Any) -> dict[str, type[Model]]:
        """The models that have a table here and can be compared, by its name."""
        return {model._meta.db_table: model for model in self._models(apps) if '"' not in model._meta.db_table}

    def _models(self, apps: Any) -> Iterator[type[Model]]:
        """Those that have a table here."""
        for model in apps.get_models(include_auto_created=True):
            if model._meta.can_migrate(self._connection) and router.allow_migrate_model(self._connection.alias, model):
                yield model

    def _differences(
        self, state: Any, models: dict[str, type[Model]], tables: Collection[str], there: catalog.Facts
    ) -> Counter[Difference]:
        wanted = {models[name] for name in sorted(tables & models.keys())}
        # The table of a many-to-many field is made with the model of the field.
        alone = [model for model in wanted if _meta(model).auto_created not in wanted]
        together = {_meta(model).label: _together(state, _key(model)) for model in wanted}
        facts = catalog.made(self._connection, sorted(alone, key=lambda model: model._meta.db_table), together)
        return differences(Counter({fact: number for fact, number in facts.items() if fact[0] in tables}), there)

    def _known(self, touched: Collection[str]) -> Counter[Difference]:
        """The differences before the run, under the names that tables and columns have after it."""
        tables, columns = self._renamings()
        start = self._states.start()
        models = self._tables(start.apps)
        before = {name for name in models if tables.get(name, name) in touched}
        there = Counter({fact: number for fact, number in catalog.facts(self._before).items() if fact[0] in before})
        known: Counter[Difference] = Counter()
        for difference, number in self._differences(start, models, before, there).items():
            names = {**tables, **columns.get(difference.table, {})}
            words = "".join(names.get(word, word) for word in re.split(r"(\w+)", difference.words))
            table = tables.get(difference.table, difference.table)
            known[Difference(table, difference.kind, words, difference.missing)] += number
        return known

    def _renamings(self) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Of tables, and by table of columns: the name before the run -> the name after it."""
        tables: dict[str, str] = {}
        columns: dict[str, dict[str, str]] = {}
        for effect in self._effects():
            before = {after: name for name, after in tables.items()}
            if effect.renamed_to and effect.column:
                names = columns.setdefault(before.get(effect.table, effect.table), {})
                _rename(names, effect.column, effect.renamed_to)
            elif effect.renamed_to:
                _rename(tables, effect.table, effect.renamed_to)
        return tables, columns


def differences(wanted: catalog.Facts, there: catalog.Facts) -> Counter[Difference]:
    """What is there and not wanted, or the other way round."""
    missing, extra = _but_for_spelling(wanted - there, there - wanted)
    whole = {fact[0] for fact in missing + extra if fact[1] == "table"}
    found: Counter[Difference] = Counter()
    for facts, is_missing in ((missing, True), (extra, False)):
        for fact, number in facts.items():
            if fact[0] not in whole or fact[1] == "table":  # of a table that is missing, its columns need no words
                found[Difference(*fact, is_missing)] += number
    return found


def _rename(names: dict[str, str], old: str, new: str) -> None:
    first = next((name for name, now in names.items() if now == old), old)
    names[first] = new


def _gone(effect: Effect) -> list[str]:
    """The table that is no longer there after this."""
    gone = effect.kind is Kind.DROPS_TABLE or (effect.renamed_to and not effect.column)
    return [effect.table] if gone else []


def _together(state: Any, key: tuple[str, str]) -> set[tuple[str, ...]]:
    """The `index_together` of a model's state. The models of many-to-many tables have none, and no state."""
    options = state.models[key].options if key in state.models else {}
    return set(normalize_together(options.get("index_together", ())))


def _but_for_spelling(missing: catalog.Facts, extra: catalog.Facts) -> tuple[catalog.Facts, catalog.Facts]:
    """The facts without those of both sides that say the same in other words."""
    left = []
    for facts, others in ((missing, extra), (extra, missing)):
        same = Counter((*fact[:2], repr(normal(fact[2]))) for fact in others.elements())
        different: catalog.Facts = Counter()
        for fact in facts.elements():
            key = (*fact[:2], repr(normal(fact[2])))
            different[fact] += not same[key]
            same[key] -= bool(same[key])
        left.append(+different)
    return left[0], left[1]


def _state_alone(operations: Iterable[Any], *, inside: bool = False) -> Iterator[tuple[str, str]]:
    """(model, field) of the operations that change the state alone, and leave the database to SQL or to another migration; their
    names in lower case. inside: are these such?"""
    for operation in operations:
        if inside:
            name = str(getattr(operation, "name", "")).lower()
            yield str(getattr(operation, "model_name", "")).lower() or name, name
        yield from _state_alone(getattr(operation, "state_operations", ()), inside=True)
        yield from _state_alone(getattr(operation, "database_operations", ()))


def _key(model: type[Model]) -> tuple[str, str]:
    return _meta(model).app_label, _meta(model).model_name


def _meta(model: type[Model]) -> Any:
    return model._meta


_WORDS = re.compile(r'"([^"]+)"|`([^`]+)`|(\w+)')


def names_in(sql: str) -> Iterator[str]:
    """The names in a statement that may change the schema."""
    if changes_schema(sql):
        for quoted, ticked, bare in _WORDS.findall(sql):
            yield from filter(None, (quoted, ticked, bare, bare.lower()))
