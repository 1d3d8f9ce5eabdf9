"""A rehearsal does everything, tells it exactly, and leaves no trace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db.models.signals import post_migrate, pre_migrate
from django.db.utils import OperationalError

from rollback_app import workflow
from rollback_app.database import Timeouts
from rollback_app.executor import Done, NotAsExpected, Progress, Rehearsal, StepFailed
from rollback_app.history import Key
from rollback_app.planner import Step
from rollback_app.safety import Comparison, Refused
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration
from tests.support.schema import everything
from tests.support.two_days import DAY_1, DAY_2, T, U, deploy_twice

transactional = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """Rows in T, none in U; then a column, code that writes, and a table."""
    return deploy_twice(database, project, "INSERT INTO a_t (n) VALUES ('kept'), ('too')")


def rehearse(database: Database, **options: Any) -> Rehearsal:
    step_by_step = options.pop("step_by_step", False)
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias], step_by_step=step_by_step)
    ((_, rehearsal),) = workflow.rehearse(previews, **options)
    return rehearsal


@transactional
def test_it_tells_all_and_leaves_no_trace(shop: Database) -> None:
    before = everything(shop.connection)
    rehearsal = rehearse(shop)
    assert everything(shop.connection) == before
    assert [str(step.step.key) for step in rehearsal.steps] == ["a.0004_v", "a.0003_code", "a.0002_x"]
    assert [step.rows for step in rehearsal.steps] == [0, 6, 0]  # twice two inserted, one updated
    assert all(step.seconds > 0 for step in rehearsal.steps)
    dropped, code, column = (step.statements for step in rehearsal.steps)
    assert dropped[0].startswith('DROP TABLE "a_v"')
    assert "it''s" in code[0]
    assert 'DROP COLUMN "x"' in column[0]
    assert rehearsal.comparison == Comparison(tables=2)


@pytest.mark.databases("sqlite")
def test_sql_with_a_sign_that_is_none_of_a_parameter(database: Database, project: Project) -> None:
    """Django's own SQL for the time that it is, on SQLite."""
    now = 'models.DateTimeField(db_default=__import__("django").db.models.functions.Now())'
    early = f'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True)), ("at", {now})])'
    late = 'migrations.AlterField("T", "at", models.DateTimeField(null=True))'
    project(a={"0001_early": early, "0002_late": late})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    deploy(database.alias, DAY_2)
    ((step,),) = [rehearse(database).steps]
    assert "STRFTIME('%Y-" in "".join(step.statements)


@transactional
def test_its_statements_do_what_the_run_does(shop: Database, other_database: Database) -> None:
    """They are replayed as they are told, and then the run itself has the same end."""
    statements = [sql for step in rehearse(shop).steps for sql in step.statements]
    before = everything(shop.connection, ["rollback_app_run"])
    workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[shop.alias]), destroy_data=True, journal=False)
    rolled_back = everything(shop.connection, ["rollback_app_run"])
    assert rolled_back != before
    other = other_database
    call_command("migrate", database=other.alias, verbosity=0, interactive=False)
    with other.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (n) VALUES ('kept'), ('too')")
        for statement in statements:
            cursor.execute(statement)
    found = everything(other.connection)
    tables = ("a_t", "a_u")
    assert [found["data"][table] for table in tables] == [rolled_back["data"][table] for table in tables]
    assert [fact for fact in found["schema"] if fact.table[:2] == "a_"] == [
        fact for fact in rolled_back["schema"] if fact.table[:2] == "a_"
    ]


@transactional
def test_signals_are_sent_and_progress_is_told(shop: Database) -> None:
    told: list[str] = []

    class Told(Progress):
        shows_sql = True

        def began(self, step: Step) -> None:
            told.append(f"began {step.key}")

        def finished(self, done: Done) -> None:
            told.append(f"finished {done.step.key}")

        def ran(self, sql: str) -> None:
            told.append(sql)

        def verified(self, comparison: Comparison) -> None:
            told.append("verified")

        def rendered_everything(self, operation: Any) -> None:
            told.append(f"rendered all for {operation.describe()}")

    def sent(signal: Any, **options: Any) -> None:
        told.append("before" if signal is pre_migrate else "after")

    sender = apps.get_app_config("a")
    with connected(pre_migrate, sent, sender), connected(post_migrate, sent, sender):
        rehearse(shop, progress=Told())
    order = ["before", "began a.0004_v", "finished a.0004_v", "finished a.0002_x", "after", "verified"]
    assert [word for word in told if word in order] == order
    assert "rendered all for Raw Python operation" in told
    assert any(word.startswith('DROP TABLE "a_v"') for word in told)


@contextmanager
def connected(signal: Any, receiver: Callable[..., None], sender: Any) -> Iterator[None]:
    signal.connect(receiver, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=sender)


