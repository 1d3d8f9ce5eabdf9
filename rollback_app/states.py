"""Walks a plan backwards and gives each operation the project states before and after it.

Django's executor computes its states in the order of the full forward plan, which is wrong for a plan in another order:
it can drop a kept column in silence. Here the states are computed for the very order of the plan: first all migrations
that stay, then those of the plan, oldest first.

Two things keep the cost at what the operations touch, instead of the size of the project. A state is not copied for each
operation: only the models that it changes are, and what they were before is noted; walking backwards puts the notes back.
And a state is not rendered whole (into model classes) for an operation that can see only one model and its neighbourhood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.operations import (
    RenameField,
    RenameModel,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState, StateApps, get_related_models_recursive
from django.db.migrations.utils import resolve_relation
from django.db.models import Field
from django.utils.functional import cached_property

Model = tuple[str, str]  # app label, lower-case model name


@dataclass(frozen=True)
class Undo:
    """One operation to undo. index: its place in `Migration.operations`, from 0. from_state holds its effect, to_state
    does not."""

    index: int
    operation: Operation
    from_state: ProjectState
    to_state: ProjectState


@dataclass(frozen=True)
class _Change:
    index: int
    operation: Operation
    before: Mapping[Model, ModelState | None]


class States:
    """The states of a plan.

    kept: the applied migrations that stay, in an order that their dependencies allow. undone: those of the plan, oldest
    first. real_apps: the labels of the apps without migrations. Raises whatever an operation's `state_forwards` raises
    when the history is not consistent (KeyError, FieldDoesNotExist, …).
    """

    def __init__(self, kept: Iterable[Migration], undone: Sequence[Migration], real_apps: Iterable[str]) -> None:
        self._renderer = _Renderer(set(real_apps))
        models: dict[Model, ModelState] = {}
        for migration in kept:
            for operation in migration.operations:
                if _changes_references(operation):
                    models, _ = _forwards(models, operation, migration.app_label)
                else:
                    operation.state_forwards(migration.app_label, _state_on(models))
        self._journal: list[tuple[Migration, list[_Change]]] = []
        for migration in undone:
            changes = []
            for index, operation in enumerate(migration.operations):
                models, before = _forwards(models, operation, migration.app_label)
                changes.append(_Change(index, operation, before))
            self._journal.append((migration, changes))
        self._models = models

    def start(self) -> ProjectState:
        """The state before the run: everything applied."""
        return self._state(self._models)

    def end(self) -> ProjectState:
        """The state after the run: only what stays."""
        models = dict(self._models)
        for _, changes in reversed(self._journal):
            for change in reversed(changes):
                _put_back(models, change.before)
        return self._state(models)

    def backwards(self) -> Iterator[tuple[Migration, list[Undo]]]:
        """Each migration, newest first, with its operations, last first. States that are equal are the same object, so
        that each is rendered once at the most."""
        state = self.start()
        for migration, changes in reversed(self._journal):
            undos = []
            for change in reversed(changes):
                to_state = state
                if change.before:
                    models = dict(state.models)
                    _put_back(models, change.before)
                    to_state = self._state(models)
                undos.append(Undo(change.index, change.operation, state, to_state))
                state = to_state
            yield migration, undos

    def _state(self, models: dict[Model, ModelState]) -> ProjectState:
        return _State(models, self._renderer)


def database_operations(undo: Undo, app_label: str) -> list[Undo]:
    """What really runs on the database, last first: the operation itself, or those inside a SeparateDatabaseAndState, at any
    depth, each with its own states (as SeparateDatabaseAndState.database_backwards computes them)."""
    if not isinstance(undo.operation, SeparateDatabaseAndState):
        return [_with_what_it_sees(undo, app_label)]
    inner = []
    state: Any = undo.to_state
    for operation in undo.operation.database_operations:
        models, before = _forwards(state.models, operation, app_label)
        after = _State(models, state.renderer) if before else state
        inner.append(Undo(undo.index, operation, from_state=after, to_state=state))
        state = after
    return [found for nested in reversed(inner) for found in database_operations(nested, app_label)]


def _put_back(models: dict[Model, ModelState], before: Mapping[Model, ModelState | None]) -> None:
    for key, old in before.items():
        if old is None:
            models.pop(key, None)  # an operation may make a model and take it away again
        else:
            models[key] = old


def _forwards(
    models: Mapping[Model, ModelState], operation: Operation, app_label: str
) -> tuple[dict[Model, ModelState], dict[Model, ModelState | None]]:
    """The models after an operation, and those that it changed as they were before; the given ones stay untouched."""
    touched = _CopyOnTouch(models, deep=_changes_references(operation))
    operation.state_forwards(app_label, _state_on(touched))
    return dict(touched.raw_items()), touched.before


def _state_on(models: dict[Model, ModelState]) -> ProjectState:
    """A state that works on this very dict (ProjectState's own constructor would replace an empty one)."""
    state = ProjectState()
    state.models = models
    return state


def _changes_references(operation: Operation) -> bool:
    """Does it change fields of models that it does not name? Django's own operations do so only when they rename; of
    others we do not know."""
    if isinstance(operation, SeparateDatabaseAndState):
        return any(_changes_references(nested) for nested in operation.state_operations)
    return isinstance(operation, (RenameModel, RenameField)) or not type(operation).__module__.startswith("django.")


class _CopyOnTouch(dict[Model, ModelState]):
    """The models of a state, each copied when it is first handed out, and noted in `before`.

    deep: models met while looking through all of them are copied too, with their fields, since RenameField changes the
    fields that point to the renamed one in place. Otherwise looking through them is only reading.
    """

    def __init__(self, models: Mapping[Model, ModelState], *, deep: bool) -> None:
        super().__init__(models)
        self.before: dict[Model, ModelState | None] = {}
        self.deep = deep

    def raw_items(self) -> Any:
        return super().items()

    def _touch(self, key: Model) -> ModelState:
        found = super().__getitem__(key)
        if key in self.before:
            return found
        copied = found.clone()
        if self.deep:
            copied.fields = {name: field.clone() for name, field in copied.fields.items()}
        self.before[key] = found
        super().__setitem__(key, copied)
        return copied

    def __getitem__(self, key: Model) -> ModelState:
        return self._touch(key)

    def get(self, key: Model, default: Any = None) -> Any:
        return self._touch(key) if key in self else default

    def items(self) -> Any:
        return [(key, self._touch(key) if self.deep else model) for key, model in list(super().items())]

    def values(self) -> Any:
        return [model for _, model in self.items()]

    def __setitem__(self, key: Model, value: ModelState) -> None:
        self.before.setdefault(key, super().get(key))
        super().__setitem__(key, value)

    def __delitem__(self, key: Model) -> None:
        self.before.setdefault(key, super().get(key))
        super().__delitem__(key)

    def pop(self, key: Model, *default: Any) -> Any:
        if key not in self:
            return super().pop(key, *default)
        value = self._touch(key)
        super().__delitem__(key)
        return value


# Rendering


class _Renderer:
    """Renders whole states one after the other: only what differs from the last one rendered, and what is related to it, as
    Django does when it goes from state to state (ProjectState.reload_models)."""

    def __init__(self, real_apps: set[str]) -> None:
        self.real_apps = real_apps
        self.last: tuple[Mapping[Model, ModelState], StateApps] | None = None

    def render(self, state: ProjectState) -> StateApps:
        if self.last is None:
            apps = StateApps(sorted(self.real_apps), state.models)
        else:
            models, last = self.last
            apps = last.clone()
            state.apps = apps
            changed = {
                key for key in models.keys() | state.models.keys() if models.get(key) is not state.models.get(key)
            }
            gone = changed - state.models.keys()
            for key in gone:
                changed |= get_related_models_recursive(apps.get_model(*key))
            state.reload_models(sorted(changed & state.models.keys()), delay=False)
            for key in gone:
                apps.all_models[key[0]].pop(key[1], None)
            apps.clear_cache()
        self.last = state.models, apps
        return apps


class _State(ProjectState):
    """A state that is rendered when somebody looks at its models, starting from the last one that was."""

    def __init__(self, models: dict[Model, ModelState], renderer: _Renderer) -> None:
        super().__init__(real_apps=renderer.real_apps)
        self.models = models
        self.renderer = renderer

    @cached_property
    def apps(self) -> StateApps:
        return self.renderer.render(self)


class _Neighbourhood(ProjectState):
    """A state of which only some models are rendered."""

    def __init__(self, state: ProjectState, rendered: dict[Model, ModelState]) -> None:
        super().__init__(real_apps=state.real_apps)
        self.models = state.models
        self.rendered = rendered

    @cached_property
    def apps(self) -> StateApps:
        return StateApps([], self.rendered)


# Undone by looking at their own model, its parents, and the columns that its relations point to. Renames are not among them:
# they look at what points to their model.
_LOCAL = frozenset(
    [
        *(
            "CreateModel",
            "DeleteModel",
            "AddField",
            "RemoveField",
            "AlterField",
            "AddIndex",
            "RemoveIndex",
            "RenameIndex",
        ),
        *("AddConstraint", "RemoveConstraint", "AlterUniqueTogether", "AlterIndexTogether", "AlterModelTableComment"),
        *("AlterOrderWithRespectTo", "AddIndexConcurrently", "RemoveIndexConcurrently"),
    ]
)


def _with_what_it_sees(undo: Undo, app_label: str) -> Undo:
    """The same, with states of which only the neighbourhood of the operation's model is rendered, where that is known to be
    all that it looks at."""
    operation: Any = undo.operation
    kind = type(operation)
    if kind.__name__ not in _LOCAL or not kind.__module__.startswith("django."):
        return undo
    key = app_label, str(getattr(operation, "model_name", None) or operation.name).lower()
    if kind.__name__ == "AlterField" and not all(
        _plain(state.models[key].fields[operation.name]) for state in (undo.from_state, undo.to_state)
    ):
        return undo
    states = []
    for state in (undo.from_state, undo.to_state):
        rendered = _neighbourhood(state.models, key) if key in state.models else {}
        if rendered is None:
            return undo
        states.append(_Neighbourhood(state, rendered))
    return Undo(undo.index, undo.operation, *states)


def _plain(field: Field[Any, Any]) -> bool:
    """Can no other table have a column that follows this one?"""
    return not (field.primary_key or field.unique or field.is_relation)


def _neighbourhood(models: Mapping[Model, ModelState], focus: Model) -> dict[Model, ModelState] | None:
    """The model and its parents, and of what they point to just the columns that can be pointed to. None, if that cannot be
    told."""
    found: dict[Model, ModelState] = {}
    whole, stubs = [focus], set[Model]()
    while whole:
        key = whole.pop()
        model = models.get(key)
        if model is None or any(_is_table(base) for base in model.bases):
            return None
        found[key] = model
        whole += [resolve_relation(base, key[0]) for base in model.bases if isinstance(base, str)]
        stubs |= _targets(model.fields.values(), key)
    while stubs:
        key = stubs.pop()
        if key not in found:
            model = models.get(key)
            if model is None or any(isinstance(base, str) for base in model.bases) or _composite(model):
                return None
            found[key] = stub = _stub(model)
            stubs |= _targets(stub.fields.values(), key)
    return found


def _is_table(base: Any) -> bool:
    """Is this base the class of a model with a table, of an app without migrations?"""
    return not isinstance(base, str) and hasattr(base, "_meta") and not base._meta.abstract


def _targets(fields: Iterable[Any], owner: Model) -> set[Model]:
    """The models that these fields point to, or go through."""
    remotes = [field.remote_field for field in fields if field.is_relation]
    names = [name for remote in remotes for name in (remote.model, getattr(remote, "through", None)) if name]
    return {resolve_relation(name, *owner) for name in names} - {owner}


def _composite(model: ModelState) -> bool:
    return any(type(field).__name__ == "CompositePrimaryKey" for field in model.fields.values())


def _stub(model: ModelState) -> ModelState:
    """A model with only the columns that a foreign key can point to, and what says where it lives."""
    return ModelState(
        model.app_label,
        model.name,
        [(name, field) for name, field in model.fields.items() if field.primary_key or not field.is_relation],
        {name: value for name, value in model.options.items() if name in ("db_table", "managed", "swappable")},
    )
