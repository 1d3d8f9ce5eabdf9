"""What the plan says of the verdict, and of which tables."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from rollback_app import workflow
from rollback_app.database import get
from rollback_app.workflow.verdict import verdict_of as verdict_of_plan
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, migrate
from tests.support.projects import Project, migration
from tests.support.verdicts import preview_of, verdict_of

ID = '("id", models.BigAutoField(primary_key=True))'
DAYS = [datetime(2024, 5, day, 8, tzinfo=timezone.utc) for day in (1, 2)]
on_sqlite = pytest.mark.databases("sqlite")


def tables(*names: str) -> str:
    return ", ".join(f'migrations.CreateModel("{name}", [{ID}])' for name in names)


def column(name: str) -> str:
    return f'migrations.AddField("{name}", "x", models.IntegerField(default=1))'


def deployed(database: Database, project: Project, older: str, newer: str) -> str:
    project(a={"0001_older": older})
    deploy(database.alias, DAYS[0])
    project.replace(a={"0001_older": older, "0002_newer": newer})
    deploy(database.alias, DAYS[1])
    return DAYS[1].isoformat()


def said(database: Database, moment: str, **options: Any) -> list[str]:
    """The lines of the plan between the steps and what comes behind them."""
    out = roll_back(database, moment, plan=True, **options).out
    assert "you may not need this" not in out
    part = (
        out[out.index("Without a rollback") :] if "Without a rollback" in out else out[out.index("Rows are another") :]
    )
    return part.split("\n\n")[0].splitlines()


@on_sqlite
def test_three_lines_at_the_most(database: Database, project: Project) -> None:
    names = [f"TableWithAnUncommonlyLongName{number}" for number in range(5)]
    code = "migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop)"
    moment = deployed(database, project, tables(*names), ", ".join([*map(column, names), code, code]))
    lines = said(database, moment)
    assert lines == [
        "Without a rollback, the older release would fail on this database:",
        "  a_tablewithanuncommonlylongname0: inserts fail; and 4 more tables",
        "Rows are another matter: look at a.0002_newer. Reasons: -v 2.",
    ]
    in_full = said(database, moment, verbosity=2)
    assert sum("must have a value" in line for line in in_full) == 5
    assert in_full[-1] == "Rows are another matter: look at a.0002_newer."


@on_sqlite
def test_with_care(database: Database, project: Project) -> None:
    index = 'migrations.RunSQL("CREATE UNIQUE INDEX one ON a_t (id)", migrations.RunSQL.noop)'
    check = 'migrations.RunSQL("CREATE TRIGGER g BEFORE DELETE ON a_t BEGIN SELECT 1; END", migrations.RunSQL.noop)'
    moment = deployed(database, project, tables("T"), f"{index}, {check}")
    assert said(database, moment)[:2] == [
        "Without a rollback, the older release would run with care on this database:",
        "  a_t: deletes may fail",
    ]


@on_sqlite
def test_it_runs_and_rows_are_another_matter(database: Database, project: Project) -> None:
    code = "migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop)"
    moment = deployed(database, project, tables("T"), code)
    out = roll_back(database, moment, plan=True).out
    assert "The older release would run on the database as it is; you may not need this rollback." in out
    assert "Rows are another matter: look at a.0002_newer." in out
    verdict = roll_back(database, moment, plan=True, format="json").json["plans"][0]["verdict"]
    assert (verdict["verdict"], verdict["unknown"], verdict["look_at"]) == ("runs", ["a.0002_newer"], ["a.0002_newer"])


@on_sqlite
def test_only_what_the_plan_touches_is_looked_at(database: Database, project: Project) -> None:
    older = tables("Changed", "Pointed", "Named", "Other")
    pointing = f'migrations.CreateModel("New", [{ID}, ("p", models.ForeignKey("a.Pointed", models.CASCADE))])'
    sql = 'migrations.RunSQL("CREATE INDEX i ON a_named (id)", "DROP INDEX i")'
    moment = deployed(database, project, older, f"{column('Changed')}, {pointing}, {sql}")
    assert [table.table for table in verdict_of(database, moment).tables] == ["a_changed", "a_named", "a_pointed"]


@on_sqlite
def test_records_without_files_may_have_changed_everything(database: Database, project: Project) -> None:
    moment = deployed(database, project, tables("T", "Other"), column("T"))
    project.replace(a={"0001_older": tables("T", "Other")})
    code = 'migrations.RunSQL("SELECT 1", "SELECT 1")'
    project.replace(a={"0001_older": tables("T", "Other")}, b={"0001_b": code})
    migrate(database.alias)
    verdict = verdict_of(database, moment)
    assert [table.table for table in verdict.tables] == ["a_other", "a_t"]
    assert verdict.outcome.value == "fails"


@on_sqlite
def test_a_plan_without_states_says_so(database: Database, project: Project) -> None:
    moment = deployed(database, project, tables("T"), column("T"))
    out = roll_back(database, DAYS[0].isoformat(), plan=True, exclude=["a.0002_newer"]).out
    assert "Whether the older release would run without it is not known: KeyError" in out
    assert moment


@on_sqlite
def test_nothing_to_undo_needs_no_verdict(database: Database, project: Project) -> None:
    deployed(database, project, tables("T"), column("T"))
    assert preview_of(database, "2024-06-01").verdict is None


class Elsewhere:
    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        if model_name == "broken":
            raise RuntimeError("no idea")
        return False if model_name == "away" else None


LEFT_OUT = f"""
    migrations.CreateModel("Away", [{ID}]),
    migrations.CreateModel("Proxied", [], options={{"proxy": True}}, bases=("a.T",)),
    migrations.CreateModel("Swapped", [{ID}], options={{"swappable": "A_MODEL"}}),
    migrations.CreateModel("ElsewhereOnly", [{ID}], options={{"required_db_vendor": "oracle"}}),
