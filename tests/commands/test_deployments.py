"""Choosing where to go back to: showdeployments, the kinds of moment, markrelease, migrationmanifest."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from tests.commands.test_rollbackmigrationsafter import masked
from tests.support import schema
from tests.support.commands import call, checked, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate, rows, set_applied
from tests.support.projects import Project, migration

DAYS = [datetime(2024, 5, day, 8, 0, tzinfo=timezone.utc) for day in (1, 2, 3)]
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
Y = 'migrations.AddField("T", "y", models.IntegerField(null=True))'
U = T.replace('"T"', '"U"')
ONE_WAY = 'migrations.RunSQL("SELECT 1")'

RELEASES: list[dict[str, dict[str, str]]] = [
    {"a": {"0001_t": T}},
    {"a": {"0001_t": T, "0002_x": X}, "b": {"0001_u": U}},
    {"a": {"0001_t": T, "0002_x": X, "0003_y": Y}, "b": {"0001_u": U}},
]

on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """Three deployments on three days."""
    for day, apps in zip(DAYS, RELEASES, strict=True):
        project(**apps)
        deploy(database.alias, day)
    return database


def mark(database: Database, name: str, at: str | None = None) -> str:
    said = call("markrelease", name, database=database.alias, at=at)
    assert said.status == 0
    return said.out


@on_sqlite
def test_the_list(shop: Database) -> None:
    mark(shop, "1.1", "2024-05-02 10:00:00.5")
    assert (
        masked(call("showdeployments").out)
        == """\
Database default: SQLite, FILE
3 deployments, newest first, in Europe/Berlin; 3 shown

1. 2024-05-03 10:00:00 (not recorded; grouped by pauses)
   LONG ago, 1 migration in N s: a 1
   can be rolled back, together with everything newer
   to go back before it:
     python manage.py rollbackmigrationsafter "2024-05-03 10:00:00+02:00" --plan

2. 2024-05-02 10:00:00 to 10:00:01, release 1.1 (not recorded; grouped by
   pauses)
   LONG ago, 2 migrations in N s: a 1, b 1
   can be rolled back, together with everything newer
   to go back before it:
     python manage.py rollbackmigrationsafter "2024-05-02 10:00:00+02:00" --plan

3. 2024-05-01 10:00:00 (not recorded; grouped by pauses)
   LONG ago, 1 migration in N s: a 1
   can be rolled back, together with everything newer
   to go back before it:
     python manage.py rollbackmigrationsafter "2024-05-01 10:00:00+02:00" --plan
