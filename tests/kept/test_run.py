"""A run that keeps data: what it says, what it leaves where it fails, and what it is judged by."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from rollback_app import workflow
from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.safety import KeptState
from tests.support.commands import call, roll_back
from tests.support.databases import Database, ask, wait_until_alone
from tests.support.history import deploy, keys
from tests.support.kept import NO_TABLES, making_no_tables
from tests.support.killed import forked
from tests.support.projects import Project, migration
from tests.support.schema import everything, facts

ROOT = Path(__file__).parent.parent.parent
DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
N = 'migrations.CreateModel("N", [("id", models.AutoField(primary_key=True)), ("t", models.ForeignKey("a.T", models.CASCADE))])'

transactional = pytest.mark.databases("sqlite", "postgresql")


def filled(database: Database) -> None:
    """Two rows under the older release; under the newer one a value, and three rows."""
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, "INSERT INTO a_t (id) VALUES (1), (2)")
    deploy(database.alias, DAY_2)
    ask(database, "UPDATE a_t SET x = 7 WHERE id = 2", "INSERT INTO a_n (id, t_id) VALUES (1, 1), (2, 2), (3, 2)")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    project(a={"0001_t": T, "0002_x": X, "0003_n": N})
    filled(database)
    return database


def ours(database: Database) -> set[str]:
    """The tables of kept data."""
    return {
        fact.table
        for fact in facts(database.connection)
        if fact.table.startswith(("rollback_kept_", "rollback_app_kept"))
    }


# What it says


def test_the_plan_and_the_last_lines(shop: Database) -> None:
    said = roll_back(shop, DAY_2, destroy_data=False)
    assert said.status == 0
    assert "Undoes 2 migrations of 1 app. Keeps 1 table and 1 column (4 rows, " in said.out
    assert ") to put back later. Nothing is lost. Nothing blocks." in said.out
    assert "drops table a_n: 3 rows, kept\n" in said.out
    assert "drops column a_t.x: 1 row has a value, kept\n" in said.out
    kept, *rest = said.out.partition("Kept ")[2].splitlines()
    assert kept.startswith("1 table and 1 column (4 rows, ")
    alias = "" if shop.alias == "default" else f" --database {shop.alias}"
    assert rest == [
        "The next migrate that makes this again puts it back. If it is wrong and must not",
        "come back, drop it:",
        f"  python manage.py dropkept 1 2{alias}",
        "What a migrate does not put back by itself, you can:",
        f"  python manage.py putback 1 2{alias}",
    ]


def test_the_json(shop: Database) -> None:
    (plan,) = roll_back(shop, DAY_2, plan=True, format="json").json["plans"]
    told = {"migration": "a.0003_n", "rows": 3, "exact": True, "put_back": True}
    table, column = plan["kept"]
    assert 0 < table.pop("bytes") < 10_000
    assert table == {"kind": "table", "source": "a_n", **told}
    assert column.pop("bytes") > 0
    assert column == {"kind": "column", "source": "a_t.x", **told, "migration": "a.0002_x", "rows": 1}
    assert plan["findings"] == [finding for finding in plan["findings"] if finding["level"] == "remark"]
    (result,) = roll_back(shop, DAY_2, format="json", destroy_data=False).json["results"]
    assert [(each["number"], each["source"], each["state"]) for each in result["kept"]] == [
        (1, "a_n", "kept"),
        (2, "a_t.x", "kept"),
    ]
    assert (result["kept"][1]["columns"], result["kept"][1]["key"]) == (["id", "x"], ["id"])
    assert [(each["rows"], each["left"], each["why"]) for each in result["kept"]] == [(3, 3, []), (1, 1, [])]


def test_a_plan_makes_nothing(shop: Database) -> None:
    before = everything(shop.connection, ())
    assert roll_back(shop, DAY_2, plan=True).status == 0
    assert roll_back(shop, DAY_2, format="commands").status == 0
    assert everything(shop.connection, ()) == before


def test_only_what_these_steps_drop(shop: Database) -> None:
    said = roll_back(shop, DAY_2, steps=1, destroy_data=False)
    assert said.status == 0, said.all
    assert [entry.source for entry in Catalogue(get(shop.alias)).entries()] == ["a_n"]
    said = roll_back(shop, DAY_2, destroy_data=False)
    assert [entry.source for entry in Catalogue(get(shop.alias)).entries()] == ["a_t.x", "a_n"]


def test_several_databases(shop: Database, other_database: Database) -> None:
    filled(other_database)
    aliases = [shop.alias, other_database.alias]
    said = call("rollbackmigrationsafter", DAY_2.isoformat(), database=aliases, interactive=False)
    assert said.status == 0, said.all
    for alias in aliases:
        assert [entry.source for entry in Catalogue(get(alias)).entries()] == ["a_t.x", "a_n"]
    assert f"dropkept 1 2 --database {other_database.alias}\n" in said.out


def test_a_table_that_the_user_names(shop: Database) -> None:
    said = roll_back(shop, DAY_2, steps=1, keep=False, keep_table=["a_t"])
    assert said.status == 0, said.all
    (entry,) = Catalogue(get(shop.alias)).entries()
    assert (entry.source, entry.rows, entry.put_back, entry.state) == ("a_t", 2, False, KeptState.KEPT)
    last = said.out.partition("Kept 1 table (2 rows, ")[2].splitlines()[1:]
    alias = "" if shop.alias == "default" else f" --database {shop.alias}"
    assert last == ["To put it back:", f"  python manage.py putback 1{alias}"]
    missing = roll_back(shop, DAY_2, keep_table=["a_q"])
    assert (missing.status, missing.error) == (
        2,
        "There is no table 'a_q' to keep.\nGive --keep-table a name as the database has it.",
    )


# What is not kept


def test_what_is_too_large(shop: Database) -> None:
    said = roll_back(shop, DAY_2, destroy_data=False, keep_at_most="1B")
    assert said.status == 3
    assert "drops table a_n: 3 rows; not kept: it takes about " in said.out
    assert "and a run keeps at most 1 B [rollback.W001]" in said.out
    assert "Keep it with a larger --keep-at-most, or lose it with --destroy-data." in said.out
    assert "Destroys 1 table and 1 column (4 rows)." in said.out
    assert len(keys(shop.alias)) == 3
    assert roll_back(shop, DAY_2, keep_at_most="1B").status == 0
    assert Catalogue(get(shop.alias)).entries() == []


def test_a_column_of_a_table_without_a_key(shop: Database) -> None:
    statements = {
        "sqlite": ["DROP TABLE a_n", "DROP TABLE a_t", "CREATE TABLE a_t (id integer, x integer)"],
        "postgresql": ["DROP TABLE a_n", "ALTER TABLE a_t DROP CONSTRAINT a_t_pkey"],
        "mariadb": ["DROP TABLE a_n", "ALTER TABLE a_t MODIFY id integer NOT NULL, DROP PRIMARY KEY"],
    }
    ask(shop, *statements["mariadb" if shop.vendor == "mariadb" else shop.vendor.replace("pgbouncer", "postgresql")])
    ask(shop, "DELETE FROM a_t", "INSERT INTO a_t (id, x) VALUES (1, 7)")
    said = roll_back(shop, DAY_2, plan=True)
    assert "drops column a_t.x: 1 row has a value; not kept: its table has no primary key [rollback.W001]" in said.out
    assert "Keep a copy of the whole table with --keep-table a_t, and lose it with --destroy-data." in said.out


@pytest.fixture
def without_the_right(shop: Database) -> Iterator[Database]:
    """Its user may do everything but create tables. The journal is there."""
    assert roll_back(shop, "2024-06-01").status == 0
    assert roll_back(shop, DAY_2, steps=1, keep=False).status == 0
    deploy(shop.alias, DAY_2, [("a", "0003_n")])
    ask(shop, "INSERT INTO a_n (id, t_id) VALUES (1, 1), (2, 2), (3, 2)", "CREATE INDEX by_hand ON a_n (id, t_id)")
    with making_no_tables(shop, "a_t", "a_n"):
        yield shop


@pytest.mark.databases(*NO_TABLES)
def test_without_the_right_to_create_tables(without_the_right: Database) -> None:
    shop = without_the_right
    said = roll_back(shop, DAY_2, destroy_data=False, verify=False)
    assert said.status == 3, said.all
    assert f"drops table a_n: 3 rows; not kept: {NO_TABLES[shop.vendor]} [rollback.W001]" in said.out
    assert "Keep it by granting this user the right to create tables, or lose it with --destroy-data." in said.out
    assert re.search(r"index \S*by_hand\S* goes\s+along; not\s+kept:", said.out)
    assert len(keys(shop.alias)) == 3
    assert roll_back(shop, DAY_2, verify=False).status == 0
    assert keys(shop.alias) == [("a", "0001_t")]
    assert ours(shop) == set()


# Rehearsals


@transactional
def test_a_rehearsal_shows_what_keeps_and_leaves_none(shop: Database) -> None:
    before = everything(shop.connection, ())
    said = roll_back(shop, DAY_2, rehearse=True, destroy_data=False)
    assert said.status == 0, said.all
    assert everything(shop.connection, ()) == before
    told = said.out.split("  To keep data, before the first step: ")[1].split("Nothing was changed.")[0]
    only = "ONLY " if shop.vendor == "postgresql" else ""
    assert f'CREATE TABLE "rollback_kept_1" AS SELECT "id", "t_id" FROM {only}"a_n"' in told
    assert 'CREATE TABLE "rollback_kept_2" AS SELECT "id", "x" FROM "a_t"' in told
    assert "rollback_app_kept" not in told
    (rehearsal,) = roll_back(shop, DAY_2, rehearse=True, format="json").json["rehearsals"]
    (part,) = rehearsal["keeping"]
    assert part["when"] == "before the first step"
    assert part["seconds"] > 0
    assert [sql for sql in part["sql"] if sql.startswith("CREATE TABLE")] == [
        line.strip() for line in told.splitlines() if line.strip().startswith("CREATE TABLE")
    ]
    if shop.vendor == "postgresql":
        assert list(rehearsal["locks"]) == ["a_n", "a_t", "django_migrations"]
        assert set(rehearsal["locks"].values()) == {"ACCESS EXCLUSIVE"}
    none = roll_back(shop, DAY_2, rehearse=True, keep=False)
    assert "To keep data" not in none.out


# Failures

FAILS = migration(
    f"migrations.RunPython(migrations.RunPython.noop, fail), {X}",
    [("a", "0001_t")],
    before="def fail(apps, schema_editor):\n    raise ValueError('no')",
)


@transactional
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_killed_run_leaves_none(shop: Database) -> None:
    before = everything(shop.connection)
    number, status = 0, -signal.SIGKILL
    while status == -signal.SIGKILL and keys(shop.alias) == [("a", "0001_t"), ("a", "0002_x"), ("a", "0003_n")]:
        assert everything(shop.connection) == before
        number += 1
        status = forked(shop.alias, number, lambda: roll_back(shop, DAY_2, destroy_data=False), changes=True)
        wait_until_alone(shop)
    assert number > 10
    assert [entry.source for entry in Catalogue(get(shop.alias)).entries()] == ["a_t.x", "a_n"]


@transactional
def test_a_run_that_fails_leaves_none(shop: Database, project: Project) -> None:
    project.replace(a={"0001_t": T, "0002_x": FAILS, "0003_n": N})
    before = everything(shop.connection)
    said = roll_back(shop, DAY_2, destroy_data=False)
    assert said.status == 1
    assert "Nothing was changed" in said.error
    assert everything(shop.connection) == before


FULL = {
    "sqlite": [
        """
        INSERT INTO a_n (t_id)
        WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) SELECT 1 FROM c
        """
    ],
    # The server says what it says where a disk is full; no disk has to be.
    "postgresql": [
        """
        CREATE FUNCTION full_disk() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
        """,
        "CREATE EVENT TRIGGER full_disk ON ddl_command_end WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION full_disk()",
    ],
}


@pytest.mark.databases(*FULL)
def test_a_full_disk_while_keeping(shop: Database) -> None:
    ask(shop, *FULL[shop.vendor])
    if shop.vendor == "sqlite":
        ((pages,),) = ask(shop, "PRAGMA page_count")
        ask(shop, f"PRAGMA max_page_count = {int(str(pages)) + 20}")
    before = everything(shop.connection)
    said = roll_back(shop, DAY_2, destroy_data=False)
    assert said.status == 1
    assert "The rollback failed, keeping what would be lost: " in said.error
    assert 'The statement was: CREATE TABLE "rollback_kept_1" AS ' in said.error
    assert "Nothing was changed" in said.error
    assert "The disk of the database is full. Free some space" in said.error
    assert "--no-keep" in said.error
    assert everything(shop.connection) == before


def test_a_lock_that_somebody_holds_meanwhile(shop: Database) -> None:
    """Somebody who writes to a table that is to be kept."""
    if shop.vendor == "sqlite":
        return  # who writes to any table of the file keeps the run from beginning
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    code = (
        "import django, sys; django.setup()\n"
        "from django.db import connections, transaction\n"
        f"with transaction.atomic(using={shop.alias!r}), connections[{shop.alias!r}].cursor() as cursor:\n"
        "    cursor.execute('UPDATE a_t SET x = 9 WHERE id = 2')\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "held\n"
        said = roll_back(shop, DAY_2, lock_timeout=0.5, destroy_data=False)
        process.stdin.close()
        process.wait()
    assert preview.kept
    assert said.status == 4, said.all
    assert len(keys(shop.alias)) == 3


# What it is judged by


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("step_by_step", [True, False])
def test_kept_tables_are_no_difference(shop: Database, verify: bool, step_by_step: bool) -> None:
    said = roll_back(shop, DAY_2, destroy_data=False, verify=verify, step_by_step=step_by_step)
    assert said.status == 0, said.all
    assert ("Verified: 2 tables are as the migrations at the target say.\n" in said.out) == verify
    assert "difference" not in said.out
    assert ours(shop) == {"rollback_app_kept", "rollback_kept_1", "rollback_kept_2"}


def test_kept_tables_of_before_are_left_alone(shop: Database) -> None:
    """A second rollback, of what was made again, keeps its own."""
    assert roll_back(shop, DAY_2, destroy_data=False).status == 0
    first = ask(shop, "SELECT * FROM rollback_kept_1 ORDER BY 1")
    assert first == [(1, 1), (2, 2), (3, 2)]
    said = roll_back(shop, DAY_1, destroy_data=True)
    assert said.status == 0, said.all
    assert ask(shop, "SELECT * FROM rollback_kept_1 ORDER BY 1") == first
    assert [entry.source for entry in Catalogue(get(shop.alias)).entries()] == ["a_t", "a_t.x", "a_n"]
    assert "difference" not in said.out


@pytest.mark.databases("sqlite")
def test_rows_that_pointed_nowhere_before_do_not_matter(shop: Database) -> None:
    """Django's schema editor looks for them when it is done, in the whole file."""
    ask(shop, "PRAGMA foreign_keys = OFF", "INSERT INTO a_n (id, t_id) VALUES (4, 99)", "PRAGMA foreign_keys = ON")
    said = roll_back(shop, DAY_2, destroy_data=False)
    assert said.status == 0, said.all
    assert ask(shop, "SELECT count(*) FROM rollback_kept_1") == [(4,)]
