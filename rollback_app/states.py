"""Walks a plan backwards and gives each operation the project states before and after it.

Django's executor computes its states in the order of the full forward plan, which is wrong for a plan in another order:
it can drop a kept column in silence. Here the states are computed for the very order of the plan: first all migrations
that stay, then those of the plan, oldest first.

Two things keep the cost at what the operations touch, instead of the size of the project. A state is not copied for each
operation: only the models that it changes are, and what they were before is noted; walking backwards puts the notes back.
And a state is not rendered whole (into model classes) for an operation that can see only one model and its neighbourhood.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.checks.model_checks import _check_lazy_references  # type: ignore[attr-defined]
from django.db.migrations import Migration
from django.db.migrations.operations import (
    RenameField,
    RenameModel,
    RunPython,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import AppConfigStub, ModelState, ProjectState, StateApps
from django.db.migrations.utils import resolve_relation
from django.db.models import Field, ForeignKey
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

    @property
    def rendered_everything(self) -> bool:
        """Did the operation look at states that had to be rendered whole?"""
        return any(_is_whole(state) for state in (self.from_state, self.to_state))


_Before = Mapping[Model, ModelState | None]


@dataclass(frozen=True)
class _Change:
    """before: the models that the operation changed, as they were; None for one that it made. order: of all models before,
    if it took one away: Django goes through related models in this order."""

    index: int
    operation: Operation
    before: _Before
    order: tuple[Model, ...] = ()

    def undo(self, models: dict[Model, ModelState]) -> dict[Model, ModelState]:
        """The models as they were, from those after it."""
        found = dict(models)
        for key, old in self.before.items():
            if old is None:
                found.pop(key, None)  # it may have been made and taken away by the same operation
            else:
                found[key] = old
        return {key: found[key] for key in self.order} if self.order else found


class States:
    """The states of a plan.

    kept: the applied migrations that stay, in an order that their dependencies allow. undone: those of the plan, oldest
    first. real_apps: the labels of the apps without migrations. Raises whatever an operation's `state_forwards` raises
    when the history is not consistent (KeyError, FieldDoesNotExist, …).
    """

    def __init__(self, kept: Iterable[Migration], undone: Sequence[Migration], real_apps: Iterable[str]) -> None:
        self._real_apps = set(real_apps)
        models: dict[Model, ModelState] = {}
        self._relations = _Relations()
        for migration in kept:
            for operation in migration.operations:
                models, _ = _forwards(models, operation, migration.app_label, self._relations)
        self._journal: list[tuple[Migration, list[_Change]]] = []
        for migration in undone:
            changes = []
            for index, operation in enumerate(migration.operations):
                order = tuple(models)
                models, before = _forwards(models, operation, migration.app_label, self._relations)
                changes.append(_Change(index, operation, before, () if before.keys() <= models.keys() else order))
            self._journal.append((migration, changes))
        self._models = models

    @property
    def fresh(self) -> bool:
        """Have the migrations still the operations that they had? Receivers of pre_migrate add some."""
        return all(len(migration.operations) == len(changes) for migration, changes in self._journal)

    def start(self) -> ProjectState:
        """The state before the run, everything applied, of which only what is asked for is rendered."""
        return _Asked(self._models, self._real_apps, self._relations)

    def end(self) -> ProjectState:
        """The state after the run: only what stays. Always the same object, since rendering it costs."""
        return self._end

    @cached_property
    def _end(self) -> ProjectState:
        models = self._models
        for _, changes in reversed(self._journal):
            for change in reversed(changes):
                models = change.undo(models)
        return self._state(models)

    def backwards(self) -> Iterator[tuple[Migration, list[Undo]]]:
        """Each migration, newest first, with its operations, last first."""
        state: ProjectState = self._state(self._models)
        for migration, changes in reversed(self._journal):
            undos = []
            for change in reversed(changes):
                to_state = state
                if change.before:
                    to_state = self._state(change.undo(state.models))
                undos.append(Undo(change.index, change.operation, state, to_state))
                state = to_state
            yield migration, undos

    def _state(self, models: dict[Model, ModelState]) -> ProjectState:
        return _State(models, self._real_apps, self._relations)


def database_operations(undo: Undo, app_label: str) -> list[Undo]:
    """What really runs on the database, last first: the operation itself, or those inside a SeparateDatabaseAndState, at any
    depth, each with its own states (as SeparateDatabaseAndState.database_backwards computes them)."""
    if not isinstance(undo.operation, SeparateDatabaseAndState):
        return [_with_what_it_sees(undo, app_label)]
    inner = []
    state: Any = undo.to_state
    for operation in undo.operation.database_operations:
        models, before = _forwards(state.models, operation, app_label, state.known)
        after = _State(models, state.real_apps, state.known) if before else state
        inner.append(Undo(undo.index, operation, from_state=after, to_state=state))
        state = after
    return [found for nested in reversed(inner) for found in database_operations(nested, app_label)]


def leaves(undos: Iterable[Undo], app_label: str) -> list[Undo]:
    """What really runs for these, in its order."""
    return [nested for undo in undos for nested in database_operations(undo, app_label)]


def number_of_leaves(operations: Iterable[Operation]) -> int:
    """How many operations `leaves` gives for these, without their states."""
    return sum(
        number_of_leaves(operation.database_operations) if isinstance(operation, SeparateDatabaseAndState) else 1
        for operation in operations
    )


class _Relations:
    """What is known of the relations in all states of a plan, so that nobody need look through all models for them.

    well_known: are they all such that one can tell from a model's state what it refers to?
    """

    def __init__(self) -> None:
        self.well_known = True
        self._referring: dict[Model, set[Model]] = defaultdict(set)

    def note(self, model: ModelState) -> None:
        """That there is a model, or that it is another now."""
        self.well_known = self.well_known and _well_known(model)
        for target in _seen_from(model):
            self._referring[target].add(_key(model))

    def may_refer_to(self, key: Model) -> set[Model]:
        """All that did in some state, under the names that both had then."""
        return self._referring[key]


def _forwards(
    models: Mapping[Model, ModelState], operation: Operation, app_label: str, relations: _Relations
) -> tuple[dict[Model, ModelState], dict[Model, ModelState | None]]:
    """The models after an operation, and those that it changed as they were before; the given ones stay untouched."""
    about, deep = _renamed(operation, app_label), _changes_references(operation)
    searched: Iterable[Model] = models if deep else ()
    if about:
        searched = {about, *relations.may_refer_to(about)}
    touched = _CopyOnTouch(models, searched, about, deep=deep)
    state = ProjectState()
    state.models = touched  # its constructor would replace an empty one
    operation.state_forwards(app_label, state)
    after = dict(touched.raw_items())
    for key in touched.before.keys() & after.keys():
        relations.note(after[key])
    return after, touched.before


def _changes_references(operation: Operation) -> bool:
    """Does it change fields of models that it does not name? Django's own operations do so only when they rename; of
    others we do not know."""
    if isinstance(operation, SeparateDatabaseAndState):
        return any(_changes_references(nested) for nested in operation.state_operations)
    return isinstance(operation, (RenameModel, RenameField)) or not type(operation).__module__.startswith("django.")


def _renamed(operation: Operation, app_label: str) -> Model | None:
    """The model that Django's own renaming is about."""
    if type(operation) is RenameField:
        return app_label, str(operation.model_name_lower)
    return (app_label, str(operation.old_name_lower)) if type(operation) is RenameModel else None


