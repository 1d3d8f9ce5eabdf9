"""Is the database, after the last step, what the migrations at the target say? Asked of each table that a run touched.

A difference that was there before the run is told, and is not the run's fault; one that was not is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from django.db import router
from django.db.models import Model

from rollback_app.database import Database, catalog, first_line
from rollback_app.planner import Effect, Kind, Plan
from rollback_app.safety import Comparison, Difference
from rollback_app.states import States


class Verifier:
    """Made before the first step; then asked after the last."""

    def __init__(self, database: Database, plan: Plan, states: States) -> None:
        self._connection = database.connection
        self._plan, self._states = plan, states
        self._named: set[str] = set()
        self._before = catalog.rows(self._connection)

    def saw(self, sql: str) -> None:
        """A statement was sent to the database."""
        self._named.update(_names_in(sql))

    def comparison(self) -> Comparison:
        models = self._tables(self._states.end().apps)
        touched = self._touched(models)
        try:
            found = self._differences(models, touched, catalog.facts(catalog.rows(self._connection, touched)))
            known = self._known(touched) if found else Counter()
        except catalog.CannotMake as error:
            return Comparison(why_not=first_line(error))
        new = found - known
        return Comparison(
            len(touched),
            new=tuple(difference for difference in new.elements() if not difference.by_django),
            left_over=tuple(difference for difference in new.elements() if difference.by_django),
            known=tuple((found & known).elements()),
        )

    def _touched(self, models: Collection[str]) -> set[str]:
        """The tables that are, or should no longer be there, and that a statement has named, or an index of theirs."""
        renamed, _ = self._renamings()
        indexes = {renamed.get(table, table) for table, _, _, name in self._before if name in self._named}
        gone = {name for effect in self._effects() for name in _gone(effect)}
        return (set(models) | gone) & (self._named | indexes)

    def _effects(self) -> Iterator[Effect]:
        for step in self._plan.steps:
            yield from () if step.fake else step.effects

    def _tables(self, apps: Any) -> dict[str, type[Model]]:
        """The models that have a table here, by its name. Those with a schema in their name are left out: there is no
        other place where their table could be made."""
        return {
            model._meta.db_table: model
            for model in apps.get_models(include_auto_created=True)
            if model._meta.can_migrate(self._connection)
            and '"' not in model._meta.db_table
            and router.allow_migrate_model(self._connection.alias, model)
        }

    def _differences(
        self, models: dict[str, type[Model]], tables: Collection[str], there: catalog.Facts
    ) -> Counter[Difference]:
        wanted = {models[name] for name in sorted(tables & models.keys())}
        # The table of a many-to-many field is made with the model of the field.
        alone = [model for model in wanted if _meta(model).auto_created not in wanted]
        facts = catalog.made(self._connection, sorted(alone, key=lambda model: model._meta.db_table))
        expected = Counter({fact: number for fact, number in facts.items() if fact[0] in tables})
        whole = {fact[0] for fact in (expected - there) + (there - expected) if fact[1] == "table"}
        differences: Counter[Difference] = Counter()
        for facts, missing in ((expected - there, True), (there - expected, False)):
            for fact, number in facts.items():
                if fact[0] not in whole or fact[1] == "table":  # of a table that is missing, its columns need no words
                    differences[Difference(*fact, missing)] += number
        return differences

    def _known(self, touched: Collection[str]) -> Counter[Difference]:
        """The differences before the run, under the names that tables and columns have after it."""
        tables, columns = self._renamings()
        models = self._tables(self._states.start().apps)
        before = {name for name in models if tables.get(name, name) in touched}
        there = Counter({fact: number for fact, number in catalog.facts(self._before).items() if fact[0] in before})
        known: Counter[Difference] = Counter()
        for difference, number in self._differences(models, before, there).items():
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


def _rename(names: dict[str, str], old: str, new: str) -> None:
    first = next((name for name, now in names.items() if now == old), old)
    names[first] = new


def _gone(effect: Effect) -> list[str]:
    """The table that is no longer there after this."""
    gone = effect.kind is Kind.DROPS_TABLE or (effect.renamed_to and not effect.column)
    return [effect.table] if gone else []


def _meta(model: type[Model]) -> Any:
    return model._meta


_WORDS = re.compile(r'"([^"]+)"|`([^`]+)`|(\w+)')
_ROWS_ONLY = ("SELECT", "INSERT", "UPDATE", "DELETE", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA", "SET", "LOCK")


def _names_in(sql: str) -> Iterator[str]:
    """The names in a statement that may change the schema."""
    if not sql.lstrip()[:9].upper().startswith(_ROWS_ONLY):
        for quoted, ticked, bare in _WORDS.findall(sql):
            yield quoted or ticked or bare.lower()
