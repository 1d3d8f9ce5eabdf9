"""A column that gets its old type back: what does not fit and what would be changed is found first, and is what happens."""

from __future__ import annotations

import pytest

from rollback_app import workflow
from rollback_app.executor import StepFailed
from rollback_app.safety import Finding
from tests.database.test_in_the_way import DAY_2, Case, alter, deployed, execute, found, in_the_way, table
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.projects import Project

P = f"{table(name='P')}, {table(name='Q')}"


def deploy_types(database: Database, project: Project, early: str, late: str, *values: str) -> None:
    rows = [f"INSERT INTO a_t (x) VALUES ({value})" for value in values]
    deployed(database, project, Case(f'("x", models.{early})', alter("x", late), rows, "", "", ""))


def of(database: Database, id: str) -> list[Finding]:
    return [finding for finding in found(database) if finding.id == f"rollback.{id}"]


@pytest.mark.parametrize(
    ("early", "late", "values", "bad", "databases"),
    [
        (
            "IntegerField(null=True)",
            "CharField(max_length=9, null=True)",
            ["'7'", "'abc'", "''"],
            2,
            "postgresql mariadb",
        ),
        ("DateField(null=True)", "TextField(null=True)", ["'2024-05-01'", "'soon'"], 1, "postgresql mariadb"),
        (
            "BooleanField(null=True)",
            "CharField(max_length=9, null=True)",
            ["'1'", "'perhaps'"],
            1,
            "postgresql mariadb",
        ),
        ("UUIDField(null=True)", "TextField(null=True)", ["'abc'"], 1, "postgresql mariadb"),
        ("JSONField(null=True)", "TextField(null=True)", ["'[1]'", "'[1'"], 1, "postgresql mariadb"),
        (
            "DecimalField(max_digits=4, decimal_places=2, null=True)",
            "TextField(null=True)",
            ["'1.25'", "'x'", "'1e9'"],
            2,
            "postgresql mariadb",
        ),
        ("DurationField(null=True)", "TextField(null=True)", ["'1'", "'x'"], 1, "postgresql mariadb"),
    ],
    ids=["integer", "date", "boolean", "uuid", "json", "decimal", "duration"],
)
def test_values_of_another_kind(
    database: Database, project: Project, early: str, late: str, values: list[str], bad: int, databases: str
) -> None:
    deploy_types(database, project, early, late, *values)
    if database.vendor not in databases:
        return
    (finding,) = in_the_way(database)
    assert (finding.id, finding.facts["rows"]) == ("rollback.E012", bad)
    listed = execute(database, finding.facts["query"])
    assert len(listed) == bad
    assert roll_back(database, DAY_2).status == 3
    with pytest.raises(StepFailed):
        workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[database.alias], count=False), destroy_data=True)
    execute(database, f"DELETE FROM a_t WHERE id IN ({', '.join(str(row[0]) for row in listed)})")
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0
