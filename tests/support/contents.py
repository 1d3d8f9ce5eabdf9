"""Rows for the models of a state, with values of all types of fields, each with a different one where it can have one."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db.models import Model

ROWS = 4

# The first row has what adding the column gives.
VALUES: dict[str, Callable[[int], Any]] = {
    "BinaryField": lambda n: bytes(range(n)),
    "BooleanField": lambda n: n % 2 == 1,
    "CharField": lambda n: f"{n} words and words"[: n * 9],  # as short as it was at first
    "DateField": lambda n: dt.date(2024, 2, 28) + dt.timedelta(days=n),
    "DateTimeField": lambda n: dt.datetime(2024, 2, 28, 23, 59, 58, 123456, tzinfo=dt.timezone.utc) + dt.timedelta(n),
    "DecimalField": lambda n: Decimal("1234.5678") * n,
    "DurationField": lambda n: dt.timedelta(days=n, microseconds=1),
    "FloatField": lambda n: n / 3,
    "JSONField": lambda n: {"n": [n, None, "ä'\"%s"]},
    "PositiveIntegerField": lambda n: n + 1,
    "TextField": lambda n: f'\'{n}\\ "ö" %s\n',
    "TimeField": lambda n: dt.time(1, 2, n, 999999),
    "UUIDField": lambda n: uuid.UUID(int=n),
}


def fill(apps: Any, alias: str) -> None:
    """Some rows for each model, the first with nothing set but what has to be."""
    models = list(apps.get_models())
    for number in range(ROWS):
        for model in models:
            model.objects.using(alias).create(**{f.attname: value(f, number, alias) for f in _given(model, number)})
    for model in models:
        rows = list(model.objects.using(alias).order_by("pk"))
        for field in model._meta.many_to_many:
            others = list(field.remote_field.model.objects.using(alias).order_by("pk"))
            for row, other in zip(rows, others[1:], strict=False):
                getattr(row, field.name).add(other)


def _given(model: type[Model], number: int) -> list[Any]:
    meta: Any = model._meta
    return [each for each in meta.concrete_fields if not each.primary_key and (number or _must_be_given(each))]


def _must_be_given(field: Any) -> bool:
    has_default = field.has_default() or hasattr(getattr(field, "db_default", None), "value")
    return not (field.null or has_default or field.empty_strings_allowed)


def value(field: Any, number: int, alias: str) -> Any:
    if field.is_relation:
        return field.remote_field.model.objects.using(alias).order_by("pk").values_list("pk", flat=True).last()
    kind = field.get_internal_type()
    made = VALUES[kind](number) if kind in VALUES else number * 11 + 1  # of integers
    if kind == "DecimalField":
        return made.quantize(Decimal(1).scaleb(-field.decimal_places))
    return made[: field.max_length] if kind == "CharField" else made
