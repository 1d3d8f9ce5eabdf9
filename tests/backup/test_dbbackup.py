"""Backups by django-dbbackup: taken, read again, counted, noted, and really restored."""

from __future__ import annotations

import gc
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.storage import FileSystemStorage, Storage
from django.core.management import call_command

from rollback_app import workflow
from tests.backup.conftest import DAY_2, T
from tests.support.backups import install_dbbackup
from tests.support.commands import call, roll_back
from tests.support.databases import Database, ask
from tests.support.history import keys
from tests.support.projects import Project, migration
from tests.support.schema import OURS, everything

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings


# django-dbbackup leaves files open; none of that is to be found in another test.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def backups(shop: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    install_dbbackup(shop, settings, monkeypatch, tmp_path / "backups")
    settings.ROLLBACK = {"RECORD": False, "HOLD": False, "BACKUP": "dbbackup"}
    yield tmp_path / "backups"
    gc.collect()


def restore(line: str) -> None:
    """What was printed, as somebody types it."""
    words = shlex.split(line.replace(" = ", " "))[2:]
    call_command(*words, interactive=False, verbosity=0)


def test_taken_noted_and_restored(shop: Database, backups: Path) -> None:
    before = everything(shop.connection, OURS)
    said = roll_back(shop, DAY_2)
    assert said.status == 0, said.all
    assert "Takes a backup first, by django-dbbackup (at most about " in said.out
    assert f"  Backing up {shop.alias} by django-dbbackup... OK (" in said.out
    (file,) = backups.iterdir()
    lines = said.out.splitlines()
    command = f"python manage.py dbrestore --database {shop.alias} --input-filename {file.name}"
    assert lines[-3:] == [f"  {file}", "If you need what was there before, this restores it:", f"  {command}"]
    assert "The backup from before it, by django-dbbackup (" in said.out
    assert "read again, 2 records counted" in said.out

    (run,) = workflow.rollbacks(shop.alias)[1]
    assert run.backup
    assert (run.backup.way, run.backup.name, run.backup.bytes) == ("django-dbbackup", str(file), file.stat().st_size)
    assert run.backup.verified == "read again, 2 records counted"
    assert run.backup.seconds > 0
    shown = call("showrollbacks", database=shop.alias).out
    assert "   backup   by django-dbbackup (" in shown
    assert f"     {file}\n     {command}\n" in shown
    (data,) = call("showrollbacks", database=shop.alias, format="json").json["rollbacks"]
    assert data["backup"] == {
        "way": "django-dbbackup",
        "name": str(file),
        "made": run.backup.made.isoformat(),
        "seconds": run.backup.seconds,
        "bytes": file.stat().st_size,
        "verified": "read again, 2 records counted",
        "restore": command,
    }
    assert keys(shop.alias) == [("a", "0001_t")]
    restore(command)
    assert everything(shop.connection, OURS) == before


def test_what_programs_are_told(shop: Database, backups: Path) -> None:
    data = roll_back(shop, DAY_2, plan=True, format="json").json
    planned = data["plans"][0]["backup"]
    assert planned["way"] == "django-dbbackup"
    assert planned["bytes"] > 0
    assert planned["free"] > 0
    assert not backups.exists()
    data = roll_back(shop, DAY_2, format="json").json
    (file,) = backups.iterdir()
    assert data["results"][0]["backup"]["name"] == str(file)


def test_none_where_none_is_wanted(shop: Database, backups: Path) -> None:
    """Nor for a rehearsal, a list of commands, or where there is nothing to do."""
    if shop.vendor != "mariadb":
        assert "backup" not in roll_back(shop, DAY_2, rehearse=True).out
    assert roll_back(shop, DAY_2, format="commands").status == 0
    said = roll_back(shop, DAY_2, plan=True, backup=False)
    assert "Takes a backup" not in said.out
    assert said.out.rstrip().endswith(" --no-backup")
    assert roll_back(shop, DAY_2, backup=False).status == 0
    assert call("showrollbacks", database=shop.alias, format="json").json["rollbacks"][0]["backup"] is None
    assert "Nothing to do" in roll_back(shop, DAY_2).out
    assert not backups.exists()


