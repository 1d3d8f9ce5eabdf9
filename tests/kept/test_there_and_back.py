"""Roll back, then migrate: every row and every value is there again, for generated projects, cut anywhere."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db.migrations.executor import MigrationExecutor
from hypothesis import given
from hypothesis import strategies as st

from rollback_app import workflow
from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.planner import Choices
from rollback_app.safety import KeptKind, Level
from tests.support.contents import fill
from tests.support.databases import Database, empty
from tests.support.graphs import MORE, Written, files, projects
from tests.support.history import deploy, migrate, rows
from tests.support.projects import Project
from tests.support.schema import Data, data
from tests.test_roundtrip import generated

DAY = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)


def models(database: Database) -> Any:
    """As the database is now."""
    loader = MigrationExecutor(database.connection).loader
    return loader.project_state(list(loader.applied_migrations)).apps


def contents(database: Database) -> Data:
    return {table: found for table, found in data(database.connection).items() if not table.startswith("rollback_")}


def missing(before: Data, after: Data) -> dict[str, list[tuple[Any, ...]]]:
    """The rows that are no longer there, to the letter."""
    gone = {
        table: list((Counter(map(repr, found)) - Counter(map(repr, after.get(table, [])))).elements())
        for table, found in before.items()
        if table != "django_migrations"
    }
    return {table: found for table, found in gone.items() if found}  # type: ignore[misc]


def rolled_back(deployments: list[list[Written]], place: float, database: Database, project: Project) -> Data:
    """Deploys, fills the tables under the newest release, and goes back to some record. What was in the tables."""
    empty(database)
    code: list[Written] = []
    for number, new in enumerate(deployments):
        code += new
        project(**files(code))
        deploy(database.alias, DAY + timedelta(days=number))
    fill(models(database), database.alias)
    before, recorded = contents(database), rows(database.alias)
    moment = recorded[int(place * (len(recorded) - 1))].applied
    (preview,) = workflow.preview(moment.isoformat(), using=[database.alias], choices=Choices(split_deployment=True))
    losses = {finding.id for finding in preview.of_level(Level.LOSS)}
    assert losses <= {"rollback.W002", "rollback.W003"}, [
        each.text for each in preview.of_level(Level.LOSS)
    ]  # nothing left, or asked for zero
    workflow.roll_back([preview], destroy_data=bool(losses))
    return before


def left(database: Database) -> list[str]:
    return [
        f"{each.number} {each.source}: {each.why}" for each in Catalogue(get(database.alias)).entries() if each.open
    ]


@pytest.mark.databases("sqlite", "postgresql")
@generated(25)
@given(deployments=projects(MORE), place=st.floats(0, 1))
def test_nothing_is_lost(deployments: list[list[Written]], place: float, database: Database, project: Project) -> None:
    there_and_back(deployments, place, database, project)


@pytest.mark.databases("mariadb")
@generated(8)
@given(deployments=projects(MORE), place=st.floats(0, 1))
def test_nothing_is_lost_where_no_table_can_be_taken_back(
    deployments: list[list[Written]], place: float, database: Database, project: Project
) -> None:
    there_and_back(deployments, place, database, project)


def there_and_back(deployments: list[list[Written]], place: float, database: Database, project: Project) -> None:
    before = rolled_back(deployments, place, database, project)
    migrate(database.alias)
    after = contents(database)
    assert missing(before, after) == {}, left(database)
    assert missing(after, before) == {}
    assert left(database) == []


@pytest.mark.databases("sqlite", "postgresql")
@generated(15)
@given(deployments=projects(MORE), place=st.floats(0, 1), which=st.integers(0, 99))
def test_what_the_older_release_wrote_is_not_touched(
    deployments: list[list[Written]], place: float, which: int, database: Database, project: Project
) -> None:
    """It adds a row to each of its tables, and deletes one: what pointed to that stays kept, and is named."""
    before = rolled_back(deployments, place, database, project)
    apps = models(database)
    own = [model for model in apps.get_models() if model._meta.label.partition(".")[0] in "abc"]
    for model in own:
        model.objects.using(database.alias).create()
    deleted = 0
    if own:
        victims = own[which % len(own)].objects.using(database.alias).order_by("pk")
        deleted = victims.first().delete()[0]
    migrate(database.alias)
    after = contents(database)
    still = [each for each in Catalogue(get(database.alias)).entries() if each.open]
    rows_kept = sum(each.left for each in still if each.kind is KeptKind.TABLE)
    gone = sum(map(len, missing(before, after).values()))
    assert rows_kept <= gone <= sum(each.left for each in still) + deleted, (missing(before, after), left(database))