@pytest.mark.databases("postgresql")
def test_the_strongest_lock_on_each_table(shop: Database) -> None:
    locks = rehearse(shop).locks
    assert list(locks.items())[:3] == [
        ("a_t", "ACCESS EXCLUSIVE"),
        ("a_v", "ACCESS EXCLUSIVE"),
        ("django_migrations", "ACCESS EXCLUSIVE"),
    ]
    assert locks["a_u"] == "ROW EXCLUSIVE"


@pytest.mark.databases("sqlite")
def test_sqlite_locks_no_single_table(shop: Database) -> None:
    assert rehearse(shop).locks == {}


@transactional
def test_one_that_fails_leaves_no_trace_either(shop: Database, project: Project) -> None:
    before = everything(shop.connection)

    class Failing(Progress):
        def verified(self, comparison: Comparison) -> None:
            raise LookupError("after the steps")

    with pytest.raises(StepFailed, match="after the steps") as failure:
        rehearse(shop, progress=Failing())
    assert "Nothing was changed" in failure.value.message
    assert everything(shop.connection) == before


@transactional
def test_what_the_verification_finds_is_found_in_rehearsal(database: Database, project: Project) -> None:
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    secret = migration(
        'Secretly(migrations.RemoveField("T", "n"))',
        [("a", "0001_t")],
        before="from tests.support.sabotage import Secretly",
    )
    project(a={"0001_t": T, "0002_secret": secret})
    deploy(database.alias, DAY_2)
    before = everything(database.connection)
    with pytest.raises(NotAsExpected, match="a_t lacks column n"):
        rehearse(database)
    assert everything(database.connection) == before
    assert rehearse(database, verify=False).comparison is None


@pytest.mark.databases("mariadb")
def test_refused_where_it_could_not_be_taken_back(shop: Database) -> None:
    with pytest.raises(Refused, match="a rehearsal cannot be undone"):
        rehearse(shop)
    assert ("a", "0004_v") in keys(shop.alias)


@transactional
def test_refused_step_by_step(shop: Database) -> None:
    with pytest.raises(Refused, match="a rehearsal cannot be undone") as refused:
        rehearse(shop, step_by_step=True)
    assert "--step-by-step" in refused.value.hint


@transactional
def test_nothing_to_rehearse(shop: Database) -> None:
    assert workflow.rehearse(workflow.preview("2024-06-01", using=[shop.alias])) == []


# The numbers that others took meanwhile are theirs


