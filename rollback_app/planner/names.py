"""How a project's models are called in a database, and which of them live there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation
from django.db.models import Field
from django.utils.functional import SimpleLazyObject

from rollback_app.states import State, Undo, class_of


@dataclass(frozen=True)
class Names:
    """How names of models become names in the database.

    shorten: what Django does to the name of a table that is too long. canonical: a name that a model gives its table, as the
    database's catalog has it. swapped: the settings of swappable models that name
    another model, as {"AUTH_USER_MODEL": "accounts.User"}. allowed: may something of this app be migrated on this database?
    Asked with the hints that Django gives to a router. states: those in which the models are looked up.
    """

    shorten: Callable[[str], str] = str
    canonical: Callable[[str], str] = str
    swapped: Callable[[str], str | None] = lambda setting: None
    allowed: Callable[[str, Mapping[str, Any]], bool] = lambda app_label, hints: True
    states: tuple[State, ...] = field(default=(), repr=False)

    def within(self, undo: Undo) -> Names:
        """The same, for the models in the states of this operation."""
        return replace(self, states=(undo.from_state, undo.to_state))

    def table(self, model: ModelState) -> str:
        return self.canonical(self._written(model))

    def _written(self, model: ModelState) -> str:
        return str(model.options.get("db_table") or self.shorten(f"{model.app_label}_{model.name_lower}"))

    def column(self, name: str, model_field: Field[Any, Any]) -> str | None:
        """The column of a field; None, if it has none of its own (many-to-many, composite keys)."""
        bound: Any = copy.copy(model_field)  # clone() takes many times as long
        bound.name = None
        bound.set_attributes_from_name(name)
        return None if bound.many_to_many else bound.column

    def join_table(self, model: ModelState, name: str, model_field: Any) -> str | None:
        """The table that Django makes for a many-to-many field; None, if the project has a model of its own for it."""
        if not model_field.many_to_many or model_field.remote_field.through is not None:
            return None
        written = self._written(model)
        bare = written[1:-1] if written[0] == written[-1] == '"' else written
        return self.canonical(model_field.db_table or self.shorten(f"{bare}_{name}"))

    def join_columns(self, model: ModelState, model_field: Any) -> tuple[str, str]:
        """The columns of such a table: to the model of the field, and to the model that the field points to."""
        source = model.app_label, model.name_lower
        target = resolve_relation(model_field.remote_field.model, *source)
        to_itself = ("from_", "to_") if target == source else ("", "")
        return f"{to_itself[0]}{source[1]}_id", f"{to_itself[1]}{target[1]}_id"

    def lives_here(self, model: ModelState) -> bool:
        """Has this model a table in this database, as far as the migrations know?"""
        options = model.options
        swappable = options.get("swappable")
        swapped = self.swapped(swappable) if swappable else None
        return (
            options.get("managed", True)
            and not options.get("proxy", False)
            and (swapped is None or swapped.lower() == f"{model.app_label}.{model.name_lower}")
            and self.allowed(model.app_label, {"model_name": model.name_lower, "model": self._class_of(model)})
        )

    def _class_of(self, model: ModelState) -> Any:
        """Its class, rendered when a router looks at it: most look at the names alone, and rendering costs."""
        return SimpleLazyObject(lambda: class_of(model, self.states))


def name_of_code(code: Any) -> str:
    """The dotted name of a function; of a callable object that of its class, of a partial that of what it calls."""
    while isinstance(code, partial):
        code = code.func
    named = code if hasattr(code, "__qualname__") else type(code)
    return f"{getattr(named, '__module__', None) or 'builtins'}.{named.__qualname__}"
