"""Tables whose names are not what is written in a model: in a schema, in quotes, too long, or in another case."""

from __future__ import annotations

from typing import Any

import pytest

from rollback_app.bookkeeping import Catalogue, table_of
from rollback_app.database import get
from rollback_app.safety import NOT_KEEPING, KeptKind, Level
from tests.database.test_in_the_way import DAY_1, DAY_2, execute, found, in_the_way, table
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.projects import Project, migration

X = '("x", models.IntegerField())'
MANY = 'migrations.AddField("T", "m", models.ManyToManyField("a.T"))'
LATE = f"""migrations.AddField("T", "y", models.IntegerField(null=True)),
    migrations.AlterField("T", "x", models.IntegerField(null=True)),
    {MANY}"""
LONG = "t" * 70


def undone(database: Database, project: Project, db_table: str, late: str = LATE, before: str = "") -> None:
    made = table(X, f"'db_table': {db_table!r}")
    early = {"0001_t": migration(f"{before}{made}")}
    project(a=early)
    deploy(database.alias, DAY_1)
    project(a={**early, "0002_late": late})
    deploy(database.alias, DAY_2)


def losses(database: Database) -> list[str]:
    """What would be lost if nothing were kept."""
    return [finding.text for finding in found(database, keeping=NOT_KEEPING) if finding.level is Level.LOSS]


def kept(database: Database) -> list[tuple[str, int]]:
    """(source, rows) of each copy that there really is."""
    entries = [each for each in reversed(Catalogue(get(database.alias)).entries()) if each.kind is not KeptKind.OBJECT]
    count = "SELECT count(*) FROM {}"
    return [(each.source, execute(database, count.format(table_of(each.number)))[0][0]) for each in entries]


@pytest.mark.parametrize(
    ("vendor", "db_table", "name", "join"),
    [
        ("postgresql", 'sch"."tbl', 'sch"."tbl', 'sch"."tbl_m'),
        ("postgresql", '"sch"."tbl"', 'sch"."tbl', 'sch"."tbl_m'),
        ("postgresql", '"tbl"', "tbl", "tbl_m"),
        ("postgresql", LONG, LONG[:63], ""),
        ("postgresql", "Things", "Things", "Things_m"),
        ("sqlite", '"tbl"', "tbl", "tbl_m"),
        ("sqlite", "Things", "Things", "Things_m"),
        ("mariadb", "`tbl`", "tbl", ""),
        ("mariadb", "Things", "Things", "Things_m"),
    ],
)
def test_rows_of_such_a_table(
    database: Database, project: Project, vendor: str, db_table: str, name: str, join: str
) -> None:
    if database.vendor != vendor:
        return
    schema = 'migrations.RunSQL("CREATE SCHEMA IF NOT EXISTS sch", migrations.RunSQL.noop), ' if "sch" in name else ""
    late = LATE if join else LATE.replace(MANY, "")
    undone(database, project, db_table, late, schema)
    quote = database.connection.ops.quote_name
    execute(database, f"INSERT INTO {quote(name)} (x, y) VALUES (NULL, 1), (2, 2)")
    if join:
        execute(database, f"INSERT INTO {quote(join)} (from_t_id, to_t_id) VALUES (1, 2)")
    (finding,) = in_the_way(database)
    assert (finding.id, finding.facts["rows"]) == ("rollback.E010", 1)
    assert len(execute(database, finding.facts["query"])) == 1
    lost = losses(database)
    assert any("2 rows have a value" in text for text in lost)
    assert any(": 1 row" in text for text in lost) == bool(join)
    assert "not found" not in str(lost)
    execute(database, f"DELETE FROM {quote(name)} WHERE x IS NULL" if not join else f"UPDATE {quote(name)} SET x = 0")
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    assert kept(database) == ([(join, 1), (f"{name}.y", 2)] if join else [(f"{name}.y", 1)])


@pytest.mark.databases("sqlite")
def test_a_name_that_changed_in_case_only(database: Database, project: Project) -> None:
    """SQLite does not tell the two names apart, and Django renames nothing there."""
    late = (
        """migrations.AlterModelTable("T", "things"), migrations.AddField("T", "y", models.IntegerField(null=True))"""
    )
    undone(database, project, "Things", late)
    execute(database, "INSERT INTO things (x, y) VALUES (1, 1)")
    assert in_the_way(database) == []
    (lost,) = losses(database)
    assert "Things.y" in lost
    assert "1 row has a value" in lost
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    assert kept(database) == [("Things.y", 1)]


@pytest.mark.databases("postgresql", "mariadb")
def test_elsewhere_it_is_another_name(database: Database, project: Project) -> None:
    undone(database, project, "Things", 'migrations.AlterModelTable("T", "things")')
    quote: Any = database.connection.ops.quote_name
    execute(database, f"CREATE TABLE {quote('Things')} (id integer)")
    assert [finding.id for finding in in_the_way(database)] == ["rollback.E015"]
    execute(database, f"DROP TABLE {quote('Things')}")
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("postgresql")
def test_constraints_in_a_schema(database: Database, project: Project) -> None:
    options = """{'db_table': 'sch"."tbl',
        'constraints': [models.CheckConstraint(condition=models.Q(x__lt=5), name='c')]}"""
    made = table(X).replace("options={}", f"options={options}")
    early = {"0001_t": migration(f'migrations.RunSQL("CREATE SCHEMA sch", "DROP SCHEMA sch"), {made}')}
    project(a=early)
    deploy(database.alias, DAY_1)
    project(a={**early, "0002_late": 'migrations.RemoveConstraint("T", "c")'})
    deploy(database.alias, DAY_2)
    execute(database, "ALTER TABLE sch.tbl ADD CONSTRAINT c CHECK (x < 9)")
    execute(database, "CREATE TABLE other (x integer CONSTRAINT c CHECK (x < 9))")
    execute(database, "INSERT INTO sch.tbl (x) VALUES (7)")
    assert sorted(finding.id for finding in in_the_way(database)) == ["rollback.E014", "rollback.E015"]
    for sql in ("ALTER TABLE sch.tbl DROP CONSTRAINT c", "DELETE FROM sch.tbl"):
        execute(database, sql)
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("sqlite", "mariadb")
def test_a_table_elsewhere(database: Database, project: Project) -> None:
    """In an attached file, or in another database of the server."""
    quote = database.connection.ops.quote_name
    here = "main" if database.vendor == "sqlite" else database.connection.settings_dict["NAME"]
    mark = quote("")[0]
    undone(
        database, project, f"{here}{mark}.{mark}tbl", 'migrations.AddField("T", "y", models.IntegerField(null=True))'
    )
    execute(database, "INSERT INTO tbl (x, y) VALUES (1, 1)")
    (lost,) = losses(database)
    assert "1 row has a value" in lost
