"""Rows are in the way, and code of the plan runs before: which code may change them, and what that is worth."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from rollback_app import workflow
from rollback_app.safety import Finding, Level
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, set_applied
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True)), ("x", models.IntegerField())])'
NULL = 'migrations.AlterField("T", "x", models.IntegerField(null=True))'
OF_A, OF_B = [("a", "0001_t")], [("b", "0001_u")]


def code(sql: str) -> str:
    run = f"editor.connection.cursor().execute({sql!r})"
    return f"def forwards(apps, editor):\n    pass\n\ndef backwards(apps, editor):\n    {run}\n"


FIX = "UPDATE a_t SET x = 0 WHERE x IS NULL"
RUN = "migrations.RunPython(forwards, backwards)"


def found(database: Database) -> list[Finding]:
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    return [finding for finding in preview.findings if finding.about == "a.0002_late"]


def deployed(database: Database, project: Project, of_b: str) -> None:
    """a.0002_late, and b.0002_code after it, which is undone first; one row is in the way of the former."""
    early = {"a": {"0001_t": migration(T)}, "b": {"0001_u": migration()}}
    project(**early)
    deploy(database.alias, DAY_1)
    late = migration(NULL, OF_A)
    project(a={**early["a"], "0002_late": late}, b={**early["b"], "0002_code": of_b})
    deploy(database.alias, DAY_2, ["a", "b"])
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (x) VALUES (NULL)")


UNREACHED = {
    "code of another app": migration(RUN, OF_B, before=code("SELECT 1")),
    "SQL about other tables": migration("migrations.RunSQL('', 'SELECT 1 AS a_t_more -- xa_t')", OF_B),
}
REACHED = {
    "code that depends on the app": migration(RUN, [*OF_B, *OF_A], before=code(FIX)),
    "SQL that names the table": migration(f"migrations.RunSQL('', {FIX!r})", OF_B),
    "SQL that names it in quotes, and in capitals": migration(
        f"migrations.RunSQL('', [('{FIX.upper().replace('A_T', 'a_t')}', None)])", OF_B
    ),
}


@pytest.mark.parametrize("name", UNREACHED)
def test_code_that_cannot_reach_the_table_changes_nothing(database: Database, project: Project, name: str) -> None:
    deployed(database, project, UNREACHED[name])
    (finding,) = found(database)
    assert (finding.id, finding.level) == ("rollback.E010", Level.BLOCKER)
    assert finding.text == "a.0002_late makes column a_t.x NOT NULL again: 1 row holds NULL."
    assert "--no-count" not in finding.hint


@pytest.mark.parametrize("name", REACHED)
def test_code_that_may_fix_the_rows(database: Database, project: Project, name: str) -> None:
    deployed(database, project, REACHED[name])
    (finding,) = found(database)
    assert finding.text == (
        "a.0002_late makes column a_t.x NOT NULL again: 1 row holds NULL. The run fails unless code that runs before this "
        "fixes it."
    )
    if database.vendor == "mariadb":  # what is undone by then would stay undone
        assert (finding.id, finding.level) == ("rollback.E010", Level.BLOCKER)
        assert finding.hint.endswith("If that code fixes it, add --no-count.")
        assert roll_back(database, DAY_2).status == 3
        assert roll_back(database, DAY_2, count=False).status == 0
    else:
        assert (finding.id, finding.level) == ("rollback.I020", Level.REMARK)
        assert roll_back(database, DAY_2).status == 0
    assert keys(database.alias) == [("a", "0001_t"), ("b", "0001_u")]


@pytest.mark.databases("sqlite", "postgresql")
def test_step_by_step_it_blocks_too(database: Database, project: Project) -> None:
    deployed(database, project, REACHED["SQL that names the table"])
    said = roll_back(database, DAY_2, step_by_step=True)
    assert said.status == 3
    assert "If that code fixes it, add --no-count." in said.out.replace("\n    ", " ")
    assert roll_back(database, DAY_2, step_by_step=True, count=False).status == 0


ADD, FILLED = 'migrations.AlterField("T", "n", models.TextField(null=True))', 'migrations.RemoveField("T", "n")'
WITH_N = T.replace('("x",', '("n", models.TextField()), ("x",')


def test_a_column_that_code_fills_is_no_alarm(database: Database, project: Project) -> None:
    """The usual way back of a column that was dropped: added with nulls, filled by code, then NOT NULL."""
    fill = migration(f"{ADD}, {RUN}, {FILLED}", OF_A, before=code("UPDATE a_t SET n = 'filled'"))
    project(a={"0001_t": migration(WITH_N)})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": migration(WITH_N), "0002_late": fill})
    deploy(database.alias, DAY_2)
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (x) VALUES (1)")
    told = [finding for finding in found(database) if finding.id not in ("rollback.I003", "rollback.I011")]
    if database.vendor == "mariadb":
        (finding,) = told
        assert (finding.id, finding.hint) == ("rollback.I020", "")
        assert finding.text == (
            "a.0002_late makes column a_t.n NOT NULL again, which is empty by then: 1 row is in the table. "
            "Code that runs before this has to fill it."
        )
    else:
        assert told == []
    assert roll_back(database, DAY_2).status == 0


def test_code_that_ran_before_the_column_was_there_cannot_fill_it(database: Database, project: Project) -> None:
    early = migration(f"{ADD}, {FILLED}, {RUN}", OF_A, before=code("UPDATE a_t SET x = 1"))
    project(a={"0001_t": migration(WITH_N)})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": migration(WITH_N), "0002_late": early})
    deploy(database.alias, DAY_2)
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (x) VALUES (1)")
    (finding,) = [found for found in found(database) if "is in the table" in found.text]
    assert finding.text.endswith("The run fails unless code that runs before this fixes it.")


def test_content_types_of_django_are_no_alarm(database: Database, project: Project) -> None:
    """contenttypes.0002 adds the column `name` again, has its code fill it, and makes it NOT NULL."""
    project(with_contrib=True)
    deploy(database.alias, DAY_1, ["contenttypes"])
    set_applied(database.alias, {("contenttypes", "0002_remove_content_type_name"): DAY_2})
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    told = {finding.id for finding in preview.findings if finding.level is not Level.REMARK or finding.hint}
    assert told <= {"rollback.I004"}
    assert roll_back(database, DAY_2).status == 0
    assert keys(database.alias) == [("contenttypes", "0001_initial")]
