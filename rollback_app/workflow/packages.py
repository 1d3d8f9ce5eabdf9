"""Making a package of what an older release lacks, and reading one."""

from __future__ import annotations

from datetime import datetime, timezone

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS

from rollback_app import conf, packages, planner, project
from rollback_app import database as databases
from rollback_app.errors import CodeUnusable, UsageError, shown
from rollback_app.history import Code, Cut, Key
from rollback_app.moments import manifest
from rollback_app.packages import LIMIT, Package

from .reading import finder, reading


def make_package(older: str | None = None, using: str = DEFAULT_DB_ALIAS) -> Package:
    """The migrations that this code has and the older release lacks; all, without one.

    older: `manifest:FILE`, for which no database is looked at, or `release:NAME`, as it is recorded in the database.

    Errors: UsageError, DatabaseUnusable, CodeUnusable.
    """
    code = project.code()
    try:
        release = conf.release()
    except ImproperlyConfigured as error:
        raise CodeUnusable(str(error), hint="Fix it in the settings.") from error
    has = _has(older, code, using) if older else frozenset()
    return packages.make(code, code.migrations.keys() - has, release)


def _has(older: str, code: Code, using: str) -> frozenset[Key]:
    """The migrations that the older release has."""
    kind, _, name = older.strip().partition(":")
    if kind == "manifest" and name:
        has = manifest.read(project.text_of(name), f"'{shown(name)}'")
        if len(has & code.migrations.keys()) * 2 < len(has):
            raise UsageError(
                f"The manifest '{shown(name)}' is probably another project's: this code has few of its migrations.",
                hint="Give the manifest of an older release of this project.",
            )
        return has
    if kind == "release" and name:
        database = databases.get(using)
        with reading(database):
            moment = finder(older, None, datetime.now(timezone.utc), planner.DEFAULT_GAP)(database, code)
            cut = Cut(moment.at, database.precision())
            return frozenset(record.key for record in database.records() if not cut.is_late(record))
    raise UsageError(
        f"'{shown(older)}' does not name an older release.",
        hint="Give manifest:FILE, with what `migrationmanifest` prints there, or release:NAME. Without one, the package is of "
        "all migrations.",
    )


def read_package(name: str) -> Package:
    """The package in a file. Errors: UsageError, if there is none, or it is not as it was made."""
    return packages.of_zip(project.bytes_of(name, LIMIT), shown(name))