class Warned(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def warned(self, text: str) -> None:
        self.texts.append(text)


def in_another_session(database: Database, *statements: str) -> None:
    def work() -> None:
        with database.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        database.connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def wait_for_older_transactions(database: Database) -> None:
    """What was written while one is open, also by a test beside this one on the same server, counts as written meanwhile."""
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        (now,) = cursor.fetchone()
        oldest = 0
        while oldest < now:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            (oldest,) = cursor.fetchone()


@pytest.mark.databases("postgresql")
def test_numbers_that_somebody_else_has_used_are_not_given_again(shop: Database) -> None:
    def others(**signal: Any) -> None:
        in_another_session(shop, "INSERT INTO a_u (n) VALUES ('theirs')")

    warned = Warned()
    with connected(post_migrate, others, apps.get_app_config("a")):
        rehearse(shop, progress=warned)
    assert warned.texts == ["Somebody else has written to public.a_u meanwhile: its numbers go on from there."]
    with shop.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_u (n) VALUES ('next')")
        cursor.execute("SELECT id, n FROM a_u ORDER BY id")
        assert cursor.fetchall() == [(3, "theirs"), (4, "next")]


@pytest.mark.databases("postgresql")
def test_a_table_that_stays_locked_keeps_its_numbers(shop: Database, other_database: Database) -> None:
    holder = other_database.connection.copy()
    holder.settings_dict["NAME"] = shop.connection.settings_dict["NAME"]
    holder.set_autocommit(False)

    def hold(**signal: Any) -> None:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE a_u IN ROW EXCLUSIVE MODE")

    warned = Warned()
    try:
        with connected(post_migrate, hold, apps.get_app_config("a")):
            rehearse(shop, progress=warned, timeouts=Timeouts(lock=0.1))
    finally:
        holder.rollback()
        holder.close()
    assert warned.texts == [
        "The next number of public.a_u could not be set back: canceling statement due to lock timeout"
    ]


@pytest.mark.databases("postgresql")
def test_a_connection_that_is_lost_hides_no_failure(shop: Database) -> None:
    def lose(execute: Any, sql: str, *rest: Any) -> Any:
        if lost and "pg_sequence_last_value" in sql:
            raise OperationalError("server closed the connection")
        return execute(sql, *rest)

    class Failing(Warned):
        def verified(self, comparison: Comparison) -> None:
            lost.append(True)
            raise LookupError("after the steps")

    lost: list[bool] = []
    warned = Failing()
    with shop.connection.execute_wrapper(lose), pytest.raises(StepFailed, match="after the steps"):
        rehearse(shop, progress=warned)
    assert warned.texts == ["Whether numbers were used up could not be seen: server closed the connection"]


# What is shown of the SQL


@transactional
def test_queries_of_the_catalog_are_not_shown_and_not_counted(database: Database, project: Project) -> None:
    """Case rehearse-counts-catalog: Django looks constraints up to drop a foreign key."""
    project(a={"0001_t": f"{T}, {U}"})
    deploy(database.alias, DAY_1)
    late = {
        "0002_key": 'migrations.AddField("T", "u", models.ForeignKey("a.U", models.CASCADE, null=True))',
        "0003_unique": 'migrations.AlterUniqueTogether("T", {("n", "u")})',
        "0004_alter": 'migrations.AlterField("T", "u", models.ForeignKey("a.U", models.CASCADE, null=True, unique=True))',
    }
    project(a={"0001_t": f"{T}, {U}", **late})
    deploy(database.alias, DAY_2)
    for step in rehearse(database).steps:
        assert step.rows == 0
        assert step.statements
        for statement in step.statements:
            assert statement.split()[0] in ("ALTER", "CREATE", "DROP", "INSERT", "SET")


@transactional
def test_what_sql_reads_and_what_it_writes(database: Database, project: Project) -> None:
    reads = [
        "\n  SELECT 1",
        "-- one\nSELECT 2",
        "/* two\nlines */ select 3",
        "WITH t AS (SELECT 4) SELECT * FROM t",
        "(SELECT 5)" if database.vendor == "postgresql" else "VALUES (5)",
    ]
    writes = ["WITH t AS (SELECT 'a') INSERT INTO a_t (n) SELECT * FROM t", "-- SELECT\nDELETE FROM a_t WHERE n = 'b'"]
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    sql = f"migrations.RunSQL({[(each, None) for each in reads + writes]!r}, {[(each, None) for each in reads + writes]!r})"
    project(a={"0001_t": T, "0002_sql": sql})
    deploy(database.alias, DAY_2)
    (step,) = rehearse(database).steps
    assert [each for each in step.statements if not each.startswith("SET CONSTRAINTS")] == writes
    assert step.rows == 1


# Sequences come back as they were


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    ("before", "place"),
    [
        ("SELECT 1", (1, False)),
        ("INSERT INTO a_u (id, n) VALUES (70, 'loaded'), (77, 'too')", (1, False)),
        ("ALTER TABLE a_u ALTER id RESTART WITH 100", (100, False)),
        ("SELECT setval('a_u_id_seq', 50, false)", (50, False)),
        ("INSERT INTO a_u (n) VALUES ('x'), ('y')", (2, True)),
        ("INSERT INTO a_u (n) VALUES ('x'); INSERT INTO a_u (id, n) VALUES (9, 'loaded')", (1, True)),
    ],
)
def test_a_sequence_stands_where_it_stood(shop: Database, before: str, place: tuple[int, bool]) -> None:
    """Also one that was never used; rows that have their numbers from elsewhere were written by nobody else meanwhile."""

    def stands() -> Any:
        with shop.connection.cursor() as cursor:
            cursor.execute("SELECT last_value, is_called FROM a_u_id_seq")
            return cursor.fetchone()

    in_another_session(shop, before)
    assert stands() == place
    wait_for_older_transactions(shop)
    warned = Warned()
    rehearse(shop, progress=warned)
    assert warned.texts == []
    assert stands() == place


@pytest.mark.databases("postgresql")
def test_numbers_of_others_among_those_that_were_loaded(shop: Database) -> None:
    in_another_session(shop, "INSERT INTO a_u (id, n) VALUES (77, 'loaded')")

    def others(**signal: Any) -> None:
        in_another_session(shop, "INSERT INTO a_u (n) VALUES ('theirs')")

    warned = Warned()
    with connected(post_migrate, others, apps.get_app_config("a")):
        rehearse(shop, progress=warned)
    assert warned.texts == ["Somebody else has written to public.a_u meanwhile: its numbers go on from there."]


@pytest.mark.databases("postgresql")
def test_a_place_that_code_sets_is_set_back(database: Database, project: Project) -> None:
    """setval is no part of a transaction, not even where no number was given."""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    sql = """migrations.RunSQL("SELECT 1", "SELECT setval('a_t_id_seq', 500, false)")"""
    project(a={"0001_t": T, "0002_sql": sql})
    deploy(database.alias, DAY_2)
    rehearse(database)
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT last_value, is_called FROM a_t_id_seq")
        assert cursor.fetchone() == (1, False)
