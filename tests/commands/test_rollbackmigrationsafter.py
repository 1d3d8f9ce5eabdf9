"""What the command says and asks, to the letter."""

from __future__ import annotations

import os
import pty
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.migrations.recorder import MigrationRecorder

from tests.support.commands import Text, call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate, rows, set_applied
from tests.support.projects import Project, migration

ROOT = Path(__file__).parent.parent.parent
DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
Y = 'migrations.AddField("T", "y", models.IntegerField(null=True))'

on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """a.0001_t of day 1; a.0002_x and b.0001_u of day 2."""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_x": X}, b={"0001_u": T.replace('"T"', '"U"')})
    deploy(database.alias, DAY_2)
    return database


def execute(database: Database, sql: str) -> None:
    with database.connection.cursor() as cursor:
        cursor.execute(sql)


def masked(text: str) -> str:
    """Without what differs from run to run: paths, distances in time, seconds, digests."""
    text = re.sub(r"SQLite, .*", "SQLite, FILE", text)
    text = re.sub(r"\d+ days.* ago", "LONG ago", text)
    return re.sub(r"\b\d+\.\d\d s\b", "N s", re.sub(r"plan: [0-9a-f]{12}", "plan: DIGEST", text))


@on_sqlite
def test_the_plan(shop: Database) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7), (NULL)")
    said = roll_back(shop, "2024-05-02", plan=True)
    assert said.status == 0
    assert (
        masked(said.out)
        == """\
Database default: SQLite, FILE
Moment   2024-05-02 00:00:00 Europe/Berlin = 2024-05-01 22:00:00 UTC,
         LONG ago
         A date alone means its first instant.
Unapplies what was applied at or after this moment. Keeps everything older.

Undoes 2 migrations of 2 apps. Keeps 1 column (1 row, 26 B) to put back later.
Nothing is lost.
The older release would run on the database as it is; you may not need this
rollback.
Nothing blocks.

Deployments around it, in Europe/Berlin
  kept    2024-05-01 10:00:00, 1 migration: a
  undone  2024-05-02 10:00:00 to 10:00:01, 2 migrations: a, b

Each app goes back to
  a: 0001_t
  b: zero

2 steps, newest first
  1. b.0001_u, applied 2024-05-02 10:00:01
       drops table b_u
  2. a.0002_x, applied 2024-05-02 10:00:00
       drops column a_t.x: 1 row has a value, kept

Note b goes back to zero: none of its migrations stays applied. [rollback.I001]

Runs as one transaction: everything is undone, or nothing is changed.
Digest of this plan: DIGEST

To run it:
  python manage.py rollbackmigrationsafter 2024-05-02 --database default
"""
    )
    assert keys(shop.alias) == [("a", "0001_t"), ("a", "0002_x"), ("b", "0001_u")]


@on_sqlite
def test_the_plan_of_what_is_lost(shop: Database) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7), (NULL)")
    said = roll_back(shop, "2024-05-02", plan=True, keep=False).out
    assert (
        """
Undoes 2 migrations of 2 apps. Destroys 1 column (1 row).
The older release would run on the database as it is; you may not need this
rollback.
Needs your consent. Nothing blocks.
"""
        in said
    )
    assert "\n       LOST drops column a_t.x: 1 row has a value [rollback.W001]\n" in said
    assert said.endswith(" rollbackmigrationsafter 2024-05-02 --database default --no-keep --destroy-data\n")


@on_sqlite
def test_the_run(shop: Database) -> None:
    said = roll_back(shop, DAY_2)
    assert said.status == 0
    assert masked(said.out.split("DIGEST")[0]).endswith("""
  Unapplying b.0001_u... OK (N s)
  Unapplying a.0002_x... OK (N s)
Verified: 2 tables are as the migrations at the target say.
Done: 2 migrations unapplied on default in N s.
Next: start the older release. Do not run migrate from this one: it would apply
these migrations again.
To go forward again later, start the newer release and run:
  python manage.py migrate
""")
    assert keys(shop.alias) == [("a", "0001_t")]


