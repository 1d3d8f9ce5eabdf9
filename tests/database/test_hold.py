"""The hold after a rollback: who is refused, who is free, and what lifts it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management.base import CommandError
from django.db import OperationalError, connections, models
from django.test.utils import override_settings

from rollback_app import workflow
from rollback_app.bookkeeping import HOLDS_TABLE
from rollback_app.bookkeeping.holds import HoldEntry
from rollback_app.executor import Done, Progress
from tests.support.commands import call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate
from tests.support.projects import Project, migration

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

ROOT = Path(__file__).parent.parent.parent
DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
Y = 'migrations.AddField("T", "y", models.IntegerField(null=True))'
NEWER = {"0001_t": T, "0002_x": X, "0003_y": Y}
AT_DAY_1 = [("a", "0001_t")]


@pytest.fixture
def shop(database: Database, project: Project, settings: Settings) -> Database:
    """Two deployments; the older code has the first one only."""
    settings.ROLLBACK = {"RECORD": False}
    project(a=NEWER)
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    return database


def tables(database: Database) -> list[str]:
    with database.connection.cursor() as cursor:
        return database.connection.introspection.table_names(cursor)


def option(shop: Database) -> str:
    return "" if shop.alias == "default" else f" --database {shop.alias}"


def command(shop: Database, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Alone: what a run has locked is free."""
    connections.close_all()
    return in_a_container(shop, *words, **environment)


def in_a_container(shop: Database, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "django", *words, "--database", shop.alias],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def test_containers_that_restart_in_a_loop_do_not_undo_a_rollback(shop: Database, project: Project) -> None:
    assert roll_back(shop, DAY_2, reason="Checkout fails").status == 0
    connections.close_all()
    line = [sys.executable, "-m", "django", "migrate", "--database", shop.alias]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    for _ in range(2):
        both = [
            subprocess.Popen(line, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        for process in both:
            out, error = process.communicate(timeout=120)
            assert process.returncode == 1, out
            assert "CommandError: migrate is held since 20" in error
            assert "The reason: Checkout fails" in error
    assert keys(shop.alias) == AT_DAY_1

    project(a={"0001_t": T}, b={"0001_t": T})  # the older release, with a repair
    said = command(shop, "migrate")
    assert said.returncode == 0, said.stderr
    assert keys(shop.alias) == [*AT_DAY_1, ("b", "0001_t")]

    project(a=NEWER, b={"0001_t": T})
    assert command(shop, "migratehold").returncode == 3
    assert command(shop, "migratehold", "--off").returncode == 0
    assert command(shop, "migrate").returncode == 0
    assert ("a", "0003_y") in keys(shop.alias)


def test_what_is_refused_and_what_to_type(shop: Database) -> None:
    said = roll_back(shop, DAY_2, reason="Checkout fails")
    forward = f"  python manage.py migratehold --off{option(shop)} && python manage.py migrate{option(shop)}"
    assert said.out.splitlines()[-1] == forward
    assert "A hold refuses a migrate of this one" in said.out
    with pytest.raises(CommandError) as error:
        migrate(shop.alias)
    words = str(error.value)
    assert words.startswith("migrate is held since ")
    assert "a rollback undid 2 migrations. The reason: Checkout fails" in " ".join(words.split())
    assert "It would apply a.0002_x, a.0003_y. Nothing was changed." in words
    assert words.splitlines()[-1] == forward
    for name in ("showrollbacks", "showdeployments"):
        shown = call(name, database=shop.alias)
        assert "HELD migrate is held since" in shown.out
        assert f" {forward}" in shown.out
        assert call(name, database=shop.alias, format="json").json["held"] is True
    record = call("showrollbacks", database=shop.alias, format="json").json["rollbacks"][0]
    assert record["reason"] == "Checkout fails"
    assert "   reason   Checkout fails" in call("showrollbacks", database=shop.alias).out


def test_a_held_squash_and_many_migrations(shop: Database, project: Project) -> None:
    names = [f"{number:04}_n" for number in range(4, 9)]
    many = {name: f'migrations.AddField("T", "c{name}", models.IntegerField(null=True))' for name in names}
    project(a={**NEWER, **many})
    migrate(shop.alias)
    roll_back(shop, DAY_2)
    with pytest.raises(CommandError, match=r"a.0002_x, a.0003_y, a.0004_n and 4\s+more. Nothing"):
        migrate(shop.alias)
    assert "and 4 more; `migratehold` lists them" in call("showrollbacks", database=shop.alias).out
    squash = migration(f"{X}, {Y}", [("a", "0001_t")], replaces=[("a", "0002_x"), ("a", "0003_y")])
    project(a={"0001_t": T, "0002_x_squashed": squash})
    with pytest.raises(CommandError, match="It would apply a.0002_x_squashed"):
        migrate(shop.alias)


def test_what_is_free(shop: Database, project: Project) -> None:
    roll_back(shop, DAY_2)
    project(a=NEWER, b={"0001_t": T})
    migrate(shop.alias, "b")
    migrate(shop.alias, "a", "zero")
    assert "a.0002_x" in call("migrate", database=shop.alias, plan=True).out
    with pytest.raises(SystemExit):
        call("migrate", database=shop.alias, check_unapplied=True)
    assert call("migratehold", off=True, database=shop.alias).status == 0
    migrate(shop.alias)
    assert roll_back(shop, DAY_2).status == 0  # our own run sends pre_migrate, too


def test_no_hold(shop: Database, settings: Settings) -> None:
    def free() -> None:
        assert HOLDS_TABLE not in tables(shop)
        migrate(shop.alias)

    said = roll_back(shop, DAY_2, hold=False)
    assert "Do not run migrate from this one" in said.out
    free()
    settings.ROLLBACK = {"RECORD": False, "HOLD": False}
    roll_back(shop, DAY_2)
    free()
    settings.ROLLBACK = {"RECORD": False}
    with override_settings(DEBUG=True):
        roll_back(shop, DAY_2)
    free()
    workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[shop.alias]), destroy_data=True)
    free()
    roll_back(shop, DAY_2, plan=True)
    if shop.vendor != "mariadb":
        roll_back(shop, DAY_2, rehearse=True)
    free()
    assert "--no-hold --reason why" in roll_back(shop, DAY_2, plan=True, hold=False, reason="why").out


