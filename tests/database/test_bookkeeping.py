"""Our own tables never stand in the way: not to be read, of another shape, made by another version, by somebody's receiver."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections
from django.db.models import signals

from rollback_app import bookkeeping, workflow
from rollback_app import database as databases
from rollback_app.bookkeeping import tables
from rollback_app.bookkeeping.runs import RunEntry
from rollback_app.errors import Locked
from rollback_app.history import Outcome
from tests.support.commands import call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate
from tests.support.projects import Project

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
AT_DAY_1 = [("a", "0001_t")]
RUNS, DEPLOYMENTS = bookkeeping.RUNS_TABLE, bookkeeping.DEPLOYMENTS_TABLE


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    tables._told.clear()  # noqa: SLF001  # as in a new process


@pytest.fixture
def shop(database: Database, project: Project, settings: Settings) -> Database:
    """Two deployments, recorded; one rollback, noted; and the second deployment again."""
    settings.ROLLBACK = {"RELEASE": "1.0", "HOLD": False}
    project(a={"0001_t": T, "0002_x": X})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    assert roll_back(database, DAY_2).status == 0
    deploy(database.alias, DAY_2)
    return database


def run(database: Database, *statements: str) -> None:
    with database.connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def deployments(database: Database) -> list[str]:
    return [each.release for each in bookkeeping.recorded_deployments(databases.get(database.alias))]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("rollback_app")]


def test_a_table_of_an_older_version_brings_itself_up_to_date(shop: Database, caplog: pytest.LogCaptureFixture) -> None:
    for column in ("one_transaction", "doubtful", "statements", "inside", "error", "steps_done"):
        run(shop, f"ALTER TABLE {RUNS} DROP COLUMN {column}")
    run(shop, f"ALTER TABLE {DEPLOYMENTS} DROP COLUMN {'release' if shop.vendor != 'mariadb' else '`release`'}")
    (old,) = workflow.rollbacks(shop.alias)[1]
    assert (old.outcome, old.steps_done, old.one_transaction) == (Outcome.FINISHED, 1, None)
    assert call("showdeployments", database=shop.alias).status == 0
    assert deployments(shop) == ["", "", ""]
    assert roll_back(shop, DAY_2).status == 0
    new, same = workflow.rollbacks(shop.alias)[1]
    assert same.error == old.error == ""
    assert (new.number, new.one_transaction) == (2, shop.vendor != "mariadb")
    migrate(shop.alias)
    assert deployments(shop) == ["", "", "", "1.0"]
    assert warnings(caplog) == []


def test_a_step_that_broke_off_is_found_whatever_the_version(shop: Database) -> None:
    """A journal that knows nothing of steps inside has none that broke off; one that knows is asked without the rest."""
    journal = bookkeeping.Journal(databases.get(shop.alias))
    run(shop, f"UPDATE {RUNS} SET outcome = 'failed', inside = '[\"a\", \"0002_x\", [2]]'")
    run(shop, f"ALTER TABLE {RUNS} DROP COLUMN doubtful")
    found = journal.position()
    assert found
    assert (found.key, found.doubtful) == (("a", "0002_x"), True)
    run(shop, f"ALTER TABLE {RUNS} DROP COLUMN inside")
    assert journal.position() is None


def test_a_column_of_a_newer_version(shop: Database, caplog: pytest.LogCaptureFixture) -> None:
    for table in (RUNS, DEPLOYMENTS):
        run(shop, f"ALTER TABLE {table} ADD COLUMN fleet varchar(20)")
    assert roll_back(shop, DAY_2).status == 0
    migrate(shop.alias)
    assert len(workflow.rollbacks(shop.alias)[1]) == 2
    assert len(deployments(shop)) == 4
    assert warnings(caplog) == []


SHAPES = {
    "another table": "CREATE TABLE {table} (id integer)",
    "a view": "CREATE VIEW {table} AS SELECT 1 AS id",
}


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("shape", SHAPES)
def test_tables_of_another_shape_count_as_absent(
    shop: Database, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], shape: str
) -> None:
    for table in (RUNS, DEPLOYMENTS):
        run(shop, f"DROP TABLE {table}", SHAPES[shape].format(table=table))
    with caplog.at_level(logging.WARNING):
        assert call("showdeployments", database=shop.alias).status == 0
        assert roll_back(shop, DAY_2).status == 0
    said = [*warnings(caplog), *capsys.readouterr().err.splitlines()]
    assert sum(RUNS in line or "journal" in line for line in said) == 1  # one warning, whatever looks at it
    assert keys(shop.alias) == AT_DAY_1
    migrate(shop.alias)  # is not stopped either
    assert len(keys(shop.alias)) == 2


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (RUNS, "steps = 'no JSON'"),
        (RUNS, "steps = '[1, 2]'"),
        (RUNS, "outcome = 'exploded'"),
        (RUNS, "started = 'yesterday'"),
    ],
)
def test_values_that_another_version_wrote(
    shop: Database, caplog: pytest.LogCaptureFixture, table: str, change: str
) -> None:
    run(shop, f"UPDATE {table} SET {change}")
    assert workflow.rollbacks(shop.alias)[1] == []
    assert call("showdeployments", database=shop.alias).status == 0
    (words,) = warnings(caplog)
    assert words.startswith(f"Table {table} of {shop.alias}: ")
    assert "is ignored: it has another shape (" in words
    assert roll_back(shop, DAY_2).status == 0
    run(shop, f"DELETE FROM {table}")
    workflow.rollbacks(shop.alias)
    assert len(warnings(caplog)) == 1


@pytest.mark.databases("postgresql", "mariadb")
def test_deployments_without_a_time(shop: Database, caplog: pytest.LogCaptureFixture) -> None:
    kind = {"postgresql": "ALTER start DROP NOT NULL", "mariadb": "MODIFY start datetime(6) NULL"}
    run(shop, f"ALTER TABLE {DEPLOYMENTS} {kind[shop.vendor]}", f"UPDATE {DEPLOYMENTS} SET start = NULL")
    assert deployments(shop) == []
    assert roll_back(shop, DAY_2).status == 0
    assert [DEPLOYMENTS in words for words in warnings(caplog)] == [True]


@pytest.fixture
def few_rights(shop: Database) -> Iterator[Database]:
    """Its user may do everything but read or write our tables."""
    settings = shop.connection.settings_dict
    owner = {name: settings[name] for name in ("USER", "PASSWORD")}
    give, take = FEW_RIGHTS[shop.vendor]
    run(shop, *give.format(name=settings["NAME"]).split(";"))
    shop.connection.close()
    settings.update(USER="few_rights", PASSWORD="few")
    yield shop
    shop.connection.close()
    settings.update(owner)
    run(shop, *take.format(owner=owner["USER"]).split(";"))


FEW_RIGHTS = {
    "postgresql": (
        """
        CREATE ROLE few_rights LOGIN PASSWORD 'few'; GRANT ALL ON SCHEMA public TO few_rights;
        ALTER TABLE django_migrations OWNER TO few_rights; ALTER TABLE a_t OWNER TO few_rights
        """,
        "REASSIGN OWNED BY few_rights TO {owner}; DROP OWNED BY few_rights; DROP ROLE few_rights",
    ),
    "mariadb": (
        """
        CREATE USER few_rights IDENTIFIED BY 'few'; GRANT ALL ON {name}.a_t TO few_rights;
        GRANT ALL ON {name}.django_migrations TO few_rights; GRANT CREATE ON {name}.* TO few_rights;
        GRANT INSERT ON {name}.rollback_app_run TO few_rights; GRANT INSERT ON {name}.rollback_app_deployment TO few_rights
        """,
        "DROP USER few_rights",
    ),
}


@pytest.mark.databases("postgresql")
def test_without_the_right_to_our_tables(
    few_rights: Database, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = call("showdeployments", database=few_rights.alias)
    assert listed.status == 0, listed.error
    assert roll_back(few_rights, DAY_2).status == 0
    assert keys(few_rights.alias) == AT_DAY_1
    assert sorted(words.split(" of ")[0] for words in warnings(caplog)) == [f"Table {DEPLOYMENTS}", f"Table {RUNS}"]
    assert all("permission denied" in words for words in warnings(caplog))
    assert capsys.readouterr().err == ""
    migrate(few_rights.alias)
    assert warnings(caplog)[-1].startswith(f"The deployment on {few_rights.alias} was not recorded: ")


@pytest.mark.databases("mariadb")
def test_without_the_right_to_read_a_run_that_must_be_noted_is_refused(
    few_rights: Database, caplog: pytest.LogCaptureFixture
) -> None:
    said = roll_back(few_rights, DAY_2)
    assert said.status == 1
    assert said.error.endswith("Let its user create the table rollback_app_run, or add --no-journal.")
    assert len(keys(few_rights.alias)) == 2
    assert roll_back(few_rights, DAY_2, journal=False).status == 0
    assert sorted(words.split(" of ")[0] for words in warnings(caplog)) == [f"Table {DEPLOYMENTS}", f"Table {RUNS}"]


@pytest.mark.databases("postgresql")
def test_a_row_that_could_not_be_changed_later(few_rights: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """The right to insert, and not to update: known before the run, and not at its end."""
    admin = few_rights.connection.copy()
    admin.settings_dict = {**few_rights.connection.settings_dict, "USER": "postgres", "PASSWORD": ""}
    with admin.cursor() as cursor:
        cursor.execute(f"GRANT SELECT, INSERT ON {RUNS} TO few_rights")
        cursor.execute(f"GRANT ALL ON SEQUENCE {RUNS}_id_seq TO few_rights")
    admin.close()
    said = roll_back(few_rights, DAY_2)
    assert said.status == 0, said.error
    assert "cannot be written: permission denied" in capsys.readouterr().err
    assert len(workflow.rollbacks(few_rights.alias)[1]) == 1


def test_a_table_that_is_locked_is_not_absent(shop: Database) -> None:
    """Whoever takes a step for not begun that is half done makes it worse."""
    other = shop.connection.copy()
    locks = {
        "sqlite": "BEGIN EXCLUSIVE",
        "postgresql": f"BEGIN; LOCK TABLE {RUNS} IN ACCESS EXCLUSIVE MODE",
        "mariadb": f"LOCK TABLES {RUNS} WRITE",
    }
    if shop.vendor == "sqlite":
        run(shop, "PRAGMA busy_timeout = 100")
    try:
        with other.cursor() as cursor:
            cursor.execute(locks[shop.vendor])
            said = roll_back(shop, DAY_2, plan=True, lock_timeout=0.2)
            if shop.vendor == "sqlite":
                cursor.execute("ROLLBACK")
    finally:
        other.close()
    assert said.status == 4, said.all


def receiver(**_: Any) -> None:
    raise AssertionError("a signal was sent")


class Elsewhere:
    """A router that sends everything to a database that there is not."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "nowhere"

    db_for_write = db_for_read


