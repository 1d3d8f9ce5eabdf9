"""A run that fails, wherever it fails: as it was, or fully done; and where a database cannot keep that, so it is said."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_migrate
from django.db.utils import OperationalError
from pytest_django.fixtures import Settings

from rollback_app import workflow
from rollback_app.database import Timeouts
from rollback_app.errors import Locked, RollbackError, UsageError
from rollback_app.executor import Done, Progress, StepFailed
from rollback_app.planner import Step
from rollback_app.safety import NOT_KEEPING, Refused
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate, rows, set_applied
from tests.support.projects import Project, migration
from tests.support.schema import everything, snapshot

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.CharField(max_length=9))])'
U = (
    'migrations.CreateModel("U", [("id", models.BigAutoField(primary_key=True)),'
    ' ("t", models.ForeignKey("a.T", models.CASCADE)), ("m", models.ManyToManyField("a.T", related_name="+"))])'
)
CODE = """
def forwards(apps, schema_editor):
    T = apps.get_model("a", "T")
    T.objects.using(schema_editor.connection.alias).create(n="x")

def backwards(apps, schema_editor):
    T = apps.get_model("a", "T")
    T.objects.using(schema_editor.connection.alias).filter(n="x").delete()
"""

transactional = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """On day 1 a.0001_t; on day 2 columns, an index, data, a foreign key and many-to-many over two apps."""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(
        a={
            "0001_t": T,
            "0002_x": 'migrations.AddField("T", "x", models.IntegerField(null=True, db_index=True)), '
            'migrations.AlterField("T", "n", models.CharField(max_length=20))',
            "0003_code": migration("migrations.RunPython(forwards, backwards)", [("a", "0002_x")], before=CODE),
        },
        b={"0001_u": migration(U, [("a", "0003_code")])},
    )
    deploy(database.alias, DAY_2)
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (n, x) VALUES ('kept', 7)")
    return database


def again(database: Database, **options: Any) -> list[workflow.Result]:
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias], **options)
    return workflow.roll_back(previews, destroy_data=True)


class Warned(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def warned(self, text: str) -> None:
        self.texts.append(text)


class Broken(Exception):
    """What an injected failure raises."""


@contextmanager
def before_statement(database: Database, which: int | str, happens: Callable[[], None]) -> Iterator[list[str]]:
    """Something happens before the statement of this number (from 0), or of this beginning; yields the statements."""
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        seen.append(sql)
        if which in (len(seen) - 1, sql[: len(str(which))]):
            happens()
        return execute(sql, params, many, context)

    with database.connection.execute_wrapper(wrapper):
        yield seen


def fail() -> None:
    raise OperationalError("injected")


@transactional
def test_an_error_at_every_statement_leaves_all_as_it_was(shop: Database) -> None:
    before = everything(shop.connection)
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    number = 0
    while True:
        shop.connection.ensure_connection()
        warned = Warned()
        with before_statement(shop, number, fail) as seen:
            try:
                workflow.roll_back(previews, destroy_data=True, journal=False, progress=warned)
            except RollbackError as error:
                said = str(error)
            else:
                said = ""
        if not said:
            assert keys(shop.alias) == [("a", "0001_t")]
            if number >= len(seen):
                break
            # The statement was a receiver's, or was to read our own journal, and the run went on.
            assert all("injected" in warning for warning in warned.texts)
            deploy(shop.alias, DAY_2)
            before, previews = everything(shop.connection), workflow.preview(DAY_2.isoformat(), using=[shop.alias])
            number += 1
            continue
        assert "injected" in said
        if "it is done" in said:  # after the commit, when SQLite's foreign keys are enforced again
            assert seen[number].startswith("PRAGMA")
            assert keys(shop.alias) == [("a", "0001_t")]
            break
        assert "Nothing was changed: everything is as it was before." in said
        assert everything(shop.connection) == before, seen[number]
        number += 1
    assert number > 20
    assert keys(shop.alias) == [("a", "0001_t")]


@pytest.mark.databases("postgresql")
def test_a_connection_lost_at_every_statement_leaves_all_as_it_was(shop: Database, other_database: Database) -> None:
    before = everything(shop.connection)
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    number = 0
    while True:
        shop.connection.close()
        shop.connection.ensure_connection()
        with shop.connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()

        def terminate(pid: int = pid) -> None:
            with other_database.connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 1000)", [pid])

        with before_statement(shop, number, terminate) as seen:
            try:
                workflow.roll_back(previews, destroy_data=True, journal=False)
            except RollbackError as error:
                said = str(error)
            else:
                break
        assert "Nothing was changed" in said, seen[number]
        shop.connection.close()
        assert everything(shop.connection) == before, seen[number]
        number += 1
    assert number > 20
    assert keys(shop.alias) == [("a", "0001_t")]


@pytest.mark.databases("postgresql")
def test_a_server_that_is_gone_is_told(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        monkeypatch.setitem(shop.connection.settings_dict, "PORT", "9")
        fail()

    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    with before_statement(shop, "DROP TABLE", gone), pytest.raises(StepFailed) as caught:
        workflow.roll_back(previews, destroy_data=True, journal=False)
    assert (
        "cannot be reached now. Unless the run was committed just before, the server undoes it." in caught.value.message
    )
    assert "--plan" in caught.value.hint


@pytest.mark.databases("postgresql")
def test_a_server_that_is_gone_in_a_step_of_its_own_is_told(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        monkeypatch.setitem(shop.connection.settings_dict, "PORT", "9")
        fail()

    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=True)
    with before_statement(shop, "DROP TABLE", gone), pytest.raises(StepFailed) as caught:
        workflow.roll_back(previews, destroy_data=True, journal=False)
    assert "0 of 3 steps are unapplied and stay so. b.0001_u may be partly undone" in caught.value.message


@transactional
def test_a_connection_lost_at_the_commit_is_told_by_looking_again(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    commit = shop.connection._commit  # noqa: SLF001

    def commit_and_fail() -> None:
        commit()
        monkeypatch.undo()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(shop.connection, "_commit", commit_and_fail)
    with pytest.raises(StepFailed, match="it is done"):
        workflow.roll_back(previews, destroy_data=True, journal=False)
    assert keys(shop.alias) == [("a", "0001_t")]


@transactional
def test_what_others_did_after_a_failure_is_not_taken_for_success(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migrate that waited for the lock goes on as soon as the run is undone, and before it looks where the database is."""
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    close = shop.connection.close

    def close_and_record() -> None:
        close()
        monkeypatch.undo()
        MigrationRecorder(shop.connection).record_applied("c", "0001_other")

    monkeypatch.setattr(shop.connection, "close", close_and_record)
    with before_statement(shop, "DROP TABLE", fail), pytest.raises(StepFailed, match="Nothing was changed"):
        workflow.roll_back(previews, destroy_data=True, journal=False)
    assert ("c", "0001_other") in keys(shop.alias)


