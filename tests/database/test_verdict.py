"""The verdict, rule by rule, beside what the older models really do on the newer database."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, NamedTuple

import pytest

from rollback_app.compatibility import Answer, Does, Outcome, TableVerdict
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.projects import Project, migration
from tests.support.verdicts import (
    add_rows,
    answers,
    filled,
    newer_models,
    older_models,
    preview_of,
    tried,
    untrue,
    works,
)

DAY_1 = datetime(2024, 5, 1, 8, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, tzinfo=timezone.utc)
ID = '("id", models.BigAutoField(primary_key=True))'
SERVERS = ("postgresql", "mariadb")


def model(name: str, *fields: str, options: str = "{}") -> str:
    return f'migrations.CreateModel("{name}", [{", ".join([ID, *fields])}], options={options})'


BOOK = model("Book", '("title", models.CharField(max_length=50))', '("pages", models.IntegerField())')


class Case(NamedTuple):
    """older, newer: operations of the app a. says: of its table a_book; of some databases something else. refuses: values that
    are refused where the verdict is `maybe`. text: a part of its reasons."""

    newer: str
    says: str
    text: str = ""
    older: str = BOOK
    refuses: Any = None
    on: Any = {}


CASES = {
    "a column that may be empty": Case(
        'migrations.AddField("Book", "isbn", models.CharField(max_length=13, null=True))', ""
    ),
    "a column that must have a value": Case(
        'migrations.AddField("Book", "isbn", models.CharField(max_length=13, default="x"))',
        "inserts no",
        "Column isbn must have a value, has no database default",
    ),
    "a number that must have a value": Case(
        'migrations.AddField("Book", "price", models.DecimalField(max_digits=8, decimal_places=2, default=0))',
        "inserts no",
    ),
    "a column with a database default": Case(
        'migrations.AddField("Book", "isbn", models.CharField(max_length=13, db_default="x"))', ""
    ),
    "a generated column": Case(
        'migrations.AddField("Book", "double", models.GeneratedField(expression=models.F("pages") * 2, '
        "output_field=models.IntegerField(), db_persist=True))",
        "",
    ),
    "a new table": Case(model("Shelf"), ""),
    "a new table that points here": Case(
        model("Loan", '("book", models.ForeignKey("a.Book", models.CASCADE))'),
        "deletes maybe",
        "A row to which a_loan (book_id) points cannot be deleted",
    ),
    "a table that is gone": Case(
        'migrations.DeleteModel("Book")',
        "reads no, inserts no, updates no, deletes no",
        "There is no table a_book.",
    ),
    "a table with another name": Case(
        'migrations.RenameModel("Book", "Volume")',
        "reads no, inserts no, updates no, deletes no",
        "There is no table a_book: it is called a_volume now.",
    ),
    "a column that is gone": Case(
        'migrations.RemoveField("Book", "pages")',
        "reads no, inserts no, updates no, deletes maybe",
        "There is no column pages.",
    ),
    "a column with another name": Case(
        'migrations.RenameField("Book", "pages", "leaves")',
        "reads no, inserts no, updates no, deletes maybe",
        "There is no column pages: it is called leaves now.",
    ),
    "a narrower text": Case(
        'migrations.AlterField("Book", "title", models.CharField(max_length=10))',
        "inserts maybe, updates maybe",
        "narrower than varchar(50)",
        refuses={"title": "t" * 40},
        on={"sqlite": ""},
    ),
    "a wider text": Case('migrations.AlterField("Book", "title", models.TextField())', ""),
    "a narrower number": Case(
        'migrations.AlterField("Book", "pages", models.SmallIntegerField())',
        "inserts maybe, updates maybe",
        refuses={"pages": 100_000},
        on={"sqlite": ""},
    ),
    "a wider number": Case('migrations.AlterField("Book", "pages", models.BigIntegerField())', ""),
    "a text where a number was": Case(
        'migrations.AlterField("Book", "pages", models.CharField(max_length=9))',
        "reads maybe, inserts maybe, updates maybe",
        "this code expects whole number",
    ),
    "a column that may no longer be empty": Case(
        'migrations.AlterField("Book", "pages", models.IntegerField(default=1))',
        "inserts maybe, updates maybe",
        "Column pages must have a value; this code may leave it empty.",
        older=model("Book", '("pages", models.IntegerField(null=True))'),
        refuses={"pages": None},
    ),
    "a column that may be empty now": Case(
        'migrations.AlterField("Book", "pages", models.IntegerField(null=True))', ""
    ),
    "a new unique rule": Case(
        'migrations.AlterField("Book", "title", models.CharField(max_length=50, unique=True))',
        "inserts maybe, updates maybe",
        "A unique rule that this code does not know may refuse rows",
        refuses={"title": "taken"},
    ),
    "a unique rule that is gone": Case(
        'migrations.AlterField("Book", "title", models.CharField(max_length=50))',
        "",
        older=model("Book", '("title", models.CharField(max_length=50, unique=True))'),
    ),
    "a unique rule of a new column that stays empty": Case(
        'migrations.AddField("Book", "isbn", models.CharField(max_length=13, null=True, unique=True))', ""
    ),
    "a unique rule of a new column that gets a default": Case(
        'migrations.AddField("Book", "isbn", models.CharField(max_length=13, db_default="x", unique=True))',
        "inserts maybe",
        refuses={},
    ),
    "a unique rule of two columns, one of them new": Case(
        'migrations.AddField("Book", "shelf", models.IntegerField(db_default=1)), '
        'migrations.AddConstraint("Book", models.UniqueConstraint(fields=["title", "shelf"], name="place"))',
        "inserts maybe, updates maybe",
    ),
    "a unique rule under a condition": Case(
        'migrations.AddConstraint("Book", models.UniqueConstraint(fields=["title"], name="once", '
        "condition=models.Q(pages__gt=0)))",
        "inserts maybe, updates maybe",
        "once",
        refuses={"title": "taken"},
        on={"mariadb": ""},  # which has no such rules
    ),
    "unique rules that the older code has, too": Case(
        'migrations.AddField("Book", "isbn", models.CharField(max_length=13, null=True))',
        "",
        older=model(
            "Book",
            '("title", models.CharField(max_length=50, unique=True)), ("pages", models.PositiveIntegerField())',
            options='{"unique_together": {("title", "pages")}, "constraints": ['
            'models.UniqueConstraint(fields=["pages"], name="once", condition=models.Q(pages__gt=0)), '
            'models.CheckConstraint(condition=models.Q(pages__gt=0), name="some")]}',
        ),
    ),
    "a new check": Case(
        'migrations.AddConstraint("Book", models.CheckConstraint(condition=models.Q(pages__gt=0), name="some"))',
        "inserts maybe, updates maybe",
        "A check rule that this code does not know may refuse rows: some (pages).",
        refuses={"pages": -1},
    ),
    "a new check of a new column": Case(
        'migrations.AddField("Book", "shelf", models.IntegerField(null=True)), '
        'migrations.AddConstraint("Book", models.CheckConstraint(condition=models.Q(shelf__isnull=False), name="some"))',
        "inserts maybe",
        refuses={},
    ),
    "a foreign key where a number was": Case(
        model("Shelf") + ', migrations.AlterField("Book", "shelf_id", models.ForeignKey("a.Shelf", models.CASCADE)), '
        'migrations.RenameField("Book", "shelf_id", "shelf")',
        "inserts maybe, updates maybe",
        "A foreign key that this code does not know may refuse rows: shelf_id to a_shelf.",
        older=model("Book", '("shelf_id", models.BigIntegerField(db_index=True))'),
        refuses={"shelf_id": 999_999},
    ),
    "a new foreign key that may be empty": Case(
        model("Shelf")
        + ', migrations.AddField("Book", "shelf", models.ForeignKey("a.Shelf", models.CASCADE, null=True))',
        "",
    ),
    "another kind of key": Case(
        'migrations.DeleteModel("Book"), migrations.CreateModel("Book", [("id", models.UUIDField(primary_key=True)), '
        '("title", models.CharField(max_length=50)), ("pages", models.IntegerField())])',
        "reads maybe, inserts no, updates maybe, deletes maybe",
        on={"postgresql": "reads maybe, inserts no, updates no, deletes no"},
    ),
    "a table that older code deletes from, too": Case(
        'migrations.DeleteModel("Loan")',
        "deletes no",
        "this code looks for book_id in a_loan, which is not there",
        older=BOOK + ", " + model("Loan", '("book", models.ForeignKey("a.Book", models.CASCADE))'),
    ),
    "a join table that is gone": Case(
        'migrations.RemoveField("Book", "authors")',
        "deletes no",
        "this code looks for book_id in a_book_authors",
        older=f'{model("Author")}, {model("Book", """("authors", models.ManyToManyField("a.Author"))""")}',
    ),
    "a part that the older code keeps in a column of its own": Case(
        'migrations.RemoveField("Loan", "days")',
        "deletes maybe",
        "To delete a row, this code may read a_loan, of which columns are missing.",
        older=BOOK
        + ", "
        + model("Loan", '("book", models.ForeignKey("a.Book", models.CASCADE)), ("days", models.IntegerField())'),
    ),
    "a new table that points to what older code deletes along": Case(
        model("Note", '("page", models.ForeignKey("a.Page", models.CASCADE))'),
        "deletes maybe",
        "To delete a row, this code also deletes the rows of a_loan that point to it, which may fail.",
        older=BOOK
        + ", "
        + model("Loan", '("book", models.ForeignKey("a.Book", models.CASCADE))')
        + ", "
        + model("Page", '("loan", models.ForeignKey("a.Loan", models.CASCADE))'),
    ),
    "a column that older code empties when it deletes, and that must have a value": Case(
        'migrations.AlterField("Loan", "book", models.ForeignKey("a.Book", models.CASCADE))',
        "deletes maybe",
        "To delete a row, this code empties book_id in a_loan, which must not be empty.",
        older=BOOK + ", " + model("Loan", '("book", models.ForeignKey("a.Book", models.SET_NULL, null=True))'),
    ),
    "another option, which the database never sees": Case(
        'migrations.AlterModelOptions("Book", {"ordering": ["title"]})', ""
    ),
    "a generated column, where the older code writes": Case(
        'migrations.RemoveField("Book", "pages"), '
        'migrations.AddField("Book", "pages", models.GeneratedField(expression=models.Value(7), '
        "output_field=models.IntegerField(), db_persist=True))",
        "inserts no, updates no",
        "Column pages is generated by the database, and takes no value.",
    ),
    "a generated column that is none any more": Case(
        'migrations.RemoveField("Book", "double"), migrations.AddField("Book", "double", models.IntegerField(null=True))',
        "inserts maybe, updates maybe",
        "Column double is no longer generated by the database.",
        older=model(
            "Book",
            '("pages", models.IntegerField())',
            '("double", models.GeneratedField(expression=models.F("pages") * 2, output_field=models.IntegerField(), '
            "db_persist=True))",
        ),
    ),
    "a database default that is gone": Case(
        'migrations.AlterField("Book", "pages", models.IntegerField(default=1))',
        "inserts maybe",
        "Column pages has lost its database default.",
        older=model("Book", '("pages", models.IntegerField(db_default=1))'),
    ),
}


def looked_at(
    database: Database, project: Project, older: str, newer: str, *, rows: bool = True
) -> tuple[TableVerdict, Any]:
    """The verdict about a_book, and the older model, after both deployments. rows: with a row in each table."""
    project(a={"0001_older": older})
    deploy(database.alias, DAY_1)
    project(a={"0001_older": older, "0002_newer": newer})
    deploy(database.alias, DAY_2)
    preview = preview_of(database, DAY_2.isoformat())
    (found,) = (each for each in older_models(preview) if each._meta.db_table == "a_book")
    assert preview.verdict is not None
    table = next((each for each in preview.verdict.tables if each.table == "a_book"), TableVerdict("a_book"))
    add_rows(database, [each for each in newer_models(preview) if each._meta.app_label == "a" and rows])
    return table, found


@pytest.mark.parametrize("name", CASES)
def test_what_it_says_is_true(name: str, database: Database, project: Project) -> None:
    case = CASES[name]
    table, book = looked_at(database, project, case.older, case.newer)
    says = case.on.get(database.vendor, case.says)
    assert answers(table) == says
    if says:
        assert case.text in " ".join(table.because)
    assert untrue(table, tried(database, book)) == []


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.refuses is not None])
def test_what_may_be_refused_is_refused(name: str, database: Database, project: Project) -> None:
    """Each `maybe` has a row that fails, and one that does not (the test above)."""
    case = CASES[name]
    table, book = looked_at(database, project, case.older, case.newer)
    if "unique" in name:
        filled(database, book, **case.refuses).save(using=database.alias)
    refused = bool(tried(database, book, **case.refuses)[Does.INSERTS])
    assert refused is (table.answer(Does.INSERTS) is Answer.MAYBE)


# What no migration of Django's own makes

BOOK_BY_SQL = "migrations.RunSQL({sql!r}, migrations.RunSQL.noop)"
ON_DELETE = {
    "CASCADE": ("", "CASCADE of rows in loan (book_id)"),
    "SET NULL": ("", "SET NULL of rows in loan (book_id)"),
    "NO ACTION": ("deletes maybe", "A row to which loan (book_id) points cannot be deleted"),
    "RESTRICT": ("deletes maybe", "A row to which loan (book_id) points cannot be deleted"),
}


@pytest.mark.parametrize("on_delete", ON_DELETE)
def test_a_foreign_key_of_an_unknown_table(on_delete: str, database: Database, project: Project) -> None:
    sql = f"CREATE TABLE loan (book_id bigint, FOREIGN KEY (book_id) REFERENCES a_book (id) ON DELETE {on_delete})"
    table, book = looked_at(database, project, BOOK, BOOK_BY_SQL.format(sql=sql))
    says, text = ON_DELETE[on_delete]
    assert answers(table) == says
    assert any(text in each for each in table.because)
    assert untrue(table, tried(database, book)) == []
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO loan (book_id) SELECT id FROM a_book")
    assert bool(tried(database, book)[Does.DELETES]) is bool(says)


TRIGGERS = {
    "sqlite": "CREATE TRIGGER guard BEFORE INSERT ON a_book WHEN NEW.pages < 0 BEGIN SELECT RAISE(ABORT, 'less than none'); END",
    "postgresql": "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.pages < 0 THEN "
    "RAISE EXCEPTION 'less than none'; END IF; RETURN NEW; END $$; "
    "CREATE TRIGGER guard BEFORE INSERT ON a_book FOR EACH ROW EXECUTE FUNCTION guard()",
    "mariadb": "CREATE TRIGGER guard BEFORE INSERT ON a_book FOR EACH ROW IF NEW.pages < 0 THEN "
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'less than none'; END IF",
}


def test_a_trigger(database: Database, project: Project) -> None:
    newer = f"migrations.RunSQL([{TRIGGERS[database.vendor]!r}], migrations.RunSQL.noop)"
    table, book = looked_at(database, project, BOOK, newer)
    assert answers(table) == "inserts maybe"
    assert table.because == ("Trigger guard may change or refuse rows.",)
    assert untrue(table, tried(database, book)) == []
    assert tried(database, book, pages=-1)[Does.INSERTS]


@pytest.mark.databases("postgresql")
def test_a_trigger_that_is_switched_off_says_nothing(database: Database, project: Project) -> None:
    sql = [TRIGGERS["postgresql"], "ALTER TABLE a_book DISABLE TRIGGER guard"]
    table, _ = looked_at(database, project, BOOK, f"migrations.RunSQL({sql!r}, migrations.RunSQL.noop)")
    assert answers(table) == ""


VIEW = ["ALTER TABLE a_book RENAME TO a_kept", "CREATE VIEW a_book AS SELECT id, title, pages FROM a_kept"]
GROUPED = [VIEW[0], "CREATE VIEW a_book AS SELECT max(id) AS id, title, max(pages) AS pages FROM a_kept GROUP BY title"]
NO_WRITES = "inserts no, updates no, deletes no"
UNTYPED = f"reads maybe, {NO_WRITES}"  # SQLite gives expressions no type
VIEWS = {
    "a view": (VIEW, {"sqlite": NO_WRITES}, "inserts maybe, updates maybe, deletes maybe", "a_book is a view"),
    "a view of groups": (GROUPED, {"sqlite": UNTYPED}, NO_WRITES, "a_book is a view, which takes no INSERT."),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_in_the_place_of_a_table(name: str, database: Database, project: Project) -> None:
    sql, on, says, text = VIEWS[name]
    values = "INSERT INTO a_book (title, pages) VALUES ('x', 7)"
    newer = f"migrations.RunSQL({[values, *sql]!r}, migrations.RunSQL.noop)"
    table, book = looked_at(database, project, BOOK, newer, rows=False)
    assert answers(table) == on.get(database.vendor, says)
    assert text in " ".join(table.because)
    assert untrue(table, tried(database, book)) == []


@pytest.mark.databases("sqlite", "postgresql")
def test_a_view_that_takes_rows_by_a_trigger(database: Database, project: Project) -> None:
    takes = {
        "sqlite": [
            "CREATE TRIGGER t INSTEAD OF INSERT ON a_book BEGIN INSERT INTO a_kept VALUES (NEW.id, NEW.title, 1); END"
        ],
        "postgresql": [
            (
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "INSERT INTO a_kept VALUES (DEFAULT, NEW.title, 1) RETURNING id INTO NEW.id; RETURN NEW; END $$"
            ),
            "CREATE TRIGGER t INSTEAD OF INSERT ON a_book FOR EACH ROW EXECUTE FUNCTION f()",
        ],
    }[database.vendor]
    values = "INSERT INTO a_book (title, pages) VALUES ('x', 7)"
    newer = f"migrations.RunSQL({[values, *GROUPED, *takes]!r}, migrations.RunSQL.noop)"
    table, book = looked_at(database, project, BOOK, newer, rows=False)
    assert answers(table).endswith("inserts maybe, updates no, deletes no")
    assert untrue(table, tried(database, book)) == []


@pytest.mark.databases("postgresql")
def test_a_materialized_view_is_read(database: Database, project: Project) -> None:
    values = "INSERT INTO a_book (title, pages) VALUES ('x', 7)"
    sql = [values, VIEW[0], VIEW[1].replace("VIEW", "MATERIALIZED VIEW", 1)]
    newer = f"migrations.RunSQL({sql!r}, migrations.RunSQL.noop)"
    table, book = looked_at(database, project, BOOK, newer, rows=False)
    assert answers(table) == NO_WRITES
    assert untrue(table, tried(database, book)) == []


@pytest.mark.databases("postgresql")
def test_rules_of_exclusion(database: Database, project: Project) -> None:
    sql = "ALTER TABLE a_book ADD CONSTRAINT apart EXCLUDE USING btree (title WITH =)"
    table, book = looked_at(database, project, BOOK, BOOK_BY_SQL.format(sql=sql))
    assert answers(table) == "inserts maybe, updates maybe"
    assert table.because == ("An exclusion rule that this code does not know may refuse rows: apart (title).",)
    filled(database, book, title="taken").save(using=database.alias)
    assert tried(database, book, title="taken")[Does.INSERTS]


@pytest.mark.databases("postgresql")
def test_numbers_that_only_the_database_gives(database: Database, project: Project) -> None:
    """A key may still be left to the database; a column that the code writes may not."""
    sql = "ALTER TABLE a_book ALTER COLUMN id SET GENERATED ALWAYS"
    table, book = looked_at(database, project, BOOK, BOOK_BY_SQL.format(sql=sql))
    assert answers(table) == "inserts maybe"
    assert untrue(table, tried(database, book)) == []
    assert tried(database, book, id=999)[Does.INSERTS]


@pytest.mark.databases("postgresql")
def test_a_number_of_its_own_in_the_place_of_a_value(database: Database, project: Project) -> None:
    sql = "ALTER TABLE a_book ALTER COLUMN pages ADD GENERATED ALWAYS AS IDENTITY"
    table, book = looked_at(database, project, BOOK, BOOK_BY_SQL.format(sql=sql), rows=False)
    assert answers(table) == "inserts no"
    assert tried_insert(database, book)


def test_a_key_that_is_no_longer_numbered(database: Database, project: Project) -> None:
    sql = {
        "postgresql": "ALTER TABLE a_book ALTER COLUMN id DROP IDENTITY",
        "mariadb": "ALTER TABLE a_book MODIFY id bigint NOT NULL",
        "sqlite": "DROP TABLE a_book; CREATE TABLE a_book (id bigint NOT NULL PRIMARY KEY, title varchar(50), pages integer)",
    }[database.vendor].split("; ")
    table, book = looked_at(database, project, BOOK, f"migrations.RunSQL({sql!r}, migrations.RunSQL.noop)", rows=False)
    assert answers(table) == "inserts no"
    assert table.because == ("Column id is no longer numbered by the database.",)
    assert tried_insert(database, book)


def tried_insert(database: Database, book: Any) -> str:
    return works(database, lambda: filled(database, book).save(using=database.alias, force_insert=True))


# The bridge


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize(
    ("field", "sql"),
    [
        ('models.CharField(max_length=13, default="it\'s {x}")', "SET DEFAULT"),
        ("models.TextField(default='%s')", "SET DEFAULT"),
        ("models.DecimalField(max_digits=8, decimal_places=2, default=0)", "SET DEFAULT"),
        ("models.BooleanField(default=False)", "SET DEFAULT"),
        ("models.DateTimeField(auto_now_add=True, default=None)", "NULL"),
        ("models.JSONField(default=dict)", "NULL"),
        ("models.CharField(max_length=13, default='x', unique=True)", "NULL"),
        ("models.UUIDField(default=uuid.uuid4)", "NULL"),
        ('models.ForeignKey("a.Shelf", models.CASCADE, default=1)', "SET DEFAULT"),
    ],
)
def test_after_the_bridge_it_works(field: str, sql: str, database: Database, project: Project) -> None:
    older = BOOK + ", " + model("Shelf")
    field = field.replace(", default=None", "")
    newer = migration(
        f'migrations.AddField("Book", "extra", {field})', [("a", "0001_older")], before="import uuid"
    ).replace("auto_now_add=True", "default=__import__('django').utils.timezone.now")
    table, book = looked_at(database, project, older, newer)
    assert answers(table).startswith("inserts no")
    assert tried_insert(database, book)
    (bridge,) = table.bridge
    assert sql in bridge
    with database.connection.cursor() as cursor:
        cursor.execute(bridge)
    assert tried_insert(database, book) == ""
    preview = preview_of(database, DAY_2.isoformat())
    assert preview.verdict is not None
    assert preview.verdict.outcome is not Outcome.FAILS


@pytest.mark.databases("sqlite")
def test_sqlite_has_no_bridge(database: Database, project: Project) -> None:
    table, _ = looked_at(database, project, BOOK, CASES["a column that must have a value"].newer)
    assert table.bridge == ()
    assert "SQLite cannot give it one without making the table anew." in table.because[0]


@pytest.mark.databases("postgresql", "mariadb")
def test_the_bridge_for_a_column_that_the_older_code_leaves_empty(database: Database, project: Project) -> None:
    case = CASES["a column that may no longer be empty"]
    table, book = looked_at(database, project, case.older, case.newer)
    assert tried(database, book, pages=None)[Does.INSERTS]
    with database.connection.cursor() as cursor:
        cursor.execute(table.bridge[0])
    assert tried(database, book, pages=None)[Does.INSERTS] == ""
