"""Views, functions and triggers of the older release come back with a rollback, where each `migrate` has recorded them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models
from django.db.models.signals import post_migrate

from rollback_app import workflow
from rollback_app.bookkeeping import OBJECTS_TABLE, SNAPSHOTS_TABLE, Catalogue
from rollback_app.bookkeeping.objects import ObjectEntry, SnapshotEntry
from rollback_app.database import get
from rollback_app.safety import KeptState
from tests.database.test_objects import DAY_1, DAY_2, execute
from tests.kept.test_objects import DAY_3, ask, roles, said_of
from tests.support.commands import Said, Text, call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, migrate
from tests.support.projects import Project

__all__ = ["roles"]  # a fixture

ID = '("id", models.BigAutoField(primary_key=True))'
EARLY = f"""
    migrations.CreateModel("T", [{ID}, ("x", models.CharField(max_length=10, default=""))]),
    migrations.CreateModel("Log", [{ID}, ("n", models.IntegerField(null=True))])"""
COLUMN = 'migrations.AddField("T", "y", models.IntegerField(null=True))'
WIDER = 'migrations.AlterField("T", "x", models.CharField(max_length=99, default=""))'
OTHER = f'migrations.CreateModel("Other", [{ID}])'

FUNCTION = {
    "postgresql": "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.x = '{}'; RETURN NEW; END $$",
    "mariadb": "CREATE DEFINER = 'somebody'@'%' FUNCTION f() RETURNS varchar(9) NO SQL RETURN '{}'",
}
TRIGGER = {
    "postgresql": "CREATE TRIGGER g BEFORE UPDATE ON a_t FOR EACH ROW EXECUTE FUNCTION f()",
    "sqlite": "CREATE TRIGGER g AFTER UPDATE ON a_t BEGIN SELECT '{}; '; INSERT INTO a_log (n) VALUES (1); END",
    "mariadb": "CREATE TRIGGER g BEFORE UPDATE ON a_t FOR EACH ROW BEGIN SET NEW.x = f(); SET @x = '{}'; END",
}
PROCEDURE = {
    "postgresql": "CREATE PROCEDURE p(n int) LANGUAGE sql AS 'DELETE FROM a_log WHERE n = {}'",
    "mariadb": "CREATE PROCEDURE p(n int) BEGIN DELETE FROM a_log WHERE id = {}; SELECT 1; END",
}
ROUTINES = """
    SELECT routine_type, concat_ws(' ', routine_name, routine_definition, definer, security_type, is_deterministic)
    FROM information_schema.routines WHERE routine_schema = database()"""


def of_a_release(vendor: str, number: int) -> list[str]:
    """What a release makes."""
    made = [each[vendor].format(number) for each in (FUNCTION, PROCEDURE, TRIGGER) if vendor in each]
    return [*made, f"CREATE VIEW v AS SELECT id, {number} AS number FROM a_t", "CREATE VIEW on_v AS SELECT id FROM v"]


def drops(vendor: str) -> list[str]:
    on = " ON a_t" if vendor == "postgresql" else ""
    routines = ["DROP PROCEDURE p", "DROP FUNCTION f"] if vendor != "sqlite" else []
    return ["DROP VIEW on_v", "DROP VIEW v", f"DROP TRIGGER g{on}", *routines]


def all_of(database: Database) -> set[tuple[str, str]]:
    return said_of(database) | set(ask(database, ROUTINES) if database.vendor == "mariadb" else [])  # type: ignore[arg-type]


@contextmanager
def at_the_end(*sql: str) -> Iterator[None]:
    """As projects make such objects: a receiver of post_migrate runs these statements."""

    def make(using: str, **signal: Any) -> None:
        execute(Database(using, ""), *sql)

    sender = apps.get_app_config("a")
    post_migrate.connect(make, sender=sender)
    try:
        yield
    finally:
        post_migrate.disconnect(make, sender=sender)


@pytest.fixture(autouse=True)
def _records(project: Project) -> None:
    project.settings.ROLLBACK = {"OBJECTS": True}


def two_releases(
    database: Database,
    project: Project,
    older: Sequence[str],
    newer: Sequence[str],
    late: str = COLUMN,
    between: Sequence[str] = (),
) -> set[tuple[str, str]]:
    """What there was at the end of the first. between: what somebody does before the second."""
    project(a={"0001_early": EARLY})
    with at_the_end(*older):
        deploy(database.alias, DAY_1)
    there = all_of(database)
    execute(database, *between)
    project(a={"0001_early": EARLY, "0002_late": late})
    with at_the_end(*newer):
        deploy(database.alias, DAY_2)
    return there


def back(database: Database, **options: Any) -> Said:
    said = roll_back(database, DAY_2, destroy_data=False, **options)
    assert said.status == 0, said.all
    return said


def changes(database: Database, **options: Any) -> set[tuple[str, str]]:
    """As the plan tells them: (object without its schema, what happens to it)."""
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias], **options)
    assert preview.recorded
    found = preview.recorded.changes
    return {(f"{each.kind} {each.name.replace('public.', '')}", each.does.value) for each in found}


@pytest.mark.parametrize("receives", [True, False])
def test_what_differs_becomes_what_it_was(database: Database, project: Project, receives: bool) -> None:
    """Whether or not the newer release's receiver has made its own again meanwhile."""
    vendor = database.vendor
    older = [*of_a_release(vendor, 1), "CREATE VIEW gone AS SELECT id FROM a_t"]
    newer = ["DROP VIEW gone", *drops(vendor), *of_a_release(vendor, 2), "CREATE VIEW newer AS SELECT y FROM a_t"]
    there = two_releases(database, project, older, newer)
    migrate(database.alias)
    assert all_of(database) != there
    told = changes(database)
    assert {("view v", "changes back"), ("view newer", "is dropped"), ("view gone", "comes back")} <= told
    again = [*drops(vendor), *of_a_release(vendor, 2)] if receives else []
    with at_the_end(*again):
        said = back(database)
    assert all_of(database) == there
    assert "Views, functions and triggers become as they were recorded on 20" in said.out
    assert "Views, functions and triggers: 1 came back, " in said.out
    assert said.out.count("view newer is dropped") == (vendor != "postgresql")
    assert [each for each in Catalogue(get(database.alias)).entries() if each.state is not KeptState.KEPT] == []


