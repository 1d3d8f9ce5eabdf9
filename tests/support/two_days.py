"""A small history of two days, the second of which has a bit of each: a column, code that writes, and a table."""

from __future__ import annotations

from datetime import datetime, timezone

from tests.support.databases import Database, ask
from tests.support.history import deploy
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.CharField(max_length=9))])'
U = T.replace('"T"', '"U"')
CODE = """
def backwards(apps, schema_editor):
    assert len(apps.get_models()) > 2
    for name in ("T", "U"):
        rows = apps.get_model("a", name).objects.using(schema_editor.connection.alias)
        rows.bulk_create([rows.model(n="x"), rows.model(n="it's")])
        rows.filter(n="x").update(n="y")
"""


def deploy_twice(database: Database, project: Project, *rows: str) -> Database:
    """Tables T and U; then the column x of T, code, and the table V. rows: statements that fill them."""
    first = {"0001_t": f"{T}, {U}"}
    project(a=first, with_contrib=True)
    deploy(database.alias, DAY_1)
    code = migration("migrations.RunPython(migrations.RunPython.noop, backwards)", [("a", "0002_x")], before=CODE)
    late = {"0002_x": 'migrations.AddField("T", "x", models.IntegerField(null=True))', "0003_code": code}
    project(a={**first, **late, "0004_v": T.replace('"T"', '"V"')}, with_contrib=True)
    deploy(database.alias, DAY_2)
    ask(database, *rows)
    return database
