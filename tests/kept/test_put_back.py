"""What a rollback has kept goes back at the end of the migrate that makes it again."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from rollback_app import workflow
from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.errors import database_option
from rollback_app.history import Key
from rollback_app.safety import Kept, KeptState
from tests.support.databases import Database, ask
from tests.support.history import deploy, migrate
from tests.support.kept import tables
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
ID = '("id", models.AutoField(primary_key=True))'
EARLY = f'migrations.CreateModel("T", [{ID}])'
LATE = (
    'migrations.AddField("T", "x", models.IntegerField(null=True)),'
    f'migrations.CreateModel("N", [{ID}, ("t", models.ForeignKey("a.T", models.CASCADE))]),'
)


def roll_back(database: Database, moment: datetime = DAY_2) -> None:
    (preview,) = workflow.preview(moment.isoformat(), using=[database.alias])
    workflow.roll_back([preview])


def entries(database: Database) -> list[Kept]:
    """Oldest first."""
    return Catalogue(get(database.alias)).entries()[::-1]


def warning(database: Database, entry: Kept, words: str) -> str:
    which = f"{entry.number}{database_option(database.alias)}"
    hint = f"`python manage.py showkept {which}` shows them, and `python manage.py putback {which}` tries again."
    return f"{entry.source}: {words} {hint}"


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    project(a={"0001_early": EARLY, "0002_late": LATE})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id) VALUES (1), (2)")
    deploy(database.alias, DAY_2, [Key("a", "0002_late")])
    ask(database, "UPDATE a_t SET x = 7 WHERE id = 2")
    ask(database, "INSERT INTO a_n (t_id) VALUES (1), (2), (2)")
    return database


def test_a_column_that_points_to_its_own_table(database: Database, project: Project) -> None:
    """As `"self"`, which migrations may say, though makemigrations writes the name of the model."""
    early = f'migrations.CreateModel("T", [{ID}, ("number", models.BigIntegerField(null=True))])'
    itself = 'models.ForeignKey("self", models.SET_NULL, null=True, related_name="+")'
    late = f'migrations.AddField("T", "above", {itself}), migrations.AlterField("T", "number", {itself})'
    project(a={"0001_early": early, "0002_late": late})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    deploy(database.alias, DAY_2, [Key("a", "0002_late")])
    ask(database, "INSERT INTO a_t (id) VALUES (1)", "INSERT INTO a_t (id, above_id, number_id) VALUES (2, 1, 1)")
    roll_back(database)
    assert ask(database, "SELECT id, number FROM a_t ORDER BY id") == [(1, None), (2, 1)]
    migrate(database.alias)
    assert ask(database, "SELECT id, above_id FROM a_t ORDER BY id") == [(1, None), (2, 1)]


# Each with a value that is nothing that anybody would miss, and still not what adding the column gives on the day of the migrate.
NOT_AS_ADDED = {
    "a null where there is a default": ("models.IntegerField(null=True, default=5)", None),
    "a null where the database has a default": ("models.IntegerField(null=True, db_default=7)", None),
    "an empty dict where there is no default": ("models.JSONField(null=True)", "{}"),
    "an empty list where the default is a dict": ("models.JSONField(default=dict)", "[]"),
    "the value of today": ('models.CharField(max_length=9, default=(lambda: "friday"))', "friday"),
    "the day that the database gives": ("models.DateField(null=True, db_default=TruncDate(Now()))", "2024-05-03"),
    "the day that Django gives": ("models.DateField(null=True, auto_now_add=True)", "2024-05-03"),
}


@pytest.mark.parametrize("name", NOT_AS_ADDED)
def test_all_that_a_column_held_is_put_back(name: str, database: Database, project: Project) -> None:
    field, value = NOT_AS_ADDED[name]
    late = "from django.db.models.functions import Now, TruncDate\n" + migration(
        f'migrations.AddField("T", "x", {field})', [("a", "0001_early")]
    )
    project(a={"0001_early": EARLY, "0002_late": late})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id) VALUES (1)")
    deploy(database.alias, DAY_2, [Key("a", "0002_late")])
    ask(database, f"UPDATE a_t SET x = {'NULL' if value is None else repr(value)}")
    before = ask(database, "SELECT x FROM a_t")
    roll_back(database)
    project(a={"0001_early": EARLY, "0002_late": late.replace("friday", "sunday")})
    migrate(database.alias)
    assert ask(database, "SELECT x FROM a_t") == before


def test_tables_and_columns_are_put_back(shop: Database) -> None:
    roll_back(shop)
    migrate(shop.alias)

    assert ask(shop, "SELECT id, x FROM a_t ORDER BY id") == [(1, None), (2, 7)]
    assert ask(shop, "SELECT id, t_id FROM a_n ORDER BY id") == [(1, 1), (2, 2), (3, 2)]
    assert [(each.state, each.left) for each in entries(shop)] == [(KeptState.PUT_BACK, 0)] * 2
    assert tables(shop) == set()
    ask(shop, "INSERT INTO a_n (t_id) VALUES (1)")
    assert ask(shop, "SELECT max(id) FROM a_n") == [(4,)]


def test_what_the_older_release_writes_stays_and_what_it_deletes_is_named(
    shop: Database, caplog: pytest.LogCaptureFixture
) -> None:
    roll_back(shop)
    ask(shop, "DELETE FROM a_t WHERE id = 2")
    ask(shop, "INSERT INTO a_t (id) VALUES (9)")
    migrate(shop.alias)

    assert ask(shop, "SELECT id, x FROM a_t ORDER BY id") == [(1, None), (9, None)]
    assert ask(shop, "SELECT id, t_id FROM a_n ORDER BY id") == [(1, 1)]
    table, column = entries(shop)
    assert (table.state, table.left, table.why) == (KeptState.PARTLY, 2, ((2, "t_id points to no row of a_t"),))
    assert (column.state, column.left, column.why) == (KeptState.KEPT, 1, ((1, "the row is not there"),))
    assert len(tables(shop)) == 2
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == [
        warning(shop, table, "2 of 3 rows could not be put back (2: t_id points to no row of a_t)."),
        warning(shop, column, "1 of 1 rows could not be put back (1: the row is not there)."),
    ]

    ask(shop, "INSERT INTO a_t (id) VALUES (2)")
    workflow.put_back(shop.alias)
    assert ask(shop, "SELECT id, x FROM a_t ORDER BY id") == [(1, None), (2, 7), (9, None)]
    assert ask(shop, "SELECT id, t_id FROM a_n ORDER BY id") == [(1, 1), (2, 2), (3, 2)]
    assert tables(shop) == set()
