"""The recording of deployments, by real runs of `migrate`."""

from __future__ import annotations

import datetime as dt
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from rollback_app import bookkeeping, conf, workflow
from rollback_app import database as databases
from rollback_app.history import Deployment, RecordedDeployment
from tests.support import schema
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import keys, migrate
from tests.support.projects import Project, migration

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
Y = 'migrations.AddField("T", "y", models.IntegerField(null=True))'
FAILS = 'migrations.RunSQL("SELECT x FROM nowhere", "")'


def release(settings: Settings, name: str) -> None:
    settings.ROLLBACK = {"RELEASE": name, "HOLD": False}


def recorded(database: Database) -> list[RecordedDeployment]:
    return bookkeeping.recorded_deployments(databases.get(database.alias))


def listed(database: Database) -> list[Deployment]:
    return [listed.deployment for listed in workflow.deployments(database.alias).listed]


def tables(database: Database) -> list[str]:
    with database.connection.cursor() as cursor:
        return sorted(database.connection.introspection.table_names(cursor))


@pytest.fixture
def two_releases(database: Database, project: Project, settings: Settings) -> Database:
    """1.0 makes a table, and 2.0, a moment later, two columns and another table."""
    release(settings, "1.0")
    project(a={"0001_t": T})
    migrate(database.alias)
    release(settings, "2.0")
    project(a={"0001_t": T, "0002_x": X, "0003_y": Y}, b={"0001_t": T})
    migrate(database.alias)
    return database


@pytest.mark.parametrize("use_tz", [True, False])
def test_each_migrate_is_a_deployment_with_its_release(
    database: Database, project: Project, settings: Settings, use_tz: bool
) -> None:
    settings.USE_TZ = use_tz
    before = dt.datetime.now(dt.timezone.utc)
    release(settings, "1.0")
    project(a={"0001_t": T})
    migrate(database.alias)
    release(settings, "2.0")
    project(a={"0001_t": T, "0002_x": X}, b={"0001_t": T})
    migrate(database.alias)
    first, second = recorded(database)
    assert (first.release, second.release) == ("1.0", "2.0")
    now = dt.datetime.now(dt.timezone.utc)
    assert before <= first.start < first.end <= second.start < second.end <= now
    newest, oldest = listed(database)
    assert [str(row.key) for row in newest.records] == ["a.0002_x", "b.0001_t"]
    assert [(group.releases, group.guessed) for group in (newest, oldest)] == [(("2.0",), False), (("1.0",), False)]


@pytest.mark.parametrize("moment", ["release:1.0", "last", "deployment:1", "migration:a.0001_t"])
def test_going_back_to_it(two_releases: Database, moment: str) -> None:
    assert roll_back(two_releases, moment).status == 0
    assert keys(two_releases.alias) == [("a", "0001_t")]
    assert "b_t" not in tables(two_releases)
    # A rollback is no deployment, and a release that was rolled back is no target.
    assert [found.release for found in recorded(two_releases)] == ["1.0", "2.0"]
    assert [group.releases for group in listed(two_releases)] == [("1.0",)]
    assert roll_back(two_releases, "release:2.0").error.startswith("Release '2.0' was rolled back")


def test_forward_again_is_a_new_deployment(two_releases: Database) -> None:
    roll_back(two_releases, "last")
    migrate(two_releases.alias)
    assert [found.release for found in recorded(two_releases)] == [
        "1.0",
        "2.0",
        "2.0",
    ]
    assert "Nothing to do" in roll_back(two_releases, "release:2.0").out
    assert len(keys(two_releases.alias)) == 4


def test_only_what_applies_something_is_recorded(two_releases: Database) -> None:
    migrate(two_releases.alias)
    migrate(two_releases.alias, "a", "0001_t")
    call_command("flush", database=two_releases.alias, interactive=False, verbosity=0)
    assert len(recorded(two_releases)) == 2


