"""ROLLBACK["REVERSES"]: a project's own reverses for migrations of others that have none."""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import CheckMessage, run_checks

from tests.support.commands import call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
FILL = """
def fill(apps, schema_editor):
    T = apps.get_model("a", "T")
    if not T.objects.using(schema_editor.connection.alias).exists():
        T.objects.using(schema_editor.connection.alias).create(id=1, n=1)
    T.objects.using(schema_editor.connection.alias).update(n=2)
"""
CODE = "migrations.RunPython(fill)"
SQL = 'migrations.RunSQL("UPDATE a_t SET n = n + 1")'
INSIDE = f"migrations.SeparateDatabaseAndState([migrations.SeparateDatabaseAndState([{CODE}])], [])"


def back_to_one(apps: Any, schema_editor: Any) -> None:
    apps.get_model("a", "T").objects.using(schema_editor.connection.alias).update(n=1)


def shop(database: Database, project: Project, *operations: str) -> None:
    text = migration(", ".join([*operations, X]), [("a", "0001_t")], before=FILL)
    project(a={"0001_t": T, "0002_x": text})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)


def values(database: Database) -> list[int]:
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT n FROM a_t ORDER BY id")
        return [number for (number,) in cursor.fetchall()]


def reverse(settings: Settings, value: object, name: str = "a.0002_x") -> None:
    settings.ROLLBACK = {"RECORD": False, "HOLD": False, "REVERSES": {name: value}}


def warnings() -> list[CheckMessage]:
    return [message for message in run_checks() if message.id == "rollback.W105"]


@pytest.mark.parametrize("operations", [[CODE], [INSIDE], [CODE, "migrations.RunSQL('SELECT 1', 'SELECT 1')"]])
@pytest.mark.parametrize(
    "value",
    [back_to_one, "tests.database.test_reverses.back_to_one", ["UPDATE a_t SET n = 5", "UPDATE a_t SET n = n - 4"]],
)
def test_a_function_or_sql_undoes_what_had_no_reverse(
    database: Database, project: Project, settings: Settings, operations: list[str], value: object
) -> None:
    shop(database, project, *operations)
    assert roll_back(database, DAY_2).status == 3
    reverse(settings, value)
    assert warnings() == []
    plan = roll_back(database, DAY_2, plan=True, verbosity=2)
    assert "the project's own reverse" in plan.out
    said = roll_back(database, DAY_2)
    assert said.status == 0, said.all
    assert keys(database.alias) == [("a", "0001_t")]
    assert values(database) == [1]


def test_noop_restores_nothing_and_says_so(database: Database, project: Project, settings: Settings) -> None:
    shop(database, project, CODE, SQL)
    reverse(settings, "noop")
    plan = roll_back(database, DAY_2, plan=True, verbosity=2)
    assert "reverses nothing" in plan.out
    assert "the project's own reverse" in plan.out
    said = roll_back(database, DAY_2, format="commands")
    assert (said.status, "without a reverse" in said.error) == (3, True)
    assert roll_back(database, DAY_2).status == 0
    assert values(database) == [3]
    assert "UTC; the project's own reverse" in call("showrollbacks", database=database.alias).out
    data = call("showrollbacks", database=database.alias, format="json").json
    assert data["rollbacks"][0]["own_reverses"] == ["a.0002_x"]


def test_one_for_each_operation(database: Database, project: Project, settings: Settings) -> None:
    shop(database, project, CODE, SQL)
    reverse(settings, [["UPDATE a_t SET n = n * 10"], ["UPDATE a_t SET n = n - 1"]])
    assert roll_back(database, DAY_2).status == 0
    assert values(database) == [20]  # the last one first


def test_a_number_that_does_not_fit(database: Database, project: Project, settings: Settings) -> None:
    shop(database, project, CODE, SQL)
    reverse(settings, [back_to_one])
    said = roll_back(database, DAY_2)
    assert said.status == 3
    assert "ROLLBACK['REVERSES'] has 1 reverses for a.0002_x, which needs 2" in said.all
    assert ["has 1 reverses" in message.msg for message in warnings()] == [True]


def test_another_file_is_refused(database: Database, project: Project, settings: Settings) -> None:
    shop(database, project, CODE)
    reverse(settings, ("noop", "0" * 12))
    said = roll_back(database, DAY_2)
    assert said.status == 3
    assert "has a reverse for another file of a.0002_x" in said.all
    assert ["another file" in message.msg for message in warnings()] == [True]
    file = sys.modules[f"{settings.MIGRATION_MODULES['a']}.0002_x"].__file__ or ""
    reverse(settings, ("noop", hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]))
    assert warnings() == []
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("a.0009_none", "noop", "there is no such migration"),
        ("a.0001_t", "noop", "all operations of which have a reverse"),
        ("a.0002_x", "nowhere.at_all", "ModuleNotFoundError"),
        ("a.0002_x", 5, "is no function"),
    ],
)
def test_what_the_check_warns_of(
    database: Database, project: Project, settings: Settings, name: str, value: object, words: str
) -> None:
    shop(database, project, CODE)
    reverse(settings, value, name)
    (message,) = warnings()
    assert words in message.msg
    said = roll_back(database, DAY_2)
    assert said.status == (3 if value == "noop" else 1)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("value", "words"), [(["a.0002_x"], "must be a dict, not list."), ({5: "noop"}, "must have names of migrations")]
)
def test_settings_of_another_type(
    database: Database, project: Project, settings: Settings, value: object, words: str
) -> None:
    shop(database, project, CODE)
    settings.ROLLBACK = {"REVERSES": value}
    assert [words in message.msg for message in run_checks() if message.id == "rollback.E101"] == [True]
    assert warnings() == []
    assert call("showdeployments", database=database.alias).status == 1
