"""What would fail is found first: each case is refused with the rows in the way, really fails when nobody looks, and runs
after the rows were mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pytest

from rollback_app import database as databases
from rollback_app import workflow
from rollback_app.database import base
from rollback_app.executor import StepFailed
from rollback_app.history import Key
from rollback_app.safety import NOT_KEEPING, Finding, Level
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)

ALL = frozenset({"sqlite", "postgresql", "mariadb"})
SERVERS = frozenset({"postgresql", "mariadb"})


def table(fields: str = "", options: str = "", name: str = "T") -> str:
    return f'migrations.CreateModel("{name}", [("id", models.AutoField(primary_key=True)), {fields}], options={{{options}}})'


def alter(name: str, field: str) -> str:
    return f'migrations.AlterField("T", "{name}", models.{field})'


@dataclass(frozen=True)
class Case:
    """early: the fields of a.T, or the whole migration; late: the operations of the deployment to undo. rows: SQL after it.
    text: of the finding. fails: the databases on which it is in the way. listed: how many rows its query gives."""

    early: str
    late: str
    rows: Sequence[str]
    id: str
    text: str
    mend: str
    fails: frozenset[str] = ALL
    listed: int = 0

    @property
    def early_operations(self) -> str:
        return self.early if self.early.startswith("migrations.") else table(self.early)


X = '("x", models.IntegerField())'
N = '("n", models.CharField(max_length=10, default=""))'
CONDITION = "models.UniqueConstraint(fields=['x'], condition=models.Q(x__gt=1), name='one_x')"

CASES: Mapping[str, Case] = {
    "nulls": Case(
        X,
        alter("x", "IntegerField(null=True)"),
        ["INSERT INTO a_t (x) VALUES (NULL), (NULL), (1)"],
        "E010",
        "makes column a_t.x NOT NULL again: 2 rows hold NULL.",
        "DELETE FROM a_t WHERE x IS NULL",
        listed=2,
    ),
    "a column without a default": Case(
        X,
        'migrations.RemoveField("T", "x")',
        ["INSERT INTO a_t (id) VALUES (1)"],
        "E010",
        "adds column a_t.x again, NOT NULL and without a default: 1 row is in the table.",
        "DELETE FROM a_t",
        frozenset({"sqlite", "postgresql"}),
        listed=1,
    ),
    "a date without a default": Case(
        '("x", models.DateField())',
        'migrations.RemoveField("T", "x")',
        ["INSERT INTO a_t (id) VALUES (1), (2)"],
        "E010",
        "adds column a_t.x again, NOT NULL and without a default: 2 rows are in the table.",
        "DELETE FROM a_t",
        frozenset({"sqlite", "postgresql"}),
        listed=2,
    ),
    "a foreign key without a default": Case(
        f"{table(name='P')}, {table('(chr(112), models.ForeignKey(chr(97) + chr(46) + chr(80), models.CASCADE))')}",
        'migrations.RemoveField("T", "p")',
        ["INSERT INTO a_t (id) VALUES (1)"],
        "E010",
        "adds column a_t.p_id again, NOT NULL and without a default: 1 row is in the table.",
        "DELETE FROM a_t",
        listed=1,
    ),
    "made nullable, then removed": Case(
        X,
        f'{alter("x", "IntegerField(null=True)")}, migrations.RemoveField("T", "x")',
        ["INSERT INTO a_t (id) VALUES (1)"],
        "E010",
        "makes column a_t.x NOT NULL again, which is empty by then: 1 row is in the table.",
        "DELETE FROM a_t",
        listed=1,
    ),
    "under other names": Case(
        X,
        f'{alter("x", "IntegerField(null=True)")}, migrations.RenameField("T", "x", "y"),'
        ' migrations.AlterModelTable("T", "other")',
        ["INSERT INTO other (y) VALUES (NULL), (1)"],
        "E010",
        "makes column a_t.x NOT NULL again: 1 row holds NULL.",
        "DELETE FROM other WHERE y IS NULL",
        listed=1,
    ),
    "another table": Case(
        X,
        f'{alter("x", "IntegerField(null=True)")}, migrations.AlterModelTable("T", "other")',
        ["INSERT INTO other (x) VALUES (NULL), (1)"],
        "E010",
        "makes column a_t.x NOT NULL again: 1 row holds NULL.",
        "DELETE FROM other WHERE x IS NULL",
        listed=1,
    ),
    "doubles": Case(
        '("x", models.IntegerField(unique=True, null=True))',
        alter("x", "IntegerField(null=True)"),
        ["INSERT INTO a_t (x) VALUES (1), (1), (1), (2), (NULL), (NULL)"],
        "E011",
        "makes column a_t.x unique again: 3 rows share their values with others.",
        "DELETE FROM a_t WHERE x = 1",
        listed=1,
    ),
    "a unique column with a default": Case(
        '("x", models.IntegerField(unique=True, default=0))',
        'migrations.RemoveField("T", "x")',
        ["INSERT INTO a_t (id) VALUES (1), (2)"],
        "E010",
        "adds column a_t.x again, unique: 2 rows are in the table.",
        "DELETE FROM a_t WHERE id = 1",
        listed=2,
    ),
    "a unique column without a default": Case(
        '("x", models.IntegerField(unique=True))',
        'migrations.RemoveField("T", "x")',
        ["INSERT INTO a_t (id) VALUES (1), (2)"],
        "E010",
        "adds column a_t.x again, NOT NULL and without a default: 2 rows are in the table.",
        "DELETE FROM a_t",
        listed=2,
    ),
    "doubles of two": Case(
        table(f"{X}, {N}", "'unique_together': {('x', 'n')}"),
        'migrations.AlterUniqueTogether("T", set())',
        ["INSERT INTO a_t (x, n) VALUES (1, 'a'), (1, 'a'), (1, 'b')"],
        "E011",
        "makes x, n of a_t unique together again: 2 rows share their values with others.",
        "DELETE FROM a_t WHERE n = 'a'",
        listed=1,
    ),
    "a unique constraint": Case(
        table(X, "'constraints': [models.UniqueConstraint(fields=['x'], name='one_x')]"),
        'migrations.RemoveConstraint("T", "one_x")',
        ["INSERT INTO a_t (x) VALUES (1), (1)"],
        "E011",
        "makes constraint one_x of a_t again: 2 rows share their values with others.",
        "DELETE FROM a_t",
        listed=1,
    ),
    "a unique constraint with a condition, under another name": Case(
        table(X, f"'constraints': [{CONDITION}]"),
        'migrations.RemoveConstraint("T", "one_x"), migrations.RenameField("T", "x", "y")',
        ["INSERT INTO a_t (y) VALUES (1), (1), (2), (2)"],
        "E011",
        "makes constraint one_x of a_t again: 2 rows share their values with others.",
        "DELETE FROM a_t WHERE y = 2",
        frozenset({"sqlite", "postgresql"}),
        listed=1,
    ),
    "a unique constraint over nulls": Case(
        table(
            '("x", models.IntegerField(null=True))',
            "'constraints': [models.UniqueConstraint(fields=['x'], nulls_distinct=False, name='one_x')]",
        ),
        'migrations.RemoveConstraint("T", "one_x")',
        ["INSERT INTO a_t (x) VALUES (NULL), (NULL)"],
        "E011",
        "makes constraint one_x of a_t again: 2 rows share their values with others.",
        "DELETE FROM a_t",
        frozenset({"postgresql"}),
        listed=1,
    ),
    "a longer text": Case(
        N,
        alter("n", 'CharField(max_length=20, default="")'),
        ["INSERT INTO a_t (n) VALUES ('12345678901'), ('1234567890')"],
        "E012",
        "makes column a_t.n a CharField(10) again: 1 row holds a value that does not fit.",
        "DELETE FROM a_t WHERE n = '12345678901'",
        SERVERS,
        listed=1,
    ),
    "a larger number": Case(
        X,
        alter("x", "BigIntegerField()"),
        ["INSERT INTO a_t (x) VALUES (2147483648), (-2147483649), (2147483647)"],
        "E012",
        "makes column a_t.x an IntegerField again: 2 rows hold values that do not fit.",
        "DELETE FROM a_t WHERE x <> 2147483647",
        SERVERS,
        listed=2,
    ),
    "more digits": Case(
        '("d", models.DecimalField(max_digits=5, decimal_places=2))',
        alter("d", "DecimalField(max_digits=9, decimal_places=2)"),
        ["INSERT INTO a_t (d) VALUES (1000), (-999.99)"],
        "E012",
        "makes column a_t.d a DecimalField(5, 2) again: 1 row holds a value that does not fit.",
        "DELETE FROM a_t WHERE d = 1000",
        SERVERS,
        listed=1,
    ),
    "a decimal that was a whole number": Case(
        '("d", models.SmallIntegerField())',
        alter("d", "DecimalField(max_digits=9, decimal_places=2)"),
        ["INSERT INTO a_t (d) VALUES (32768), (5)"],
        "E012",
        "makes column a_t.d a SmallIntegerField again: 1 row holds a value that does not fit.",
        "DELETE FROM a_t WHERE d = 32768",
        SERVERS,
        listed=1,
    ),
    "below zero": Case(
        '("x", models.PositiveIntegerField())',
        alter("x", "IntegerField()"),
        ["INSERT INTO a_t (x) VALUES (-1), (0)"],
        "E014",
        "makes column a_t.x a PositiveIntegerField again: 1 row violates its condition.",
        "DELETE FROM a_t WHERE x = -1",
        listed=1,
    ),
    "rows that point nowhere": Case(
        f"{table(name='P')}, {table('(chr(112), models.ForeignKey(chr(97) + chr(46) + chr(80), models.CASCADE))')}",
        alter("p", 'ForeignKey("a.P", models.CASCADE, db_constraint=False)'),
        ["INSERT INTO a_p (id) VALUES (1)", "INSERT INTO a_t (p_id) VALUES (1), (7)"],
        "E013",
        "makes column a_t.p_id a foreign key to a_p again: 1 row points to a row that does not exist.",
        "DELETE FROM a_t WHERE p_id = 7",
        listed=1,
    ),
    "a check": Case(
        table(X, "'constraints': [models.CheckConstraint(condition=models.Q(x__lt=5), name='small_x')]"),
        'migrations.RemoveConstraint("T", "small_x"), migrations.RenameField("T", "x", "y")',
        ["INSERT INTO a_t (y) VALUES (4), (5), (6)"],
        "E014",
        "makes constraint small_x of a_t again: 2 rows violate its condition.",
        "DELETE FROM a_t WHERE y > 4",
        listed=2,
    ),
    "a table of this name": Case(
        X,
        'migrations.DeleteModel("T")',
        ["CREATE TABLE a_t (id integer)"],
        "E015",
        "takes the name of table a_t back, but that name is taken.",
        "DROP TABLE a_t",
    ),
    "a table of this name, renamed": Case(
        X,
        'migrations.RenameModel("T", "S")',
        ["CREATE TABLE a_t (id integer)"],
        "E015",
        "takes the name of table a_t back, but that name is taken.",
        "DROP TABLE a_t",
    ),
    "a column of this name": Case(
        f'{X}, ("n", models.IntegerField(null=True))',
        'migrations.RemoveField("T", "n")',
        ["ALTER TABLE a_t ADD COLUMN n integer"],
        "E015",
        "takes the name of column a_t.n back, but that name is taken.",
        "ALTER TABLE a_t DROP COLUMN n",
    ),
    "a constraint of this name": Case(
        table(X, "'constraints': [models.CheckConstraint(condition=models.Q(x__lt=5), name='small_x')]"),
        'migrations.RemoveConstraint("T", "small_x")',
        ["{named}"],
        "E015",
        "takes the name small_x of an index or constraint of a_t back, but that name is taken.",
        "ALTER TABLE a_t DROP CONSTRAINT small_x",
        SERVERS,
    ),
    "an index that has a constraint's name": Case(
        table(X, "'constraints': [models.UniqueConstraint(fields=['x'], name='one_x')]"),
        'migrations.RemoveConstraint("T", "one_x")',
        ["CREATE INDEX one_x ON a_t (x)"],
        "E015",
        "takes the name one_x of an index or constraint of a_t back, but that name is taken.",
        "DROP INDEX one_x{on}",
        SERVERS,
    ),
    "an index that has the name of a constraint with a condition": Case(
        table(X, f"'constraints': [{CONDITION}]"),
        'migrations.RemoveConstraint("T", "one_x")',
        ["CREATE INDEX one_x ON a_t (x)"],
        "E015",
        "takes the name one_x of an index or constraint of a_t back, but that name is taken.",
        "DROP INDEX one_x{on}",
        frozenset({"sqlite", "postgresql"}),
    ),
    "a text that was a number": Case(
        '("x", models.CharField(max_length=3))',
        alter("x", "IntegerField()"),
        ["INSERT INTO a_t (x) VALUES (1234), (123)"],
        "E012",
        "makes column a_t.x a CharField(3) again: 1 row holds a value that does not fit.",
        "DELETE FROM a_t WHERE x = 1234",
        frozenset({"mariadb"}),
        listed=1,
    ),
    "nulls in a text that may be blank": Case(
        '("n", models.CharField(max_length=10, blank=True))',
        alter("n", "CharField(max_length=10, null=True)"),
        ["INSERT INTO a_t (n) VALUES (NULL)"],
        "E010",
        "makes column a_t.n NOT NULL again: 1 row holds NULL.",
        "DELETE FROM a_t",
        SERVERS,
        listed=1,
    ),
    "an index of this name": Case(
        table(X, "'indexes': [models.Index(fields=['x'], name='by_x')]"),
        'migrations.RemoveIndex("T", "by_x")',
        ["CREATE INDEX by_x ON a_t (x)"],
        "E015",
        "takes the name by_x of an index or constraint of a_t back, but that name is taken.",
        "DROP INDEX by_x{on}",
    ),
}


NAMED = {
    "sqlite": "CREATE INDEX small_x ON a_t (x)",
    "postgresql": "ALTER TABLE a_t ADD CONSTRAINT small_x CHECK (x < 9)",
    "mariadb": "ALTER TABLE a_t ADD CONSTRAINT small_x CHECK (x < 9)",
}


def execute(database: Database, sql: str) -> list[tuple[Any, ...]]:
    on = " ON a_t" if database.vendor == "mariadb" else ""
    with database.connection.cursor() as cursor:
        cursor.execute(sql.format(on=on, named=NAMED[database.vendor]))
        return list(cursor.fetchall()) if cursor.description else []


def deployed(database: Database, project: Project, case: Case) -> None:
    early = {"0001_t": migration(case.early_operations)}
    project(a=early)
    deploy(database.alias, DAY_1)
    project(a={**early, "0002_late": case.late})
    deploy(database.alias, DAY_2)
    for sql in case.rows:
        execute(database, sql)


def found(database: Database, **options: Any) -> list[Finding]:
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], **options)
    return list(preview.findings)


def in_the_way(database: Database) -> list[Finding]:
    return [finding for finding in found(database) if finding.level is Level.BLOCKER]


@pytest.mark.parametrize("name", CASES)
def test_what_is_in_the_way(database: Database, other_database: Database, project: Project, name: str) -> None:
    case = CASES[name]
    if database.vendor not in case.fails:
        deployed(database, project, case)
        assert case.id not in str(in_the_way(database))
        return

    deployed(other_database, project, case)
    blind = workflow.preview(DAY_2.isoformat(), using=[other_database.alias], count=False)
    with pytest.raises(StepFailed):
        workflow.roll_back(blind, destroy_data=True)

    deployed(database, project, case)
    (finding,) = in_the_way(database)
    assert (finding.id, finding.about) == (f"rollback.{case.id}", "a.0002_late")
    assert finding.text == f"a.0002_late {case.text}"
    if case.listed:
        assert finding.facts["query"] in finding.hint
        assert len(execute(database, finding.facts["query"])) == case.listed
    assert roll_back(database, DAY_2).status == 3

    execute(database, case.mend)
    assert in_the_way(database) == []
    said = roll_back(database, DAY_2)
    assert said.status == 0, said.all
    assert keys(database.alias) == [("a", "0001_t")]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.fails != ALL])
def test_what_a_database_does_not_mind(database: Database, project: Project, name: str) -> None:
    case = CASES[name]
    deployed(database, project, case)
    if database.vendor not in case.fails:
        assert in_the_way(database) == []
        assert roll_back(database, DAY_2).status == 0


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("IntegerField(default=5)", "IntegerField(default=5, null=True)"),
        ("IntegerField(default=5)", "IntegerField(null=True)"),
        ("IntegerField(db_default=5)", "IntegerField(db_default=5, null=True)"),
    ],
)
def test_nulls_that_django_fills(database: Database, project: Project, early: str, late: str) -> None:
    rows = ["INSERT INTO a_t (x) VALUES (NULL)"]
    deployed(database, project, Case(f'("x", models.{early})', alter("x", late), rows, "", "", ""))
    assert in_the_way(database) == []
    said = roll_back(database, DAY_2)
    assert said.status == 0, said.all
    assert execute(database, "SELECT x FROM a_t") == [(5,)]


ID = '("id", models.AutoField(primary_key=True))'


@pytest.mark.parametrize(("default", "blocks"), [(", default=1", False), ("", True)])
def test_nulls_of_a_foreign_key(database: Database, project: Project, default: str, blocks: bool) -> None:
    key = f'("u", models.ForeignKey("a.U", models.CASCADE{default}))'
    tables = [("U", ID), ("T", f"{ID}, {key}")]
    early = ", ".join(f'migrations.CreateModel("{name}", [{fields}])' for name, fields in tables)
    late = 'migrations.AlterField("T", "u", models.ForeignKey("a.U", models.SET_NULL, null=True))'
    project(a={"0001_early": early, "0002_late": late})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    deploy(database.alias, DAY_2)
    execute(database, "INSERT INTO a_u (id) VALUES (1)")
    execute(database, "INSERT INTO a_t (u_id) VALUES (NULL)")
    assert bool(in_the_way(database)) is blocks
    said = roll_back(database, DAY_2)
    assert said.status == (3 if blocks else 0), said.all
    assert execute(database, "SELECT u_id FROM a_t") == [(None if blocks else 1,)]


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("CharField(max_length=20)", "CharField(max_length=10)"),
        ("BigIntegerField()", "IntegerField()"),
        ("DecimalField(max_digits=9, decimal_places=2)", "DecimalField(max_digits=5, decimal_places=2)"),
        ("TextField()", "CharField(max_length=10)"),
    ],
)
def test_what_becomes_wider_is_not_in_the_way(database: Database, project: Project, early: str, late: str) -> None:
    rows = ["INSERT INTO a_t (x) VALUES (1)"]
    deployed(database, project, Case(f'("x", models.{early})', alter("x", late), rows, "", "", ""))
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2, destroy_data=False).status == 0


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("nulls", "DROP TABLE a_t"),
        ("nulls", "ALTER TABLE a_t DROP COLUMN x"),
        ("doubles", "ALTER TABLE a_t DROP COLUMN x"),
        ("rows that point nowhere", "DROP TABLE a_p"),
    ],
)
def test_what_is_not_there_has_no_rows_in_the_way(database: Database, project: Project, name: str, gone: str) -> None:
    """A migration that was recorded and never really run, say: other findings, and the run, tell of that."""
    deployed(database, project, CASES[name])
    execute(database, gone)
    assert in_the_way(database) == []


@pytest.mark.databases("postgresql")
def test_a_condition_on_a_column_of_another_type_is_not_judged(database: Database, project: Project) -> None:
    """The run changes the type back before it makes the constraint."""
    early = table(X, "'constraints': [models.CheckConstraint(condition=models.Q(x__lt=5), name='small_x')]")
    late = f'migrations.RemoveConstraint("T", "small_x"), {alter("x", "CharField(max_length=9)")}'
    deployed(database, project, Case(early, late, ["INSERT INTO a_t (x) VALUES ('3')"], "", "", ""))
    assert in_the_way(database) == []
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("mariadb")
def test_dates_that_may_not_be_zero(database: Database, project: Project) -> None:
    deployed(database, project, CASES["a date without a default"])
    execute(database, "SET sql_mode = concat(@@sql_mode, ',NO_ZERO_DATE,NO_ZERO_IN_DATE')")
    (finding,) = in_the_way(database)
    assert finding.id == "rollback.E010"
    with pytest.raises(StepFailed):
        workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[database.alias], count=False), destroy_data=True)
    execute(database, "DELETE FROM a_t")
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.parametrize(
    ("early", "late", "value", "becomes", "fails", "text"),
    [
        (
            '("x", models.DecimalField(max_digits=9, decimal_places=1))',
            "DecimalField(max_digits=9, decimal_places=2)",
            "1.25",
            "1.3",
            SERVERS,
            "a DecimalField(9, 1) again: 1 row holds a value that will be changed.",
        ),
        (
            X,
            "FloatField()",
            "1.25",
            "1",
            SERVERS,
            "an IntegerField again: 1 row holds a value that will be changed.",
        ),
        (
            '("x", models.CharField(max_length=3))',
            "IntegerField()",
            "1234",
            "123",
            {"postgresql"},
            "a CharField(3) again: 1 row holds a value that will be changed.",
        ),
        (
            '("x", models.CharField(max_length=3))',
            "TextField()",
            "'abcd'",
            "abc",
            {"postgresql"},
            "a CharField(3) again: 1 row holds a value that will be changed.",
        ),
    ],
    ids=["decimals", "float", "number", "text"],
)
def test_values_that_are_cut_in_silence(
    database: Database,
    project: Project,
    early: str,
    late: str,
    value: str,
    becomes: str,
    fails: set[str],
    text: str,
) -> None:
    fits = {"1.25": "1", "1234": "12", "'abcd'": "'abc'"}[value]
    rows = [f"INSERT INTO a_t (x) VALUES ({value}), ({fits})"]
    deployed(database, project, Case(early, alter("x", late), rows, "W010", text, ""))
    losses = [finding for finding in found(database, keeping=NOT_KEEPING) if finding.id == "rollback.W010"]
    if database.vendor not in fails:
        assert losses == []
        return
    (finding,) = losses
    assert (finding.level, finding.text) == (Level.LOSS, f"a.0002_late makes column a_t.x {text}")
    assert len(execute(database, finding.facts["query"])) == 1
    assert roll_back(database, DAY_2, destroy_data=False, keep=False).status == 3
    assert roll_back(database, DAY_2).status == 0
    assert becomes in [str(row[0]) for row in execute(database, "SELECT x FROM a_t")]


CODE = """
def forwards(apps, schema_editor):
    pass

