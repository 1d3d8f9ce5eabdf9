"""SQL and code that end the transaction of a run, or refuse to run in one: found before the run, or noticed at once."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_migrate, pre_migrate

from tests.support.commands import Said, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration
from tests.support.schema import everything

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("x", models.IntegerField(null=True))])'
Y = 'migrations.AddField("T", "y", models.IntegerField(null=True))'
CODE = """
def backwards(apps, schema_editor):
    if ACT == "raises":
        raise ValueError("boom")
    connection = schema_editor.connection
    if ACT == "commit":
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO a_t (x) VALUES (1)")
            cursor.execute("COMMIT")
    elif ACT == "driver's commit":
        connection.connection.commit()
    elif ACT == "another":
        with connection.cursor() as cursor:
            cursor.execute("COMMIT")
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO a_t (x) VALUES (1)")
    elif ACT == "rollback":
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
            cursor.execute("INSERT INTO a_t (x) VALUES (1)")
    elif ACT == "script":
        if connection.vendor == "sqlite":
            connection.connection.executescript("SELECT 1")  # which commits first
        else:
            connection.connection.commit()
    elif ACT == "autocommit":
        connection.set_autocommit(True)
    elif ACT == "fails after a rollback":
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
            cursor.execute("INSERT INTO a_t (x) VALUES (1)")
        raise ValueError("boom")
    elif ACT == "fails after it":
        with connection.cursor() as cursor:
            cursor.execute("COMMIT")
            cursor.execute("wrong")
    elif ACT == "durable":
        with transaction.atomic(using=connection.alias, durable=True):
            pass
