"""Walks a plan backwards and gives each operation the project states before and after it.

Django's executor computes its states in the order of the full forward plan, which is wrong for a plan in another order:
it can drop a kept column in silence. Here the states are computed for the very order of the plan: first all migrations
that stay, then those of the plan, oldest first.

A state is not copied for each operation. An operation changes one or two models, so only these are copied, and what they
were before is noted; walking backwards puts the notes back, one operation at a time.
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
from django.db.migrations.state import ModelState, ProjectState

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
        self._real_apps = set(real_apps)
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
        return ProjectState(models=models, real_apps=self._real_apps)


def database_operations(undo: Undo, app_label: str) -> list[Undo]:
    """What really runs on the database, last first: the operation itself, or those inside a SeparateDatabaseAndState, at any
    depth, each with its own states (as SeparateDatabaseAndState.database_backwards computes them)."""
    if not isinstance(undo.operation, SeparateDatabaseAndState):
        return [undo]
    inner = []
    state = undo.to_state
    for operation in undo.operation.database_operations:
        models, before = _forwards(state.models, operation, app_label)
        after = ProjectState(models=models, real_apps=state.real_apps) if before else state
        inner.append(Undo(undo.index, operation, from_state=after, to_state=state))
        state = after
    return [found for nested in reversed(inner) for found in database_operations(nested, app_label)]


def _put_back(models: dict[Model, ModelState], before: Mapping[Model, ModelState | None]) -> None:
    for key, old in before.items():
        if old is None:
            del models[key]
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