class _CopyOnTouch(dict[Model, ModelState]):
    """The models of a state, each copied when it is first handed out, and noted in `before`.

    deep: with their fields, since RenameField changes those that point to the renamed one in place.
    searched: what an operation is given that looks through all models. None for AlterField, which does so only to know what
    has to be rendered again: nothing is rendered here. about: the one model that it looks for, if that is known.
    """

    def __init__(
        self, models: Mapping[Model, ModelState], searched: Iterable[Model], about: Model | None, *, deep: bool
    ) -> None:
        super().__init__(models)
        self.before: dict[Model, ModelState | None] = {}
        self.searched, self.about, self.deep = searched, about, deep

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
        keys = [key for key in {**dict.fromkeys(self.searched), **self.before} if key in self]
        return [(key, self._touch(key)) for key in keys if self.about is None or self._refers(key)]

    def _refers(self, key: Model) -> bool:
        model = super().__getitem__(key)
        return self.about in {_key(model), *_targets(model.fields.values(), _key(model))}

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


class _Apps(StateApps):
    """Keeps its caches to itself. Django's registries share theirs, and each model that is rendered empties them for all: then
    every foreign key goes through all models of the project again, to see whether it points to a swappable one."""

    whole = False  # does it hold all models of its state?
    get_models: Any = cache(StateApps.get_models.__wrapped__)  # type: ignore[attr-defined]
    get_swappable_settings_name: Any = cache(StateApps.get_swappable_settings_name.__wrapped__)  # type: ignore[attr-defined]


