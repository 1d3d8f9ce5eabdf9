"""What is read from the project itself: its migration files, and the files that a user names."""

from __future__ import annotations

import hashlib
import pkgutil
import sys
import tokenize
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from rollback_app.errors import CodeUnusable, UsageError, shown
from rollback_app.history import Code, Key


def code() -> Code:
    """The migrations on disk. Errors: CodeUnusable."""
    loader = MigrationLoader(None, load=False, replace_migrations=False)
    try:
        loader.load_disk()
        for migration in loader.disk_migrations.values():
            check(migration)
    # A migration file is code of the project's and may raise anything; that is a broken file, and not a bug of ours.
    except (Exception, SystemExit) as error:
        raise _unusable(error) from error
    return Code.of(loader.disk_migrations.values(), loader.unmigrated_apps)


def check(migration: Migration) -> None:
    """What else would fail somewhere behind. Errors: TypeError."""
    name = f"{migration.app_label}.{migration.name}"
    for attribute in ("dependencies", "run_before", "replaces"):
        pairs = getattr(migration, attribute)
        if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
            raise TypeError(f"{attribute} of {name} must be a list of (app, name)")
    if not all(isinstance(operation, Operation) for operation in migration.operations):
        raise TypeError(f"operations of {name} must be a list of operations")


def digest(migration: Migration) -> str:
    """The SHA-256 of the migration's file, on disk or in a package."""
    module = sys.modules[type(migration).__module__]
    source = getattr(module, "__source__", None) or Path(str(module.__file__)).read_bytes()
    return hashlib.sha256(source).hexdigest()


def file_of(migration: Migration) -> Path:
    """The migration's file on disk."""
    return Path(str(sys.modules[type(migration).__module__].__file__)).resolve()


def source_of(migration: Migration) -> tuple[str, str]:
    """(the migration's file, seen from the current folder if it is inside; its text)."""
    path = file_of(migration)
    here = Path.cwd().resolve()
    name = path.relative_to(here) if path.is_relative_to(here) else path
    with tokenize.open(path) as file:  # which reads its encoding
        return name.as_posix(), file.read()


def bytes_of(name: str, at_most: int) -> bytes:
    """What a file holds; one byte more than that, at most. Errors: UsageError."""
    try:
        with Path(name).open("rb") as file:
            return file.read(at_most + 1)
    except (OSError, ValueError) as error:
        raise _cannot_be_read(name, error, "Give the name of a file.") from error


def text_of(name: str) -> str:
    """The text of a file, or of what is piped in ("-"). Errors: UsageError."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name that no file can have
        raise _cannot_be_read(name, error, "Give a text file, or - for stdin.") from error


def _cannot_be_read(name: str, error: OSError | ValueError, hint: str) -> UsageError:
    # Without the name of the file, which stands before it.
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return UsageError(f"The file '{shown(name)}' cannot be read: {why}", hint=hint)


def differences(applied: Iterable[Key]) -> tuple[list[Key], list[Key]]:
    """(applied, and not in this code; in this code, and not applied), by name.

    Migrations are known by the names of their files. Only those are loaded that make a difference: a squash migration may
    stand for others. Errors: CodeUnusable.
    """
    recorded, here = set(applied), _files()
    unknown, pending = recorded - here.keys(), here.keys() - recorded
    apps_with_unknown = {key.app for key in unknown}
    looked_at = [key for key in here if key in pending or key.app in apps_with_unknown]
    replaced = {key: _replaced(here[key]) for key in looked_at}
    originals = {key: set(_originals(key, replaced)) for key in replaced if replaced[key]}
    for squash in originals.keys() & pending:
        # Django applies a squash in place of its originals, if none of these is applied.
        pending -= {squash} if originals[squash] & recorded else originals[squash]
    for squash, old in originals.items():
        unknown -= old
        pending -= old if squash in recorded else set()
    return sorted(unknown), sorted(pending)


def _originals(key: Key, replaced: Mapping[Key, list[Key]]) -> Iterable[Key]:
    """All that a squash migration stands for, through any others that it has squashed."""
    for each in replaced.get(key, ()):
        yield each
        yield from _originals(each, replaced)


def _files() -> dict[Key, str]:
    """The migrations on disk, with the names of their modules."""
    found: dict[Key, str] = {}
    for config in apps.get_app_configs():
        name, _ = MigrationLoader.migrations_module(config.label)
        modules = pkgutil.iter_modules(getattr(_loaded(name), "__path__", ()))
        files = [file for _, file, is_package in modules if not is_package and file[0] not in "_~"]
        found |= {Key(config.label, file): f"{name}.{file}" for file in files}
    return found


def _replaced(module: str) -> list[Key]:
    migration = getattr(_loaded(module), "Migration", None)
    return [Key(*name) for name in getattr(migration, "replaces", ())]


def _loaded(name: str | None) -> Any:
    """The module; None, if there is none. Errors: CodeUnusable."""
    try:
        return name and import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name and f"{name}.".startswith(f"{error.name}."):
            return None
        raise _unusable(error) from error
    # A migration file is code of the project's and may raise anything; that is a broken file, and not a bug of ours.
    except (Exception, SystemExit) as error:
        raise _unusable(error) from error


def _unusable(error: BaseException) -> CodeUnusable:
    place = f"{error.filename}, line {error.lineno}: " if isinstance(error, SyntaxError) else ""
    return CodeUnusable(
        f"The migrations on disk cannot be loaded: {place}{type(error).__name__}: {error}",
        hint="Fix that file, or run this from a release in which 'python manage.py showmigrations' works.",
    )
