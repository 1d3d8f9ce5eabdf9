"""The cases in which every existing tool fails (K01 …), one test for each, on every database that it is about."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.db.migrations.loader import MigrationLoader
from pytest_django.fixtures import Settings

from rollback_app import workflow
from rollback_app.errors import UsageError
from tests.support.commands import call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate, rows, set_applied
from tests.support.killed import forked
from tests.support.projects import Project, migration
from tests.support.schema import data, difference, everything, snapshot

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)


def table(name: str, fields: str = "") -> str:
    return f'migrations.CreateModel("{name}", [("id", models.BigAutoField(primary_key=True)), {fields}])'


def column(model: str, name: str, field: str = "models.IntegerField(null=True)") -> str:
    return f'migrations.AddField("{model}", "{name}", {field})'


FAILS = "def fail(apps, schema_editor):\n    raise ValueError('the reverse broke')"
REVERSE_FAILS = "migrations.RunPython(migrations.RunPython.noop, fail)"


def execute(database: Database, sql: str) -> list[tuple[object, ...]]:
    with database.connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def same(database: Database, before: object) -> bool:
    """Is the schema what it was? Says how it differs, if not."""
    found = difference(before, snapshot(database.connection))  # type: ignore[arg-type]
    assert found == []
    return True


def test_k01_squash_stamp(database: Database, project: Project) -> None:
    originals = {"0001_t": table("T"), "0002_x": column("T", "x"), "0003_y": column("T", "y")}
    child = {"0001_u": migration(table("U", '("t", models.ForeignKey("a.T", models.CASCADE))'), [("a", "0003_y")])}
    project(a=originals, b=child)
    deploy(database.alias, DAY_1)
    execute(database, "INSERT INTO a_t (x, y) VALUES (1, 2)")
    was = rows(database.alias)
    schema, content = snapshot(database.connection), data(database.connection)
    squash = migration(
        table("T", '("x", models.IntegerField(null=True)), ("y", models.IntegerField(null=True))'),
        replaces=[("a", "0001_t"), ("a", "0002_x"), ("a", "0003_y")],
    )
    project.replace(a={**_chained("a", originals), "0001_squashed_0003": squash})
    assert deploy(database.alias, DAY_2) == [("a", "0001_squashed_0003")]

    said = roll_back(database, DAY_2, destroy_data=False)

    assert said.status == 0
    assert "Undoes no migration. Forgets 1 squash. Nothing is lost.\nNothing blocks.\n" in said.out
    assert rows(database.alias) == was
    assert same(database, schema)
    assert data(database.connection) == content
    for _ in range(2):  # the newer code, then the older
        loader = MigrationLoader(database.connection)
        loader.check_consistent_history(database.connection)
        assert all(key in loader.applied_migrations for key in loader.graph.leaf_nodes() if key[0] in "ab")
        project(a=originals, b=child)


def _chained(app: str, texts: dict[str, str]) -> dict[str, str]:
    """Whole files, each depending on the one before, so that a squash beside them depends on nothing."""
    names = list(texts)
    return {
        name: text if "class Migration" in text else migration(text, [(app, names[place - 1])] if place else [])
        for place, (name, text) in enumerate(texts.items())
    }


BRANCH = {
    "0001_t": table("T"),
    "0002_a": migration(column("T", "kept"), [("a", "0001_t")]),
}
BRANCH_AND_MERGE = {
    **BRANCH,
    "0002_b": migration(column("T", "late"), [("a", "0001_t")]),
    "0003_merge": migration("", [("a", "0002_a"), ("a", "0002_b")]),
}


def test_k02_branch_kept(database: Database, project: Project) -> None:
    project(a=BRANCH)
    deploy(database.alias, DAY_1)
    execute(database, "INSERT INTO a_t (kept) VALUES (7)")
    schema, content = snapshot(database.connection), data(database.connection)
    project(a=BRANCH_AND_MERGE)
    deploy(database.alias, DAY_2)

    assert roll_back(database, DAY_2).status == 0

    assert keys(database.alias) == [("a", "0001_t"), ("a", "0002_a")]
    assert same(database, schema)
    assert data(database.connection) == content


def test_k03_never_forwards(database: Database, project: Project) -> None:
    """K02 with an app that depends on the merge; and an app that has something unapplied, which must stay so."""
    project(a=BRANCH, b={"0001_u": table("U")})
    deploy(database.alias, DAY_1)
    execute(database, "INSERT INTO a_t (kept) VALUES (7)")
    schema, content = snapshot(database.connection), data(database.connection)
    newer = {"0001_u": table("U"), "0002_v": migration(column("U", "v"), [("b", "0001_u"), ("a", "0003_merge")])}
    project(a=BRANCH_AND_MERGE, b=newer, c={"0001_never": table("Never")})
    deploy(database.alias, DAY_2, ["a", "b"])

    assert roll_back(database, DAY_2).status == 0

    assert sorted(keys(database.alias)) == [("a", "0001_t"), ("a", "0002_a"), ("b", "0001_u")]
    assert same(database, schema)
    assert data(database.connection) == content


def test_k04_branch_left(database: Database, project: Project) -> None:
    early = {"0001_t": table("T"), "0002_x": column("T", "x"), "0003_y": column("T", "y")}
    project(a=early)
    deploy(database.alias, DAY_1)
    schema = snapshot(database.connection)
    late = {
        "0004_b": migration(column("T", "b"), [("a", "0001_t")]),
        "0005_merge": migration("", [("a", "0003_y"), ("a", "0004_b")]),
    }
    project(a={**_chained("a", early), **late})
    deploy(database.alias, DAY_2)

    assert roll_back(database, DAY_2).status == 0

    assert keys(database.alias) == [("a", "0001_t"), ("a", "0002_x"), ("a", "0003_y")]
    assert same(database, schema)


def test_k05_irreversible_is_found_first(database: Database, project: Project) -> None:
    code = "def forwards(apps, schema_editor):\n    pass"
    nested = (
        "migrations.SeparateDatabaseAndState(database_operations=[migrations.SeparateDatabaseAndState("
        "database_operations=[migrations.RunSQL('SELECT 1')])])"
    )
    project(
        a={"0001_t": table("T")},
        b={"0001_u": migration("migrations.RunPython(forwards)", [("a", "0001_t")], before=code), "0002_v": nested},
    )
    deploy(database.alias, DAY_2)
    before = everything(database.connection)

    said = roll_back(database, DAY_2)

    assert said.status == 3
    assert said.out.count("rollback.E001") == 2
    assert ".b.0001_u.forwards has no reverse." in " ".join(said.out.split())
    assert "b.0002_v cannot be undone: its SQL has no reverse." in said.out
    assert everything(database.connection) == before


@pytest.mark.databases("sqlite", "postgresql")
def test_k06_failing_reverse(database: Database, project: Project) -> None:
    project(
        a={"0001_t": table("T"), "0002_fail": migration(REVERSE_FAILS, [("a", "0001_t")], before=FAILS)},
        b={"0001_u": migration(table("U"), [("a", "0002_fail")]), "0002_x": column("U", "x")},
    )
    deploy(database.alias, DAY_2)
    before = everything(database.connection)

    said = roll_back(database, DAY_2)

    assert said.status == 1
    assert "The rollback failed at a.0002_fail" in said.error
    assert "ValueError: the reverse broke" in said.error
    assert "Nothing was changed: everything is as it was before." in said.error
    assert everything(database.connection) == before


def test_k07_numbering_gap(database: Database, project: Project) -> None:
    project(a={"0008_t": table("T")})
    deploy(database.alias, DAY_1)
    project(a={"0008_t": table("T"), "0010_x": column("T", "x")})
    deploy(database.alias, DAY_2)

    assert roll_back(database, DAY_2).status == 0

    assert keys(database.alias) == [("a", "0008_t")]


def test_k08_two_files_with_one_number(database: Database, project: Project) -> None:
    early = {"0001_t": table("T"), "0002_a": column("T", "x"), "0002_b": column("T", "y")}
    project(a=early)
    deploy(database.alias, DAY_1)
    project(a={**early, "0003_z": column("T", "z")})
    deploy(database.alias, DAY_2)

    said = roll_back(database, DAY_2)

    assert said.status == 0
    assert "a: 0002_b" in said.out
    assert keys(database.alias) == [("a", "0001_t"), ("a", "0002_a"), ("a", "0002_b")]


def test_k09_names_of_any_form(database: Database, project: Project) -> None:
    names = ["0000_initial", "add_b", "2_x", "10000_b", "20240701_add"]
    texts = {name: column("T", f"c{place}") if place else table("T") for place, name in enumerate(names)}
    for late in range(1, len(names)):
        migrate_nothing(database)
        project(a=dict(list(texts.items())[:late]))
        deploy(database.alias, DAY_1)
        schema = snapshot(database.connection)
        project(a=texts)
        deploy(database.alias, DAY_2)

        assert roll_back(database, DAY_2).status == 0

        assert [name for _, name in keys(database.alias)] == names[:late]
        assert same(database, schema)


def migrate_nothing(database: Database) -> None:
    if keys(database.alias):
        migrate(database.alias, "a", "zero")


def _older_depends_on_younger(database: Database, project: Project) -> None:
    project(
        a={"0001_t": table("T"), "0002_x": column("T", "x")},
        b={"0001_u": migration(table("U"), [("a", "0002_x")])},
    )
    deploy(database.alias, DAY_1)
    set_applied(database.alias, {("a", "0002_x"): DAY_2})


def test_k10_older_row_depends_on_a_younger_one(database: Database, project: Project) -> None:
    _older_depends_on_younger(database, project)
    before = everything(database.connection)

    refused = roll_back(database, DAY_2)

    assert refused.status == 3
    assert (
        "b.0001_u was applied before the moment, but depends on a migration that would be unapplied: a.0002_x <- b.0001_u."
        in refused.out
    )
    assert "--cascade" in refused.out
    assert everything(database.connection) == before

    assert roll_back(database, DAY_2, cascade=True).status == 0
    assert keys(database.alias) == [("a", "0001_t")]


def test_k11_ghost_rows(database: Database, project: Project) -> None:
    project(a={"0001_t": table("T")})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": table("T"), "0002_x": column("T", "x")})
    deploy(database.alias, DAY_2)
    project(a={"0001_t": table("T")})  # the older image
    before = everything(database.connection)

    refused = roll_back(database, DAY_2)

    assert refused.status == 3
    assert "a.0002_x was applied at or after the moment, but this code has no such migration." in refused.out
    assert "Run this from the newer release" in refused.out
    assert everything(database.connection) == before

    left_alone = roll_back(database, DAY_2, exclude=["a.0002_x"])
    assert left_alone.status == 0
    assert everything(database.connection) == before


def test_k12_faked_migration(database: Database, project: Project) -> None:
    project(a={"0001_t": table("T"), "0002_x": column("T", "x"), "0003_y": column("T", "y")})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    schema = snapshot(database.connection)
    call_command("migrate", "a", "0002_x", database=database.alias, fake=True, verbosity=0)
    deploy(database.alias, DAY_2)
    set_applied(database.alias, {("a", "0002_x"): DAY_2, ("a", "0003_y"): DAY_2})
    before = everything(database.connection)

    failed = roll_back(database, DAY_2)

    assert failed.status == 1
    assert "--fake" in failed.error
    if database.vendor != "mariadb":
        assert everything(database.connection) == before
    # On SQLite the newer step remakes the table by what the faked one says that it holds, and fails first.
    assert "a.0002_x" in failed.error or database.vendor == "sqlite"

    assert roll_back(database, DAY_2, fake=["a.0002_x"]).status == 0
    assert keys(database.alias) == [("a", "0001_t")]
    assert same(database, schema)


@pytest.mark.databases("sqlite", "postgresql")
def test_k13_not_atomic(database: Database, project: Project) -> None:
    """A migration with atomic = False takes part in the one transaction."""
    operations = ", ".join([REVERSE_FAILS, column("T", "x"), column("T", "y")])
    project(a={"0001_t": table("T"), "0002_x": migration(operations, [("a", "0001_t")], before=FAILS, atomic=False)})
    deploy(database.alias, DAY_2)
    before = everything(database.connection)

    said = roll_back(database, DAY_2)

    assert said.status == 1
    assert everything(database.connection) == before


def test_k14_naive_time(database: Database, project: Project, settings: Settings) -> None:
    """The zone that is taken is said, and the same moment in UTC, before anything happens."""
    project(a={"0001_t": table("T"), "0002_x": column("T", "x")})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)

    berlin = roll_back(database, "2024-05-02 10:00", plan=True)  # the project's zone: two hours before UTC
    assert "2024-05-02 10:00:00 Europe/Berlin = 08:00:00 UTC" in berlin.out
    assert "1 step" in berlin.out

    tokyo = roll_back(database, "2024-05-02 17:00:01", timezone="Asia/Tokyo", plan=True)
    assert "2024-05-02 17:00:01 Asia/Tokyo" in tokyo.out
    assert "Nothing to do" in tokyo.out


def test_k15_aware_time_without_use_tz(database: Database, project: Project, settings: Settings) -> None:
    settings.USE_TZ = False
    for alias in connections:
        connections[alias].close()
    project(a={"0001_t": table("T"), "0002_x": column("T", "x")})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)

    assert "Nothing to do" in roll_back(database, "2024-05-02 12:00:01+04:00").out
    assert roll_back(database, "2024-05-02T12:00:00+04:00").status == 0

    assert keys(database.alias) == [("a", "0001_t")]
    settings.USE_TZ = True
    connections.close_all()


@pytest.mark.parametrize(
    "text", ["2024-05-02T08:00:00Z", "20240502T080000Z", "2 May 2024 8am UTC", "2024-05-02T08:00Z"]
)
def test_k16_forms_of_time(database: Database, project: Project, text: str) -> None:
    project(a={"0001_t": table("T")})
    deploy(database.alias, DAY_2)

    assert roll_back(database, text).status == 0

    assert keys(database.alias) == []


@pytest.mark.parametrize("text", ["10", "Tuesday", "05/06/2024"])
@pytest.mark.databases("sqlite")
def test_k16_doubtful_forms_are_refused(database: Database, project: Project, text: str) -> None:
    said = roll_back(database, text)

    assert said.status == 2
    assert "2024-" in said.error or "2026-" in said.error  # an example to paste


def test_k17_deployment_cut_in_two(database: Database, project: Project) -> None:
    project(a={"0001_t": table("T")})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": table("T"), "0002_x": column("T", "x"), "0003_y": column("T", "y")})
    deploy(database.alias, DAY_2)
    before = everything(database.connection)

    refused = roll_back(database, DAY_2 + timedelta(seconds=1))

    assert refused.status == 3
    assert "The moment splits a deployment: 1 of its 2 migrations would be unapplied." in refused.out
    assert '"2024-05-02 08:00:00+00:00"' in refused.out
    assert '"2024-05-02 08:00:02+00:00"' in refused.out
    assert everything(database.connection) == before

    assert roll_back(database, DAY_2 + timedelta(seconds=1), split_deployment=True).status == 0
    assert keys(database.alias) == [("a", "0001_t"), ("a", "0002_x")]


def test_k18_before_everything_and_in_the_future(database: Database, project: Project) -> None:
    project(a={"0001_t": table("T")})
    deploy(database.alias, DAY_1)
    before = everything(database.connection)

    future = roll_back(database, "2999-01-01 10:00Z")
    assert future.status == 2

    refused = roll_back(database, "2001-01-01 10:00Z", destroy_data=False)
    assert refused.status == 3
    assert "every migration of this database would be unapplied" in refused.out
    assert "a goes back to zero" in refused.out
    assert everything(database.connection) == before

    assert roll_back(database, "2001-01-01 10:00Z").status == 0
    assert keys(database.alias) == []


def test_k19_no_table(database: Database, project: Project) -> None:
    execute(database, "CREATE TABLE something (id integer)")

    said = roll_back(database, DAY_1)

    assert said.status == 1
    assert "has no table django_migrations" in said.error


@pytest.mark.databases("mariadb")
def test_k20_resume(database: Database, project: Project) -> None:
    operations = ", ".join([REVERSE_FAILS, column("T", "x")])
    project(a={"0001_t": table("T"), "0002_x": migration(operations, [("a", "0001_t")], before=FAILS)})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    assert roll_back(database, DAY_2).status == 1
    mended = migration(operations.replace("fail", "migrations.RunPython.noop"), [("a", "0001_t")])
    project(a={"0001_t": table("T"), "0002_x": mended})

    assert roll_back(database, DAY_2).status == 0


def test_k21_second_runner(database: Database, project: Project) -> None:
    """Somebody else works on the database: refused with who it is, nothing changed; then, when they are gone, done."""
    project(a={"0001_t": table("T")})
    deploy(database.alias, DAY_2)
    before = everything(database.connection)
    holding, enough = threading.Event(), threading.Event()
    other = threading.Thread(target=_hold_the_lock, args=(database, holding, enough))
    other.start()
    try:
        assert holding.wait(30)
        refused = roll_back(database, DAY_2, lock_timeout=0.2)
    finally:
        enough.set()
        other.join()

    assert refused.status == 4
    assert (
        f"{'Somebody else is working' if database.vendor == 'sqlite' else 'Another rollback is running'} on"
        in refused.error
    )
    if database.vendor != "sqlite":  # a file does not know who has locked it
        assert "process " in refused.error or "connection " in refused.error
    assert everything(database.connection) == before
    assert roll_back(database, DAY_2).status == 0


def _hold_the_lock(database: Database, holding: threading.Event, enough: threading.Event) -> None:
    from rollback_app import database as databases

    mine = databases.get(database.alias)
    with mine.all_or_nothing() if mine.can_undo_ddl else mine.settings_of_run():
        holding.set()
        enough.wait(60)
    mine.connection.close()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.databases("sqlite", "postgresql")
def test_k22_killed_half_way(database: Database, project: Project) -> None:
    """SIGKILL in front of each statement in turn, in a process of its own: as it was, or fully done."""
    project(a={"0001_t": table("T"), "0002_x": column("T", "x")}, b={"0001_u": table("U")})
    deploy(database.alias, DAY_2)
    before = everything(database.connection)
    connections.close_all()
    for number in range(1, 400):
        status = forked(database.alias, number, lambda: roll_back(database, DAY_2))
        assert status in (0, -9)
        _wait_until_alone(database)
        if status == 0 or not keys(database.alias):
            break  # the last statements come after the commit
        assert everything(database.connection) == before
        connections.close_all()
    assert number > 20
    assert set(everything(database.connection)["data"]) == {"django_migrations"}


def _wait_until_alone(database: Database) -> None:
    """The server notices a killed client a moment later."""
    while database.vendor == "postgresql" and execute(
        database,
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'",
    ):
        time.sleep(0.01)


def test_k23_other_database(database: Database, other_database: Database, project: Project) -> None:
    project(a={"0001_t": table("T"), "0002_x": column("T", "x")})
    for each in (database, other_database):
        deploy(each.alias, DAY_1, [("a", "0001_t")])
        deploy(each.alias, DAY_2)

    assert roll_back(other_database, DAY_2).status == 0
    assert len(keys(database.alias)) == 2
    assert keys(other_database.alias) == [("a", "0001_t")]

    migrate(other_database.alias)
    set_applied(other_database.alias, {("a", "0002_x"): DAY_2})
    both = roll_back(database, DAY_2, database=[database.alias, other_database.alias])
    assert both.status == 0
    assert keys(database.alias) == keys(other_database.alias) == [("a", "0001_t")]


def test_k23_all_are_checked_before_one_is_changed(
    database: Database, other_database: Database, project: Project
) -> None:
    project(a={"0001_t": table("T")})
    deploy(database.alias, DAY_2)
    project(a={"0001_t": table("T"), "0002_ghost": column("T", "x")})
    deploy(other_database.alias, DAY_2)
    project(a={"0001_t": table("T")})
    before = everything(database.connection)

    said = roll_back(database, DAY_2, database=[database.alias, other_database.alias])

    assert said.status == 3
    assert everything(database.connection) == before


def test_k24_renamed_model_and_content_types(database: Database, project: Project) -> None:
    """Also a proxy model, which has a content type but no table."""
    proxy = 'migrations.CreateModel("P", [], {"proxy": True}, bases=("a.q",))'
    early = {"0001_t": table("Old"), "0002_q": table("Q"), "0003_p": proxy}
    project(a=early, with_contrib=True)
    deploy(database.alias, DAY_1)
    types = "SELECT model FROM django_content_type WHERE app_label = 'a' ORDER BY model"
    assert execute(database, types) == [("old",), ("p",), ("q",)]
    identity = execute(database, "SELECT id FROM django_content_type WHERE model = 'old'")
    schema = snapshot(database.connection)
    project(a={**early, "0004_rename": 'migrations.RenameModel("Old", "New")'}, with_contrib=True)
    deploy(database.alias, DAY_2)
    assert execute(database, types) == [("new",), ("p",), ("q",)]

    assert roll_back(database, DAY_2).status == 0

    assert execute(database, types) == [("old",), ("p",), ("q",)]
    assert execute(database, "SELECT id FROM django_content_type WHERE model = 'old'") == identity
    assert same(database, schema)


TOUCHES = """
def forwards(apps, schema_editor):
    pass

