"""KEEP_DROPPED where something is in the way: size, rights, failures, rows that cannot go back, names, other moments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db import DatabaseError

from rollback_app import workflow
from rollback_app.planner import Choices
from rollback_app.safety import KeptState
from tests.kept.test_dropped import (
    DAY_1,
    DAY_2,
    DESTROYS,
    ID,
    NO_STRICT,
    ask,
    back,
    entries,
    everything_is_back,
    keep_dropped,
    said,
    shop,
    strict,
    there,
)
from tests.kept.test_dropped import T as T_OF_SHOP
from tests.kept.test_there_and_back import contents, missing
from tests.support.commands import call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate
from tests.support.kept import NO_TABLES, making_no_tables, open_copies, tables
from tests.support.projects import Project, migration

__all__ = ["keep_dropped", "shop"]

DAY_3 = datetime(2024, 5, 3, 8, 0, tzinfo=timezone.utc)
T = f'migrations.CreateModel("T", [{ID}, ("x", models.IntegerField(null=True))])'
NO_X = 'migrations.RemoveField("T", "x")'
ROWS = "INSERT INTO a_t (id, x) VALUES (1, 7), (2, NULL), (3, 9)"
FAILS = 'migrations.RunSQL("SELECT * FROM there_is_none", "")'


def xs(database: Database) -> list[tuple[object, ...]]:
    return ask(database, "SELECT id, x FROM a_t ORDER BY id")


def first(database: Database, project: Project, **late: str) -> None:
    project(a={"0001_t": T, **{f"{name[1:]}": text for name, text in late.items()}})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, ROWS)


# What is not kept


def test_off_by_default(shop: Database, settings: Any) -> None:
    settings.ROLLBACK = {}
    there(shop)
    assert entries(shop) == []
    settings.ROLLBACK = {"KEEP_DROPPED": True}
    told = back(shop, plan=True)
    assert "makes table a_n again, empty [rollback.I011]" in told.out
    assert "Puts back" not in told.out


@pytest.mark.parametrize("size", ["1B", "a lot"])
def test_what_is_too_large(size: str, shop: Database, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.ROLLBACK = {"KEEP_DROPPED": True, "KEEP_AT_MOST": size}
    there(shop)
    if size == "a lot":
        assert len(open_copies(shop)) >= 3
        assert "ROLLBACK['KEEP_AT_MOST'] is wrong: 'a lot' is not a size." in caplog.text
        return
    assert open_copies(shop) == []
    about = f"Kept data of {shop.alias}: a.0002_destroys destroys what is not kept. "
    told = said(caplog)
    assert {line.removeprefix(about).partition(": ")[0] for line in told} >= {"a_n", "a_t_friends", "a_t.x"}
    assert all(line.endswith(", and a run keeps at most 1 B.") for line in told)
    assert back(shop).status == 0
    assert ask(shop, "SELECT * FROM a_n") == []


def test_one_size_for_the_whole_migrate(
    database: Database, project: Project, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first(
        database,
        project,
        _0002_n=f'migrations.CreateModel("N", [{ID}])',
        _0003_no_x=NO_X,
        _0004_no_n='migrations.DeleteModel("N")',
    )
    migrate(database.alias, "a", "0002")
    ask(database, "INSERT INTO a_n (id) VALUES (1), (2), (3), (4)")
    settings.ROLLBACK = {"KEEP_DROPPED": True, "KEEP_AT_MOST": "80B"}
    migrate(database.alias)
    assert [each.source for each in open_copies(database)] == ["a_t.x"]
    (line,) = said(caplog)
    assert "a.0004_no_n destroys what is not kept. a_n: it takes about " in line


@pytest.fixture
def without_the_right(database: Database, project: Project) -> Iterator[Database]:
    first(database, project, _0002_no_x=NO_X)
    with making_no_tables(database, "a_t"):
        yield database


@pytest.mark.databases(*NO_TABLES)
def test_without_the_right_to_create_tables(without_the_right: Database, caplog: pytest.LogCaptureFixture) -> None:
    database = without_the_right
    migrate(database.alias)
    assert keys(database.alias)[-1] == ("a", "0002_no_x")
    why = NO_TABLES[database.vendor]
    about = f"Kept data of {database.alias}: a.0002_no_x destroys what is not kept."
    assert f"{about} a_t.x: {why}." in said(caplog)


def test_a_copy_that_fails(database: Database, project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """The migrate goes on. Nothing of the copy is left."""
    first(database, project, _0002_no_x=NO_X)
    ask(database, "CREATE TABLE rollback_app_kept (id integer PRIMARY KEY)")  # somebody else's
    migrate(database.alias)
    assert keys(database.alias)[-1] == ("a", "0002_no_x")
    assert tables(database) == set()
    assert any("a.0002_no_x destroys what could not be kept: " in line for line in said(caplog))


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(("value", "told"), [("1.5", []), ("1.125", ["a_t.x: it is the primary key."])])
def test_a_primary_key_that_is_cut(
    value: str, told: list[str], database: Database, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would know then which row had which value."""
    key = '("x", models.DecimalField(max_digits=8, decimal_places={}, primary_key=True))'
    cut = 'migrations.AlterField("T", "x", models.DecimalField(max_digits=8, decimal_places=1, primary_key=True))'
    project(a={"0001_t": f'migrations.CreateModel("T", [{key.format(3)}])', "0002_x": cut})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, f"INSERT INTO a_t (x) VALUES ({value})")
    deploy(database.alias, DAY_2)
    assert tables(database) == set()
    about = f"Kept data of {database.alias}: a.0002_x destroys what is not kept. "
    assert said(caplog) == [about + words for words in told]