@transactional
def test_an_interrupt_undoes_the_run(shop: Database) -> None:
    before = everything(shop.connection)
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])

    class Interrupted(Progress):
        shows_sql = True

        def ran(self, sql: str) -> None:
            if "DROP TABLE" in sql:
                raise KeyboardInterrupt

    with pytest.raises(StepFailed, match="it was interrupted") as caught:
        workflow.roll_back(previews, destroy_data=True, progress=Interrupted())
    assert caught.value.hint == "If you still want this rollback, run the same command again."
    assert everything(shop.connection) == before


def test_a_history_that_changed_since_the_plan_is_refused(shop: Database, project: Project) -> None:
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    project.replace(c={"0001_v": T})
    migrate(shop.alias, "c")
    before = everything(shop.connection)
    with pytest.raises(Refused, match="The history changed meanwhile") as caught:
        workflow.roll_back(previews, destroy_data=True)
    assert caught.value.returncode == 3
    assert everything(shop.connection) == before


class Failing(Progress):
    """Raises when a step begins; notes what was finished."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[str] = []

    def began(self, step: Step) -> None:
        if step.key.name == self.name:
            raise Broken("on purpose")

    def finished(self, done: Done) -> None:
        self.steps.append(str(done.step.key))


def test_step_by_step_keeps_what_is_done_and_goes_on(shop: Database) -> None:
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=True)
    assert not previews[0].one_transaction
    progress = Failing("0002_x")
    with pytest.raises(StepFailed) as caught:
        workflow.roll_back(previews, destroy_data=True, progress=progress)
    assert progress.steps == ["b.0001_u", "a.0003_code"]
    message = caught.value.message
    assert "The rollback failed at a.0002_x, outside its operations: Broken: on purpose" in message
    assert "2 of 3 steps are unapplied and stay so; the last was a.0003_code." in message
    assert "Still to do: a.0002_x." in message
    assert ("may be partly undone" in message) == (shop.vendor == "mariadb")
    assert keys(shop.alias) == [("a", "0001_t"), ("a", "0002_x")]

    again(shop, step_by_step=True)
    assert keys(shop.alias) == [("a", "0001_t")]


def test_a_failure_in_the_first_step_leaves_no_step_undone(shop: Database) -> None:
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=True)
    with pytest.raises(StepFailed, match="0 of 3 steps are unapplied and stay so. "):
        workflow.roll_back(previews, destroy_data=True, progress=Failing("0001_u"))


def test_step_by_step_stops_when_somebody_else_migrates_meanwhile(shop: Database) -> None:
    class Meddling(Progress):
        def finished(self, done: Done) -> None:
            def meddle() -> None:
                with connections[shop.alias].cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO django_migrations (app, name, applied) VALUES ('a', 'other', '2024-05-03')"
                    )
                connections[shop.alias].close()

            if done.step.key.app == "b":
                after_commit.append(meddle)

        def began(self, step: Step) -> None:
            assert not after_commit

    after_commit: list[Callable[[], None]] = []
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=True)

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if after_commit and not shop.connection.in_atomic_block:
            thread = threading.Thread(target=after_commit.pop())
            thread.start()
            thread.join()
        return execute(sql, params, many, context)

    commit = shop.connection._commit  # noqa: SLF001

    def commit_and_meddle() -> None:
        commit()
        if after_commit:
            thread = threading.Thread(target=after_commit.pop())
            thread.start()
            thread.join()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop.connection, "_commit", commit_and_meddle)
        with (
            shop.connection.execute_wrapper(wrapper),
            pytest.raises(StepFailed, match="changed django_migrations in the meantime"),
        ):
            workflow.roll_back(previews, destroy_data=True, progress=Meddling())
    assert [name for _, name in keys(shop.alias)] == ["0001_t", "0002_x", "0003_code", "other"]


def test_rows_that_would_point_nowhere(database: Database, project: Project) -> None:
    """Reverse code that deletes what other rows still point to."""
    code = "def backwards(apps, schema_editor):\n    schema_editor.connection.cursor().execute('DELETE FROM a_t')\n"
    project(
        a={"0001_t": T},
        b={"0001_u": migration(U, [("a", "0001_t")])},
    )
    deploy(database.alias, DAY_1)
    project.replace(
        a={
            "0001_t": T,
            "0002_code": migration(
                "migrations.RunPython(migrations.RunPython.noop, backwards)", [("a", "0001_t")], before=code
            ),
        }
    )
    deploy(database.alias, DAY_2)
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (id, n) VALUES (1, 'x')")
        cursor.execute("INSERT INTO b_u (t_id) VALUES (1)")
    before = everything(database.connection)
    for step_by_step in (False, True):
        said = roll_back(database, DAY_2, step_by_step=step_by_step)
        assert said.status == 1
        if database.vendor == "sqlite":
            assert "checking foreign keys: 1 row would point to a row that does not exist" in said.error
        else:
            assert re.search("violates foreign key constraint|a foreign key constraint fails", said.error)
        assert everything(database.connection) == before


def test_a_lock_held_on_a_table_of_the_plan(shop: Database) -> None:
    """Somebody holds a table, not the history: the run waits for the lock timeout, and no longer."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        connection = connections[shop.alias]
        with transaction.atomic(using=shop.alias), connection.cursor() as cursor:
            cursor.execute("UPDATE a_t SET n = 'held'")
            held.set()
            done.wait(30)
        connection.close()

    before = keys(shop.alias)
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        timeouts = Timeouts(lock=0.3)
        with pytest.raises((StepFailed, Locked)) as caught:  # noqa: PT012  # SQLite has only one lock, which is taken first
            previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], timeouts=timeouts)
            workflow.roll_back(previews, destroy_data=True, timeouts=timeouts)
    finally:
        done.set()
        thread.join()
    assert caught.value.returncode == 4
    assert caught.value.hint
    if shop.vendor != "mariadb":
        assert keys(shop.alias) == before