class _State(ProjectState):
    """A state that is rendered whole, by Django itself, when somebody looks at its models."""

    def __init__(self, models: dict[Model, ModelState], real_apps: set[str], relations: _Relations) -> None:
        super().__init__(real_apps=real_apps)
        self.models = models
        self.known = relations

    def anew(self, kind: type[_State]) -> _State:
        """The same, not rendered yet."""
        return kind(self.models, self.real_apps, self.known)


def _is_whole(state: ProjectState) -> bool:
    apps = vars(state).get("apps")
    return apps is not None and getattr(apps, "whole", True)


class _Asked(_State):
    """A state of which only what code asks for is rendered."""

    @cached_property
    def apps(self) -> StateApps:
        return _AskedApps(self.models, self.real_apps, self.known)


class _AskedApps(_Apps):
    """Renders a model when it is asked for, with all that it points to; and the rest as soon as somebody looks back.

    What points to a model is seen through its reverse accessors, which are stand-ins until then, and through the list of
    all models, from which Django works out everything else that it knows about relations.
    """

    whole = True  # while Django sets up the empty registry

    def __init__(self, models: Mapping[Model, ModelState], real_apps: set[str], relations: _Relations) -> None:
        super().__init__([], {})
        self.states = models
        self.real_apps = real_apps
        self.relations = relations
        self.waiting = dict(models)
        self.whole = False
        for label in sorted({*real_apps, *(key[0] for key in models)}):
            self.app_configs[label] = stub = AppConfigStub(label)
            stub.apps = self
            stub.import_models()

    def get_model(self, app_label: str, model_name: str | None = None, require_ready: bool = True) -> Any:
        label, name = app_label.split(".") if model_name is None else (app_label, model_name)
        self._want((label, name.lower()))
        return self.all_models[label].get(name.lower()) or super().get_model(label, name, require_ready)

    @cache  # noqa: B019 - as in the class above, which empties the cache by this name
    def get_models(self, include_auto_created: bool = False, include_swapped: bool = False) -> Any:
        self.complete()
        return super().get_models.__wrapped__(self, include_auto_created, include_swapped)

    def get_app_config(self, app_label: str) -> Any:
        self.complete()
        return super().get_app_config(app_label)

    def get_app_configs(self) -> Any:
        self.complete()
        return super().get_app_configs()

    def _want(self, key: Model) -> None:
        """Render a model and all that can be reached from it along its own relations and bases."""
        if key in self.waiting and self.relations.well_known:
            found, todo = set[Model](), [key]
            while todo:
                name = todo.pop()
                if name in self.waiting and name not in found:
                    found.add(name)
                    todo += _seen_from(self.states[name])
                elif name not in self.states:
                    break  # a state that is not consistent; Django says so when it renders all of it
            else:
                self.render_multiple([self.waiting.pop(name) for name in self._in_order(found)])
                self._put_stand_ins(found)
                return
        if key not in self.states or key in self.waiting:
            self.complete()

    def _in_order(self, keys: Collection[Model]) -> list[Model]:
        return [key for key in self.waiting if key in keys]

    def _put_stand_ins(self, rendered: Iterable[Model]) -> None:
        """In the place of each reverse accessor that a model not rendered yet would have put on these."""
        referring, todo = set[Model](), list(rendered)
        while todo:
            seen = todo.pop()
            new = (self.relations.may_refer_to(seen) & self.states.keys()) - referring
            referring |= new
            todo += [
                key for key in new if seen in _bases(self.states[key])
            ]  # accessors of an heir are on its parents too
        for key in self._in_order(referring):
            for target, name in _accessors(self.waiting[key], self.states):
                there = self.all_models[target[0]].get(target[1])
                if there is not None and name not in vars(there):
                    setattr(there, name, _StandIn(name, self))

    def complete(self) -> None:
        """Render what is left, and bring all into the order that it would have if it had been rendered at once."""
        if self.whole:
            return
        self.whole = True
        for models in self.all_models.values():
            for model in models.values():
                for name in [name for name, value in vars(model).items() if isinstance(value, _StandIn)]:
                    delattr(model, name)
        self.real_models = StateApps(sorted(self.real_apps), {}).real_models
        rest = [*self.waiting.values(), *self.real_models]
        self.waiting.clear()
        self.render_multiple(rest)
        order = {key: place for place, key in enumerate(self.states)}
        for models in self.all_models.values():
            ordered = sorted(models.items(), key=lambda item: order.get(_owner(item[1]), len(order)))
            models.clear()
            models.update(ordered)
        self.clear_cache()
        if errors := _check_lazy_references(self, ignore=set()):  # as StateApps does
            raise ValueError("\n".join(error.msg for error in errors))


