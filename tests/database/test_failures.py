"""What a failure says: the statement that failed and no other, what the server says besides, and advice that fits."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from django.db.models.signals import post_delete, pre_delete, pre_migrate, pre_save

from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = (
    'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)),'
    ' ("x", models.CharField(max_length=10, default=""))])'
)
JOB = 'migrations.CreateModel("Job", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField(null=True))])'
CODE = """
from django.db import DatabaseError, IntegrityError, transaction

def cursor_of(schema_editor):
    return schema_editor.connection.cursor()

def swallows(apps, schema_editor):
    with cursor_of(schema_editor) as cursor:
        for _ in range(9):
            try:
                cursor.execute("SELECT first FROM nowhere")
            except DatabaseError:
                pass
        cursor.execute("SELECT 2")

def swallows_in_atomic(apps, schema_editor):
    alias = schema_editor.connection.alias
    with transaction.atomic(using=alias):
        try:
            with transaction.atomic(using=alias, savepoint=False), cursor_of(schema_editor) as cursor:
                cursor.execute("SELECT first FROM nowhere")
        except DatabaseError:
            pass
        cursor_of(schema_editor).execute("SELECT 2")

def wraps(apps, schema_editor):
    try:
        with cursor_of(schema_editor) as cursor:
            cursor.execute("SELECT first FROM nowhere")
    except DatabaseError as error:
        raise ValueError("wrapped") from error

def no_statement(apps, schema_editor):
    cursor_of(schema_editor).execute("SELECT 1")
    raise ValueError("in Python")

def releases(apps, schema_editor):
    with cursor_of(schema_editor) as cursor:
        try:
            cursor.execute("SELECT first FROM nowhere")
        finally:
            cursor.execute("RELEASE SAVEPOINT nowhere")
"""

transactional = pytest.mark.databases("sqlite", "postgresql")
on_postgresql = pytest.mark.databases("postgresql")


def deployed(database: Database, project: Project, late: str, first: str = T) -> None:
    project(a={"0001_t": first})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": first, "0002_late": migration(late, [("a", "0001_t")], before=CODE)})
    deploy(database.alias, DAY_2)


def execute(database: Database, *statements: str) -> None:
    with database.connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def failure(database: Database, project: Project, code: str) -> str:
    deployed(database, project, f"migrations.RunPython(migrations.RunPython.noop, {code})")
    said = roll_back(database, DAY_2)
    assert said.status == 1
    return said.error


FIRST = "The statement was: SELECT first FROM nowhere\n"


@on_postgresql
def test_an_error_that_code_swallowed_is_the_one_that_is_told(database: Database, project: Project) -> None:
    said = failure(database, project, "swallows")
    assert 'The statement before it had failed: relation "nowhere" does not exist' in said
    assert FIRST in said
    assert "The code went on after a statement that had failed." in said


def test_an_error_that_code_swallowed_in_a_block_of_django_is_too(database: Database, project: Project) -> None:
    said = failure(database, project, "swallows_in_atomic")
    assert "The statement before it had failed: " in said
    assert FIRST in said
    assert "The code went on after a statement that had failed." in said


def test_the_statement_behind_an_error_of_python_is_told(database: Database, project: Project) -> None:
    said = failure(database, project, "wraps")
    assert ".wraps: ValueError: wrapped\n" in said
    assert FIRST in said


@transactional
def test_a_failure_ends_the_line_of_its_step(database: Database, project: Project) -> None:
    failure(database, project, "no_statement")
    for rehearse in (False, True):
        said = roll_back(database, DAY_2, rehearse=rehearse)
        assert said.out.endswith(" a.0002_late... FAILED\n")


def test_where_no_statement_failed_none_is_told(database: Database, project: Project) -> None:
    said = failure(database, project, "no_statement")
    assert ".no_statement: ValueError: in Python\n" in said
    assert "The statement was" not in said
    assert "--fake" not in said


@transactional
def test_a_statement_that_cleans_up_is_not_the_one_that_failed(database: Database, project: Project) -> None:
    said = failure(database, project, "releases")
    assert FIRST in said
    assert "The statement was: RELEASE" not in said


@on_postgresql
def test_the_view_in_the_way_is_named(database: Database, project: Project) -> None:
    """Case detail-cut-off-view, in SQL, which nobody can look into before."""
    deployed(database, project, "migrations.RunSQL('', 'ALTER TABLE a_t ALTER COLUMN x TYPE varchar(9)')")
    execute(database, "CREATE VIEW report AS SELECT x FROM a_t")
    said = roll_back(database, DAY_2).error
    execute(database, "DROP VIEW report")
    assert 'Detail: rule _RETURN on view report depends on column "x"' in said
    assert "Other objects depend on it. Drop those named above" in said
    assert "--fake" not in said


@on_postgresql
def test_the_rows_in_the_way_are_named(database: Database, project: Project) -> None:
    unique = 'migrations.AlterField("T", "x", models.CharField(max_length=10, default="", unique=True))'
    deployed(database, project, 'migrations.AlterField("T", "x", models.CharField(max_length=10))', f"{T}, {unique}")
    execute(database, "INSERT INTO a_t (x) VALUES ('one'), ('one')")
    said = roll_back(database, DAY_2, count=False).error
    assert "Detail: Key (x)=(one) is duplicated." in said
    assert "Rows in the table violate a constraint. Fix the rows listed above, then run the same command again." in said


@on_postgresql
def test_the_servers_own_hint_is_told(database: Database, project: Project) -> None:
    deployed(database, project, "migrations.RunSQL('', 'SELECT lower(1)')")
    said = roll_back(database, DAY_2).error
    assert "The server's hint: No function matches the given name and argument types." in said


@on_postgresql
def test_a_procedure_that_commits_is_told_the_way(database: Database, project: Project) -> None:
    deployed(database, project, "migrations.RunSQL('', 'CALL batch()')")
    execute(database, "CREATE OR REPLACE PROCEDURE batch() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$")
    said = roll_back(database, DAY_2)
    assert said.status == 1
    assert "Nothing was changed" in said.error
    assert "--step-by-step runs it outside of one." in said.error
    execute(database, "DROP PROCEDURE batch")


def test_what_does_not_exist_suggests_fake_and_names_the_migration(database: Database, project: Project) -> None:
    deployed(database, project, 'migrations.AddField("T", "y", models.IntegerField(null=True))')
    execute(database, "ALTER TABLE a_t DROP COLUMN y")
    said = roll_back(database, DAY_2).error
    if database.vendor == "sqlite":  # it remakes the table, which cannot tell
        return
    assert (
        "What this step undoes does not exist. If a.0002_late was recorded without ever being run, add --fake" in said
    )


def test_outside_of_a_step_nothing_can_be_faked(database: Database, project: Project) -> None:
    deployed(database, project, JOB)

    def receiver(**kwargs: Any) -> None:
        execute(database, "SELECT first FROM nowhere")

    pre_migrate.connect(receiver)
    try:
        said = roll_back(database, DAY_2).error
    finally:
        pre_migrate.disconnect(receiver)
    assert FIRST in said
    assert "Fix the problem named above, then run the same command again" in said


def test_rows_of_django_migrations_go_without_signals(database: Database, project: Project) -> None:
    """Case pre-delete-receiver: of any model, as such receivers are."""
    seen: list[Any] = []

    def receiver(sender: Any, **kwargs: Any) -> None:
        seen.append(sender)
        execute(database, "SELECT count(*) FROM a_job")

    deployed(database, project, JOB)
    for signal in (pre_delete, post_delete, pre_save):
        signal.connect(receiver)
    try:
        said = roll_back(database, DAY_2)
    finally:
        for signal in (pre_delete, post_delete, pre_save):
            signal.disconnect(receiver)
    assert said.status == 0, said.error
    assert seen == []
    assert keys(database.alias) == [("a", "0001_t")]


CALLBACKS = """
from django.db import transaction