def backwards(apps, schema_editor):
    apps.get_model("a", "T").objects.using(schema_editor.connection.alias).filter(x=None).update(x=0)
"""


def test_code_that_runs_before_may_mend_it(database: Database, project: Project) -> None:
    early = {"0001_t": migration(table(X))}
    project(a=early)
    deploy(database.alias, DAY_1)
    late = f"{alter('x', 'IntegerField(null=True)')}, migrations.RunPython(forwards, backwards)"
    project(a={**early, "0002_late": migration(late, [("a", "0001_t")], before=CODE)})
    deploy(database.alias, DAY_2)
    execute(database, "INSERT INTO a_t (x) VALUES (NULL)")

    (finding,) = [finding for finding in found(database) if "holds NULL" in finding.text]
    assert finding.text == (
        "a.0002_late makes column a_t.x NOT NULL again: 1 row holds NULL. The run fails unless code that runs before this "
        "fixes it."
    )
    assert roll_back(database, DAY_2, count=database.vendor != "mariadb").status == 0


def test_a_table_too_large_to_look_through(
    database: Database, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(database, project, CASES["nulls"])
    monkeypatch.setattr(base, "COUNTED_ROWS", 1)
    (finding,) = in_the_way(database)
    assert finding.text == "a.0002_late makes column a_t.x NOT NULL again: at least 2 rows hold NULL."
    execute(database, "UPDATE a_t SET x = 0")
    assert in_the_way(database) == []
    (finding,) = [finding for finding in found(database) if finding.id == "rollback.I020"]
    assert finding.text == (
        "a.0002_late makes column a_t.x NOT NULL again: the table is too large to check completely, so this may fail."
    )
    assert finding.hint.startswith("To check it yourself: SELECT * FROM")


def test_not_looked_at_if_told_so(database: Database, project: Project) -> None:
    deployed(database, project, CASES["nulls"])
    assert [finding.id for finding in found(database, count=False)] == (
        ["rollback.I004"] if database.vendor == "mariadb" else []
    )


@pytest.fixture
def limited(database: Database, project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Call it with rights to go on as a user that has only these; the table a_t is there, with a column of yesterday."""
    deployed(database, project, CASES["nulls"])
    connection, user = database.connection, f"{database.connection.settings_dict['NAME']}_user"

    def go_on_as(*grants: str) -> None:
        execute(database, f"CREATE USER {user}")
        for grant in grants:
            execute(database, f"GRANT {grant} TO {user}")
        if database.vendor == "postgresql":
            execute(database, f"SET ROLE {user}")
        else:
            connection.close()
            monkeypatch.setitem(connection.settings_dict, "USER", user)
            monkeypatch.setitem(connection.settings_dict, "PASSWORD", "")

    yield go_on_as
    connection.close()
    monkeypatch.undo()
    if database.vendor == "postgresql":
        execute(database, f"DROP OWNED BY {user}")
    execute(database, f"DROP USER {user}")


