"""What the command says about verification and rehearsal."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tests.commands.test_rollbackmigrationsafter import execute, masked
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration
from tests.support.schema import everything

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.TextField(db_index=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
U = 'migrations.CreateModel("U", [("id", models.BigAutoField(primary_key=True))])'


def deployed(database: Database, project: Project, late: str, before: str = "") -> None:
    """a_t with a row, and a late migration that can do harm."""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_x": migration(late, [("a", "0001_t")], before=before)}, b={"0001_u": U})
    deploy(database.alias, DAY_2)
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (n) VALUES ('5')")


VERIFIED = {"tables": 2, "new": [], "left_over": [], "by_code": [], "known": [], "left_out": [], "why_not": ""}


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    deployed(database, project, X)
    return database


@pytest.fixture
def harmful(database: Database, project: Project) -> Database:
    secret = 'Secretly(migrations.RemoveField("T", "n"))'
    deployed(database, project, f"{secret}, {X}", "from tests.support.sabotage import Secretly")
    return database


@pytest.mark.databases("sqlite")
def test_a_rehearsal(shop: Database) -> None:
    before = everything(shop.connection)
    execute(shop, "UPDATE a_t SET x = 7")
    said = roll_back(shop, DAY_2, rehearse=True, destroy_data=False)
    assert said.status == 0
    assert (
        masked(said.out).split("DIGEST\n")[1]
        == """\

  Rehearsing b.0001_u... OK (N s)
  Rehearsing a.0002_x... OK (N s)
Verified: 2 tables are as the migrations at the target say.
Rehearsed on default: 2 migrations in N s.
  b.0001_u: N s, 0 rows
    DROP TABLE "b_u"
  a.0002_x: N s, 0 rows
    ALTER TABLE "a_t" DROP COLUMN "x"
  To keep data, before the first step: N s
    CREATE TABLE "rollback_kept_1" AS SELECT "id", "x" FROM "a_t" WHERE "x" IS NOT NULL
Nothing was changed.

To run it:
  python manage.py rollbackmigrationsafter 2024-05-02T08:00:00+00:00 --database default
"""
    )
    execute(shop, "UPDATE a_t SET x = NULL")
    assert everything(shop.connection) == before
    assert roll_back(shop, DAY_2, rehearse=True, verbosity=0).out == ""


@pytest.mark.databases("postgresql")
def test_a_rehearsal_tells_the_locks(shop: Database) -> None:
    said = roll_back(shop, DAY_2, rehearse=True)
    assert (
        """
The strongest lock on each table, held to the end of the run
  a_t: ACCESS EXCLUSIVE, so that reads and writes wait
  b_u: ACCESS EXCLUSIVE, so that reads and writes wait
  django_migrations: ACCESS EXCLUSIVE, so that reads and writes wait