# Migrates that fail, are faked, or are run again


def test_a_migrate_that_fails_after_it(database: Database, project: Project) -> None:
    first(database, project, _0002_no_x=f"{NO_X}, {FAILS}")
    with pytest.raises(DatabaseError):
        migrate(database.alias)
    if database.vendor == "mariadb":  # which cannot take the drop back
        (entry,) = open_copies(database)
        assert (entry.source, entry.rows, entry.state, entry.about) == ("a_t.x", 2, KeptState.KEPT, "a.0002_no_x")
        project.replace(a={"0001_t": T, "0002_no_x": NO_X})
        migrate_fake(database)
        (entry,) = open_copies(database)
    else:
        assert entries(database) == []
        assert tables(database) == set()
        assert xs(database) == [(1, 7), (2, None), (3, 9)]
        project.replace(a={"0001_t": T, "0002_no_x": NO_X})
        deploy(database.alias, DAY_2)
    assert back(database).status == 0
    assert xs(database) == [(1, 7), (2, None), (3, 9)]


def migrate_fake(database: Database) -> None:
    call("migrate", database=database.alias, fake=True, verbosity=0)
    from tests.support.history import set_applied

    set_applied(database.alias, {("a", "0002_no_x"): DAY_2})


def test_a_migrate_that_fails_before_it(database: Database, project: Project) -> None:
    """The copy that it made is none of what was destroyed, and the next one does without it."""
    first(database, project, _0002_no_x=f"{FAILS}, {NO_X}")
    with pytest.raises(DatabaseError):
        migrate(database.alias)
    assert [each.state for each in entries(database)] == [KeptState.COPIED] * (database.vendor == "mariadb")
    if database.vendor == "mariadb":
        told = call("showkept", database=database.alias).out
        assert "The migrate that made this copy broke off, or is still under way." in told
    ask(database, "UPDATE a_t SET x = 8 WHERE id = 1")
    project.replace(a={"0001_t": T, "0002_no_x": NO_X})
    deploy(database.alias, DAY_2)
    assert len(open_copies(database)) == 1
    assert back(database).status == 0
    assert xs(database) == [(1, 8), (2, None), (3, 9)]
    assert tables(database) == set()


def test_faked(database: Database, project: Project) -> None:
    first(database, project, _0002_no_x=NO_X)
    migrate_fake(database)
    assert entries(database) == []
    assert xs(database) == [(1, 7), (2, None), (3, 9)]


def test_forth_and_back_again(database: Database, project: Project) -> None:
    first(database, project, _0002_no_x=NO_X)
    for value in (7, 8):
        ask(database, f"UPDATE a_t SET x = {value} WHERE id = 1")
        deploy(database.alias, DAY_2)
        assert back(database).status == 0
        assert xs(database) == [(1, value), (2, None), (3, 9)]
        assert tables(database) == set()


