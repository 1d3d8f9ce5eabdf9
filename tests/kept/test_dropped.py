"""With KEEP_DROPPED, what a migrate destroys is kept, and a rollback over it puts it back."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.safety import Kept, KeptState
from tests.kept.test_there_and_back import contents, missing
from tests.support.commands import Said, call, roll_back
from tests.support.databases import Database, ask
from tests.support.history import deploy
from tests.support.kept import open_copies, tables
from tests.support.projects import Project
from tests.support.schema import Data

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
ID = '("id", models.AutoField(primary_key=True))'
T = (
    f'migrations.CreateModel("T", [{ID}, ("x", models.IntegerField(null=True)), '
    '("y", models.DecimalField(max_digits=8, decimal_places=3, default=0))]),'
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


def there(database: Database) -> Data:
    """Deploys what destroys. The rows that there were before."""
    before = contents(database)
    deploy(database.alias, DAY_2)
    return before


def back(database: Database, **options: Any) -> Said:
    return roll_back(database, DAY_2, **{"destroy_data": False, "hold": False, **options})


def everything_is_back(database: Database, before: Data) -> bool:
    after = contents(database)
    return missing(before, after) == {} == missing(after, before) and tables(database) == set()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "rollback_app.kept"]


@pytest.mark.parametrize("step_by_step", [False, True])
def test_there_and_back(step_by_step: bool, shop: Database) -> None:
    before = there(shop)
    cut = {} if shop.vendor == "sqlite" else {"a_t.y": 1}  # SQLite cuts nothing
    kept = open_copies(shop)
    assert {each.source: each.rows for each in kept} == {"a_t.x": 2, "a_t_friends": 1, "a_n": 2, **cut}
    assert {(each.about, each.state) for each in kept} == {("a.0002_destroys", KeptState.KEPT)}
    told = back(shop, step_by_step=step_by_step)
    assert told.status == 0, told.all
    assert everything_is_back(shop, before)
    assert {each.state for each in entries(shop)} == {KeptState.PUT_BACK}


# Columns that take no nulls

STRICT = f'migrations.CreateModel("T", [{ID}, ("x", models.IntegerField(unique=True)), ("s", models.CharField(max_length=9))])'
NO_STRICT = 'migrations.RemoveField("T", "x"), migrations.RemoveField("T", "s")'
IN_STEPS = {
    "0002_nullable": 'migrations.AlterField("T", "x", models.IntegerField(null=True))',
    "0003_no_x": 'migrations.RemoveField("T", "x")',
}


def strict(database: Database, project: Project, destroys: dict[str, str]) -> None:
    project(a={"0001_t": STRICT, **destroys})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, "INSERT INTO a_t (id, x, s) VALUES (1, 7, 'one'), (2, 9, 'two')")
    deploy(database.alias, DAY_2)


@pytest.mark.parametrize("step_by_step", [False, True])
@pytest.mark.parametrize("destroys", [{"0002_no_x": NO_STRICT}, IN_STEPS])
def test_a_column_that_takes_no_nulls(
    step_by_step: bool, destroys: dict[str, str], database: Database, project: Project
) -> None:
    strict(database, project, destroys)
    told = back(database, step_by_step=step_by_step)
    assert told.status == 0, told.all
    assert ask(database, "SELECT id, x, s FROM a_t ORDER BY id") == [(1, 7, "one"), (2, 9, "two")]
    assert tables(database) == set()


@pytest.mark.parametrize(
    ("destroys", "words"),
    [
        ({"0002_no_x": NO_STRICT}, "a.0002_no_x adds column a_t.x again, NOT NULL and without a default"),
        (IN_STEPS, "a.0002_nullable makes column a_t.x NOT NULL again"),
    ],
)
def test_rows_that_have_come_since_lack_a_value(
    destroys: dict[str, str], words: str, database: Database, project: Project
) -> None:
    strict(database, project, destroys)
    ask(
        database,
        "INSERT INTO a_t (id) VALUES (3)" if "0002_no_x" in destroys else "INSERT INTO a_t (id, s) VALUES (3, '')",
    )
    told = back(database)
    assert told.status == 3
    assert f"{words}: 1 row has no kept value. [rollback.E010]" in told.out
    assert "Move these rows, which have come since, elsewhere, then run the same command again." in told.out
    (query,) = {
        line.strip() for line in told.out.splitlines() if line.strip().startswith("SELECT") and "kept_1" in line
    }
    assert [row[0] for row in ask(database, query)] == [3]
    ask(database, "DELETE FROM a_t WHERE id = 3")
    assert back(database).status == 0
    assert ask(database, "SELECT id, x FROM a_t ORDER BY id") == [(1, 7), (2, 9)]


# What is said


def test_what_is_told(shop: Database) -> None:
    told = call("migrate", database=shop.alias).out.splitlines()
    number = {each.source: each.number for each in entries(shop)}
    cut = [] if shop.vendor == "sqlite" else ["Kept 1 row of a_t.y"]
    assert {
        line.partition(", which a.0002_destroys has destroyed: number ")[0] for line in told if line[:5] == "Kept "
    } == {
        "Kept 2 rows of a_n",
        "Kept 2 rows of a_t.x",
        "Kept 1 row of a_t_friends",
        *cut,
    }
    (plan,) = roll_back(shop, "all:a", plan=True, format="json").json["plans"]
    shown = roll_back(shop, "migration:a.0001_t", plan=True).out
    assert "makes table a_n again, with 2 kept rows\n" in shown
    assert "makes table a_t_friends again, with 1 kept row\n" in shown
    assert "adds column a_t.x again, with 2 kept values\n" in shown
    assert ("changes column a_t.y back, and puts back 1 kept value\n" in shown) is bool(cut)
    assert "Puts back 2 tables" in shown
    assert "rollback.I011" not in shown
    assert {each["source"]: each["rows"] for each in plan["comes_back"]} == {
        each.source: each.rows for each in entries(shop)
    }
    assert plan["comes_back"][0].keys() == {"number", "kind", "source", "migration", "rows", "bytes"}
    listed = call("showkept", database=shop.alias).out
    assert f"{number['a_n']}. table a_n: 2 rows kept, " in listed
    assert ", by a migrate\n" in listed
    assert "A rollback of a.0002_destroys puts this back." in listed
    (kept, *_) = call("showkept", database=shop.alias, format="json").json["kept"]
    assert kept["by"] == "migrate"
    (result,) = roll_back(shop, "migration:a.0001_t", format="json", hold=False).json["results"]
    assert {(each["source"], each["state"], each["left"]) for each in result["put_back"]} == {
        (each.source, "put back", 0) for each in entries(shop)
    }


def test_what_is_told_of_the_run(shop: Database) -> None:
    there(shop)
    told = back(shop).out
    assert "Put back what a migrate had kept of a_n: 2 rows.\n" in told
    assert "Put back what a migrate had kept of a_t_friends: 1 row.\n" in told


def test_the_commands_of_migrate_bring_nothing_back(shop: Database) -> None:
    there(shop)
    assert back(shop, format="commands").status == 0
    with_them = roll_back(shop, DAY_2, plan=True, format="markdown").out
    assert "with 2 kept rows" in with_them
