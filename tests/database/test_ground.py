"""The ground that the other tests stand on: databases that start empty, projects, and a history made to measure."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db.migrations.loader import MigrationLoader
from django.db.models.signals import post_migrate, pre_migrate

from tests import servers
from tests.support import history, projects
from tests.support.databases import Database
from tests.support.projects import Project, migration
from tests.support.schema import data

ROOT = Path(__file__).parents[2]
MAY = datetime(2026, 5, 1, 10, tzinfo=timezone.utc)
THING = 'migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))])'
FLAG = 'migrations.AddField("thing", "flag", models.BooleanField(default=False))'


def test_deploy_dates_the_new_rows(database: Database, project: Project) -> None:
    project(a={"0001_initial": THING, "0002_flag": FLAG}, b={"0001_initial": THING})
    assert history.rows(database.alias) == []
    assert history.deploy(database.alias, MAY, [("a", "0001_initial")]) == [("a", "0001_initial")]
    later = MAY + timedelta(days=1)
    assert history.deploy(database.alias, later) == [("a", "0002_flag"), ("b", "0001_initial")]
    assert [row[1:] for row in history.rows(database.alias)] == [
        ("a", "0001_initial", MAY),
        ("a", "0002_flag", later),
        ("b", "0001_initial", later + timedelta(seconds=1)),
    ]


def test_moments_survive_without_time_zones(database: Database, project: Project, settings: Any) -> None:
    settings.USE_TZ = False
    project(a={"0001_initial": THING})
    history.deploy(database.alias, MAY, ["a"])
    assert history.rows(database.alias)[0].applied == MAY


def test_set_applied_knows_its_rows(database: Database, project: Project) -> None:
    project(a={"0001_initial": THING})
    history.migrate(database.alias)
    with pytest.raises(LookupError, match=r"a\.0002_none"):
        history.set_applied(database.alias, {("a", "0002_none"): MAY})


def test_code_is_replaced(database: Database, project: Project) -> None:
    def known() -> set[tuple[str, str]]:
        return set(MigrationLoader(database.connection).disk_migrations)

    project(a={"0001_initial": THING, "0002_flag": FLAG}, b={"0001_initial": THING})
    assert known() == {("a", "0001_initial"), ("a", "0002_flag"), ("b", "0001_initial")}
    project.replace(a={"0001_initial": THING})
    assert known() == {("a", "0001_initial"), ("b", "0001_initial")}


def test_whole_files_say_their_dependencies(database: Database, project: Project) -> None:
    first = migration(THING, initial=True)
    project(a={"0001_initial": first, "b": migration(FLAG, [("a", "0001_initial")], atomic=False)})
    graph = MigrationLoader(database.connection).graph
    assert not graph.nodes["a", "b"].atomic
    assert graph.forwards_plan(("a", "b")) == [("a", "0001_initial"), ("a", "b")]


def test_scenarios_are_folders(
    database: Database, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects, "SCENARIOS", tmp_path / "scenarios")
    for folder in ("k00/a", "k00/newer/a"):
        (tmp_path / "scenarios" / folder).mkdir(parents=True)
        (tmp_path / "scenarios" / folder / "0001_initial.py").write_text(migration(THING))
    (tmp_path / "scenarios/k00/newer/a/0002_flag.py").write_text(migration(FLAG, [("a", "0001_initial")]))
    project.scenario("k00")
    history.migrate(database.alias)
    project.scenario("k00/newer")
    history.migrate(database.alias)
    assert history.keys(database.alias) == [("a", "0001_initial"), ("a", "0002_flag")]
    with pytest.raises(FileNotFoundError):
        project.scenario("k00/a")


def test_contrib_apps_on_demand(database: Database, project: Project) -> None:
    project(a={"0001_initial": THING})
    history.migrate(database.alias)
    assert set(data(database.connection)) == {"django_migrations", "a_thing"}
    project.replace(with_contrib=True)
    history.migrate(database.alias)
    assert ContentType.objects.using(database.alias).filter(app_label="a", model="thing").exists()
    assert "auth_permission" in data(database.connection)


def test_signals_are_sent_for_our_apps(database: Database, project: Project) -> None:
    sent: set[tuple[str, str]] = set()

    def before(app_config: Any, **_: Any) -> None:
        sent.add(("pre", app_config.label))

    def after(app_config: Any, **_: Any) -> None:
        sent.add(("post", app_config.label))

    pre_migrate.connect(before)
    post_migrate.connect(after)
    try:
        project(a={"0001_initial": THING})
        history.migrate(database.alias)
    finally:
        pre_migrate.disconnect(before)
        post_migrate.disconnect(after)
    assert {(when, app) for when in ("pre", "post") for app in projects.APPS} <= sent


def test_a_subprocess_sees_the_same_project(database: Database, project: Project) -> None:
    project(a={"0001_initial": THING})
    history.migrate(database.alias)
    database.connection.close()
    command = [sys.executable, "manage.py", "showmigrations", "--plan", "--database", database.alias]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    shown = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert (shown.stderr, shown.stdout) == ("", "[X]  a.0001_initial\n")


def test_a_second_database(database: Database, other_database: Database, project: Project) -> None:
    project(a={"0001_initial": THING})
    history.migrate(other_database.alias)
    assert history.keys(other_database.alias) == [("a", "0001_initial")]
    assert history.keys(database.alias) == []


def test_databases_belong_to_one_worker(database: Database) -> None:
    assert os.environ.get("PYTEST_XDIST_WORKER", "main") in str(database.connection.settings_dict["NAME"])


def test_what_killed_runs_left_is_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers.tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    for owner in (gone.pid, os.getpid(), "x"):
        (tmp_path / f"{servers.PREFIX}{owner}-abc/data").mkdir(parents=True)
    servers.sweep()
    assert {path.name for path in tmp_path.iterdir()} == {f"{servers.PREFIX}{o}-abc" for o in (os.getpid(), "x")}
