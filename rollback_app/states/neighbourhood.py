"""What an operation can see of the state that it works on. Only that is rendered for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.migrations.operations import RunPython
from django.db.migrations.state import ModelState, StateApps
from django.db.migrations.utils import resolve_relation
from django.db.models import Field, ForeignKey
from django.utils.functional import cached_property

from .operation_kinds import acts_as
from .relations import Model, is_table, key_of, targets_of, well_known
from .rendering import Apps, Asked, State


class _Neighbourhood(State):
    """A state of which only some models are rendered."""

    def __init__(self, state: State, rendered: dict[Model, ModelState]) -> None:
        super().__init__(state.models, state.real_apps, state.known)
        self.rendered = rendered

    @cached_property
    def apps(self) -> StateApps:
        try:
            return Apps([], self.rendered)
        # Fields and base classes of others may ask for more than is here, and raise anything. Django renders everything.
        except Exception:  # noqa: BLE001
            return self.anew(State).apps


# Undone by looking at their own model, its parents, and the columns that its relations point to. RenameModel is not among
# them: it looks at what points to its model.
_LOCAL = frozenset(
    [
        *("CreateModel", "DeleteModel", "AddField", "RemoveField", "AlterField", "RenameField"),
        *("AddIndex", "RemoveIndex", "RenameIndex"),
        *("AddConstraint", "RemoveConstraint", "AlterUniqueTogether", "AlterIndexTogether", "AlterModelTableComment"),
        *("AlterOrderWithRespectTo", "AddIndexConcurrently", "RemoveIndexConcurrently"),
    ]
)


def what_it_sees(operation: Any, before: State, after: State, app_label: str) -> tuple[State, State]:
    """These states, of which only that is rendered which the operation is known to look at."""
    # Always new ones, so that both are rendered for this operation, in the order in which it looks at them: SQLite's schema
    # editor sorts the columns of a table that it remakes by when their fields were made.
    kind = acts_as(operation)
    everything = before.anew(State), after.anew(State)
    if kind is RunPython:  # code, which asks for what it wants
        return before.anew(Asked), everything[1]
    if kind is None or kind.__name__ not in _LOCAL:
        return everything
    key = app_label, str(getattr(operation, "model_name", None) or operation.name).lower()
    names = {"AlterField": ("name", "name"), "RenameField": ("new_name", "old_name")}.get(kind.__name__, ())
    models = [state.models.get(key) for state in (before, after)]
    fields = [model and model.fields.get(getattr(operation, name)) for model, name in zip(models, names, strict=False)]
    if not all(map(_plain, fields)):
        return everything
    name = str(getattr(operation, "name", ""))
    rendered = [_neighbourhood(state.models, key, name) if key in state.models else {} for state in (before, after)]
    if rendered[0] is None or rendered[1] is None:
        return everything
    return _Neighbourhood(before, rendered[0]), _Neighbourhood(after, rendered[1])


def _plain(field: Field[Any, Any] | None) -> bool:
    """Can no other table have a column that follows this one? None: a field that others' operations keep to themselves."""
    return field is not None and not field.unique and (not field.is_relation or type(field) is ForeignKey)


def _neighbourhood(models: Mapping[Model, ModelState], focus: Model, name: str) -> dict[Model, ModelState] | None:
    """The model and its parents, and of what they point to just the columns that can be pointed to. None, if that cannot be
    told. name: of the field or the model that the operation is about; many-to-many fields have tables of their own, and
    other operations do not look at them."""
    found: dict[Model, ModelState] = {}
    wanted: dict[Model, set[str]] = {}
    whole, stubs = [focus], set[Model]()
    while whole:
        key = whole.pop()
        model = models.get(key)
        if model is None:
            return None
        if name.lower() != model.name_lower:
            model = _without_other_tables(model, name)
        if not well_known(model):
            return None
        found[key] = model
        whole += [resolve_relation(base, key[0]) for base in model.bases if isinstance(base, str)]
        stubs |= _pointed(model, wanted)
    complete = set(found)
    while stubs := stubs - complete:
        key = stubs.pop()
        model = models.get(key)
        if model is None or any(isinstance(base, str) for base in model.bases) or _composite(model):
            return None
        found[key] = stub = _stub(model, wanted[key])
        if not well_known(stub):
            return None
        stubs |= _pointed(stub, wanted)
    return found


def _pointed(model: ModelState, wanted: dict[Model, set[str]]) -> set[Model]:
    """The models that this one points to, or goes through, in a way that is new to `wanted`, which notes at which columns."""
    new = set()
    for field in model.fields.values():
        names = {name for name in getattr(field, "to_fields", ()) if name}
        for target in targets_of([field], key_of(model)):
            if target not in wanted or not names <= wanted[target]:
                wanted.setdefault(target, set()).update(names)
                new.add(target)
    return new


def _without_other_tables(model: ModelState, name: str) -> ModelState:
    """The model without its many-to-many fields, except the one of this name."""
    fields = {key: field for key, field in model.fields.items() if not field.many_to_many or key == name}
    if len(fields) == len(model.fields):
        return model
    found = model.clone()
    found.fields = fields
    return found


def _composite(model: ModelState) -> bool:
    return any(type(field).__name__ == "CompositePrimaryKey" for field in model.fields.values())


def _stub(model: ModelState, wanted: set[str]) -> ModelState:
    """A model with only the columns that a foreign key points to, what says where it lives, and the bases without a table, which
    fields of others may look for."""
    return ModelState(
        model.app_label,
        model.name,
        [(name, field) for name, field in model.fields.items() if field.unique or name in wanted],
        {name: value for name, value in model.options.items() if name in ("db_table", "managed", "swappable")},
        tuple(base for base in model.bases if not is_table(base)),
    )
