"""Rows for the tables that a migration touches, as its models want them: unique, with something to point to, within choices."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import router, transaction
from django.db.models import NOT_PROVIDED
from django.utils import timezone

from rollback_app.database import first_line

Factory = Callable[..., Any]
ROWS = 2  # of a table: one with all values, one with nulls where they may be
_START = dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone.utc)
_VARIATIONS = (
    lambda place: place + 1,
    lambda place: 100 - place,
    lambda place: 0,
    lambda place: 1000 + 10 * place,
    lambda place: -1 - place,
)


class CannotSeed(Exception):
    """No rows could be made for a model; why, the end of a sentence."""


class Seeder:
    """Makes rows through the models of a state. factory: the project's own, of ROLLBACK['SEED']: called with the model and
    `using`, it makes rows, or returns None to leave that to us."""

    def __init__(self, alias: str, factory: Factory | None = None) -> None:
        self._alias, self._factory = alias, factory

    def seed(
        self, apps: Any, keys: Collection[tuple[str, str]], tables: Collection[str], *, nulls: bool = True
    ) -> tuple[set[str], list[str]]:
        """Rows in the tables of these models, and of those that they point to. tables: those that are there. nulls: with nulls,
        where they may be. The tables, and why there are none for some models, a sentence each."""
        self._nulls, self._there = nulls, tables
        done: dict[Any, list[Any]] = {}
        problems = []
        for key in sorted(keys):
            model = apps.get_model(*key)
            try:
                self._rows(model, done, ())
                for join in (field.remote_field.through for field in model._meta.local_many_to_many):
                    if join._meta.auto_created:
                        self._rows(join, done, ())
            except CannotSeed as error:
                problems.append(f"No rows could be made for {model._meta.label}: {error}")
        return {model._meta.db_table for model, rows in done.items() if rows}, problems

    def _rows(self, model: Any, done: dict[Any, list[Any]], above: tuple[Any, ...]) -> list[Any]:
        """above: the models whose rows wait for these."""
        model = model._meta.concrete_model
        if model in done or not self._lives_here(model):
            return done.get(model, [])
        if model in above:
            raise CannotSeed(f"it needs a row of {model._meta.label}, which needs one of it")
        there = self._first_rows(model)
        done[model] = there or self._own(model) or self._made(model, done, (*above, model))
        return done[model]

    def _first_rows(self, model: Any) -> list[Any]:
        return list(_manager(model, self._alias)[:ROWS])

    def _lives_here(self, model: Any) -> bool:
        meta = model._meta
        here = meta.managed and not meta.swapped and meta.db_table in self._there
        return here and router.allow_migrate_model(self._alias, model)

    def _own(self, model: Any) -> list[Any]:
        """What the project's own factory makes."""
        if self._factory is None:
            return []
        try:
            with transaction.atomic(using=self._alias):
                made = self._factory(model, using=self._alias)
        # The factory is the project's, and may raise anything.
        except Exception as error:
            raise CannotSeed(f"ROLLBACK['SEED'] raised {type(error).__name__}: {first_line(error)}") from error
        return [] if made is None else self._first_rows(model)

    def _made(self, model: Any, done: dict[Any, list[Any]], above: tuple[Any, ...]) -> list[Any]:
        made, why = [], ""
        for index in range(ROWS):
            for vary in _VARIATIONS:
                try:
                    values = dict(self._values(model, index, vary, done, above))
                    with transaction.atomic(using=self._alias):
                        made.append(self._insert(model, values))
                    break
                # A field of others, or the database, may raise anything: the next variation may do.
                except Exception as error:  # noqa: BLE001
                    why = why or f"{type(error).__name__}: {first_line(error)}"
                    if isinstance(error, CannotSeed):
                        why = str(error)
                        break
        if not made and not (made := _by_model_bakery(model, self._alias)):
            raise CannotSeed(why)
        return made

    def _insert(self, model: Any, values: dict[str, Any]) -> Any:
        row = model(**values)
        if model._meta.parents:
            row.save(using=self._alias, force_insert=True)
        else:  # which sends no signals
            _manager(model, self._alias).bulk_create([row])
        return row

    def _values(
        self, model: Any, index: int, vary: Callable[[int], int], done: dict[Any, list[Any]], above: tuple[Any, ...]
    ) -> Iterator[tuple[str, Any]]:
        for place, field in enumerate(model._meta.concrete_fields):
            if _by_itself(field):
                continue
            if field.null and index and self._nulls:
                yield field.attname, None
            elif field.is_relation:
                if field.null and field.related_model._meta.concrete_model in above:
                    continue  # as the parent of a tree
                targets = self._rows(field.related_model, done, above)
                if targets:
                    target = targets[index % len(targets)]
                    yield field.attname, getattr(target, field.target_field.attname)
            else:
                yield field.attname, _value(field, index, vary(place))