def test_demanded_without_a_setting(shop: Database, backups: Path, settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False, "HOLD": False}
    plan = roll_back(shop, DAY_2, plan=True, backup=True)
    assert "Takes a backup first, by django-dbbackup" in plan.out
    assert plan.out.rstrip().endswith(" --backup")
    assert roll_back(shop, DAY_2, backup=True).status == 0
    assert len(list(backups.iterdir())) == 1


def test_the_run_fails_and_the_way_back_is_told(shop: Database, backups: Path, project: Project) -> None:
    fails = "def fail(apps, editor):\n    raise ValueError('on purpose')\n"
    code = migration("migrations.RunPython(migrations.RunPython.noop, fail)", [("a", "0001_t")], before=fails)
    project(a={"0001_t": T, "0002_x": code})
    said = roll_back(shop, DAY_2)
    assert said.status == 1
    (file,) = backups.iterdir()
    lines = said.error.splitlines()
    assert lines[-3:-1] == [
        f"A backup of {shop.alias} was taken before, by django-dbbackup: {file}",
        "If you need what was there before, this restores it:",
    ]
    assert lines[-1].startswith("  python manage.py dbrestore")
    (run,) = workflow.rollbacks(shop.alias)[1]
    assert run.backup
    assert run.backup.name == str(file)


