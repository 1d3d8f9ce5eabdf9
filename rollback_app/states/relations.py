"""What a model's state tells of the models that it refers to."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation

Model = tuple[str, str]  # app label, lower-case model name


class Relations:
    """What is known of the relations in all states of a plan, so that nobody need look through all models for them.

    well_known: are they all such that one can tell from a model's state what it refers to?
    """

    def __init__(self) -> None:
        self.well_known = True
        self._referring: dict[Model, set[Model]] = defaultdict(set)

    def note(self, model: ModelState) -> None:
        """That there is a model, or that it is another now."""
        self.well_known = self.well_known and well_known(model)
        for target in seen_from(model):
            self._referring[target].add(key_of(model))

    def may_refer_to(self, key: Model) -> set[Model]:
        """All that did in some state, under the names that both had then."""
        return self._referring[key]


def well_known(model: ModelState) -> bool:
    """Are its relations all of Django's own kinds, and its bases all among the states?"""
    relations = [field for field in model.fields.values() if field.is_relation]
    return not any(is_table(base) for base in model.bases) and all(_is_djangos(type(field)) for field in relations)


# What a field's class may have of its own without changing what it does to the models that it connects.
_HARMLESS = {
    *("__module__", "__qualname__", "__doc__", "__init__", "__firstlineno__", "__static_attributes__"),
    *("deconstruct", "clone", "formfield", "check", "description", "validate", "clean", "get_limit_choices_to"),
}


def _is_djangos(kind: Any) -> bool:
    """Is this class of a relation field Django's own, or one that only looks different to people?"""
    others = itertools.takewhile(lambda base: not base.__module__.startswith("django.db.models."), kind.__mro__)
    return all(vars(base).keys() <= _HARMLESS for base in others)


def key_of(model: ModelState) -> Model:
    return model.app_label, model.name_lower


def bases_of(model: ModelState) -> list[Model]:
    return [resolve_relation(base, model.app_label) for base in model.bases if isinstance(base, str)]


def seen_from(model: ModelState) -> set[Model]:
    return {*targets_of(model.fields.values(), key_of(model)), *bases_of(model)}


def is_table(base: Any) -> bool:
    """Is this base the class of a model with a table, of an app without migrations?"""
    return not isinstance(base, str) and hasattr(base, "_meta") and not base._meta.abstract


def targets_of(fields: Iterable[Any], owner: Model) -> set[Model]:
    """The models that these fields point to, or go through."""
    remotes = [field.remote_field for field in fields if field.is_relation]
    names = [name for remote in remotes for name in (remote.model, getattr(remote, "through", None)) if name]
    return {resolve_relation(name, *owner) for name in names} - {owner}
