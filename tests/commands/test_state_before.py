"""What there was before a run, as the journal has noted it: the records, and the tables that it was about to change."""

from __future__ import annotations

import base64
import zlib
from datetime import datetime, timezone
from pathlib import Path

import pytest

from rollback_app import workflow
from rollback_app.history import State
from tests.support.commands import call, roll_back
from tests.support.databases import Database, ask
from tests.support.history import deploy, migrate, rows
from tests.support.projects import Project, migration
from tests.support.schema import difference, snapshot

UNKNOWN = "What was there before it was not noted, or cannot be read.\n"
DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, 0, 123456, tzinfo=timezone.utc)
T = """
    migrations.CreateModel("T", [
        ("id", models.BigAutoField(primary_key=True)),
        ("code", models.CharField(max_length=20, unique=True)),
        ("number", models.IntegerField(db_index=True, default=1)),
    ], options={"constraints": [models.CheckConstraint(name="positive", %s=models.Q(number__gt=0))]})
"""
U = """
    migrations.CreateModel("U", [
        ("id", models.BigAutoField(primary_key=True)),
        ("t", models.ForeignKey("a.T", models.CASCADE)),
        ("many", models.ManyToManyField("a.T", related_name="+")),
    ])
"""
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
TRIGGERS = {
    "sqlite": "CREATE TRIGGER noted AFTER INSERT ON a_t BEGIN DELETE FROM a_t WHERE number = 9; END",
    "postgresql": "CREATE TRIGGER noted BEFORE UPDATE ON a_t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "mariadb": "CREATE TRIGGER noted BEFORE INSERT ON a_t FOR EACH ROW SET NEW.number = 1",
}


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    import django

    check = "condition" if django.VERSION >= (5, 1) else "check"
    project(a={"0001_t": T % check, "0002_u": U, "0003_x": X})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    return database


def state(shop: Database, number: int = 1) -> State:
    found = workflow.rollback(number, shop.alias)[2]
    assert found
    return found


def test_the_records_and_tables_are_exactly_those_that_were_there(shop: Database) -> None:
    """The SQL makes the same tables again."""
    records, tables = rows(shop.alias), snapshot(shop.connection)
    assert roll_back(shop, "all:a").status == 0
    found = state(shop)
    assert [(each.id, *each.key, each.applied) for each in found.records] == records
    assert sorted(found.tables) == ["a_t", "a_u", "a_u_many"]
    assert not found.why_not
    assert snapshot(shop.connection) != tables
    for sql in found.tables.values():
        ask(shop, *filter(str.strip, sql.split(";\n")))
    assert difference(tables, snapshot(shop.connection)) == []


def test_only_what_the_run_changes(shop: Database) -> None:
    ask(shop, TRIGGERS[shop.vendor])
    assert roll_back(shop, "migration:a.0002_u", split_deployment=True).status == 0
    assert list(state(shop).tables) == ["a_t"]
    assert "noted" in state(shop).tables["a_t"]


@pytest.mark.databases("postgresql")
def test_tables_with_partitions(database: Database, project: Project) -> None:
    parts = "CREATE TABLE parts (n integer) PARTITION BY RANGE (n); CREATE TABLE part PARTITION OF parts DEFAULT"
    project(a={"0001": migration(f'migrations.RunSQL("{parts}", "DROP TABLE part; DROP TABLE parts")')})
    migrate(database.alias)
    assert roll_back(database, "all:a").status == 0
    found = state(database).tables
    assert found["parts"].startswith("CREATE TABLE public.parts (n integer) PARTITION BY RANGE (n);\n")
    assert found["part"].startswith("CREATE TABLE public.part PARTITION OF public.parts DEFAULT;\n")


def test_shown_to_a_person_and_to_programs(shop: Database, tmp_path: Path) -> None:
    before = rows(shop.alias)
    assert roll_back(shop, "migration:a.0002_u", split_deployment=True).status == 0
    said = call("showrollbacks", "1", database=shop.alias)
    assert said.status == 0
    here = "" if shop.alias == "default" else f" --database {shop.alias}"
    lines = said.out.splitlines()
    start = lines.index("Before it there were 3 records in django_migrations")
    assert lines[start + 1 : start + 7] == [
        "  1  a.0001_t, applied 2024-05-01 08:00:00+00:00",
        "  2  a.0002_u, applied 2024-05-02 08:00:00.123456+00:00",
        "  3  a.0003_x, applied 2024-05-02 08:00:01.123456+00:00",
        "As a file, for manifest: and other tools:",
        f"  python manage.py showrollbacks 1{here} --format csv > before-1.csv",
        "",
    ]
    assert lines[start + 7] == "The tables that it was about to change, as they were"
    assert lines[start + 8].startswith("  CREATE TABLE ")

    (data,) = call("showrollbacks", "1", database=shop.alias, format="json").json["rollbacks"]
    assert data["number"] == 1
    assert data["state"]["records"][1] == {
        "id": 2,
        "migration": "a.0002_u",
        "applied": "2024-05-02T08:00:00.123456+00:00",
    }
    assert data["state"]["tables"] == state(shop).tables

    text = call("showrollbacks", "1", database=shop.alias, format="csv").out
    assert text.splitlines()[:2] == ["id,app,name,applied", "1,a,0001_t,2024-05-01 08:00:00+00:00"]
    (tmp_path / "before.csv").write_text(text)
    migrate(shop.alias)
    said = roll_back(shop, f"manifest:{tmp_path / 'before.csv'}", plan=True)
    assert "Nothing to do" in said.out
    assert [row.key for row in rows(shop.alias)] == [row.key for row in before]