def _manager(model: Any, alias: str) -> Any:
    return model._base_manager.using(alias).order_by()  # noqa: SLF001  # Django's documentation has it


def _by_itself(field: Any) -> bool:
    """Does it get its value by itself?"""
    parent = field.remote_field and getattr(field.remote_field, "parent_link", False)
    automatic = getattr(field, "db_returning", False) and field.get_internal_type().endswith("AutoField")
    return bool(automatic or parent or getattr(field, "generated", False))


def _by_model_bakery(model: Any, alias: str) -> list[Any]:
    """What model_bakery makes, where it is installed; it knows the project's own generators."""
    try:
        from model_bakery import baker  # noqa: PLC0415  # optional
    except ImportError:
        return []
    try:
        with transaction.atomic(using=alias):
            return [baker.make(model, _using=alias)]
    except Exception:  # noqa: BLE001  # of a field that it does not know, and more
        return []


def _value(field: Any, index: int, number: int) -> Any:
    """A value for a field. index: of the row, so that values of a column differ. number: what it is about."""
    number = number * (1 + index) + index
    if field.choices:
        flat = [value for value, _ in field.flatchoices if value not in (None, "")]
        return flat[index % len(flat)]
    kind = field.get_internal_type()
    make = _MAKE.get(kind)
    if make is None and kind.endswith(("IntegerField", "AutoField")):
        make = _whole
    if make is not None:
        return make(field, index, number)
    if field.has_default() or getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED:
        return field.get_default()
    if field.null:
        return None
    raise CannotSeed(f"what its field {field.name}, a {type(field).__name__}, may hold is not known")


def _whole(field: Any, index: int, number: int) -> int:
    return abs(number) if field.get_internal_type().startswith("Positive") else number


def _decimal(field: Any, index: int, number: int) -> Decimal:
    most = 10 ** (field.max_digits - field.decimal_places) - 1
    return Decimal(number) if abs(number) <= most else Decimal(index + 1).scaleb(-field.decimal_places)


def _text(field: Any, index: int, number: int) -> str:
    """Mostly of digits, which are numbers, and JSON, too."""
    longest = field.max_length or 20
    kind = type(field).__name__.lower()
    if "email" in kind or "email" in field.name:
        return f"r{index}@example.com"[-longest:]
    return f"https://example.com/{index}" if "url" in kind else str(abs(number))[:longest]


def _address(field: Any, index: int, number: int) -> str:
    return f"2001:db8::{index + 1}" if field.protocol.lower() == "ipv6" else f"192.0.2.{index + 1}"


def _moment(number: int) -> dt.datetime:
    found = _START + dt.timedelta(days=number)
    return found if settings.USE_TZ else timezone.make_naive(found, dt.timezone.utc)


# By what `get_internal_type` says: a function of the field, the index of the row, and a number.
_MAKE: dict[str, Callable[[Any, int, int], Any]] = {
    **dict.fromkeys(("CharField", "TextField", "SlugField", "FileField", "FilePathField"), _text),
    "ArrayField": lambda field, index, number: [_value(field.base_field, index, number)],
    "BinaryField": lambda field, index, number: str(number).encode(),
    "BooleanField": lambda field, index, number: bool(index % 2),
    "DateField": lambda field, index, number: _moment(number).date(),
    "DateTimeField": lambda field, index, number: _moment(number),
    "DecimalField": _decimal,
    "DurationField": lambda field, index, number: dt.timedelta(days=abs(number)),
    "FloatField": lambda field, index, number: number + 0.5,
    "GenericIPAddressField": _address,
    "HStoreField": lambda field, index, number: {"number": str(number)},
    "JSONField": lambda field, index, number: {"number": number},
    "TimeField": lambda field, index, number: dt.time(abs(number) % 24, 30),
    "UUIDField": lambda field, index, number: uuid.UUID(int=abs(number) + 1),
}