"""
    )


def test_the_commands_of_the_list_can_be_run(shop: Database) -> None:
    listed = call("showdeployments", database=shop.alias, format="json").json["deployments"]
    words = listed[1]["command"].split('"')
    suffix = "" if shop.alias == "default" else f" --database {shop.alias}"
    assert words == ["python manage.py rollbackmigrationsafter ", "2024-05-02 10:00:00+02:00", f"{suffix} --plan"]
    said = roll_back(shop, words[1])
    assert said.status == 0
    assert keys(shop.alias) == [("a", "0001_t")]


def test_the_list_changes_nothing(shop: Database) -> None:
    before = schema.everything(shop.connection)
    assert call("showdeployments", database=shop.alias).status == 0
    assert schema.everything(shop.connection) == before


@on_sqlite
def test_the_list_as_json(shop: Database) -> None:
    mark(shop, "1.1", "2024-05-02 12:00")
    said = call("showdeployments", format="json", since="2024-05-02", timezone="Asia/Tokyo").json
    assert {name: said[name] for name in ("schema", "database", "zone", "total")} == {
        "schema": 1,
        "database": "default",
        "zone": "Asia/Tokyo",
        "total": 3,
    }
    assert [found["number"] for found in said["deployments"]] == [1, 2]
    assert said["deployments"][1] == {
        "number": 2,
        "start": "2024-05-02T08:00:00+00:00",
        "end": "2024-05-02T08:00:01+00:00",
        "in_zone": "2024-05-02T17:00:00+09:00",
        "releases": ["1.1"],
        "guessed": True,
        "migrations": ["a.0002_x", "b.0001_u"],
        "marks": [],
        "can_be_rolled_back": True,
        "blockers": [],
        "command": 'python manage.py rollbackmigrationsafter "2024-05-02 17:00:00+09:00" --plan',
    }


@on_sqlite
def test_how_many_are_listed(shop: Database) -> None:
    def numbers(**options: object) -> list[int]:
        found = call("showdeployments", format="json", **options).json["deployments"]
        return [listed["number"] for listed in found]

    assert numbers() == [1, 2, 3]
    assert numbers(limit=1) == [1]
    assert numbers(since="2024-05-02T08:00:01Z") == [1, 2]  # it ended then
    assert numbers(since="2024-05-02T08:00:02Z") == [1]
    assert numbers(since="2024-05-01", limit=2) == [1, 2]
    assert "3 deployments, newest first, in Europe/Berlin; 1 shown" in call("showdeployments", "--limit", "1").out


@on_sqlite
def test_ten_are_listed_without_more_words(database: Database, project: Project) -> None:
    project(a={"0001_t": T, **{f"{number:04}_more": "" for number in range(2, 13)}})
    migrate(database.alias)
    set_applied(database.alias, {key: DAYS[0] + timedelta(hours=n) for n, key in enumerate(keys(database.alias))})
    assert "12 deployments, newest first, in Europe/Berlin; 10 shown" in call("showdeployments").out
    assert "12 shown" in call("showdeployments", since="2024-01-01").out


@on_sqlite
def test_a_gap_is_part_of_the_command(database: Database, project: Project) -> None:
    project(a={"0001_t": T, "0002_x": X})
    migrate(database.alias)
    set_applied(database.alias, {("a", "0001_t"): DAYS[0], ("a", "0002_x"): DAYS[0] + timedelta(minutes=2)})
    assert len(call("showdeployments", format="json").json["deployments"]) == 1
    newest, _ = call("showdeployments", "--gap", "1.5", format="json").json["deployments"]
    assert newest["command"].endswith('"2024-05-01 10:02:00+02:00" --gap 1.5 --plan')
    assert roll_back(database, newest["start"]).status == 3
    assert roll_back(database, "last", gap=1.5).status == 0
    assert keys(database.alias) == [("a", "0001_t")]


@on_sqlite
def test_what_cannot_be_rolled_back(database: Database, project: Project) -> None:
    project(a={"0001_t": T, "0002_one_way": ONE_WAY}, c={"0001_gone": U})
    deploy(database.alias, DAYS[0])
    project(a={"0001_t": T, "0002_one_way": ONE_WAY, "0003_x": X})
    deploy(database.alias, DAYS[1])
    newest, oldest = call("showdeployments", format="json").json["deployments"]
    assert (newest["can_be_rolled_back"], oldest["can_be_rolled_back"]) == (True, False)
    assert [found["id"] for found in oldest["blockers"]] == ["rollback.E001", "rollback.E002"]
    assert oldest["marks"] == ["not in this code: c.0001_gone"]
    said = call("showdeployments").out
    assert "   BLOCKED a.0002_one_way cannot be undone: its SQL has no reverse. [rollback.E001]\n" in said
    assert "   ! not in this code: c.0001_gone\n" in said
    assert said.count("can be rolled back,") == 1


@on_sqlite
def test_many_blockers_are_counted(database: Database, project: Project) -> None:
    project(a={"0001_t": T, **{f"{number:04}_one_way": ONE_WAY for number in range(2, 7)}})
    deploy(database.alias, DAYS[0])
    said = call("showdeployments").out
    assert said.count("BLOCKED") == 3
    assert "   and 2 more blockers\n" in said


@on_sqlite
def test_nothing_to_list(database: Database, project: Project) -> None:
    project()
    assert call("showdeployments").status == 1
    MigrationRecorder(database.connection).ensure_schema()
    assert call("showdeployments").out.splitlines()[1:] == ["No migration is applied here."]
    assert roll_back(database, "last").error.startswith("There is no deployment here: no migration was ever applied.")
    assert call("markrelease", "1.0").error.startswith("No migration was applied before that moment.")


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--since", "Tuesday"], 2, "'Tuesday' is not a date."),
        (["--timezone", "Mars"], 2, "There is no time zone 'Mars'."),
        (["--database", "nowhere"], 2, "There is no database 'nowhere'"),
        (["--limit", "0"], 1, "'0' is not a whole number from 1 on."),
        (["--limit", "²"], 1, "'²' is not a whole number from 1 on."),
        (["--gap", "soon"], 1, "'soon' is not a number from 0 on."),
        (["--gap", "nan"], 1, "'nan' is not a number from 0 on."),
        (["--gap", "-1"], 1, "'-1' is not a number from 0 on."),
        (["--gap", "1e300"], 1, "'1e300' is not a number from 0 on."),
    ],
)
def test_bad_input_to_the_list(shop: Database, arguments: list[str], status: int, message: str) -> None:
    said = call("showdeployments", *arguments)
    assert said.status == status
    assert message in said.error
    assert said.out == ""


# Kinds of moment


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ("last", 3),
        ("deployment:1", 3),
        ("deployment:2", 1),
        ("deployment:3", 0),
        ("migration:a.0002_x", 2),
        ("migration:b.0001_u", 3),
        ("release:first", 1),
        ("release:second", 3),
        ("all:", 0),
    ],
)
def test_each_kind_leads_back(shop: Database, moment: str, left: int) -> None:
    mark(shop, "first", "2024-05-01T12:00Z")
    mark(shop, "second", "2024-05-02T12:00Z")
    everything = keys(shop.alias)
    said = roll_back(shop, moment, split_deployment=moment == "migration:a.0002_x")
    assert said.error == ""
    assert keys(shop.alias) == everything[:left]
    tables = {fact[0] for fact in schema.snapshot(shop.connection)}
    assert ("a_t" in tables, "b_u" in tables) == (left > 0, left > 2)


FAILS = 'migrations.RunSQL("SELECT 1", "SELECT x FROM nowhere")'
MENDED = 'migrations.RunSQL("SELECT 1", "SELECT 1")'


@pytest.fixture
def broken_off(shop: Database, project: Project) -> Database:
    """A run back to before the newest deployment, of which one of two steps was undone."""
    project.replace(a={**RELEASES[-1]["a"], "0004_fails": FAILS, "0005_t": ""})
    migrate(shop.alias)
    set_applied(
        shop.alias, {("a", "0004_fails"): DAYS[2] + timedelta(days=1), ("a", "0005_t"): DAYS[2] + timedelta(days=1)}
    )
    said = roll_back(shop, "last", step_by_step=True)
    assert (said.status, keys(shop.alias)[-1]) == (1, ("a", "0004_fails"))
    return shop


@pytest.mark.parametrize("moment", ["last", "deployment:1", "deployment:2"])
def test_what_counts_from_the_newest_is_refused_after_a_run_that_broke_off(
    broken_off: Database, project: Project, moment: str
) -> None:
    project.replace(a={**RELEASES[-1]["a"], "0004_fails": MENDED, "0005_t": ""})
    said = roll_back(broken_off, moment)
    assert said.status == 2
    assert said.error.startswith("An earlier rollback stopped half-way")
    assert (
        f'rollbackmigrationsafter "2024-05-04 10:00:00+02:00" --database {broken_off.alias} --step-by-step'
        in said.error
    )
    assert len(keys(broken_off.alias)) == 5
    assert roll_back(broken_off, "2024-05-04 08:00:00+00:00").status == 0
    assert len(keys(broken_off.alias)) == 4
    assert roll_back(broken_off, "last").status == 0
    assert len(keys(broken_off.alias)) == 3


def test_a_run_that_broke_off_is_over_when_something_is_applied(broken_off: Database, project: Project) -> None:
    project.replace(a={**RELEASES[-1]["a"], "0004_fails": MENDED, "0005_t": ""})
    set_applied(broken_off.alias, {("a", "0004_fails"): datetime.now(timezone.utc) - timedelta(hours=1)})
    with broken_off.connection.cursor() as cursor:
        cursor.execute("UPDATE rollback_app_run SET command = ''")
    assert "it was run through the Python API" in roll_back(broken_off, "last").error
    migrate(broken_off.alias)
    said = roll_back(broken_off, "last", plan=True)
    assert "The start of deployment 1." in said.out
    # On MariaDB the step in which it broke off is still half undone, which is a blocker of its own.
    assert said.status == (3 if broken_off.vendor == "mariadb" else 0)


def test_the_last_line_says_with_which_release_to_go_forward(shop: Database) -> None:
    mark(shop, "1.1", "2024-05-02 12:00")
    said = roll_back(shop, "2024-05-02")
    suffix = "" if shop.alias == "default" else f" --database {shop.alias}"
    assert said.out.endswith(
        f"To go forward again later, start release 1.1 and run:\n  python manage.py migrate{suffix}\n"
    )


def test_a_migration_in_the_middle_is_refused_as_a_time_would_be(shop: Database) -> None:
    said = roll_back(shop, "migration:a.0002_x")
    assert said.status == 3
    assert "[rollback.E004]" in said.out
    assert len(keys(shop.alias)) == 4


@on_sqlite
def test_the_line_to_run_means_the_same_after_another_deployment(shop: Database, project: Project) -> None:
    line = roll_back(shop, "last", plan=True, gap=1.5).out.splitlines()[-1]
    assert line == (
        '  python manage.py rollbackmigrationsafter "2024-05-03 10:00:00+02:00" --database default --gap 1.5'
    )
    assert roll_back(shop, "all:", plan=True).out.splitlines()[-1].split()[3] == "all:"


def test_two_databases_have_no_time_in_common(shop: Database, other_database: Database) -> None:
    migrate(other_database.alias)
    aliases = [shop.alias, other_database.alias]
    line = roll_back(shop, "last", plan=True, database=aliases).out.splitlines()[-1]
    assert line.startswith("  python manage.py rollbackmigrationsafter last --database ")


@on_sqlite
def test_the_plan_of_a_kind(shop: Database) -> None:
    said = roll_back(shop, "deployment:2", plan=True)
    assert masked(said.out).startswith("""\
