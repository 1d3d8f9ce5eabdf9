"""Migrate over releases that destroy, then roll back: every row and every value is there again, for generated projects."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from rollback_app import workflow
from rollback_app.safety import Level
from tests.kept.test_there_and_back import DAY, contents, left, missing, models
from tests.support.contents import fill
from tests.support.databases import Database, empty
from tests.support.graphs import Written, destroying_projects, files
from tests.support.history import deploy
from tests.support.projects import Project
from tests.test_roundtrip import generated


@pytest.mark.databases("sqlite", "postgresql")
@generated(12)
@given(deployments=destroying_projects())
def test_nothing_is_lost(deployments: list[list[Written]], database: Database, project: Project, settings: Any) -> None:
    forth_and_back(deployments, database, project, settings)


@pytest.mark.databases("mariadb")
@generated(4)
@given(deployments=destroying_projects())
def test_nothing_is_lost_where_no_table_can_be_taken_back(
    deployments: list[list[Written]], database: Database, project: Project, settings: Any
) -> None:
    forth_and_back(deployments, database, project, settings)


def forth_and_back(deployments: list[list[Written]], database: Database, project: Project, settings: Any) -> None:
    settings.ROLLBACK = {"KEEP_DROPPED": True}
    empty(database)
    early, late = deployments
    project(**files(early))
    deploy(database.alias, DAY)
    fill(models(database), database.alias)
    before = contents(database)
    project(**files(early + late))
    deploy(database.alias, DAY + timedelta(days=1))
    (preview,) = workflow.preview((DAY + timedelta(days=1)).isoformat(), using=[database.alias])
    # An app that goes back to nothing has nothing to lose.
    assert {finding.id for finding in preview.of_level(Level.LOSS)} <= {"rollback.W003"}
    assert preview.of_level(Level.BLOCKER) == []
    workflow.roll_back([preview], destroy_data=True)
    after = contents(database)
    assert missing(before, after) == {} == missing(after, before), left(database)
    assert left(database) == []
