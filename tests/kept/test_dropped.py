"""With KEEP_DROPPED, what a migrate destroys is kept, and a rollback over it puts it back."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.safety import Kept, KeptState
from tests.kept.test_there_and_back import contents, missing
from tests.support.commands import call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.kept import open_copies, tables
from tests.support.projects import Project

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
ID = '("id", models.AutoField(primary_key=True))'
T = (
    f'migrations.CreateModel("T", [{ID}, ("x", models.IntegerField(null=True)), ("y", models.DecimalField(max_digits=8, decimal_places=3, default=0))]),'
    f'migrations.CreateModel("N", [{ID}, ("t", models.ForeignKey("a.T", models.CASCADE))]),'
    'migrations.AddField("T", "friends", models.ManyToManyField("a.T")),'
)
DESTROYS = (
    'migrations.RemoveField("T", "x"),'
    'migrations.RemoveField("T", "friends"),'
    'migrations.DeleteModel("N"),'
    'migrations.AlterField("T", "y", models.DecimalField(max_digits=8, decimal_places=1, default=0)),'
)


@pytest.fixture(autouse=True)
def keep_dropped(settings: Any) -> None:
    settings.ROLLBACK = {"KEEP_DROPPED": True}


def ask(database: Database, *statements: str) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    with database.connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)
            found = list(cursor.fetchall()) if cursor.description else []
    return found


def entries(database: Database) -> list[Kept]:
    """Oldest first."""
    return Catalogue(get(database.alias)).entries()[::-1]


ROWS = (
    "INSERT INTO a_t (id, x, y) VALUES (1, 7, 1.125), (2, NULL, 2), (3, 9, 0)",
    "INSERT INTO a_n (id, t_id) VALUES (1, 1), (2, 3)",
    "INSERT INTO a_t_friends (id, from_t_id, to_t_id) VALUES (1, 1, 2)",
)


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    project(a={"0001_t": T, "0002_destroys": DESTROYS})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, *ROWS)
    return database


def test_there_and_back(shop: Database) -> None:
    before = contents(shop)
    deploy(shop.alias, DAY_2)
    cut = {} if shop.vendor == "sqlite" else {"a_t.y": 1}  # SQLite cuts nothing
    kept = open_copies(shop)
    assert {each.source: each.rows for each in kept} == {"a_t.x": 2, "a_t_friends": 1, "a_n": 2, **cut}
    assert {(each.about, each.state) for each in kept} == {("a.0002_destroys", KeptState.KEPT)}
    said = roll_back(shop, DAY_2, destroy_data=False)
    assert said.status == 0, said.all
    assert [(each.source, each.state, each.why) for each in entries(shop) if each.open] == []
    assert tables(shop) == set()
    after = contents(shop)
    assert missing(before, after) == {} == missing(after, before)
