"""Locks of others: how long a run waits, how often it tries, whom it keeps waiting meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction

from rollback_app import workflow
from rollback_app.bookkeeping import Catalogue
from rollback_app.database import Timeouts, get
from rollback_app.errors import Locked
from rollback_app.executor import Done, Progress, Retries, StepFailed
from rollback_app.planner import Step
from rollback_app.safety import Keeping, KeptState
from tests.support.commands import Said, call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration
from tests.support.schema import everything

ROOT = Path(__file__).parents[2]
DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
AT_DAY_1 = [("a", "0001_t")]
HISTORY_LOCKS = {
    "sqlite": "UPDATE django_migrations SET app = app",
    "postgresql": "LOCK TABLE django_migrations IN SHARE MODE",
    "mariadb": "SELECT GET_LOCK(concat('rollback_app.', database()), 5)",
}
# A lock on a table of the plan, and not on the history. SQLite has only one lock.
WRITE = "UPDATE a_t SET x = 8"

transactional = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """On day 1 a.0001_t; on day 2 a column of it, and then another table."""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_x": X}, b={"0001_u": migration(T.replace('"T"', '"U"'), [("a", "0002_x")])})
    deploy(database.alias, DAY_2)
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (x) VALUES (7)")
    return database


class Holder:
    """Another session, which holds a lock from the beginning of the block until it is told to let go."""

    def __init__(self, database: Database, lock: str) -> None:
        self.database, self.lock = database, lock
        self.holds, self.enough = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        connection = connections[self.database.alias]
        with transaction.atomic(using=self.database.alias), connection.cursor() as cursor:
            cursor.execute(self.lock)
            self.holds.set()
            self.enough.wait(60)
        connection.close()

    def __enter__(self) -> Holder:  # noqa: PYI034  # typing.Self came with Python 3.11
        self.thread.start()
        assert self.holds.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        self.enough.set()
        self.thread.join()


def previews(shop: Database) -> list[workflow.Preview]:
    return workflow.preview(DAY_2.isoformat(), using=[shop.alias])


def test_a_run_is_tried_again_until_the_lock_is_free(shop: Database) -> None:
    looked_at = previews(shop)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            holder.let_go()

    told: list[str] = []
    with Holder(shop, HISTORY_LOCKS[shop.vendor]) as holder:
        (result,) = workflow.roll_back(
            looked_at, destroy_data=True, timeouts=Timeouts(lock=0.2), retries=Retries(5, sleep, told.append)
        )
    assert pauses == [1, 2]
    who = "Another rollback is running" if shop.vendor == "mariadb" else "Somebody else is working"
    assert told[0].startswith(f"{who} on {shop.alias}: ")
    assert len(result.done) == 2
    assert keys(shop.alias) == AT_DAY_1


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("wanted", [True, False])
def test_the_whole_transaction_is_tried_again_when_a_table_was_locked(shop: Database, wanted: bool) -> None:
    """By its first step, or already by what is kept before."""
    looked_at = workflow.preview(DAY_2.isoformat(), using=[shop.alias], keeping=Keeping(wanted))
    before = everything(shop.connection)
    began: list[str] = []
    between: list[bool] = []

    class Noting(Progress):
        def began(self, step: Any) -> None:
            began.append(str(step.key))

    def sleep(seconds: float) -> None:
        between.append(everything(shop.connection) == before)
        holder.let_go()

    with Holder(shop, "LOCK TABLE a_t IN SHARE MODE") as holder:
        workflow.roll_back(
            looked_at, destroy_data=True, progress=Noting(), timeouts=Timeouts(lock=0.2), retries=Retries(1, sleep)
        )
    assert between == [True]
    assert began == ["b.0001_u", "a.0002_x"] * (1 if wanted else 2)
    assert keys(shop.alias) == AT_DAY_1


def test_a_lock_that_nobody_lets_go_of(shop: Database) -> None:
    looked_at = previews(shop)
    before = everything(shop.connection)
    pauses: list[float] = []
    with Holder(shop, HISTORY_LOCKS[shop.vendor]), pytest.raises(Locked) as caught:
        workflow.roll_back(looked_at, destroy_data=True, timeouts=Timeouts(lock=0.2), retries=Retries(3, pauses.append))
    assert pauses == [1, 2, 4]
    assert caught.value.returncode == 4
    assert "--retries" in caught.value.hint
    assert everything(shop.connection) == before


@pytest.mark.databases("postgresql")
def test_steps_that_are_committed_are_not_tried_again(shop: Database) -> None:
    looked_at = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=True)
    pauses: list[float] = []
    with Holder(shop, "LOCK TABLE a_t IN SHARE MODE"), pytest.raises(StepFailed) as caught:
        workflow.roll_back(looked_at, destroy_data=True, timeouts=Timeouts(lock=0.2), retries=Retries(3, pauses.append))
    assert pauses == []
    assert caught.value.returncode == 4
    assert keys(shop.alias) == [*AT_DAY_1, ("a", "0002_x")]


class LettingGo(StringIO):
    """A stderr whose first line makes a holder let go."""

    def __init__(self, holder: Holder) -> None:
        super().__init__()
        self.holder = holder

    def write(self, text: str) -> int:
        self.holder.let_go()
        return super().write(text)


def test_the_command_tries_again(shop: Database) -> None:
    with Holder(shop, HISTORY_LOCKS[shop.vendor]) as holder:
        said = LettingGo(holder)
        out = StringIO()
        call_command(
            *("rollbackmigrationsafter", DAY_2.isoformat()),
            *("--database", shop.alias, "--no-input", "--destroy-data", "--lock-timeout", "0.2", "--retries", "1"),
            stdout=out,
            stderr=said,
            no_color=True,
        )
    assert said.getvalue().endswith("This attempt changed nothing. Trying again in 1 s (1 of 1).\n")
    assert "Done: 2 migrations unapplied" in out.getvalue()
    assert keys(shop.alias) == AT_DAY_1


@pytest.mark.databases("postgresql")
def test_a_step_that_fails_is_marked_in_the_list(shop: Database) -> None:
    with Holder(shop, "LOCK TABLE a_t IN SHARE MODE"):
        said = roll_back(shop, DAY_2, lock_timeout=0.2, keep=False)
        loud = roll_back(shop, DAY_2, lock_timeout=0.2, keep=False, verbosity=3)
    assert said.status == 4
    assert said.out.endswith("\n  Unapplying a.0002_x... FAILED\n")
    assert "FAILED" not in loud.out  # there the line has ended before its statements


@pytest.mark.databases("sqlite")
def test_a_negative_number_of_retries(shop: Database) -> None:
    said = roll_back(shop, DAY_2, retries=-1)
    assert said.status == 2
    assert "--retries 5" in said.error


@pytest.mark.databases("sqlite")
def test_a_lock_that_keeps_even_readers_away(shop: Database) -> None:
    with shop.connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 100")
    other = shop.connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN EXCLUSIVE")
            with pytest.raises(Locked, match="Somebody else is working on"):
                previews(shop)
            cursor.execute("ROLLBACK")
    finally:
        other.close()


@pytest.mark.databases("postgresql", "mariadb")
def test_looking_does_not_wait_for_long_for_a_table_that_nobody_may_read(shop: Database) -> None:
    other = shop.connection.copy()
    lock = {"mariadb": "LOCK TABLES a_t WRITE", "postgresql": "BEGIN; LOCK TABLE a_t IN ACCESS EXCLUSIVE MODE"}
    try:
        with other.cursor() as cursor:
            cursor.execute(lock[shop.vendor])
            said = roll_back(shop, DAY_2, plan=True, lock_timeout=0.2)
    finally:
        other.close()
    assert said.status == 4
    assert "Somebody else is working on" in said.error


SLOW = """
def slow(apps, schema_editor):
    import time
    time.sleep(0.6)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        )
        found = cursor.fetchone()
        assert found == (1,), f"{found}: another rollback could begin now"