class _StandIn:
    """Stands where a reverse accessor will be, and makes way for it when it is looked at."""

    def __init__(self, name: str, apps: _AskedApps) -> None:
        self.name, self.apps = name, apps

    def __get__(self, instance: Any, owner: type) -> Any:
        self.apps.complete()
        return getattr(owner if instance is None else instance, self.name)

    def __set__(self, instance: Any, value: Any) -> None:
        self.apps.complete()
        setattr(instance, self.name, value)


def _well_known(model: ModelState) -> bool:
    """Are its relations all of Django's own kinds, and its bases all among the states?"""
    relations = [field for field in model.fields.values() if field.is_relation]
    return not any(_is_table(base) for base in model.bases) and all(
        type(field).__module__.startswith("django.db.models.") for field in relations
    )


def _key(model: ModelState) -> Model:
    return model.app_label, model.name_lower


def _bases(model: ModelState) -> list[Model]:
    return [resolve_relation(base, model.app_label) for base in model.bases if isinstance(base, str)]


def _seen_from(model: ModelState) -> set[Model]:
    return {*_targets(model.fields.values(), _key(model)), *_bases(model)}


def _owner(model: Any) -> Model:
    """The model itself, or the one whose many-to-many field made it."""
    options = (model._meta.auto_created or model)._meta
    return options.app_label, options.model_name


def _accessors(model: ModelState, states: Mapping[Model, ModelState]) -> Iterator[tuple[Model, str]]:
    """(model, name) of each attribute that this model puts on the models that it points to. Some that it does not: a
    stand-in too many only makes way for nothing."""
    words = {"class": model.name_lower, "model_name": model.name_lower, "app_label": model.app_label}
    ordered = {f"get_{model.name_lower}_order", f"set_{model.name_lower}_order"}
    for target in _bases(model):
        yield target, model.name_lower
    fields: Iterable[Any] = model.fields.values()
    for field in fields:
        if field.is_relation:
            related_name = field.remote_field.related_name or model.options.get("default_related_name")
            names = {related_name % words} if related_name else {model.name_lower, f"{model.name_lower}_set"}
            for target in _lineage(resolve_relation(field.remote_field.model, *_key(model)), states):
                yield from ((target, name) for name in names | ordered)


