"""System checks at deploy time, on real databases whose clock or rows are wrong."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.checks import CheckMessage, run_checks

from rollback_app import conf
from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.safety import KeptKind, KeptState
from tests.support.databases import Database
from tests.support.history import migrate, set_applied
from tests.support.projects import Project

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'


def found(*aliases: str, deploy: bool = False) -> list[CheckMessage]:
    messages = run_checks(include_deployment_checks=deploy, databases=list(aliases))
    return [message for message in messages if str(message.id).startswith("rollback.")]


def set_clock(database: Database, seconds: int) -> None:
    """What this session takes for the time."""
    statements = {
        "mariadb": [f"SET timestamp = {time.time() + seconds}"],
        # Names of our own schema before those of the system, which are otherwise found first.
        "postgresql": [
            f"""CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
                $$ SELECT pg_catalog.clock_timestamp() + interval '{seconds} seconds' $$""",
            "SET search_path = public, pg_catalog",
        ],
    }[database.vendor]
    with database.connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize(("seconds", "words"), [(90, "ahead of"), (-7200, "behind")])
def test_clocks_that_differ(database: Database, seconds: int, words: str) -> None:
    set_clock(database, seconds)
    (message,) = found(database.alias)
    assert message.id == "rollback.W101"
    assert message.msg.startswith(f"The clock of the database '{database.alias}' is ")
    assert f" s {words} that of this machine" in message.msg
    assert abs(int(message.msg.split(" is ")[1].split(" s ")[0]) - abs(seconds)) <= 5
    assert "showdeployments" in (message.hint or "")


@pytest.mark.parametrize("use_tz", [True, False])
def test_clocks_that_agree(database: Database, project: Project, settings: Settings, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    assert found(database.alias) == []
    migrate(database.alias)
    assert found(database.alias) == []
    assert found() == []


@pytest.mark.databases("postgresql", "mariadb")
def test_a_small_difference_is_allowed(database: Database) -> None:
    set_clock(database, 40)
    assert found(database.alias) == []


@pytest.mark.parametrize("use_tz", [True, False])
def test_rows_in_the_future(database: Database, project: Project, settings: Settings, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    names = [f"000{number}_t" for number in range(1, 6)]
    project(a=dict(zip(names, [T, "", "", "", ""], strict=True)))
    migrate(database.alias)
    later = datetime.now(timezone.utc) + timedelta(minutes=5)
    set_applied(database.alias, {("a", "0001_t"): later})
    (message,) = found(database.alias)
    assert message.id == "rollback.W102"
    assert message.msg == (
        f"1 record of django_migrations in the database '{database.alias}' is in the future: a.0001_t."
    )
    assert "manifest:FILE" in (message.hint or "")
    set_applied(database.alias, {("a", name): later for name in names})
    (message,) = found(database.alias)
    assert message.msg.endswith("a.0001_t, a.0002_t, a.0003_t, ….")


def test_a_database_that_cannot_be_reached_is_left_to_others(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database.connection.close()
    wrong = {"NAME": tmp_path} if database.vendor == "sqlite" else {"PORT": 1}
    for name, value in wrong.items():
        monkeypatch.setitem(database.connection.settings_dict, name, value)
    from rollback_app import checks

    assert checks.clocks([database.alias]) == []
    assert checks.future_records([database.alias]) == []
    assert checks.kept_for_long([database.alias]) == []


def test_what_is_kept_for_long(database: Database, project: Project, settings: Settings) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    catalogue = Catalogue(get(database.alias))
    for _ in range(6):
        catalogue.add(kind=KeptKind.OBJECT, table="a_t", name="v", state=KeptState.KEPT, left=1)
    assert found(database.alias) == []
    kept_days_ago(database, 29.9)
    assert found(database.alias) == []
    kept_days_ago(database, 30.1)
    (message,) = found(database.alias)
    assert message.id == "rollback.W104"
    assert message.msg == (
        f"6 copies of what was dropped in the database '{database.alias}' are kept for more than 30 days: "
        "1, 2, 3, 4, 5, …."
    )
    assert found() == []
    for number in range(1, 6):
        catalogue.change(number, state=[KeptState.DROPPED, KeptState.PUT_BACK][number % 2])
    (message,) = found(database.alias)
    assert message.msg.startswith("A copy of what was dropped")
    assert message.msg.endswith("is kept for more than 30 days: 6.")
    settings.ROLLBACK = {"KEEP_DAYS": 31}
    assert found(database.alias) == []
    settings.ROLLBACK = {"KEEP_DAYS": 0.5}
    assert [message.id for message in found(database.alias)] == ["rollback.W104"]
    assert "for more than 0.5 days" in found(database.alias)[0].msg


def test_what_is_kept_for_long_with_a_wrong_setting(database: Database, project: Project, settings: Settings) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    Catalogue(get(database.alias)).add(kind=KeptKind.OBJECT, table="a_t", name="v", state=KeptState.KEPT)
    kept_days_ago(database, 30.1)
    settings.ROLLBACK = {"KEEP_DAYS": "soon"}
    assert {message.id for message in found(database.alias)} == {"rollback.E101", "rollback.W104"}


def kept_days_ago(database: Database, days: float) -> None:
    made = (datetime.now(timezone.utc) - timedelta(days=days)).isoformat()
    with database.connection.cursor() as cursor:
        cursor.execute("UPDATE rollback_app_kept SET made = %s", [made])


def test_recording_that_is_off(settings: Settings) -> None:
    assert [message.id for message in found(deploy=True)] == ["rollback.W103"]
    assert found() == []
    settings.ROLLBACK = {}
    assert found(deploy=True) == []


FLOOR = "ROLLBACK['FLOOR'] must be the name of a migration, as 'app.0007_name', or a list of such."
REQUIRE = "ROLLBACK['REQUIRE'] must be a list of these: breaking, release, reversible_by_design."
DECLARED = "ROLLBACK['DECLARED'] must be like {'app.0007_name': {'breaking': True, 'release': '2.1'}}."
SIZES = "Give one such as 10GB, 500MB or 0."


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ({}, []),
        ({"FLOOR": "a.0001_t", "REQUIRE": ["breaking"], "DECLARED": {"a.0001_t": {"release": "1"}}}, []),
        ({"FLOOR": ["a.0001_t"]}, []),
        *(({"FLOOR": value}, [FLOOR]) for value in ("a", 7, [7])),
        *(({"REQUIRE": value}, [REQUIRE]) for value in ("breaking", ["broken"])),
        *(({"DECLARED": value}, [DECLARED]) for value in ([], {"a": {}}, {"a.1": 1}, {"a.1": {"x": 1}})),
        ({"RECORD": False, "RELEASE": "1.0"}, []),
        ({"RELEASE": lambda: "1.0"}, []),
        ({"RELEASE": None}, []),
        ({"KEEP_AT_MOST": "10GB"}, []),
        ([], ["ROLLBACK must be a dict, not list."]),
        ({"RELAESE": "1.0", 1: 2}, ["ROLLBACK has an unknown key: 'RELAESE'.", "ROLLBACK has an unknown key: 1."]),
        ({"OBJECTS": 1}, ["ROLLBACK['OBJECTS'] must be True or False, not int."]),
        ({"RECORD": "no"}, ["ROLLBACK['RECORD'] must be True or False, not str."]),
        ({"FLEET": "shop.fleet.members", "SEED": lambda: None}, []),
        ({"FLEET": [1]}, ["ROLLBACK['FLEET'] must be a callable or its dotted path, not list."]),
        ({"SEED": 3}, ["ROLLBACK['SEED'] must be a callable or its dotted path, not int."]),
        ({"KEEP_DAYS": 0, "KEEP_AT_MOST": "10GB"}, []),
        ({"KEEP_DAYS": 0.5, "KEEP_AT_MOST": "1 kB"}, []),
        ({"KEEP_AT_MOST": 0}, []),
        *(
            ({"KEEP_DAYS": days}, [f"ROLLBACK['KEEP_DAYS'] must be a number of days from 0 on, not {days!r}."])
            for days in (-1, "30", None, True, float("nan"), float("inf"), 10**9)
        ),
        *(
            ({"KEEP_AT_MOST": size}, [f"ROLLBACK['KEEP_AT_MOST'] is wrong: '{size}' is not a size. {SIZES}"])
            for size in ("10", 10, "", "-1GB", "1e3MB", "1 Gb", "GB", "1kb", True, [])
        ),
    ],
)
def test_settings(settings: Settings, value: object, problems: list[str]) -> None:
    settings.ROLLBACK = value
    messages = found()
    assert [message.msg for message in messages] == problems
    assert all(message.id == "rollback.E101" for message in messages)
    assert all(key in (message.hint or "") for message in messages for key in conf.KEYS)


def test_a_release_of_the_wrong_type_is_only_a_warning(settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False, "RELEASE": 2.4}
    (message,) = found()
    assert (message.id, message.msg) == ("rollback.W106", "ROLLBACK['RELEASE'] must be a str or a callable, not float.")


def test_settings_that_are_no_dict_count_as_none(settings: Settings) -> None:
    settings.ROLLBACK = "RECORD"
    from rollback_app import conf

    assert conf.records()


def test_an_older_django_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import django
    from django.apps import apps
    from django.core.exceptions import ImproperlyConfigured

    monkeypatch.setattr(django, "VERSION", (4, 1, 13, "final", 0))
    with pytest.raises(ImproperlyConfigured, match=r"rollback_app needs Django 4\.2 or newer") as caught:
        apps.get_app_config("rollback_app").ready()
    assert "\n" not in str(caught.value)
