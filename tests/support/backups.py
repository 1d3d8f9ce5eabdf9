"""Where backups of tests go, and what makes them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers
from tests.support.databases import Database

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

DUMP_MYSQL = Path(__file__).with_name("dump_mysql.py")


def program(name: str, server: str = "postgresql") -> str:
    """Of the server's own version, where the tests have started it."""
    try:
        folder = servers.programs(server)
    except servers.ServerError:
        folder = Path()
    places = [folder / name, folder.parent / "bin" / name]
    return str(next((place for place in places if place.is_file()), shutil.which(name)))


def install_dbbackup(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """django-dbbackup is installed, and its backups go to a folder."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "dbbackup"]
    from dbbackup import settings as theirs

    connectors: dict[str, dict[str, Any]] = {
        "postgresql": {"DUMP_CMD": program("pg_dump"), "RESTORE_CMD": program("pg_restore")},
        "mariadb": {"DUMP_CMD": f"{sys.executable} {DUMP_MYSQL}", "RESTORE_CMD": program("mariadb", "mariadb")},
    }
    monkeypatch.setattr(theirs, "STORAGE", "django.core.files.storage.FileSystemStorage")
    monkeypatch.setattr(theirs, "STORAGE_OPTIONS", {"location": str(folder)})
    monkeypatch.setattr(theirs, "CONNECTORS", {database.alias: connectors.get(database.vendor, {})})
