"""What undoing an operation demands of the rows and names that are in the database: where they do not meet it, it fails.

Judged from Django's `Operation` objects and the states around them, without a database: which of the demands a database
really makes, and how many rows do not meet them, is for `offenders` to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from django.db.migrations import operations as django_operations
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.utils import resolve_relation
from django.db.models import NOT_PROVIDED, CheckConstraint, Field, UniqueConstraint

from rollback_app.states import Undo

_Model = tuple[str, str]  # app label, lower-case model name


class Need(str, Enum):
    """What kind of thing is demanded."""

    FEW_ROWS = "no more rows than"
    NO_NULLS = "no null"
    UNIQUE = "no value twice"
    FITS = "values fit"
    KEPT = "values come out as they are"
    READABLE = "values of the column's type"
    POINTS = "rows to point to"
    CHECK = "a check holds"
    TYPE_CHANGES = "nothing uses the type"
    EXCLUDED = "no rows that exclude each other"
    FREE_TABLE = "no table of this name"
    FREE_COLUMN = "no column of this name"
    FREE_INDEX = "no index or constraint of this name"


@dataclass(frozen=True)
class Requirement:
    """One thing that must be so, or undoing the operation fails.

    table, columns: what it is about, as the database names it just before; for a name that must be free, that name is in
    columns; no column: one that is added on the way, null in each row. words: what the operation does, a verb first. at_most:
    rows (FEW_ROWS). target: table and column (POINTS). before, after: the field of the column. constraint, model: what is put
    back, and the model that it is on, rendered. today: the table's name before the run. renamed: for the columns that have
    another name today, the one that they have by then, and today's. types: for the columns to which the run gives other types
    before this, today's name, and the fields of these types. filled: the column that the run itself adds, empty, and that is
    to hold no null; or empty. kept: the table with values that the run puts into that column, and its key; or nothing.
    """

    need: Need
    table: str
    columns: tuple[str, ...]
    words: str
    at_most: int = 0
    target: tuple[str, str] = ("", "")
    before: Any = field(default=None, compare=False, repr=False)
    after: Any = field(default=None, compare=False, repr=False)
    constraint: Any = field(default=None, compare=False, repr=False)
    model: Callable[[], Any] = field(default=type(None), compare=False, repr=False)
    today: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    types: tuple[tuple[str, tuple[Any, ...]], ...] = field(default=(), compare=False, repr=False)
    filled: str = ""
    kept: tuple[str, tuple[str, ...]] | None = None

    @property
    def column(self) -> str:
        return self.columns[0] if self.columns else ""


class Names(Protocol):
    """The part of `effects.Names` that is needed here."""

    def table(self, model: ModelState) -> str: ...

    def column(self, name: str, model_field: Field[Any, Any]) -> str | None: ...

    def join_table(self, model: ModelState, name: str, model_field: Any) -> str | None: ...

    def join_columns(self, model: ModelState, model_field: Any) -> tuple[str, str]: ...

    def lives_here(self, model: ModelState) -> bool: ...


def requirements(undo: Undo, app_label: str, names: Names) -> tuple[Requirement, ...]:
    """What undoing this operation demands."""
    judge = next((judge for kind, judge in _JUDGES.items() if isinstance(undo.operation, kind)), None)
    return tuple(judge(undo, app_label, names)) if judge else ()


def freed(undo: Undo) -> str:
    """The name of the index or constraint that undoing this operation drops or renames; or empty."""
    operation: Any = undo.operation
    if isinstance(operation, django_operations.AddIndex):
        return str(operation.index.name)
    if isinstance(operation, django_operations.AddConstraint):
        return str(operation.constraint.name)
    # One that had no name before keeps the one that it has.
    renamed = isinstance(operation, django_operations.RenameIndex) and not operation.old_fields
    return operation.new_name if renamed else ""


def is_filled(model_field: Field[Any, Any]) -> bool:
    """Do the rows that are there get a value when a column for this field is added?"""
    anything: Any = model_field
    return (
        getattr(anything, "db_default", NOT_PROVIDED) is not NOT_PROVIDED  # Django 5.0 and later
        or (anything.has_default() and anything.default is not None)
        or (not anything.null and anything.blank and anything.empty_strings_allowed)
        or getattr(anything, "auto_now", False)
        or getattr(anything, "auto_now_add", False)
    )


def _model(state: ProjectState, app_label: str, name: str) -> ModelState:
    models: dict[tuple[str, str], ModelState] = state.models
    return models[app_label, name.lower()]


def _free_table(name: str) -> Requirement:
    return Requirement(Need.FREE_TABLE, name, (name,), f"takes the name of table {name} back")


def _free_column(table: str, name: str) -> Requirement:
    return Requirement(Need.FREE_COLUMN, table, (name,), f"takes the name of column {table}.{name} back")


def _free_index(table: str, name: str) -> Requirement:
    return Requirement(
        Need.FREE_INDEX, table, (name,), f"takes the name {name} of an index or constraint of {table} back"
    )


def _delete_model(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    model = _model(undo.to_state, app_label, undo.operation.name)  # type: ignore[attr-defined]
    if names.lives_here(model):
        joins = [names.join_table(model, name, model_field) for name, model_field in model.fields.items()]
        yield from map(_free_table, [names.table(model), *filter(None, joins)])


def _rename_model(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    operation: Any = undo.operation
    if isinstance(operation, django_operations.RenameModel):
        new_name, old_name = operation.new_name, operation.old_name
    else:
        new_name = old_name = operation.name
    new, old = _model(undo.from_state, app_label, new_name), _model(undo.to_state, app_label, old_name)
    if names.lives_here(new) and names.table(new) != names.table(old):
        yield _free_table(names.table(old))


def _remove_field(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    operation: Any = undo.operation
    model = _model(undo.to_state, app_label, operation.model_name)
    model_field = model.fields[operation.name]
    if not names.lives_here(model):
        return
    table, column = names.table(model), names.column(operation.name, model_field)
    if join_table := names.join_table(model, operation.name, model_field):
        yield _free_table(join_table)
    elif column:
        yield _free_column(table, column)
        yield from _added(model_field, table, column)


def _added(model_field: Any, table: str, column: str) -> Iterator[Requirement]:
    """What a column that is added demands of the rows that are there: they all get the same value in it, or none."""
    what = f"adds column {table}.{column} again"
    if getattr(model_field, "generated", False):
        return
    if not model_field.null and not is_filled(model_field):
        words = f"{what}, NOT NULL and without a default"
        yield Requirement(Need.FEW_ROWS, table, (column,), words, after=model_field)
    elif model_field.unique and is_filled(model_field):
        yield Requirement(Need.FEW_ROWS, table, (column,), f"{what}, unique", at_most=1, after=model_field)


def _alter_field(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    operation: Any = undo.operation
    new, old = (_model(state, app_label, operation.model_name) for state in (undo.from_state, undo.to_state))
    before, after = new.fields[operation.name], old.fields[operation.name]
    table, column = names.table(new), names.column(operation.name, before)
    becomes = names.column(operation.name, after)
    if not names.lives_here(new):
        return
    if not column or not becomes:
        yield from _alter_join_table(undo, names, operation.name, new, old)
        return
    what, owner = f"column {table}.{column}", (new.app_label, new.name_lower)
    if column != becomes:
        yield _free_column(table, becomes)
    if before.null and not after.null:
        yield Requirement(Need.NO_NULLS, table, (column,), f"makes {what} NOT NULL again", before=before, after=after)
    if _points(after) and not (_points(before) and _target(before, owner) == _target(after, owner)):
        yield from _pointing(undo, owner, names, table, column, after)
    if not (before.is_relation or after.is_relation) and before.deconstruct()[1:] != after.deconstruct()[1:]:
        words = f"changes the type of {what}"
        yield Requirement(Need.TYPE_CHANGES, table, (column,), words, before=before, after=after)
    yield from _type_again(undo, owner, table, column, before, after)


def _type_again(undo: Undo, owner: _Model, table: str, column: str, before: Any, after: Any) -> Iterator[Requirement]:
    """What is demanded of the values of a column that gets its old type back, or becomes unique again."""
    what = f"column {table}.{column}"
    was, becomes_again = _type_of(undo.from_state, owner, before), _type_of(undo.to_state, owner, after)
    if was is None or becomes_again is None:
        return
    changes = _size(was) != _size(becomes_again)
    if after.unique and (changes or not before.unique):
        words = (
            f"makes {what} unique again" if not before.unique else f"makes {what} {_a(after)} again, which is unique"
        )
        yield Requirement(Need.UNIQUE, table, (column,), words, before=was, after=becomes_again)
    if changes:
        words = f"makes {what} {_a(after)} again"
        yield from _converted(table, column, words, was, becomes_again)
        if not after.is_relation:
            yield Requirement(Need.CHECK, table, (column,), words, before=was, after=becomes_again)


def _converted(table: str, column: str, words: str, before: Any, after: Any) -> Iterator[Requirement]:
    for need in (Need.FITS, Need.KEPT, Need.READABLE):
        yield Requirement(need, table, (column,), words, before=before, after=after)


def _alter_join_table(undo: Undo, names: Names, name: str, new: ModelState, old: ModelState) -> Iterator[Requirement]:
    """A many-to-many field points to another model again: so must the rows of the table that Django made for it."""
    before, after = new.fields[name], old.fields[name]
    table, becomes = names.join_table(new, name, before), names.join_table(old, name, after)
    if not table or not becomes:
        return
    if table != becomes:
        yield _free_table(becomes)
    ends = zip(names.join_columns(new, before), _ends(new, before), _ends(old, after), strict=True)
    for column, key_before, key in ends:
        source, target = undo.from_state.models.get(key_before), undo.to_state.models.get(key)
        if source is None or target is None:
            continue
        id_before, (id_name, id) = _primary_key(source)[1], _primary_key(target)
        words = f"makes column {table}.{column} a foreign key to {names.table(target)} again"
        if _has_constraint(after) and not (_has_constraint(before) and key == key_before):
            there = names.table(target), names.column(id_name, id) or ""
            yield Requirement(Need.POINTS, table, (column,), words, target=there)
        was, is_again = _type_of(undo.from_state, key_before, id_before), _type_of(undo.to_state, key, id)
        if was is not None and is_again is not None and _size(was) != _size(is_again):
            yield from _converted(table, column, words, was, is_again)


def _ends(model: ModelState, model_field: Any) -> tuple[Any, Any]:
    """The models that the table of a many-to-many field points to."""
    source = model.app_label, model.name_lower
    return source, resolve_relation(model_field.remote_field.model, *source)


def _has_constraint(model_field: Any) -> bool:
    return bool(model_field.remote_field.db_constraint)


def _primary_key(model: ModelState) -> tuple[str, Any]:
    return next((name, model_field) for name, model_field in model.fields.items() if model_field.primary_key)


def _points(model_field: Any) -> bool:
    return bool(model_field.is_relation and model_field.remote_field and model_field.db_constraint)


def _target(model_field: Any, owner: _Model) -> tuple[Any, str | None]:
    """The model and the name of its field; None for its primary key. owner: the model of the field itself."""
    return resolve_relation(model_field.remote_field.model, *owner), model_field.remote_field.field_name


def _pointing(undo: Undo, owner: _Model, names: Names, table: str, column: str, after: Any) -> Iterator[Requirement]:
    key, field_name = _target(after, owner)
    target: ModelState | None = undo.to_state.models.get(key)
    for name, model_field in target.fields.items() if target else ():
        if name == field_name or (field_name is None and model_field.primary_key):
            there = names.table(target), names.column(name, model_field) or ""  # type: ignore[arg-type]
            words = f"makes column {table}.{column} a foreign key to {there[0]} again"
            yield Requirement(Need.POINTS, table, (column,), words, target=there)


def _type_of(state: ProjectState, owner: _Model, model_field: Any) -> Any:
    """The field that gives a column its type: of a foreign key the one that it points to. None, if it is not there."""
    seen = []
    while model_field is not None and model_field.is_relation:
        seen.append(model_field)
        key, name = _target(model_field, owner)
        model: ModelState | None = state.models.get(key)
        fields = model.fields.items() if model else ()
        owner = key
        model_field = next(
            (found for called, found in fields if called == name or (name is None and found.primary_key)), None
        )
        if model_field in seen:
            return None
    return model_field


_NUMBERS = ("max_length", "max_digits", "decimal_places")


def _size(model_field: Any) -> tuple[Any, ...]:
    """What the type of a column is made of."""
    numbers = (getattr(model_field, name, None) for name in (*_NUMBERS, "db_collation"))
    inner = getattr(model_field, "base_field", None)  # of an array
    return type(model_field), *numbers, inner and _size(inner)


def _a(model_field: Any) -> str:
    """ "an IntegerField", "a DecimalField(5, 2)"."""
    name = type(model_field).__name__
    numbers = [str(number) for number in (getattr(model_field, name, None) for name in _NUMBERS) if number is not None]
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" + (f"({', '.join(numbers)})" if numbers else "")


def _rename_field(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    operation: Any = undo.operation
    new, old = (_model(state, app_label, operation.model_name) for state in (undo.from_state, undo.to_state))
    before = names.column(operation.new_name, new.fields[operation.new_name])
    after = names.column(operation.old_name, old.fields[operation.old_name])
    if after and before != after and names.lives_here(new):
        yield _free_column(names.table(new), after)


def _alter_unique_together(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    name = undo.operation.name  # type: ignore[attr-defined]
    new, old = _model(undo.from_state, app_label, name), _model(undo.to_state, app_label, name)
    back = {*map(tuple, old.options.get("unique_together") or ())}
    gone = {*map(tuple, new.options.get("unique_together") or ())}
    for fields in sorted(back - gone) if names.lives_here(new) else ():
        columns = tuple(names.column(field_name, new.fields[field_name]) or "" for field_name in fields)
        words = f"makes {', '.join(columns)} of {names.table(new)} unique together again"
        yield Requirement(Need.UNIQUE, names.table(new), columns, words)


def _remove_constraint(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    operation: Any = undo.operation
    model = _model(undo.to_state, app_label, operation.model_name)
    if not names.lives_here(model):
        return
    constraint = next(found for found in model.options["constraints"] if found.name == operation.name)
    table, words = names.table(model), f"makes constraint {operation.name} of {names.table(model)} again"
    yield replace(_free_index(table, operation.name), constraint=constraint)
    if need := _need(constraint):
        fields = constraint.fields if isinstance(constraint, UniqueConstraint) else ()
        yield Requirement(
            need,
            table,
            tuple(names.column(field_name, model.fields[field_name]) or "" for field_name in fields),
            words,
            constraint=constraint,
            # Rendered only when it is asked for: most plans have no such constraint.
            model=lambda: undo.to_state.apps.get_model(app_label, operation.model_name),
        )


def _need(constraint: Any) -> Need | None:
    if isinstance(constraint, CheckConstraint):
        return Need.CHECK
    if isinstance(constraint, UniqueConstraint):
        return Need.UNIQUE
    return Need.EXCLUDED if is_exclusion(constraint) else None


def is_exclusion(constraint: Any) -> bool:
    """Found by name: importing django.contrib.postgres needs psycopg, and who has such a constraint has imported it."""
    kinds = [(base.__module__, base.__name__) for base in type(constraint).__mro__]
    return ("django.contrib.postgres.constraints", "ExclusionConstraint") in kinds


def _remove_index(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    operation: Any = undo.operation
    model = _model(undo.to_state, app_label, operation.model_name)
    if names.lives_here(model):
        yield _free_index(names.table(model), operation.name)


def _rename_index(undo: Undo, app_label: str, names: Names) -> Iterator[Requirement]:
    operation: Any = undo.operation
    model = _model(undo.to_state, app_label, operation.model_name)
    if operation.old_name and names.lives_here(model):
        yield _free_index(names.table(model), operation.old_name)


_JUDGES: dict[type, Callable[[Undo, str, Names], Iterator[Requirement]]] = {
    django_operations.DeleteModel: _delete_model,
    django_operations.RenameModel: _rename_model,
    django_operations.AlterModelTable: _rename_model,
    django_operations.RemoveField: _remove_field,
    django_operations.AlterField: _alter_field,
    django_operations.RenameField: _rename_field,
    django_operations.AlterUniqueTogether: _alter_unique_together,
    django_operations.RemoveConstraint: _remove_constraint,
    django_operations.RemoveIndex: _remove_index,
    django_operations.RenameIndex: _rename_index,
}
