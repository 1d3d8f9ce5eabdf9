"""Making and reading `django_migrations`: deployments of the past, without waiting for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils.timezone import get_default_timezone, is_naive, make_aware, make_naive

Key = tuple[str, str]


class Record(NamedTuple):
    id: int
    app: str
    name: str
    applied: datetime  # aware, UTC

    @property
    def key(self) -> Key:
        return self.app, self.name


def migrate(alias: str, app: str | None = None, name: str | None = None) -> None:
    words = [word for word in (app, name) if word is not None]
    call_command("migrate", *words, database=alias, verbosity=0, interactive=False)


def rows(alias: str) -> list[Record]:
    """Every row, in the order of recording; none where there is no table."""
    recorder = MigrationRecorder(connections[alias])
    if not recorder.has_table():
        return []
    found = recorder.migration_qs.order_by("id").values_list("id", "app", "name", "applied")
    return [Record(number, app, name, _aware(applied)) for number, app, name, applied in found]


def keys(alias: str) -> list[Key]:
    return [row.key for row in rows(alias)]


def set_applied(alias: str, moments: Mapping[Key, datetime]) -> None:
    queryset = MigrationRecorder(connections[alias]).migration_qs
    for (app, name), moment in moments.items():
        stored = moment if settings.USE_TZ else make_naive(moment, get_default_timezone())
        if not queryset.filter(app=app, name=name).update(applied=stored):
            raise LookupError(f"{app}.{name} is not in django_migrations of {alias}")


def deploy(alias: str, at: datetime, targets: Iterable[Key | str] | None = None) -> list[Key]:
    """Migrate to the targets (names of apps, or (app, name); everything if None), as if it had happened at `at`.

    The rows that this makes are a second apart, in the order of recording; their keys are returned.
    """
    before = {row.id for row in rows(alias)}
    for target in [()] if targets is None else targets:
        migrate(alias, *([target] if isinstance(target, str) else target))
    new = [row.key for row in rows(alias) if row.id not in before]
    set_applied(alias, {key: at + timedelta(seconds=number) for number, key in enumerate(new)})
    return new


def _aware(moment: datetime) -> datetime:
    return (make_aware(moment, get_default_timezone()) if is_naive(moment) else moment).astimezone(timezone.utc)