def test_no_signals_and_no_router(shop: Database, settings: Settings) -> None:
    settings.DATABASE_ROUTERS = [Elsewhere()]
    sent = (signals.pre_save, signals.post_save, signals.pre_delete, signals.post_delete, signals.m2m_changed)
    for signal in sent:
        signal.connect(receiver)
    try:
        said = roll_back(shop, DAY_2)
        assert said.status == 0, said.error
        assert call("markrelease", "1.0", database=shop.alias).status == 0
        assert call("showrollbacks", database=shop.alias).status == 0
        assert call("showdeployments", database=shop.alias).status == 0
    finally:
        for signal in sent:
            signal.disconnect(receiver)
    assert len(workflow.rollbacks(shop.alias)[1]) == 2
    assert deployments(shop)[-1] == "1.0"


@pytest.mark.databases("sqlite")
def test_a_database_that_cannot_be_rolled_back_is_not_recorded(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(shop.alias, "a", "0001")
    monkeypatch.setattr(connections[shop.alias], "vendor", "oracle")
    recorder = bookkeeping.Recorder()
    recorder.begin(shop.alias, [(object(), False)], lambda: "1.0")  # type: ignore[list-item]
    assert recorder.begun == {}
    migrate(shop.alias)  # nor held


def test_a_run_says_what_it_is() -> None:
    assert str(RunEntry(pk=3, outcome="failed")) == "3: failed"


def test_a_table_that_goes_while_it_is_read(database: Database) -> None:
    """Only somebody else can have taken it away meanwhile, as a rollback does."""
    database.connection.ensure_connection()  # makes the file of SQLite
    with (
        pytest.raises(Locked, match="Somebody changed .* while it was being read"),
        databases.get(database.alias).reading(),
        database.connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM is_not_there")


@pytest.mark.databases("postgresql", "mariadb")
def test_a_table_of_a_schema_that_is_not_there(database: Database) -> None:
    quote = database.connection.ops.quote_name("")[0]
    assert databases.get(database.alias).count(f"nowhere{quote}.{quote}t", {}) is None
