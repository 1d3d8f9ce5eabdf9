"""--format markdown: the plan as a document."""

from __future__ import annotations

import re
from datetime import datetime, timezone

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
BLOCKED = "migrations.RunPython(lambda apps, editor: None)"


def document(shop: Database, moment: datetime, *options: str) -> Said:
    return call(
        "rollbackmigrationsafter", moment.isoformat(), "--database", shop.alias, "--format", "markdown", *options
    )


@pytest.mark.databases("sqlite", "postgresql")
def test_a_plan_is_a_document(database: Database, project: Project) -> None:
    project(a={"0001_t": TABLE, "0002_x": LATE, "0003_none": ""})
    deploy(database.alias, DAY_1, [Key("a", "0001_t")])
    deploy(database.alias, DAY_2)
    with database.connection.cursor() as cursor:
        quoted = database.connection.ops.quote_name("a|t`")
        cursor.execute(f"INSERT INTO {quoted} (id, x) VALUES (1, 7)")
    before = rows(database.alias)
    said = document(database, DAY_2, "--fake", "a.0003_none")
    assert said.status == 0
    assert rows(database.alias) == before
    assert said.out.startswith(
        f"# Rollback of `{database.alias}`\n\nUndoes 2 migrations of 1 app, 1 of them in the records"
    )
    assert re.search(r"\n\| 1 \| `a.0003_none` \| 2024-05-02 .* \| nothing: only its record is deleted \|\n", said.out)
    assert "| drops column a\\|t\\`.x |" in said.out
    assert "| ``a\\|t`.x`` | 1 | about" in said.out
    assert re.search("\\$ python manage.py rollbackmigrationsafter .* --expect [0-9a-f]{12}\n", said.out)
    assert "- [ ] Start the older release." in said.out
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


@pytest.mark.databases("sqlite")
def test_it_does_not_rehearse(database: Database, project: Project) -> None:
    project(a={"0001_t": TABLE})
    deploy(database.alias, DAY_2)
    said = document(database, DAY_2, "--rehearse")
    assert said.status == 2
    assert "--format markdown runs nothing, so it cannot rehearse." in said.error