def test_a_run_that_fails_holds_nothing(shop: Database, project: Project) -> None:
    code = "def fail(apps, schema_editor):\n    raise ValueError\n"
    fails = migration("migrations.RunPython(migrations.RunPython.noop, fail)", [("a", "0001_t")], before=code)
    project(a={**NEWER, "0002_x": fails, "0003_y": migration("", [("a", "0002_x")])})
    assert roll_back(shop, DAY_2).status == 1
    assert call("migratehold", database=shop.alias).status == 0


@pytest.mark.parametrize("step_by_step", [False, True])
def test_without_a_journal(shop: Database, *, step_by_step: bool) -> None:
    assert roll_back(shop, DAY_2, journal=False, step_by_step=step_by_step).status == 0
    assert call("migratehold", database=shop.alias).status == 3


def test_a_hold_that_cannot_be_written(shop: Database) -> None:
    with shop.connection.cursor() as cursor:
        cursor.execute(f"CREATE VIEW {HOLDS_TABLE} AS SELECT 1 AS id")
    said = roll_back(shop, DAY_2, reason="view")
    assert said.status == 0
    assert "Do not run migrate from this one" in said.out
    assert keys(shop.alias) == AT_DAY_1
    assert call("migratehold", database=shop.alias, on=True).status == 1
    migrate(shop.alias)  # book-keeping never stands in the way


def test_holding_by_hand(shop: Database, project: Project) -> None:
    said = call("migratehold", database=shop.alias, on=True, reason="Sales")
    assert said.status == 0
    assert "HELD migrate is held since" in said.out
    assert "The reason: Sales" in said.out
    project(a=NEWER, b={"0001_t": T})
    with pytest.raises(CommandError, match=r"The\s+reason: Sales"):
        migrate(shop.alias)
    data = call("migratehold", database=shop.alias, format="json").json
    assert data["held"] is True
    assert (data["migrations"], data["reason"], data["source"]) == ([], "Sales", "command")
    assert data["error"]["status"] == 3
    assert call("migratehold", database=shop.alias, off=True).out.splitlines()[-1] == "migrate is not held."
    data = call("migratehold", database=shop.alias, format="json").json
    assert (data["held"], data["since"], data["source"]) == (False, None, None)
    migrate(shop.alias)