def test_a_run_that_changes_no_table(shop: Database, project: Project) -> None:
    project.replace(b={"0001_nothing": migration("migrations.RunPython(migrations.RunPython.noop, lambda *_: None)")})
    migrate(shop.alias)
    assert roll_back(shop, "all:b").status == 0
    assert "It was about to change no table." in call("showrollbacks", "1", database=shop.alias).out


def test_what_was_not_noted(shop: Database, caplog: pytest.LogCaptureFixture) -> None:
    """By an older version; or somebody has damaged it."""
    assert roll_back(shop, DAY_2).status == 0
    ask(shop, "UPDATE rollback_app_run SET state = ''")
    said = call("showrollbacks", "1", database=shop.alias)
    assert said.status == 0
    assert said.out.endswith(UNKNOWN)
    assert call("showrollbacks", "1", database=shop.alias, format="json").json["rollbacks"][0]["state"] is None
    csv = call("showrollbacks", "1", database=shop.alias, format="csv")
    assert (csv.status, csv.out) == (2, "")
    assert csv.error == (
        "What was there before rollback 1 was not noted, or cannot be read.\n"
        "`showrollbacks 1` has the migrations that it undid."
    )
    for damaged in ("AAAA", "?", base64.b64encode(zlib.compress(b'{"records": [[1]]}')).decode()):
        ask(shop, f"UPDATE rollback_app_run SET state = '{damaged}'")
        assert call("showrollbacks", "1", database=shop.alias).out.endswith(UNKNOWN)
    assert caplog.messages == []


@pytest.mark.databases("sqlite")
def test_wrong_usage(shop: Database) -> None:
    said = call("showrollbacks", "7", database=shop.alias)
    assert said.status == 2
    assert said.error.startswith(f"No rollback 7 was noted in {shop.alias}: SQLite, ")
    assert said.error.endswith("`showrollbacks` lists them.")
    said = call("showrollbacks", database=shop.alias, format="csv")
    assert said.status == 2
    assert said.error == (
        "--format csv is about one rollback, and none is named.\n"
        "For example: python manage.py showrollbacks 1 --format csv"
    )


@pytest.mark.databases("postgresql")
def test_tables_that_cannot_be_read(shop: Database, project: Project) -> None:
    """The run is noted all the same, and goes on."""
    index = 'migrations.AddIndex("T", models.Index(fields=["number"], name="by_number"))'
    project.replace(b={"0001_index": migration("", [("a", "0003_x")])}, a={**project.apps["a"], "0004_index": index})
    migrate(shop.alias)
    settings = shop.connection.settings_dict
    owner = {name: settings[name] for name in ("USER", "PASSWORD")}
    function = "FUNCTION pg_get_statisticsobjdef(oid)"
    ask(shop, f"CREATE ROLE clerk LOGIN; REVOKE EXECUTE ON {function} FROM public; REASSIGN OWNED BY clerk TO postgres")
    ask(shop, "GRANT ALL ON SCHEMA public TO clerk; GRANT ALL ON django_migrations TO clerk")
    ask(shop, "ALTER TABLE django_migrations OWNER TO clerk; ALTER TABLE a_t OWNER TO clerk")
    shop.connection.close()
    settings.update(USER="clerk", PASSWORD="")
    try:
        assert roll_back(shop, "migration:a.0003_x", exclude=["b"], split_deployment=True).status == 0
        found = state(shop)
        said = call("showrollbacks", "1", database=shop.alias).out
    finally:
        shop.connection.close()
        settings.update(owner)
        ask(shop, f"GRANT EXECUTE ON {function} TO public; REASSIGN OWNED BY clerk TO postgres")
        ask(shop, "DROP OWNED BY clerk; DROP ROLE clerk")
    assert len(found.records) == 5
    assert found.tables == {}
    assert "permission denied for function pg_get_statisticsobjdef" in found.why_not
    assert "The tables that it was about to change could not be read: " in said