def lacking(database: Database) -> list[str]:
    return [finding.text for finding in found(database) if finding.id == "rollback.E016"]


@pytest.mark.databases("postgresql")
def test_tables_of_somebody_else(database: Database, limited: Callable[..., None]) -> None:
    execute(database, "UPDATE a_t SET x = 0")
    limited("ALL ON SCHEMA public", "ALL ON ALL TABLES IN SCHEMA public")
    (text,) = lacking(database)
    user, owner = execute(database, "SELECT current_user, session_user")[0]
    assert text == f"{user} does not own table a_t, which the run changes: its owner is {owner}."
    assert roll_back(database, DAY_2).status == 3
    with pytest.raises(StepFailed, match="must be owner"):
        workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[database.alias], count=False), destroy_data=True)
    execute(database, "RESET ROLE")
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("postgresql")
def test_a_schema_in_which_nothing_may_be_made(
    database: Database, project: Project, limited: Callable[..., None]
) -> None:
    project.replace(a={**project.apps["a"], "0003_gone": 'migrations.DeleteModel("T")'})
    deploy(database.alias, DAY_2.replace(hour=9))
    limited("USAGE ON SCHEMA public", "ALL ON ALL TABLES IN SCHEMA public")
    (user,) = execute(database, "SELECT current_user")[0]
    assert lacking(database) == [f"{user} may not make tables in schema public, as the run does."]
    with pytest.raises(StepFailed, match="permission denied for schema public"):
        workflow.roll_back(
            workflow.preview(DAY_2.isoformat(), using=[database.alias], count=False), destroy_data=True, journal=False
        )


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    "late",
    [
        'migrations.RemoveIndex("T", "i")',
        'migrations.RemoveField("T", "u")',
        'migrations.AlterModelTable("T", "other")',
        'migrations.AlterField("T", "v", models.IntegerField(null=True))',
    ],
    ids=["index", "column", "table", "unique"],
)
def test_a_schema_in_which_no_index_may_be_made(
    database: Database, project: Project, limited: Callable[..., None], late: str
) -> None:
    """Its own table is not enough for that; a check needs no more."""
    fields = (
        f"{X}, ('u', models.IntegerField(null=True, unique=True)), ('v', models.IntegerField(null=True, unique=True))"
    )
    check = "models.CheckConstraint(condition=models.Q(x__lt=5), name='c')"
    options = f"'db_table': 'b', 'indexes': [models.Index(fields=['x'], name='i')], 'constraints': [{check}]"
    early = {"0001_t": migration(table(fields, options))}
    project.replace(b=early)
    deploy(database.alias, DAY_2)
    project.replace(b={**early, "0002_late": 'migrations.RemoveConstraint("T", "c")', "0003_late": late})
    after = DAY_2.replace(day=3)
    deploy(database.alias, after)
    limited("USAGE ON SCHEMA public", "ALL ON ALL TABLES IN SCHEMA public")
    (user,) = execute(database, "SELECT current_user")[0]
    name = "other" if "AlterModelTable" in late else "b"
    execute(database, "RESET ROLE")
    execute(database, f"ALTER TABLE {name} OWNER TO {user}")
    execute(database, f"GRANT {user} TO current_user")
    execute(database, f"SET ROLE {user}")
    (preview,) = workflow.preview(after.isoformat(), using=[database.alias])
    (text,) = [finding.text for finding in preview.findings if finding.id == "rollback.E016"]
    assert text == f"{user} may not make or rename tables and indexes in schema public, as the run does."
    blind = workflow.preview(after.isoformat(), using=[database.alias], count=False)
    with pytest.raises(StepFailed, match="permission denied for schema public"):
        workflow.roll_back(blind, destroy_data=True, journal=False)
    execute(database, "RESET ROLE")
    execute(database, f"ALTER TABLE {name} OWNER TO current_user")


