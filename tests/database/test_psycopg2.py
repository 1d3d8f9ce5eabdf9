"""The same with PostgreSQL's older driver, which names its codes otherwise: each in a process that has only that one."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.support.commands import Text
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration

ROOT = Path(__file__).parents[2]
DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = (
    'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)),'
    ' ("x", models.CharField(max_length=10, default="", unique=True))])'
)
Y = 'migrations.AddField("T", "y", models.IntegerField(null=True))'

pytestmark = pytest.mark.databases("postgresql")


class OlderDriver:
    def __init__(self, database: Database, project: Project, folder: Path) -> None:
        self.database, self.project = database, project
        lines = [
            "import sys",
            "sys.modules['psycopg'] = None  # as if it were not installed",
            "from tests.settings import *",
        ]
        (folder / "older_driver.py").write_text("\n".join(lines))

    def deployed(self, late: str) -> None:
        self.project(a={"0001_t": T})
        deploy(self.database.alias, DAY_1)
        self.project(a={"0001_t": T, "0002_late": late})
        deploy(self.database.alias, DAY_2)

    def execute(self, *statements: str) -> None:
        with self.database.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def __call__(self, *options: str) -> subprocess.CompletedProcess[str]:
        words = [
            "rollbackmigrationsafter",
            DAY_2.isoformat(),
            "--database",
            "postgresql",
            "--no-input",
            "--destroy-data",
        ]
        return subprocess.run(
            [sys.executable, "manage.py", *words, *options],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "older_driver", "COLUMNS": "1000"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def older_driver(database: Database, project: Project, tmp_path: Path) -> OlderDriver:
    return OlderDriver(database, project, tmp_path)


def test_a_rollback(older_driver: OlderDriver) -> None:
    older_driver.deployed(Y)
    done = older_driver()
    assert done.returncode == 0, done.stderr
    assert keys("postgresql") == [("a", "0001_t")]


@pytest.mark.parametrize("step_by_step", [[], ["--step-by-step"]])
def test_a_lock_timeout(older_driver: OlderDriver, step_by_step: list[str]) -> None:
    """Case psycopg2-sqlstate: status 4, tried again, the same words."""
    older_driver.deployed(Y)
    holder = older_driver.database.connection.copy()
    holder.set_autocommit(False)
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE a_t IN ROW EXCLUSIVE MODE")
        done = older_driver("--lock-timeout", "0.3", "--retries", "1", "--no-count", *step_by_step)
    finally:
        holder.close()
    assert done.returncode == 4, done.stderr
    assert "canceling statement due to lock timeout" in Text(done.stderr)
    assert "Somebody else held a lock for longer than --lock-timeout." in done.stderr
    assert ("Trying again in 1 s (1 of 1)" in done.stderr) == (not step_by_step)


def test_the_history_is_locked(older_driver: OlderDriver) -> None:
    older_driver.deployed(Y)
    holder = older_driver.database.connection.copy()
    holder.set_autocommit(False)
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE django_migrations IN SHARE MODE")
        done = older_driver("--lock-timeout", "0.3")
    finally:
        holder.close()
    assert done.returncode == 4, done.stderr
    assert "Somebody else is working on postgresql" in done.stderr


def test_what_the_server_says_besides(older_driver: OlderDriver) -> None:
    older_driver.deployed('migrations.AlterField("T", "x", models.CharField(max_length=10))')
    older_driver.execute("INSERT INTO a_t (x) VALUES ('one'), ('one')")
    done = older_driver("--no-count")
    assert done.returncode == 1
    assert "Detail: Key (x)=(one) is duplicated." in done.stderr
    assert "Rows in the table violate a constraint." in done.stderr


def test_what_does_not_exist(older_driver: OlderDriver) -> None:
    older_driver.deployed(Y)
    older_driver.execute("ALTER TABLE a_t DROP COLUMN y")
    done = older_driver("--no-count")
    assert "add --fake a.0002_late" in done.stderr


def test_a_commit_is_noticed(older_driver: OlderDriver) -> None:
    code = """
def backwards(apps, schema_editor):
    schema_editor.connection.connection.commit()
"""
    operation = "migrations.RunPython(migrations.RunPython.noop, backwards)"
    older_driver.deployed(migration(operation, [("a", "0001_t")], before=code))
    done = older_driver()
    assert done.returncode == 1
    assert "this ended the transaction of the run" in done.stderr


def test_a_rehearsal_and_a_connection_that_is_lost(older_driver: OlderDriver) -> None:
    older_driver.deployed(f"{Y}, migrations.RunSQL('', 'SELECT pg_terminate_backend(pg_backend_pid())')")
    done = older_driver("--rehearse")
    assert done.returncode == 1
    assert "The connection was lost." in done.stderr
    assert "Nothing was changed" in done.stderr