@on_sqlite
def test_verbosity(shop: Database) -> None:
    assert roll_back(shop, DAY_2, verbosity=0).out == ""
    migrate(shop.alias)
    set_applied(shop.alias, {("a", "0002_x"): DAY_2, ("b", "0001_u"): DAY_2})
    loud = roll_back(shop, DAY_2, verbosity=3)
    assert "  Unapplying b.0001_u...\n" in loud.out
    assert '    DROP TABLE "b_u"\n' in loud.out


@on_sqlite
def test_nothing_to_do(shop: Database) -> None:
    for options in ({}, {"plan": True}, {"verbosity": 0}):
        said = roll_back(shop, "2024-06-01 10:00", **options)
        assert said.status == 0
        assert "To run it" not in said.out
    said = roll_back(shop, "2024-06-01 10:00")
    assert said.out.endswith(
        "\nNothing to do: the newest migration, b.0001_u of 2024-05-02 10:00:01\n"
        "Europe/Berlin, was applied before the moment.\n"
    )
    left = roll_back(shop, DAY_2, exclude=["a", "b"])
    assert "the newest migration, b.0001_u of 2024-05-02 08:00:01 UTC, is left alone." in left.out


@on_sqlite
def test_nothing_was_ever_applied(database: Database, project: Project) -> None:
    MigrationRecorder(database.connection).ensure_schema()
    assert roll_back(database, DAY_2).out.splitlines()[-1] == "Nothing to do: no migration was ever applied here."


@on_sqlite
def test_all_blockers_are_told_at_once(database: Database, project: Project) -> None:
    project(
        a={"0001_t": T}, b={"0001_u": "migrations.RunSQL('SELECT 1')"}, c={"0001_v": "migrations.RunSQL('SELECT 2')"}
    )
    deploy(database.alias, DAY_1)
    blocked = roll_back(database, DAY_1 + timedelta(seconds=1), plan=True)
    assert blocked.status == 3
    assert "BLOCKED by 3 findings, listed below." in blocked.out
    assert blocked.out.count("[rollback.E") == 3
    assert blocked.error.startswith("Refused. Nothing was changed. c.0001_v cannot be undone")
    assert blocked.error.splitlines()[-1].startswith("Follow the hint below each blocker")
    many = roll_back(database, DAY_1 - timedelta(days=1), cascade=True, plan=True)
    assert many.status == 3


@on_sqlite
def test_more_than_three_are_counted(database: Database, project: Project) -> None:
    project(a={f"000{number}_x": "migrations.RunSQL('SELECT 1')" for number in range(1, 6)})
    deploy(database.alias, DAY_1)
    said = roll_back(database, DAY_1)
    assert said.status == 3
    assert said.error.splitlines()[0].endswith("a.0003_x cannot be undone: its SQL has no reverse. And 2 more.")


def test_consent_is_needed_without_a_terminal(shop: Database) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7)")
    said = roll_back(shop, DAY_2, destroy_data=False, keep=False)
    assert said.status == 3
    assert said.error == (
        "Refused: this would destroy data. Nothing was changed. "
        "drops column a_t.x: 1 row has a value.\n"
        "Take a backup. Then, if this data may be destroyed, add --destroy-data"
    )
    assert len(keys(shop.alias)) == 3
    assert roll_back(shop, DAY_2, keep=False).status == 0


def test_what_is_kept_needs_no_consent(shop: Database) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7)")
    said = roll_back(shop, DAY_2, destroy_data=False)
    assert said.status == 0
    assert "Nothing is lost." in said.out
    assert "Needs your consent" not in said.out
    assert "Kept 1 column (1 row, " in said.out
    assert len(keys(shop.alias)) == 1


def test_without_loss_a_container_needs_no_consent(shop: Database) -> None:
    assert roll_back(shop, DAY_2, destroy_data=False).status == 0


