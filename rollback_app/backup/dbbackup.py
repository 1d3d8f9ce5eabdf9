"""Backups by the connectors of django-dbbackup, into its storage: https://archmonger.github.io/django-dbbackup/"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import apps

from rollback_app.database import Database, first_line
from rollback_app.history import Key

from .verifying import Damaged, counted
from .way import BackupFailed, Taken, without_password

_PIECE = 1 << 20  # bytes that are read at a time


class DbBackup:
    name = "django-dbbackup"

    def why_not(self, database: Database) -> str:
        if not apps.is_installed("dbbackup"):
            return "django-dbbackup is not installed, or dbbackup is not in INSTALLED_APPS."
        try:
            _connector(database)
            _storage()
        # Its settings are the project's, and what they name may raise anything.
        except Exception as error:  # noqa: BLE001
            return f"django-dbbackup cannot be used: {type(error).__name__}: {first_line(error)}"
        return ""

    def size(self, database: Database) -> int | None:
        return database.total_size()

    def free(self) -> int | None:
        place = _path(_storage(), "")
        while place and not place.exists():  # it is made with the first backup
            place = place.parent
        return shutil.disk_usage(place).free if place else None

    def take(self, database: Database, records: Collection[Key]) -> Taken:
        try:
            return self._take(database, records)
        except Damaged as error:
            raise BackupFailed(database.alias, str(error)) from error
        # Servers, programs, disks and storages of others: each fails in its own way.
        except Exception as error:
            words = without_password(" ".join(str(error).split()), database) or type(error).__name__
            raise BackupFailed(database.alias, f"django-dbbackup: {words}") from error

    def _take(self, database: Database, records: Collection[Key]) -> Taken:
        """Errors: Damaged, and any that a connector or a storage may raise."""
        connector, storage, made = _connector(database), _storage(), datetime.now(timezone.utc)
        with connector.create_dump() as dump:
            sent = _digest(dump)
            dump.seek(0)
            name = storage.save(connector.generate_filename(), dump)
        with _read_again(storage, name) as file:
            with file.open("rb") as content:
                if _digest(content) != sent:
                    raise Damaged(f"{name} is not what was written to the storage")
            reads = str(getattr(connector, "restore_cmd", "")) if database.connection.vendor == "postgresql" else ""
            verified, size = counted(file, records, shlex.split(reads)), file.stat().st_size
            if not verified:
                raise Damaged(f"{name} holds no records of django_migrations that could be counted")
        # It wants the alias wherever there are several.
        words = ["python", "manage.py", "dbrestore", "--database", database.alias, "--input-filename", name]
        restore = shlex.join(words)
        return Taken(str(_path(storage, name) or name), made, size, verified, restore)


def _connector(database: Database) -> Any:
    """It would put MySQL's password into a command line, which everybody can read."""
    connector = import_module("dbbackup.db.base").get_connector(database.alias)
    if database.connection.vendor == "mysql" and hasattr(connector, "dump_env"):
        password = connector.settings.pop("PASSWORD", "")
        connector.dump_env = {**connector.dump_env, **({"MYSQL_PWD": str(password)} if password else {})}
    return connector


def _storage() -> Any:
    """Django's, as django-dbbackup is set up to use it."""
    return import_module("dbbackup.storage").get_storage().storage


def _path(storage: Any, name: str) -> Path | None:
    """Where a file of a storage is on this machine, if it is."""
    try:
        return Path(storage.path(name))
    except NotImplementedError:
        return None


@contextmanager
def _read_again(storage: Any, name: str) -> Iterator[Path]:
    """A file of a storage, as it is there."""
    if path := _path(storage, name):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "backup")
        with storage.open(name, "rb") as content, copy.open("wb") as file:
            shutil.copyfileobj(content, file)
        yield copy


def _digest(content: Any) -> str:
    found = hashlib.sha256()
    while piece := content.read(_PIECE):
        found.update(piece)
    return found.hexdigest()