@pytest.mark.databases("postgresql")
def test_a_statement_timeout_undoes_the_run(shop: Database, project: Project) -> None:
    sleep = migration("migrations.RunSQL('SELECT 1', 'SELECT pg_sleep(9)')", [("a", "0001_t")])
    project.replace(c={"0001_sleep": sleep})
    deploy(shop.alias, DAY_2)
    before = everything(shop.connection)
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    with pytest.raises(StepFailed, match="canceling statement due to statement timeout") as caught:
        workflow.roll_back(previews, destroy_data=True, timeouts=Timeouts(statement=0.2))
    assert caught.value.sql == "SELECT pg_sleep(9)"
    assert everything(shop.connection) == before


@pytest.mark.databases("postgresql")
def test_a_lock_on_the_history_is_not_waited_for_while_reading(shop: Database) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        connection = connections[shop.alias]
        with transaction.atomic(using=shop.alias), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")
            held.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        with pytest.raises(Locked, match="Somebody else is working on postgresql.*: process .* of postgres, since"):
            workflow.preview(DAY_2.isoformat(), using=[shop.alias], timeouts=Timeouts(lock=0.2))
    finally:
        done.set()
        thread.join()


@contextmanager
def held(shop: Database, lock: str) -> Iterator[None]:
    """Another session holds a lock as long as the block lasts."""
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        connection = connections[shop.alias]
        with transaction.atomic(using=shop.alias), connection.cursor() as cursor:
            cursor.execute(lock)
            ready.set()
            done.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        done.set()
        thread.join()