def backwards(apps, schema_editor):
    apps.get_model("a", "U").objects.using(schema_editor.connection.alias).update(t_id=1)
"""


def test_k25_pending_triggers(database: Database, project: Project) -> None:
    early = {
        "0001_t": table("T"),
        "0002_u": table("U", '("t", models.ForeignKey("a.T", models.CASCADE))'),
    }
    project(a=early)
    deploy(database.alias, DAY_1)
    schema = snapshot(database.connection)
    operations = column("U", "x") + ", migrations.RunPython(forwards, backwards)"
    project(a={**_chained("a", early), "0003_x": migration(operations, [("a", "0002_u")], before=TOUCHES)})
    deploy(database.alias, DAY_2)
    execute(database, "INSERT INTO a_t (id) VALUES (1), (2)")
    execute(database, "INSERT INTO a_u (t_id) VALUES (2)")

    assert roll_back(database, DAY_2).status == 0

    assert execute(database, "SELECT t_id FROM a_u") == [(1,)]
    assert same(database, schema)


CONCURRENTLY = "from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently"


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("step_by_step", [False, True])
def test_k26_concurrent_indexes(database: Database, project: Project, step_by_step: bool) -> None:
    early = {
        "0001_t": table("T", '("x", models.IntegerField(default=1)), ("y", models.IntegerField(default=1))'),
        "0002_i": 'migrations.AddIndex("T", models.Index(fields=["y"], name="a_y"))',
    }
    project(a=early)
    deploy(database.alias, DAY_1)
    schema = snapshot(database.connection)
    late = {
        "0003_add": migration(
            'AddIndexConcurrently("T", models.Index(fields=["x"], name="a_x"))',
            [("a", "0002_i")],
            before=CONCURRENTLY,
            atomic=False,
        ),
        "0004_remove": migration(
            'RemoveIndexConcurrently("T", "a_y")', [("a", "0003_add")], before=CONCURRENTLY, atomic=False
        ),
    }
    project(a={**_chained("a", early), **late})
    deploy(database.alias, DAY_2)

    said = roll_back(database, DAY_2, step_by_step=step_by_step)

    assert said.status == 0
    assert ("without CONCURRENTLY: writes to a_t wait meanwhile" in said.out) is not step_by_step
    assert keys(database.alias) == [("a", "0001_t"), ("a", "0002_i")]
    assert same(database, schema)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("fails", [False, True])
def test_k27_foreign_keys_are_enforced_again(database: Database, project: Project, fails: bool) -> None:
    operations = column("T", "x") + (f", {REVERSE_FAILS}" if fails else "")
    project(a={"0001_t": table("T"), "0002_x": migration(operations, [("a", "0001_t")], before=FAILS)})
    deploy(database.alias, DAY_2)

    assert roll_back(database, DAY_2).status == int(fails)

    assert execute(database, "PRAGMA foreign_keys") == [(1,)]


def test_k28_reverses_nothing(database: Database, project: Project) -> None:
    code = "def forwards(apps, schema_editor):\n    pass"
    noop = "migrations.RunPython(forwards, migrations.RunPython.noop), migrations.RunSQL('SELECT 1', migrations.RunSQL.noop)"
    project(a={"0001_t": table("T"), "0002_noop": migration(noop, [("a", "0001_t")], before=code)})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)

    said = roll_back(database, DAY_2, plan=True)

    assert said.status == 0
    assert ".a.0002_noop.forwards did to the data stays" in " ".join(said.out.split())
    assert "reverses nothing: what its SQL did stays" in said.out


def test_k29_narrowing_over_live_rows(database: Database, project: Project) -> None:
    early = {"0001_t": table("T", '("x", models.IntegerField())')}
    project(a=early)
    deploy(database.alias, DAY_1)
    project(a={**early, "0002_null": 'migrations.AlterField("T", "x", models.IntegerField(null=True))'})
    deploy(database.alias, DAY_2)
    execute(database, "INSERT INTO a_t (x) VALUES (NULL), (NULL), (1)")

    said = roll_back(database, DAY_2)

    assert said.status == 3
    assert "makes column a_t.x NOT NULL again: 2 rows hold NULL." in said.out
    execute(database, "UPDATE a_t SET x = 0 WHERE x IS NULL")
    assert roll_back(database, DAY_2).status == 0
    assert keys(database.alias) == [("a", "0001_t")]


def test_k30_swapped_operation_objects(database: Database, project: Project) -> None:
    """A reverse that fails inside RenameField and RenameModel; the retry is in the same process, on the same classes."""
    project(
        a={
            "0001_t": table("T", '("x", models.IntegerField(null=True))'),
            "0002_x": 'migrations.RenameField("T", "x", "z")',
            "0003_t": 'migrations.RenameModel("T", "S")',
        }
    )
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    schema = snapshot(database.connection)
    deploy(database.alias, DAY_2)
    execute(database, "CREATE TABLE a_t (id integer)")
    assert roll_back(database, DAY_2).status == 3  # found before
    assert roll_back(database, DAY_2, count=False).status == 1
    execute(database, "DROP TABLE a_t")

    assert roll_back(database, DAY_2).status == 0

    assert keys(database.alias) == [("a", "0001_t")]
    assert same(database, schema)


def test_k30_through_the_api(database: Database, project: Project) -> None:
    """The Python API raises the same facts, typed."""
    project(a={"0001_t": table("T")})
    deploy(database.alias, DAY_2)

    with pytest.raises(UsageError):
        workflow.preview("10", using=[database.alias])
    with transaction.atomic(using=database.alias), pytest.raises(UsageError, match="inside a transaction"):
        workflow.preview(DAY_2.isoformat(), using=[database.alias])
    (result,) = workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[database.alias]), destroy_data=True)
    assert [str(done.step.key) for done in result.done] == ["a.0001_t"]


def test_the_command_has_a_second_name(database: Database, project: Project) -> None:
    project(a={"0001_t": table("T")})
    deploy(database.alias, DAY_2)

    said = call(
        "rollbackmigrationsappliedafter",
        DAY_2.isoformat(),
        database=[database.alias],
        interactive=False,
        destroy_data=True,
    )

    assert said.status == 0
    assert keys(database.alias) == []
