"""What a run leaves different from what the migrations at the target say is found; and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db.utils import OperationalError

from rollback_app import workflow
from rollback_app.database import catalog
from rollback_app.executor import NotAsExpected, Progress, StepFailed
from rollback_app.planner import Choices
from rollback_app.safety import Comparison, in_words
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate, set_applied
from tests.support.projects import Project, migration
from tests.support.schema import everything

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
OWNER = 'migrations.CreateModel("Owner", [("id", models.BigAutoField(primary_key=True))])'
TAG = 'migrations.CreateModel("Tag", [("name", models.CharField(max_length=9, primary_key=True))])'
BOOK = """migrations.CreateModel("Book", [
    ("id", models.BigAutoField(primary_key=True)),
    ("title", models.CharField(max_length=9, db_index=True)),
    ("isbn", models.IntegerField(null=True, unique=True)),
    ("pages", models.IntegerField(db_default=1)),
    ("price", models.DecimalField(max_digits=5, decimal_places=2, null=True)),
    ("copies", models.PositiveIntegerField(default=0)),
    ("owner", models.ForeignKey("b.Owner", models.CASCADE, null=True)),
    ("tags", models.ManyToManyField("b.Tag")),
    ("double", models.GeneratedField(
        expression=models.F("pages") * 2, output_field=models.IntegerField(), db_persist=True)),
], options={"constraints": [
    models.CheckConstraint(condition=models.Q(pages__gt=0), name="some_pages"),
    models.UniqueConstraint(fields=["title", "owner"], name="once"),
], "indexes": [models.Index(fields=["title", "-pages"], name="by_pages")]})"""
LATE = """
    migrations.AddField("Book", "late", models.IntegerField(null=True)),
    migrations.CreateModel("Loan", [("id", models.BigAutoField(primary_key=True))])"""
BEFORE = "from tests.support.sabotage import Secretly"

transactional = pytest.mark.databases("sqlite", "postgresql")


def library(database: Database, project: Project, secret: str = "", late: str = LATE, then: str = "") -> None:
    """A library; a later migration of which undoing does something in secret, after everything else."""
    owners = {"0001_owner": f"{OWNER}, {TAG}"}
    books = {"0001_book": migration(BOOK, [("b", "0001_owner")])}
    project(a=books, b=owners)
    deploy(database.alias, DAY_1)
    text = migration(
        f"Secretly({secret}{', ' if secret else ''}then={then!r}), {late}", [("a", "0001_book")], before=BEFORE
    )
    project(a={**books, "0002_late": text}, b=owners)
    deploy(database.alias, DAY_2)


def run(database: Database, **options: Any) -> Comparison | None:
    step_by_step = options.pop("step_by_step", False)
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias], step_by_step=step_by_step)
    (result,) = workflow.roll_back(previews, destroy_data=True, **options)
    return result.comparison


def execute(database: Database, sql: str) -> None:
    with database.connection.cursor() as cursor:
        cursor.execute(sql)


def found(comparison: Comparison | None) -> set[tuple[str, str, bool]]:
    assert comparison
    return {(difference.table, difference.kind, difference.missing) for difference in comparison.new}


COLUMN = {("a_book", "column", True), ("a_book", "column", False)}

SECRETS = {
    "an index is dropped": ('migrations.RemoveIndex("Book", "by_pages")', {("a_book", "index", True)}),
    "an index too many": (
        'migrations.AddIndex("Book", models.Index(fields=["isbn"], name="secret"))',
        {("a_book", "index", False)},
    ),
    "a column too many": (
        'migrations.AddField("Book", "x", models.IntegerField(null=True))',
        {("a_book", "column", False)},
    ),
    "a column is dropped": ('migrations.RemoveField("Book", "price")', {("a_book", "column", True)}),
    "another type": ('migrations.AlterField("Book", "price", models.TextField(null=True))', COLUMN),
    "another length": (
        'migrations.AlterField("Book", "title", models.CharField(max_length=8, db_index=True))',
        COLUMN,
    ),
    "not null": (
        'migrations.AlterField("Book", "price", models.DecimalField(max_digits=5, decimal_places=2))',
        COLUMN,
    ),
    "a default too many": (
        'migrations.AlterField("Book", "copies", models.PositiveIntegerField(db_default=7))',
        COLUMN,
    ),
    "no foreign key": (
        (
            'migrations.AlterField("Book", "owner",'
            ' models.ForeignKey("b.Owner", models.CASCADE, null=True, db_constraint=False))'
        ),
        {("a_book", "foreign key", True)},
    ),
    "a check too many": (
        'migrations.AddConstraint("Book", models.CheckConstraint(condition=models.Q(price__gt=1), name="secret"))',
        {("a_book", "check", False)},
    ),
    "another expression": (
        (
            'migrations.RemoveField("Book", "double"), migrations.AddField("Book", "double", models.GeneratedField('
            'expression=models.F("pages") * 3, output_field=models.IntegerField(), db_persist=True))'
        ),
        {("a_book", "column", True), ("a_book", "column", False)},
    ),
    "no check": ('migrations.RemoveConstraint("Book", "some_pages")', {("a_book", "check", True)}),
    "not unique": (
        'migrations.AlterField("Book", "isbn", models.IntegerField(null=True))',
        {("a_book", "unique constraint", True)},
    ),
    "not unique together": (
        'migrations.RemoveConstraint("Book", "once")',
        {("a_book", "unique constraint", True)},
    ),
    "another name": ('migrations.RenameField("Book", "price", "prize")', COLUMN),
    "another table": ('migrations.AlterModelTable("Book", "secret")', {("a_book", "table", True)}),
    "the table of a relation is dropped": (
        'migrations.RemoveField("Book", "tags")',
        {("a_book_tags", "table", True)},
    ),
    "a table of a later release": (
        'migrations.CreateModel("Loan", [("id", models.BigAutoField(primary_key=True))])',
        {("a_loan", "table", False)},
    ),
}


KINDS = {
    ("mariadb", "unique constraint"): "unique index",  # that is how they are made there
    ("sqlite", "another expression"): "generated column",
}


def expected_on(database: Database, secret: str) -> set[tuple[str, str, bool]]:
    special = KINDS.get((database.vendor, secret))
    return {
        (table, special or KINDS.get((database.vendor, kind), kind), missing)
        for table, kind, missing in SECRETS[secret][1]
    }


@pytest.mark.parametrize("secret", SECRETS)
def test_what_a_run_leaves_different_is_found(database: Database, project: Project, secret: str) -> None:
    library(database, project, SECRETS[secret][0])
    before = everything(database.connection, ["rollback_app_run"])
    with pytest.raises(NotAsExpected) as failure:
        run(database)
    assert expected_on(database, secret) <= found(failure.value.comparison)
    assert {table for table, _, _ in found(failure.value.comparison)} <= {"a_book", "a_book_tags", "a_loan"}
    if database.vendor == "mariadb":
        assert "This cannot be taken back." in failure.value.message
        assert keys(database.alias) == [("b", "0001_owner"), ("a", "0001_book")]
    else:
        assert "Nothing was changed: everything is as it was before." in failure.value.message
        assert "--no-verify" in failure.value.hint
        assert everything(database.connection, ["rollback_app_run"]) == before


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    ("sql", "difference"),
    [
        ("DROP INDEX by_pages", "a_book lacks index btree (title, pages DESC)"),
        ("ALTER TABLE a_book ALTER id DROP IDENTITY", "column id of a_book lacks automatic number"),
        ("ALTER TABLE a_book DROP CONSTRAINT a_book_pkey CASCADE", "a_book lacks primary key (id)"),
        (
            "ALTER TABLE a_book ALTER price SET DEFAULT 5",
            "column price of a_book has DEFAULT 5, which the migrations do not say",
        ),
        ("ALTER TABLE a_book ALTER pages DROP DEFAULT", "column pages of a_book lacks DEFAULT 1"),
        (
            'ALTER TABLE a_book ALTER title TYPE varchar(9) COLLATE "C"',
            'column title of a_book has COLLATE "C", which the migrations do not say',
        ),
        (
            "ALTER TABLE a_book ADD EXCLUDE USING btree (price WITH =)",
            "a_book has exclusion EXCLUDE USING btree (price WITH =), which the migrations do not say",
        ),
        (
            "CREATE UNIQUE INDEX ON a_book (price) WHERE pages > 9",
            "a_book has unique index btree (price) WHERE (pages > 9), which the migrations do not say",
        ),
    ],
)
def test_what_sql_does_in_secret_is_found(database: Database, project: Project, sql: str, difference: str) -> None:
    library(database, project, late="", then=sql)
    with pytest.raises(NotAsExpected) as failure:
        run(database)
    assert difference in in_words(failure.value.comparison.new)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("field", "difference"),
    [
        (
            'models.CharField(max_length=9, db_index=True, db_collation="NOCASE")',
            "a_book has collation title nocase, which the migrations do not say",
        ),
        (
            'models.CharField(max_length=9, db_index=True, db_default="x -- (y)")',
            "column title of a_book has DEFAULT 'x -- (y)', which the migrations do not say",
        ),
    ],
)
def test_what_only_the_text_of_a_table_tells(database: Database, project: Project, field: str, difference: str) -> None:
    library(database, project, f'migrations.AlterField("Book", "title", {field})')
    with pytest.raises(NotAsExpected) as failure:
        run(database)
    assert difference in in_words(failure.value.comparison.new)


@pytest.mark.parametrize("step_by_step", [False, True])
def test_a_clean_run_leaves_no_difference(database: Database, project: Project, step_by_step: bool) -> None:
    library(database, project)
    told: list[Comparison] = []

    class Told(Progress):
        def verified(self, comparison: Comparison) -> None:
            told.append(comparison)

    assert run(database, step_by_step=step_by_step, progress=Told()) == Comparison(
        tables=2
    )  # a_book, and a_loan that is gone
    assert told == [Comparison(tables=2)]


def test_a_run_that_touches_no_table_compares_none(database: Database, project: Project) -> None:
    library(database, project, late="migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)")
    assert run(database) == Comparison(tables=0)


def test_a_table_without_its_model_is_made_alone(database: Database, project: Project) -> None:
    """Only the table of a many-to-many field was touched."""
    library(database, project, late="", then="CREATE INDEX secret ON a_book_tags (id, book_id)")
    with pytest.raises(NotAsExpected) as failure:
        run(database)
    assert found(failure.value.comparison) == {("a_book_tags", "index", False)}
    assert failure.value.comparison.tables == 1


def test_without_verification(database: Database, project: Project) -> None:
    library(database, project, SECRETS["another table"][0])
    assert run(database, verify=False) is None
    assert "secret" in database.connection.introspection.table_names()


@transactional
def test_the_first_five_are_told(database: Database, project: Project) -> None:
    more = ", ".join(f'migrations.AddField("Book", "x{number}", models.IntegerField(null=True))' for number in range(7))
    library(database, project, more)
    with pytest.raises(NotAsExpected, match=r"a_book has column x0 .*; and 2 more"):
        run(database)


@transactional
def test_step_by_step_it_is_told_and_stays(database: Database, project: Project) -> None:
    library(database, project, SECRETS["an index is dropped"][0])
    with pytest.raises(NotAsExpected) as failure:
        run(database, step_by_step=True)
    assert "a_book lacks index" in failure.value.message
    assert "1 of 1 steps are unapplied and stay so" in failure.value.message
    assert "This cannot be taken back." in failure.value.message
    assert failure.value.hint == "Fix these tables by hand."
    assert keys(database.alias) == [("b", "0001_owner"), ("a", "0001_book")]


def test_what_was_so_before_is_no_failure(database: Database, project: Project) -> None:
    """Also under the names that tables and columns have afterwards."""
    library(
        database,
        project,
        late='migrations.RenameField("Book", "isbn", "number"), migrations.RenameModel("Book", "Work"),'
        ' migrations.RenameField("Work", "number", "isbn13"), migrations.AlterModelTable("Work", "works")',
    )
    execute(database, "CREATE INDEX stray ON works (isbn13)")
    execute(database, "ALTER TABLE works ADD COLUMN extra integer")
    comparison = run(database)
    assert comparison
    assert comparison.new == ()
    assert (
        sorted(in_words(comparison.known))
        == {
            "sqlite": [
                "a_book has column extra integer, which the migrations do not say",
                "a_book has index ( isbn ), which the migrations do not say",
            ],
            "postgresql": [
                "a_book has column extra integer, which the migrations do not say",
                "a_book has index btree (isbn), which the migrations do not say",
            ],
            "mariadb": [
                "a_book has column extra int(11), which the migrations do not say",
                "a_book has index BTREE isbn, which the migrations do not say",
            ],
        }[database.vendor]
    )


@transactional
def test_a_faked_step_leaves_what_was_there_before(database: Database, project: Project) -> None:
    library(database, project)
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias], choices=Choices(fake=("a.0002_late",)))
    (result,) = workflow.roll_back(previews, destroy_data=True)
    assert result.comparison == Comparison(tables=0)


@pytest.mark.databases("postgresql")
def test_the_index_for_like_that_django_leaves_out(database: Database, project: Project) -> None:
    library(database, project, late='migrations.AlterField("Book", "title", models.IntegerField(db_index=True))')
    comparison = run(database)
    assert comparison
    assert comparison.new == ()
    assert [str(difference) for difference in comparison.left_over] == [
        "a_book lacks index btree (title varchar_pattern_ops)"
    ]


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("table", ['other"."loan', '"other"."loan"'])
def test_a_table_with_its_schema_in_its_name_is_left_out(database: Database, project: Project, table: str) -> None:
    execute(database, "CREATE SCHEMA other")
    loan = f"""migrations.CreateModel(
        "Loan", [("id", models.BigAutoField(primary_key=True))], options={{"db_table": {table!r}}})"""
    fee = 'migrations.AddField("Loan", "fee", models.IntegerField(null=True))'
    library(database, project, late=f'{loan}, migrations.AddField("Book", "late", models.IntegerField(null=True))')
    assert run(database) == Comparison(tables=1, left_out=("other.loan",))  # dropped
    project(a={"0001_loan": loan})
    deploy(database.alias, DAY_1)
    project.replace(a={"0001_loan": loan, "0002_fee": fee})
    deploy(database.alias, DAY_2)
    said = roll_back(database, DAY_2, format="json").json
    assert said["results"][0]["verification"]["left_out"] == ["other.loan"]  # changed
    migrate(database.alias)
    set_applied(database.alias, {("a", "0002_fee"): DAY_2})
    said = roll_back(database, DAY_2).out
    assert "Not verified:\n  other.loan was not compared: its name holds a schema or quotes.\n" in said


@transactional
def test_tables_are_made_a_few_at_a_time(database: Database, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "TOGETHER", 1)
    library(
        database,
        project,
        late='migrations.AddField("Book", "late", models.IntegerField(null=True)), migrations.CreateModel("Loan", ['
        '("id", models.BigAutoField(primary_key=True)), ("book", models.ForeignKey("a.Book", models.CASCADE))])',
        then="CREATE INDEX secret ON b_owner (id)",
    )
    with pytest.raises(NotAsExpected) as failure:
        run(database)
    assert found(failure.value.comparison) == {("b_owner", "index", False)}
    assert failure.value.comparison.tables == 3


# Where no tables can be made to compare with


@pytest.mark.databases("sqlite")
def test_a_function_that_only_one_connection_knows(database: Database, project: Project) -> None:
    database.connection.ensure_connection()
    connection: Any = database.connection.connection
    connection.create_function("twice", 1, lambda number: number, deterministic=True)
    index = ', models.Index(models.Func("pages", function="twice"), name="twice")]})'
    project(a={"0001_book": f"{OWNER}, {TAG}, {BOOK.replace(']})', index).replace('b.', 'a.')}"})
    deploy(database.alias, DAY_1)
    project.replace(a={**project.apps["a"], "0002_late": LATE})
    deploy(database.alias, DAY_2)
    assert run(database) == Comparison(why_not="no such function: twice")


@pytest.fixture
def clerk(database: Database) -> Iterator[Database]:
    """The database, in the hands of a user who may do nothing but own what is in it."""
    connection = database.connection
    name, options = connection.settings_dict["NAME"], connection.settings_dict["OPTIONS"]
    execute(database, f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    execute(database, f"CREATE ROLE clerk_{name}")
    execute(database, f"GRANT ALL ON SCHEMA public TO clerk_{name}")
    connection.close()
    connection.settings_dict["OPTIONS"] = {"assume_role": f"clerk_{name}"}
    yield database
    connection.close()
    connection.settings_dict["OPTIONS"] = options
    execute(database, f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC")
    execute(database, f"DROP OWNED BY clerk_{name} CASCADE")
    execute(database, f"DROP ROLE clerk_{name}")


@pytest.mark.databases("postgresql")
def test_without_the_right_to_make_temporary_tables(clerk: Database, project: Project) -> None:
    library(clerk, project)
    comparison = run(clerk)
    assert comparison
    assert comparison.why_not.startswith("permission denied to create temporary tables")
    assert keys(clerk.alias) == [("b", "0001_owner"), ("a", "0001_book")]


@pytest.mark.databases("mariadb")
def test_without_the_right_to_make_a_database(database: Database, project: Project) -> None:
    library(database, project)
    options = dict(database.connection.settings_dict)
    execute(database, "CREATE OR REPLACE USER clerk@'%' IDENTIFIED BY 'x'")
    execute(database, f"GRANT ALL ON {options['NAME']}.* TO clerk@'%'")
    try:
        database.connection.close()
        database.connection.settings_dict.update(USER="clerk", PASSWORD="x")
        comparison = run(database)
    finally:
        database.connection.close()
        database.connection.settings_dict.update(options)
    assert comparison
    assert comparison.why_not.startswith("Access denied for user 'clerk'")
    assert keys(database.alias) == [("b", "0001_owner"), ("a", "0001_book")]


@pytest.mark.databases("mariadb")
def test_another_failure_to_make_a_database_is_a_failure(database: Database, project: Project) -> None:
    library(database, project)

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("CREATE DATABASE"):
            raise OperationalError(1021, "Disk full")
        return execute(sql, *rest)

    with database.connection.execute_wrapper(fail), pytest.raises(StepFailed, match="Disk full"):
        run(database)


@pytest.mark.databases("mariadb")
def test_the_database_of_the_comparison_is_gone_afterwards(database: Database, project: Project) -> None:
    """Also one that a killed run has left behind."""
    library(database, project)
    made: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        made.extend(sql.split("`")[1:2] if sql.startswith("CREATE DATABASE") else [])
        return execute(sql, *rest)

    with database.connection.execute_wrapper(note):
        assert run(database) == Comparison(tables=2)
    execute(database, f"CREATE DATABASE `{made[0]}`")
    execute(database, f"CREATE TABLE `{made[0]}`.a_book (left_over integer)")
    deploy(database.alias, DAY_2)
    assert run(database) == Comparison(tables=2)
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT database()")
        assert cursor.fetchone() == (database.connection.settings_dict["NAME"],)
        cursor.execute("SELECT count(*) FROM information_schema.schemata WHERE schema_name = %s", made[:1])
        assert cursor.fetchone() == (0,)
