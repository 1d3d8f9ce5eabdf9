"""The independent truth must see what a rollback could get wrong, and nothing else."""

from __future__ import annotations

import pytest

from tests.support import history
from tests.support.databases import Database
from tests.support.projects import Project, migration
from tests.support.schema import data, difference, everything, snapshot

BOOKS = migration(
    """
    migrations.CreateModel("Author", [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20, unique=True)),
    ]),
    migrations.CreateModel("Book", [
        ("id", models.BigAutoField(primary_key=True)),
        ("title", models.CharField(max_length=20)),
        ("pages", models.PositiveIntegerField(null=True)),
        ("price", models.IntegerField(db_default=7)),
        ("author", models.ForeignKey("a.Author", models.CASCADE)),
    ], options={
        "indexes": [models.Index(fields=["title", "-pages"], name="by_title")],
        "constraints": [
            models.CheckConstraint(condition=models.Q(price__gte=0, title__gt="A"), name="cheap"),
            models.UniqueConstraint(fields=["title", "author"], name="once"),
        ],
    }),
    """
)


@pytest.fixture
def books(database: Database, project: Project) -> Database:
    project(a={"0001_initial": BOOKS})
    history.migrate(database.alias)
    return database


ALTER_TITLE = 'migrations.AlterField("book", "title", models.CharField(max_length=20, {}))'
# What is done to the schema, as a migration, and the kinds of facts that it must cost (-) or add (+).
SABOTAGE = {
    "dropped index": ('migrations.RemoveIndex("book", "by_title")', {"-index"}),
    "extra index": ('migrations.AddIndex("book", models.Index(fields=["price"], name="by_price"))', {"+index"}),
    "extra column": ('migrations.AddField("book", "extra", models.IntegerField(null=True))', {"+column"}),
    "changed type": (
        'migrations.AlterField("book", "pages", models.BigIntegerField(null=True))',
        {"-column", "+column"},
    ),
    "shorter": ('migrations.AlterField("book", "title", models.CharField(max_length=19))', {"-column", "+column"}),
    "NOT NULL dropped": (ALTER_TITLE.format("null=True"), {"-column", "+column"}),
    "stray default": (ALTER_TITLE.format("db_default='x'"), {"-column", "+column"}),
    "default gone": ('migrations.AlterField("book", "price", models.IntegerField())', {"-column", "+column"}),
    "missing foreign key": (
        'migrations.AlterField("book", "author", models.ForeignKey("a.Author", models.CASCADE, db_constraint=False))',
        {"-foreign key"},
    ),
    "missing check": ('migrations.RemoveConstraint("book", "cheap")', {"-check"}),
    "missing unique": ('migrations.RemoveConstraint("book", "once")', {"-unique"}),
    "not unique": ('migrations.AlterField("author", "name", models.CharField(max_length=20))', {"-unique"}),
    "missing table": ('migrations.DeleteModel("Book")', {"-table", "-column", "-index", "-foreign key", "-check"}),
}


@pytest.mark.parametrize("sabotage", SABOTAGE)
def test_sees(sabotage: str, books: Database, project: Project) -> None:
    operation, kinds = SABOTAGE[sabotage]
    before = snapshot(books.connection)
    project.replace(a={"0001_initial": BOOKS, "0002_sabotage": operation})
    history.migrate(books.alias)
    after = snapshot(books.connection)
    assert kinds <= {f"-{kind}" for _, kind, _ in before - after} | {f"+{kind}" for _, kind, _ in after - before}
    assert difference(before, after)

    history.migrate(books.alias, "a", "0001")
    assert difference(before, snapshot(books.connection)) == []


def test_names_and_order_of_columns_are_only_in_everything(books: Database, project: Project) -> None:
    before, all_before = snapshot(books.connection), everything(books.connection)
    project.replace(
        a={
            "0001_initial": BOOKS,
            "0002_rename": 'migrations.RenameIndex("book", "by_name", old_name="by_title")',
            "0003_move": """
            migrations.RemoveConstraint("book", "cheap"), migrations.RemoveField("book", "price"),
            migrations.AddField("book", "price", models.IntegerField(db_default=7)),
            migrations.AddConstraint("book", models.CheckConstraint(
                condition=models.Q(price__gte=0, title__gt="A"), name="inexpensive")),
        """,
        }
    )
    history.migrate(books.alias)
    assert difference(before, snapshot(books.connection)) == []
    assert everything(books.connection)["schema"] != all_before["schema"]


def test_everything_sees_rows_and_counters(books: Database) -> None:
    def insert() -> None:
        with books.connection.cursor() as cursor:
            cursor.execute("INSERT INTO a_author (name) VALUES ('Ada')")

    before = everything(books.connection)
    assert everything(books.connection) == before
    insert()
    assert data(books.connection)["a_author"] == [(1, "Ada")]
    assert everything(books.connection)["data"] != before["data"]
    with books.connection.cursor() as cursor:
        cursor.execute("DELETE FROM a_author")
    after = everything(books.connection)
    assert after["data"] == before["data"]
    assert after["counters"] != before["counters"]


def test_empty_database_is_empty(database: Database) -> None:
    assert everything(database.connection)["data"] == {}
    kinds = {kind for _, kind, _ in snapshot(database.connection)}
    assert kinds <= {"extension", "schema"}  # PostgreSQL has a language and "public"


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("statement", [
    "CREATE VIEW v AS SELECT name FROM a_author",
    "CREATE INDEX partial ON a_book (price) WHERE price > 1",
    "CREATE INDEX expression ON a_book (lower(title))",
    "ALTER TABLE a_book ADD COLUMN more text COLLATE {collation}",
    "ALTER TABLE a_book ADD COLUMN shorter integer REFERENCES a_author (id) ON DELETE CASCADE",
    "CREATE UNIQUE INDEX unique_price ON a_book (price DESC)",
])  # fmt: skip
def test_sees_what_django_seldom_makes(statement: str, books: Database) -> None:
    before = snapshot(books.connection)
    collation = {"sqlite": "NOCASE", "postgresql": '"C"'}[books.vendor]
    with books.connection.cursor() as cursor:
        cursor.execute(statement.format(collation=collation))
    lines = difference(before, snapshot(books.connection))
    assert {line[0] for line in lines} == {"+"}


TRIGGERS: dict[str, list[str]] = {
    "sqlite": ["CREATE TRIGGER t AFTER INSERT ON a_book BEGIN DELETE FROM a_author; END"],
    "postgresql": [
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER t AFTER INSERT ON a_book FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE SEQUENCE s",
    ],
    "mariadb": ["CREATE TRIGGER t AFTER INSERT ON a_book FOR EACH ROW DELETE FROM a_author"],
}


def test_sees_triggers(books: Database) -> None:
    before = snapshot(books.connection)
    with books.connection.cursor() as cursor:
        for statement in TRIGGERS[books.vendor]:
            cursor.execute(statement)
    assert len(difference(before, snapshot(books.connection))) == len(TRIGGERS[books.vendor])


@pytest.mark.databases("postgresql")
def test_sees_an_invalid_index(books: Database) -> None:
    index = ("a_book", "index", "CREATE INDEX ON public.a_book USING btree (title, pages DESC)")
    before = snapshot(books.connection)
    with books.connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_title'::regclass")
    after = snapshot(books.connection)
    assert list(before - after) == [index]
    assert list(after - before) == [(*index[:2], f"{index[2]} INVALID")]