def backwards(apps, schema_editor):
    alias = schema_editor.connection.alias

    def called():
        from django.db.migrations.recorder import MigrationRecorder
        names = [row.name for row in MigrationRecorder(schema_editor.connection).migration_qs]
        raise ValueError(f"{schema_editor.connection.in_atomic_block} {names}")

    transaction.on_commit(called, using=alias)
    if FAILS:
        raise ValueError("on purpose")
"""


@transactional
@pytest.mark.parametrize("step_by_step", [False, True])
@pytest.mark.parametrize("atomic", [False, True])
def test_on_commit_runs_after_the_commit_and_fails_nothing(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str], step_by_step: bool, atomic: bool
) -> None:
    operation = "migrations.RunPython(migrations.RunPython.noop, backwards, atomic=True)"
    late = migration(operation, [("a", "0001_t")], before=f"FAILS = False\n{CALLBACKS}", atomic=atomic)
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_late": late})
    deploy(database.alias, DAY_2)
    said = roll_back(database, DAY_2, step_by_step=step_by_step)
    assert said.status == 0, said.error
    assert keys(database.alias) == [("a", "0001_t")]
    there = ["0001_t"] if atomic or not step_by_step else ["0001_t", "0002_late"]
    warning = "called, registered with on_commit, failed: ValueError: False "
    assert f"{warning}{there}. The rollback itself is committed." in " ".join(capsys.readouterr().err.split())


@transactional
def test_on_commit_does_not_run_without_a_commit(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    operation = "migrations.RunPython(migrations.RunPython.noop, backwards)"
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    late = {fails: migration(operation, [("a", "0001_t")], before=f"FAILS = {fails}\n{CALLBACKS}") for fails in (0, 1)}
    project(a={"0001_t": T, "0002_late": late[1]})
    deploy(database.alias, DAY_2)
    assert roll_back(database, DAY_2).status == 1
    project(a={"0001_t": T, "0002_late": late[0]})
    assert roll_back(database, DAY_2, rehearse=True).status == 0
    assert "on_commit" not in capsys.readouterr().err
