"""`checkschema`: the models of the code that runs, against the live schema; and an older code in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import call, checked
from tests.support.databases import Database
from tests.support.history import migrate
from tests.support.projects import Project, migration

ID = '("id", models.BigAutoField(primary_key=True))'
T = f'migrations.CreateModel("T", [{ID}])'


def execute(database: Database, *statements: str) -> None:
    with database.connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)


@pytest.fixture
def users(database: Database, project: Project) -> Database:
    """The tables of django.contrib.auth, whose models this code has, and a migration."""
    project(with_contrib=True, a={"0001_t": T})
    migrate(database.alias)
    return database


def test_this_code_runs(users: Database) -> None:
    said = call("checkschema", database=users.alias)
    assert said.status == 0
    assert "This code runs on the database as it is (7 tables)." in said.out
    found = call("checkschema", database=users.alias, format="json").json
    assert (found["schema"], found["verdict"], found["unknown"], found["pending"]) == (1, "runs", [], [])
    assert {table["reads"] for table in found["tables"]} == {"yes"}


def test_what_is_applied_and_what_is_not(users: Database, project: Project) -> None:
    project(with_contrib=True, a={"0002_other": migration("")})
    said = call("checkschema", database=users.alias)
    assert said.status == 0
    assert "Applied, but unknown to this code: a.0001_t." in said.out
    assert "Not applied: a.0002_other." in said.out
    assert call("checkschema", database=users.alias, format="json").json["pending"] == ["a.0002_other"]


def test_it_runs_with_care(users: Database) -> None:
    execute(users, "CREATE UNIQUE INDEX one_name ON auth_user (last_name)")
    said = call("checkschema", database=users.alias)
    assert said.status == 0
    assert "This code runs on the database as it is, but some statements may fail:" in said.out
    assert "auth_user: inserts, updates may fail" in said.out
    assert "A unique rule that this code does not know may refuse rows: one_name (last_name)." in said.out


def test_it_fails(users: Database) -> None:
    execute(users, "ALTER TABLE auth_user ADD COLUMN shoe_size integer", "ALTER TABLE auth_user DROP COLUMN last_name")
    said = call("checkschema", database=users.alias)
    assert said.status == 3
    assert "This code does not run on the database as it is:" in said.out
    assert "auth_user: reads, inserts, updates fail; deletes may fail\n    There is no column last_name." in said.out
    assert "cannot work on" in said.error
    found = call("checkschema", database=users.alias, format="json")
    assert (found.status, found.json["verdict"], found.json["outcome"]) == (3, "fails", "refused")
    (user,) = (table for table in found.json["tables"] if table["table"] == "auth_user")
    assert user == {
        "table": "auth_user",
        "reads": "no",
        "inserts": "no",
        "updates": "no",
        "deletes": "maybe",
        "because": ["There is no column last_name."],
        "bridge": [],
    }
    assert call("checkschema", database=users.alias, verbosity=0).out == ""


def test_no_such_database_is_wrong_usage() -> None:
    assert call("checkschema", database="nowhere").status == 2


def test_a_database_that_was_never_migrated(database: Database, project: Project) -> None:
    assert call("checkschema", database=database.alias).status == 1


SQUASH = migration(T, replaces=[("a", "0001_t"), ("a", "0002_x")])
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'


@pytest.mark.parametrize(
    ("applied", "code", "unknown", "pending"),
    [
        ({"0001_t": T, "0002_x": X}, {"0001_squashed": SQUASH}, [], []),
        ({"0001_t": T}, {"0001_squashed": SQUASH}, [], []),
        ({"0001_squashed": SQUASH}, {"0001_t": T, "0002_x": X, "0001_squashed": SQUASH}, [], []),
        ({"0001_t": T}, {"0001_t": T, "0002_x": X, "0001_squashed": SQUASH}, [], ["a.0002_x"]),
        ({}, {"0001_t": T, "0002_x": X, "0001_squashed": SQUASH}, [], ["a.0001_squashed"]),
        ({"0001_squashed": SQUASH}, {"0001_t": T}, ["a.0001_squashed", "a.0002_x"], []),
    ],
)
def test_squashes(applied: Any, code: Any, unknown: Any, pending: Any, database: Database, project: Project) -> None:
    project(a=applied, b={"0001_u": T})
    migrate(database.alias)
    project(a=code, b={"0001_u": T})
    found = call("checkschema", database=database.alias, format="json").json
    assert found["unknown"] == unknown
    assert found["pending"] == pending


@pytest.mark.databases("sqlite")
def test_files_that_cannot_be_loaded(users: Database, project: Project) -> None:
    for text in ("import nowhere_at_all", "class Migration(:", "raise SystemExit"):
        project(with_contrib=True, a={"0001_t": T, "0002_broken": f"{text}\n# class Migration"})
        said = call("checkschema", database=users.alias)
        assert said.status == 1
        assert "The migrations on disk cannot be loaded" in said.error


# A process with the older code

SETTINGS = """
import pymysql
pymysql.install_as_MySQLdb()
DATABASES = {databases}
INSTALLED_APPS = ["rollback_app", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "not a secret"
USE_TZ = True
"""
MODELS = {
    "older": "class Order(models.Model):\n    note = models.CharField(max_length=20)\n",
    "newer": "class Order(models.Model):\n    note = models.CharField(max_length=20)\n"
    "    status = models.CharField(max_length=10, default='open')\n",
}
ORDER = f'migrations.CreateModel("Order", [{ID}, ("note", models.CharField(max_length=20))])'
STATUS = 'migrations.AddField("Order", "status", models.CharField(max_length=10, default="open"))'
MIGRATIONS = {
    "older": {"0001_order": migration(ORDER)},
    "newer": {"0001_order": migration(ORDER), "0002_status": migration(STATUS, [("shop", "0001_order")])},
}
DOES = {
    "reads": "list(Order.objects.all())",
    "inserts": "Order.objects.create(note='x')",
    "updates": "o = Order.objects.first(); o.note = 'y'; o.save()",
    "deletes": "Order.objects.first().delete()",
}


class Image:
    """A release in a folder of its own, as in an image of a container."""

    def __init__(self, folder: Path, release: str, database: Database) -> None:
        self.folder = folder / release
        package = self.folder / "shop"
        (package / "migrations").mkdir(parents=True)
        options = {key: str(value) for key, value in database.connection.settings_dict.items() if key in _GIVEN}
        (self.folder / "settings.py").write_text(SETTINGS.format(databases={"default": options}))
        (package / "__init__.py").touch()
        (package / "models.py").write_text(f"from django.db import models\n\n{MODELS[release]}")
        (package / "migrations/__init__.py").touch()
        for name, text in MIGRATIONS[release].items():
            (package / f"migrations/{name}.py").write_text(text)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        root = str(Path(__file__).parent.parent.parent)
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": f"{self.folder}{os.pathsep}{root}",
        }
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            check=False,
            text=True,
            capture_output=True,
            timeout=60,
        )

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "django", *words)

    def does(self, what: str) -> bool:
        code = f"import django; django.setup(); from shop.models import Order; {DOES[what]}"
        return not self.run("-c", code).returncode


_GIVEN = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")


def test_a_process_with_the_older_code(database: Database, tmp_path: Path) -> None:
    """As docs/howto/without-a-rollback.md tells it: the older image cannot insert; with a database default it can."""
    database.connection.close()
    older, newer = (Image(tmp_path, release, database) for release in MODELS)
    assert newer.manage("migrate", "-v", "0").returncode == 0
    assert newer.manage("checkschema").returncode == 0
    assert newer.does("inserts")

    said = older.manage("checkschema", "--format", "json")
    assert said.returncode == 3
    found = checked(said.stdout, "checkschema")
    assert found["unknown"] == ["shop.0002_status"]
    (order,) = (table for table in found["tables"] if table["table"] == "shop_order")
    for what in DOES:
        assert older.does(what) is (order[what] == "yes"), what

    assert newer.does("inserts")
    if database.vendor != "sqlite":
        (bridge,) = order["bridge"]
        execute(database, bridge)
        assert older.manage("checkschema").returncode == 0
        assert all(map(older.does, DOES))
