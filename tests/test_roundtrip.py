"""Rolling back to M gives what migrating forward to M gives, for generated projects, cut anywhere."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from django.db.migrations.executor import MigrationExecutor
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.commands import roll_back
from tests.support.databases import Database, empty
from tests.support.graphs import Written, files, projects
from tests.support.history import deploy, keys, migrate, rows
from tests.support.projects import Project
from tests.support.schema import difference, snapshot

DAY = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)


def migrated_to(database: Database, project: Project, kept: list[Written]) -> None:
    """Forward, on an empty database, by Django's own executor, which minds no branches."""
    empty(database)
    project(**files(kept))
    executor = MigrationExecutor(database.connection)
    executor.migrate([key for key in executor.loader.graph.leaf_nodes() if key[0] in "abc"])


def generated(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # to shrink what needs a database takes too long
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.mark.databases("sqlite", "postgresql")
@generated(20)
@given(deployments=projects(), place=st.floats(0, 1), step_by_step=st.booleans())
def test_back_to_any_moment_is_forward_to_it(
    deployments: list[list[Written]],
    place: float,
    step_by_step: bool,
    database: Database,
    other_database: Database,
    project: Project,
) -> None:
    back_and_forth(deployments, place, step_by_step, database, other_database, project)


@pytest.mark.databases("mariadb")
@generated(6)
@given(deployments=projects(), place=st.floats(0, 1))
def test_so_it_is_where_a_table_cannot_be_taken_back(
    deployments: list[list[Written]], place: float, database: Database, other_database: Database, project: Project
) -> None:
    back_and_forth(deployments, place, False, database, other_database, project)


def back_and_forth(
    deployments: list[list[Written]],
    place: float,
    step_by_step: bool,
    database: Database,
    other_database: Database,
    project: Project,
) -> None:
    empty(database)
    code: list[Written] = []
    for number, new in enumerate(deployments):
        code += new
        project(**files(code))
        deploy(database.alias, DAY + timedelta(days=number))
    final, recorded = snapshot(database.connection), rows(database.alias)
    cut = recorded[int(place * (len(recorded) - 1))]
    kept = [row.key for row in recorded if row.applied < cut.applied]

    said = roll_back(database, cut.applied, split_deployment=True, step_by_step=step_by_step)

    assert said.status == 0, said.all
    assert keys(database.alias) == kept
    migrated_to(other_database, project, [found for found in code if found.key in kept])
    assert difference(snapshot(other_database.connection), snapshot(database.connection)) == []
    project(**files(code))
    migrate(database.alias)
    assert difference(final, snapshot(database.connection)) == []