@on_sqlite
def test_not_counting_takes_every_drop_for_a_loss(shop: Database) -> None:
    said = roll_back(shop, DAY_2, destroy_data=False, count=False, keep=False)
    assert said.status == 3
    assert "drops table b_u: not counted, so treated as lost." in said.error


def test_keeping_needs_no_count(shop: Database) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7), (NULL)")
    said = roll_back(shop, DAY_2, destroy_data=False, count=False)
    assert said.status == 0
    assert "Keeps 1 table and 1 column (rows not counted, " in said.out
    assert "       drops table b_u, whose rows are kept\n" in said.out
    assert "       drops column a_t.x, whose rows are kept\n" in said.out
    assert "Kept 1 column (1 row, " in said.out


@on_sqlite
def test_many_steps_are_told_in_short(database: Database, project: Project) -> None:
    project(
        a={
            "0001_t": T,
            **{f"{n:04}_x": f'migrations.AddField("T", "x{n}", models.IntegerField(null=True))' for n in range(2, 23)},
        }
    )
    deploy(database.alias, DAY_1)
    short = roll_back(database, DAY_1, plan=True)
    assert (
        """
22 steps by app; -v 2 shows each
  app  steps  tables dropped  columns dropped  code
  a       22               1               21     -
"""
        in short.out
    )
    assert "a.0022_x, applied" not in short.out
    assert "a.0022_x, applied" in roll_back(database, DAY_1, plan=True, verbosity=2).out


@on_sqlite
def test_deployments_far_from_the_moment_are_counted(database: Database, project: Project) -> None:
    names = ["0001_t", *(f"{n:04}_x" for n in range(2, 9))]
    texts = {name: "" if n else T for n, name in enumerate(names)}
    project(a=texts)
    migrate(database.alias)
    set_applied(database.alias, {("a", name): DAY_1 + timedelta(days=n) for n, name in enumerate(names)})
    said = roll_back(database, DAY_1 + timedelta(days=4), plan=True)
    assert "  kept    (2 more before)\n  kept    2024-05-03" in said.out
    assert "  undone  2024-05-06 08:00:00, 1 migration: a\n  undone  (2 more after)\n" in said.out
    assert "       nothing in the database: it has no operations\n" in said.out


@on_sqlite
def test_a_cut_deployment_is_shown(shop: Database) -> None:
    said = roll_back(shop, DAY_2 + timedelta(seconds=1), plan=True)
    assert said.status == 3
    assert "  CUT     2024-05-02 08:00:00 to 08:00:01, 2 migrations: a, b\n" in said.out


@on_sqlite
def test_what_is_faked_and_pulled_along_is_told(database: Database, project: Project) -> None:
    project(a={"0001_t": T, "0002_x": X}, b={"0001_u": migration(T.replace('"T"', '"U"'), [("a", "0002_x")])})
    deploy(database.alias, DAY_1)
    set_applied(database.alias, {("a", "0002_x"): DAY_2})
    said = roll_back(database, DAY_2, cascade=True, fake=["a.0002_x"])
    assert said.status == 0
    assert "       is undone too because it depends on a.0002_x\n" in said.out
    assert "Undoes 2 migrations of 2 apps, 1 of them in the records only. " in said.out
    assert "  2. a.0002_x, applied 2024-05-02 08:00:00\n       Note is NOT undone" in said.out
    assert "drops column a_t.x" not in said.out
    assert "  Unapplying a.0002_x... FAKED (" in said.out