# What is recorded, and when


def snapshots(database: Database) -> int:
    return int(str(ask(database, f"SELECT count(*) FROM {SNAPSHOTS_TABLE}")[0][0]))


def definitions(database: Database) -> list[str]:
    return [str(name) for (name,) in ask(database, f"SELECT name FROM {OBJECTS_TABLE} ORDER BY id")]


def test_each_definition_is_recorded_once(database: Database, project: Project) -> None:
    two_releases(database, project, ["CREATE VIEW v AS SELECT id FROM a_t"], ["CREATE VIEW w AS SELECT id FROM a_t"])
    migrate(database.alias)
    first = models.QuerySet(ObjectEntry, using=database.alias).get(pk=1)
    assert str(first) == f"1: view {first.name}"
    snapshot = models.QuerySet(SnapshotEntry, using=database.alias).get(pk=2)
    assert str(snapshot) == f"2: {snapshot.at}"
    assert (snapshots(database), [name.replace("public.", "") for name in definitions(database)]) == (2, ["v", "w"])


def test_what_a_command_makes_after_migrate_is_recorded_by_the_next_one(database: Database, project: Project) -> None:
    project(a={"0001_early": EARLY})
    deploy(database.alias, DAY_1)
    execute(database, "CREATE VIEW v AS SELECT id FROM a_t")
    migrate(database.alias)
    there = all_of(database)
    project(a={"0001_early": EARLY, "0002_late": COLUMN})
    with at_the_end("DROP VIEW v"):
        deploy(database.alias, DAY_2)
    back(database)
    assert all_of(database) == there


@pytest.mark.databases("sqlite")
def test_a_migrate_of_a_part_or_backwards_records_nothing(database: Database, project: Project) -> None:
    project(a={"0001_early": EARLY}, b={"0001_other": OTHER})
    migrate(database.alias, "a")
    assert SNAPSHOTS_TABLE not in database.connection.introspection.table_names()
    migrate(database.alias)
    migrate(database.alias, "b", "zero")
    assert snapshots(database) == 1


def test_of_two_ways_to_one_state_the_newer_counts(database: Database, project: Project) -> None:
    """And what was recorded for migrations that were undone since does not."""
    view = "CREATE VIEW v AS SELECT id, {} AS number FROM a_t"
    two_releases(database, project, [view.format(1)], ["DROP VIEW v", view.format(2)])
    back(database, hold=False)
    project(a={"0001_early": EARLY})
    with at_the_end("DROP VIEW v", view.format(3)):
        migrate(database.alias)
    there = all_of(database)
    project(a={"0001_early": EARLY, "0002_other": OTHER})
    with at_the_end("DROP VIEW v"):
        deploy(database.alias, DAY_3)
    assert roll_back(database, DAY_3).status == 0
    assert all_of(database) == there


