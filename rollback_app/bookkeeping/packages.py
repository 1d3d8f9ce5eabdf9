"""The migrations of each deployment, signed, a row for each `migrate`, in the database that they were applied to."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from django.db import models

from rollback_app.database import Database
from rollback_app.errors import UsageError
from rollback_app.history import Key
from rollback_app.packages import Package, of_signed, to_signed

from .runs import now
from .tables import OwnMeta, Table

TABLE = "rollback_app_package"


class PackageEntry(models.Model):
    """migrations: JSON, [[app, name], …]: which, so that only what is needed is read. It is not signed, so nothing else rests on
    it. content: the package, compressed and signed."""

    made = models.CharField(max_length=40)
    release = models.CharField(max_length=200)
    migrations = models.TextField()
    content = models.TextField()

    class Meta(OwnMeta):
        db_table = TABLE

    def __str__(self) -> str:
        return f"{self.pk}: {self.release}"


def add_package(database: Database, package: Package) -> None:
    """Errors: those of Django's database layer; UnicodeDecodeError, of a file that is not UTF-8."""
    Table(database, PackageEntry).add(
        made=now(),
        release=package.release,
        migrations=json.dumps([list(key) for key in sorted(package.migrations)]),
        content=to_signed(package),
    )


def stored_packages(database: Database, wanted: Collection[Key]) -> list[Package]:
    """Those that have one of these migrations, newest first, and behind them those that are spoilt; nothing where there is no
    table."""
    keys = frozenset(wanted)
    found = (
        [each for each in Table(database, PackageEntry).read(lambda row: _package(row, keys)) if each] if keys else []
    )
    return sorted(found, key=lambda package: bool(package.spoilt))


def _package(row: Any, wanted: frozenset[Key]) -> Package | None:
    names = [Key(*name) for name in json.loads(row.migrations)]
    if wanted.isdisjoint(names):
        return None
    where = f"row {row.id} of {TABLE}{f' (release {row.release})' if row.release else ''}"
    try:
        return of_signed(row.content, where)
    except UsageError as error:
        why = f"cannot be loaded: {error.message}".removesuffix(".")
        return Package("", "", "", dict.fromkeys(names, ""), {}, frozenset(), where, why)