"""

transactional = pytest.mark.databases("sqlite", "postgresql")
on_postgresql = pytest.mark.databases("postgresql")


def coded(act: str, depends: str, *, atomic: bool = True) -> str:
    code = f"from django.db import transaction\nACT = {act!r}\n{CODE}"
    operations = "migrations.RunPython(migrations.RunPython.noop, backwards)"
    return migration(operations, [("a", depends)], before=code, atomic=atomic)


def deployed(database: Database, project: Project, **late: str) -> dict[str, Any]:
    """a.0001_t on day 1, the rest on day 2; everything that is there then."""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, **late})
    deploy(database.alias, DAY_2)
    found: dict[str, Any] = everything(database.connection)
    return found


def columns(database: Database) -> set[str]:
    with database.connection.cursor() as cursor:
        return {column.name for column in database.connection.introspection.get_table_description(cursor, "a_t")}


COMMITS = "migrations.RunSQL('CREATE TABLE zz (i int)', 'DROP TABLE zz; commit;')"


@transactional
@pytest.mark.parametrize("rehearse", [False, True])
def test_a_commit_in_reverse_sql_blocks(database: Database, project: Project, rehearse: bool) -> None:
    """Case commit-in-reverse."""
    late = {"0002_late": coded("raises", "0001_t"), "0003_sql": f"{Y}, {COMMITS}"}
    before = deployed(database, project, **late)
    said = roll_back(database, DAY_2, rehearse=rehearse)
    assert said.status == 3
    assert "a.0003_sql runs SQL with COMMIT, which would end the transaction of the run half-way." in said.out
    assert "--step-by-step" in said.out
    assert everything(database.connection) == before


@transactional
def test_step_by_step_does_what_migrate_does(database: Database, project: Project) -> None:
    deployed(database, project, **{"0002_y": Y, "0003_sql": COMMITS})
    said = roll_back(database, DAY_2, step_by_step=True)
    assert said.status == 0, said.all
    assert keys(database.alias) == [("a", "0001_t")]
    assert columns(database) == {"id", "x"}
    assert "zz" not in database.connection.introspection.table_names()


@transactional
def test_step_by_step_a_step_that_committed_and_failed_is_said_to_be_half_way(
    database: Database, project: Project
) -> None:
    deployed(database, project, **{"0002_y": coded("fails after it", "0001_t")})
    said = roll_back(database, DAY_2, step_by_step=True)
    assert said.status == 1
    assert "0 of 1 steps are unapplied and stay so. a.0002_y may be partly undone" in said.error


@transactional
def test_step_by_step_a_step_that_was_rolled_back_is_not(database: Database, project: Project) -> None:
    deployed(database, project, **{"0002_y": coded("raises", "0001_t")})
    said = roll_back(database, DAY_2, step_by_step=True)
    assert said.status == 1
    assert "0 of 1 steps are unapplied and stay so. Still to do: a.0002_y." in said.error


@transactional
@pytest.mark.parametrize("act", ["commit", "driver's commit", "another", "script", "fails after it"])
def test_code_that_commits_is_noticed_and_told(database: Database, project: Project, act: str) -> None:
    late = {"0002_y": Y, "0003_code": coded(act, "0002_y"), "0004_z": Y.replace('"y"', '"z"')}
    deployed(database, project, **late)
    said = roll_back(database, DAY_2)
    assert said.status == 1
    assert "Nothing was changed" not in said.all
    assert ".a.0003_code.backwards: " in said.error
    assert ("this ended the transaction of the run" in said.error) == (act != "fails after it")
    assert "The transaction of the run was committed half-way" in said.error
    assert "Unapplied, with their records: a.0004_z. a.0003_code may be partly undone" in said.error
    assert "--fake a.0003_code" in said.error
    assert keys(database.alias) == [("a", "0001_t"), ("a", "0002_y"), ("a", "0003_code")]
    assert columns(database) == {"id", "x", "y"}


@transactional
def test_after_a_commit_the_way_on_works(database: Database, project: Project) -> None:
    deployed(database, project, **{"0002_y": Y, "0003_code": coded("commit", "0002_y")})
    assert "Unapplied, with their records: no step." in roll_back(database, DAY_2).error
    said = roll_back(database, DAY_2, fake=["a.0003_code"])
    assert said.status == 0
    assert columns(database) == {"id", "x"}


@transactional
def test_code_that_asks_django_for_it_is_stopped(database: Database, project: Project) -> None:
    before = deployed(database, project, **{"0002_code": coded("autocommit", "0001_t"), "0003_y": Y})
    said = roll_back(database, DAY_2)
    assert said.status == 1
    assert "Nothing was changed: everything is as it was before." in said.error
    assert everything(database.connection) == before


@transactional
def test_step_by_step_a_rollback_inside_a_step_is_told(database: Database, project: Project) -> None:
    deployed(database, project, **{"0002_code": coded("fails after a rollback", "0001_t")})
    said = roll_back(database, DAY_2, step_by_step=True)
    assert said.status == 1
    assert "a.0002_code may be partly undone" in said.error


@transactional
@pytest.mark.parametrize("act", ["rollback", "fails after a rollback"])
def test_code_that_rolls_back_is_noticed_and_told(database: Database, project: Project, act: str) -> None:
    late = {"0002_code": coded(act, "0001_t"), "0003_y": Y}
    before = deployed(database, project, **late)
    said = roll_back(database, DAY_2)
    assert said.status == 1
    assert "Nothing was changed" not in said.all
    words = "this ended the transaction of the run" if act == "rollback" else "ValueError: boom"
    assert f".a.0002_code.backwards: {words}" in said.error
    assert "the steps and operations before it are as they were" in said.error
    with database.connection.cursor() as cursor:
        cursor.execute("DELETE FROM a_t")  # on SQLite, written after the ROLLBACK
    after = everything(database.connection)
    assert (after["schema"], after["data"]) == (before["schema"], before["data"])


@transactional
@pytest.mark.parametrize("signal", [pre_migrate, post_migrate], ids=["pre", "post"])
def test_a_receiver_that_commits_is_noticed(database: Database, project: Project, signal: Any) -> None:
    deployed(database, project, **{"0002_y": Y})

    def receiver(**kwargs: Any) -> None:
        database.connection.connection.commit()

    signal.connect(receiver)
    try:
        said = roll_back(database, DAY_2)
    finally:
        signal.disconnect(receiver)
    assert said.status == 1
    assert "Nothing was changed" not in said.all
    if signal is pre_migrate:
        assert "was committed half-way" in said.error
        assert columns(database) == {"id", "x", "y"}
    else:
        assert "The run was committed before this failure: it is done." in said.error
        assert columns(database) == {"id", "x"}


@transactional
def test_an_operation_of_an_unknown_kind_that_commits_is_noticed(database: Database, project: Project) -> None:
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    secret = migration(
        "Secretly(then='COMMIT')", [("a", "0001_t")], before="from tests.support.sabotage import Secretly"
    )
    project(a={"0001_t": T, "0002_secret": secret})
    deploy(database.alias, DAY_2)
    said = roll_back(database, DAY_2)
    assert said.status == 1
    assert "this ended the transaction of the run\nThe statement was: COMMIT" in said.error


def concurrent(database: Database, project: Project, backwards: str, *, atomic: bool = False) -> None:
    operations = f"migrations.RunSQL({backwards!r}, {backwards!r})"
    before = 'migrations.AddIndex("T", models.Index(fields=["x"], name="ixx"))'
    project(a={"0001_t": f"{T}, {before}"})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": f"{T}, {before}", "0002_late": migration(operations, [("a", "0001_t")], atomic=atomic)})
    deploy(database.alias, DAY_2, [])
    MigrationRecorder(database.connection).migration_qs.create(app="a", name="0002_late", applied=DAY_2)


@on_postgresql
@pytest.mark.parametrize("rehearse", [False, True])
@pytest.mark.parametrize(
    ("sql", "waits"),
    [
        ("DROP INDEX CONCURRENTLY ixx", "reads and writes of the index's table"),
        ('CREATE INDEX CONCURRENTLY "iyy" ON a_t (x)', "writes to a_t"),
        ("REINDEX INDEX CONCURRENTLY ixx", "reads and writes of the index's table"),
        (["CREATE INDEX CONCURRENTLY iyy ON a_t (x)", "DROP INDEX CONCURRENTLY ixx"], "writes to a_t"),
    ],
)
def test_concurrent_sql_runs_as_its_plain_twin(
    database: Database, project: Project, sql: Any, waits: str, rehearse: bool
) -> None:
    """Cases not-in-a-transaction and raw-sql-concurrently."""
    concurrent(database, project, sql)
    before = everything(database.connection)
    said = roll_back(database, DAY_2, rehearse=rehearse, verify=False)
    assert said.status == 0, said.all
    assert f"without CONCURRENTLY: {waits} wait meanwhile" in said.out
    assert "[rollback.I006]" in said.out
    after = everything(database.connection)
    assert (after == before) == rehearse
    assert (after["schema"] == before["schema"]) == (rehearse or "REINDEX" in sql)


@on_postgresql
def test_concurrent_sql_inside_separate_database_and_state(database: Database, project: Project) -> None:
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    before = everything(database.connection)
    both = (
        "migrations.SeparateDatabaseAndState("
        '[migrations.RunSQL("CREATE INDEX CONCURRENTLY ixx ON a_t (x)", "DROP INDEX CONCURRENTLY IF EXISTS ixx;")],'
        ' [migrations.AddIndex("T", models.Index(fields=["x"], name="ixx"))])'
    )
    project(a={"0001_t": T, "0002_late": migration(both, [("a", "0001_t")], atomic=False)})
    deploy(database.alias, DAY_2)
    assert everything(database.connection)["schema"] != before["schema"]
    assert roll_back(database, DAY_2).status == 0
    assert everything(database.connection)["schema"] == before["schema"]


REFUSES = {
    "postgresql": ["VACUUM a_t", "REINDEX SCHEMA public", "DISCARD ALL"],
    "sqlite": ["VACUUM", "PRAGMA synchronous = 1"],
}


@transactional
def test_sql_that_refuses_a_transaction_blocks(database: Database, project: Project) -> None:
    for sql in REFUSES[database.vendor]:
        concurrent(database, project, sql)
        said = roll_back(database, DAY_2)
        assert said.status == 3, said.all
        assert "which cannot run inside a transaction. [rollback.E031]" in said.out
        assert "Give up all-or-nothing with --step-by-step." in said.out
        said = roll_back(database, DAY_2, rehearse=True)
        assert said.status == 3
        said = roll_back(database, DAY_2, step_by_step=True)
        assert said.status == 0, said.all
        assert keys(database.alias) == [("a", "0001_t")]


@transactional
def test_sql_that_refuses_a_transaction_in_a_migration_that_is_one_blocks_always(
    database: Database, project: Project
) -> None:
    concurrent(database, project, "VACUUM", atomic=True)
    for step_by_step in (False, True):
        said: Said = roll_back(database, DAY_2, step_by_step=step_by_step)
        assert said.status == 3
        assert "Set atomic = False in this migration, and give up all-or-nothing with --step-by-step." in said.out


@transactional
def test_durable_code_is_told_the_way(database: Database, project: Project) -> None:
    before = deployed(database, project, **{"0002_code": coded("durable", "0001_t", atomic=False)})
    said = roll_back(database, DAY_2)
    assert said.status == 1
    assert "Nothing was changed" in said.error
    assert "The code wants a transaction of its own (durable=True)" in said.error
    assert "--step-by-step" in said.error
    assert everything(database.connection) == before
    said = roll_back(database, DAY_2, step_by_step=True)
    assert said.status == 0, said.all
