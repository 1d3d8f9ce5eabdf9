"""Unique and exclusion constraints that come back: rows that break them are found first, by the constraint's own SQL."""

from __future__ import annotations

from typing import Any

import pytest

from rollback_app import workflow
from rollback_app.database import base, constraints
from rollback_app.executor import StepFailed
from rollback_app.safety import Finding
from tests.database.test_in_the_way import DAY_1, DAY_2, Case, deployed, execute, found, in_the_way, table
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.projects import Project, migration

N = '("n", models.CharField(max_length=10, default="")), ("x", models.IntegerField(null=True))'
EXCLUSION = """
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import IntegerRangeField
from django.db.models.functions import Lower
"""


def undone(database: Database, project: Project, constraint: str, *rows: str, before: str = "", late: str = "") -> None:
    """A deployment has removed this constraint from a.T, and then rows came."""
    operations = table(N, f"'constraints': [{constraint}]")
    early = {"0001_t": migration(operations, before=f"from django.db.models.functions import Lower, Upper{before}")}
    project(a=early)
    deploy(database.alias, DAY_1)
    project(a={**early, "0002_late": f'migrations.RemoveConstraint("T", "c"){late}'})
    deploy(database.alias, DAY_2)
    for sql in rows:
        execute(database, sql)


def fails(database: Database) -> None:
    preview = workflow.preview(DAY_2.isoformat(), using=[database.alias], count=False)
    with pytest.raises(StepFailed):
        workflow.roll_back(preview, destroy_data=True)


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("constraint", "listed"),
    [
        ('models.UniqueConstraint(Lower("n"), name="c")', ("'A'", "'a'", "'b'")),
        ('models.UniqueConstraint(Lower("n").desc(), "x", name="c")', ("'A'", "'a'", "'b'")),
        ('models.UniqueConstraint(Upper("n"), condition=models.Q(x=5), name="c")', ("'A'", "'a'", "'b'")),
        ('models.UniqueConstraint(fields=["n"], condition=models.Q(n__startswith="100%"), name="c")', ("'100%'",) * 2),
    ],
    ids=["expression", "expressions", "expression and condition", "condition with a percent sign"],
)
def test_expressions_and_conditions(
    database: Database, project: Project, constraint: str, listed: tuple[str, ...]
) -> None:
    undone(database, project, constraint, *(f"INSERT INTO a_t (n, x) VALUES ({value}, 5)" for value in listed))
    (finding,) = in_the_way(database)
    assert finding.id == "rollback.E011"
    assert finding.text == "a.0002_late makes constraint c of a_t again: 2 rows share their values with others."
    assert len(execute(database, finding.facts["query"])) == 1
    fails(database)
    execute(database, "DELETE FROM a_t WHERE id = 1")
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.parametrize("constraint", ['Lower("n"), name="c"', 'fields=["n"], include=["x"], name="c"'])
def test_what_a_database_does_not_make_is_not_looked_for(database: Database, project: Project, constraint: str) -> None:
    undone(database, project, f"models.UniqueConstraint({constraint})", *["INSERT INTO a_t (n) VALUES ('a')"] * 2)
    makes = database.vendor == "postgresql" or (database.vendor == "sqlite" and "Lower" in constraint)
    assert bool(in_the_way(database)) == makes
    if not makes:
        assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    "constraint",
    [
        'fields=["n"], include=["x"], name="c"',
        'fields=["n"], opclasses=["varchar_pattern_ops"], name="c"',
        'fields=["n"], deferrable=models.Deferrable.DEFERRED, name="c"',
    ],
    ids=["include", "opclasses", "deferrable"],
)
def test_what_only_the_index_knows(database: Database, project: Project, constraint: str) -> None:
    rows = ["INSERT INTO a_t (n, x) VALUES ('a', 1), ('a', 2), ('b', 2)"]
    undone(database, project, f"models.UniqueConstraint({constraint})", *rows, before=EXCLUSION)
    (finding,) = in_the_way(database)
    assert (finding.id, finding.facts["rows"]) == ("rollback.E011", 2)
    fails(database)
    execute(database, "DELETE FROM a_t WHERE x = 1")
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


