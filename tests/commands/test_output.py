"""Output that cannot be written never breaks a run; what a program is told; what the help says."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from rollback_app import workflow
from rollback_app.history import Outcome
from rollback_app.management.arguments import HELP
from tests.support.commands import Text, call, checked, roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys, migrate
from tests.support.projects import Project, migration

ROOT = Path(__file__).parent.parent.parent
DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
ODD = 'migrations.CreateModel("U", [("id", models.BigAutoField(primary_key=True))], {"db_table": "b_größe"})'

on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """a.0001_t of day 1; a.0002_x and b.0001_u, whose table has an odd name, of day 2."""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_x": X}, b={"0001_u": ODD})
    deploy(database.alias, DAY_2)
    return database


def line(database: Database, *options: str, command: str = "rollbackmigrationsafter") -> list[str]:
    moment = [DAY_2.isoformat()] if command == "rollbackmigrationsafter" else []
    return [sys.executable, "manage.py", command, *moment, "--database", database.alias, *options]


def run(
    words: Sequence[str], environment: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    settings = {"DJANGO_SETTINGS_MODULE": "tests.settings", **(environment or {})}
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(
        words, cwd=ROOT, env={**os.environ, **settings}, check=False, stdin=subprocess.DEVNULL, timeout=120, **options
    )


def is_done(database: Database) -> bool:
    """Is the run done, and does the journal say so?"""
    _, (record,) = workflow.rollbacks(database.alias)
    return keys(database.alias) == [("a", "0001_t")] and record.outcome is Outcome.FINISHED


def closed_pipe() -> int:
    """A pipe from which nobody reads any more."""
    reads, writes = os.pipe()
    os.close(reads)
    return writes


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


nowhere = pytest.mark.parametrize("stream", [closed_pipe, full_disk])


@nowhere
@pytest.mark.parametrize("names", [["stdout"], ["stdout", "stderr"]], ids=" ".join)
def test_a_stream_that_takes_nothing(shop: Database, stream: Callable[[], int], names: list[str]) -> None:
    streams = {name: stream() for name in names}
    done = run(line(shop, "--no-input", "-v", "3"), None, **streams)
    for descriptor in streams.values():
        os.close(descriptor)
    assert done.returncode == 0
    assert not done.stderr
    assert is_done(shop)


@on_sqlite
@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--help"], 0),
        (["--plan"], 0),
        (["--format", "json"], 0),
        (["--rehearse"], 0),
        (["--exclude", "nothing"], 2),
        (["--bogus"], 2),
        (["--bogus", "--format", "json"], 2),
        (["--exclude", "a.0002_x", "--fake", "b.0001_u", "--no-count", "--destroy-data"], 0),
        (["--no-count"], 0),
        (["--no-count", "--no-keep"], 3),
    ],
    ids=str,
)
def test_the_exit_status_tells_what_happened_all_the_same(shop: Database, options: list[str], status: int) -> None:
    out = closed_pipe()
    done = run(line(shop, *options), None, stdout=out, stderr=out)
    os.close(out)
    assert done.returncode == status


@on_sqlite
def test_no_streams_at_all(shop: Database) -> None:
    words = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *line(shop, "--no-input")]
    assert run(words).returncode == 0
    assert is_done(shop)


SLEEPS = """
def back(apps, schema_editor):
    import time
    time.sleep(2)