"""


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("step_by_step", [False, True])
def test_idle_sessions_that_are_ended_soon(shop: Database, project: Project, *, step_by_step: bool) -> None:
    """Neither the run nor what guards it is taken for one that was forgotten."""
    code = migration("migrations.RunPython(migrations.RunPython.noop, slow)", [("a", "0002_x")], before=SLOW)
    project.replace(a={"0001_t": T, "0002_x": X, "0003_slow": code})
    deploy(shop.alias, DAY_2)
    shop.connection.close()
    options = shop.connection.settings_dict["OPTIONS"]
    options["options"] = "-c idle_in_transaction_session_timeout=300"
    try:
        said = roll_back(shop, DAY_2, step_by_step=step_by_step)
    finally:
        del options["options"]
        shop.connection.close()
    assert said.status == 0, said.error


@pytest.mark.databases("postgresql", "mariadb")
def test_the_application_does_not_queue_behind_a_run_that_waits(shop: Database) -> None:
    """Somebody holds a table, the run waits for it, and a query of the application waits behind the run: until the lock
    timeout, and not until somebody lets go of the table."""
    looked_at = previews(shop)
    queued, through = threading.Event(), threading.Event()
    got_through_in_a_pause: list[bool] = []

    def application() -> None:
        connection = connections[shop.alias]
        wait_until(lambda: bool(asked(shop.alias, WAITING[shop.vendor])))  # the run, for the holder
        queued.set()
        with connection.cursor() as cursor:
            cursor.execute("SELECT x FROM a_t")
            assert list(cursor.fetchall()) == [(7,)]
        through.set()
        connection.close()

    def sleep(seconds: float) -> None:
        got_through_in_a_pause.append(queued.wait(30) and through.wait(30))

    with Holder(shop, WRITE) as holder:
        asking = threading.Thread(target=application)
        asking.start()
        with pytest.raises(StepFailed) as caught:
            workflow.roll_back(looked_at, destroy_data=True, timeouts=Timeouts(lock=1), retries=Retries(2, sleep))
        assert through.wait(30)
        assert not holder.enough.is_set()
        asking.join()
    assert caught.value.returncode == 4
    if shop.vendor == "postgresql":  # the holder, and not who waits behind the run
        assert caught.value.message.count("process ") == 1
        assert "Blocked by process " in caught.value.message
    else:
        assert "Other transactions that are open now: connection " in caught.value.message
    # On MariaDB a step is done by then and stays so: it is not tried again.
    assert got_through_in_a_pause == ([True, True] if shop.vendor == "postgresql" else [])


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("step_by_step", [False, True])
def test_only_who_blocks_is_named(shop: Database, step_by_step: bool) -> None:
    """Others have open transactions too, and locks of their own."""
    looked_at = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=step_by_step, count=False)
    bystanders = Holder(shop, "SELECT 1"), Holder(shop, "SELECT pg_advisory_xact_lock(1)")
    with Holder(shop, WRITE), bystanders[0], bystanders[1], pytest.raises(StepFailed) as caught:
        workflow.roll_back(looked_at, destroy_data=True, timeouts=Timeouts(lock=0.5))
    assert caught.value.message.count("process ") == 1
    assert "Blocked by process " in caught.value.message


WAITING = {
    "postgresql": "SELECT 1 FROM pg_locks WHERE relation = 'a_t'::regclass AND NOT granted",
    "mariadb": "SELECT 1 FROM information_schema.processlist"
    " WHERE db = database() AND state LIKE 'Waiting for table metadata lock%'",
}


def asked(alias: str, sql: str) -> list[Any]:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@transactional
def test_a_migrate_that_starts_meanwhile_waits(shop: Database, project: Project) -> None:
    """Django's own migrate, in a process of its own, while a run is between two steps."""
    project.replace(c={"0001_v": T.replace('"T"', '"V"')})
    looked_at = previews(shop)
    started: list[subprocess.Popen[str]] = []

    class Migrating(Progress):
        def finished(self, done: Done) -> None:
            if not started:
                started.append(migrate(shop))
                WAITS[shop.vendor](started[0])
                assert started[0].poll() is None

    workflow.roll_back(looked_at, destroy_data=True, progress=Migrating())
    connections.close_all()
    said, _ = started[0].communicate(timeout=60)
    assert started[0].returncode == 0, said
    with shop.connection.cursor() as cursor:
        if shop.vendor == "postgresql":
            # It saw that they are not applied, applied them anew, and put back what the run had kept.
            assert set(keys(shop.alias)) == {*AT_DAY_1, ("a", "0002_x"), ("b", "0001_u"), ("c", "0001_v")}
            (entry,) = Catalogue(get(shop.alias)).entries()
            assert (entry.source, entry.state) == ("a_t.x", KeptState.PUT_BACK)
            cursor.execute("SELECT x FROM a_t")
            assert cursor.fetchall() == [(7,)]
        else:
            # It had read before it had to wait, and does what it had in mind then: nothing about the steps of the run.
            assert keys(shop.alias) == [*AT_DAY_1, ("c", "0001_v")]


