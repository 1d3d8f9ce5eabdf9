"""What is read from the project itself: its migration files, and the files that a user names."""

from __future__ import annotations

import sys
from pathlib import Path

from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from rollback_app.errors import CodeUnusable, UsageError, shown
from rollback_app.history import Code


def code() -> Code:
    """The migrations on disk. Errors: CodeUnusable."""
    loader = MigrationLoader(None, load=False, replace_migrations=False)
    try:
        loader.load_disk()
        for migration in loader.disk_migrations.values():
            _check(migration)
    # A migration file is code of the project's and may raise anything; that is a broken file, and not a bug of ours.
    except (Exception, SystemExit) as error:
        place = f"{error.filename}, line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        raise CodeUnusable(
            f"The migrations on disk cannot be loaded: {place}{type(error).__name__}: {error}",
            hint="Fix that file, or run this from a release in which 'python manage.py showmigrations' works.",
        ) from error
    return Code.of(loader.disk_migrations.values(), loader.unmigrated_apps)


def _check(migration: Migration) -> None:
    """What else would fail somewhere behind. Errors: TypeError."""
    name = f"{migration.app_label}.{migration.name}"
    for attribute in ("dependencies", "run_before", "replaces"):
        pairs = getattr(migration, attribute)
        if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
            raise TypeError(f"{attribute} of {name} must be a list of (app, name)")
    if not all(isinstance(operation, Operation) for operation in migration.operations):
        raise TypeError(f"operations of {name} must be a list of operations")


def text_of(name: str) -> str:
    """The text of a file, or of what is piped in ("-"). Errors: UsageError."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name that no file can have
        # Without the name of the file, which stands before it.
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(
            f"The file '{shown(name)}' cannot be read: {why}", hint="Give a text file, or - for stdin."
        ) from error
