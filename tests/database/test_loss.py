"""Dropping a column loses what was set in it, and nothing that adding it gives anyway."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from rollback_app import database as databases
from rollback_app import workflow
from rollback_app.safety import NOT_KEEPING
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
BEFORE = """
import datetime, decimal, itertools, uuid
from functools import partial
from django.db import connection
from django.db.models import functions

class Odd:
    def __call__(self):
        raise ValueError("no")

class Seven(models.Func):
    template = "7"
    output_field = models.IntegerField()

def settings():
    return {"theme": "dark", "size": 3}

def asks():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 5")
        return cursor.fetchone()[0]

changes = itertools.count().__next__
"""
EARLY = """
migrations.CreateModel("P", [("id", models.AutoField(primary_key=True)), ("code", models.CharField(max_length=9, unique=True))]),
migrations.CreateModel("K", [("id", models.UUIDField(primary_key=True))]),
migrations.CreateModel("C", [("p", models.OneToOneField("a.P", models.CASCADE, primary_key=True))]),
migrations.CreateModel("T", [("id", models.AutoField(primary_key=True)), ("x", models.IntegerField(default=1))]),
migrations.RunSQL("INSERT INTO a_p (id, code) VALUES (1, 'one'), (2, 'two')", ""),
migrations.RunSQL("INSERT INTO a_c (p_id) VALUES (1), (2)", ""),
migrations.RunSQL("INSERT INTO a_k (id) VALUES ('00000000000000000000000000000001'), ('00000000000000000000000000000002')", ""),
migrations.RunSQL("INSERT INTO a_t (x) VALUES (1), (2)", ""),
"""
KEY = "uuid.UUID('00000000-0000-0000-0000-000000000001')"

# The field that is added -> what one of the two rows is then set to, as another value. None: it cannot be set.
GIVEN: dict[str, str | None] = {
    "IntegerField(null=True)": "7",
    "IntegerField(default=7)": "8",
    "IntegerField(db_default=7)": "8",
    "IntegerField(default=7, db_default=6)": "8",
    "IntegerField(db_default=models.Value(7))": "8",
    "IntegerField(db_default=None, null=True)": "8",
    "CharField(max_length=9, db_default=functions.Lower(models.Value('A')))": "'A'",
    "CharField(max_length=9, default='a%b')": "'A%b'",
    "CharField(max_length=9, default='a', db_collation='{nocase}')": "'A'",
    "CharField(max_length=9, default=str)": "'a'",
    "TextField(blank=True)": "' '",
    "BooleanField(default=False)": "{true}",
    "DecimalField(max_digits=6, decimal_places=2, default=decimal.Decimal('1.5'))": "1.51",
    "FloatField(default=float)": "0.5",
    "DateField(default=datetime.date(2024, 1, 1))": "'2024-01-02'",
    "DateTimeField(default=datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc))": "'2024-01-02 00:00:00'",
    "DurationField(default=datetime.timedelta(seconds=1))": "{duration}",
    "BinaryField(default=b'a')": "{binary}",
    f"UUIDField(default={KEY})": "'00000000000000000000000000000002'",
    "JSONField(default=list)": "'[1]'",
    "JSONField(default=dict)": """'{{"a": 1}}'""",
    "JSONField(default=settings)": "'[1]'",
    "JSONField(default=partial(dict, a=1))": "'[1]'",
    "JSONField(null=True)": "'[1]'",
    "JSONField(db_default=models.Value([], models.JSONField()))": "'[1]'",
    "ForeignKey('a.P', models.CASCADE, default=1)": "2",
    "ForeignKey('a.P', models.CASCADE, null=True, default=None)": "2",
    "ForeignKey('a.P', models.CASCADE, db_default=1)": "2",
    "ForeignKey('a.P', models.CASCADE, null=True)": "2",
    "ForeignKey('a.P', models.CASCADE, to_field='code', default='one')": "'two'",
    "ForeignKey('a.C', models.CASCADE, default=1)": "2",
    f"ForeignKey('a.K', models.CASCADE, default={KEY})": "'00000000000000000000000000000002'",
    "OneToOneField('a.P', models.CASCADE, null=True, default=None)": "2",
    "GeneratedField(expression=models.F('x') + 1, output_field=models.IntegerField(), db_persist=True)": None,
}
WORDS = {
    "sqlite": {"true": "1", "duration": "2000000", "binary": "x'62'", "nocase": "nocase"},
    "postgresql": {"true": "true", "duration": "'2 seconds'", "binary": "'b'::bytea", "nocase": "C"},
    "mariadb": {"true": "1", "duration": "2000000", "binary": "'b'", "nocase": "utf8mb4_general_ci"},
}


def added(database: Database, project: Project, field: str, then: str = "") -> None:
    words = WORDS[database.vendor]
    project(a={"0001_t": migration(EARLY)})
    deploy(database.alias, DAY_1)
    late = f'migrations.AddField("T", "n", models.{field.replace("{nocase}", words["nocase"])}), {then}'
    project(a={"0001_t": migration(EARLY), "0002_late": migration(late, [("a", "0001_t")], before=BEFORE)})
    deploy(database.alias, DAY_2)


def losses(database: Database, *, count: bool = True) -> list[str]:
    """What would be lost if nothing were kept. What is kept is the same."""
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], count=count, keeping=NOT_KEEPING)
    (keeping,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], count=count)
    found = [finding for finding in preview.findings if finding.id == "rollback.W001"]
    kept = {each.words for each in keeping.kept if not (each.rows and each.rows.lossless)}
    assert {finding.facts["effect"] for finding in found} == kept
    assert not [finding for finding in keeping.findings if finding.id == "rollback.W001"]
    return [finding.text for finding in found]


@pytest.mark.parametrize("field", GIVEN)
def test_what_adding_a_column_gives_is_not_lost(database: Database, project: Project, field: str) -> None:
    added(database, project, field)
    assert losses(database) == []
    value = GIVEN[field]
    if value is None:
        assert losses(database, count=False) == []
    else:
        column = "n_id" if "models.CASCADE" in field else "n"
        with database.connection.cursor() as cursor:
            cursor.execute(f"UPDATE a_t SET {column} = {value.format(**WORDS[database.vendor])} WHERE x = 1")
        assert losses(database) == [f"drops column a_t.{column}: 1 row has a value."]
    assert roll_back(database, DAY_2).status == 0


CHANGING = [
    "UUIDField(default=uuid.uuid4)",
    "IntegerField(default=changes)",
    "DateTimeField(auto_now_add=True)",
    "DateTimeField(db_default=functions.Now())",
    "IntegerField(default=asks)",
    "IntegerField(db_default=Seven())",
]


@pytest.mark.parametrize("field", CHANGING)
def test_what_is_not_always_the_same_is_lost(database: Database, project: Project, field: str) -> None:
    added(database, project, field)
    assert losses(database) == ["drops column a_t.n: 2 rows have a value."]


def test_a_default_that_cannot_be_worked_out_is_no_traceback(database: Database, project: Project) -> None:
    """It is called when the column is added, and need not be callable again."""
    late = 'migrations.AddField("T", "n", models.IntegerField(default={}))'
    project(a={"0001_t": migration(EARLY)})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": migration(EARLY), "0002_late": migration(late.format(7), [("a", "0001_t")])})
    deploy(database.alias, DAY_2)
    project(
        a={"0001_t": migration(EARLY), "0002_late": migration(late.format("Odd()"), [("a", "0001_t")], before=BEFORE)}
    )
    assert losses(database) == ["drops column a_t.n: 2 rows have a value."]


def test_a_column_that_has_another_type_by_now(database: Database, project: Project) -> None:
    added(
        database, project, "IntegerField(default=0)", 'migrations.AlterField("T", "n", models.CharField(max_length=9))'
    )
    assert losses(database) == []


def test_empty_json_is_nothing(database: Database, project: Project) -> None:
    added(database, project, "JSONField(null=True)")
    with database.connection.cursor() as cursor:
        cursor.execute("UPDATE a_t SET n = '{}' WHERE x = 1")
        cursor.execute("UPDATE a_t SET n = '[]' WHERE x = 2")
    assert losses(database) == []


def test_the_order_of_related_objects(database: Database, project: Project) -> None:
    of = 'migrations.AddField("T", "p", models.ForeignKey("a.P", models.CASCADE, null=True))'
    project(a={"0001_t": migration(f"{EARLY}{of}")})
    deploy(database.alias, DAY_1)
    ordered = 'migrations.AlterOrderWithRespectTo("T", "p")'
    project(a={"0001_t": migration(f"{EARLY}{of}"), "0002_late": migration(ordered, [("a", "0001_t")])})
    deploy(database.alias, DAY_2)
    assert losses(database) == []
    with database.connection.cursor() as cursor:
        cursor.execute("UPDATE a_t SET _order = 1 WHERE x = 1")
    assert losses(database) == ["drops column a_t._order: 1 row has a value."]


@pytest.mark.databases("postgresql")
def test_arrays_and_ranges(database: Database, project: Project) -> None:
    for field, other in {
        "ArrayField(models.SmallIntegerField(), default=list)": "'{1}'",
        "IntegerRangeField(default=(1, 2))": "'[5,6)'",
    }.items():
        before = "from django.contrib.postgres.fields import ArrayField, IntegerRangeField"
        project(a={"0001_t": migration(EARLY)})
        deploy(database.alias, DAY_1)
        late = f'migrations.AddField("T", "n", {field})'
        project(a={"0001_t": migration(EARLY), "0002_late": migration(late, [("a", "0001_t")], before=before)})
        deploy(database.alias, DAY_2)
        assert losses(database) == []
        with database.connection.cursor() as cursor:
            cursor.execute(f"UPDATE a_t SET n = {other} WHERE x = 1")
        assert losses(database) == ["drops column a_t.n: 1 row has a value."]
        assert roll_back(database, DAY_2).status == 0


def test_a_field_that_is_not_known_gives_nothing(database: Database, project: Project) -> None:
    """Of a foreign key to a model that the migrations do not have."""
    project(a={"0001_t": migration(EARLY)})
    deploy(database.alias, DAY_1)
    found = databases.get(database.alias).count("a_t", {"x": None})
    assert found is not None
    assert found[1]["x"].number == 2