def test_json_of_a_hold(shop: Database) -> None:
    roll_back(shop, DAY_2)
    data = call("migratehold", database=shop.alias, format="json").json
    assert data["migrations"] == ["a.0002_x", "a.0003_y"]
    assert data["source"] == "rollback"
    entry = models.QuerySet(HoldEntry, using=shop.alias).get()
    assert str(entry) == f"{entry.pk}: rollback since {entry.since}"
    assert datetime.fromisoformat(data["since"]) <= datetime.now(timezone.utc)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("value", ["false", "0", "No", " off "])
def test_the_environment_holds_every_migrate(
    shop: Database, project: Project, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_MIGRATIONS", value)
    migrate(shop.alias)  # nothing to apply
    project(a=NEWER, b={"0001_t": T})
    with pytest.raises(CommandError, match="migrate is held here by RUN_MIGRATIONS in the environment"):
        migrate(shop.alias)
    said = call("migratehold", database=shop.alias)
    assert (said.status, "Run migrate where that is not set." in said.out) == (3, True)
    monkeypatch.setenv("RUN_MIGRATIONS", "true")
    migrate(shop.alias)


@pytest.mark.databases("sqlite")
def test_the_settings_hold_every_migrate(shop: Database, project: Project, settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False, "MIGRATE": False}
    project(a=NEWER, b={"0001_t": T})
    with pytest.raises(CommandError, match=r"by ROLLBACK\['MIGRATE'\] = False"):
        migrate(shop.alias)
    assert call("migratehold", database=shop.alias, format="json").json["source"] == "setting"


@pytest.mark.databases("sqlite")
def test_databases_of_the_test_runner_are_free(
    shop: Database, project: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROLLBACK = {"RECORD": False, "MIGRATE": False}
    project(a=NEWER, b={"0001_t": T})
    monkeypatch.setitem(shop.connection.settings_dict["TEST"], "NAME", str(shop.connection.settings_dict["NAME"]))
    migrate(shop.alias)
    monkeypatch.delitem(sys.modules, "django.test.utils")
    project(a=NEWER, b={"0001_t": T, "0002_x": X})
    with pytest.raises(CommandError, match="is held"):
        migrate(shop.alias)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("options", "words"),
    [({"on": True, "off": True}, "--on and --off exclude each other"), ({"reason": "x"}, "--reason is for --on")],
)
def test_wrong_usage(shop: Database, options: dict[str, Any], words: str) -> None:
    said = call("migratehold", database=shop.alias, **options)
    assert (said.status, words in said.error) == (2, True)


def test_a_hold_that_cannot_be_read_does_not_stand_in_the_way(
    shop: Database, caplog: pytest.LogCaptureFixture, project: Project
) -> None:
    roll_back(shop, DAY_2)

    def broken(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if HOLDS_TABLE in sql and sql.startswith("SELECT"):
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, params, many, context)

    with caplog.at_level(logging.WARNING), shop.connection.execute_wrapper(broken):
        migrate(shop.alias)
    assert "Whether migrate is held on" in caplog.text or "is ignored" in caplog.text


@pytest.mark.databases("mariadb")  # elsewhere it waits
def test_a_migrate_between_two_steps_is_refused(shop: Database) -> None:
    said: list[subprocess.CompletedProcess[str]] = []

    class Migrating(Progress):
        def finished(self, done: Done) -> None:
            said.append(in_a_container(shop, "migrate"))

    workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[shop.alias]), destroy_data=True, progress=Migrating())
    assert [process.returncode for process in said] == [1, 1]
    for process in said:
        assert "CommandError: Another rollback is running on mariadb: MariaDB, " in process.stderr
        assert "Nothing was applied. Migrate when it is done." in process.stderr
    assert keys(shop.alias) == AT_DAY_1
    migrate(shop.alias)  # nothing holds it by now, since the run was not by the command