def test_migrate_backwards_puts_nothing_back(database: Database, project: Project) -> None:
    """Two copies then: the older one is put back only by hand."""
    first(database, project, _0002_no_x=NO_X)
    migrate(database.alias)
    migrate(database.alias, "a", "0001")
    assert xs(database) == [(1, None), (2, None), (3, None)]
    ask(database, "UPDATE a_t SET x = 5 WHERE id = 2")
    deploy(database.alias, DAY_2)
    assert len(open_copies(database)) == 2
    told = back(database)
    assert told.status == 0
    assert "with 1 kept value\n" in told.out
    assert xs(database) == [(1, None), (2, 5), (3, None)]
    (left,) = open_copies(database)
    assert left.why == ((2, f"a newer copy, {left.number + 1}, was put back"),)
    workflow.put_back(database.alias, [left.number])
    assert xs(database) == [(1, 7), (2, 5), (3, 9)]


@pytest.mark.databases("mariadb")  # elsewhere the copy is gone with the transaction of the migrate
def test_a_rollback_does_not_take_over_the_copy_of_a_migrate(database: Database, project: Project) -> None:
    y = 'migrations.AddField("T", "y", models.IntegerField(null=True))'
    first(database, project, _0002_y=y)
    deploy(database.alias, DAY_2)
    ask(database, "UPDATE a_t SET y = 5 WHERE id = 2")
    project.replace(a={"0001_t": T, "0002_y": y, "0003_no_x": f"{FAILS}, {NO_X}"})
    with pytest.raises(DatabaseError):
        migrate(database.alias)
    assert back(database).status == 0
    assert [(each.source, each.state) for each in entries(database)] == [
        ("a_t.x", KeptState.COPIED),
        ("a_t.y", KeptState.KEPT),
    ]
    project.replace(a={"0001_t": T, "0002_y": y, "0003_no_x": NO_X})
    deploy(database.alias, DAY_2)
    assert [each.source for each in open_copies(database)] == ["a_t.x"]
    assert ask(database, "SELECT id, y FROM a_t ORDER BY id") == [(1, None), (2, 5), (3, None)]


# Where it goes back to


@pytest.mark.parametrize("step_by_step", [False, True])
def test_columns_with_checks_that_take_no_nulls(step_by_step: bool, database: Database, project: Project) -> None:
    """MariaDB has the checks of Django in the definition of a column."""
    columns = '("p", models.PositiveIntegerField()), ("j", models.JSONField())'
    gone = 'migrations.RemoveField("T", "p"), migrations.RemoveField("T", "j")'
    project(a={"0001_t": f'migrations.CreateModel("T", [{ID}, {columns}])', "0002_gone": gone})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, "INSERT INTO a_t (id, p, j) VALUES (1, 7, '[1]'), (2, 9, '{}')")
    before = there(database)
    told = back(database, step_by_step=step_by_step)
    assert told.status == 0, told.all
    assert everything_is_back(database, before)
    with pytest.raises(DatabaseError):
        ask(database, "UPDATE a_t SET p = -1")


def test_what_cannot_go_back_stays_kept(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    n = f'migrations.CreateModel("N", [{ID}, ("t", models.ForeignKey("a.T", models.CASCADE))])'
    project(a={"0001_t": f"{T}, {n}", "0002_gone": f'{NO_X}, migrations.DeleteModel("N")'})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, ROWS, "INSERT INTO a_n (id, t_id) VALUES (1, 1), (2, 3)")
    deploy(database.alias, DAY_2)
    ask(database, "DELETE FROM a_t WHERE id = 3")
    told = back(database)
    assert told.status == 0, told.all
    assert xs(database) == [(1, 7), (2, None)]
    assert ask(database, "SELECT id, t_id FROM a_n") == [(1, 1)]
    warned = capsys.readouterr().err
    whys = {each.source: each.why for each in open_copies(database)}
    assert whys == {"a_n": ((1, "t_id points to no row of a_t"),), "a_t.x": ((1, "the row is not there"),)}
    for words in (
        "a_n: 1 of 2 rows could not be put back (1: t_id points",
        "a_t.x: 1 of 2 rows could not be put back (1: the",
    ):
        assert f"Kept data of {database.alias}: {words}" in warned
    assert "Put back what a migrate had kept of a_n: 1 row.\n" in told.out


