"""`checkrollback --parallel`: the same is found, nothing is left behind, whatever becomes of the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from rollback_app.trials import parts
from tests.commands.test_checkrollback import statements
from tests.support.commands import Said, call
from tests.support.databases import Database, ask
from tests.support.history import migrate
from tests.support.projects import Project, migration
from tests.support.trials import BAD, ID, T

ROOT = Path(__file__).parents[2]
NAMES = {
    "postgresql": "SELECT datname FROM pg_database",
    "mariadb": "SELECT schema_name FROM information_schema.schemata",
}


@pytest.fixture
def check(database: Database) -> Callable[..., Said]:
    return lambda *args, **options: call(
        "checkrollback", *args, database=database.alias, **{"everything": True, **options}
    )


def made(database: Database, folder: Path) -> list[str]:
    """The test databases that are there."""
    if database.vendor == "sqlite":
        return sorted(path.name for path in folder.glob("*.sqlite3*"))
    prefix = f"test_{database.connection.settings_dict['NAME']}_rollback"
    names = (row[0] for row in ask(database, NAMES[database.vendor]))
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def told(said: Said) -> Any:
    """Without the hint, which has the command line."""
    return {name: value for name, value in said.json.items() if name != "error"}


def code(body: str) -> dict[str, str]:
    """Two apps; code that runs when a migration of the second one is applied, with `os` and `time`."""
    before = f"import os, time\n\n\ndef run(apps, schema_editor):\n    {body}\n"
    second = migration("migrations.RunPython(run, run)", [("b", "0001_u")], before=before)
    return {"0001_u": f'migrations.CreateModel("U", [{ID}])', "0002_code": second}


def bad() -> dict[str, Any]:
    a, b = BAD["C012"][0], BAD["C011"][0]
    more = 'migrations.RemoveField("T", "n"), migrations.DeleteModel("T")'
    return {
        "a": {**a, "0003_more": 'migrations.AddField("T", "m", models.IntegerField(null=True))', "0004_more": more},
        "b": {"0001_u": T, "0002_log": b["0002_log"].replace("a_log", "b_log"), "0003_more": more},
    }


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_the_same_is_found(project: Project, database: Database, check: Callable[..., Said], tmp_path: Path) -> None:
    project(**bad())
    alone = check(format="json")
    assert {each["id"] for each in alone.json["findings"]} > {"rollback.C011", "rollback.C012"}
    assert told(check(format="json", parallel=3)) == told(alone)
    assert made(database, tmp_path) == []


@pytest.mark.databases("sqlite")
def test_the_older_release_is_judged_once(
    project: Project, database: Database, check: Callable[..., Said], tmp_path: Path
) -> None:
    """And the database is not touched, also where code uses models without an alias."""
    project(a={"0001_t": T}, b={"0001_u": T})
    migrate(database.alias)
    before = sorted(database.connection.introspection.table_names())
    adds = {"0001_t": T, "0002_m": 'migrations.AddField("T", "m", models.IntegerField(default=1))'}
    write = "def write(apps, schema_editor):\n    apps.get_model('b', 'T').objects.create(n=1)\n"
    writes = {"0001_u": T, "0002_w": migration("migrations.RunPython(write, write)", [("b", "0001_u")], before=write)}
    project(a=adds, b=writes)
    alone = check(everything=False, format="json", require=["compatible"])
    assert [each["id"] for each in alone.json["findings"]] == ["rollback.C020", "rollback.C012"]
    with statements(database.alias) as sent:
        assert told(check(everything=False, format="json", require=["compatible"], parallel=2)) == told(alone)
        assert not {sql.split()[0] for sql in sent} & {"INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"}
    assert sorted(database.connection.introspection.table_names()) == before
    assert ask(database, "SELECT count(*) FROM b_t") == [(0,)]


@pytest.mark.databases("sqlite", "postgresql")
def test_a_migration_that_cannot_be_applied(
    project: Project, database: Database, check: Callable[..., Said], tmp_path: Path
) -> None:
    project(a={"0001_t": T}, b=code("1 / 0"))
    alone = check()
    assert alone.error.startswith("b.0002_code cannot be applied to an empty database: ZeroDivisionError")
    assert check(parallel=2) == alone
    assert made(database, tmp_path) == []


@pytest.mark.databases("sqlite", "postgresql")
def test_a_process_that_dies(project: Project, database: Database, check: Callable[..., Said], tmp_path: Path) -> None:
    project(a={"0001_t": T}, b=code("os.kill(os.getpid(), 9)"))
    said = check(parallel=2)
    assert said.status == 1
    assert said.error.startswith("A process that tried migrations has ended.\n")
    assert made(database, tmp_path) == []


@pytest.mark.databases("postgresql", "mariadb")
def test_databases_that_are_kept(
    project: Project, database: Database, check: Callable[..., Said], tmp_path: Path
) -> None:
    project(a={"0001_t": T}, b={"0001_u": T})
    name = f"test_{database.connection.settings_dict['NAME']}_rollback"
    try:
        for _ in range(2):
            assert check(keepdb=True, parallel=2).status == 0
            assert made(database, tmp_path) == ["_1", "_2"]
    finally:
        ask(database, f"DROP DATABASE {name}_1", f"DROP DATABASE {name}_2")


@contextmanager
def started(database: Database, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, as soon as code of a migration waits: in files, where SQLite is used."""
    (folder / "in_files.py").write_text(
        f"from tests.settings import *\n\nDATABASES['default']['TEST'] = {{'NAME': {str(folder / 'test.sqlite3')!r}}}\n"
    )
    words = ["--all", "--parallel", "2", "--database", database.alias]
    running = subprocess.Popen(
        [sys.executable, "manage.py", "checkrollback", *words],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "in_files"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # what is sent to all of its processes is not for this one
    )
    try:
        wait_for(lambda: len(waiting(folder)) > 0)
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()


