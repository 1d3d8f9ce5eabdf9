"""Behind a real pgbouncer that pools transactions: a session on the server is one's own for a transaction, and no longer."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from pytest_django import DjangoDbBlocker

from rollback_app import workflow
from rollback_app.bookkeeping import table_of
from rollback_app.database import Timeouts
from rollback_app.errors import Locked, RollbackError
from rollback_app.executor import StepFailed
from tests.database.test_locks import AT_DAY_1, LOOKS, look_during_a_run, says_what_is_there_afterwards
from tests.kept.test_unfinished import copied, written
from tests.servers import POOLED_SESSIONS
from tests.support.commands import roll_back
from tests.support.databases import Database, empty
from tests.support.history import deploy, keys
from tests.support.kept import open_copies
from tests.support.projects import Project, migration
from tests.support.schema import everything

pytestmark = pytest.mark.databases("pgbouncer")

ROOT = Path(__file__).parents[2]
DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
DIRECT = Database("postgresql", "postgresql")
POOLED = Database("pgbouncer", "postgresql")
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])'
U = (
    'migrations.CreateModel("U", [("id", models.BigAutoField(primary_key=True)),'
    ' ("t", models.ForeignKey("a.T", models.CASCADE))])'
)
FAILING = "def backwards(apps, schema_editor):\n    raise ValueError('on purpose')\n"


@pytest.fixture
def shop(all_databases: None, project: Project, django_db_blocker: DjangoDbBlocker) -> Iterator[Database]:
    """Through the pool; on day 1 a.0001_t, on day 2 a column, an index, and a second table that points to the first."""
    with django_db_blocker.unblock():
        empty(DIRECT)
        project(a={"0001_t": T})
        deploy(POOLED.alias, DAY_1)
        project(
            a={"0001_t": T, "0002_x": 'migrations.AddField("T", "x", models.IntegerField(null=True, db_index=True))'},
            b={"0001_u": migration(U, [("a", "0002_x")])},
        )
        deploy(POOLED.alias, DAY_2)
        with POOLED.connection.cursor() as cursor:
            cursor.execute("INSERT INTO a_t (n, x) VALUES (7, 8)")
        yield POOLED
        connections.close_all()


def slow(project: Project, database: Database, name: str = "0001_slow") -> None:
    """A step more, the first to be undone, that takes a second."""
    sleep = migration("migrations.RunSQL('SELECT 1', 'SELECT pg_sleep(1)')", [("b", "0001_u")])
    project.replace(c={name: sleep})
    deploy(database.alias, DAY_2)


def settings_of_all_sessions() -> set[tuple[Any, ...]]:
    """What each session of the pool has set; transactions that are open at once are on sessions that differ."""
    found, pids = set(), set()
    with ExitStack() as stack:
        for _ in range(POOLED_SESSIONS):
            connection = POOLED.connection.copy()
            stack.callback(connection.close)
            stack.callback(connection.rollback)  # pgbouncer ends sessions whose transactions are not ended
            connection.set_autocommit(False)
            cursor = stack.enter_context(connection.cursor())
            cursor.execute("SELECT pg_backend_pid()")
            pids.add(cursor.fetchone())
            cursor.execute("SELECT name, setting FROM pg_settings WHERE source = 'session'")
            names = {name: setting for name, setting in cursor.fetchall() if name not in NO_LEAK}
            cursor.execute(
                "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'),"
                " current_setting('search_path'), current_setting('session_replication_role'),"
                " current_setting('default_transaction_isolation'), current_setting('default_transaction_read_only'),"
                " (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),"
                " (SELECT count(*) FROM pg_prepared_statements)"
            )
            found.add((*cursor.fetchone(), *sorted(names.items())))
    assert len(pids) == POOLED_SESSIONS
    return found


# pgbouncer sets the first five as each client wants them; the last two are of a transaction.
NO_LEAK = {
    *("TimeZone", "client_encoding", "DateStyle", "standard_conforming_strings", "application_name"),
    *("transaction_isolation", "transaction_read_only"),
}
UNTOUCHED = {("0", "0", '"$user", public', "origin", "read committed", "off", 0, 0)}


def test_the_pool_really_pools_transactions(shop: Database) -> None:
    """What is set for a session is met by the next who is given that session: the trap that the other tests are about."""
    with shop.connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '7s'")
    assert {found[0] for found in settings_of_all_sessions()} >= {"7s"}
    assert settings_of_all_sessions() != UNTOUCHED


def test_a_rollback_works(shop: Database) -> None:
    said = roll_back(shop, DAY_2, statement_timeout=30.0)
    assert said.status == 0, said.error
    assert keys(DIRECT.alias) == [("a", "0001_t")]
    with DIRECT.connection.cursor() as cursor:
        cursor.execute("SELECT n FROM a_t")
        assert cursor.fetchall() == [(7,)]
    assert settings_of_all_sessions() == UNTOUCHED


def test_step_by_step_works(shop: Database) -> None:
    said = roll_back(shop, DAY_2, step_by_step=True, statement_timeout=30.0)
    assert said.status == 0, said.error
    assert keys(DIRECT.alias) == [("a", "0001_t")]
    assert settings_of_all_sessions() == UNTOUCHED


def test_it_is_all_or_nothing(shop: Database, project: Project) -> None:
    failing = migration("migrations.RunPython(migrations.RunPython.noop, backwards)", [("a", "0001_t")], before=FAILING)
    project.replace(c={"0001_failing": failing})
    roll_back(shop, DAY_2)
    deploy(shop.alias, DAY_1.replace(hour=9), ["c"])  # the oldest that goes: when it fails, all others are undone
    deploy(shop.alias, DAY_2)
    before = everything(DIRECT.connection)
    previews = workflow.preview(DAY_1.replace(hour=9).isoformat(), using=[shop.alias])
    assert str(previews[0].plan.steps[-1].key) == "c.0001_failing"
    with pytest.raises(StepFailed, match="Nothing was changed: everything is as it was before"):
        workflow.roll_back(previews, destroy_data=True, timeouts=Timeouts(statement=30))
    DIRECT.connection.close()
    assert everything(DIRECT.connection) == before
    assert settings_of_all_sessions() == UNTOUCHED


def test_of_two_at_once_exactly_one_wins(shop: Database, project: Project) -> None:
    slow(project, shop)
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    start = threading.Barrier(2)
    outcomes: list[RollbackError | None] = []

    def run() -> None:
        try:
            start.wait(30)
            workflow.roll_back(previews, destroy_data=True, timeouts=Timeouts(lock=0.2))
            outcomes.append(None)
        except RollbackError as error:
            outcomes.append(error)
        finally:
            connections[shop.alias].close()

    runners = [threading.Thread(target=run) for _ in range(2)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(60)
    (lost,) = filter(None, outcomes)
    assert outcomes.count(None) == 1
    assert isinstance(lost, Locked)
    assert lost.returncode == 4
    assert "Another rollback is running on pgbouncer: PostgreSQL" in lost.message
    assert "process " in lost.message
    assert keys(DIRECT.alias) == [("a", "0001_t")]
    assert settings_of_all_sessions() == UNTOUCHED


def test_the_lock_goes_with_a_killed_process(shop: Database, project: Project) -> None:
    slow(project, shop)
    connections.close_all()
    before = everything(DIRECT.connection)
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/support/killed.py"), shop.alias, DAY_2.isoformat(), "0"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    ) as process:
        wait_for_lock(held=True)
        assert roll_back(shop, DAY_2, lock_timeout=0.2).status == 4
        process.kill()
    wait_for_lock(held=False)
    assert everything(DIRECT.connection) == before
    said = roll_back(shop, DAY_2)
    assert said.status == 0, said.error
    assert keys(DIRECT.alias) == [("a", "0001_t")]
    assert settings_of_all_sessions() == UNTOUCHED


def wait_for_lock(*, held: bool) -> None:
    """Until the rollback has its lock, or the server has noticed that it is gone."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with transaction.atomic(DIRECT.alias), DIRECT.connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE relation = 'django_migrations'::regclass"
                " AND mode = 'AccessExclusiveLock' AND granted"
            )
            if bool(cursor.fetchone()[0]) == held:
                return
        time.sleep(0.01)
    raise AssertionError(f"the lock was never {'held' if held else 'released'}")


@pytest.mark.parametrize("name", LOOKS)
def test_who_looks_during_a_run_waits_and_sees_what_came_of_it(shop: Database, name: str) -> None:
    said = look_during_a_run(shop, DIRECT, name)
    assert says_what_is_there_afterwards(said), said.out
    assert keys(shop.alias) == AT_DAY_1


def test_what_is_kept_step_by_step_is_compared(shop: Database) -> None:
    with written(shop, "UPDATE a_t SET x = 9", when=copied(1)):
        said = roll_back(shop, DAY_2, step_by_step=True, destroy_data=False)
    assert said.status == 1
    assert "Somebody wrote to a_t.x after it was copied, so a.0002_x did not drop it" in said.error
    assert roll_back(shop, DAY_2, step_by_step=True, destroy_data=False).status == 0
    (entry,) = open_copies(shop)
    with shop.connection.cursor() as cursor:
        cursor.execute(f"SELECT x FROM {table_of(entry.number)}")
        assert cursor.fetchall() == [(9,)]