def excluded(database: Database, project: Project, constraint: str, *rows: str, late: str = "") -> None:
    made = """migrations.CreateModel("T", [("id", models.AutoField(primary_key=True)), ("k", models.IntegerField(default=0)),
        ("r", IntegerRangeField(null=True))])"""
    early = {"0001_t": migration(f'{made}, migrations.AddConstraint("T", {constraint})', before=EXCLUSION)}
    project(a=early)
    deploy(database.alias, DAY_1)
    project(a={**early, "0002_late": f'migrations.RemoveConstraint("T", "c"){late}'})
    deploy(database.alias, DAY_2)
    for sql in rows:
        execute(database, sql)


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    ("constraint", "late", "column", "bad"),
    [
        ('expressions=[("r", "&&")]', "", "r", 3),
        ('expressions=[("r", "&&")], condition=models.Q(k__gt=0)', "", "r", 2),
        ('expressions=[("r", "&&")]', ', migrations.RenameField("T", "r", "span")', "span", 3),
    ],
    ids=["ranges", "condition", "another name"],
)
def test_rows_that_exclude_each_other(
    database: Database, project: Project, constraint: str, late: str, column: str, bad: int
) -> None:
    rows = f"INSERT INTO a_t (k, {column}) VALUES (0, '[1,5)'), (1, '[4,6)'), (2, '[5,9)'), (3, '[9,10)'), (4, NULL)"
    excluded(database, project, f'ExclusionConstraint(name="c", {constraint})', rows, late=late)
    (finding,) = in_the_way(database)
    assert finding.id == "rollback.E011"
    assert finding.text == f"a.0002_late makes constraint c of a_t again: {bad} rows exclude each other."
    assert len(execute(database, finding.facts["query"])) == bad
    fails(database)
    execute(database, "DELETE FROM a_t WHERE k = 1")
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("postgresql")
def test_rows_are_compared_up_to_a_bound(database: Database, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "INSERT INTO a_t (k, r) VALUES (1, '[1,5)'), (2, '[4,6)'), (3, '[5,9)')"
    excluded(database, project, 'ExclusionConstraint(name="c", expressions=[("r", "&&")])', rows)
    monkeypatch.setattr(constraints, "COMPARED_ROWS", 1)
    (finding,) = in_the_way(database)
    assert "at least 2 rows exclude each other" in finding.text
    execute(database, "UPDATE a_t SET r = int4range(id, id + 1)")
    assert in_the_way(database) == []
    assert "rollback.I020" in [finding.id for finding in found(database)]


@pytest.mark.databases("postgresql")
def test_the_name_of_an_exclusion_is_that_of_an_index(database: Database, project: Project) -> None:
    excluded(database, project, 'ExclusionConstraint(name="c", expressions=[("r", "&&")])', "CREATE INDEX c ON a_t (k)")
    (finding,) = in_the_way(database)
    assert finding.id == "rollback.E015"
    fails(database)
    execute(database, "DROP INDEX c")
    assert roll_back(database, DAY_2).status == 0


def unique(database: Database, project: Project, early: str, late: str, *values: str) -> list[Finding]:
    alter = f'migrations.AlterField("T", "x", models.{late})'
    rows = [f"INSERT INTO a_t (x) VALUES ({value})" for value in values]
    deployed(database, project, Case(f'("x", models.{early})', alter, rows, "", "", ""))
    return [finding for finding in in_the_way(database) if finding.id == "rollback.E011"]


@pytest.mark.parametrize(
    ("early", "late", "values"),
    [
        ("DateField(unique=True)", "DateTimeField(unique=True)", ("'2024-05-01 08:00'", "'2024-05-01 09:00'")),
        ("IntegerField(unique=True)", "CharField(max_length=9, unique=True)", ("'5'", "'05'")),
        (
            "DecimalField(max_digits=9, decimal_places=0, unique=True)",
            "DecimalField(max_digits=9, decimal_places=2)",
            ("5", "5.1"),
        ),
    ],
    ids=["days", "leading zeros", "rounded"],
)
def test_values_that_become_the_same(
    database: Database, project: Project, early: str, late: str, values: tuple[str, ...]
) -> None:
    findings = unique(database, project, early, late, *values)
    if database.vendor == "sqlite" and "IntegerField" not in early:  # where they stay as they are
        assert findings == []
        return
    (finding,) = findings
    assert finding.facts["rows"] == 2
    fails(database)


@pytest.mark.parametrize("vendor", ["sqlite", "mariadb"])
def test_a_collation_for_which_values_are_the_same(database: Database, project: Project, vendor: str) -> None:
    collations: dict[str, Any] = {"sqlite": ("NOCASE", "BINARY"), "mariadb": ("utf8mb4_general_ci", "utf8mb4_bin")}
    if database.vendor not in collations:
        return
    ignores, tells = collations[database.vendor]
    field = 'CharField(max_length=9, unique=True, db_collation="{}")'
    (finding,) = unique(database, project, field.format(ignores), field.format(tells), "'a'", "'A'")
    assert finding.facts["rows"] == 2
    fails(database)


def test_constraints_on_columns_that_have_swapped_their_names(
    database: Database, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = '("x", models.IntegerField()), ("y", models.IntegerField())'
    early = table(fields, "'constraints': [models.UniqueConstraint(fields=['x'], name='c')]")
    names = [("x", "z"), ("y", "x"), ("z", "y")]
    renamed = ", ".join(f'migrations.RenameField("T", "{old}", "{new}")' for old, new in names)
    rows = ["INSERT INTO a_t (x, y) VALUES (1, 5), (2, 5), (3, 6)"]
    deployed(database, project, Case(early, f'migrations.RemoveConstraint("T", "c"), {renamed}', rows, "", "", ""))
    (finding,) = in_the_way(database)
    assert finding.facts["rows"] == 2
    assert execute(database, finding.facts["query"]) == [(5, 2)]
    monkeypatch.setattr(base, "COUNTED_ROWS", 2)
    (finding,) = in_the_way(database)
    assert "at least 2 rows" in finding.text or "at least" in finding.text
    execute(database, "UPDATE a_t SET y = 7 WHERE x = 1")
    monkeypatch.undo()
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0