def waits(folder: Path) -> dict[str, str]:
    """Inside a transaction that has written."""
    row = "apps.get_model('b', 'U').objects.using(schema_editor.connection.alias).create()"
    return code(f"{row}; open({str(folder)!r} + f'/waits-{{os.getpid()}}', 'w').close(); time.sleep(600)")


def waiting(folder: Path) -> list[int]:
    """The processes in which code of a migration waits."""
    return [int(path.name.removeprefix("waits-")) for path in folder.glob("waits-*") if is_there(path)]


def is_there(path: Path) -> bool:
    try:
        os.kill(int(path.name.removeprefix("waits-")), 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(met: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not met():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("to_all", [True, False])
@pytest.mark.databases("sqlite", "postgresql")
def test_ctrl_c(to_all: bool, project: Project, database: Database, tmp_path: Path) -> None:
    """Sent to all processes, as a terminal does, or to the command alone."""
    project(a={"0001_t": T}, b=waits(tmp_path))
    with started(database, tmp_path) as running:
        assert made(database, tmp_path)
        (os.killpg if to_all else os.kill)(running.pid, signal.SIGINT)
        _, error = running.communicate(timeout=30)
        assert running.returncode != 0
        assert "Process" not in error  # no traceback of another process
    assert waiting(tmp_path) == []
    assert made(database, tmp_path) == []


@pytest.mark.databases("sqlite")
def test_no_process_outlives_the_command(project: Project, database: Database, tmp_path: Path) -> None:
    project(a={"0001_t": T}, b=waits(tmp_path))
    with started(database, tmp_path) as running:
        running.kill()
        wait_for(lambda: waiting(tmp_path) == [])


@pytest.mark.databases("sqlite")
def test_settings_that_are_in_no_module(
    project: Project, database: Database, check: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    project(a={"0001_t": T}, b={"0001_u": T})
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    said = check(parallel=2)
    assert (said.status, said.error) == (
        2,
        "Other processes cannot read settings that are in no module.\nLeave out --parallel.",
    )
    assert check(parallel=1).status == 0


@pytest.mark.parametrize(("words", "status"), [(["auto"], 0), ([], 0), (["1"], 0), (["0"], 2), (["many"], 2)])
@pytest.mark.databases("sqlite")
def test_how_many(words: list[str], status: int, project: Project, database: Database) -> None:
    project(a={"0001_t": T})
    command = [sys.executable, "manage.py", "checkrollback", "--all", "--parallel", *words]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == status, done.stderr


def test_parts() -> None:
    """One after the other, each shorter than the one before; none is empty."""
    for number in range(1, 9):
        for length in range(1, 40):
            found = parts(range(length), number)
            assert [each for part in found for each in part] == list(range(length))
            assert all(found)
            assert len(found) <= number
    assert list(map(len, parts(range(100), 3))) == [51, 31, 18]