def migrate(shop: Database) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "django", "migrate", "--database", shop.alias],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def waits_on_postgresql(process: subprocess.Popen[str]) -> None:
    sql = "SELECT 1 FROM pg_locks WHERE relation = 'django_migrations'::regclass AND NOT granted"
    wait_until(lambda: bool(asked("postgresql", sql)))


def waits_on_sqlite(process: subprocess.Popen[str]) -> None:
    """It says what it is about to do, and is not heard of any more."""
    assert process.stdout
    said = ""
    while not said.endswith("Applying c.0001_v..."):
        letter = process.stdout.read(1)
        assert letter, said
        said += letter
    time.sleep(0.2)  # so that it would be done, if it did not wait


WAITS: dict[str, Callable[[subprocess.Popen[str]], None]] = {
    "postgresql": waits_on_postgresql,
    "sqlite": waits_on_sqlite,
}


@pytest.mark.databases("sqlite")
def test_readers_go_on_until_the_commit(shop: Database) -> None:
    looked_at = previews(shop)
    seen: list[Any] = []

    def read() -> None:
        connection = connections[shop.alias]
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
        seen.extend(asked(shop.alias, "SELECT x FROM a_t"))
        connection.close()

    class Reading(Progress):
        def finished(self, done: Done) -> None:
            reader = threading.Thread(target=read)
            reader.start()
            reader.join()

    workflow.roll_back(looked_at, destroy_data=True, progress=Reading())
    assert seen == [(7,), (7,)]
    assert keys(shop.alias) == AT_DAY_1