@pytest.mark.databases("mariadb")
def test_rights_that_were_not_granted(database: Database, limited: Callable[..., None]) -> None:
    name = database.connection.settings_dict["NAME"].replace("_", r"\_")
    execute(database, "UPDATE a_t SET x = 0")
    limited(f"SELECT, INSERT, UPDATE, DELETE, CREATE ON `{name}`.*", "SELECT, ALTER ON django_migrations")
    (text,) = lacking(database)
    assert text.endswith("_user@% has no right to alter table a_t, as the run does.")
    with pytest.raises(StepFailed, match="ALTER command denied"):
        workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[database.alias], count=False), destroy_data=True)


@pytest.mark.databases("mariadb")
@pytest.mark.parametrize("rights", ["ALL", "SELECT, ALTER"])
def test_rights_that_were_granted(database: Database, limited: Callable[..., None], rights: str) -> None:
    limited(f"{rights} ON {database.connection.settings_dict['NAME']}.*")
    assert lacking(database) == []


@pytest.mark.databases("mariadb")
def test_rights_by_pattern_are_not_judged(database: Database, limited: Callable[..., None]) -> None:
    limited("SELECT ON `rollback%`.*")
    assert lacking(database) == []


def test_losses_of_large_tables(database: Database, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project(a={"0001_t": table('("x", models.IntegerField(null=True))')})
    deploy(database.alias, DAY_2)
    execute(database, "INSERT INTO a_t (x) VALUES (1), (2), (3), (NULL)")
    monkeypatch.setattr(base, "COUNTED_ROWS", 2)
    loss = "drops table a_t: more than 2 rows"
    if database.vendor == "postgresql":  # never analysed
        assert loss in losses(database)
    execute(database, {"mariadb": "ANALYZE TABLE a_t"}.get(database.vendor, "ANALYZE"))
    about = "" if database.vendor == "sqlite" else ", about 4 by the database's statistics"
    assert f"{loss}{about}" in losses(database)


def losses(database: Database) -> list[str]:
    """What would be lost if nothing were kept."""
    findings = found(database, keeping=NOT_KEEPING)
    return [finding.text.rstrip(".") for finding in findings if finding.level is Level.LOSS]


def test_rows_of_many_to_many_tables(database: Database, project: Project) -> None:
    early = {"0001_t": table()}
    project(a=early)
    deploy(database.alias, DAY_1)
    late = "migrations.AddField('T', 'others', models.ManyToManyField('a.T'))"
    made = 'migrations.CreateModel("U", [("id", models.AutoField(primary_key=True)), ("ts", models.ManyToManyField("a.T"))])'
    project(a={**early, "0002_late": f"{late}, {made}"})
    deploy(database.alias, DAY_2)
    for sql in (
        "INSERT INTO a_t (id) VALUES (1), (2)",
        "INSERT INTO a_u (id) VALUES (1)",
        "INSERT INTO a_t_others (from_t_id, to_t_id) VALUES (1, 2), (2, 1)",
        "INSERT INTO a_u_ts (u_id, t_id) VALUES (1, 1), (1, 2)",
    ):
        execute(database, sql)
    assert losses(database) == [
        "drops table a_u_ts: 2 rows",
        "drops table a_u: 1 row",
        "drops table a_t_others: 2 rows",
    ]


@pytest.mark.databases("postgresql")
def test_columns_of_foreign_tables_are_known(database: Database) -> None:
    """Migrations can change these too, so what is in them can be lost."""
    with database.connection.cursor() as cursor:
        cursor.execute("CREATE FOREIGN DATA WRAPPER nowhere")
        cursor.execute("CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere")
        cursor.execute("CREATE FOREIGN TABLE far (x integer) SERVER nowhere")
        try:
            assert ("far", "x") in databases.get(database.alias).columns()
        finally:
            cursor.execute("DROP FOREIGN DATA WRAPPER nowhere CASCADE")
