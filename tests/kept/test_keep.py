"""What a rollback drops is kept first."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from rollback_app import workflow
from rollback_app.bookkeeping import Catalogue, table_of
from rollback_app.database import get
from rollback_app.history import Key
from rollback_app.kept.copies import Copies
from rollback_app.safety import KeptKind, KeptState, ToKeep
from tests.support.databases import Database, ask
from tests.support.history import deploy, migrate
from tests.support.projects import Project

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
EARLY = 'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True))])'
LATE = (
    'migrations.AddField("T", "x", models.IntegerField(null=True)),'
    'migrations.CreateModel("N", [("id", models.AutoField(primary_key=True)), ("t", models.ForeignKey("a.T", models.CASCADE))]),'
)


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    project(a={"0001_early": EARLY, "0002_late": LATE})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id) VALUES (1), (2)")
    deploy(database.alias, DAY_2, [Key("a", "0002_late")])
    ask(database, "UPDATE a_t SET x = 7 WHERE id = 2")
    ask(database, "INSERT INTO a_n (t_id) VALUES (1), (2), (2)")
    return database


def test_tables_and_columns_are_kept(shop: Database) -> None:
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    workflow.roll_back([preview])  # without consent

    table, column = reversed(Catalogue(get(shop.alias)).entries())
    assert (table.kind, table.source, table.rows, table.state) == (KeptKind.TABLE, "a_n", 3, KeptState.KEPT)
    assert (column.kind, column.source, column.rows, column.key) == (KeptKind.COLUMN, "a_t.x", 1, ("id",))
    assert ask(shop, f"SELECT id, x FROM {table_of(column.number)}") == [(2, 7)]
    assert ask(shop, f"SELECT id, t_id FROM {table_of(table.number)} ORDER BY 1") == [(1, 1), (2, 2), (3, 2)]


def have_rows(database: Database, *tables: str) -> list[bool]:
    return Copies(get(database.alias)).have_rows([ToKeep(KeptKind.TABLE, "a.0001_early", name) for name in tables])


def test_more_tables_than_are_asked_for_at_once(database: Database) -> None:
    ask(
        database,
        "CREATE TABLE with_rows (id integer)",
        "CREATE TABLE without (id integer)",
        "INSERT INTO with_rows VALUES (1)",
    )
    assert have_rows(database, *["with_rows", "without"] * 101) == [True, False] * 101


@pytest.mark.databases("postgresql")
def test_rows_of_an_heir_are_not_those_of_its_table(database: Database) -> None:
    ask(database, "CREATE TABLE t (id integer)", "CREATE TABLE heir () INHERITS (t)", "INSERT INTO heir VALUES (1)")
    assert have_rows(database, "t", "heir") == [False, True]


def test_what_somebody_has_dropped_meanwhile_has_no_fingerprint(database: Database) -> None:
    ask(database, "CREATE TABLE with_rows (id integer)", "INSERT INTO with_rows VALUES (1)")
    fingerprint = Copies(get(database.alias)).fingerprint
    assert fingerprint("with_rows", "id").startswith("1:")
    assert fingerprint("with_rows", "name") == fingerprint("without", "") == ""


JOINED = """
migrations.CreateModel("M", [("id", models.AutoField(primary_key=True)), ("many", models.ManyToManyField("a.M"))])
"""
RENAMED = {
    "renamed": 'migrations.RenameField("M", "many", "others")',
    "another table": 'migrations.AlterField("M", "many", models.ManyToManyField("a.M", db_table="a_joined"))',
    "model": 'migrations.RenameModel("M", "N")',
}


@pytest.mark.parametrize("change", RENAMED)
def test_a_join_table_that_was_renamed_is_kept_under_its_name_of_today(
    database: Database, project: Project, change: str
) -> None:
    project(a={"0001_m": JOINED, "0002_change": RENAMED[change]}, b={"0001_early": EARLY})
    deploy(database.alias, DAY_1, [Key("b", "0001_early")])
    deploy(database.alias, DAY_2)
    table = {"renamed": "a_m_others", "another table": "a_joined", "model": "a_n_many"}[change]
    model = "n" if change == "model" else "m"
    ask(database, f"INSERT INTO a_{model} (id) VALUES (1), (2)")
    ask(database, f"INSERT INTO {table} (from_{model}_id, to_{model}_id) VALUES (1, 2)")
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    workflow.roll_back([preview])
    assert {each.source for each in Catalogue(get(database.alias)).entries()} == {f"a_{model}", table}
    migrate(database.alias)
    assert ask(database, f"SELECT from_{model}_id, to_{model}_id FROM {table}") == [(1, 2)]
