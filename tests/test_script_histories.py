"""The script of a run, replayed by psql or sqlite3, gives what the run gives, for generated projects, cut anywhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kept.test_there_and_back import DAY, contents, models
from tests.support.commands import roll_back
from tests.support.contents import fill
from tests.support.databases import Database, empty
from tests.support.graphs import MORE, Written, destroying_projects, files, projects
from tests.support.history import deploy, rows
from tests.support.projects import Project
from tests.support.schema import difference, snapshot
from tests.support.scripts import copied, end, made, run
from tests.test_roundtrip import generated


def deployed(deployments: list[list[Written]], database: Database, project: Project) -> list[Any]:
    """One a day, and then filled; what is recorded."""
    empty(database)
    code: list[Written] = []
    for number, new in enumerate(deployments):
        code += new
        project(**files(code))
        deploy(database.alias, DAY + timedelta(days=number))
    fill(models(database), database.alias)
    return rows(database.alias)


@pytest.mark.databases("sqlite", "postgresql")
@generated(20)
@given(deployments=projects(MORE), place=st.floats(0, 1))
def test_the_script_does_what_the_run_does(
    deployments: list[list[Written]], place: float, database: Database, other_database: Database, project: Project
) -> None:
    recorded = deployed(deployments, database, project)
    replay(database, other_database, recorded[int(place * (len(recorded) - 1))].applied)


@pytest.mark.databases("sqlite", "postgresql")
@generated(8)
@given(deployments=destroying_projects())
def test_also_where_a_migrate_has_kept_what_comes_back(
    deployments: list[list[Written]], database: Database, other_database: Database, project: Project, settings: Any
) -> None:
    settings.ROLLBACK = {"KEEP_DROPPED": True, "HOLD": True}
    empty(database)
    early, late = deployments
    project(**files(early))
    deploy(database.alias, DAY)
    fill(models(database), database.alias)
    project(**files(early + late))
    deploy(database.alias, DAY + timedelta(days=1))
    replay(database, other_database, DAY + timedelta(days=1))


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
@generated(12)
@given(deployments=projects(), place=st.floats(0, 1))
def test_one_that_was_made_without_running_it_too(
    deployments: list[list[Written]], place: float, database: Database, other_database: Database, project: Project
) -> None:
    """On MariaDB as far as it goes, and then the command itself."""
    recorded = deployed(deployments, database, project)
    moment = recorded[int(place * (len(recorded) - 1))].applied
    script = made(database, moment, split_deployment=True, run=False)
    if script.status:
        assert "No script can be made without running it" in script.error
        return
    copied(database, other_database)
    done = run(other_database, script.out)
    if stops := "stops here, since this step is no SQL" in script.out:
        assert "is no SQL: go on with rollbackmigrationsafter" in done.stderr
        assert roll_back(other_database, moment, split_deployment=True).status == 0
    assert bool(done.returncode) is stops, done.stderr
    assert roll_back(database, moment, split_deployment=True).status == 0
    assert difference(snapshot(database.connection), snapshot(other_database.connection)) == []
    assert contents(database) == contents(other_database)


def replay(database: Database, other: Database, moment: datetime) -> None:
    script = made(database, moment, split_deployment=True)
    assert script.status == 0, script.error
    copied(database, other)
    done = run(other, script.out)
    assert done.returncode == 0, done.stderr
    assert roll_back(database, moment, split_deployment=True).status == 0
    assert end(other) == end(database)
