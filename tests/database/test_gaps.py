"""A history with gaps: the advice is one that Django accepts, and helps."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from django.core.management import call_command
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.recorder import MigrationRecorder

from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate
from tests.support.projects import Project

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True))])'
Y = 'migrations.AddField("T", "y", models.IntegerField(null=True))'


@pytest.mark.parametrize("label", ["old", ""], ids=["recorded under another label", "not recorded"])
def test_the_advice_helps(database: Database, project: Project, label: str) -> None:
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_y": Y})
    deploy(database.alias, DAY_2)
    records = MigrationRecorder(database.connection).migration_qs.filter(app="a", name="0001_t")
    if label:
        records.update(app=label)
    else:
        records.delete()
        MigrationRecorder(database.connection).migration_qs.create(app="c", name="0001_other", applied=DAY_1)
    with pytest.raises(InconsistentMigrationHistory):  # which is why `migrate --fake` is no advice
        call_command("migrate", "a", "0001", fake=True, database=database.alias, verbosity=0)

    said = roll_back(database, DAY_2, format="json", plan=True)
    assert said.status == 3
    (finding,) = [each for each in said.json["plans"][0]["findings"] if each["id"] == "rollback.E007"]
    assert "--fake" not in finding["hint"]
    (statement,) = re.findall(r"(?:INSERT|UPDATE) .*?;", finding["hint"])
    with database.connection.cursor() as cursor:
        cursor.execute(statement)

    assert roll_back(database, DAY_2).status == 0
    migrate(database.alias)
    assert {("a", "0001_t"), ("a", "0002_y")} <= set(keys(database.alias))