PROGRAMS = {"postgresql": "PGPASSWORD", "mariadb": "MYSQL_PWD"}
SPY = """\
#!/bin/sh
cat /proc/[0-9]*/cmdline > {folder}/lines 2>/dev/null
printenv {variable} > {folder}/secret
exec {program} "$@"
"""


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("way", ["dbbackup", "command"])
def test_passwords_are_in_the_environment_only(
    shop: Database, backups: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    """What runs is asked, while it runs, which command lines there are."""
    from dbbackup import settings as theirs

    secret, here = "s3cret of the shop'", shop.connection.settings_dict
    given = {name: here[name] for name in ("USER", "PASSWORD")}
    if shop.vendor == "mariadb":
        ask(shop, "CREATE USER clerk IDENTIFIED BY 's3cret of the shop'''", "GRANT ALL ON *.* TO clerk")
        shop.connection.close()
        here["USER"] = "clerk"
    here["PASSWORD"] = secret
    spy = tmp_path / "spy"
    real = theirs.CONNECTORS[shop.alias]["DUMP_CMD"]
    spy.write_text(SPY.format(folder=tmp_path, variable=PROGRAMS[shop.vendor], program=real))
    spy.chmod(spy.stat().st_mode | stat.S_IXUSR)
    if way == "dbbackup":
        monkeypatch.setattr(theirs, "CONNECTORS", {shop.alias: {**theirs.CONNECTORS[shop.alias], "DUMP_CMD": str(spy)}})
    else:
        words = ["-f", f"{tmp_path}/{{time}}"] if shop.vendor == "postgresql" else []
        words += [] if words else ["{name}", "--host={host}", "--port={port}", "--user={user}"]
        settings.ROLLBACK = {**settings.ROLLBACK, "BACKUP": [str(spy), *words]}
    try:
        said = roll_back(shop, DAY_2)
        noted = call("showrollbacks", database=shop.alias, format="json").out
    finally:
        shop.connection.close()
        here.update(given)
        if shop.vendor == "mariadb":
            ask(shop, "DROP USER clerk")
    assert said.status == 0, said.all
    assert (tmp_path / "secret").read_text() == f"{secret}\n"
    lines = (tmp_path / "lines").read_bytes()
    assert str(spy).encode() in lines
    assert b"s3cret" not in lines
    assert "s3cret" not in said.all + noted


@pytest.mark.databases("postgresql")
def test_a_program_that_prints_the_password(shop: Database, backups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbbackup import settings as theirs

    before = everything(shop.connection)
    monkeypatch.setitem(shop.connection.settings_dict, "PASSWORD", "s3cret")
    tells = """sh -c 'echo "no right for $PGPASSWORD" >&2; exit 3'"""
    monkeypatch.setattr(theirs, "CONNECTORS", {shop.alias: {"DUMP_CMD": tells}})
    said = roll_back(shop, DAY_2)
    assert said.status == 1
    assert said.error.startswith(f"The backup of {shop.alias} failed: django-dbbackup: Error running: ")
    assert "no right for ***. Nothing was changed.\nFix that and run the same command again." in said.error
    assert "... FAILED" in said.out
    assert everything(shop.connection) == before
    assert workflow.rollbacks(shop.alias)[1] == []


@pytest.mark.databases("postgresql")
def test_what_is_no_dump(shop: Database, backups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbbackup import settings as theirs

    connector = theirs.CONNECTORS[shop.alias]
    for dump, restore_by, why in [
        ("echo PostgreSQL", None, "holds no records of django_migrations that could be counted"),
        ("printf ''", None, "it is empty"),
        ("echo PGDMP", None, "pg_restore cannot read it: "),
        (connector["DUMP_CMD"], "no-such-program", "no-such-program cannot be run: No such file or directory"),
        (f"{connector['DUMP_CMD']} --exclude-table-data=django_migrations", None, "it lacks 2 of 2 records of"),
    ]:
        changed = {"DUMP_CMD": dump, "RESTORE_CMD": restore_by or connector["RESTORE_CMD"]}
        monkeypatch.setattr(theirs, "CONNECTORS", {shop.alias: changed})
        said = roll_back(shop, DAY_2)
        assert said.status == 1, dump
        assert why in said.error
        assert keys(shop.alias) == [("a", "0001_t"), ("a", "0002_x")]


@pytest.mark.databases("sqlite")
def test_there_is_no_room(shop: Database, backups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10))
    said = roll_back(shop, DAY_2)
    assert said.status == 3
    assert "It may need " in said.out
    assert ", and 10 B are free where it would be. [rollback.E018]" in said.out
    assert not backups.exists()


class Elsewhere(Storage):
    """Files that are not on this machine, as far as anybody can tell."""

    def __init__(self, location: str) -> None:
        self.files = FileSystemStorage(location)

    def exists(self, name: str) -> bool:
        return self.files.exists(name)

    def _open(self, name: str, mode: str = "rb") -> Any:
        return self.files.open(name, mode)

    def _save(self, name: str, content: Any) -> str:
        return self.files.save(name, content)


class Liar(FileSystemStorage):
    """Loses the end of each file."""

    def _save(self, name: str, content: Any) -> str:
        saved: str = super()._save(name, content)  # type: ignore[misc]  # Django's own
        path = Path(self.path(saved))
        path.write_bytes(path.read_bytes()[:-1])
        return saved


@pytest.mark.databases("sqlite")
def test_other_storages(shop: Database, backups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbbackup import settings as theirs

    monkeypatch.setattr(theirs, "STORAGE", f"{Liar.__module__}.Liar")
    said = roll_back(shop, DAY_2)
    assert said.status == 1
    assert "is not what was written to the storage. Nothing was changed." in said.error
    (spoilt,) = backups.iterdir()
    spoilt.unlink()
    monkeypatch.setattr(theirs, "STORAGE", f"{Elsewhere.__module__}.Elsewhere")
    said = roll_back(shop, DAY_2)
    assert said.status == 0, said.all
    assert "Takes a backup first, by django-dbbackup (at most about " in said.out
    assert " free)" not in said.out
    (file,) = backups.iterdir()
    assert f"\n  {file.name}\nIf you need" in said.out


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("trouble", ["not installed", "no such storage", "no such connector"])
def test_it_cannot_be_used(
    shop: Database, backups: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    from dbbackup import settings as theirs

    if trouble == "not installed":
        settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "dbbackup"]
        why = "django-dbbackup is not installed, or dbbackup is not in INSTALLED_APPS."
    elif trouble == "no such storage":
        monkeypatch.setattr(theirs, "STORAGE", "nowhere.Storage")
        why = "django-dbbackup cannot be used: ModuleNotFoundError: No module named 'nowhere'"
    else:
        monkeypatch.setattr(theirs, "CONNECTORS", {shop.alias: {"CONNECTOR": "nowhere.Connector"}})
        why = "django-dbbackup cannot be used: ModuleNotFoundError: No module named 'nowhere'"
    said = roll_back(shop, DAY_2)
    assert said.status == 3
    assert f"No backup can be taken by django-dbbackup. {why} [rollback.E018]" in said.all
    assert "Fix that, or add --no-backup." in said.out
    assert roll_back(shop, DAY_2, backup=False).status == 0
