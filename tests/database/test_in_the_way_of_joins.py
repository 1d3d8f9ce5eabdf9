"""A many-to-many field that points to another model again: rows of its table that would point nowhere are found first."""

from __future__ import annotations

import pytest

from rollback_app import workflow
from rollback_app.executor import StepFailed
from tests.database.test_in_the_way import DAY_2, SERVERS, Case, deployed, execute, found, in_the_way, table
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.projects import Project

PQ = f"{table(name='P')}, {table(name='Q')}"


def many(target: str, *more: str) -> str:
    return f'models.ManyToManyField("{target}"{"".join(f", {each}" for each in more)})'


def joined(database: Database, project: Project, early: str, late: str, *rows: str, more: str = "") -> None:
    operations = f"""{PQ}, {table(f'("m", {early})')}"""
    late_operations = f'migrations.AlterField("T", "m", {late}){more}'
    ids = [f"INSERT INTO a_{name} (id) VALUES (1), (2)" for name in "tpq"]
    deployed(database, project, Case(operations, late_operations, [*ids, *rows], "", "", ""))


@pytest.mark.parametrize(
    ("early", "late", "rows", "text", "mend"),
    [
        (
            many("a.P"),
            many("a.Q"),
            ["INSERT INTO a_q (id) VALUES (7)", "INSERT INTO a_t_m (t_id, q_id) VALUES (1, 7), (1, 2)"],
            "makes column a_t_m.q_id a foreign key to a_p again: 1 row points to a row that does not exist.",
            "DELETE FROM a_t_m WHERE q_id = 7",
        ),
        (
            many("a.P"),
            many("self"),
            ["INSERT INTO a_t (id) VALUES (7)", "INSERT INTO a_t_m (from_t_id, to_t_id) VALUES (1, 7), (1, 2)"],
            "makes column a_t_m.to_t_id a foreign key to a_p again: 1 row points to a row that does not exist.",
            "DELETE FROM a_t_m WHERE to_t_id = 7",
        ),
        (
            many("self"),
            many("a.P", 'db_table="mm"'),
            ["INSERT INTO a_p (id) VALUES (7)", "INSERT INTO mm (t_id, p_id) VALUES (1, 7), (1, 2)"],
            "makes column mm.p_id a foreign key to a_t again: 1 row points to a row that does not exist.",
            "DELETE FROM mm WHERE p_id = 7",
        ),
        (
            many("a.P"),
            many("a.P", "db_constraint=False"),
            ["INSERT INTO a_t_m (t_id, p_id) VALUES (1, 7), (1, 2)"],
            "makes column a_t_m.p_id a foreign key to a_p again: 1 row points to a row that does not exist.",
            "DELETE FROM a_t_m WHERE p_id = 7",
        ),
    ],
    ids=["other", "from itself", "to itself, another table", "constraint"],
)
def test_rows_that_would_point_nowhere(
    database: Database,
    other_database: Database,
    project: Project,
    early: str,
    late: str,
    rows: list[str],
    text: str,
    mend: str,
) -> None:
    joined(other_database, project, early, late, *rows)
    with pytest.raises(StepFailed):
        workflow.roll_back(
            workflow.preview(DAY_2.isoformat(), using=[other_database.alias], count=False), destroy_data=True
        )
    joined(database, project, early, late, *rows)
    (finding,) = in_the_way(database)
    assert (finding.id, finding.text) == ("rollback.E013", f"a.0002_late {text}")
    assert len(execute(database, finding.facts["query"])) == 1
    assert roll_back(database, DAY_2).status == 3
    execute(database, mend)
    assert in_the_way(database) == []
    said = roll_back(database, DAY_2)
    assert said.status == 0, said.all


def test_a_field_without_a_constraint_points_where_it_likes(database: Database, project: Project) -> None:
    rows = "INSERT INTO a_t_m (t_id, q_id) VALUES (1, 7)"
    joined(database, project, many("a.P", "db_constraint=False"), many("a.Q", "db_constraint=False"), rows)
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


def test_keys_of_another_type(database: Database, project: Project) -> None:
    early = f"""{PQ}, migrations.CreateModel("U", [("id", models.CharField(max_length=9, primary_key=True))]),
        {table(f'("m", {many("a.P")})')}"""
    late = f'migrations.AlterField("T", "m", {many("a.U")})'
    rows = [
        "INSERT INTO a_t (id) VALUES (1)",
        "INSERT INTO a_u (id) VALUES ('abc')",
        "INSERT INTO a_t_m (t_id, u_id) VALUES (1, 'abc')",
    ]
    deployed(database, project, Case(early, late, rows, "", "", ""))
    ids = [finding.id for finding in found(database)]
    assert ("rollback.E012" if database.vendor in SERVERS else "rollback.W011") in ids
    execute(database, "DELETE FROM a_t_m")
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


def test_through_a_model_of_the_project(database: Database, project: Project) -> None:
    """Its foreign key is what changes; the many-to-many field is a name for it."""
    link = """migrations.CreateModel("L", [("id", models.AutoField(primary_key=True)),
        ("t", models.ForeignKey("a.T", models.CASCADE)), ("p", models.ForeignKey("a.P", models.CASCADE))])"""
    field = 'migrations.AddField("T", "m", models.ManyToManyField("a.{}", through="a.L"))'
    late = """migrations.AlterField("L", "p", models.ForeignKey("a.Q", models.CASCADE)),
        migrations.AlterField("T", "m", models.ManyToManyField("a.Q", through="a.L"))"""
    rows = [
        "INSERT INTO a_t (id) VALUES (1)",
        "INSERT INTO a_q (id) VALUES (7)",
        "INSERT INTO a_l (t_id, p_id) VALUES (1, 7)",
    ]
    deployed(database, project, Case(f"{PQ}, {table()}, {link}, {field.format('P')}", late, rows, "", "", ""))
    (finding,) = in_the_way(database)
    assert finding.text == (
        "a.0002_late makes column a_l.p_id a foreign key to a_p again: 1 row points to a row that does not exist."
    )
