"""A column that gets its old type back: what does not fit and what would be changed is found first, and is what happens."""

from __future__ import annotations

import pytest

from rollback_app import workflow
from rollback_app.database import column_types
from rollback_app.executor import StepFailed
from rollback_app.safety import NOT_KEEPING, Finding, Level
from tests.database.test_in_the_way import DAY_1, DAY_2, Case, alter, deployed, execute, found, in_the_way, table
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.projects import Project, migration


def deploy_types(database: Database, project: Project, early: str, late: str, *values: str) -> None:
    rows = [f"INSERT INTO a_t (x) VALUES ({value})" for value in values]
    deployed(database, project, Case(f'("x", models.{early})', alter("x", late), rows, "", "", ""))


def of(database: Database, id: str) -> list[Finding]:
    """Where what is changed is not kept."""
    findings = found(database, keeping=NOT_KEEPING)
    return [finding for finding in findings if finding.id == f"rollback.{id}"]


def deploy_chain(database: Database, project: Project, types: list[str], *values: str) -> None:
    """A column that had these types one after the other; the run gives it back the first of them."""
    rows = [f"INSERT INTO a_t (x) VALUES ({value})" for value in values]
    late = ", ".join(alter("x", f"{each[:-1]}{', ' * (each[-2] != '(')}null=True)") for each in types[1:])
    first = f"{types[0][:-1]}{', ' * (types[0][-2] != '(')}null=True)"
    deployed(database, project, Case(f'("x", models.{first})', late, rows, "", "", ""))


@pytest.mark.parametrize(
    ("types", "value", "findings"),
    [
        # cast at once, each would fit
        (["CharField(max_length=10)", "DateTimeField()", "DateField()"], "'2024-05-01'", "mariadb E012"),
        (
            ["CharField(max_length=1)", "IntegerField()", "CharField(max_length=5)"],
            "'12'",
            "mariadb E012, postgresql W010",
        ),
        (["SmallIntegerField()", "TextField()", "BigIntegerField()"], "70000", "postgresql E012, mariadb E012"),
        # cast at once, none would
        (["CharField(max_length=1)", "IntegerField()", "FloatField()"], "3.75", "postgresql W010, mariadb W010"),
        (
            ["CharField(max_length=1)", "TextField()", "IntegerField()", "FloatField()"],
            "3.75",
            "postgresql W010, mariadb W010",
        ),
        # there and back
        (["TextField()", "IntegerField()", "TextField()"], "'12'", ""),
        (["IntegerField()", "TextField()", "IntegerField()"], "12", ""),
        (["TextField()", "IntegerField()", "TextField()"], "'abc'", "postgresql E012, mariadb E012"),
    ],
)
def test_several_changes_of_one_column(
    database: Database, project: Project, types: list[str], value: str, findings: str
) -> None:
    """Each change finds what the one before it has made of a value."""
    deploy_chain(database, project, types, value)
    (seen,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], keeping=NOT_KEEPING)
    judged = [each.id.partition(".")[2] for each in seen.findings if each.id in ("rollback.E012", "rollback.W010")]
    assert judged == [each.split(" ")[1] for each in findings.split(", ") if each.startswith(database.vendor)]
    blind = workflow.preview(DAY_2.isoformat(), using=[database.alias], count=False, keeping=NOT_KEEPING)
    if "E012" in judged:
        with pytest.raises(StepFailed):
            workflow.roll_back(blind, destroy_data=True)
    else:
        workflow.roll_back(blind, destroy_data=True)
        ((after,),) = execute(database, "SELECT x FROM a_t")
        assert (str(after) == value.strip("'")) != ("W010" in judged)


def test_values_are_listed_as_they_are_by_then(database: Database, project: Project) -> None:
    deploy_chain(database, project, ["SmallIntegerField()", "TextField()", "FloatField()"], "1.5", "70000.25", "3")
    findings = in_the_way(database)
    assert [(each.id, each.facts["rows"]) for each in findings] == (
        [] if database.vendor == "sqlite" else [("rollback.E012", 2)]
    )
    for finding in findings:
        rows = execute(database, finding.facts["query"])
        assert [(number, str(value)) for number, value in rows] == [(1, "1.5"), (2, "70000.25")]


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