Database default: SQLite, FILE
Moment   2024-05-02 10:00:00 Europe/Berlin = 08:00:00 UTC, LONG ago
         The start of deployment 2. Undoes it and everything newer.
Unapplies what was applied at or after this moment. Keeps everything older.
""")
    data = roll_back(shop, "deployment:2", plan=True, format="json").json["plans"][0]
    assert data["moment"] == {
        "text": "deployment:2",
        "utc": "2024-05-02T08:00:00+00:00",
        "zone": "Europe/Berlin",
        "in_zone": "2024-05-02T10:00:00+02:00",
        "words": "The start of deployment 2. Undoes it and everything newer.",
    }
    said = roll_back(shop, "deployment:2", plan=True, timezone="Asia/Tokyo")
    assert "Moment   2024-05-02 17:00:00 Asia/Tokyo" in said.out


def test_a_kind_is_looked_up_in_each_database(shop: Database, other_database: Database, project: Project) -> None:
    migrate(other_database.alias, "a", "0001_t")
    said = roll_back(shop, "last", database=[shop.alias, other_database.alias])
    assert said.status == 0
    assert len(keys(shop.alias)) == 3
    assert keys(other_database.alias) == []


@on_sqlite
@pytest.mark.parametrize(
    ("moment", "message"),
    [
        ("deployment:4", "There is no deployment '4' here. They are numbered from 1, the newest, to 3."),
        ("release:2.0", "No release '2.0' is recorded here."),
        ("migration:a.0009", "No migration 'a.0009' is recorded here."),
        ("manifest:/nowhere/at/all", "The file '/nowhere/at/all' cannot be read"),
        ("all:shop", "No migration of an app 'shop' is recorded here."),
        ("version:2", "'version:2' is not a moment."),
        ("last:", "'last:' is not a moment."),
    ],
)
def test_bad_kinds(shop: Database, moment: str, message: str) -> None:
    said = roll_back(shop, moment)
    assert said.status == 2
    assert said.error.startswith(message)
    assert len(said.error.splitlines()) == 2
    assert len(keys(shop.alias)) == 4


@on_sqlite
def test_a_zone_that_is_not_there(shop: Database) -> None:
    assert roll_back(shop, "last", timezone="Mars").error.startswith("There is no time zone 'Mars'.")


# Only some, and all


def test_one_at_a_time(shop: Database) -> None:
    everything = keys(shop.alias)
    for left in (3, 2, 1):
        assert roll_back(shop, "all:", steps=1).status == 0
        assert keys(shop.alias) == everything[:left]
    assert roll_back(shop, "all:", steps=9).status == 0
    assert keys(shop.alias) == []


@on_sqlite
def test_the_plan_of_one_at_a_time(shop: Database) -> None:
    said = roll_back(shop, "2024-05-02", steps=2, plan=True)
    assert "Of these, unapplies only the newest 2 steps (--steps).\n" in said.out
    assert "  partly  2024-05-02 10:00:00 to 10:00:01, 2 migrations: a, b\n" in said.out
    assert "[rollback.E004]" not in said.out
    assert said.out.endswith("rollbackmigrationsafter 2024-05-02 --database default --steps 2\n")
    fates = roll_back(shop, "2024-05-02", steps=2, plan=True, format="json").json["plans"][0]["deployments"]
    assert [found["fate"] for found in fates] == ["stays", "cut", "goes"]
    assert "'0' is not a whole number from 1 on." in call("rollbackmigrationsafter", "last", "--steps", "0").error


@pytest.mark.parametrize(("moment", "left"), [("all:b", ["a", "a", "a"]), ("all:", [])])
def test_to_zero_needs_consent(shop: Database, moment: str, left: list[str]) -> None:
    refused = roll_back(shop, moment, destroy_data=False)
    assert refused.status == 3
    assert "You asked to unapply every migration of" in refused.error
    assert len(keys(shop.alias)) == 4
    assert roll_back(shop, moment).status == 0
    assert [app for app, _ in keys(shop.alias)] == left


def test_to_zero_with_dependants(database: Database, project: Project) -> None:
    project(a={"0001_t": T}, b={"0001_u": migration(U, [("a", "0001_t")])})
    deploy(database.alias, DAYS[0])
    refused = roll_back(database, "all:a")
    assert refused.status == 3
    assert "b.0001_u is among what is kept, but depends on a migration that would be unapplied" in refused.error
    assert roll_back(database, "all:a", cascade=True).status == 0
    assert keys(database.alias) == []


# Manifests


def older_release(project: Project, number: int) -> str:
    project(**RELEASES[number])
    text = call("migrationmanifest").out
    project(**RELEASES[-1])
    return text


@pytest.mark.parametrize("number", [0, 1, 2])
def test_back_to_what_the_older_release_has(shop: Database, project: Project, tmp_path: Path, number: int) -> None:
    """By its manifest, although every time in the table is the same."""
    path = tmp_path / "manifest.json"
    path.write_text(older_release(project, number))
    listed = {entry["migration"] for entry in checked(path.read_text(), "migrationmanifest")["migrations"]}
    listed = {name for name in listed if name.startswith(("a.", "b."))}
    set_applied(shop.alias, dict.fromkeys(keys(shop.alias), DAYS[0]))
    assert roll_back(shop, f"manifest:{path}").status == 0
    assert {".".join(key) for key in keys(shop.alias)} == listed
    assert len(keys(shop.alias)) == [1, 3, 4][number]


def test_back_to_what_showmigrations_said(shop: Database, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project(**RELEASES[0])
    printed = io.StringIO()
    call_command("showmigrations", "--plan", database=shop.alias, stdout=printed, no_color=True)
    project(**RELEASES[-1])
    monkeypatch.setattr("sys.stdin", io.StringIO(printed.getvalue()))
    assert roll_back(shop, "manifest:-").status == 0
    assert keys(shop.alias) == [("a", "0001_t")]


def test_a_piped_manifest_serves_several_databases(
    shop: Database, other_database: Database, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(other_database.alias)
    monkeypatch.setattr("sys.stdin", io.StringIO(older_release(project, 0)))
    assert roll_back(shop, "manifest:-", database=[shop.alias, other_database.alias]).status == 0
    assert keys(shop.alias) == keys(other_database.alias) == [("a", "0001_t")]


def test_back_to_a_dump_of_the_table(shop: Database, tmp_path: Path) -> None:
    path = tmp_path / "dump.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        with connections[shop.alias].cursor() as cursor:
            cursor.execute("SELECT * FROM django_migrations WHERE app = 'a' AND name <> '0003_y'")
            writer.writerow(column[0] for column in cursor.description)
            writer.writerows(cursor.fetchall())
    assert roll_back(shop, f"manifest:{path}").status == 0
    assert keys(shop.alias) == [("a", "0001_t"), ("a", "0002_x")]


@on_sqlite
def test_the_plan_of_a_manifest(shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("older.txt")
    path.write_text("[X]  a.0001_t\n[X]  a.0002_x\n[X]  a.0003_y\n")
    said = roll_back(shop, f"manifest:{path}", plan=True).out
    assert said.splitlines()[1:15] == [
        "Keeps    what the manifest 'older.txt' lists: 3 migrations",
        "Unapplies everything else, whatever its date.",
        "",
        "Undoes 1 migration of 1 app. Nothing is lost.",
        "The older release would run on the database as it is; you may not need this",
        "rollback.",
        "Nothing blocks.",
        "",
        "Deployments around it, in Europe/Berlin",
        "  kept    (1 more before)",
        "  kept    2024-05-03 10:00:00, 1 migration: a",
        "  partly  2024-05-02 10:00:00 to 10:00:01, 2 migrations: a, b",
        "",
        "Each app goes back to",
    ]
    moment = roll_back(shop, f"manifest:{path}", plan=True, format="json").json["plans"][0]["moment"]
    assert (moment["utc"], moment["in_zone"]) == (None, None)
    assert "3 migrations" in moment["words"]
    path.write_text("\n".join(f"[X]  {row.app}.{row.name}" for row in rows(shop.alias)))
    assert "of 2024-05-03 10:00:00 Europe/Berlin, is among what is kept." in roll_back(shop, f"manifest:{path}").out


@on_sqlite
def test_a_file_that_is_no_text(shop: Database, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfe\x00")
    said = roll_back(shop, f"manifest:{path}")
    assert said.status == 2
    assert "cannot be read: 'utf-8' codec" in said.error


def test_squashes_between_two_releases(database: Database, project: Project, tmp_path: Path) -> None:
    """The older release has the originals, the newer one a squash of them and one more."""
    originals = {"0001_t": T, "0002_x": X}
    project(a=originals)
    path = tmp_path / "older.json"
    path.write_text(call("migrationmanifest").out)
    squash = migration(f"{T}, {X}", replaces=[("a", "0001_t"), ("a", "0002_x")])
    newer = migration(Y, [("a", "0001_squashed_0002_x")])
    deploy(database.alias, DAYS[0])
    project(a={**originals, "0001_squashed_0002_x": squash, "0003_y": newer})
    deploy(database.alias, DAYS[1])
    before = keys(database.alias)
    assert ("a", "0001_squashed_0002_x") in before
    assert roll_back(database, f"manifest:{path}").status == 0
    assert keys(database.alias) == [("a", "0001_t"), ("a", "0002_x")]


# Marks


def test_marks(shop: Database) -> None:
    said = mark(shop, "1.0", "2024-05-02 09:00").split()
    assert said == f"release:1.0 goes back to what was applied until 2024-05-01 08:00:00 UTC, on {shop.alias}.".split()
    assert "until 2024-05-03 08:00:00 UTC" in mark(shop, "1.2")
    assert "until 2024-05-02 08:00:01 UTC" in mark(shop, "1.0", "2024-05-02T08:00:01Z")  # put right
    assert roll_back(shop, "release:1.0").status == 0
    assert len(keys(shop.alias)) == 3
    said = roll_back(shop, "release:1.2")
    assert said.status == 2
    assert said.error == "Release '1.2' was rolled back. Nothing of it is applied.\nKnown: 1.0."


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1.0", "--at", "2023-01-01"], "No migration was applied before that moment."),
        (["1.0", "--at", "10"], "'10' leaves out a part of the date"),
        (["1.0", "--at", "2024-05-02 10:00", "--timezone", "Mars"], "There is no time zone 'Mars'."),
        ([" "], "' ' cannot be the name of a release."),
        (["x" * 201], "cannot be the name of a release."),
    ],
)
def test_bad_marks(shop: Database, arguments: list[str], message: str) -> None:
    said = call("markrelease", *arguments)
    assert said.status == 2
    assert message in said.error
    assert call("showdeployments", format="json").json["deployments"][0]["releases"] == []


def test_a_mark_that_cannot_be_written(shop: Database) -> None:
    with shop.connection.cursor() as cursor:
        cursor.execute("CREATE TABLE rollback_app_deployment (id integer)")
    said = call("markrelease", "1.0", database=shop.alias)
    assert said.status == 1
    assert "cannot be written to: " in said.error
    assert said.error.endswith("Let its user make and fill the table rollback_app_deployment.")


# What was rolled back


def test_what_was_rolled_back_is_shown_as_such(shop: Database, project: Project) -> None:
    mark(shop, "1.2")
    assert roll_back(shop, "deployment:2").status == 0
    listed = call("showdeployments", database=shop.alias)
    suffix = "" if shop.alias == "default" else f" --database {shop.alias}"
    when = datetime.now(ZoneInfo("Europe/Berlin"))
    assert "1 deployment, newest first, in Europe/Berlin; 1 shown" in listed.out
    blocks = [block.splitlines() for block in listed.out.split("\n\n")[1:]]
    assert [block[0] for block in blocks] == [
        "-. 2024-05-03 10:00:00, release 1.2, ROLLED BACK",
        "-. 2024-05-02 10:00:00 to 10:00:01, ROLLED BACK",
        "1. 2024-05-01 10:00:00 (not recorded; grouped by pauses)",
    ]
    assert blocks[1][1].endswith(": a 1, b 1")
    assert blocks[1][2].startswith(f"   by rollback 1 of {when:%Y-%m-%d %H:}")
    assert blocks[1][2].endswith("; `showrollbacks` shows more")
    newer = ["   To go forward again later, start the newer release and run:", f"     python manage.py migrate{suffix}"]
    marked = [newer[0].replace("the newer release", "release 1.2"), newer[1]]
    assert blocks[0][3:] == marked
    assert blocks[1][3:] == newer
    assert call("showrollbacks", database=shop.alias).out.splitlines()[-2:] == marked

    migrate(shop.alias)
    again = call("showdeployments", database=shop.alias).out
    assert "   applied again since: a.0002_x, b.0001_u" in again
    assert "To go forward again" not in again
    data = call("showdeployments", database=shop.alias, format="json").json["rolled_back"]
    assert data[1] == {
        "start": "2024-05-02T08:00:00+00:00",
        "end": "2024-05-02T08:00:01+00:00",
        "releases": [],
        "migrations": ["a.0002_x", "b.0001_u"],
        "rollback": 1,
        "applied_again": ["a.0002_x", "b.0001_u"],
    }


def test_what_was_rolled_back_is_limited_like_the_rest(shop: Database) -> None:
    assert roll_back(shop, "2024-05-02 10:00:01").status == 3  # it cuts a deployment in two
    assert roll_back(shop, "last").status == 0

    def gone(**options: object) -> list[str]:
        found = call("showdeployments", database=shop.alias, format="json", **options).json["rolled_back"]
        return [name for each in found for name in each["migrations"]]

    assert gone() == gone(limit=1) == gone(since="2024-05-03") == ["a.0003_y"]
    assert gone(since="2024-05-04") == []
    assert roll_back(shop, "2024-05-02 10:00").status == 0
    migrate(shop.alias)
    assert gone() == ["a.0003_y", "a.0002_x", "b.0001_u"]
    assert gone(limit=1) == []  # older than the newest deployment, which is the only one shown
    assert roll_back(shop, "all:").status == 0
    assert sorted(gone(limit=1)) == ["a.0001_t", *["a.0002_x"] * 2, *["a.0003_y"] * 2, *["b.0001_u"] * 2]
    assert "No migration is applied here.\n\n-. " in call("showdeployments", database=shop.alias).out


def test_the_blockers_of_the_list_are_those_of_the_plan(database: Database, project: Project) -> None:
    """Rows that are in the way now, and a run that broke off."""
    null = 'migrations.AlterField("T", "x", models.IntegerField(null=True))'
    early = T.replace(")])", '), ("x", models.IntegerField())])')
    project(a={"0001_t": early})
    deploy(database.alias, DAYS[0])
    project(a={"0001_t": early, "0002_null": null})
    deploy(database.alias, DAYS[1])
    assert call("showdeployments", database=database.alias, format="json").json["deployments"][0]["blockers"] == []
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (x) VALUES (NULL)")
    listed = call("showdeployments", database=database.alias, format="json").json["deployments"]
    plan = roll_back(database, DAYS[1], plan=True, format="json").json["plans"][0]
    blockers = [(each["id"], each["text"]) for each in plan["findings"] if each["level"] == "blocker"]
    assert [(each["id"], each["text"]) for each in listed[0]["blockers"]] == blockers
    assert [id for id, _ in blockers] == ["rollback.E010"]
    assert listed[0]["can_be_rolled_back"] is False
    without = call("showdeployments", "--no-count", database=database.alias, format="json").json["deployments"]
    assert without[0]["blockers"] == []


@pytest.mark.databases("mariadb")
def test_the_list_knows_of_a_run_that_broke_off(broken_off: Database, project: Project) -> None:
    listed = call("showdeployments", database=broken_off.alias, format="json").json["deployments"]
    plan = roll_back(broken_off, DAYS[2], plan=True, format="json").json["plans"][0]
    ids = {each["id"] for each in plan["findings"] if each["level"] == "blocker"}
    assert {each["id"] for each in listed[1]["blockers"]} == ids


@pytest.mark.parametrize(
    ("moment", "line"),
    [
        ("2024-05-02 09:59:48", 'began 12 s after this moment. To keep it: "2024-05-02 10:00:02+02:00".'),
        ("2024-05-02 09:55:00", "began 5 min after this moment."),
        ("2024-05-02 09:54:59", ""),
        ("2024-05-02 10:00:00", ""),
        ("2024-05-01 18:00", ""),
        ("deployment:2", ""),
        ("2024-05-04 10:00:00", ""),
    ],
)
def test_a_moment_just_before_a_deployment_is_pointed_out(shop: Database, moment: str, line: str) -> None:
    said = roll_back(shop, moment, plan=True)
    assert said.status == 0
    assert (f"Undoes the deployment that {line}" if line else "Nothing") in said.out
    assert ("Undoes the deployment that" in said.out) is bool(line)
    data = roll_back(shop, moment, plan=True, format="json").json["plans"][0]["nearly_kept"]
    assert (data is not None) is bool(line)
    if data:
        assert data["start"] == "2024-05-02T08:00:00+00:00"
        assert data["seconds"] in (12.0, 300.0)
        assert roll_back(shop, data["moment"], plan=True, format="json").json["plans"][0]["nearly_kept"] is None
