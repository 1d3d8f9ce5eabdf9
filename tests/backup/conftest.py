"""A shop whose newer release is rolled back, with a backup first."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tests.support.databases import Database, ask
from tests.support.history import deploy
from tests.support.projects import Project

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """a.0001_t of day 1, and a.0002_x of day 2, with a value."""
    project(a={"0001_t": T, "0002_x": X})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO a_t (x) VALUES (7)")
    return database