LOCKS = {
    "sqlite": "UPDATE django_migrations SET app = app",
    "postgresql": "LOCK TABLE django_migrations IN SHARE MODE",
    "mariadb": "SELECT GET_LOCK(concat('rollback_app.', database()), 5)",
}


def test_a_lock_that_somebody_took_since_the_plan(shop: Database) -> None:
    before = everything(shop.connection)
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    with (
        held(shop, LOCKS[shop.vendor]),
        pytest.raises(Locked, match=r"(is working|is running) on") as caught,
    ):
        workflow.roll_back(previews, destroy_data=True, timeouts=Timeouts(lock=0.2))
    assert caught.value.returncode == 4
    assert everything(shop.connection) == before


@transactional
def test_a_lock_that_somebody_takes_between_two_steps(shop: Database) -> None:
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], step_by_step=True, keeping=NOT_KEEPING)
    commit = shop.connection._commit  # noqa: SLF001
    locks = ExitStack()

    def commit_and_lock() -> None:
        commit()
        if not locks_taken:
            locks_taken.append(locks.enter_context(held(shop, LOCKS[shop.vendor])))

    locks_taken: list[None] = []
    with pytest.MonkeyPatch.context() as patch, locks:
        patch.setattr(shop.connection, "_commit", commit_and_lock)
        with pytest.raises(StepFailed, match="taking the lock: Somebody else is working on") as caught:
            workflow.roll_back(previews, destroy_data=True, journal=False, timeouts=Timeouts(lock=0.2))
    assert caught.value.returncode == 4
    assert "1 of 3 steps are unapplied and stay so; the last was b.0001_u." in caught.value.message