"""


@on_sqlite
def test_models_that_have_no_table_here_are_left_out(database: Database, project: Project, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Elsewhere()]
    settings.A_MODEL = "a.T"
    options = ", ".join(
        f'migrations.AlterModelOptions("{name}", {{"verbose_name": "x"}})'
        for name in ("Away", "Proxied", "Swapped", "ElsewhereOnly", "T")
    )
    moment = deployed(database, project, f"{tables('T')}, {LEFT_OUT}", options)
    assert [table.table for table in verdict_of(database, moment).tables] == ["a_t"]


@on_sqlite
def test_a_router_that_fails_makes_a_maybe(database: Database, project: Project, settings: Any) -> None:
    moment = deployed(database, project, tables("T", "Broken"), f"{column('T')}, {column('Broken')}")
    (preview,) = workflow.preview(moment, using=[database.alias])
    settings.DATABASE_ROUTERS = [Elsewhere()]
    verdict = verdict_of_plan(preview.plan, get(database.alias))
    assert verdict is not None
    unclear = {table.table: table.because for table in verdict.tables if any("no idea" in why for why in table.because)}
    assert len(unclear) == 1
    assert all(
        why.startswith("The model ") and "RuntimeError: no idea" in why for whys in unclear.values() for why in whys
    )


COMPOSITE = """migrations.CreateModel("Pair", [
    ("pk", models.CompositePrimaryKey("x", "y", blank=True, editable=False, primary_key=True, serialize=False)),
    ("x", models.IntegerField()), ("y", models.IntegerField())])"""


@on_sqlite
def test_a_key_of_two_columns(database: Database, project: Project) -> None:
    newer = 'migrations.AddField("Pair", "z", models.IntegerField(null=True))'
    moment = deployed(database, project, COMPOSITE, newer)
    (table,) = verdict_of(database, moment).tables
    assert table.because == ()


@on_sqlite
def test_a_child_of_a_table_that_fails(database: Database, project: Project) -> None:
    child = """migrations.CreateModel("Child", [("t_ptr", models.OneToOneField("a.T", models.CASCADE, parent_link=True,
        auto_created=True, primary_key=True, serialize=False)), ("y", models.IntegerField(null=True))], bases=("a.T",))"""
    moment = deployed(
        database, project, f"{tables('T')}, {child}", f'{column("T")}, migrations.RemoveField("Child", "y")'
    )
    found = {table.table: table for table in verdict_of(database, moment).tables}
    assert found["a_child"].because == ("There is no column y.", "Its rows have a part in a_t.")


@on_sqlite
def test_unknown_files(database: Database, project: Project) -> None:
    """A migration of another app that is applied here says nothing about this one's."""
    moment = deployed(database, project, tables("T"), migration(column("T"), [("a", "0001_older")]))
    assert verdict_of(database, moment).unknown == ("a.0002_newer",)


def test_what_points_there_and_is_not_touched_is_known_to_the_older_code(database: Database, project: Project) -> None:
    """That deletes such rows itself, or refuses."""
    pointing = f"""migrations.CreateModel("Line", [{ID}, ("t", models.ForeignKey("a.T", models.CASCADE))]),
        migrations.CreateModel("Tag", [{ID}, ("ts", models.ManyToManyField("a.T"))])"""
    newer = f"""{column("T").replace("default=1", "null=True")},
        migrations.CreateModel("Newer", [{ID}, ("t", models.ForeignKey("a.T", models.CASCADE))])"""
    moment = deployed(database, project, f"{tables('T')}, {pointing}", newer)
    found = {table.table: table for table in verdict_of(database, moment).tables}
    assert [why.partition(" (")[0] for why in found["a_t"].because] == ["A row to which a_newer"]
