"""Runs that are not one transaction: the copies come first, are not made twice, and are compared before anything is dropped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db.utils import OperationalError

from rollback_app.bookkeeping import KEPT_TABLE, Catalogue, table_of
from rollback_app.database import get
from rollback_app.safety import Kept, KeptKind, KeptState
from tests.support.commands import Said, roll_back
from tests.support.databases import Database, ask
from tests.support.history import deploy, migrate
from tests.support.kept import open_copies
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
EARLY = (
    'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True)), ("n", models.CharField(max_length=9))])'
)
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
N = 'migrations.CreateModel("N", [("id", models.AutoField(primary_key=True)), ("t", models.ForeignKey("a.T", models.CASCADE))])'
FAILS = """
def take(apps, schema_editor):
    raise ValueError("on purpose")
"""
TAKES = """
def take(apps, schema_editor):
    alias = schema_editor.connection.alias
    apps.get_model("a", "N").objects.using(alias).filter(id=3).delete()
    apps.get_model("a", "T").objects.using(alias).filter(id=2).update(x=70, n="code")
"""
CODE = "migrations.RunPython(migrations.RunPython.noop, take)"
FILES = {"0001_early": EARLY, "0002_x": X, "0003_n": N}
transactional = pytest.mark.databases("sqlite", "postgresql")
mariadb = pytest.mark.databases("mariadb")


def with_code(code: str, **attributes: Any) -> dict[str, str]:
    """Reverse code runs first, and then what the steps below drop is dropped."""
    return {**FILES, "0004_code": migration(CODE, [("a", "0003_n")], before=code, **attributes)}


def filled(database: Database, newest: str = "0004_code") -> None:
    deploy(database.alias, DAY_1, [("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id, n) VALUES (1, 'one'), (2, 'two'), (4, 'four')")
    deploy(database.alias, DAY_2, [("a", newest)])
    ask(database, "UPDATE a_t SET x = 7 WHERE id = 2", "INSERT INTO a_n (id, t_id) VALUES (1, 1), (2, 2), (3, 2)")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    project(a=FILES)
    filled(database, "0003_n")
    return database


@pytest.fixture
def broken(database: Database, project: Project) -> Database:
    """A run has copied, and failed at its first step."""
    project(a=with_code(FAILS))
    filled(database)
    said = go(database)
    assert said.status == 1
    assert "on purpose" in said.error
    assert [(entry.number, entry.state) for entry in open_copies(database)] == [
        (1, KeptState.COPIED),
        (2, KeptState.COPIED),
    ]
    project(a=with_code(TAKES))
    return database


def go(database: Database, **options: Any) -> Said:
    return roll_back(database, DAY_2, **{"step_by_step": True, "destroy_data": False, **options})


def rows(database: Database, entry: Kept) -> list[tuple[object, ...]]:
    names = ", ".join(database.connection.ops.quote_name(name) for name, _ in entry.columns)
    return ask(database, f"SELECT {names} FROM {table_of(entry.number)} ORDER BY 1")


def kept(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All is put back by itself, later."""
    found = open_copies(database)
    assert all(entry.put_back and entry.state is KeptState.KEPT for entry in found)
    assert len({entry.source for entry in found}) == len(found)
    return {entry.source: rows(database, entry) for entry in found}


WHOLE = {"a_n": [(1, 1), (2, 2), (3, 2)], "a_t.x": [(2, 7)]}


