"""When something goes back by itself, what goes back by hand, and that a migrate never fails for it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connections
from django.db.models.signals import post_migrate

from rollback_app import workflow
from rollback_app.bookkeeping import KEPT_TABLE, Catalogue, table_of
from rollback_app.database import get
from rollback_app.errors import UsageError, database_option
from rollback_app.history import Key
from rollback_app.safety import KeptKind, KeptState
from tests.kept.test_put_back import DAY_1, DAY_2, EARLY, ID, ask, entries, roll_back
from tests.kept.test_put_back_rows import N, late, model
from tests.support.databases import Database
from tests.support.history import deploy, migrate
from tests.support.kept import tables
from tests.support.projects import Project

X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
ROWS = ("INSERT INTO a_n (id, x) VALUES (1, 1), (2, 2)", "UPDATE a_t SET x = 7")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "rollback_app.kept"]


def test_it_is_told_what_went_back(database: Database, project: Project) -> None:
    late(database, project, X, N, rows=ROWS)
    told = StringIO()
    call_command("migrate", database=database.alias, stdout=told, no_color=True)
    assert told.getvalue().splitlines()[-2:] == [
        "Put back what a rollback had kept of a_n: 2 rows.",
        "Put back what a rollback had kept of a_t.x: 2 rows.",
    ]


def test_a_migrate_that_crashes_and_is_run_again(database: Database, project: Project) -> None:
    """What the application has written in between wins."""
    late(database, project, X, N, rows=ROWS)
    crash = 'migrations.RunSQL("SELECT * FROM there_is_none")'
    project.replace(a={"0001_early": EARLY, "0002_late": f"{X}, {N}", "0003_crash": crash})
    with pytest.raises(DatabaseError):
        migrate(database.alias)
    assert ask(database, "SELECT * FROM a_n") == []
    ask(database, "INSERT INTO a_n (id, x) VALUES (2, 9), (3, 9)")
    ask(database, "UPDATE a_t SET x = 9 WHERE id = 1")

    project.replace(a={"0001_early": EARLY, "0002_late": f"{X}, {N}"})
    migrate(database.alias)
    assert ask(database, "SELECT id, x FROM a_n ORDER BY id") == [(1, 1), (2, 9), (3, 9)]
    assert ask(database, "SELECT id, x FROM a_t ORDER BY id") == [(1, 9), (2, 7)]
    table, column = entries(database)
    assert table.why == ((1, "a row with the same key is there"),)
    assert column.why == ((1, "the row holds a value of its own"),)


def test_app_by_app(database: Database, project: Project) -> None:
    """Each migrate puts back what it makes."""
    there = model("N", ID, '("t", models.ForeignKey("a.T", models.CASCADE))')
    other = {"0001_b": "migrations.RunPython(lambda apps, editor: None, lambda apps, editor: None)", "0002_n": there}
    project(a={"0001_early": EARLY, "0002_late": X}, b=other)
    deploy(database.alias, DAY_1, [Key("a", "0001_early"), Key("b", "0001_b")])
    ask(database, "INSERT INTO a_t (id) VALUES (1)")
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO b_n (t_id) VALUES (1)")
    ask(database, "UPDATE a_t SET x = 1")
    roll_back(database)
    migrate(database.alias, "b")
    assert {(each.source, each.state.value) for each in entries(database)} == {("a_t.x", "kept"), ("b_n", "put back")}
    migrate(database.alias, "a")
    assert ask(database, "SELECT x FROM a_t") == [(1,)]
    assert ask(database, "SELECT id, t_id FROM b_n") == [(1, 1)]
    assert tables(database) == set()


def test_put_back_false(database: Database, project: Project, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    late(database, project, X, N, rows=ROWS)
    settings.ROLLBACK = {"PUT_BACK": False}
    migrate(database.alias)
    assert ask(database, "SELECT * FROM a_n") == []
    table, column = entries(database)
    assert said(caplog) == [
        f"Kept data of {database.alias}: {each.source} is there again. Its rows were not put back, since "
        f"ROLLBACK['PUT_BACK'] is False: `python manage.py putback {each.number}{database_option(database.alias)}` does it."
        for each in (table, column)
    ]
    settings.ROLLBACK = {}
    migrate(database.alias)  # never later by itself
    assert ask(database, "SELECT * FROM a_n") == []

    ask(database, "UPDATE a_t SET x = 9 WHERE id = 1")
    ask(database, "INSERT INTO a_n (id, x) VALUES (1, 9)")
    table, column = workflow.put_back(database.alias)
    assert (table.left, column.left) == (1, 1)
    assert ask(database, "SELECT id, x FROM a_n ORDER BY id") == [(1, 9), (2, 2)]
    assert ask(database, "SELECT id, x FROM a_t ORDER BY id") == [(1, 9), (2, 7)]
    workflow.put_back(database.alias, [table.number, column.number], overwrite=True)
    assert ask(database, "SELECT id, x FROM a_n ORDER BY id") == [(1, 1), (2, 2)]
    assert ask(database, "SELECT id, x FROM a_t ORDER BY id") == [(1, 7), (2, 7)]
    assert tables(database) == set()


def test_numbers_that_do_not_exist(database: Database, project: Project) -> None:
    late(database, project, N, rows=ROWS[:1])
    with pytest.raises(UsageError):
        workflow.put_back(database.alias, [1, 77])


def test_before_it_is_there_again(database: Database, project: Project) -> None:
    late(database, project, X, N, rows=ROWS)
    table, column = workflow.put_back(database.alias)
    assert table.why == ((2, "table a_n is not there"),)
    assert column.why == ((2, "column x of table a_t is not there"),)
    migrate(database.alias)
    assert tables(database) == set()


def test_somebody_has_dropped_the_table(database: Database, project: Project, caplog: pytest.LogCaptureFixture) -> None:
    late(database, project, X, N, rows=ROWS)
    table, column = entries(database)
    ask(database, f"DROP TABLE {table_of(table.number)}")
    migrate(database.alias)
    assert [each.state for each in entries(database)] == [KeptState.DROPPED, KeptState.PUT_BACK]
    assert said(caplog) == [
        f"Kept data of {database.alias}: the table with the rows of a_n, number {table.number}, was dropped by somebody."
    ]
    assert column.left == 2


def test_a_kept_table_without_its_columns(
    database: Database, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The migrate does not fail for it, nor does the rest stay."""
    late(database, project, X, N, rows=ROWS)
    table, column = entries(database)
    for entry in (table, column):
        ask(database, f"ALTER TABLE {table_of(entry.number)} RENAME COLUMN x TO y")
    migrate(database.alias)
    assert [(each.state, each.left) for each in entries(database)] == [(KeptState.KEPT, 2)] * 2
    assert len(said(caplog)) == 2
    assert ask(database, "SELECT id FROM a_n") == []


