"""On generated histories: what the verdict calls yes works with the older models, and what it calls no fails."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import given

from rollback_app.compatibility import Answer, Does, TableVerdict
from tests.support.databases import Database, empty
from tests.support.graphs import Written, files, projects
from tests.support.history import deploy
from tests.support.projects import Project, migration
from tests.support.verdicts import add_rows, newer_models, older_models, preview_of, tried, untrue
from tests.test_roundtrip import generated

DAY = datetime(2024, 5, 1, 8, tzinfo=timezone.utc)


def wrong(deployments: list[list[Written]], database: Database, project: Project, seen: Counter[Any]) -> list[str]:
    empty(database)
    code: list[Written] = []
    for number, new in enumerate(deployments):
        code += new
        project(**files(code))
        deploy(database.alias, DAY + timedelta(days=number))
    preview = preview_of(database, (DAY + timedelta(days=1)).isoformat())
    add_rows(database, _there(database, newer_models(preview)))
    assert preview.verdict is not None
    assert not preview.verdict.unclear
    tables = {table.table: table for table in preview.verdict.tables}
    found = []
    for model in older_models(preview):
        name = model._meta.db_table
        table = tables.get(name, TableVerdict(name))  # what is not looked at works
        found += untrue(table, tried(database, model))
        seen.update((does, table.answer(does)) for does in Does)
    return found


def test_of_tables_that_point_to_each_other(database: Database, project: Project) -> None:
    def points_to(model: str, other: str) -> str:
        return f'migrations.AddField("{model}", "other", models.ForeignKey("a.{other}", models.CASCADE, null=True))'

    key = '[("id", models.BigAutoField(primary_key=True))]'
    tables = f'migrations.CreateModel("M1", {key}), migrations.CreateModel("M2", {key}), {points_to("M1", "M2")}'
    older = Written(("a", "0001_m"), (), migration(tables, []))
    newer = Written(("a", "0002_m"), (older.key,), migration(points_to("M2", "M1"), [older.key]))
    assert wrong([[older], [newer]], database, project, Counter()) == []


def _there(database: Database, models: list[Any]) -> list[Any]:
    return [model for model in models if model._meta.app_label in "abc"]


def test_what_it_says_is_true(database: Database, project: Project) -> None:
    seen: Counter[tuple[Does, Answer]] = Counter()

    @generated(8 if database.vendor == "mariadb" else 25)
    @given(deployments=projects())
    def check(deployments: list[list[Written]]) -> None:
        assert wrong(deployments, database, project, seen) == []

    check()
    # Else it would say little.
    assert {(Does.READS, Answer.YES), (Does.READS, Answer.NO), (Does.INSERTS, Answer.NO)} <= seen.keys()