@pytest.mark.parametrize(
    ("early", "late", "values", "vendors", "becomes"),
    [
        (
            "DateField(null=True)",
            "DateTimeField(null=True)",
            ["'2024-05-01 00:00'", "'2024-05-01 10:00'"],
            "postgresql mariadb",
            "2024-05-01",
        ),
        ("TimeField(null=True)", "DateTimeField(null=True)", ["'2024-05-01 10:00'"], "mariadb", "10:00:00"),
        ("BooleanField(null=True)", "IntegerField(null=True)", ["0", "1", "5"], "postgresql", "True"),
        (
            "IntegerField(null=True)",
            "CharField(max_length=9, null=True)",
            ["'5'", "'05'"],
            "sqlite postgresql mariadb",
            "5",
        ),
        (
            "FloatField(null=True)",
            "DecimalField(max_digits=20, decimal_places=18, null=True)",
            ["0.5", "0.123456789012345678"],
            "postgresql mariadb",
            "",
        ),
        (
            "SlugField(max_length=3, null=True, db_index=False)",
            "CharField(max_length=9, null=True)",
            ["'abc'", "'abcd'"],
            "postgresql",
            "abc",
        ),
        (
            "CharField(max_length=3, null=True)",
            "CharField(max_length=9, null=True)",
            ["'abc'", "'abc '"],
            "postgresql",
            "abc",
        ),
    ],
    ids=["to date", "to time", "to boolean", "leading zeros", "to double", "cast to a shorter text", "spaces"],
)
def test_values_that_would_be_changed(
    database: Database, project: Project, early: str, late: str, values: list[str], vendors: str, becomes: str
) -> None:
    if database.vendor == "postgresql" and vendors == "mariadb":
        return  # there is no way forwards either
    deploy_types(database, project, early, late, *values)
    if database.vendor not in vendors:
        assert of(database, "W010") == []
        return
    (finding,) = of(database, "W010")
    assert (finding.level, finding.facts["rows"]) == (Level.LOSS, 1)
    (listed,) = execute(database, finding.facts["query"])
    assert roll_back(database, DAY_2, destroy_data=False, keep=False).status == 3
    if in_the_way(database):
        return
    assert roll_back(database, DAY_2).status == 0
    (after,) = execute(database, f"SELECT x FROM a_t WHERE id = {listed[0]}")[0]
    assert becomes in str(after)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("early", "late", "values"),
    [
        ("IntegerField(null=True)", "TextField(null=True)", ["'7'", "'abc'"]),
        ("BooleanField(null=True)", "IntegerField(null=True)", ["1", "5"]),
        ("DateField(null=True)", "DateTimeField(null=True)", ["'2024-05-01'", "'2024-05-01 10:00:00'"]),
        ("TimeField(null=True)", "DateTimeField(null=True)", ["'10:00:00'", "'2024-05-01 10:00:00'"]),
        ("UUIDField(null=True)", "TextField(null=True)", ["'a0eebc999c0b4ef8bb6d6bb9bd380a11'", "'abc'"]),
    ],
    ids=["integer", "boolean", "date", "time", "uuid"],
)
def test_what_sqlite_leaves_as_it_is(
    database: Database, project: Project, early: str, late: str, values: list[str]
) -> None:
    deploy_types(database, project, early, late, *values)
    (finding,) = of(database, "W011")
    assert finding.level is Level.LOSS
    assert "1 row holds a value that stays as it is, of another type" in finding.text
    (listed,) = execute(database, finding.facts["query"])
    value = f"SELECT quote(x) FROM a_t WHERE id = {listed[0]}"
    before = execute(database, value)
    assert roll_back(database, DAY_2, destroy_data=False).status == 3
    assert roll_back(database, DAY_2).status == 0
    assert execute(database, value) == before


@pytest.mark.databases("postgresql", "mariadb")
def test_a_key_and_what_points_to_it(database: Database, project: Project) -> None:
    early = table(name="P") + ", " + table('("p", models.ForeignKey("a.P", models.CASCADE))')
    late = 'migrations.AlterField("P", "id", models.CharField(max_length=36, primary_key=True))'
    rows = ["INSERT INTO a_p (id) VALUES ('1'), ('abc')", "INSERT INTO a_t (p_id) VALUES ('1')"]
    deployed(database, project, Case(early, late, rows, "", "", ""))
    assert [finding.id for finding in in_the_way(database)] == ["rollback.E012"]
    execute(database, "DELETE FROM a_p WHERE id = 'abc'")
    assert in_the_way(database) == []