def test_nothing_of_it_can_go_back(database: Database, project: Project) -> None:
    first(database, project, _0002_no_x=NO_X)
    deploy(database.alias, DAY_2)
    ask(database, "DELETE FROM a_t")
    told = back(database)
    assert told.status == 0, told.all
    assert "Put back" not in told.out
    assert [(each.rows, each.left) for each in open_copies(database)] == [(2, 2)]


def test_a_migration_that_was_changed_since(shop: Database, project: Project) -> None:
    """What it no longer destroys has no place to go back to."""
    there(shop)
    gone = 'migrations.RunSQL("SELECT 1", ""), '
    project.replace(
        a={"0001_t": T_OF_SHOP, "0002_destroys": gone + DESTROYS.replace('migrations.DeleteModel("N"),', "")}
    )
    (plan,) = back(shop, plan=True, format="json").json["plans"]
    assert {each["source"] for each in plan["comes_back"]} >= {"a_t.x", "a_t_friends"}
    assert "a_n" not in {each["source"] for each in plan["comes_back"]}


def test_a_moment_in_the_middle(database: Database, project: Project) -> None:
    """Between two migrations that destroy, with a renaming after them."""
    late = {
        "_0002_no_x": NO_X,
        "_0003_u": 'migrations.RenameModel("T", "U"), migrations.AddField("U", "y", models.IntegerField(default=3))',
        "_0004_no_y": 'migrations.RemoveField("U", "y"), migrations.RenameModel("U", "V")',
    }
    first(database, project, **late)
    deploy(database.alias, DAY_2, [("a", "0003_u")])
    ask(database, "UPDATE a_u SET y = id")
    deploy(database.alias, DAY_3)
    assert [each.source for each in open_copies(database)] == ["a_t.x", "a_u.y"]
    assert roll_back(database, DAY_3, hold=False).status == 0
    assert ask(database, "SELECT id, y FROM a_u ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
    assert [each.source for each in open_copies(database)] == ["a_t.x"]
    deploy(database.alias, DAY_3)
    told = back(database)
    assert told.status == 0, told.all
    assert xs(database) == [(1, 7), (2, None), (3, 9)]


def test_renamed_in_the_same_migration(database: Database, project: Project) -> None:
    """The plan, and what puts it back, go by the names of the older release."""
    late = (
        'migrations.RenameField("T", "x", "z"), migrations.RenameModel("T", "U"), migrations.RemoveField("U", "z"),'
        'migrations.SeparateDatabaseAndState([migrations.DeleteModel("N")], [migrations.DeleteModel("N")])'
    )
    project(a={"0001_t": f'{T}, migrations.CreateModel("N", [{ID}])', "0002_late": late})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, ROWS, "INSERT INTO a_n (id) VALUES (1)")
    before = there(database)
    assert {each.source for each in open_copies(database)} == {"a_t.x", "a_n"}
    told = back(database)
    assert told.status == 0, told.all
    assert "adds column a_u.z again, with 2 kept values" in told.out
    assert "makes table a_n again, with 1 kept row" in told.out
    assert everything_is_back(database, before)


def test_code_of_the_same_migration_and_of_an_older_one(database: Database, project: Project) -> None:
    """What was kept wins over code of its own migration; code of an older one works on it, as it would on what it had made."""
    code = """
def times(number):
    def change(apps, editor):
        for each in apps.get_model("a", "T").objects.using(editor.connection.alias).exclude(x=None):
            each.x = each.x * number if number > 1 else each.x // 100
            each.save()
    return change

def set_5(apps, editor):
    apps.get_model("a", "T").objects.using(editor.connection.alias).update(x=5)
"""
    project(
        a={
            "0001_t": T,
            "0002_cents": migration("migrations.RunPython(times(100), times(0))", [("a", "0001_t")], before=code),
            "0003_no_x": migration(
                f"migrations.RunPython(migrations.RunPython.noop, set_5), {NO_X}", [("a", "0002_cents")], before=code
            ),
        }
    )
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    ask(database, ROWS)
    deploy(database.alias, DAY_2)
    (entry,) = open_copies(database)
    assert entry.rows == 3  # the null as well, since code could fill it
    told = back(database)
    assert told.status == 0, told.all
    assert xs(database) == [(1, 7), (2, None), (3, 9)]