@on_sqlite
def test_what_a_faked_step_left_is_not_lost_when_its_table_is_remade(database: Database, project: Project) -> None:
    """SQLite changes a table by remaking it from the columns that the migrations know."""
    wider = 'migrations.AlterField("T", "y", models.TextField(null=True))'
    project(a={"0001_t": T, "0002_y": Y, "0003_wider": wider, "0004_x": X})
    deploy(database.alias, DAY_1, [("a", "0002_y")])
    deploy(database.alias, DAY_2)
    execute(database, "INSERT INTO a_t (x) VALUES (7)")
    said = roll_back(database, DAY_2, fake=["a.0004_x"])
    assert said.status == 3
    text = " ".join(said.error.split())
    assert "a.0003_wider makes table a_t anew, which column a_t.x prevents: 1 row has a value in it" in text
    assert "Nothing was changed" in said.error
    assert len(keys(database.alias)) == 4
    # What was never run is not there to be lost, and what a step drops is meant to go.
    execute(database, "ALTER TABLE a_t DROP COLUMN x")
    assert roll_back(database, DAY_2, fake=["a.0004_x"]).status == 0
    assert roll_back(database, DAY_1, fake=["a.0001_t"]).status == 3
    assert roll_back(database, DAY_1).status == 0


@on_sqlite
def test_json(shop: Database) -> None:
    plan = roll_back(shop, DAY_2, plan=True, format="json").json
    assert plan["schema"] == 1
    assert [step["migration"] for step in plan["plans"][0]["steps"]] == ["b.0001_u", "a.0002_x"]
    assert "results" not in plan
    said = roll_back(shop, DAY_2, format="json")
    assert said.status == 0
    assert said.json["outcome"] == "done"
    assert [step["migration"] for step in said.json["results"][0]["steps"]] == ["b.0001_u", "a.0002_x"]


@on_sqlite
def test_json_of_a_refusal_and_of_a_failure(shop: Database, project: Project) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7)")
    refused = roll_back(shop, DAY_2, format="json", destroy_data=False, keep=False)
    assert refused.status == 3
    assert refused.json["outcome"] == "refused"
    assert refused.json["error"]["status"] == 3
    fails = migration(
        "migrations.RunPython(migrations.RunPython.noop, fail)",
        [("a", "0001_t")],
        before="def fail(apps, schema_editor):\n    raise ValueError('no')",
    )
    project.replace(a={"0001_t": T, "0002_x": fails})
    failed = roll_back(shop, DAY_2, format="json")
    assert failed.status == 1
    assert failed.json["outcome"] == "failed"
    assert "ValueError: no" in failed.json["error"]["message"]


@on_sqlite
def test_commands(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7)")
    said = roll_back(shop, DAY_2, format="commands")
    assert said.status == 0
    assert said.out == "python manage.py migrate b zero\npython manage.py migrate a 0001_t\n"
    assert capsys.readouterr().err == (
        "migrate keeps nothing of what it drops, and does not ask.\n"
        "LOST a.0002_x: drops column a_t.x: 1 row has a value. [rollback.W001]\n"
        "Note b goes back to zero: none of its migrations stays applied. [rollback.I001]\n"
    )
    assert roll_back(shop, DAY_2, format="commands", verbosity=0).out == said.out
    assert capsys.readouterr().err == ""
    assert len(keys(shop.alias)) == 3
    assert roll_back(shop, "2024-06-01", format="commands").out == ""
    impossible = roll_back(shop, DAY_2, format="commands", fake=["a.0002_x"])
    assert impossible.status == 3
    assert impossible.error.startswith(
        "No list of migrate commands does this: no migrate command unapplies some migrations and"
    )
    assert impossible.out == ""


@on_sqlite
def test_commands_name_another_database(other_database: Database, project: Project) -> None:
    project(a={"0001_t": T})
    deploy(other_database.alias, DAY_1)
    said = roll_back(other_database, DAY_1, format="commands")
    assert said.out == "python manage.py migrate a zero --database other\n"