def test_a_migrate_that_fails_is_not_recorded(database: Database, project: Project, settings: Settings) -> None:
    release(settings, "1.0")
    project(a={"0001_t": T, "0002_fails": migration(FAILS, [("a", "0001_t")])})
    with pytest.raises(Exception, match="nowhere"):
        migrate(database.alias)
    assert bookkeeping.DEPLOYMENTS_TABLE not in tables(database)
    release(settings, "1.1")
    project(a={"0001_t": T, "0002_x": X})
    migrate(database.alias)
    assert [found.release for found in recorded(database)] == ["1.1"]
    first, second = reversed(listed(database))
    assert ([str(row.key) for row in first.records], first.guessed) == (["a.0001_t"], True)
    assert ([str(row.key) for row in second.records], second.guessed) == (["a.0002_x"], False)


def test_it_can_be_switched_off(database: Database, project: Project, settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False}
    project(a={"0001_t": T})
    migrate(database.alias)
    assert bookkeeping.DEPLOYMENTS_TABLE not in tables(database)
    assert recorded(database) == []


def test_looking_and_rolling_back_make_no_table(database: Database, project: Project, settings: Settings) -> None:
    project(a={"0001_t": T, "0002_x": X})
    migrate(database.alias)
    settings.ROLLBACK = {}
    before = schema.everything(database.connection)
    workflow.deployments(database.alias)
    workflow.preview("last", using=[database.alias])
    assert schema.everything(database.connection) == before
    assert roll_back(database, "last").status == 0
    assert bookkeeping.DEPLOYMENTS_TABLE not in tables(database)


def test_a_deployment_does_not_fail_because_it_cannot_be_recorded(
    database: Database, project: Project, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    release(settings, "1.0")
    with database.connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {bookkeeping.DEPLOYMENTS_TABLE} (id integer)")
    project(a={"0001_t": T})
    with caplog.at_level(logging.WARNING):
        migrate(database.alias)
    assert keys(database.alias) == [("a", "0001_t")]
    (record,) = [record for record in caplog.records if record.name.startswith("rollback_app.")]
    assert record.getMessage().startswith(f"The deployment on {database.alias} was not recorded: ")


def a_release() -> str:
    return "from code"


@pytest.mark.parametrize(
    ("said", "environment", "name"),
    [
        ({}, "", ""),
        ({}, "from environment", "from environment"),
        ({"RELEASE": "2.150.0"}, "from environment", "2.150.0"),
        ({"RELEASE": "v2"}, "", "v2"),
        ({"RELEASE": "tests.database.test_releases.a_release"}, "from environment", "from code"),
        ({"RELEASE": a_release}, "", "from code"),
    ],
)
def test_who_names_the_release(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, said: dict[str, object], environment: str, name: str
) -> None:
    settings.ROLLBACK = said
    monkeypatch.setenv("ROLLBACK_RELEASE", environment)
    assert conf.release() == name


def test_a_path_that_leads_nowhere(settings: Settings) -> None:
    settings.ROLLBACK = {"RELEASE": "tests.nowhere.release"}
    with pytest.raises(ImproperlyConfigured, match=r"ROLLBACK\['RELEASE'\] fails: ModuleNotFoundError"):
        conf.release()


def test_without_settings_it_records(settings: Settings) -> None:
    del settings.ROLLBACK
    assert conf.records()
    assert conf.release() == ""


def test_a_record_says_what_it_is(database: Database) -> None:
    at = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
    bookkeeping.add_deployment(databases.get(database.alias), RecordedDeployment("", at, at + timedelta(seconds=1)))
    (row,) = bookkeeping.deployments.Deployment.objects.using(database.alias).all()
    assert str(row) == "? from 2024-05-01 12:00:00+00:00 to 2024-05-01 12:00:01+00:00"


def raises() -> str:
    raise ZeroDivisionError("no release today")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (raises, "fails: ZeroDivisionError: no release today"),
        ("tests.nowhere.release", "fails: ModuleNotFoundError"),
        (2.4, "must give a str, not float"),
        (lambda: 2, "must give a str, not int"),
        ("x" * 201, "at most 200 characters"),
        ("2.1\x00", "control character"),
    ],
)
def test_a_wrong_release_never_stops_migrate(
    database: Database,
    project: Project,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    wrong: object,
    words: str,
) -> None:
    settings.ROLLBACK = {"RELEASE": wrong}
    project(a={"0001_t": T})
    with caplog.at_level(logging.WARNING):
        call_command("migrate", database=database.alias, verbosity=0)
    assert [deployment.releases for deployment in listed(database)] == [()]
    assert [record.getMessage() for record in caplog.records if words in record.getMessage()]
