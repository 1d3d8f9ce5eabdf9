"""A fleet of SQLite files, one for each customer, whose aliases are made at run time: a project on disk, and its commands."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.projects import migration
from tests.support.reference import SCHEMA

ROOT = Path(__file__).parent.parent.parent
SETTINGS = """
from pathlib import Path

BASE = Path(__file__).parent
SECRET_KEY = "of the tests"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["shop", "rollback_app"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE / "home.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROLLBACK = {"FLEET": "fleet.members"}
"""
MANAGE = """
import os
import sys

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
"""
FLEET = """
from pathlib import Path

from django.db import connections

from rollback_app.fleets import Member


def members():
    for file in sorted(Path(__file__).parent.glob("customers/*.sqlite3")):
        connections.settings.setdefault(file.stem, {**connections.settings["default"], "NAME": file})
        yield Member(file.stem, file.stem, shared=file.stem == "shared")
"""
MODELS = """
from django.db import models


class Item(models.Model):
    name = models.CharField(max_length=20, null=True)
    price = models.IntegerField(default=0)


class Tag(models.Model):
    name = models.CharField(max_length=20)
"""
KEY = '("id", models.BigAutoField(primary_key=True))'
NAME = "models.CharField(max_length=20{})"
MIGRATIONS = {
    "0001_initial": f'migrations.CreateModel("Item", [{KEY}, ("name", {NAME.format("")})])',
    "0002_price": 'migrations.AddField("item", "price", models.IntegerField(default=0)), '
    f'migrations.CreateModel("Tag", [{KEY}, ("name", {NAME.format("")})])',
    "0003_name": f'migrations.AlterField("item", "name", {NAME.format(", null=True")})',
}
TIMES = ("2024-01-01 10:00:00", "2024-05-01 10:00:00", "2024-05-01 10:00:01")
MOMENT = "2024-03-01"
FORWARD = "2024-12-01"


class Fleet:
    """Each member has the migrations of the shop, and rows: two items, a tag."""

    def __init__(self, folder: Path) -> None:
        self.use(folder)
        (folder / "shop/migrations").mkdir(parents=True)
        self.customers.mkdir()
        for name, text in {"settings.py": SETTINGS, "manage.py": MANAGE, "fleet.py": FLEET}.items():
            (folder / name).write_text(text)
        for name in ("shop/__init__.py", "shop/models.py", "shop/migrations/__init__.py"):
            (folder / name).touch()
        previous: list[tuple[str, str]] = []
        for name, operations in MIGRATIONS.items():
            (folder / f"shop/migrations/{name}.py").write_text(migration(operations, previous))
            previous = [("shop", name)]
        self.at(3)

    @classmethod
    def copied(cls, made: Path, folder: Path) -> Fleet:
        """A project like that one, for a test alone."""
        shutil.copytree(made, folder)
        found = cls.__new__(cls)
        found.use(folder)
        return found

    def use(self, folder: Path) -> None:
        self.folder, self.customers = folder, folder / "customers"
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)

    def at(self, number: int) -> Path:
        """The file of a database where so many of the migrations are applied."""
        file = self.folder / f"at-{number}.sqlite3"
        if not file.exists():
            home = self.folder / "home.sqlite3"
            home.unlink(missing_ok=True)
            assert self.manage("migrate", "shop", [*MIGRATIONS][number - 1], "-v", "0").returncode == 0
            with closing(sqlite3.connect(home)) as connection, connection:
                for name, applied in zip(MIGRATIONS, TIMES, strict=True):
                    connection.execute("UPDATE django_migrations SET applied = ? WHERE name = ?", [applied, name])
                connection.execute("INSERT INTO shop_item (name) VALUES ('pen')" if number == 1 else _ITEMS)
                if number > 1:
                    connection.execute("INSERT INTO shop_tag (name) VALUES ('new')")
            shutil.copy(home, file)
        return file

    def add(self, *names: str, at: int = 3) -> Fleet:
        for name in names:
            shutil.copy(self.at(at), self.file(name))
        return self

    def file(self, name: str) -> Path:
        return self.customers / f"{name}.sqlite3"

    def manage(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        return self.shell(shlex.join([sys.executable, "-c", code]), DJANGO_SETTINGS_MODULE="settings")

    def shell(self, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """What a shell makes of a line that was printed."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env={**self.environment, "PATH": path, **environment},
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )

    def settings(self, more: str) -> None:
        file = self.folder / "settings.py"
        file.write_text(f"{file.read_text()}\n{more}\n")

    def models(self) -> None:
        """Give the shop the models that its migrations make."""
        (self.folder / "shop/models.py").write_text(MODELS)

    def fail(self, name: str) -> None:
        """Whatever deletes a record of this member fails."""
        self.execute(
            name,
            "CREATE TRIGGER sabotage BEFORE DELETE ON django_migrations BEGIN SELECT raise(ABORT, 'sabotaged'); END",
        )

    def repair(self, name: str) -> None:
        self.execute(name, "DROP TRIGGER sabotage")

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def roll_back(self, *words: str, workers: int = 1) -> subprocess.CompletedProcess[str]:
        return self.manage("rollbackfleet", *(words or [MOMENT]), "--workers", str(workers))

    def as_json(self, *words: str, workers: int = 1) -> Any:
        done = self.roll_back(*(words or [MOMENT]), "--format", "json", workers=workers)
        found = json.loads(done.stdout)
        check(found)
        return found

    def execute(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file(name))) as connection, connection:
            return connection.execute(sql).fetchall()

    def states(self) -> dict[str, str]:
        """Of the members of the newest fleet."""
        sql = "SELECT name, state FROM rollback_app_fleet WHERE fleet = (SELECT max(id) FROM rollback_app_fleetrun) ORDER BY id"
        return dict(self.home(sql))

    def states_or_none(self) -> dict[str, str] | None:
        there = self.home("SELECT 1 FROM sqlite_master WHERE name = 'rollback_app_fleet'")
        return self.states() if there else None

    def forget(self) -> None:
        """As if so much time had passed that nobody seems to watch a fleet any more."""
        if self.states_or_none() is not None:
            self.home("UPDATE rollback_app_fleetrun SET lease = '2024-01-01T00:00:00+00:00'")

    def workers(self) -> set[str]:
        return {worker for (worker,) in self.home("SELECT worker FROM rollback_app_fleet")}

    def home(self, sql: str) -> list[tuple[Any, ...]]:
        """Of the default database, where the state is."""
        with closing(sqlite3.connect(self.folder / "home.sqlite3")) as connection, connection:
            return connection.execute(sql).fetchall()

    def content(self, name: str) -> tuple[Any, ...]:
        """The records, the tables and the rows of a member, but for our own tables."""
        with closing(sqlite3.connect(self.file(name))) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'shop%' ORDER BY 1").fetchall()
            # In the order of their names: what remakes a table, puts some columns first.
            tables = {
                table: sorted(each[1:] for each in connection.execute(f"PRAGMA table_info({table})"))
                for (table,) in names
            }
            rows = {
                table: connection.execute(f"SELECT {', '.join(each[0] for each in columns)} FROM {table}").fetchall()
                for table, columns in tables.items()
            }
            records = connection.execute("SELECT app, name, applied FROM django_migrations ORDER BY 1, 2").fetchall()
        return tables, rows, records

    def applied(self, name: str) -> list[str]:
        return [each for (each,) in self.execute(name, "SELECT name FROM django_migrations ORDER BY name")]

    def runs(self, name: str) -> list[str]:
        """How the rollbacks of a member ended."""
        there = self.execute(name, "SELECT 1 FROM sqlite_master WHERE name = 'rollback_app_run'")
        return [each for (each,) in self.execute(name, "SELECT outcome FROM rollback_app_run")] if there else []


_ITEMS = "INSERT INTO shop_item (name, price) VALUES ('pen', 3), ('ink', 0)"


def check(found: Any) -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator({"$defs": SCHEMA["$defs"], "$ref": "#/$defs/rollbackfleet"}).validate(found)