def test_nothing_recorded_is_said_and_nothing_happens(database: Database, project: Project) -> None:
    project.settings.ROLLBACK = {}
    two_releases(database, project, ["CREATE VIEW v AS SELECT id FROM a_t"], ["DROP VIEW v"])
    assert SNAPSHOTS_TABLE not in database.connection.introspection.table_names()
    assert "recorded" not in roll_back(database, DAY_2, plan=True).all
    project.settings.ROLLBACK = {"OBJECTS": True}
    there = all_of(database)
    said = back(database)
    assert "Views, functions and triggers stay as they are: no migrate has recorded them" in said.all
    assert "[rollback.I022]" in said.out
    assert "become as" not in said.out
    assert {each for each in all_of(database) if each[0] != "column"} == {each for each in there if each[0] != "column"}
    assert "I022" not in roll_back(database, DAY_2, plan=True).out  # there is nothing to do


@pytest.mark.databases("sqlite")
def test_a_definition_that_is_gone_from_the_record(database: Database, project: Project) -> None:
    two_releases(database, project, ["CREATE VIEW v AS SELECT id FROM a_t"], ["DROP VIEW v"])
    execute(database, f"DELETE FROM {OBJECTS_TABLE}")
    assert "[rollback.I022]" in back(database).out


@pytest.mark.databases("sqlite")
def test_a_database_that_cannot_be_rolled_back(
    database: Database, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(a={"0001_early": EARLY})
    monkeypatch.setattr(connections[database.alias], "vendor", "oracle")
    workflow.record_objects(database.alias)
    assert database.connection.introspection.table_names() == []


@pytest.mark.databases("sqlite")
def test_what_cannot_be_recorded_is_a_warning(
    database: Database, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project(a={"0001_early": EARLY})
    deploy(database.alias, DAY_1)
    execute(database, f"DROP TABLE {SNAPSHOTS_TABLE}", f"CREATE VIEW {SNAPSHOTS_TABLE} AS SELECT 1 AS id")
    with caplog.at_level(logging.WARNING):
        migrate(database.alias)
    (warning,) = {record.getMessage() for record in caplog.records}
    assert warning.startswith(f"Views, functions and triggers of {database.alias} were not recorded: ")


# What the steps have to do with it


REBUILT: Mapping[str, Sequence[str]] = {
    "postgresql": [
        "CREATE VIEW v AS SELECT x FROM a_t",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM v",
        "CREATE UNIQUE INDEX i ON m (x)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "CREATE TRIGGER g BEFORE UPDATE OF x ON a_t FOR EACH ROW EXECUTE FUNCTION f()",
    ],
    "sqlite": [
        "CREATE VIEW v AS SELECT x FROM a_t",
        "CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN SELECT 1; END",
        "CREATE TRIGGER h AFTER UPDATE ON a_t BEGIN SELECT 1; END",
    ],
}


@pytest.mark.databases("postgresql", "sqlite")
def test_what_would_be_in_the_way_is_dropped_before_and_made_again(database: Database, project: Project) -> None:
    older = REBUILT[database.vendor]
    between = {
        "postgresql": ["DROP VIEW v CASCADE", "DROP FUNCTION f CASCADE"],
        "sqlite": ["DROP VIEW v", "DROP TRIGGER h"],
    }
    newer = [*older, "CREATE VIEW newer AS SELECT x FROM a_t"]
    there = two_releases(database, project, older, newer, WIDER, between[database.vendor])
    told = changes(database)
    assert {("view v", "is dropped on the way, and made again"), ("view newer", "is dropped")} <= told
    listed = call("showdeployments", database=database.alias, format="json").json["deployments"][0]
    assert listed["blockers"] == []
    blocked = roll_back(database, DAY_2, step_by_step=True)
    assert blocked.status == 3
    assert "rollback.E020" in blocked.all
    back(database)
    assert all_of(database) == there


@pytest.mark.databases("sqlite", "mariadb")
def test_what_would_be_broken_needs_no_consent(database: Database, project: Project) -> None:
    """A newer view of a newer table goes; an older one, which used that when it was there before, is as it was."""
    newer = ["CREATE VIEW newer AS SELECT y FROM a_t"] if database.vendor == "mariadb" else []
    newer += ["CREATE VIEW of_other AS SELECT id FROM a_other"]
    late = f"{COLUMN}, {OTHER}" if database.vendor == "mariadb" else OTHER
    there = two_releases(database, project, ["CREATE VIEW v AS SELECT id FROM a_t"], newer, late)
    back(database)
    assert all_of(database) == there


@pytest.mark.databases("postgresql")
def test_a_newer_view_that_goes_along_is_kept_as_ever(database: Database, project: Project) -> None:
    """And is not made a second time by the `migrate` that makes what it hangs on."""
    newer = ["CREATE VIEW newer AS SELECT id FROM a_other"]
    there = two_releases(database, project, ["CREATE VIEW v AS SELECT id FROM a_t"], newer, OTHER)
    now = all_of(database)
    said = back(database, hold=False)
    assert "view public.newer goes along; kept." in said.out
    assert all_of(database) == there
    migrate(database.alias)
    assert all_of(database) == now


@pytest.mark.databases("postgresql", "sqlite")
@pytest.mark.parametrize("step_by_step", [False, True])
def test_what_sql_of_a_step_drops_and_makes_itself(database: Database, project: Project, step_by_step: bool) -> None:
    older, newer = (f"CREATE VIEW v AS SELECT id, {number} AS number FROM a_t" for number in (1, 2))
    late = ", ".join(
        [
            f'migrations.RunSQL(["DROP VIEW v", "{newer}"], ["DROP VIEW v", "{older}"])',
            'migrations.RunSQL("CREATE VIEW w AS SELECT id FROM a_log", "DROP VIEW w")',
            'migrations.RunSQL("DROP VIEW u", "CREATE VIEW u AS SELECT id FROM a_log")',
        ]
    )
    there = two_releases(database, project, [older, "CREATE VIEW u AS SELECT id FROM a_log"], [], late)
    back(database, step_by_step=step_by_step)
    assert all_of(database) == there


# What depends on what, and who may use it


@pytest.mark.databases("postgresql")
@pytest.mark.usefixtures("roles")
def test_indexes_rights_and_all_that_needs_it(database: Database, project: Project) -> None:
    older = [
        "GRANT SELECT ON a_t TO owner",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "REVOKE ALL ON FUNCTION one() FROM PUBLIC",
        "CREATE VIEW z AS SELECT id, one() AS one FROM a_t",
        "COMMENT ON VIEW z IS 'Z'",
        "GRANT SELECT (id) ON z TO somebody",
        "ALTER VIEW z OWNER TO owner",
        "CREATE MATERIALIZED VIEW b AS SELECT id FROM z",
        "CREATE UNIQUE INDEX i ON b (id)",
        "GRANT SELECT ON b TO somebody WITH GRANT OPTION",
        "CREATE VIEW a AS SELECT id FROM b",
        "CREATE RULE r AS ON DELETE TO a DO INSTEAD NOTHING",
        "CREATE FUNCTION of_a(a) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ]
    newer = [
        "DROP FUNCTION one CASCADE",
        "CREATE FUNCTION one() RETURNS text LANGUAGE sql AS 'SELECT $$1$$'",
        "CREATE VIEW z AS SELECT id, 2 AS one FROM a_t",
        "GRANT ALL ON z TO somebody",
        "CREATE MATERIALIZED VIEW b AS SELECT one(), x FROM a_t",
        "CREATE MATERIALIZED VIEW newer AS SELECT * FROM b",
        "CREATE INDEX i ON b (one)",
    ]
    there = two_releases(database, project, older, newer)
    back(database)
    assert all_of(database) == there


@pytest.mark.databases("postgresql")
def test_a_function_that_a_table_needs_is_replaced_in_its_place(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    older = [
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE a_log ALTER n SET DEFAULT one()",
        "CREATE VIEW v AS SELECT one() AS one",
    ]
    newer = [
        "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "ALTER TABLE a_log ALTER n SET DEFAULT one() + two()",
    ]
    two_releases(database, project, older, newer)
    back(database)
    assert ask(database, "SELECT one, n FROM v, (VALUES (one())) x(n)") == [(1, 1)]
    words = "function public.two(), which is newer, could not be dropped: cannot drop function two() because"
    assert words in Text(capsys.readouterr().err)


@pytest.mark.databases("postgresql")
def test_extensions_and_other_schemas_are_left_alone(database: Database, project: Project) -> None:
    newer = [
        "CREATE FUNCTION member() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER EXTENSION plpgsql ADD FUNCTION member()",
        "CREATE SCHEMA s",
        "CREATE VIEW s.v AS SELECT id FROM a_t",
        "CREATE AGGREGATE summed(int) (sfunc = int4pl, stype = int)",
    ]
    project(a={"0001_early": EARLY})
    migrate(database.alias)
    execute(database, *newer)
    assert [str(each) for each in get(database.alias).defined()] == []
    execute(database, "ALTER EXTENSION plpgsql DROP FUNCTION member()")
    assert [str(each) for each in get(database.alias).defined()] == ["function public.member()"]


# What goes wrong


def test_what_cannot_be_made_is_a_warning(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others are made all the same."""
    older = ["CREATE VIEW v AS SELECT id FROM a_t", "CREATE VIEW w AS SELECT id FROM a_t"]
    newer = ["DROP VIEW v", "DROP VIEW w", "CREATE TABLE v (id integer)"]
    two_releases(database, project, older, newer)
    said = back(database)
    warning = Text(capsys.readouterr().err)
    assert "v could not be made as it was recorded: " in warning
    assert f"{OBJECTS_TABLE} has its definition." in warning
    assert "Views, functions and triggers: 1 came back." in said.out
    assert ask(database, "SELECT id FROM w") == []


@pytest.mark.databases("postgresql", "sqlite")
def test_a_run_that_fails_leaves_them_as_they_are(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what somebody has forbidden to write down is told."""
    refuses = {
        "postgresql": [
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$",
            f"CREATE TRIGGER no BEFORE INSERT ON {OBJECTS_TABLE} FOR EACH ROW EXECUTE FUNCTION no()",
        ],
        "sqlite": [f"CREATE TRIGGER no BEFORE INSERT ON {OBJECTS_TABLE} BEGIN SELECT RAISE(ABORT, 'no'); END"],
    }[database.vendor]
    code = 'migrations.RunPython(migrations.RunPython.noop, lambda apps, editor: editor.execute("SELECT nothing"))'
    older = "CREATE VIEW v AS SELECT x FROM a_t"
    newer = ["CREATE VIEW w AS SELECT x FROM a_t"]
    two_releases(database, project, [older], newer, f"{code}, {WIDER}", ["DROP VIEW v"])
    execute(database, *refuses)
    now = all_of(database)
    said = roll_back(database, DAY_2)
    assert said.status == 1, said.all
    assert f"{OBJECTS_TABLE} cannot be written, so that newer definitions are not kept: no" in Text(
        capsys.readouterr().err
    )
    assert all_of(database) == now


@pytest.mark.databases("postgresql")
def test_a_lock_of_somebody_else_fails_the_run(database: Database, project: Project) -> None:
    two_releases(database, project, [], ["CREATE VIEW v AS SELECT id FROM a_log"])
    now = all_of(database)
    other = database.connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE v IN ACCESS SHARE MODE")
        said = roll_back(database, DAY_2, lock_timeout=0.1)
        assert said.status == 4
        assert "bringing back views, functions and triggers" in said.all
    finally:
        other.close()
    assert all_of(database) == now


@pytest.mark.databases("postgresql", "sqlite")
def test_a_rehearsal_shows_the_statements(database: Database, project: Project) -> None:
    view = "CREATE VIEW v AS SELECT id, {} AS number FROM a_t"
    two_releases(database, project, [view.format(1)], ["DROP VIEW v", view.format(2)])
    now = all_of(database)
    said = back(database, rehearse=True)
    told = said.out.split("To bring back views, functions and triggers, after the receivers: ")[1]
    assert told.split("\n")[1].strip().startswith("DROP VIEW")
    assert "pg_class" not in said.out
    assert "1 AS number" in told
    assert f'INTO "{OBJECTS_TABLE}' not in said.out
    assert all_of(database) == now


# How it is said


def test_what_a_program_is_told(database: Database, project: Project) -> None:
    two_releases(database, project, ["CREATE VIEW v AS SELECT id FROM a_t"], ["DROP VIEW v"])
    name = "public.v" if database.vendor == "postgresql" else "v"
    told = back(database, format="json").json
    recorded = told["plans"][0]["recorded_objects"]
    assert recorded["changes"] == [{"kind": "view", "name": name, "change": "comes back"}]
    assert recorded["recorded"].endswith("+00:00")
    assert told["results"][0]["recorded_objects"] == recorded["changes"]


@pytest.mark.databases("sqlite", "mariadb")
def test_many_are_folded(database: Database, project: Project) -> None:
    newer = [f"CREATE VIEW v{number} AS SELECT id FROM a_t" for number in range(9)]
    two_releases(database, project, [], newer)
    said = roll_back(database, DAY_2, plan=True).out
    assert "  and 6 more: is dropped, see -v 2" in said
    assert ("This is done after the last step." in said) is (database.vendor == "mariadb")
    assert "view v8 is dropped" in roll_back(database, DAY_2, plan=True, verbosity=2).out
