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
from django.db.migrations.operations import RenameField, RenameModel, RunPython, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.utils.functional import cached_property

from .neighbourhood import what_it_sees
from .operation_kinds import acts_as
from .relations import Model, Relations, key_of, targets_of
from .rendering import Asked, State, is_whole
from .reverses import Reverses, reverse_problems, with_reverses

__all__ = [
    "Reverses",
    "State",
    "States",
    "Undo",
    "acts_as",
    "applying",
    "before_and_after",
    "class_of",
    "database_operations",
    "inner_operations",
    "leaves",
    "number_of_leaves",
    "reverse_problems",
    "targets_of",
    "with_reverses",
]


@dataclass(frozen=True)
class Undo:
    """One operation to undo. index: its place in `Migration.operations`, from 0. from_state holds its effect, to_state
    does not."""

    index: int
    operation: Operation
    from_state: State
    to_state: State

    @property
    def rendered_everything(self) -> bool:
        """Did the operation look at states that had to be rendered whole?"""
        return any(is_whole(state) for state in (self.from_state, self.to_state))


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
        self._relations = Relations()
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

    def start(self) -> State:
        """The state before the run, everything applied, of which only what is asked for is rendered."""
        return Asked(self._models, self._real_apps, self._relations)

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
        state = self._state(self._models)
        for migration, changes in reversed(self._journal):
            undos = []
            for change in reversed(changes):
                to_state = state
                if change.before:
                    to_state = self._state(change.undo(state.models))
                undos.append(Undo(change.index, change.operation, state, to_state))
                state = to_state
            yield migration, undos

    def _state(self, models: dict[Model, ModelState]) -> State:
        return State(models, self._real_apps, self._relations)


def database_operations(undo: Undo, app_label: str) -> list[Undo]:
    """What really runs on the database, last first: the operation itself, or those inside a SeparateDatabaseAndState, at any
    depth, each with its own states (as SeparateDatabaseAndState.database_backwards computes them)."""
    if acts_as(undo.operation) is not SeparateDatabaseAndState:
        states = what_it_sees(undo.operation, undo.from_state, undo.to_state, app_label)
        return [Undo(undo.index, undo.operation, *states)]
    return inner_operations(undo, app_label)


def inner_operations(undo: Undo, app_label: str) -> list[Undo]:
    """The `database_operations` of a SeparateDatabaseAndState, last first, as above."""
    operation: Any = undo.operation
    inner = []
    state = undo.to_state
    for nested in operation.database_operations:
        models, before = _forwards(state.models, nested, app_label, state.known)
        after = State(models, state.real_apps, state.known) if before else state
        inner.append(Undo(undo.index, nested, from_state=after, to_state=state))
        state = after
    return [found for each in reversed(inner) for found in database_operations(each, app_label)]


def applying(operations: Iterable[Operation], before: ProjectState, app_label: str) -> list[Undo]:
    """What really runs on the database when these operations are applied to a state of Django's, in that order."""
    relations = Relations()
    for model in before.models.values():
        relations.note(model)
    state, found = State(before.models, before.real_apps, relations), list[Undo]()
    for index, operation in enumerate(operations):
        models, changed = _forwards(state.models, operation, app_label, relations)
        after = State(models, state.real_apps, relations) if changed else state
        found += reversed(database_operations(Undo(index, operation, after, state), app_label))
        state = after
    return found


def before_and_after(undo: Undo) -> tuple[State, State]:
    """The states between which the operation is applied; code is given models as it asks for them."""
    is_code = acts_as(undo.operation) is RunPython
    return undo.to_state.anew(Asked) if is_code else undo.to_state, undo.from_state


def class_of(model: ModelState, states: Iterable[State]) -> Any:
    """The class of a model of one of these states. Only that is rendered which it refers to."""
    key = key_of(model)
    state = next(state for state in states if state.models.get(key) is model)
    return state.asked.get_model(*key)


def leaves(undos: Iterable[Undo], app_label: str) -> list[Undo]:
    """What really runs for these, in its order."""
    return [nested for undo in undos for nested in database_operations(undo, app_label)]


def number_of_leaves(operations: Iterable[Any]) -> int:
    """How many operations `leaves` gives for these, without their states."""
    return sum(
        number_of_leaves(nested.database_operations) if acts_as(nested) is SeparateDatabaseAndState else 1
        for nested in operations
    )


def _forwards(
    models: Mapping[Model, ModelState], operation: Operation, app_label: str, relations: Relations
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
        return self.about in {key_of(model), *targets_of(model.fields.values(), key_of(model))}

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