"""
# The child's standard input becomes its terminal, as that of a login is.
AT_ITS_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def test_a_terminal_that_goes_away(shop: Database, project: Project) -> None:
    slow = migration("migrations.RunPython(migrations.RunPython.noop, back)", [("a", "0002_x")], before=SLEEPS)
    project.replace(a={"0001_t": T, "0002_x": X, "0003_slow": slow})
    migrate(shop.alias)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    words = [sys.executable, "-c", AT_ITS_TERMINAL, *line(shop, "--no-input")]
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        seen = b""
        while b"Unapplying a.0003_slow" not in seen:
            seen += os.read(ours, 1000)
        os.close(ours)
        status = process.wait(timeout=60)
    assert status == 0
    assert is_done(shop)


@on_sqlite
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_what_cannot_be_encoded_is_replaced(shop: Database, environment: dict[str, str]) -> None:
    done = run(line(shop, "--no-input"), environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"drops table b_gr??e\n" in done.stdout
    assert is_done(shop)


@on_sqlite
def test_what_can_be_encoded_is_not(shop: Database) -> None:
    assert "drops table b_größe\n".encode() in run(line(shop, "--plan"), {"PYTHONIOENCODING": "utf-8"}).stdout
    latin = run(line(shop, "--plan"), {"PYTHONIOENCODING": "latin-1"}).stdout
    assert "drops table b_größe\n".encode("latin-1") in latin


# Colours


@on_sqlite
@pytest.mark.parametrize(
    ("options", "environment", "coloured"),
    [([], {}, False), (["--force-color"], {}, True), (["--force-color"], {"NO_COLOR": "1"}, True)],
)
def test_colours(shop: Database, options: list[str], environment: dict[str, str], coloured: bool) -> None:
    assert (b"\x1b[" in run(line(shop, "--plan", *options), environment).stdout) == coloured


@on_sqlite
@pytest.mark.parametrize(("value", "coloured"), [("", True), ("1", False)])
def test_no_color_is_honoured_at_a_terminal(shop: Database, value: str, coloured: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "NO_COLOR": value, "TERM": "xterm"}
    with subprocess.Popen(line(shop, "--plan"), cwd=ROOT, env=environment, stdin=theirs, stdout=theirs) as process:
        process.wait(timeout=60)
    os.set_blocking(ours, False)
    seen = os.read(ours, 100_000)
    os.close(theirs)
    os.close(ours)
    assert (b"\x1b[" in seen) == coloured


# One object for a program, whatever happens


def told(done: subprocess.CompletedProcess[bytes]) -> Any:
    return checked(done.stdout, done.args[2])


@on_sqlite
@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("rollbackmigrationsafter", ["--bogus"], "unrecognized arguments: --bogus"),
        ("rollbackmigrationsafter", ["--gap", "x"], "argument --gap: 'x' is not a number from 0 on."),
        ("rollbackmigrationsafter", ["--database"], "argument --database: expected one argument"),
        ("rollbackmigrationsafter", ["--exclude", "x"], "--exclude x: there is no such app or migration."),
        ("showdeployments", ["--limit", "0"], "argument --limit: '0' is not a whole number from 1 on."),
        ("showdeployments", ["--since", "Tuesday"], "'Tuesday' is not a date."),
        ("showrollbacks", ["--limit", "x"], "argument --limit: "),
        ("showrollbacks", ["--database", "nowhere"], "There is no database 'nowhere' in DATABASES."),
    ],
    ids=str,
)
def test_wrong_usage_is_one_object(shop: Database, command: str, options: list[str], message: str) -> None:
    for words in (["--format", "json"], ["--format=json"]):
        done = run(line(shop, *words, *options, command=command))
        assert done.returncode == 2
        assert told(done)["outcome"] == "failed"
        assert told(done)["error"]["status"] == 2
        assert told(done)["error"]["message"].startswith(message)
        assert done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("command", ["rollbackmigrationsafter", "showdeployments", "showrollbacks"])
def test_an_unreachable_server_is_one_object(
    database: Database, project: Project, tmp_path: Path, command: str
) -> None:
    (tmp_path / "nobody_there.py").write_text(
        f"from tests.settings import *\nDATABASES[{database.alias!r}].update(HOST='127.0.0.1', PORT='9')\n"
    )
    done = run(line(database, "--format", "json", command=command), {"DJANGO_SETTINGS_MODULE": "nobody_there"})
    assert done.returncode == 1
    assert told(done)["schema"] == 1
    assert told(done)["outcome"] == "failed"
    assert "cannot be read" in told(done)["error"]["message"]


@on_sqlite
def test_a_plan_that_is_refused_is_one_object(shop: Database) -> None:
    said = roll_back(shop, DAY_1.replace(second=0), plan=True, format="json", exclude=["a.0002_x"])
    assert said.status == 3
    assert said.json["outcome"] == "refused"
    assert said.json["error"]["status"] == 3
    assert len(said.json["plans"]) == 1
    free = roll_back(shop, DAY_2, plan=True, format="json")
    assert (free.status, "outcome" in free.json) == (0, False)


@on_sqlite
def test_with_traceback_an_error_is_one_object_too(shop: Database) -> None:
    done = run(line(shop, "--format", "json", "--exclude", "nothing", "--traceback"))
    assert done.returncode == 1
    assert told(done)["error"]["status"] == 2
    assert b"Traceback" in done.stderr


# What is shown, and in which form


@on_sqlite
def test_what_the_plan_says_is_not_said_again_by_the_error(shop: Database) -> None:
    with shop.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (x) VALUES (7)")
    shown = run(line(shop, "--no-input", "--no-keep"))
    assert shown.returncode == 3
    assert shown.stderr.decode() == (
        "CommandError: Refused: this would destroy data. Nothing was changed.\n"
        "Take a backup. Then, if this data may be destroyed, add --destroy-data\n"
    )
    assert "drops column a_t.x" in Text(run(line(shop, "--no-input", "--no-keep", "-v", "0")).stderr.decode())


@on_sqlite
def test_a_message_is_not_wider_than_a_terminal(shop: Database) -> None:
    for options in (["--exclude", "nothing"], ["--timezone", "Nowhere/" + "x " * 40], []):
        said = run(line(shop, *options, "--no-count", "--no-keep", "--no-input")).stderr.decode()
        assert said
        assert max(map(len, said.splitlines())) <= 80


@on_sqlite
def test_the_help(shop: Database) -> None:
    said = run([sys.executable, "manage.py", "rollbackmigrationsafter", "--help"]).stdout.decode()
    assert said.startswith("usage: manage.py rollbackmigrationsafter MOMENT [options]\n\n" + HELP)
    titles = [each for each in said.splitlines() if each.endswith(":") and not each.startswith(" ")]
    assert titles == [
        "Examples:",
        "Where to go back to:",
        "What to include:",
        "Before it runs:",
        "What to keep of what is dropped:",
        "How it runs:",
        "options:",
        "Exit statuses:",
    ]
    assert "`python manage.py showdeployments`" in said
    assert said.endswith("  4  somebody else holds a lock\n")
    assert max(map(len, said.splitlines())) <= 80


@on_sqlite
def test_the_examples_of_the_help_can_be_typed(shop: Database) -> None:
    lines = [each.split("rollbackmigrationsafter ")[1] for each in HELP.splitlines() if each.startswith("  python")]
    assert len(lines) == 2
    for each in lines:
        moment, *options = each.rsplit(" --")
        assert call("rollbackmigrationsafter", moment.strip('"'), *[f"--{option}" for option in options]).status == 0
    assert Text("a\n  b") in Text("x a b")