@pytest.mark.databases("postgresql")
def test_a_migration_that_is_no_transaction(database: Database, project: Project) -> None:
    first(database, project)
    ask(database, "CREATE INDEX by_x ON a_t (x)")
    project.replace(a={"0001_t": T, "0002_no_x": migration(NO_X, [("a", "0001_t")], atomic=False)})
    before = there(database)
    assert [each.state for each in open_copies(database)] == [KeptState.KEPT]
    assert back(database).status == 0
    assert missing(before, contents(database)) == {}


# Other ways


def test_several_databases(database: Database, other_database: Database, project: Project) -> None:
    first(database, project, _0002_no_x=NO_X)
    deploy(other_database.alias, DAY_1, [("a", "0001_t")])
    ask(other_database, "INSERT INTO a_t (id, x) VALUES (1, 5)")
    for alias in (database.alias, other_database.alias):
        deploy(alias, DAY_2)
    told = roll_back(database, DAY_2, database=[database.alias, other_database.alias], destroy_data=False, hold=False)
    assert told.status == 0, told.all
    assert (xs(database), xs(other_database)) == ([(1, 7), (2, None), (3, 9)], [(1, 5)])


@pytest.mark.databases("sqlite", "postgresql")
def test_a_rehearsal_of_a_column_that_takes_no_nulls(database: Database, project: Project) -> None:
    strict(database, project, {"0002_no_x": NO_STRICT})
    told = back(database, rehearse=True)
    assert told.status == 0, told.all
    assert 'UPDATE "a_t" ' in told.out
    assert back(database).status == 0
    assert ask(database, "SELECT id, x, s FROM a_t ORDER BY id") == [(1, 7, "one"), (2, 9, "two")]


@pytest.mark.databases("sqlite", "postgresql")
def test_a_rehearsal(shop: Database) -> None:
    there(shop)
    before, kept = contents(shop), tables(shop)
    told = back(shop, rehearse=True)
    assert told.status == 0, told.all
    assert "  To put data back, after a.0002_destroys: " in told.out
    assert 'INSERT INTO "a_n" ("id", "t_id")' in told.out
    assert (contents(shop), tables(shop)) == (before, kept)
    assert {each.state for each in open_copies(shop)} == {KeptState.KEPT}


def test_put_back_false(shop: Database, settings: Any) -> None:
    settings.ROLLBACK = {"KEEP_DROPPED": True, "PUT_BACK": False}
    before = there(shop)
    told = back(shop)
    assert told.status == 0, told.all
    assert "makes table a_n again, empty" in told.out
    assert "Only `putback" in call("showkept", database=shop.alias).out
    assert call("putback", all=True, database=shop.alias).status == 0
    assert everything_is_back(shop, before)


def test_dropped_by_hand(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """By `dropkept`, and by somebody who drops the table alone."""
    there(shop)
    (table,) = (each for each in open_copies(shop) if each.source == "a_n")
    (column,) = (each for each in open_copies(shop) if each.source == "a_t.x")
    assert call("dropkept", table.number, database=shop.alias, interactive=False).status == 0
    ask(shop, f"DROP TABLE rollback_kept_{column.number}")
    told = back(shop)
    assert told.status == 0, told.all
    assert "makes table a_n again, empty" in told.out
    assert "adds column a_t.x again, without its values" in told.out
    assert (
        f"the table with the rows of a_t.x, number {column.number}, was dropped by somebody." in capsys.readouterr().err
    )
    assert ask(shop, "SELECT * FROM a_n") == []


def test_a_faked_rollback_puts_nothing_back(database: Database, project: Project) -> None:
    first(database, project, _0002_no_x=NO_X)
    deploy(database.alias, DAY_2)
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], choices=Choices(fake=("a.0002_no_x",)))
    assert preview.backs == ()
    workflow.roll_back([preview])
    assert [each.state for each in open_copies(database)] == [KeptState.KEPT]