def test_a_second_rollback_before_going_forward(database: Database, project: Project, settings: Any) -> None:
    """The newer copy goes back; what the older one holds stays kept."""
    late(database, project, X, N, rows=ROWS)
    settings.ROLLBACK = {"RECORD": False}
    crash = 'migrations.RunSQL("SELECT * FROM there_is_none")'
    project.replace(a={"0001_early": EARLY, "0002_late": f"{X}, {N}", "0003_crash": crash})
    with pytest.raises(DatabaseError):
        migrate(database.alias)
    ask(database, "INSERT INTO a_n (id, x) VALUES (1, 5)")
    project.replace(a={"0001_early": EARLY, "0002_late": f"{X}, {N}"})
    roll_back(database)
    older, *_, newer = [each for each in entries(database) if each.kind is KeptKind.TABLE]
    assert older.source == newer.source == "a_n"
    migrate(database.alias)
    assert ask(database, "SELECT id, x FROM a_n") == [(1, 5)]
    older, *_ = entries(database)
    assert (older.state, older.left) == (KeptState.KEPT, 2)
    assert older.why == ((2, f"a newer copy, {newer.number}, was put back"),)

    (older,) = workflow.put_back(database.alias)
    assert ask(database, "SELECT id, x FROM a_n ORDER BY id") == [(1, 5), (2, 2)]
    assert older.left == 1


def test_the_newest_of_several_wins(database: Database, project: Project, settings: Any) -> None:
    settings.ROLLBACK = {"PUT_BACK": False}
    late(database, project, N, rows=ROWS[:1])
    migrate(database.alias)
    ask(database, "INSERT INTO a_n (id, x) VALUES (1, 5)")
    roll_back(database)
    migrate(database.alias)
    older, newer = workflow.put_back(database.alias, overwrite=True)
    assert (older.left, newer.left) == (1, 0)
    assert ask(database, "SELECT id, x FROM a_n ORDER BY id") == [(1, 5), (2, 2)]


