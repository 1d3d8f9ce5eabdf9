"""Backups by a command, a function and a restore point: when each counts, and what is told of it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections

from rollback_app import checks, workflow
from rollback_app.backup import BackupFailed
from rollback_app.errors import RollbackError
from rollback_app.workflow import Unfinished
from tests import servers
from tests.backup.conftest import DAY_1, DAY_2, T, X
from tests.support.backups import program
from tests.support.commands import Said, call, roll_back
from tests.support.databases import Database, ask, empty
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration
from tests.support.schema import everything

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

on_sqlite = pytest.mark.databases("sqlite")
RESTORE = "restore-shop {alias} --from {file}"


@pytest.fixture
def by(shop: Database, settings: Settings) -> Any:
    """Roll back with this setting."""

    def rolled_back(way: object, restore: str = "", **options: Any) -> Said:
        settings.ROLLBACK = {"RECORD": False, "HOLD": False, "BACKUP": way, "RESTORE": restore}
        return roll_back(shop, DAY_2, **options)

    return rolled_back


def script(text: str) -> list[str]:
    return ["sh", "-c", text]


def test_a_command_and_the_file_that_it_names(shop: Database, by: Any, tmp_path: Path) -> None:
    """The values of the database stand for their names, also in what restores it."""
    file = tmp_path / "a file"
    said = by(script(f"echo looking; echo {{alias}} {{name}} > '{file}'; echo '{file}'"), RESTORE)
    assert said.status == 0, said.all
    assert file.read_text() == f"{shop.alias} {shop.connection.settings_dict['NAME']}\n"
    assert "Takes a backup first, by the command sh (at most about " in said.out
    (run,) = workflow.rollbacks(shop.alias)[1]
    assert run.backup
    assert (run.backup.name, run.backup.bytes) == (str(file), file.stat().st_size)
    assert run.backup.verified == "the file is there, and not empty"
    assert said.out.endswith(
        f"  {file}\nIf you need what was there before, this restores it:\n  {run.backup.restore}\n"
    )
    assert run.backup.restore == f"restore-shop {shop.alias} --from '{file}'"


@pytest.mark.databases("postgresql")
def test_what_its_programs_need_is_in_the_environment(shop: Database, by: Any, tmp_path: Path) -> None:
    """And a file that its words name, which it has just made, is the backup."""
    said = by([program("pg_dump"), "--format=custom", f"--file={tmp_path}/{{name}}-{{time}}.dump"])
    assert said.status == 0, said.all
    (file,) = tmp_path.glob("*.dump")
    assert said.out.endswith(f"  {file}\n")
    assert "the file is there, and not empty" in said.out


@on_sqlite
def test_a_file_of_sqlite_is_looked_into(shop: Database, by: Any, tmp_path: Path) -> None:
    said = by(["cp", "{name}", str(tmp_path / "copy")])
    assert said.status == 0, said.all
    assert "read again, 2 records counted" in said.out
    assert "restores it" not in said.out


def damaged(file: Path, database: Database) -> None:
    content = bytearray(Path(database.connection.settings_dict["NAME"]).read_bytes())
    content[4096 * 2 + 8 : 4096 * 3] = b"x" * (4096 - 8)
    file.write_bytes(content)


def emptied(file: Path, database: Database) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE django_migrations (app, name)")
        connection.execute("INSERT INTO django_migrations VALUES ('a', '0001_t')")
        connection.commit()


def other(file: Path, database: Database) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE other (app, name)")


def early(file: Path, database: Database) -> None:
    file.write_text("yesterday's")
    at = (DAY_2 - timedelta(hours=1)).timestamp()
    os.utime(file, (at, at))


@on_sqlite
@pytest.mark.parametrize(
    ("made", "why"),
    [
        (damaged, "integrity_check says: "),
        (emptied, "it lacks 1 of 2 records of django_migrations, such as a.0002_x. "),
        (other, "SQLite cannot read it: no such table: django_migrations. "),
        (lambda file, _: file.touch(), "it is empty. "),
        (lambda file, _: None, "and there is no such file. "),
        (
            early,
            "is of 2024-05-02 07:00:00 UTC. It is older than a.0002_x, applied 2024-05-02 08:00:00 UTC, so it lacks what",
        ),
    ],
)
def test_a_file_that_is_no_backup(shop: Database, by: Any, tmp_path: Path, made: Any, why: str) -> None:
    ask(shop, *[f"CREATE TABLE more_{number} (n integer)" for number in range(3)])
    file = tmp_path / "backup"
    made(file, shop)
    before = everything(shop.connection)
    said = by(script(f"echo {file}"))
    assert said.status == 1
    assert said.error.startswith(f"The backup of {shop.alias} failed: ")
    assert why in f"{said.error} "
    assert str(file) in said.error
    assert said.error.endswith(
        "Nothing was changed.\nFix that and run the same command again. --no-backup leaves the backup out."
    )
    assert "  Backing up default by the command sh... FAILED\n" in said.out
    assert everything(shop.connection) == before
    assert workflow.rollbacks(shop.alias)[1] == []


@on_sqlite
def test_an_earlier_backup_counts_if_it_is_newer_than_what_is_undone(shop: Database, by: Any, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("of an hour after")
    at = (DAY_2 + timedelta(hours=1)).timestamp()
    os.utime(file, (at, at))
    assert by(script(f"echo {file}")).status == 0
    (run,) = workflow.rollbacks(shop.alias)[1]
    assert run.backup
    assert run.backup.made == DAY_2 + timedelta(hours=1)


@on_sqlite
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo one >&2; echo 'disk full' >&2; exit 3", "the command sh: exit status 3: disk full"),
        ("echo told here; exit 4", "the command sh: exit status 4: told here"),
        ("exit 5", "the command sh: exit status 5: it says nothing"),
        (
            "head -c 70000 /dev/zero",
            "the command sh printed 70000 bytes, which nobody keeps. Have it write them to a file",
        ),
    ],
)
def test_a_command_that_fails(shop: Database, by: Any, text: str, why: str) -> None:
    said = by(script(text))
    assert said.status == 1
    assert said.error.startswith(f"The backup of default failed: {why}. Nothing was changed.\n")
    assert keys(shop.alias) == [("a", "0001_t"), ("a", "0002_x")]


@on_sqlite
def test_a_command_that_there_is_not(shop: Database, by: Any) -> None:
    said = by(["no-such-program"])
    assert said.status == 1
    assert "the command no-such-program: [Errno 2] No such file or directory" in said.error


@on_sqlite
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("echo snap-0a1b", "snap-0a1b"),
        ("echo s3://shop/backup", "s3://shop/backup"),
        ("echo All is well.", ""),
        ("true", ""),
    ],
)
def test_a_command_that_names_no_file(shop: Database, by: Any, text: str, name: str) -> None:
    """Its exit status counts."""
    said = by(script(text))
    assert said.status == 0
    (run,) = workflow.rollbacks(shop.alias)[1]
    assert run.backup
    assert (run.backup.name, run.backup.bytes) == (name, None)
    assert run.backup.verified == "the command sh exited with 0"
    ends = said.out.splitlines()[-1]
    assert (
        ends == (f"  {name}" if name else f"took {run.backup.seconds:.2f} s; the command sh exited with 0).")
        or not name
    )
    assert "   backup   by the command sh (took " in call("showrollbacks", database=shop.alias).out


# Functions of a project

MADE: dict[str, Any] = {}


def take(alias: str) -> object:
    if isinstance(MADE[alias], Exception):
        raise MADE[alias]
    return MADE[alias]


@on_sqlite
def test_a_function(shop: Database, by: Any, tmp_path: Path) -> None:
    path = f"{__name__}.take"
    MADE[shop.alias] = OSError("no room\nat all")
    said = by(path)
    assert said.status == 1
    assert said.error.startswith(f"The backup of default failed: {path}: OSError: no room. Nothing was changed.\n")
    MADE[shop.alias] = None
    assert by(path).status == 0
    (run,) = workflow.rollbacks(shop.alias)[1]
    assert run.backup
    assert (run.backup.way, run.backup.name, run.backup.verified) == (path, "", f"{path} came to its end")


@on_sqlite
def test_a_function_that_gives_a_file(shop: Database, by: Any, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_text("all of it")
    MADE[shop.alias] = file
    said = by(f"{__name__}.take", RESTORE)
    assert said.status == 0
    assert said.out.endswith(f"  restore-shop default --from {file}\n")


@on_sqlite
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere.take", "nowhere.take cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        (f"{__name__}.MADE", f"{__name__}.MADE is no function."),
    ],
)
def test_a_function_that_there_is_not(shop: Database, by: Any, path: str, why: str) -> None:
    said = by(path)
    assert said.status == 3
    assert f"No backup can be taken by {path}. {why}" in said.out
    assert "[rollback.E018]" in said.out


# Restore points


@pytest.mark.parametrize("plan", [True, False])
def test_a_restore_point_that_would_be_false_comfort(shop: Database, by: Any, *, plan: bool) -> None:
    said = by("restore point", plan=plan)
    assert said.status == 3
    why = {
        "sqlite": "SQLite has no restore points.",
        "postgresql": "archive_mode is off on this server, so nothing could be recovered to a restore point.",
        "mariadb": "MariaDB has no restore points.",
    }[shop.vendor]
    assert f"No backup can be taken by a restore point of PostgreSQL. {why}" in said.out
    assert keys(shop.alias) == [("a", "0001_t"), ("a", "0002_x")]
    assert by("restore point", backup=False).status == 0


@pytest.fixture
def archived(database: Database, project: Project) -> Iterator[Database]:
    """The shop on a server that archives its log."""
    number = len(list(servers.folder().glob("archived-*")))
    command = f"test ! -e {servers.folder()}/fails-{number}"
    url = servers.start_postgresql(f"archived-{number}", "archive_mode=on", f"archive_command={command}")
    port = url.rpartition(":")[2]
    connections.settings["archived"] = {**connections.settings[database.alias], "PORT": port, "NAME": "archived"}
    shop = Database("archived", "postgresql")
    empty(shop)
    project(a={"0001_t": T, "0002_x": X})
    deploy(shop.alias, DAY_1, [("a", "0001_t")])
    deploy(shop.alias, DAY_2)
    yield shop
    shop.connection.close()
    del connections["archived"], connections.settings["archived"]


@pytest.mark.databases("postgresql")
def test_a_restore_point(archived: Database, settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False, "HOLD": False, "BACKUP": "restore point"}
    previews = workflow.preview(DAY_2.isoformat(), using=["archived"])
    ask(archived, "CREATE ROLE clerk LOGIN", "GRANT ALL ON SCHEMA public TO clerk")
    ask(archived, "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
    with as_user(archived, "clerk"):
        said = roll_back(archived, DAY_2, plan=True)
        assert (said.status, "clerk may not call pg_create_restore_point(). [rollback.E018]" in said.out) == (3, True)
        with pytest.raises(
            BackupFailed, match="failed: permission denied for function pg_create_restore_point. Nothing"
        ):
            workflow.roll_back(previews)
    before = datetime.now(timezone.utc).replace(microsecond=0)
    said = roll_back(archived, DAY_2)
    assert said.status == 0, said.all
    assert "Takes a backup first, by a restore point of PostgreSQL.\n" in said.out
    (run,) = workflow.rollbacks("archived")[1]
    assert run.backup
    assert run.backup.made >= before
    assert run.backup.name == f"rollback_app_{run.backup.made:%Y%m%dT%H%M%S}"
    assert run.backup.verified.startswith("the server noted it at 0/")
    assert said.out.endswith(f"  recovery_target_name = '{run.backup.name}'\n")


@pytest.mark.databases("postgresql")
def test_a_restore_point_on_a_server_whose_archiver_fails(archived: Database, settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False, "HOLD": False, "BACKUP": "restore point"}
    number = len(list(servers.folder().glob("archived-*"))) - 1
    (servers.folder() / f"fails-{number}").touch()
    ask(archived, "SELECT pg_switch_wal()")
    failed = "SELECT last_failed_time IS NOT NULL FROM pg_stat_archiver"
    for _ in range(600):
        if ask(archived, failed) == [(True,)]:
            break
        time.sleep(0.1)
    said = roll_back(archived, DAY_2)
    assert said.status == 3
    assert "The archiver of this server has failed since " in said.out


@contextmanager
def as_user(shop: Database, name: str) -> Iterator[None]:
    here = shop.connection.settings_dict
    shop.connection.close()
    here["USER"], owner = name, here["USER"]
    try:
        yield
    finally:
        shop.connection.close()
        here["USER"] = owner


# Usage


@on_sqlite
def test_demanded_and_no_way_is_named(shop: Database, by: Any) -> None:
    said = by(None, backup=True)
    assert said.status == 2
    assert said.error.startswith("--backup: no way to take a backup is named.\nName one in the settings")
    assert by(None).status == 0


@on_sqlite
@pytest.mark.parametrize(
    ("way", "problem"),
    [
        (
            "tomorrow",
            "must be 'dbbackup', 'restore point', a command as a list of words, or the dotted path of a function",
        ),
        (
            ["sh", 1],
            "must be 'dbbackup', 'restore point', a command as a list of words, or the dotted path of a function",
        ),
        (
            ["dump", "--password={password}"],
            "must not hold {password}: everybody can read a command line. It is in the environment",
        ),
    ],
)
def test_a_setting_that_is_no_way(shop: Database, by: Any, way: object, problem: str) -> None:
    said = by(way)
    assert said.status == 2
    assert said.error == f"ROLLBACK['BACKUP'] {problem}.\nFix it in the settings, or add --no-backup."
    (message,) = checks.settings()
    assert (message.id, message.msg) == ("rollback.E101", f"ROLLBACK['BACKUP'] {problem}.")
    by(None, 7)
    (message,) = checks.settings()
    assert message.msg == "ROLLBACK['RESTORE'] must be a str, not int."


def test_where_nothing_can_be_taken_back_the_plan_says_that_there_is_none(
    shop: Database, by: Any, project: Project
) -> None:
    """If something is lost, or code runs; and on other databases with --step-by-step."""
    words = "Takes no backup first: what is lost, or fails half-way, cannot be taken back. Add --backup."
    only_some = shop.vendor == "mariadb"
    assert (words in by(None, plan=True, keep=False).out) == only_some
    assert words in by(None, plan=True, keep=False, step_by_step=True).out
    assert words not in by(None, plan=True, step_by_step=True).out
    assert words not in by(["true"], plan=True, keep=False, step_by_step=True).out
    code = migration("migrations.RunSQL('SELECT 1', 'SELECT 1')", [("a", "0001_t")])
    project(a={"0001_t": T, "0002_x": code})
    assert words in by(None, plan=True, step_by_step=True).out


def test_several_databases(shop: Database, other_database: Database, settings: Settings, tmp_path: Path) -> None:
    """All are backed up before one is changed; and an error tells of all backups."""
    deploy(other_database.alias, DAY_1, [("a", "0001_t")])
    deploy(other_database.alias, DAY_2)
    both = [shop.alias, other_database.alias]
    settings.ROLLBACK = {
        "RECORD": False,
        "HOLD": False,
        "BACKUP": script(f"test {{alias}} = {shop.alias} && echo it-{{alias}}"),
    }
    said = roll_back(shop, DAY_2, database=both)
    assert said.status == 1
    assert said.error.startswith(f"The backup of {other_database.alias} failed: the command sh: exit status 1: ")
    assert len(keys(shop.alias)) == len(keys(other_database.alias)) == 2
    settings.ROLLBACK["BACKUP"] = script("echo it-{alias}")
    previews = workflow.preview(DAY_2.isoformat(), using=both)
    ask(other_database, "DELETE FROM django_migrations WHERE name = '0002_x'")
    with pytest.raises(Unfinished) as caught:
        workflow.roll_back(previews, destroy_data=True)
    error: RollbackError = caught.value
    assert error.hint.splitlines()[1:] == [
        f"A backup of {alias} was taken before, by the command sh: it-{alias}" for alias in both
    ]
    assert error.hint.splitlines()[0].endswith(
        f"Name only the databases that are left: --database {other_database.alias}"
    )


def test_through_the_api(shop: Database, settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False, "HOLD": False, "BACKUP": script("echo it")}
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[shop.alias], backup=False)
    assert preview.backup is None
    (result,) = workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[shop.alias]), destroy_data=True)
    assert result.backup
    assert result.backup.name == "it"


@on_sqlite
def test_nothing_is_said_at_verbosity_0(shop: Database, by: Any) -> None:
    assert by(["true"], verbosity=0).out == ""