@pytest.mark.databases("postgresql", "mariadb")
def test_a_foreign_key_that_was_a_text(database: Database, project: Project) -> None:
    early = table(name="P") + ", " + table('("p", models.ForeignKey("a.P", models.CASCADE, db_column="p"))')
    late = 'migrations.AlterField("T", "p", models.CharField(max_length=9, db_column="p"))'
    deployed(database, project, Case(early, late, ["INSERT INTO a_t (p) VALUES ('abc')"], "", "", ""))
    assert "rollback.E012" in [finding.id for finding in in_the_way(database)]


@pytest.mark.databases("postgresql")
def test_no_way_to_convert(database: Database, project: Project) -> None:
    """PostgreSQL refuses it even if the table is empty."""
    deploy_types(database, project, "JSONField(null=True)", "IntegerField(null=True)")
    (finding,) = in_the_way(database)
    assert finding.id == "rollback.E012"
    assert "which the database refuses: cannot cast type integer to jsonb." in finding.text
    execute(database, "ALTER TABLE a_t ALTER x TYPE jsonb USING NULL")
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("mariadb")
def test_no_way_to_convert_there(database: Database, project: Project) -> None:
    deploy_types(database, project, "UUIDField(null=True)", "TextField(null=True)")
    execute(database, "ALTER TABLE a_t MODIFY x int")
    project.replace(a={**project.apps["a"], "0002_late": alter("x", "IntegerField(null=True)")})
    (finding,) = in_the_way(database)
    assert "which the database refuses: Cannot cast 'int' as 'uuid'" in finding.text
    execute(database, "ALTER TABLE a_t DROP x, ADD x uuid")
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("postgresql")
def test_arrays(database: Database, project: Project) -> None:
    fields = "from django.contrib.postgres.fields import ArrayField"
    early = {
        "0001_t": migration(
            table('("x", ArrayField(models.CharField(max_length=3))), ("y", ArrayField(models.IntegerField()))'),
            before=fields,
        )
    }
    project(a=early)
    deploy(database.alias, DAY_1)
    late = alter("x", "X").replace("models.X", "ArrayField(models.CharField(max_length=9))")
    late += ", " + alter("y", "TextField()")
    project(a={**early, "0002_late": migration(late, [("a", "0001_t")], before=fields)})
    deploy(database.alias, DAY_2)
    execute(database, "INSERT INTO a_t (x, y) VALUES ('{{abc,abcd}}', '{{1}}'), ('{{abc}}', '{{x}}')")
    assert [finding.facts["columns"] for finding in in_the_way(database)] == [["y"], ["x"]]


@pytest.mark.databases("mariadb")
def test_a_server_that_is_not_strict_cuts_in_silence(database: Database, project: Project) -> None:
    fields = '("x", models.IntegerField()), ("n", models.CharField(max_length=3)), ("d", models.DateField(null=True))'
    late = ", ".join(
        [
            alter("x", "CharField(max_length=9)"),
            alter("n", "CharField(max_length=9)"),
            alter("d", "TextField(null=True)"),
        ]
    )
    rows = ["INSERT INTO a_t (x, n, d) VALUES ('abc', 'abcd', 'soon'), ('5', 'abc', '2024-05-01')"]
    deployed(database, project, Case(fields, late, rows, "", "", ""))
    execute(database, "SET sql_mode = ''")
    assert in_the_way(database) == []
    assert [finding.facts["rows"] for finding in of(database, "W010")] == [1, 1, 1]
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("postgresql", "mariadb")
def test_many_values_that_do_not_fit(database: Database, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are named one by one as long as they are few, then by a pattern, else only some of them."""
    monkeypatch.setattr(column_types, "LISTED_VALUES", 2)
    deploy_types(database, project, "IntegerField(null=True)", "TextField(null=True)", *["'a'", "'b'", "'c'", "'1'"])
    (finding,) = in_the_way(database)
    assert len(execute(database, finding.facts["query"])) == finding.facts["rows"] == 3
    execute(database, "UPDATE a_t SET x = '9999999999' WHERE x = 'b'")
    (finding,) = in_the_way(database)
    assert finding.facts["rows"] == 3
    assert len(execute(database, finding.facts["query"])) == 2
    assert "To list some of them: " in finding.hint
