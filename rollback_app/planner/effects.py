"""What undoing an operation does to the database, in words and in facts.

This is read from Django's `Operation` objects and the states around them. Nothing is rendered and no database is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from django.db.migrations import operations as django_operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import IntegerField, UniqueConstraint

from rollback_app.states import Undo, acts_as, database_operations, inner_operations

from .effect import Effect, Kind, is_concurrent
from .names import Names, name_of_code
from .requirements import freed, requirements
from .sql_statements import first_line, in_transaction, texts
from .stored import stored_as


def effects(undo: Undo, app_label: str, names: Names) -> list[Effect]:
    """What undoing this operation does, in the order in which it happens."""
    if not undo.operation.reversible and not _is_kept_away(undo, app_label, names):
        inner = [_judge(nested, app_label, names) for nested in database_operations(undo, app_label)]
        found = [effect for judged in inner for effect in judged if effect.kind is Kind.IRREVERSIBLE]
        return found or [_irreversible(undo)]
    return [effect for nested in database_operations(undo, app_label) for effect in _judge(nested, app_label, names)]


def _irreversible(undo: Undo) -> Effect:
    operation: Any = undo.operation
    what = operation.describe()
    if isinstance(operation, django_operations.RunPython):
        what = f"its code {name_of_code(operation.code)} has no reverse"
    elif isinstance(operation, django_operations.RunSQL):
        what = "its SQL has no reverse"
    why_not = f" ({operation.no_reverse})" if hasattr(operation, "no_reverse") else ""
    return Effect(Kind.IRREVERSIBLE, f"cannot be undone: {what}{why_not}", undo.index)


def _judge(undo: Undo, app_label: str, names: Names) -> list[Effect]:
    operation, names = undo.operation, names.within(undo)
    if _is_kept_away(undo, app_label, names):
        words = f"nothing in the database: a database router keeps {_own_code(operation)} away from it"
        return [Effect(Kind.NO_EFFECT, words, undo.index)]
    # Operation.database_backwards only raises NotImplementedError, whatever `reversible` claims.
    if not operation.reversible or type(operation).database_backwards is Operation.database_backwards:
        return [_irreversible(undo)]
    for kind, judge in _JUDGES.items():
        if isinstance(operation, kind):
            first, *others = judge(undo, app_label, names)
            is_own = hasattr(operation, "own")
            own = " (the project's own reverse, of ROLLBACK['REVERSES'])" if is_own else ""
            wants, drops = requirements(undo, app_label, names), freed(undo)
            first = replace(first, requirements=wants, frees=drops, words=f"{first.words}{own}", own=is_own)
            return [first, *others, *_ways_of_its_own(undo)]
    if isinstance(operation, django_operations.SeparateDatabaseAndState):
        inner = [_judge(nested, app_label, names) for nested in inner_operations(undo, app_label)]
        return [*(effect for judged in inner for effect in judged), *_ways_of_its_own(undo)]
    return [Effect(Kind.UNKNOWN, f"undoes: {operation.describe()}", undo.index)]


def _ways_of_its_own(undo: Undo) -> Iterator[Effect]:
    """What the class of an operation, which inherits one of Django's, may do besides."""
    kind = type(undo.operation)
    if acts_as(undo.operation) is None:
        words = f"undoes '{undo.operation.describe()}' with code of its own: {kind.__module__}.{kind.__qualname__}"
        yield Effect(Kind.UNKNOWN, words, undo.index)


def _is_kept_away(undo: Undo, app_label: str, names: Names) -> bool:
    """Is it code or SQL that does not run on this database in either direction?"""
    operation: Any = undo.operation
    is_code = acts_as(operation) in (django_operations.RunPython, django_operations.RunSQL)
    return is_code and not names.allowed(app_label, operation.hints)


def _own_code(operation: Any) -> str:
    return name_of_code(operation.code) if isinstance(operation, django_operations.RunPython) else "this SQL"


def _model(state: ProjectState, app_label: str, name: str) -> ModelState:
    models: dict[tuple[str, str], ModelState] = state.models
    return models[app_label, name.lower()]