@pytest.mark.databases("mariadb")
def test_a_connection_that_the_server_ends(shop: Database, other_database: Database) -> None:
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    with shop.connection.cursor() as cursor:
        cursor.execute("SELECT connection_id()")
        (number,) = cursor.fetchone()

    def end() -> None:
        with other_database.connection.cursor() as cursor:
            cursor.execute("KILL %s", [number])

    with before_statement(shop, "DELETE FROM `a_t`", end), pytest.raises(StepFailed) as caught:
        workflow.roll_back(previews, destroy_data=True)
    assert "of 3 steps are unapplied and stay so" in caught.value.message
    assert caught.value.hint
    shop.connection.close()
    again(shop)
    assert keys(shop.alias) == [("a", "0001_t")]


@pytest.mark.databases("sqlite")
def test_an_engine_that_is_not_known(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(shop.connection), "vendor", "oracle")
    with pytest.raises(UsageError, match="oracle is not a database that this command can roll back") as caught:
        workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    assert caught.value.hint


def test_a_database_with_nothing_to_do_is_passed_over(shop: Database, other_database: Database) -> None:
    migrate(other_database.alias, "a", "0001_t")
    set_applied(other_database.alias, {("a", "0001_t"): DAY_1})
    previews = workflow.preview(DAY_2.isoformat(), using=[other_database.alias, shop.alias])
    first, second = workflow.roll_back(previews, destroy_data=True)
    assert first.done == ()
    assert [str(done.step.key) for done in second.done] == ["b.0001_u", "a.0003_code", "a.0002_x"]


def test_models_of_apps_without_migrations_are_there_after_the_run(
    database: Database, project: Project, settings: Settings
) -> None:
    """What post_migrate makes needs their relations: a permission points to a content type."""
    project(a={"0001_t": T})
    settings.MIGRATION_MODULES = {**settings.MIGRATION_MODULES, "auth": None, "contenttypes": None}
    call_command("migrate", database=database.alias, run_syncdb=True, verbosity=0)
    set_applied(database.alias, {("a", "0001_t"): DAY_1})
    seen: list[str] = []

    def receiver(apps: Any, **kwargs: Any) -> None:
        seen.append(apps.get_model("auth", "Permission")._meta.get_field("content_type").related_model.__name__)

    post_migrate.connect(receiver)
    try:
        assert roll_back(database, DAY_1).status == 0
    finally:
        post_migrate.disconnect(receiver)
    assert set(seen) == {"ContentType"}


def test_not_inside_a_transaction(shop: Database) -> None:
    with transaction.atomic(using=shop.alias), pytest.raises(UsageError, match="inside a transaction"):
        workflow.preview(DAY_2.isoformat(), using=[shop.alias])


def test_nothing_blocks_and_nothing_is_lost_is_asked_of_the_api_too(shop: Database) -> None:
    previews = workflow.preview(DAY_2.isoformat(), using=[shop.alias], keeping=NOT_KEEPING)
    before = rows(shop.alias)
    with pytest.raises(Refused) as caught:
        workflow.roll_back(previews)
    assert {finding.id for finding in caught.value.findings} == {"rollback.W001"}
    assert rows(shop.alias) == before


def test_a_moment_object_is_taken_as_it_is(shop: Database) -> None:
    (first,) = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    (second,) = workflow.preview(first.moment, using=[shop.alias, shop.alias])
    assert second.plan.digest == first.plan.digest


def test_going_back_is_going_forward_only_so_far(shop: Database, other_database: Database) -> None:
    final = snapshot(shop.connection)
    again(shop)
    migrate(other_database.alias, "a", "0001_t")
    assert snapshot(shop.connection) == snapshot(other_database.connection)
    migrate(shop.alias)
    assert snapshot(shop.connection) == final
