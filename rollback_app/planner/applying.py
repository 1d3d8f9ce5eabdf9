"""What applying a migration destroys: what undoing its opposite would."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from django.db.migrations import Migration, RunPython, RunSQL
from django.db.migrations import operations as django_operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from rollback_app.history import Key
from rollback_app.states import Undo, applying

from .effects import effects
from .names import Names
from .plan import Step

_DESTROY = (
    django_operations.DeleteModel,
    django_operations.RemoveField,
    django_operations.AlterField,
    django_operations.AlterOrderWithRespectTo,
)


def may_destroy(operations: Iterable[Operation]) -> bool:
    """Is there an operation among these, at any depth, that can drop a table or a column, or cut values?"""
    return any(
        isinstance(each, _DESTROY) or may_destroy(getattr(each, "database_operations", ())) for each in operations
    )


def applied(migration: Migration, before: ProjectState, names: Names) -> Step:
    """A migration that is about to be applied to this state, as a step that undoes its opposite. Operations that neither
    destroy nor rename anything, and others' own, have no effects there."""
    app = migration.app_label
    pairs = [(undo, _opposite(undo, app)) for undo in applying(migration.operations, before, app)]
    opposites = [
        Undo(undo.index, operation, from_state=undo.to_state, to_state=undo.from_state)
        for undo, operation in pairs
        if operation is not None
    ]
    mirrored: Any = copy.copy(migration)
    mirrored.operations = [each.operation for each in reversed(opposites)]
    return Step(
        migration=mirrored,
        key=Key(app, migration.name),
        records=(),
        applied=datetime.now(timezone.utc),
        because=(),
        fake=False,
        effects=tuple(effect for each in opposites for effect in effects(each, app, names)),
    )


def _opposite(undo: Undo, app_label: str) -> Operation | None:
    """The operation whose undoing does what applying this one does."""
    operation: Any = undo.operation
    make = next((make for kind, make in _OPPOSITES.items() if isinstance(operation, kind)), None)
    return make(operation, undo.to_state.models, app_label) if make else None


def _field(operation: Any, models: Any, app_label: str) -> Any:
    """As it is before the operation."""
    return models[app_label, operation.model_name_lower].fields[operation.name]


_OPPOSITES: Mapping[type[Operation], Callable[[Any, Any, str], Operation]] = {
    django_operations.CreateModel: lambda op, models, app: django_operations.DeleteModel(op.name),
    django_operations.DeleteModel: lambda op, models, app: django_operations.CreateModel(op.name, []),
    django_operations.RenameModel: lambda op, models, app: django_operations.RenameModel(op.new_name, op.old_name),
    django_operations.AlterModelTable: lambda op, models, app: op,  # only the states tell the names
    django_operations.AddField: lambda op, models, app: django_operations.RemoveField(op.model_name, op.name),
    django_operations.RemoveField: lambda op, models, app: django_operations.AddField(
        op.model_name, op.name, _field(op, models, app)
    ),
    django_operations.AlterField: lambda op, models, app: django_operations.AlterField(
        op.model_name, op.name, _field(op, models, app)
    ),
    django_operations.RenameField: lambda op, models, app: django_operations.RenameField(
        op.model_name, op.new_name, op.old_name
    ),
    django_operations.AlterOrderWithRespectTo: lambda op, models, app: op,
    django_operations.RunPython: lambda op, models, app: RunPython(op.reverse_code or RunPython.noop, RunPython.noop),
    django_operations.RunSQL: lambda op, models, app: RunSQL(op.reverse_sql or RunSQL.noop, RunSQL.noop),
}
