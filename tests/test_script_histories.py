"""The script of a run, replayed by psql or sqlite3, gives what the run gives, for generated projects, cut anywhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kept.test_there_and_back import DAY, models
from tests.support.commands import roll_back
from tests.support.contents import fill
from tests.support.databases import Database, empty
from tests.support.graphs import MORE, Written, destroying_projects, files, projects
from tests.support.history import deploy, rows
from tests.support.projects import Project
from tests.support.scripts import copied, end, made, run
from tests.test_roundtrip import generated


@pytest.mark.databases("sqlite", "postgresql")
@generated(20)
@given(deployments=projects(MORE), place=st.floats(0, 1))
def test_the_script_does_what_the_run_does(
    deployments: list[list[Written]], place: float, database: Database, other_database: Database, project: Project
) -> None:
    empty(database)
    code: list[Written] = []
    for number, new in enumerate(deployments):
        code += new
        project(**files(code))
        deploy(database.alias, DAY + timedelta(days=number))
    fill(models(database), database.alias)
    recorded = rows(database.alias)
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


def replay(database: Database, other: Database, moment: datetime) -> None:
    script = made(database, moment, split_deployment=True)
    assert script.status == 0, script.error
    copied(database, other)
    done = run(other, script.out)
    assert done.returncode == 0, done.stderr
    assert roll_back(database, moment, split_deployment=True).status == 0
    assert end(other) == end(database)