@on_sqlite
def test_what_to_type_next_repeats_what_was_typed(database: Database, project: Project) -> None:
    project(a={"0001_t": T}, b={"0001_t": T})
    deploy(database.alias, DAY_1)
    said = call(
        "rollbackmigrationsafter",
        "2024-05-01",
        "10:00:00",
        "--plan",
        "--timezone=Europe/Berlin",
        "--exclude=b",
        "--cascade",
        "--split-deployment",
        "--step-by-step",
    )
    assert said.out.splitlines()[-1] == (
        '  python manage.py rollbackmigrationsafter "2024-05-01 10:00:00" --timezone Europe/Berlin'
        " --exclude b --cascade --split-deployment --step-by-step --destroy-data"
    )
    as_text = call("rollbackmigrationsafter", "2024-05-01 10:00:00", database="default", plan=True, exclude=["b"])
    assert as_text.out.splitlines()[-1].endswith('"2024-05-01 10:00:00" --database default --exclude b --destroy-data')


def test_several_databases_are_told_one_by_one(database: Database, other_database: Database, project: Project) -> None:
    project(a={"0001_t": T, "0002_x": X})
    for one in (database, other_database):
        deploy(one.alias, DAY_1)
    aliases = [database.alias, other_database.alias]
    said = call("rollbackmigrationsafter", DAY_1.isoformat(), database=aliases, interactive=False, destroy_data=True)
    assert said.status == 0
    for one in (database, other_database):
        assert f"Database {one.alias}: " in said.out
        assert f"Done: 2 migrations unapplied on {one.alias}" in said.out
        assert keys(one.alias) == []


def test_a_failure_on_the_second_database_says_what_is_done(
    database: Database, other_database: Database, project: Project
) -> None:
    project(a={"0001_t": T, "0002_x": X})
    for one in (database, other_database):
        deploy(one.alias, DAY_1)
    execute(other_database, "DROP TABLE a_t")
    aliases = [database.alias, other_database.alias]
    said = call("rollbackmigrationsafter", DAY_1.isoformat(), database=aliases, interactive=False, destroy_data=True)
    assert said.status == 1
    assert f"Databases rolled back before that: {database.alias}; not begun: none." in said.error
    assert "Nothing was changed: " not in said.error
    if database.vendor != "mariadb":
        assert f"Nothing was changed in {other_database.alias}: " in said.error
    assert said.error.endswith(f"Name only the databases that are left: --database {other_database.alias}")
    assert keys(database.alias) == []
    assert len(rows(other_database.alias)) == 2


# At a terminal


