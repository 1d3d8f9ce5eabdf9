"""--format markdown: the plan as a document."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest

from rollback_app.history import Key
from tests.support.commands import Said, call
from tests.support.databases import Database
from tests.support.history import deploy, rows
from tests.support.projects import Project

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
DAY_3 = datetime(2024, 5, 3, 8, 0, tzinfo=timezone.utc)
TABLE = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))], options={"db_table": "a|t`"})'
LATE = (
    'migrations.AddField("T", "x", models.IntegerField(null=True)),'
    'migrations.AlterModelOptions("T", {"verbose_name": "t"}),'
)
CODE = "migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop)"
BLOCKED = "migrations.RunPython(lambda apps, editor: None)"


def table(database: Database) -> str:
    """Django itself cannot quote a backtick on MariaDB."""
    return TABLE.replace("`", "") if database.vendor == "mariadb" else TABLE


def document(shop: Database, moment: datetime, *options: str) -> Said:
    return call(
        "rollbackmigrationsafter", moment.isoformat(), "--database", shop.alias, "--format", "markdown", *options
    )


def test_a_plan_is_a_document(database: Database, project: Project) -> None:
    project(a={"0001_t": table(database), "0002_x": LATE, "0003_none": ""})
    deploy(database.alias, DAY_1, [Key("a", "0001_t")])
    deploy(database.alias, DAY_2)
    record_deployments(database)
    with database.connection.cursor() as cursor:
        name = "a|t" if database.vendor == "mariadb" else "a|t`"
        quoted = database.connection.ops.quote_name(name)
        cursor.execute(f"INSERT INTO {quoted} (id, x) VALUES (1, 7)")
    before = rows(database.alias)
    said = document(database, DAY_2, "--fake", "a.0003_none", "--reason", "Slow | wrong")
    assert said.status == 0
    assert rows(database.alias) == before
    assert said.out.startswith(
        f"# Rollback of `{database.alias}`\n\nUndoes 2 migrations of 1 app, 1 of them in the records"
    )
    assert re.search(
        r"\n\| 1 \| `a.0003_none` \| 2024-05-02 .* \| Note is NOT undone: only its record is deleted .* \|\n", said.out
    )
    shown = name.replace("|", "\\|")
    assert f"| drops column {shown.replace('`', chr(92) + '`')}.x: 1 row has a value, kept; " in said.out
    ticks = "``" if "`" in name else "`"
    assert f"| {ticks}{shown}.x{ticks} | 1 | about" in said.out
    assert re.search("\\$ python manage.py rollbackmigrationsafter .* --expect [0-9a-f]{12}\n", said.out)
    assert "| Why | Slow \\| wrong |\n" in said.out
    assert "| From release | `2.1` |\n| To release | `2.0` |\n" in said.out
    assert (
        "| kept | 2024-05-01 08:00:00 | 2.0 | 1 | a 1 |\n| undone | 2024-05-02 08:00:00 | 2.1 | 2 | a 2 |\n" in said.out
    )
    assert "\n## Is it needed?\n\nThe older release would run on the database as it is" in said.out
    assert "- [ ] Start the older release 2.0." in said.out
    assert f"\n$ {BACKUPS[database.vendor]}" in said.out
    assert "## Rehearsed" not in said.out
    assert max(map(len, said.out.splitlines())) > 80  # a document is wrapped by who shows it


@pytest.mark.databases("sqlite")
def test_what_cannot_run_is_not_offered_to_be_run(database: Database, project: Project) -> None:
    project(a={"0001_t": TABLE}, b={"0001_code": BLOCKED})
    deploy(database.alias, DAY_2)
    said = document(database, DAY_2)
    assert said.status == 3
    assert "## What blocks it" in said.out
    assert "--expect" not in said.out
    nothing = document(database, DAY_3)
    assert nothing.status == 0
    assert "--expect" not in nothing.out
    assert "## Steps" not in nothing.out


BACKUPS = {
    "sqlite": "sqlite3 ",
    "postgresql": "pg_dump --format=custom ",
    "mariadb": "mariadb-dump --single-transaction ",
}


def record_deployments(database: Database) -> None:
    for release, day in (("2.0", "2024-05-01"), ("2.1", "2024-05-02")):
        call("markrelease", release, "--at", f"{day} 12:00", "--database", database.alias)


def test_a_rehearsal_in_the_same_call_is_told(database: Database, project: Project) -> None:
    project(a={"0001_t": table(database), "0002_x": LATE})
    deploy(database.alias, DAY_1, [Key("a", "0001_t")])
    deploy(database.alias, DAY_2)
    before = rows(database.alias)
    said = document(database, DAY_2, "--rehearse")
    assert rows(database.alias) == before
    if database.vendor == "mariadb":  # which cannot take it back
        assert said.status == 3
        assert said.out.startswith("# Rollback of")
        assert "## Rehearsed" not in said.out
        return
    assert said.status == 0
    assert re.search(r"\n\| 1 \| `a.0002_x` \| .* \| \d+\.\d\d s \|\n", said.out)
    assert re.search(
        r"\n## Rehearsed\n\nAll of it was done on this database, and taken back, in \d+\.\d\d s. 1 table", said.out
    )
    assert ("| ACCESS EXCLUSIVE, so that reads and writes wait |" in said.out) is (database.vendor == "postgresql")
    unverified = document(database, DAY_2, "--rehearse", "--no-verify")
    assert re.search(r"taken back, in \d+\.\d\d s\.\n", unverified.out)


@pytest.mark.databases("sqlite")
def test_only_some_of_many_deployments_are_shown(database: Database, project: Project) -> None:
    project(a={"0001_t": TABLE, **{f"{number:04}_x": "" for number in range(2, 32)}})
    for number in range(1, 32):
        deploy(
            database.alias, DAY_1 + timedelta(days=number - 1), [Key("a", f"{number:04}_{'t' if number == 1 else 'x'}")]
        )
    said = document(database, DAY_1 + timedelta(days=10))
    assert "| 5 more before |  |  |  |  |\n| kept | 2024-05-06 " in said.out
    assert "| undone | 2024-05-25 08:00:00 |  | 1 | a 1 |\n| 6 more after |  |  |  |  |\n" in said.out


@pytest.mark.databases("sqlite")
def test_what_the_older_release_cannot_do(database: Database, project: Project) -> None:
    must = 'migrations.AddField("T", "x", models.IntegerField(default=1))'
    project(a={"0001_t": TABLE, "0002_x": must, "0003_code": CODE})
    deploy(database.alias, DAY_1, [Key("a", "0001_t")])
    deploy(database.alias, DAY_2)
    said = document(database, DAY_2)
    assert (
        "Without it, the older release would fail on this database. Rows are another matter: look at a.0003_code."
        in said.out
    )
    assert "| inserts fail | Column x must have a value" in said.out
    lost = document(database, DAY_2, "--no-count", "--no-keep")
    assert "## What would be lost, or needs consent\n" in lost.out
    assert " --destroy-data --expect " in lost.out


@pytest.mark.databases("postgresql")
def test_a_way_round_it_is_sql(database: Database, project: Project) -> None:
    must = 'migrations.AddField("T", "x", models.IntegerField(default=1))'
    project(a={"0001_t": TABLE.replace("a|t`", "a_t"), "0002_x": must})
    deploy(database.alias, DAY_1, [Key("a", "0001_t")])
    deploy(database.alias, DAY_2)
    assert '```sql\nALTER TABLE "a_t" ALTER COLUMN "x" SET DEFAULT 1;\n```' in document(database, DAY_2).out