"""
        in said.out
    )


@pytest.mark.databases("postgresql")
def test_locks_that_let_others_read(database: Database, project: Project) -> None:
    """Adding a foreign key again locks the table that it points to."""
    pointing = 'models.ForeignKey("b.U", models.CASCADE, null=True'
    first = migration(T.replace("(db_index=True))", f"(db_index=True)), ('u', {pointing}))"), [("b", "0001_u")])
    project(a={"0001_t": first}, b={"0001_u": U})
    deploy(database.alias, DAY_1)
    late = migration(f'migrations.AlterField("T", "u", {pointing}, db_constraint=False))', [("a", "0001_t")])
    project(a={"0001_t": first, "0002_x": late}, b={"0001_u": U})
    deploy(database.alias, DAY_2)
    said = roll_back(database, DAY_2, rehearse=True)
    assert "  b_u: SHARE ROW EXCLUSIVE, so that writes wait\n" in said.out


@pytest.mark.databases("sqlite", "postgresql")
def test_a_rehearsal_in_json(shop: Database) -> None:
    found = roll_back(shop, DAY_2, rehearse=True, format="json").json
    assert found["outcome"] == "rehearsed"
    (rehearsal,) = found["rehearsals"]
    assert list(rehearsal) == ["database", "steps", "keeping", "locks", "verification"]
    assert [list(step) for step in rehearsal["steps"]] == [["migration", "seconds", "rows", "sql"]] * 2
    assert rehearsal["verification"] == VERIFIED
    assert "results" not in found
    without = roll_back(shop, DAY_2, rehearse=True, format="json", verify=False).json
    assert without["rehearsals"][0]["verification"] is None


@pytest.mark.parametrize("step_by_step", [False, True])
def test_where_a_rehearsal_is_refused(shop: Database, step_by_step: bool) -> None:
    said = roll_back(shop, DAY_2, rehearse=True, step_by_step=step_by_step)
    assert said.status == (3 if step_by_step or shop.vendor == "mariadb" else 0)
    assert ("a rehearsal cannot be undone" in said.error) == bool(said.status)
    as_json = roll_back(shop, DAY_2, rehearse=True, step_by_step=step_by_step, format="json")
    assert as_json.json["outcome"] == ("refused" if said.status else "rehearsed")
    assert ("a", "0002_x") in keys(shop.alias)


@pytest.mark.databases("sqlite")
def test_nothing_to_rehearse(shop: Database) -> None:
    said = roll_back(shop, "2024-06-01", rehearse=True)
    assert said.status == 0
    assert "Nothing to do" in said.out
    assert "Rehearsed" not in said.out


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("rehearse", [False, True])
def test_a_difference_fails_the_run(harmful: Database, rehearse: bool) -> None:
    said = roll_back(harmful, DAY_2, rehearse=rehearse)
    assert said.status == 1
    assert said.out.endswith("\nVerified: 2 differences from what the migrations say.\n")
    assert said.error.startswith(
        "The rollback failed, comparing the tables with the migrations at the target: a_t lacks column n text"
    )
    assert said.error.endswith(
        "\nNothing was changed: everything is as it was before."
        "\nLook at what unapplying these migrations does. To accept the differences, add --no-verify."
    )
    assert ("a", "0002_x") in keys(harmful.alias)


def test_a_run_without_verification(harmful: Database) -> None:
    planned = roll_back(harmful, DAY_2, verify=False, plan=True)
    assert " --no-verify" in planned.out.splitlines()[-1]
    said = roll_back(harmful, DAY_2, verify=False)
    assert said.status == 0
    assert "Verified" not in said.out
    assert ("a", "0002_x") not in keys(harmful.alias)


def test_a_run_in_json(shop: Database) -> None:
    (result,) = roll_back(shop, DAY_2, format="json").json["results"]
    assert result["verification"] == VERIFIED


@pytest.mark.databases("sqlite")
def test_what_was_so_before_is_told(shop: Database) -> None:
    execute(shop, "CREATE INDEX stray ON a_t (n DESC)")
    said = roll_back(shop, DAY_2, format="json").json["results"][0]["verification"]
    assert said["known"] == [{"table": "a_t", "kind": "index", "words": "( n desc )", "missing": False}]


@pytest.mark.databases("postgresql")
def test_remarks_are_told(database: Database, project: Project) -> None:
    deployed(database, project, 'migrations.AlterField("T", "n", models.IntegerField(db_index=True))')
    execute(database, "ALTER TABLE a_t ADD stray integer")
    said = roll_back(database, DAY_2)
    assert (
        """
Verified: 2 tables are as the migrations at the target say, but for the following.
  a_t lacks index btree (n text_pattern_ops): that is how Django itself undoes it, and harmless.
  1 difference was there before the run; -v 2 lists it.
"""
        in said.out
    )


@pytest.mark.databases("sqlite")
def test_why_nothing_was_verified_is_told(database: Database, project: Project) -> None:
    database.connection.ensure_connection()
    connection = database.connection.connection
    connection.create_function("twice", 1, lambda text: text * 2, deterministic=True)
    index = 'migrations.AddIndex("T", models.Index(models.Func("n", function="twice"), name="twice"))'
    project(a={"0001_t": f"{T}, {index}"})
    deploy(database.alias, DAY_1)
    project.replace(a={**project.apps["a"], "0002_x": X})
    deploy(database.alias, DAY_2)
    said = roll_back(database, DAY_2)
    assert "Not verified: no tables could be made to compare with: no such function: twice\n" in said.out


@pytest.mark.databases("sqlite")
def test_one_table_and_none(database: Database, project: Project) -> None:
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    code = "migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: None)"
    project(a={"0001_t": T, "0002_code": code, "0003_x": X})
    deploy(database.alias, DAY_2)
    one = roll_back(database, datetime(2024, 5, 2, 8, 0, 1, tzinfo=timezone.utc), split_deployment=True)
    assert "Verified: 1 table is as the migrations at the target say.\n" in one.out
    none = roll_back(database, DAY_2)
    assert "Verified: no table was touched.\n" in none.out
