"""The line that takes a backup: of this database, and without its password."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from rollback_app import database as databases
from rollback_app.database import backups
from tests.support.databases import Database, ask

SETTINGS = {
    "NAME": "shop",
    "HOST": "db.example.com",
    "PORT": "5433",
    "USER": "o'hara",
    "PASSWORD": "secret",
    "OPTIONS": {},
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {},
            "pg_dump --format=custom --file=shop.dump --host=db.example.com --port=5433 '--username=o'\"'\"'hara' --dbname=shop",
        ),
        ({"HOST": "", "PORT": "", "USER": ""}, "pg_dump --format=custom --file=shop.dump --dbname=shop"),
        (
            {"NAME": "", "HOST": "", "PORT": "", "USER": "", "OPTIONS": {"service": "live"}},
            "pg_dump --format=custom --file=live.dump --dbname=service=live",
        ),
    ],
)
def test_pg_dump(changes: dict[str, Any], line: str) -> None:
    assert backups.pg_dump({**SETTINGS, **changes}) == line


def test_mysqldump() -> None:
    what = "--single-transaction --routines --triggers --events"
    rest = "--user=ada --password --result-file=shop.sql shop"
    settings = {**SETTINGS, "USER": "ada"}
    assert backups.mysqldump(settings, "mysqldump") == f"mysqldump {what} --host=db.example.com --port=5433 {rest}"
    local = {**settings, "HOST": "/run/mysqld.sock", "PORT": ""}
    assert backups.mysqldump(local, "mysqldump") == f"mysqldump {what} --socket=/run/mysqld.sock {rest}"


def test_the_line_is_about_this_database(database: Database) -> None:
    name = str(database.connection.settings_dict["NAME"])
    with database.connection.cursor():
        line = databases.get(database.alias).backup_line()
    assert name in line
    assert line.split()[0] == {"sqlite": "sqlite3", "postgresql": "pg_dump", "mariadb": "mariadb-dump"}[database.vendor]


@pytest.mark.databases("sqlite")
def test_a_name_with_spaces_and_quotes(database: Database, tmp_path: Path) -> None:
    """The shell hands over two words, and sqlite3 reads the second as a command with one file."""
    name = str(tmp_path / "a shop's.sqlite3")
    line = backups.sqlite({"NAME": name})
    words = subprocess.run(["sh", "-c", f"printf '%s\\n' {line}"], check=True, capture_output=True, text=True).stdout
    assert words.splitlines()[:2] == ["sqlite3", name]
    assert words.splitlines()[2].startswith(".backup ")
    assert ask(database, "SELECT 1") == [(1,)]
