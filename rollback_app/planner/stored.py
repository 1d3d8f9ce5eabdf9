"""How the values of a field are stored, for fields that are bound to no model."""

from __future__ import annotations

from typing import Any

from django.db.migrations.state import ProjectState
from django.db.migrations.utils import resolve_relation
from django.db.models import NOT_PROVIDED, Field


def stored_as(state: ProjectState, owner: tuple[str, str], model_field: Any) -> Field[Any, Any] | None:
    """A field whose values are stored as those of this field, with the same defaults: for a foreign key one like the field
    that it points to, since it is bound to no model and knows neither. None if that is not known.

    owner: app label and lower-case name of the model that has the field."""
    found = model_field
    while found is not None and found.is_relation:
        key = resolve_relation(found.remote_field.model, *owner)
        wanted, target = found.remote_field.field_name, state.models.get(key)
        fields = target.fields.items() if target else ()
        found = next((each for name, each in fields if name == wanted or (wanted is None and each.primary_key)), None)
        owner = key
    if found is None or found is model_field:
        return found
    stored = found.clone()
    stored.null, stored.blank, stored.default = model_field.null, False, model_field.default
    stored.db_default = getattr(model_field, "db_default", NOT_PROVIDED)  # Django 5.0 and later
    return stored  # type: ignore[no-any-return]