def test_a_catalogue_that_cannot_be_written(
    database: Database, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even then does a migrate fail."""
    late(database, project, N, rows=ROWS[:1])
    triggers = {
        "sqlite": ["CREATE TRIGGER no BEFORE UPDATE ON {} BEGIN SELECT raise(ABORT, 'not now'); END"],
        "postgresql": [
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$",
            "CREATE TRIGGER no BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION no()",
        ],
        "mariadb": [
            "CREATE TRIGGER no BEFORE UPDATE ON {} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'"
        ],
    }
    for statement in triggers[database.vendor]:
        ask(database, statement.format(KEPT_TABLE))
    migrate(database.alias)
    assert len(said(caplog)) == 1
    assert "not now" in said(caplog)[0]
    assert ask(database, "SELECT * FROM a_n") == []


class After:
    """A receiver that others have connected later, as content types and permissions may be."""

    def __init__(self, database: Database) -> None:
        self.database, self.seen = database, list[Any]()

    def __call__(self, using: str, **kwargs: Any) -> None:
        self.seen.append(ask(self.database, "SELECT count(*) FROM a_n"))


def test_it_comes_after_all_other_receivers(database: Database, project: Project) -> None:
    late(database, project, N, rows=ROWS[:1])
    after = After(database)
    post_migrate.connect(after)
    try:
        migrate(database.alias)
    finally:
        post_migrate.disconnect(after)
    assert set(map(str, after.seen)) == {"[(0,)]"}
    assert ask(database, "SELECT count(*) FROM a_n") == [(2,)]


@pytest.mark.databases("mariadb")
def test_a_lock_of_somebody_else(database: Database, project: Project, settings: Any) -> None:
    """It is waited for once, and not for each row."""
    table = model("N", ID, '("t", models.ForeignKey("a.T", models.CASCADE))')
    late(database, project, table, rows=("INSERT INTO a_n (id, t_id) VALUES (1, 1), (2, 2)",))
    settings.ROLLBACK = {"PUT_BACK": False}
    migrate(database.alias)
    ask(database, "SET innodb_lock_wait_timeout = 1")
    other = connections[database.alias].copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT * FROM a_t FOR UPDATE")
        (entry,) = workflow.put_back(database.alias)
    finally:
        other.rollback()
        other.close()
    assert (entry.state, entry.left) == (KeptState.KEPT, 2)
    assert "Lock wait timeout" in entry.why[0][1]


@pytest.mark.parametrize("wins", [False, True])
def test_values_that_a_change_had_cut(database: Database, project: Project, wins: bool) -> None:
    """They go back where the row still holds what they had become."""
    column = 'migrations.AddField("T", "s", models.CharField(max_length=5, null=True))'
    wide = 'migrations.AlterField("T", "s", models.CharField(max_length=9, null=True))'
    project(a={"0001_early": f"{EARLY}, {column}", "0002_late": wide})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    # As a rollback would have left it.
    ask(database, "INSERT INTO a_t (id, s) VALUES (1, 'abcde'), (2, 'other'), (3, 'ABCDE')")
    catalogue = Catalogue(get(database.alias))
    kind = {"sqlite": "varchar(9)", "postgresql": "character varying(9)", "mariadb": "varchar(9)"}[database.vendor]
    number = catalogue.add(
        kind=KeptKind.VALUES,
        table="a_t",
        column="s",
        key=["id"],
        columns=[("id", "integer" if database.vendor != "mariadb" else "int(11)"), ("s", kind)],
        rows=4,
        left=4,
        state=KeptState.KEPT,
    )
    columns = "id integer, s varchar(9), rollback_became varchar(5)"
    ask(database, f"CREATE TABLE {table_of(number)} ({columns})")
    values = "(1, 'abcdefg', 'abcde'), (2, 'abcdefh', 'abcde'), (3, 'abcdefi', 'abcde'), (4, 'abcdefj', 'abcde')"
    ask(database, f"INSERT INTO {table_of(number)} VALUES {values}")
    migrate(database.alias)
    if wins:
        workflow.put_back(database.alias, overwrite=True)
    found = ask(database, "SELECT id, s FROM a_t ORDER BY id")
    assert found == (
        [(1, "abcdefg"), (2, "abcdefh"), (3, "abcdefi")] if wins else [(1, "abcdefg"), (2, "other"), (3, "ABCDE")]
    )
