"""The truth that a verdict is compared with: rows that the older models really read, insert, update and delete."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.migrations.state import ModelState, ProjectState

from rollback_app import workflow
from rollback_app.compatibility import Answer, Does, TableVerdict, Verdict
from rollback_app.safety import Preview
from tests.support.databases import Database

_numbers = itertools.count(1000)
VALUES: Mapping[str, Callable[[int], Any]] = {
    "BooleanField": lambda n: True,
    "BinaryField": lambda n: str(n).encode(),
    "CharField": str,
    "TextField": str,
    "DateField": lambda n: date(2000, 1, 1) + timedelta(days=n),
    "DateTimeField": lambda n: datetime(2024, 5, 1, 10, 30, tzinfo=timezone.utc) + timedelta(seconds=n),
    "TimeField": lambda n: time(10, 30, n % 60),
    "DurationField": lambda n: timedelta(seconds=n),
    "DecimalField": Decimal,
    "FloatField": lambda n: float(n) + 0.5,
    "JSONField": lambda n: {"number": n},
    "UUIDField": lambda n: UUID(int=n),
}


def preview_of(database: Database, moment: str) -> Preview:
    (found,) = workflow.preview(moment, using=[database.alias])
    return found


def verdict_of(database: Database, moment: str) -> Verdict:
    found = preview_of(database, moment).verdict
    assert found is not None
    return found


def older_models(preview: Preview) -> list[Any]:
    """The models at the target of a plan, with those that Django makes for many-to-many fields."""
    return list(preview.plan.states().end().apps.get_models(include_auto_created=True))


def newer_models(preview: Preview) -> list[Any]:
    return list(preview.plan.states().start().apps.get_models(include_auto_created=True))


def rendered(app: str, name: str, **fields: Any) -> Any:
    """The class of a model, as migrations render it."""
    state = ProjectState()
    state.add_model(ModelState(app, name, list(fields.items())))
    return state.apps.get_model(app, name)


def filled(database: Database, model: Any, **values: Any) -> Any:
    """A row that is not saved, with a value in each field; what it points to is made."""
    return _filled(database, model, values, ())


def _filled(database: Database, model: Any, values: dict[str, Any], pointing: tuple[Any, ...]) -> Any:
    for field in model._meta.concrete_fields:
        given = {field.name, field.attname} & values.keys()
        if given or (field.primary_key and field.get_internal_type().endswith("AutoField")) or _computed(field):
            continue
        if field.is_relation:
            values[field.attname] = _target(database, field, (*pointing, model))
        else:
            kind = field.get_internal_type()
            values[field.name] = VALUES.get(kind, lambda n: n)(next(_numbers))
    return model(**values)


def _computed(field: Any) -> bool:
    return bool(getattr(field, "generated", False))


def _target(database: Database, field: Any, pointing: tuple[Any, ...]) -> Any:
    """The key of some row of the model that this points to; none where that would need the row that points."""
    target = field.remote_field.model
    there = target.objects.using(database.alias).values_list(field.target_field.attname, flat=True).first()
    if there is None and not (field.null and target in pointing):
        row = _filled(database, target, {}, pointing)
        row.save(using=database.alias, force_insert=True)
        there = getattr(row, field.target_field.attname)
    return there


def add_rows(database: Database, models: Iterable[Any]) -> None:
    """A row in the table of each of these, as the newer release writes it."""
    for model in models:
        if model._meta.managed and not model._meta.proxy:
            filled(database, model).save(using=database.alias, force_insert=True)


def works(database: Database, do: Callable[[], Any]) -> str:
    """Why it does not, or empty. Nothing stays of it."""
    try:
        with transaction.atomic(using=database.alias):
            do()
            with transaction.atomic(using=database.alias):
                database.connection.check_constraints()
            transaction.set_rollback(True, using=database.alias)
    except Exception as error:  # noqa: BLE001  # whatever it is, the code does not work then
        return f"{type(error).__name__}: {error}"
    finally:
        database.connection.close_if_unusable_or_obsolete()
    return ""


def tried(database: Database, model: Any, **values: Any) -> dict[Does, str]:
    """What a code with this model really does with its table: why it fails, or empty. values: for INSERT and UPDATE."""
    rows = model.objects.using(database.alias)
    key = database.connection.ops.quote_name(model._meta.pk.column)
    table = database.connection.ops.quote_name(model._meta.db_table)

    def some_key() -> Any:
        with database.connection.cursor() as cursor:
            cursor.execute(f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1")
            (found,) = cursor.fetchone()
            return found

    def update() -> None:
        pk = model._meta.pk
        filled(database, model, **{pk.attname: some_key()}, **values).save(using=database.alias, force_update=True)

    def insert() -> None:
        if model._meta.auto_created:  # a pair may be there only once
            with database.connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {table}")
        before = rows.all().count()
        filled(database, model, **values).save(using=database.alias, force_insert=True)
        assert rows.all().count() == before + 1  # SQLite is silent about an INSERT … RETURNING into a view

    return {
        Does.READS: works(database, lambda: list(rows)),
        Does.INSERTS: works(database, insert),
        Does.UPDATES: works(database, update),
        Does.DELETES: works(database, lambda: model(pk=some_key()).delete(using=database.alias)),
    }


def answers(table: TableVerdict) -> str:
    """`reads yes, inserts no, …`, but for what is `yes`."""
    found = {does.value: table.answer(does) for does in Does}
    return ", ".join(f"{does} {answer.value}" for does, answer in found.items() if answer is not Answer.YES)


def untrue(table: TableVerdict, found: Mapping[Does, str]) -> list[str]:
    """What the verdict says of a table, and is not so."""
    wrong = []
    for does, why in found.items():
        answer = table.answer(does)
        if answer is Answer.YES and why:
            wrong.append(f"{table.table} {does.value}: should work, but {why}")
        if answer is Answer.NO and not why:
            wrong.append(f"{table.table} {does.value}: should fail because {table.because}, but works")
    return wrong