def written(database: Database, sql: str, *, when: Callable[[str], bool]) -> Any:
    """Somebody else executes this, once, when such a statement comes, as soon as no transaction of the run holds a lock."""
    waiting = [sql]
    seen = False

    def wrapper(execute: Any, statement: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal seen
        seen = seen or when(statement)
        begins = statement.endswith("WHERE 0") or statement.startswith("SELECT pg_backend_pid(), set_config")
        if seen and waiting and (begins or not context["connection"].in_atomic_block):
            other = context["connection"].copy()
            with other.cursor() as cursor:
                cursor.execute(waiting.pop())
            other.close()
        return execute(statement, params, many, context)

    return database.connection.execute_wrapper(wrapper)


def copied(number: int) -> Callable[[str], bool]:
    """Once that many copies are complete."""
    count = 0

    def complete(sql: str) -> bool:
        nonlocal count
        count += sql.startswith("UPDATE") and KEPT_TABLE in sql and sql.count("bytes") > 0
        return count >= number

    return complete


# What others write meanwhile


@pytest.mark.parametrize(
    ("sql", "source", "step", "done"),
    [
        ("INSERT INTO a_n (id, t_id) VALUES (9, 1)", "a_n", "a.0003_n", 0),
        ("UPDATE a_n SET t_id = 2 WHERE id = 1", "a_n", "a.0003_n", 0),
        ("DELETE FROM a_n WHERE id = 1", "a_n", "a.0003_n", 0),
        ("UPDATE a_t SET x = 8 WHERE id = 1", "a_t.x", "a.0002_x", 1),
        ("UPDATE a_t SET x = NULL WHERE id = 2", "a_t.x", "a.0002_x", 1),
    ],
)
def test_a_write_that_slipped_in_stops_the_run(shop: Database, sql: str, source: str, step: str, done: int) -> None:
    """Before the drop; and the same command goes on, with that source copied again."""
    with written(shop, sql, when=copied(2)):
        said = go(shop)
    assert said.status == 1
    assert (
        f"The rollback failed, comparing what is dropped with what is kept: Somebody wrote to {source} after it was copied, so"
        f" {step} did not drop it\n{done} of 2 steps are unapplied and stay so"
    ) in said.error
    assert (
        "Stop what writes to it, then run the same command again: it goes on from there. It is then copied again."
    ) in said.error
    before = {"a_n": "SELECT id, t_id FROM a_n", "a_t.x": "SELECT id, x FROM a_t WHERE x IS NOT NULL"}
    expected = {**WHOLE, source: ask(shop, f"{before[source]} ORDER BY 1")}
    said = go(shop)
    assert said.status == 0, said.all
    assert kept(shop) == {name: found for name, found in expected.items() if found}


def test_what_others_write_to_other_columns_is_no_reason_to_stop(shop: Database) -> None:
    with written(shop, "UPDATE a_t SET n = 'new' WHERE id = 1", when=copied(2)):
        assert go(shop).status == 0
    assert kept(shop) == WHOLE
    assert ask(shop, "SELECT n FROM a_t WHERE id = 1") == [("new",)]


WAITS = {"postgresql": "SET lock_timeout = '100ms'", "mariadb": "SET lock_wait_timeout = 1"}


@pytest.mark.databases(*WAITS)
def test_nobody_writes_between_the_look_and_the_drop(shop: Database) -> None:
    """The table is locked until it is gone."""
    refused = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        text = sql.replace("`", '"')
        if text.startswith(('DROP TABLE "a_n"', 'ALTER TABLE "a_t" DROP')):
            other = context["connection"].copy()
            with other.cursor() as cursor:
                cursor.execute(WAITS[shop.vendor])
                with pytest.raises(OperationalError, match="lock timeout|Lock wait timeout"):
                    cursor.execute("UPDATE a_t SET x = 9" if "a_t" in sql else "INSERT INTO a_n (t_id) VALUES (1)")
            other.close()
            refused.append(sql)
        return execute(sql, params, many, context)

    with shop.connection.execute_wrapper(wrapper):
        assert go(shop).status == 0
    assert len(refused) == 2
    assert kept(shop) == WHOLE


@mariadb
def test_a_write_between_the_look_and_the_lock(shop: Database) -> None:
    with written(
        shop, "INSERT INTO a_n (id, t_id) VALUES (9, 1)", when=lambda sql: sql.startswith("LOCK TABLES `a_n`")
    ):
        said = go(shop)
    assert said.status == 1
    assert (
        "failed at a.0003_n, comparing what is dropped with what is kept: Somebody wrote to a_n after it was copied, so"
        " a.0003_n did not drop it\n0 of 2 steps are unapplied and stay so. a.0003_n may be partly undone;"
    ) in said.error
    assert go(shop).status == 0
    assert kept(shop) == {**WHOLE, "a_n": [*WHOLE["a_n"], (9, 1)]}


@mariadb
def test_each_copy_is_compared_twice(database: Database, project: Project) -> None:
    """When its step begins, and under the lock of its drop; not when another column of its table is dropped."""
    two = f'{X}, migrations.AddField("T", "y", models.IntegerField(null=True))'
    project(a={"0001_early": EARLY, "0002_x": two})
    deploy(database.alias, DAY_1, [("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id, n) VALUES (1, 'one')")
    deploy(database.alias, DAY_2)
    ask(database, "UPDATE a_t SET x = 7, y = 8")
    compared: list[str] = []

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        compared.extend(name for name in "xy" if sql.startswith("SELECT count(*), sum(crc32") and f"`{name}`" in sql)
        return execute(sql, *args)

    with database.connection.execute_wrapper(wrapper):
        assert go(database).status == 0
    assert sorted(compared) == ["x", "x", "x", "y", "y", "y"]  # the first time, as they were when they were copied
    assert kept(database) == {"a_t.x": [(1, 7)], "a_t.y": [(1, 8)]}


# What the run itself writes


@pytest.mark.parametrize("atomic", [True, False])
def test_code_of_the_run_may_change_what_is_dropped_later(database: Database, project: Project, atomic: bool) -> None:
    project(a=with_code(TAKES, atomic=atomic))
    filled(database)
    said = go(database)
    assert said.status == 0, said.all
    assert kept(database) == WHOLE
    assert ask(database, "SELECT n FROM a_t WHERE id = 2") == [("code",)]


def test_a_write_after_the_code_of_the_run_is_found(database: Database, project: Project) -> None:
    """What the table holds after the code counts from then on."""
    noop = 'migrations.AddIndex("T", models.Index(fields=["n"], name="a_t_n"))'
    files = {**FILES, "0004_index": noop, "0005_code": migration(CODE, [("a", "0004_index")], before=TAKES)}
    project(a=files)
    filled(database, "0005_code")
    dropped = "DROP INDEX"
    with written(database, "INSERT INTO a_n (id, t_id) VALUES (9, 1)", when=lambda sql: sql.startswith(dropped)):
        said = go(database)
    assert said.status == 1
    assert "Somebody wrote to a_n after it was copied, so a.0003_n" in said.error
    said = go(database)
    assert said.status == 0
    assert kept(database)["a_n"] == [(1, 1), (2, 2), (9, 1)]


# A run that goes on


def test_a_run_that_goes_on_does_not_copy_again(broken: Database) -> None:
    said = go(broken)
    assert said.status == 0, said.all
    assert [(entry.number, entry.source) for entry in open_copies(broken)] == [(1, "a_n"), (2, "a_t.x")]
    assert len({entry.run for entry in open_copies(broken)} - {1}) == 1
    assert kept(broken) == WHOLE


def test_what_has_changed_since_is_copied_again(broken: Database) -> None:
    ask(broken, "INSERT INTO a_n (id, t_id) VALUES (4, 4)")
    assert go(broken).status == 0
    assert [(entry.number, entry.source) for entry in open_copies(broken)] == [(2, "a_t.x"), (3, "a_n")]
    assert kept(broken) == {**WHOLE, "a_n": [(1, 1), (2, 2), (3, 2), (4, 4)]}


def test_without_a_journal_it_goes_on_too(broken: Database) -> None:
    assert go(broken, journal=False).status == 0
    assert [(entry.number, entry.run) for entry in open_copies(broken)] == [(1, 0), (2, 0)]
    assert kept(broken) == WHOLE


def test_what_somebody_wrote_while_code_was_half_done_is_kept_besides(database: Database, project: Project) -> None:
    """Nobody can tell it from what the code did, so both are kept; by itself only what was there before the run is put back."""
    project(a=with_code(f"{TAKES}\n    raise ValueError('half-way')", atomic=False))
    filled(database)
    assert go(database).status == 1
    ask(database, "INSERT INTO a_n (id, t_id) VALUES (9, 1)")
    project(a=with_code(TAKES, atomic=False))
    assert go(database).status == 0
    found = {(entry.source, entry.put_back): rows(database, entry) for entry in open_copies(database)}
    assert found == {
        ("a_n", True): WHOLE["a_n"],
        ("a_n", False): [(1, 1), (2, 2), (9, 1)],
        ("a_t.x", True): WHOLE["a_t.x"],
        ("a_t.x", False): [(1, None), (2, 70), (4, None)],
    }
    assert all(entry.state is KeptState.KEPT for entry in open_copies(database))


def test_a_run_that_is_given_up_is_not_put_back(broken: Database) -> None:
    """Nothing of it was dropped. A later rollback replaces its copies, also one that is one transaction."""
    assert [entry.state for entry in Catalogue(get(broken.alias)).entries()] == [KeptState.COPIED] * 2
    migrate(broken.alias)
    assert [entry.state for entry in Catalogue(get(broken.alias)).entries()] == [KeptState.COPIED] * 2
    ask(broken, "UPDATE a_t SET x = 8 WHERE id = 2")
    assert roll_back(broken, DAY_2, destroy_data=False).status == 0
    assert kept(broken)["a_t.x"] == [(2, 8)]
    assert len(open_copies(broken)) == 2


def test_other_steps_leave_them_alone(broken: Database) -> None:
    """Those that this plan does not drop are still copies of what is there."""
    assert go(broken, steps=1).status == 0
    assert [(entry.number, entry.state) for entry in open_copies(broken)] == [
        (1, KeptState.COPIED),
        (2, KeptState.COPIED),
    ]


def test_what_was_dropped_counts_as_kept(shop: Database) -> None:
    """Though the run was killed before it could say so."""
    catalogue = Catalogue(get(shop.alias))
    assert go(shop).status == 0
    for entry in catalogue.entries():
        catalogue.change(entry.number, state=KeptState.COPIED)
    assert {entry.state for entry in catalogue.entries()} == {KeptState.KEPT}
    assert {entry.state for entry in catalogue.noted()} == {KeptState.COPIED}
    migrate(shop.alias)
    assert {entry.state for entry in catalogue.noted()} == {KeptState.PUT_BACK}
    assert ask(shop, "SELECT id, t_id FROM a_n ORDER BY 1") == WHOLE["a_n"]
    assert ask(shop, "SELECT id, x FROM a_t WHERE x IS NOT NULL") == WHOLE["a_t.x"]


def test_what_was_only_renamed_is_not_gone(database: Database, project: Project) -> None:
    """A run broke off behind the step that renames it: the next migrate gives it the name of its copy, and puts nothing back."""
    renamed = 'migrations.RenameModel("N", "M"), migrations.RenameField("T", "x", "y")'
    files = {**with_code(FAILS), "0005_names": renamed}
    project(a=files)
    deploy(database.alias, DAY_1, [("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id, n) VALUES (1, 'one'), (2, 'two')")
    deploy(database.alias, DAY_2)
    ask(database, "UPDATE a_t SET y = 7 WHERE id = 2", "INSERT INTO a_m (id, t_id) VALUES (1, 1), (2, 2)")
    assert go(database).status == 1
    assert [(entry.source, entry.state.value) for entry in open_copies(database)] == [
        ("a_m", "copied"),
        ("a_t.y", "copied"),
    ]
    ask(database, "UPDATE a_t SET x = 8 WHERE id = 2", "UPDATE a_n SET t_id = 1 WHERE id = 2")
    migrate(database.alias)
    assert ask(database, "SELECT y FROM a_t WHERE id = 2") == [(8,)]
    assert ask(database, "SELECT t_id FROM a_m WHERE id = 2") == [(1,)]
    project(a={**with_code(TAKES), "0005_names": renamed})
    assert go(database, start_over=True).status == 0
    assert kept(database) == {"a_m": [(1, 1), (2, 1)], "a_t.y": [(2, 8)]}


def test_a_run_that_goes_on_behind_a_rename(database: Database, project: Project) -> None:
    """Its copies have the names of before the first run."""
    renamed = 'migrations.RenameModel("N", "M"), migrations.RenameField("T", "x", "y")'
    project(a={**with_code(FAILS), "0005_names": renamed})
    deploy(database.alias, DAY_1, [("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id, n) VALUES (1, 'one'), (2, 'two')")
    deploy(database.alias, DAY_2)
    ask(database, "UPDATE a_t SET y = 7 WHERE id = 2", "INSERT INTO a_m (id, t_id) VALUES (1, 1), (2, 2)")
    assert go(database).status == 1
    project(a={**with_code(TAKES), "0005_names": renamed})
    assert go(database).status == 0
    assert [entry.number for entry in open_copies(database)] == [1, 2]
    assert kept(database) == {"a_m": [(1, 1), (2, 2)], "a_t.y": [(2, 7)]}


def test_a_second_rollback_keeps_its_own(shop: Database) -> None:
    assert go(shop, steps=1).status == 0
    assert go(shop).status == 0
    assert kept(shop) == WHOLE


def test_names_of_before_the_run(database: Database, project: Project) -> None:
    """A table and a column that are renamed above the step that drops them."""
    renamed = (
        'migrations.RenameField("T", "x", "y"), migrations.RenameModel("N", "M"), migrations.RenameField("T", "n", "m")'
    )
    project(a={**FILES, "0004_code": renamed})
    deploy(database.alias, DAY_1, [("a", "0001_early")])
    ask(database, "INSERT INTO a_t (id, n) VALUES (1, 'one'), (2, 'two')")
    deploy(database.alias, DAY_2)
    ask(database, "UPDATE a_t SET y = 7 WHERE id = 2", "INSERT INTO a_m (id, t_id) VALUES (1, 1)")
    said = go(database)
    assert said.status == 0, said.all
    assert kept(database) == {"a_m": [(1, 1)], "a_t.y": [(2, 7)]}


# Tables that the user names


def test_a_named_table_is_kept_until_the_end(database: Database, project: Project) -> None:
    """What code does to it is no reason to stop, and no reason to copy it again."""
    project(a=with_code(f"{TAKES}\n    raise ValueError('half-way')", atomic=False))
    filled(database)
    assert go(database, keep_table=["a_t"]).status == 1
    project(a=with_code(TAKES, atomic=False))
    assert go(database, keep_table=["a_t"]).status == 0
    (named,) = (entry for entry in open_copies(database) if entry.source == "a_t")
    assert (named.put_back, named.state) == (False, KeptState.KEPT)
    assert rows(database, named) == [(1, "one", None), (2, "two", 7), (4, "four", None)]


def test_a_named_table_of_another_run_stays_as_it_was(broken: Database) -> None:
    ask(broken, "UPDATE a_t SET n = 'new' WHERE id = 1")
    assert go(broken, steps=1, keep_table=["a_t"]).status == 0
    ask(broken, "UPDATE a_t SET n = 'newer' WHERE id = 1")
    assert go(broken, keep_table=["a_t"]).status == 0
    found = [rows(broken, entry)[0][1] for entry in open_copies(broken) if entry.source == "a_t"]
    assert found == ["new", "newer"]


# Failures while copying


def failing(database: Database, error: Exception, *, times: int = 1) -> Any:
    """The second copy fails that often."""
    left = times

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        nonlocal left
        if left and sql.startswith("CREATE TABLE") and "a_t" in sql:
            left -= 1
            raise error
        return execute(sql, *args)

    return database.connection.execute_wrapper(wrapper)


FULL = {"sqlite": ("database or disk is full",), "postgresql": ("full",), "mariadb": (1021, "Disk full")}
LOCKED = {"sqlite": ("database is locked",), "mariadb": (1205, "Lock wait timeout exceeded")}


def test_a_copy_that_fails_leaves_none(shop: Database) -> None:
    with failing(shop, OperationalError(*FULL[shop.vendor])):
        said = go(shop)
    assert said.status == 1
    assert "0 of 2 steps are unapplied and stay so" in said.error
    assert open_copies(shop) == []
    assert go(shop).status == 0
    assert kept(shop) == WHOLE


@pytest.mark.databases(*LOCKED)
def test_a_lock_in_the_way_of_a_copy_is_waited_for(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with failing(shop, OperationalError(*LOCKED[shop.vendor])):
        said = go(shop)
    assert said.status == 4
    assert "Nothing was changed" in said.error
    assert open_copies(shop) == []
    with failing(shop, OperationalError(*LOCKED[shop.vendor]), times=2):
        assert go(shop, retries=2).status == 0
    assert kept(shop) == WHOLE


# Locks of MariaDB

RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES"


@mariadb
def test_without_the_right_to_lock_tables(shop: Database) -> None:
    settings = shop.connection.settings_dict
    owner = {name: settings[name] for name in ("USER", "PASSWORD")}
    grant = f"GRANT {RIGHTS} ON {settings['NAME']}.* TO no_locks"
    ask(shop, "CREATE USER no_locks IDENTIFIED BY 'few'", grant)
    shop.connection.close()
    settings.update(USER="no_locks", PASSWORD="few")
    said = go(shop)
    shop.connection.close()
    settings.update(owner)
    ask(shop, "DROP USER no_locks")
    assert said.status == 0, said.all
    assert kept(shop) == WHOLE


@mariadb
def test_a_lock_that_cannot_be_had_stops_the_step(shop: Database) -> None:
    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("LOCK TABLES"):
            raise OperationalError(1205, "Lock wait timeout exceeded")
        return execute(sql, *args)

    with shop.connection.execute_wrapper(wrapper):
        said = go(shop)
    assert said.status == 4
    assert "Lock wait timeout exceeded" in said.error
    assert go(shop).status == 0
    assert kept(shop) == WHOLE


@pytest.mark.parametrize(
    ("statements", "locks"),
    [
        (["ALTER TABLE `a_t` DROP COLUMN `x`", "DROP TABLE `a_n` CASCADE"], True),
        (["ALTER TABLE `a_t` DROP COLUMN `x`", "UPDATE a_n SET t_id = 1"], False),
        (["ALTER TABLE `a_t` ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES `a_n` (id)"], False),
        (["DROP TABLE `nowhere`"], False),
    ],
)
def test_what_is_locked(shop: Database, statements: list[str], locks: bool) -> None:
    """Only where nothing else is used meanwhile; and only where such a lock exists."""
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        seen.append(sql)
        return execute(sql, *args)

    database = get(shop.alias)
    with shop.connection.execute_wrapper(wrapper), database.locked_for(statements, "a_n", "nowhere"):
        assert ask(shop, "SELECT count(*) FROM a_n") == [(3,)]
    locked = [sql for sql in seen if sql.startswith("LOCK TABLES")]
    assert locked == (["LOCK TABLES `a_n` WRITE, `a_t` WRITE"] if locks and shop.vendor == "mariadb" else [])


# What earlier runs have left


def test_half_a_copy_is_never_adopted(shop: Database) -> None:
    """A run was killed before it had counted the rows."""
    catalogue = Catalogue(get(shop.alias))
    values = {"table": "a_n", "about": "a.0003_n", "names": [("a_n", "")], "columns": [("id", "integer")]}
    number = catalogue.add(kind=KeptKind.TABLE, state=KeptState.COPIED, **values)
    ask(shop, f"CREATE TABLE {table_of(number)} AS SELECT id FROM a_n WHERE id < 3")
    assert [entry.state for entry in catalogue.entries()] == [KeptState.COPIED]
    assert go(shop).status == 0
    assert number not in [entry.number for entry in open_copies(shop)]
    assert kept(shop) == WHOLE


def test_the_next_run_notes_what_was_dropped(shop: Database) -> None:
    assert go(shop, steps=1).status == 0
    catalogue = Catalogue(get(shop.alias))
    (entry,) = catalogue.entries()
    catalogue.change(entry.number, state=KeptState.COPIED)
    assert go(shop).status == 0
    assert {entry.state for entry in catalogue.noted()} == {KeptState.KEPT}
    assert kept(shop) == WHOLE


def test_what_is_copied_already_is_kept_without_keeping(broken: Database) -> None:
    assert go(broken, keep=False, destroy_data=True).status == 0
    assert [entry.number for entry in open_copies(broken)] == [1, 2]
    assert kept(broken) == WHOLE


def test_a_run_that_drops_less_leaves_the_other_copy(broken: Database) -> None:
    assert roll_back(broken, DAY_2, destroy_data=False, steps=2).status == 0
    assert {entry.source: entry.state for entry in open_copies(broken)} == {
        "a_n": KeptState.KEPT,
        "a_t.x": KeptState.COPIED,
    }


def test_a_table_that_is_not_there(shop: Database) -> None:
    ask(shop, "DROP TABLE a_n")
    assert go(shop, count=False).status == 1
    assert [entry.source for entry in open_copies(shop)] == ["a_t.x"]
