"""Routers are asked as Django asks them, and what they keep away from a database is no part of a rollback there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder
from pytest_django.fixtures import Settings

from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
FIRST = """
    migrations.CreateModel("Owner", [("id", models.BigAutoField(primary_key=True))], bases=(Marked, models.Model)),
    migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("x", models.IntegerField(null=True))])"""
LATE = """
    migrations.AddField("T", "y", models.IntegerField(null=True)),
    migrations.AddField("T", "owner", models.ForeignKey("a.Owner", models.CASCADE, null=True)),
    migrations.CreateModel("U", [("id", models.BigAutoField(primary_key=True)), ("t", models.ForeignKey("a.T", models.CASCADE))]),
    migrations.RenameField("T", "x", "z"),
    migrations.AlterField("T", "z", models.BigIntegerField(null=True)),
    migrations.AddIndex("T", models.Index(fields=["z"], name="by_z"))"""


class Marked:
    """A base without a table, by which a router tells models apart."""


MARKED = "from tests.database.test_routers import Marked"


def shop(database: Database, project: Project, late: str = LATE, code: str = "") -> None:
    first = migration(FIRST, before=MARKED)
    project(a={"0001_first": first})
    deploy(database.alias, DAY_1)
    project(a={"0001_first": first, "0002_late": migration(late, [("a", "0001_first")], before=code)})
    deploy(database.alias, DAY_2)


class Asked:
    """Notes what it is asked about a."""

    def __init__(self, answer: Callable[[dict[str, Any]], bool] = lambda hints: True) -> None:
        self.answer = answer
        self.seen: set[tuple[Any, ...]] = set()

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if app_label != "a":
            return None
        self.seen.add((db, hints.get("model_name"), *sorted(hints)))
        return self.answer(hints)


def by_table(hints: dict[str, Any]) -> bool:
    return str(hints["model"]._meta.db_table).startswith("a_")


def by_class(hints: dict[str, Any]) -> bool:
    model = hints["model"]
    assert isinstance(model, type)
    assert issubclass(model, Marked) is (model.__name__ == "Owner")
    assert model.__name__.lower() == hints["model_name"]
    return True


def by_relation(hints: dict[str, Any]) -> bool:
    targets = [field.related_model for field in hints["model"]._meta.fields if field.is_relation]
    assert all(isinstance(target, type) for target in targets)
    return True


@pytest.mark.parametrize("answer", [by_table, by_class, by_relation])
def test_the_model_is_a_hint(
    database: Database, project: Project, settings: Settings, answer: Callable[[dict[str, Any]], bool]
) -> None:
    settings.DATABASE_ROUTERS = [Asked(answer)]
    shop(database, project)
    assert roll_back(database, DAY_2).status == 0
    assert keys(database.alias) == [("a", "0001_first")]


def test_the_same_questions_as_djangos(database: Database, project: Project, settings: Settings) -> None:
    shop(database, project)
    router = Asked()
    settings.DATABASE_ROUTERS = [router]
    migrate(database.alias, "a", "0001")
    djangos = {question for question in router.seen if "model" in question}
    deploy(database.alias, DAY_2)
    router.seen.clear()
    roll_back(database, DAY_2, plan=True)
    # What the models know of a table is asked of those that it points to as well, in the same way.
    assert router.seen - djangos == {(database.alias, "owner", "model", "model_name")}
    assert djangos <= router.seen


def test_a_model_that_lives_elsewhere(database: Database, project: Project, settings: Settings) -> None:
    settings.DATABASE_ROUTERS = [Asked(lambda hints: hints["model"]._meta.db_table != "a_u")]
    shop(database, project)
    said = roll_back(database, DAY_2, plan=True).out
    assert "nothing in the database: Create model U" in said
    assert "drops column a_t.y" in said


CODE = """
def forwards(apps, schema_editor):
    raise ValueError("never")

def backwards(apps, schema_editor):
    raise ValueError("never")
"""
AWAY = """
    migrations.AddField("T", "y", models.IntegerField(null=True)),
    migrations.RunPython(forwards, backwards, hints={"where": "elsewhere"}),
    migrations.RunPython(forwards, hints={"where": "elsewhere"}),
    migrations.RunSQL("DROP TABLE nowhere", hints={"where": "elsewhere"}),
    migrations.SeparateDatabaseAndState([migrations.RunSQL("DROP TABLE nowhere", "DROP TABLE it", hints={"where": "elsewhere"})])
"""


@pytest.mark.parametrize("step_by_step", [False, True])
def test_code_that_never_ran_here(database: Database, project: Project, settings: Settings, step_by_step: bool) -> None:
    """With or without a reverse."""
    router = Asked(lambda hints: hints.get("where") is None)
    settings.DATABASE_ROUTERS = [router]
    shop(database, project, AWAY, CODE)
    said = roll_back(database, DAY_2, plan=True, step_by_step=step_by_step, format="json")
    assert said.status == 0
    words = " ".join(effect["words"] for effect in said.json["plans"][0]["steps"][0]["effects"])
    assert "runs code" not in words
    assert "0002_late.forwards away from it" in words
    assert "a database router keeps this SQL away from it" in words
    assert (database.alias, None, "where") in router.seen
    assert roll_back(database, DAY_2, step_by_step=step_by_step).status == 0
    assert keys(database.alias) == [("a", "0001_first")]


def test_no_migrate_command_undoes_what_has_no_reverse(
    database: Database, project: Project, settings: Settings
) -> None:
    settings.DATABASE_ROUTERS = [Asked(lambda hints: hints.get("where") is None)]
    shop(database, project, AWAY, CODE)
    said = roll_back(database, DAY_2, format="commands")
    assert said.status == 3
    assert "migrate unapplies no operation without a reverse, as in a.0002_late" in said.error


def test_code_that_ran_here_needs_its_reverse(database: Database, project: Project, settings: Settings) -> None:
    router = Asked(lambda hints: hints.get("where") is None)
    settings.DATABASE_ROUTERS = [router]
    nothing = "migrations.RunPython(migrations.RunPython.noop, hints={'who': 'me'})"
    shop(database, project, nothing)
    said = roll_back(database, DAY_2, plan=True)
    assert said.status == 3
    assert "cannot be undone" in said.out
    assert (database.alias, None, "who") in router.seen


class Broken:
    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        raise KeyError("shop")


@pytest.mark.parametrize("plan", [True, False])
@pytest.mark.parametrize(
    ("late", "about"),
    [
        ("migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)", "code of a"),
        ('migrations.AddField("T", "y", models.IntegerField(null=True))', "model a.t"),
    ],
)
def test_a_router_that_raises_is_one_line(
    database: Database, project: Project, settings: Settings, late: str, about: str, plan: bool
) -> None:
    shop(database, project, late)
    settings.DATABASE_ROUTERS = [Broken()]
    said = roll_back(database, DAY_2, plan=plan)
    assert said.status == 1
    line = f"A router of DATABASE_ROUTERS failed when asked about {about} on {database.alias}: KeyError: 'shop'"
    assert said.error.splitlines()[0] == line
    assert keys(database.alias) == [("a", "0001_first"), ("a", "0002_late")]


def test_a_router_that_raises_is_not_taken_for_an_unclear_history(
    database: Database, project: Project, settings: Settings
) -> None:
    shop(database, project)
    MigrationRecorder(database.connection).record_applied("c", "0001_ghost")
    settings.DATABASE_ROUTERS = [Broken()]
    assert "A router of DATABASE_ROUTERS failed" in roll_back(database, DAY_2).error
