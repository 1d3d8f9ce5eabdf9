"""Values that a rollback cuts or rounds are kept, and put back where the row still holds what the cut made of them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from rollback_app import workflow
from rollback_app.bookkeeping import Catalogue, table_of
from rollback_app.database import get
from rollback_app.executor import StepFailed
from rollback_app.history import Key
from rollback_app.safety import NOT_KEEPING, Keeping, Kept, KeptKind, KeptState
from tests.support.commands import call, roll_back
from tests.support.databases import Database, ask
from tests.support.history import deploy, migrate
from tests.support.projects import Project

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)


def entries(database: Database) -> list[Kept]:
    return Catalogue(get(database.alias)).entries()


def model(field: str) -> str:
    return f'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True)), ("x", models.{field})])'


def alter(field: str) -> str:
    return f'migrations.AlterField("T", "x", models.{field})'


def deployed(database: Database, project: Project, early: str, late: str, values: list[str]) -> None:
    """late: a field, or operations."""
    operations = late if late.startswith("migrations.") else alter(late)
    project(a={"0001_early": model(early), "0002_late": operations})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    deploy(database.alias, DAY_2)
    for value in values:
        ask(database, f"INSERT INTO a_t (x) VALUES ({value})")


def values(database: Database) -> list[Any]:
    return [value for (value,) in ask(database, "SELECT x FROM a_t ORDER BY id")]


KINDS = {
    # early, late, values, which of these are changed: by what databases
    "a longer text": (
        "SlugField(max_length=3, null=True, db_index=False)",
        "CharField(max_length=9, null=True)",
        ["'abc'", "'abcd'", "NULL", "'efgh'"],
        {"postgresql": 2},
    ),
    "spaces": (
        "CharField(max_length=3, null=True)",
        "CharField(max_length=9, null=True)",
        ["'abc'", "'abc  '"],
        {"postgresql": 1},
    ),
    "decimals": (
        "DecimalField(max_digits=8, decimal_places=1, null=True)",
        "DecimalField(max_digits=10, decimal_places=4, null=True)",
        ["1.5", "1.2345", "-7.77"],
        {"postgresql": 2, "mariadb": 2},
    ),
    "floating numbers": (
        "IntegerField(null=True)",
        "FloatField(null=True)",
        ["3", "2.75"],
        {"postgresql": 1, "mariadb": 1},
    ),
    "a date": (
        "DateField(null=True)",
        "DateTimeField(null=True)",
        ["'2024-05-01 00:00'", "'2024-05-01 10:30:00.123456'"],
        {"postgresql": 1, "mariadb": 1},
    ),
    "a number as text": (
        "IntegerField(null=True)",
        "CharField(max_length=9, null=True)",
        ["'5'", "'05'"],
        {"sqlite": 1, "postgresql": 1, "mariadb": 1},
    ),
    "any text": (
        "SlugField(max_length=3, null=True, db_index=False)",
        "TextField(null=True)",
        ["'abcdef'"],
        {"postgresql": 1},
    ),
    "a truth": ("BooleanField(null=True)", "IntegerField(null=True)", ["0", "1", "5"], {"postgresql": 1}),
}


@pytest.fixture(params=KINDS)
def changed(request: pytest.FixtureRequest, database: Database, project: Project) -> int:
    """A column of some type, with values. How many of them undoing its change changes here."""
    early, late, rows, vendors = KINDS[request.param]
    deployed(database, project, early, late, rows)
    return vendors.get(database.vendor, 0)


def test_there_and_back(database: Database, changed: int) -> None:
    before = values(database)
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    assert [finding.id for finding in preview.findings if finding.id == "rollback.W010"] == []
    if not changed:
        assert [thing for thing in preview.kept if thing.rows and thing.rows.number] == []
        return
    (thing,) = preview.kept
    assert (thing.kind, thing.source, thing.rows and thing.rows.number) == (KeptKind.VALUES, "a_t.x", changed)
    (result,) = workflow.roll_back([preview])
    (entry,) = result.kept
    assert (entry.kind, entry.source, entry.state) == (KeptKind.VALUES, "a_t.x", KeptState.KEPT)
    assert (entry.key, [name for name, _ in entry.columns]) == (("id",), ["id", "x", "rollback_became"])
    assert entry.left >= changed
    assert values(database) != before
    migrate(database.alias)
    assert values(database) == before
    (entry,) = entries(database)
    assert (entry.state, entry.left, entry.why) == (KeptState.PUT_BACK, 0, ())


def test_what_the_older_release_wrote_stays(database: Database, changed: int) -> None:
    if not changed:
        return
    before = values(database)
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    numbers = [row[0] for row in ask(database, f"SELECT id FROM {table_of(1)} ORDER BY id")]
    ask(database, f"UPDATE a_t SET x = NULL WHERE id = {numbers[0]}")
    migrate(database.alias)
    after = dict(ask(database, "SELECT id, x FROM a_t"))
    assert after.pop(numbers[0]) is None
    assert after == {number: value for number, value in enumerate(before, 1) if number != numbers[0]}
    (entry,) = entries(database)
    assert (entry.state, entry.left) == (KeptState.PARTLY if len(numbers) > 1 else KeptState.KEPT, 1)
    assert entry.why == ((1, "the row holds another value by now"),)
    assert call("putback", "1", database=database.alias).status == 3
    assert call("putback", "1", database=database.alias, overwrite=True, interactive=False).status == 0
    assert values(database) == before


DECIMAL = "DecimalField(max_digits={}, decimal_places={}, null=True)"
EARLY, LATE = DECIMAL.format(8, 1), DECIMAL.format(10, 4)
servers = pytest.mark.databases("postgresql", "mariadb")


@servers
@pytest.mark.parametrize(
    "late",
    [
        [alter(LATE), 'migrations.RenameField("T", "x", "y")'],
        ['migrations.RenameField("T", "x", "y")', alter(LATE).replace('"x"', '"y"')],
        [alter(LATE), 'migrations.RenameModel("T", "U")'],
        ['migrations.RenameModel("T", "U")', alter(LATE).replace('"T"', '"U"')],
        [
            'migrations.RenameModel("T", "U")',
            alter(LATE).replace('"T"', '"U"'),
            'migrations.RenameField("U", "id", "n")',
        ],
    ],
    ids=["column after", "column before", "table after", "table before", "key"],
)
def test_renamed(database: Database, project: Project, late: list[str]) -> None:
    """Kept under the names before the run, found by those after it."""
    deployed(database, project, EARLY, ", ".join(late), [])
    table = "a_u" if "RenameModel" in str(late) else "a_t"
    column = "y" if '"y"' in str(late) else "x"
    ask(database, f"INSERT INTO {table} ({column}) VALUES (1.5), (1.2345)")
    before = ask(database, f"SELECT {column} FROM {table} ORDER BY 1")
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    (entry,) = entries(database)
    assert entry.source == f"{table}.{column}"
    assert [float(row[0]) for row in ask(database, f"SELECT rollback_became FROM {table_of(1)}")] == [1.2]
    assert sorted(map(float, values(database))) == [1.2, 1.5]
    migrate(database.alias)
    assert ask(database, f"SELECT {column} FROM {table} ORDER BY 1") == before


@servers
def test_several_changes_of_one_column_are_kept_once(database: Database, project: Project) -> None:
    late = [alter(DECIMAL.format(9, 2)), alter(LATE)]
    project(a={"0001_early": model(EARLY), "0002_late": late[0], "0003_later": late[1]})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO a_t (x) VALUES (1.5), (1.25), (1.2345)")
    before = values(database)
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    (entry,) = entries(database)
    assert entry.rows == 2
    migrate(database.alias)
    assert values(database) == before


@servers
def test_values_of_a_column_that_is_dropped_later_are_kept_with_it(database: Database, project: Project) -> None:
    early = 'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True))])'
    adding = f'migrations.AddField("T", "x", models.{EARLY})'
    project(a={"0001_early": early, "0002_x": adding, "0003_late": alter(LATE)})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO a_t (x) VALUES (1.5), (1.2345)")
    before = values(database)
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    (entry,) = entries(database)
    assert (entry.kind, entry.rows) == (KeptKind.COLUMN, 2)
    migrate(database.alias)
    assert values(database) == before


# The plan


@servers
def test_the_plan_says_so(database: Database, project: Project) -> None:
    deployed(database, project, EARLY, LATE, ["1.5", "1.2345", "1.0001"])
    said = roll_back(database, DAY_2, plan=True)
    assert "Keeps the changed values of 1 column (2 rows, " in said.out
    assert "Nothing is lost." in said.out
    assert "changes column a_t.x back: 2 values that it changes are kept" in said.out
    ask(database, "DELETE FROM a_t WHERE id = 3")
    assert "changes column a_t.x back: 1 value that it changes is kept" in roll_back(database, DAY_2, plan=True).out
    data = roll_back(database, DAY_2, plan=True, format="json").json
    (kept,) = data["plans"][0]["kept"]
    assert (kept["kind"], kept["source"], kept["rows"], kept["put_back"]) == ("values", "a_t.x", 1, True)
    ask(database, "DELETE FROM a_t WHERE id = 2")
    assert "value" not in roll_back(database, DAY_2, plan=True).out.split("newest first")[1]


@servers
def test_what_comes_after_the_plan_is_kept_too(database: Database, project: Project) -> None:
    deployed(database, project, EARLY, LATE, [])
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    ask(database, "INSERT INTO a_t (x) VALUES (1.2345)")
    (result,) = workflow.roll_back(previews)
    assert [entry.rows for entry in result.kept] == [1]


def losses(database: Database, keeping: Keeping) -> list[tuple[str, str]]:
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], keeping=keeping)
    assert preview.kept == ()
    return [(finding.text, finding.hint) for finding in preview.findings if finding.id == "rollback.W010"]


@servers
def test_what_is_not_kept_is_loss(database: Database, project: Project) -> None:
    deployed(database, project, EARLY, LATE, ["1.5", "1.2345"])
    ((text, hint),) = losses(database, NOT_KEEPING)
    assert (
        text == "a.0002_late makes column a_t.x a DecimalField(8, 1) again: 1 row holds a value that will be changed."
    )
    assert hint.startswith("Fix these rows")
    ((text, hint),) = losses(database, Keeping(at_most=10))
    assert "1 row holds a value that will be changed; not kept: it takes about " in text
    assert text.endswith(" B, and a run keeps at most 10 B.")
    assert hint.startswith("Keep it with a larger --keep-at-most, or lose it with --destroy-data. Fix these rows")
    assert roll_back(database, DAY_2, destroy_data=False, keep_at_most=10).status == 3
    assert roll_back(database, DAY_2, keep_at_most=10).status == 0
    assert entries(database) == []


@servers
def test_values_of_a_key_are_loss(database: Database, project: Project) -> None:
    early = (
        'migrations.CreateModel("T", [("x", models.DecimalField(max_digits=8, decimal_places=1, primary_key=True))])'
    )
    late = 'migrations.AlterField("T", "x", models.DecimalField(max_digits=10, decimal_places=4, primary_key=True))'
    project(a={"0001_early": early, "0002_late": late})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO a_t (x) VALUES (1.2345)")
    ((text, hint),) = losses(database, Keeping())
    assert text.endswith("; not kept: it is the primary key.")
    assert "--keep-table a_t" in hint


@servers
def test_without_counting(database: Database, project: Project) -> None:
    """Keeping needs no count."""
    deployed(database, project, EARLY, LATE, ["1.5", "1.25", "1.2345"])
    said = roll_back(database, DAY_2, destroy_data=False, count=False, plan=True)
    assert "Keeps the changed values of 1 column (rows not counted, " in said.out
    assert "changes column a_t.x back: the values that it changes are kept" in said.out
    before = values(database)
    assert roll_back(database, DAY_2, destroy_data=False, count=False).status == 0
    assert [entry.rows for entry in entries(database)] == [2]
    migrate(database.alias)
    assert values(database) == before


@servers
@pytest.mark.parametrize("step_by_step", [True, False])
def test_step_by_step(database: Database, project: Project, *, step_by_step: bool) -> None:
    deployed(database, project, EARLY, LATE, ["1.5", "1.2345"])
    before = values(database)
    assert roll_back(database, DAY_2, destroy_data=False, step_by_step=step_by_step).status == 0
    (entry,) = entries(database)
    assert entry.state is KeptState.KEPT
    migrate(database.alias)
    assert values(database) == before


@pytest.mark.databases("postgresql")
def test_a_condition_that_fails_for_a_value_that_has_come_since(database: Database, project: Project) -> None:
    """The run says what is wrong, as it does without keeping."""
    deployed(database, project, "IntegerField(null=True)", "TextField(null=True)", ["'5'"])
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    ask(database, "INSERT INTO a_t (x) VALUES ('05'), ('abc')")
    with pytest.raises(StepFailed, match=r"(?s)at a.0002_late.*invalid input syntax for type integer"):
        workflow.roll_back(previews)
    assert values(database) == ["5", "05", "abc"]
    assert entries(database) == []
    ask(database, "DELETE FROM a_t WHERE x = '05'")
    with pytest.raises(StepFailed, match=r"(?s)at a.0002_late.*invalid input syntax for type integer"):
        workflow.roll_back(previews)


@pytest.mark.databases("postgresql")
def test_where_there_is_no_way_back_nobody_can_tell_whether_a_value_was_changed_since(
    database: Database, project: Project
) -> None:
    """So that it is put back by hand only."""
    project(a={"0001_early": model("TimeField(null=True)"), "0002_late": alter("DateTimeField(null=True)")})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    cast = "CREATE CAST (time AS timestamptz) WITH FUNCTION at(time)"
    ask(
        database,
        f"CREATE FUNCTION at(time) RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2024-05-01'::date + $1 $$; {cast}",
    )
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO a_t (x) VALUES ('2024-05-02 10:00')")
    before = values(database)
    ask(database, "DROP CAST (time AS timestamptz)")
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    ask(database, cast)
    migrate(database.alias)
    (entry,) = entries(database)
    assert (entry.left, entry.why) == (1, ((1, "the row holds another value by now"),))
    assert call("putback", "1", database=database.alias, overwrite=True, interactive=False).status == 0
    assert values(database) == before


@pytest.mark.databases("postgresql")
def test_no_right_to_make_tables(database: Database, project: Project) -> None:
    deployed(database, project, EARLY, LATE, ["1.2345"])
    settings = database.connection.settings_dict
    owner = {name: settings[name] for name in ("USER", "PASSWORD")}
    ask(
        database,
        "CREATE ROLE few_values LOGIN PASSWORD 'few'; GRANT USAGE ON SCHEMA public TO few_values;"
        " ALTER TABLE django_migrations OWNER TO few_values; ALTER TABLE a_t OWNER TO few_values",
    )
    database.connection.close()
    settings.update(USER="few_values", PASSWORD="few")
    try:
        ((text, hint),) = losses(database, Keeping())
    finally:
        database.connection.close()
        settings.update(owner)
        ask(
            database, f"REASSIGN OWNED BY few_values TO {owner['USER']}; DROP OWNED BY few_values; DROP ROLE few_values"
        )
    assert "; not kept: few_values may not make tables in schema public." in text
    assert hint.startswith("Keep it by granting this user the right to create tables, or lose it with --destroy-data.")
