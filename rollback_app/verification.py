"""Is the database, after the last step, what the migrations at the target say? Asked of each table that a run touched.

A difference that was there before the run is told, and is not the run's fault; one that was not is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import router
from django.db.models import Model
from django.db.utils import DatabaseError

from . import catalog
from .catalog import Fact, Facts
from .database import Database, first_line
from .effects import Effect, Kind
from .planner import Plan
from .states import States


@dataclass(frozen=True)
class Difference:
    """missing: the migrations at the target say that the table has it, and it has not; else the other way round."""

    table: str
    kind: str
    words: str
    missing: bool

    def __str__(self) -> str:
        return f"{self.table} {'lacks' if self.missing else 'has left'} {f'{self.kind} {self.words}'.strip()}"

    @property
    def by_django(self) -> bool:
        """The second index of a text column, for LIKE: undoing AlterField or a renaming with Django on PostgreSQL leaves it
        out, or leaves it behind, and so does `migrate`. No value and no promise depends on it."""
        return self.kind == "index" and ("varchar_pattern_ops" in self.words or "text_pattern_ops" in self.words)


@dataclass(frozen=True)
class Verdict:
    """tables: how many were compared. new: differences that the run made. left_over: those of them that Django's own reverse
    is known to make, and that do no harm. known: those that were there before. why_not: why nothing was compared."""

    tables: int = 0
    new: tuple[Difference, ...] = ()
    left_over: tuple[Difference, ...] = ()
    known: tuple[Difference, ...] = ()
    why_not: str = ""


class Verifier:
    """Made before the first step; then asked after the last."""

    def __init__(self, database: Database, plan: Plan, states: States) -> None:
        self._connection = database.connection
        self._plan, self._states = plan, states
        self._before = catalog.rows(self._connection)

    def verdict(self, named: Collection[str]) -> Verdict:
        """named: the names in the statements that changed the schema; those that are tables were touched."""
        models = self._tables(self._states.end().apps)
        dropped = {name for effect in self._effects() for name in _gone(effect)}
        touched = (models.keys() | dropped) & set(named)
        try:
            found = self._differences(models, touched, catalog.facts(catalog.rows(self._connection, touched)))
            known = self._known(touched) if found else Counter()
        # For want of a right, or of a function or type that the models use; the run itself may well be right.
        except DatabaseError as error:
            return Verdict(why_not=first_line(error))
        new = found - known
        return Verdict(
            len(touched),
            new=tuple(difference for difference in new.elements() if not difference.by_django),
            left_over=tuple(difference for difference in new.elements() if difference.by_django),
            known=tuple((found & known).elements()),
        )

    def _effects(self) -> Iterator[Effect]:
        for step in self._plan.steps:
            yield from () if step.fake else step.effects

    def _tables(self, apps: Any) -> dict[str, type[Model]]:
        """The models that have a table here, by its name. Those with a schema in their name are left out: there is no
        other place where their table could be made."""
        return {
            model._meta.db_table: model
            for model in apps.get_models(include_auto_created=True)
            if model._meta.managed
            and not model._meta.proxy
            and '"' not in model._meta.db_table
            and router.allow_migrate_model(self._connection.alias, model)
        }

    def _differences(
        self, models: dict[str, type[Model]], tables: Collection[str], there: Facts
    ) -> Counter[Difference]:
        wanted = {models[name] for name in sorted(tables & models.keys())}
        # The table of a many-to-many field is made with the model of the field.
        alone = [model for model in wanted if model._meta.auto_created not in wanted]
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
            words = re.sub(r"\w+", lambda found: names.get(found[0], found[0]), difference.words)
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


_SCHEMA_WORDS = re.compile(r'"([^"]+)"|`([^`]+)`|(\w+)')
_ROWS_ONLY = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA", "SET", "LOCK"})


def names_in(sql: str) -> Iterator[str]:
    """The names in a statement that may change the schema."""
    if sql.lstrip()[:9].split(None, 1)[:1] and sql.split(None, 1)[0].upper() not in _ROWS_ONLY:
        for found in _SCHEMA_WORDS.finditer(sql):
            yield found[found.lastindex or 0]