def _lineage(key: Model, states: Mapping[Model, ModelState]) -> Iterator[Model]:
    """A model and what it inherits from: accessors of a proxy are on the model behind it."""
    yield key
    for base in _bases(states[key]) if key in states else ():  # not there: of an app without migrations
        yield from _lineage(base, states)


class _Neighbourhood(_State):
    """A state of which only some models are rendered."""

    def __init__(self, state: _State, rendered: dict[Model, ModelState]) -> None:
        super().__init__(state.models, state.real_apps, state.known)
        self.rendered = rendered

    @cached_property
    def apps(self) -> StateApps:
        return _Apps([], self.rendered)


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


def _with_what_it_sees(undo: Undo, app_label: str) -> Undo:
    """The same, with states of which only that is rendered which the operation is known to look at."""
    operation: Any = undo.operation
    before: Any = undo.from_state
    after: Any = undo.to_state
    # Always new ones, so that both are rendered for this operation, in the order in which it looks at them: SQLite's schema
    # editor sorts the columns of a table that it remakes by when their fields were made.
    everything = Undo(undo.index, operation, before.anew(_State), after.anew(_State))
    kind = type(operation)
    if kind is RunPython:
        return Undo(undo.index, operation, before.anew(_Asked), everything.to_state)
    if kind.__name__ not in _LOCAL or not kind.__module__.startswith("django."):
        return everything
    key = app_label, str(getattr(operation, "model_name", None) or operation.name).lower()
    names = {"AlterField": ("name", "name"), "RenameField": ("new_name", "old_name")}.get(kind.__name__, ())
    if not all(
        _plain(state.models[key].fields[getattr(operation, name)])
        for state, name in zip((before, after), names, strict=False)
    ):
        return everything
    states = []
    name = str(getattr(operation, "name", ""))
    for state in (before, after):
        rendered = _neighbourhood(state.models, key, name) if key in state.models else {}
        if rendered is None:
            return everything
        states.append(_Neighbourhood(state, rendered))
    return Undo(undo.index, operation, *states)


def _plain(field: Field[Any, Any]) -> bool:
    """Can no other table have a column that follows this one?"""
    return not field.unique and (not field.is_relation or type(field) is ForeignKey)


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
        if model is None or any(_is_table(base) for base in model.bases):
            return None
        if name.lower() != model.name_lower:
            model = _without_other_tables(model, name)
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
        stubs |= _pointed(stub, wanted)
    return found


def _pointed(model: ModelState, wanted: dict[Model, set[str]]) -> set[Model]:
    """The models that this one points to, or goes through, in a way that is new to `wanted`, which notes at which columns."""
    new = set()
    for field in model.fields.values():
        names = {name for name in getattr(field, "to_fields", ()) if name}
        for target in _targets([field], _key(model)):
            if target not in wanted or not names <= wanted[target]:
                wanted.setdefault(target, set()).update(names)
                new.add(target)
    return new


def _is_table(base: Any) -> bool:
    """Is this base the class of a model with a table, of an app without migrations?"""
    return not isinstance(base, str) and hasattr(base, "_meta") and not base._meta.abstract


def _targets(fields: Iterable[Any], owner: Model) -> set[Model]:
    """The models that these fields point to, or go through."""
    remotes = [field.remote_field for field in fields if field.is_relation]
    names = [name for remote in remotes for name in (remote.model, getattr(remote, "through", None)) if name]
    return {resolve_relation(name, *owner) for name in names} - {owner}


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
    """A model with only the columns that a foreign key points to, and what says where it lives."""
    return ModelState(
        model.app_label,
        model.name,
        [(name, field) for name, field in model.fields.items() if field.unique or name in wanted],
        {name: value for name, value in model.options.items() if name in ("db_table", "managed", "swappable")},
    )