def _nothing(undo: Undo) -> Effect:
    return Effect(Kind.NO_EFFECT, f"nothing in the database: {undo.operation.describe()}", undo.index)


def _create_model(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    model = _model(undo.from_state, app_label, undo.operation.name)  # type: ignore[attr-defined]
    if not names.lives_here(model):
        yield _nothing(undo)
        return
    for name, model_field in model.fields.items():
        if table := names.join_table(model, name, model_field):
            yield Effect(Kind.DROPS_TABLE, f"drops table {table}", undo.index, table=table)
    table = names.table(model)
    yield Effect(Kind.DROPS_TABLE, f"drops table {table}", undo.index, table=table)


def _delete_model(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    model = _model(undo.to_state, app_label, undo.operation.name)  # type: ignore[attr-defined]
    if not names.lives_here(model):
        yield _nothing(undo)
        return
    tables = [names.join_table(model, name, model_field) for name, model_field in model.fields.items()]
    for table in [names.table(model), *filter(None, tables)]:
        yield Effect(Kind.MAKES, f"makes table {table} again, empty", undo.index, table=table)


def _rename_model(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    old = _model(undo.to_state, app_label, undo.operation.old_name)  # type: ignore[attr-defined]
    new = _model(undo.from_state, app_label, undo.operation.new_name)  # type: ignore[attr-defined]
    yield from _rename_tables(undo, new, old, names)


def _alter_table(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    name = undo.operation.name  # type: ignore[attr-defined]
    yield from _rename_tables(
        undo, _model(undo.from_state, app_label, name), _model(undo.to_state, app_label, name), names
    )


def _rename_tables(undo: Undo, new: ModelState, old: ModelState, names: Names) -> Iterator[Effect]:
    """The model's own table, and those of its many-to-many fields, whose names begin with it."""
    pairs = [(names.table(new), names.table(old))]
    for name in [name for name in new.fields if name in old.fields]:
        before, after = names.join_table(new, name, new.fields[name]), names.join_table(old, name, old.fields[name])
        pairs += [(before, after)] if before and after else []
    pairs = [(before, after) for before, after in pairs if before != after] if names.lives_here(new) else []
    yield from (_renames_table(undo, before, after) for before, after in pairs)
    if not pairs:
        yield _nothing(undo)


def _renames_table(undo: Undo, before: str, after: str) -> Effect:
    if before == after:
        return _nothing(undo)
    return Effect(Kind.CHANGES, f"renames table {before} back to {after}", undo.index, table=before, renamed_to=after)


def _add_field(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    operation: Any = undo.operation
    model = _model(undo.from_state, app_label, operation.model_name)
    model_field = model.fields[operation.name]
    if not names.lives_here(model):
        yield _nothing(undo)
    elif join_table := names.join_table(model, operation.name, model_field):
        yield Effect(Kind.DROPS_TABLE, f"drops table {join_table}", undo.index, table=join_table)
    elif column := names.column(operation.name, model_field):
        table = names.table(model)
        words = f"drops column {table}.{column}"
        # The operation's own field knows the default that the existing rows were given, the state's may not.
        given = stored_as(undo.from_state, (app_label, model.name_lower), operation.field)
        remakes = _has_rules(operation.field)
        yield Effect(Kind.DROPS_COLUMN, words, undo.index, table=table, column=column, field=given, remakes=remakes)
    else:
        yield _nothing(undo)


def _remove_field(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    operation: Any = undo.operation
    model = _model(undo.to_state, app_label, operation.model_name)
    model_field = model.fields[operation.name]
    if not names.lives_here(model):
        yield _nothing(undo)
    elif join_table := names.join_table(model, operation.name, model_field):
        yield Effect(Kind.MAKES, f"makes table {join_table} again, empty", undo.index, table=join_table)
    elif column := names.column(operation.name, model_field):
        table = names.table(model)
        words = f"adds column {table}.{column} again, without its values"
        remakes = not model_field.null or model_field.unique or model_field.has_default()
        yield Effect(Kind.MAKES, words, undo.index, table=table, column=column, field=model_field, remakes=remakes)
    else:
        yield _nothing(undo)


def _alter_field(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    operation: Any = undo.operation
    model = _model(undo.to_state, app_label, operation.model_name)
    old_table = names.join_table(model, operation.name, model.fields[operation.name])
    after = names.column(operation.name, model.fields[operation.name])
    new = _model(undo.from_state, app_label, operation.model_name)
    before = names.column(operation.name, new.fields[operation.name])
    new_table = names.join_table(new, operation.name, new.fields[operation.name])
    what = old_table or f"{names.table(model)}.{after}"
    words = f"changes {'table' if old_table else 'column'} {what} back"
    if not names.lives_here(model):
        yield _nothing(undo)
    elif old_table and new_table and old_table != new_table:
        yield _renames_table(undo, new_table, old_table)
    elif before and after and before != after:
        remakes = _in_database(model.fields[operation.name], "db_column") != _in_database(operation.field, "db_column")
        yield Effect(
            Kind.CHANGES,
            words,
            undo.index,
            table=names.table(model),
            column=before,
            renamed_to=after,
            remakes=remakes or operation.field.is_relation,
        )
    elif _in_database(model.fields[operation.name]) == _in_database(operation.field):
        yield _nothing(undo)
    else:
        yield Effect(Kind.CHANGES, words, undo.index, touches=old_table or names.table(model), remakes=True)


def _in_database(model_field: Any, *but: str) -> tuple[Any, ...]:
    """What of a field the database knows of: not its choices, its help text, ..."""
    _, path, args, kwargs = model_field.deconstruct()
    left_out = {*model_field.non_db_attrs, *but}
    return path, args, {name: value for name, value in kwargs.items() if name not in left_out}


def _has_rules(model_field: Any) -> bool:
    """Has its column a key, an index or a foreign key, without which SQLite could drop it by itself?"""
    points = model_field.is_relation and model_field.db_constraint
    return bool(model_field.primary_key or model_field.unique or model_field.db_index or points)


def _rename_field(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    operation: Any = undo.operation
    new = _model(undo.from_state, app_label, operation.model_name)
    old = _model(undo.to_state, app_label, operation.model_name)
    before = names.column(operation.new_name, new.fields[operation.new_name])
    after = names.column(operation.old_name, old.fields[operation.old_name])
    join_before = names.join_table(new, operation.new_name, new.fields[operation.new_name])
    join_after = names.join_table(old, operation.old_name, old.fields[operation.old_name])
    if join_before and join_after and names.lives_here(new):
        yield _renames_table(undo, join_before, join_after)
    elif before == after or not names.lives_here(new):
        yield _nothing(undo)
    else:
        table = names.table(new)
        words = f"renames column {table}.{before} back to {after}"
        yield Effect(Kind.CHANGES, words, undo.index, table=table, column=before or "", renamed_to=after or "")


def _alter_order(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    name = undo.operation.name  # type: ignore[attr-defined]
    new, old = _model(undo.from_state, app_label, name), _model(undo.to_state, app_label, name)
    was, is_now = old.options.get("order_with_respect_to"), new.options.get("order_with_respect_to")
    table = names.table(new)
    if bool(was) == bool(is_now) or not names.lives_here(new):
        yield _nothing(undo)
    elif is_now:
        words, given = f"drops column {table}._order", IntegerField(default=0)
        yield Effect(Kind.DROPS_COLUMN, words, undo.index, table=table, column="_order", field=given)
    else:
        words = f"adds column {table}._order again, without its values"
        yield Effect(Kind.MAKES, words, undo.index, table=table, column="_order")


def _is_in_table(undo: Undo, app_label: str) -> bool:
    """Is it about a constraint that is a part of CREATE TABLE on SQLite, and not an index?"""
    operation: Any = undo.operation
    constraint: Any = getattr(operation, "constraint", None)
    if isinstance(operation, django_operations.RemoveConstraint):
        constraints = _model(undo.to_state, app_label, operation.model_name).options["constraints"]
        constraint = next(each for each in constraints if each.name == operation.name)
    special = ("condition", "contains_expressions", "include", "deferrable")
    index = isinstance(constraint, UniqueConstraint) and any(getattr(constraint, each) for each in special)
    return constraint is not None and not index


def _on_table(words: str) -> Callable[[Undo, str, Names], Iterator[Effect]]:
    """For operations on one table that take no data with them. `words` may use {table} and the operation as {op}."""

    def judge(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
        operation: Any = undo.operation
        name = getattr(operation, "model_name", None) or operation.name
        model = _model(undo.from_state, app_label, name)
        table = names.table(model)
        waits = (
            f"reads and writes of {table}"
            if isinstance(operation, django_operations.AddIndex)
            else f"writes to {table}"
        )
        twin = waits if is_concurrent(type(operation)) else ""
        text = words.format(table=table, op=operation)
        # Django's RenameIndex leaves an index that had no name before as it is.
        if names.lives_here(model) and not getattr(operation, "old_fields", None):
            remakes = _is_in_table(undo, app_label)
            yield Effect(Kind.CHANGES, text, undo.index, touches=table, twin_waits=twin, remakes=remakes)
        else:
            yield _nothing(undo)

    return judge


def _run_python(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    reverse = undo.operation.reverse_code  # type: ignore[attr-defined]
    if reverse == django_operations.RunPython.noop:
        forward = name_of_code(undo.operation.code)  # type: ignore[attr-defined]
        yield Effect(Kind.NOOP, f"reverses nothing: what {forward} did to the data stays", undo.index)
    else:
        yield Effect(Kind.CODE, f"runs code: {name_of_code(reverse)}", undo.index)


def _run_sql(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    if undo.operation.reverse_sql in ("", [], ()):  # type: ignore[attr-defined]
        yield Effect(Kind.NOOP, "reverses nothing: what its SQL did stays", undo.index)
    else:
        sql = undo.operation.reverse_sql  # type: ignore[attr-defined]
        inside = in_transaction(sql)
        yield Effect(
            Kind.RUNS_SQL,
            f"runs SQL of its own: {first_line(sql)}",
            undo.index,
            twin_waits=inside.waits,
            ends_transaction=inside.ends,
            refuses_transaction=inside.refuses,
            sql=";\n".join(texts(sql)),
        )


def _no_effect(undo: Undo, app_label: str, names: Names) -> Iterator[Effect]:
    yield _nothing(undo)


_JUDGES: dict[type[Operation], Callable[[Undo, str, Names], Iterator[Effect]]] = {
    django_operations.CreateModel: _create_model,
    django_operations.DeleteModel: _delete_model,
    django_operations.RenameModel: _rename_model,
    django_operations.AlterModelTable: _alter_table,
    django_operations.AddField: _add_field,
    django_operations.RemoveField: _remove_field,
    django_operations.AlterField: _alter_field,
    django_operations.RenameField: _rename_field,
    django_operations.AlterOrderWithRespectTo: _alter_order,
    django_operations.AddIndex: _on_table("drops index {op.index.name} of {table}"),
    django_operations.RemoveIndex: _on_table("makes index {op.name} of {table} again"),
    django_operations.RenameIndex: _on_table("renames index {op.new_name} of {table} back"),
    django_operations.AddConstraint: _on_table("drops constraint {op.constraint.name} of {table}"),
    django_operations.RemoveConstraint: _on_table("makes constraint {op.name} of {table} again"),
    django_operations.AlterUniqueTogether: _on_table("sets unique_together of {table} back"),
    django_operations.AlterIndexTogether: _on_table("sets index_together of {table} back"),
    django_operations.AlterModelTableComment: _on_table("sets the comment of {table} back"),
    django_operations.AlterModelOptions: _no_effect,
    django_operations.AlterModelManagers: _no_effect,
    django_operations.RunPython: _run_python,
    django_operations.RunSQL: _run_sql,
    # Django 6.0 and later; it changes only what Python validates.
    **{
        getattr(django_operations, name): _no_effect for name in ["AlterConstraint"] if hasattr(django_operations, name)
    },
}