def at_terminal(answer: bytes, database: Database, *options: str) -> tuple[int, str]:
    """Run the command with a terminal as its input, answer its question, and return status and output."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [
            sys.executable,
            "manage.py",
            "rollbackmigrationsafter",
            DAY_2.isoformat(),
            "--database",
            database.alias,
            *options,
        ],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        os.close(theirs)
        os.write(ours, answer)
        assert process.stdout
        output = process.stdout.read().decode()
    os.close(ours)
    return process.returncode, output


@on_sqlite
@pytest.mark.parametrize(
    ("answer", "goes"), [(b"yes\n", True), (b"Y\n", True), (b"n\n", False), (b"\n", False), (b"\x04", False)]
)
def test_the_question(shop: Database, answer: bytes, goes: bool) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7)")
    status, output = at_terminal(answer, shop, "--no-keep")
    assert "\nThis destroys data that only a backup brings back:\n  drops column a_t.x: 1 row has a value.\n" in output
    assert "Unapply 2 migrations on default: SQLite, " in output
    assert "? [y/N] " in output
    assert status == (0 if goes else 3)
    assert len(keys(shop.alias)) == (1 if goes else 3)
    if not goes:
        assert output.endswith("Cancelled. Nothing was changed.\nRun the same command again to go on.\n")


@on_sqlite
def test_the_question_names_only_what_is_not_kept(shop: Database) -> None:
    execute(shop, "INSERT INTO a_t (x) VALUES (7)")
    execute(shop, "INSERT INTO b_u (id) VALUES (1)")
    status, output = at_terminal(b"n\n", shop)
    assert status == 3
    assert "destroys" not in output
    assert "[y/N]" in output
    status, output = at_terminal(b"n\n", shop, "--keep-at-most", "30B")
    assert status == 3
    destroys = output.split("This destroys data that only a backup brings back:\n")[1]
    assert "drops column a_t.x" in destroys
    assert "drops table b_u" not in destroys


@on_sqlite
def test_the_question_is_asked_also_if_nothing_is_lost_or_consent_is_given(shop: Database) -> None:
    status, output = at_terminal(b"n\n", shop, "--destroy-data")
    assert status == 3
    assert "destroys" not in output
    status, output = at_terminal(b"", shop, "--no-input")
    assert status == 0
    assert "[y/N]" not in output


# Bad input: a sentence that says what is wrong and one that says what to type; nothing changed


def run(*words: str, settings: str = "tests.settings", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "rollbackmigrationsafter", *words],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": settings, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], status: int, *parts: str) -> None:
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert 2 <= len(done.stderr.strip().splitlines()) <= 6, done.stderr
    for part in parts:
        assert part in Text(done.stderr)


BAD: list[tuple[Sequence[str], int, str]] = [
    (["--plan"], 2, 'Which moment? Give a date and time, or "last". `showdeployments` lists them.'),
    (["last", "--format", "commands", "--rehearse"], 2, "Leave out --rehearse, or --format commands."),
    (["yesterday"], 2, "'yesterday' is not a date."),
    (["05/06/2024"], 2, "day first or the month first"),
    (["2999-01-01"], 2, "is in the future"),
    (["2024-05-01 10:00", "--timezone", "Europe/Atlantis"], 2, "There is no time zone 'Europe/Atlantis'."),
    (["2024-05-01", "--database", "nowhere"], 2, "There is no database 'nowhere' in DATABASES."),
    (["2024-05-01", "--exclude", "nothing"], 2, "--exclude nothing: there is no such app or migration."),
    (["2024-05-02", "--fake", "a.0001_t"], 2, "--fake a.0001_t: is not among the steps of this plan."),
]


@on_sqlite
@pytest.mark.parametrize(("words", "status", "text"), BAD, ids=[" ".join(words) for words, _, _ in BAD])
def test_bad_input(shop: Database, words: Sequence[str], status: int, text: str) -> None:
    before = rows(shop.alias)
    refused(run(*words), status, text)
    assert rows(shop.alias) == before


@on_sqlite
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def broken(:\n", "0002_broken.py, line 1: SyntaxError: "),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("class Nothing: pass\n", "has no Migration class"),
    ],
)
def test_a_broken_migration_file(shop: Database, project: Project, text: str, words: str) -> None:
    package = project.replace(a={"0001_t": T})
    (package / "a" / "0002_broken.py").write_text(text)
    refused(run("2024-05-01", "--database", shop.alias), 1, "The migrations on disk cannot be loaded: ", words)
    assert len(keys(shop.alias)) == 3


@on_sqlite
def test_a_missing_file_is_not_made(database: Database, project: Project) -> None:
    name = Path(database.connection.settings_dict["NAME"])
    refused(run("2024-05-01"), 1, "there is no such file.")
    assert not name.exists()


def test_no_history_table(database: Database, project: Project) -> None:
    execute(database, "CREATE TABLE something (id integer)")
    done = run("2024-05-01", "--database", database.alias)
    refused(done, 1, "has no table django_migrations: Django has never migrated it.")


@pytest.mark.databases("postgresql", "mariadb")
def test_an_unreachable_server(database: Database, project: Project, tmp_path: Path) -> None:
    (tmp_path / "unreachable.py").write_text(
        "from tests.settings import *\n"
        f"DATABASES[{database.alias!r}].update(HOST='127.0.0.1', PORT='9', PASSWORD='a-secret')\n"
    )
    done = run("2024-05-01", "--database", database.alias, settings="unreachable")
    refused(done, 1, "cannot be read: ", "that the server is running")
    assert "a-secret" not in done.stdout + done.stderr


@pytest.mark.databases("postgresql")
def test_no_right_to_drop_a_table(shop: Database, project: Project, tmp_path: Path) -> None:
    name = f"reader_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    execute(shop, f"DROP ROLE IF EXISTS {name}")
    execute(shop, f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    execute(shop, f"GRANT USAGE ON SCHEMA public TO {name}")
    execute(shop, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
    (tmp_path / "no_rights.py").write_text(
        f"from tests.settings import *\nDATABASES['postgresql'].update(USER={name!r}, PASSWORD='x')\n"
    )
    before = rows(shop.alias)
    done = run(DAY_2.isoformat(), "--database", shop.alias, settings="no_rights")
    assert done.returncode == 3
    assert f"{name} does not own table b_u, which the run changes" in " ".join(done.stdout.split())
    unseeing = ("--no-count", "--destroy-data", "--no-input")
    done = run(DAY_2.isoformat(), "--database", shop.alias, *unseeing, settings="no_rights")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = " ".join(done.stderr.split())
    assert "must be owner of table b_u" in said
    assert "Nothing was changed: everything is as it was before." in said
    assert rows(shop.alias) == before
    execute(shop, f"DROP OWNED BY {name}")
    execute(shop, f"DROP ROLE {name}")


@on_sqlite
def test_older_code_without_the_app_knows_no_such_command(shop: Database, tmp_path: Path) -> None:
    (tmp_path / "older.py").write_text("from tests.settings import *\nINSTALLED_APPS.remove('rollback_app')\n")
    done = run("2024-05-01", settings="older")
    assert done.returncode == 1
    assert done.stderr.startswith("Unknown command: 'rollbackmigrationsafter'")


class Terminal(StringIO):
    """Where a person looks on."""

    def isatty(self) -> bool:
        return True


def at_a_terminal(**options: object) -> tuple[int, list[str]]:
    """(exit status, the lines of the bar as they were written over each other)."""
    out, status = Terminal(), 0
    try:
        call_command(
            "rollbackmigrationsafter", DAY_2.isoformat(), stdout=out, no_color=True, interactive=False, **options
        )
    except CommandError as error:
        status = error.returncode
    return status, [line.strip() for line in re.split(r"[\r\n]", out.getvalue()) if re.match(r"\s*\[[#.]", line)]


@pytest.fixture
def long_plan(database: Database, project: Project) -> Project:
    """21 steps, of which the last one fails."""
    code = "migrations.RunPython(migrations.RunPython.noop, lambda apps, schema_editor: 1 / 0)"
    many = {
        f"{number:04}_x": f'migrations.AlterModelOptions("T", {{"verbose_name": "{number}"}})'
        for number in range(3, 23)
    }
    project(a={"0001_t": T, "0002_code": code, **many})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    return project


@on_sqlite
def test_a_bar_at_a_terminal_for_a_long_plan(database: Database, long_plan: Project) -> None:
    status, bar = at_a_terminal()
    assert status == 1
    assert bar[0] == f"[{'.' * 30}] 1/21 a.0022_x"
    assert bar[-1].split() == [f"[{'#' * 28}..]", "21/21", "a.0002_code", "FAILED"]
    assert len(bar) == 21
    assert at_a_terminal(verbosity=2)[1] == []
    status, bar = at_a_terminal(fake=["a.0002_code"])
    assert status == 0
    assert bar[-1] == f"[{'#' * 30}] 21/21"


@on_sqlite
def test_the_bar_begins_when_somebody_else_is_done(database: Database, long_plan: Project) -> None:
    path = database.connection.settings_dict["NAME"]
    other = sqlite3.connect(path, uri=str(path).startswith("file:"), check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, other.close).start()
    status, bar = at_a_terminal(fake=["a.0002_code"], retries=1, lock_timeout=0.1, journal=False)
    assert status == 0
    assert len(bar) == 22