@pytest.mark.databases("mariadb")
def test_a_lock_is_gone_with_its_process(shop: Database, project: Project) -> None:
    project.replace(c={"0001_slow": migration("migrations.RunSQL('SELECT 1', 'SELECT sleep(1)')", [("b", "0001_u")])})
    deploy(shop.alias, DAY_2)
    connections.close_all()
    lock = "SELECT IS_USED_LOCK(concat('rollback_app.', database())) IS NOT NULL"
    asleep = "SELECT 1 FROM information_schema.processlist WHERE db = database() AND state = 'User sleep'"
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/support/killed.py"), shop.alias, DAY_2.isoformat(), "0"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: bool(asked(shop.alias, asleep)))
        assert list(asked(shop.alias, lock)) == [(1,)]
        process.kill()
    wait_until(lambda: list(asked(shop.alias, lock)) == [(0,)])
    said = roll_back(shop, DAY_2)
    assert said.status == 0, said.error
    assert keys(shop.alias) == AT_DAY_1


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("step_by_step", [True, False], ids=["step by step", "all or nothing"])
def test_between_two_steps_another_rollback_is_kept_away(shop: Database, step_by_step: bool) -> None:
    """Also while no transaction is open that would hold a lock."""
    refused: list[Locked] = []

    def other() -> None:
        timeouts = Timeouts(lock=0.2)
        try:
            previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=step_by_step)
            workflow.roll_back(previews, destroy_data=True, timeouts=timeouts, journal=False)
        except Locked as error:
            refused.append(error)
        finally:
            connections[shop.alias].close()

    class Between(Progress):
        def began(self, step: Any) -> None:
            # Not yet in the first step: with MariaDB, and for such a migration, no transaction is open here.
            if shop.vendor == "mariadb" or not step.migration.atomic:
                thread = threading.Thread(target=other)
                thread.start()
                thread.join(60)

    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=True)
    for step in previews[0].plan.steps:
        step.migration.atomic = False
    workflow.roll_back(previews, destroy_data=True, progress=Between())
    assert len(refused) == 2
    assert all("Another rollback is running on" in error.message for error in refused)
    assert keys(shop.alias) == AT_DAY_1


WAITING = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'django_migrations'::regclass",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock'",
}
LOOKS = {
    "a plan": ("rollbackmigrationsafter", DAY_2.isoformat(), "--plan", "--lock-timeout=60"),
    "a plan for programs": (
        "rollbackmigrationsafter",
        DAY_2.isoformat(),
        "--plan",
        "--format=json",
        "--lock-timeout=60",
    ),
    "the deployments": ("showdeployments", "--limit=9"),
}


def look_during_a_run(shop: Database, watches: Database, name: str) -> Said:
    """Someone looks while a run is under way, and is seen to wait: what that command says. The run goes on only then. watches:
    the same database, where a third session looks at the locks."""
    said: list[Said] = []

    def look() -> None:
        said.append(call(*LOOKS[name], f"--database={shop.alias}"))
        connections.close_all()

    looking = threading.Thread(target=look)
    other = watches.connection.copy()

    class Holding(Progress):
        def began(self, step: Step) -> None:
            if not looking.ident:
                looking.start()
                until = time.monotonic() + 30
                with other.cursor() as cursor:
                    waits = 0
                    while not waits:
                        assert time.monotonic() < until, "nobody waits"
                        assert not said, said
                        cursor.execute(WAITING[watches.vendor])
                        (waits,) = cursor.fetchone()

    found = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    try:
        workflow.roll_back(found, destroy_data=True, progress=Holding())
    finally:
        other.close()
        looking.join(60)
    return said[0]


def says_what_is_there_afterwards(said: Said) -> bool:
    """None of day 2, and no plan with steps."""
    assert said.status == 0, said.all
    if said.out.startswith("{"):
        return [plan["steps"] for plan in said.json["plans"]] == [[]]
    if said.out.startswith("Database") and "Moment " in said.out:
        return "Nothing to do: the newest migration, a.0001_t of 2024-05-01 08:00:00 UTC, was" in said.out
    return "\n1 deployment, newest first" in said.out and "-. 2024-05-02 10:00:00 to 10:00:01, ROLLED BACK" in said.out


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("name", LOOKS)
def test_who_looks_during_a_run_waits_and_sees_what_came_of_it(shop: Database, name: str) -> None:
    said = look_during_a_run(shop, shop, name)
    assert says_what_is_there_afterwards(said), said.out
    assert keys(shop.alias) == AT_DAY_1
