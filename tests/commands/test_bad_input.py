"""500 bad inputs to all commands: each is one message with what to do next, has the right exit status, and changes nothing."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command, load_command_class

from tests.commands.test_rollbackmigrationsafter import run
from tests.support.commands import Said
from tests.support.databases import Database
from tests.support.history import keys, migrate
from tests.support.projects import Project
from tests.test_docs import COMMANDS

T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'

PARTS = [
    "10",
    "10:00",
    "May 2024",
    "2024",
    "2024-05",
    "1 May",
    "Tuesday",
    "May",
    "24-05-01",
    "05.06.24",
    "now",
    "today",
]
NO_DATES = [
    *(
        "",
        " ",
        "-",
        "yesterday",
        "tomorrow",
        "an hour ago",
        "nonsense",
        "NaN",
        "None",
        "null",
        "0",
        "1e9",
        "1715767200",
    ),
    *(
        "2024-13-45",
        "2024-00-10",
        "2024-02-30",
        "2023-02-29",
        "2024-05-01 25:00",
        "2024-05-01 24:00",
        "2024-05-01 10:60",
    ),
    *(
        "2024-05-01 10:00:60",
        "20240501T99",
        "99999-01-01",
        "0000-01-01",
        "2024-W20-3",
        "2024-136",
        "2024/05",
        "2024-05-01T",
    ),
    *(
        "１ May 2024",
        "2024-05-01 10：00",
        "２０２４-05-01",
        "2024−05−01",
        "\u202e2024-05-01",
        "\ufeff2024-05-01",
        "x" * 500,
    ),
    *(
        "2024-05-01\x00",
        "\x00",
        "2024\x0005-01",
        "\udc80",
        "2024-05-01 \ud800",
        "2024-05-01\n10:00\x1b[31m",
        "\t\n",
        "1" * 5000,
    ),
    *(
        "%s",
        "%(x)s",
        "{0}",
        "'; DROP TABLE django_migrations; --",
        "$(date)",
        "`date`",
        "../../etc/passwd",
        "*",
        "\\",
        "🦄",
    ),
]
DOUBTFUL = [
    *("05/06/2024", "05/06/2024 10:00", "5.6.2024", "05-06-2024", "1/2/2024 10:00", "10:00 01/02/2024"),
    *(
        "2024-05-15 11:00 12:00",
        "2024-05-15 11:00 2024-05-16",
        "2024-05-15 11:00 12",
        "2024-05-15 5 6",
        "2024-05-15 2024",
    ),
    *(
        "2024-05-15T10 11:00",
        "20240515T110000 10:00",
        "20240515110000 10:00",
        "2024-05-15 11:00 5pm",
        "15 May 2024 10:00 16",
    ),
    *("2024-05-15 10am 10pm", "2024-05-15 10 am pm", "2024-05-15 am pm", "2024-05-15 13 pm", "2024-05-15 13:00 am"),
    *("2024-05-15 0 pm", "May May 2024 1", "1 1 May 2024", "1 May June 2024", "Wed Thu 16 May 2024", "2024-05-15 --"),
    *(
        "Monday 15 May 2024",
        "Mon, 15 May 2024 10:00:00 +0000",
        "Sunday 2024-05-15",
        "2024-05-15 Fri",
        "thu 2024-05-15 10:00",
    ),
    *("2024-05-15 10:00+02:00+02:00", "2024-05-15 10:00Z UTC", "2024-05-15 10:00,5", "2024-05-15 10:00-"),
]
ZONES = [
    *(f"2024-05-15 10:00 {zone}" for zone in ("EST", "IST", "CET", "CEST", "PST", "MSK", "BST", "AEST", "X", "local")),
    *(
        f"2024-05-15 10:00{offset}"
        for offset in ("+14:01", "+15:00", "-12:01", "-13:00", "+23:59", "+99:99", "+2", "+200")
    ),
    *(
        f"2024-05-15 10:00 {offset}"
        for offset in ("Z+1", "Z-01:00", "UTC+2", "GMT-5", "UTC +02:00", "+2:00", "-5", "+25:00")
    ),
    *(f"2024-05-15 10:00 {zone}" for zone in ("Europe/Atlantis", "Mars/Base", "a/b", "Europe/Berlin/x", "Etc/GMT+99")),
    *(
        "2024-05-15T10:00+02:00 Europe/Berlin",
        "2024-05-15 10:00Z Europe/Berlin",
        "2024-05-15 Europe/Berlin Europe/Berlin",
    ),
    *("2024-05-15 11:00:00 Europe/Berlin = 10:00:00 UTC", "2024-05-15 11:00:00 UTC = 10:00:00 UTC"),
    *(
        "2024-03-31 02:30",
        "2024-10-27 02:30",
        "0001-01-01 00:00+14:00",
        "9999-12-31 23:59-12:00",
        "2999-01-01",
        "2999-01-01Z",
    ),
]
NO_KINDS = [
    *(
        "LAST",
        "Last",
        "last:",
        "last:1",
        "lAsT",
        "deployment",
        "release",
        "migration",
        "manifest",
        "all",
        "deployment 1",
    ),
    *("deploy:1", "Deployment:1", "deployment=1", "version:2", "rel:2.1", "x:y", "tag:v2", "http://x", "manifest FILE"),
    *("2.4.0", "v2.4.0", "2.4", "2.4.0-rc.1", "v2.4.0+build", "1.0.0b1", "a.0001", "a.0001_t", "orders.0005", "a.zero"),
    *(
        f"deployment:{number}"
        for number in ("0", "4", "-1", "+1", "1.0", "²", "٢", "", " ", "one", "1e3", "9" * 5000, "\x00")
    ),
    *(f"release:{name}" for name in ("", " ", "2.1", "2.1\x00", "\udc80", "x" * 5000, "%s", "*", "release:2.1")),
    *(
        f"migration:{name}"
        for name in ("", "a", "a.", ".", "a.0009", "a.000", "b.0001", "A.0001_t", "a.0001_t ", "\x00", "\udc80")
    ),
    *(f"all:{name}" for name in ("b", "A", "a.0001_t", "*", "\x00", "\udc80", "x" * 5000, "a,b")),
]
NO_KINDS.remove("migration:a.0001_t ")  # spaces around are nothing bad
FILES = {
    "empty": b"",
    "spaces": b" \n\n",
    "bytes": b"\xff\xfe\x00\x01",
    "nul": b"[X]  a.0001_t\x00",
    "text": b"Unknown command: 'migrationmanifest'",
    "json": b"{",
    "list": b"[]",
    "number": b'{"migrations": 1}',
    "keys": b'{"migrations": [{"migration": 1, "replaces": []}]}',
    "none": b'{"migrations": []}',
    "deep": b'{"migrations": ' + b"[" * 100_000,
    "huge": b'{"migrations": ' + b"9" * 5000 + b"}",
    "names": b'{"migrations": [{"migration": "a b.c", "replaces": []}]}',
    "foreign": b"[X]  shop.0001_initial\n[X]  shop.0002_more\n",
    "half": b"[X]  a.0001_t\n[X]  shop.0001\n[X]  shop.0002\n",
    "csv": b"id,app,name,applied\n1,a\n",
    "quotes": b'1,"a\n',
    "long": b"1," + b"x" * 200_000 + b",y\n",
}
MANIFESTS = [*(f"manifest:{name}" for name in FILES), "manifest:", "manifest:/nowhere", "manifest:/", "manifest:\x00"]
MANIFESTS += ["manifest:\udc80", "manifest:" + "x" * 5000]
NUMBERS = ["x", "", "nan", "inf", "-inf", "-1", "-0.5", "1e300", "1,5", "٢", "1_0x", "\x00", "\udc80", "9" * 5000]
NO_ALIASES = [
    "",
    " ",
    "nowhere",
    "DEFAULT",
    "default ",
    "default,other",
    "*",
    "\x00",
    "\udc80",
    "x" * 5000,
    "../default",
]
NO_ZONES = [
    "",
    " ",
    "Europe/Atlantis",
    "Europe",
    "CESTX",
    "../etc/passwd",
    "/etc/passwd",
    "+02:00",
    "\x00",
    "\udc80",
    "x" * 5000,
]
NO_NAMES = ["", " ", "b", "a.0009", "a.0001", ".", "a.", "a.0001_t.x", "*", "\x00", "\udc80", "x" * 5000, "a,b"]
MAIN = "rollbackmigrationsafter"
OK = "2024-05-01 00:00Z"


def moments() -> Iterator[list[str]]:
    for text in itertools.chain(PARTS, NO_DATES, DOUBTFUL, ZONES, NO_KINDS, MANIFESTS):
        yield [MAIN, "--plan", "--", text]
    yield [MAIN]
    for text in itertools.chain(PARTS, DOUBTFUL[:20], ZONES[:20], NO_DATES[:20]):
        yield ["showdeployments", f"--since={text}"]
        yield ["markrelease", "1.0", f"--at={text}"]
        yield ["legacyrollbacksql", "--", text]


def options() -> Iterator[list[str]]:
    for option, value in itertools.product(
        ["--gap", "--lock-timeout", "--statement-timeout", "--retries", "--steps"], NUMBERS
    ):
        yield [MAIN, OK, "--plan", f"{option}={value}"]
    for option, value in itertools.product(["--gap", "--limit"], NUMBERS):
        yield ["showdeployments", f"{option}={value}"]
    for value in NUMBERS:
        yield ["showrollbacks", f"--limit={value}"]
    for value in NO_ALIASES:
        yield [MAIN, OK, "--plan", f"--database={value}"]
        yield [MAIN, "last", "--plan", "--format=json", f"--database={value}"]
        yield ["showdeployments", f"--database={value}"]
        yield ["showrollbacks", f"--database={value}"]
        yield ["markrelease", "1.0", f"--database={value}"]
        yield ["legacyrollbacksql", OK, f"--database={value}"]
    for value in NO_ZONES:
        yield [MAIN, "2024-05-01", "--plan", f"--timezone={value}"]
        yield [MAIN, "last", "--plan", f"--timezone={value}"]
        yield ["showdeployments", f"--timezone={value}"]
        yield ["markrelease", "1.0", f"--timezone={value}"]
        yield ["legacyrollbacksql", "2024-05-01", f"--timezone={value}"]
    for option, value in itertools.product(["--exclude", "--fake"], NO_NAMES):
        yield [MAIN, OK, "--plan", f"{option}={value}"]
    for value in ("", "yaml", "TEXT", "\x00", "x" * 5000):
        yield [MAIN, OK, "--plan", f"--format={value}"]
        yield ["showdeployments", f"--format={value}"]
        yield ["showrollbacks", f"--format={value}"]
    yield [MAIN, OK, "--format=commands", "--rehearse"]
    yield [MAIN, OK, "--nonsense"]
    yield ["migrationmanifest", "too", "much"]
    yield ["markrelease"]
    for name in ("", " ", "x" * 201, "2.1\x00", "2.1\n", "\x1b[31m2.1", "\udc80", "\u202e2.1", "2\t1"):
        yield ["markrelease", "--", name]


def legacy() -> Iterator[list[str]]:
    for url in ("", "redis://x", "x://", "http://[", "postgresql://[::1", "\x00", "\udc80", "x" * 5000 + "://"):
        yield ["legacyrollbacksql", OK, f"--dsn={url}"]
    for file in [*FILES, "", "/nowhere", "/", "\x00", "\udc80", "x" * 5000]:
        if file not in ("empty", "spaces"):  # a dump of an empty table
            yield ["legacyrollbacksql", OK, f"--csv={file}"]
    for dialect in ("", "access", "MySQL", "\x00", "x" * 5000):
        yield ["legacyrollbacksql", OK, f"--dialect={dialect}"]
    yield ["legacyrollbacksql", OK, "--csv=csv", "--standalone"]
    yield ["legacyrollbacksql"]


NO_SIZES = [
    "",
    " ",
    "10",
    "-1GB",
    "1e3MB",
    "1kb",
    "1 Gb",
    "GB",
    "0GBB",
    "1.GB",
    "∞",
    "１GB",
    "1GB2",
    "\x00",
    "\udc80",
    "9" * 5000,
]
NO_KEPT = ["9", "7", "999999999"]  # nothing was ever kept there


def kept() -> Iterator[list[str]]:
    for size in NO_SIZES:
        yield [MAIN, OK, "--plan", f"--keep-at-most={size}"]
    for name in ("", "nowhere", "A_T", "\x00", "\udc80", "x" * 5000):
        yield [MAIN, OK, "--plan", f"--keep-table={name}"]
    for command in ("showkept", "putback", "dropkept"):
        no_input = [] if command == "showkept" else ["--no-input"]
        for number in [*NUMBERS, *NO_KEPT, "0", "+1", "1.0", "²"]:
            yield [command, *no_input, "--", number]
        for value in NO_ALIASES:
            yield [command, "1", *no_input, f"--database={value}"]
        for value in ("", "yaml", "commands", "\x00"):
            yield [command, "1", f"--format={value}"]
        yield [command, "9", *no_input, "--format=json"]
    yield ["showkept", "1", "2"]
    for command in ("putback", "dropkept"):
        yield [command]
        yield [command, "1", "x"]
        yield [command, "1", "--all"]
        yield [command, "7", "9", "--no-input"]
    for days in [*NUMBERS, "1.5"]:
        yield ["dropkept", "--no-input", f"--older-than={days}"]
    yield ["dropkept", "--all", "--older-than=1"]
    yield ["dropkept", "1", "--older-than=1"]


def without_values() -> Iterator[list[str]]:
    """Each option of each command with "--" behind its sign, which versions of argparse hand over in different ways."""
    needed = {MAIN: [OK], "rollbackmigrationsappliedafter": [OK], "markrelease": ["1.0"], "legacyrollbacksql": [OK]}
    for name in COMMANDS:
        for action in load_command_class("rollback_app", name).create_parser("manage.py", name)._actions:
            for option in action.option_strings if action.nargs != 0 else ():
                yield [name, *needed.get(name, ()), f"{option}=--"]
    yield [MAIN, OK, "--plan", "-v--"]
    yield [MAIN, OK, "--exclu=--"]


INPUTS = [*moments(), *options(), *kept(), *legacy(), *without_values()]


@pytest.fixture
def project_with_files(
    database: Database, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    project(a={"0001_t": T, "0002_x": "", "0003_y": ""})
    migrate(database.alias)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    return database


def typed(words: list[str]) -> Said:
    """The command in this process, with the parser that the command line has."""
    from django.core.management.base import CommandError

    out = io.StringIO()
    try:
        call_command(words[0], *words[1:], stdout=out, no_color=True)
    except CommandError as error:
        usage = str(error).startswith("Error: ")  # the parser's own; at the command line it ends with 2
        return Said(2 if usage else error.returncode, out.getvalue(), str(error), words[0])
    return Said(0, out.getvalue(), "", words[0])


def complaint(words: list[str], said: Said) -> str:
    """What is wrong with the answer; empty if nothing is."""
    message, _, hint = said.error.partition("\n")
    if said.status != 2:
        return f"status {said.status}"
    if not message or not (hint or message.startswith("Error: ") or words[0] == "legacyrollbacksql"):
        return "no message, or no hint"
    if "Traceback" in said.error or not re.sub(r"[\n]", "", said.error).isprintable():
        return "not one that can be printed"
    if any(len(word) > 120 for word in said.error.split()) or len(message) > 600:
        return "too long"
    return "" if "--format=json" in words or not said.out else "printed something before it"


def test_there_are_500() -> None:
    assert len({tuple(words) for words in INPUTS}) == len(INPUTS) >= 500


@pytest.mark.databases("sqlite")
def test_bad_input_is_told_in_one_message(project_with_files: Database) -> None:
    before = keys(project_with_files.alias)
    wrong = []
    for words in INPUTS:
        try:
            said = typed(words)
        except Exception as error:  # noqa: BLE001  # a traceback, for whoever typed this
            wrong.append(f"{[word[:60] for word in words]}: {error!r:.200}")
            continue
        if why := complaint(words, said):
            wrong.append(f"{[word[:60] for word in words]}: {why}: {said.error[:200]!r}")
        if "--format=json" in words and "error" not in said.json:
            wrong.append(f"{words}: no object")
    assert not wrong, "\n".join(wrong)
    assert keys(project_with_files.alias) == before


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "words",
    [
        [OK, "--gap", "nan"],
        ["2024-05-15 11:00 12:00"],
        ["LAST"],
        [OK, "--database", "x" * 500],
        [OK, "--exclude", ""],
        [OK, "--exclude=--"],
        [OK, "--lock-timeout=--", "--format=json"],
        ["migration:\udc80"],
        ["2024-05-15", "11:00", "--", "-5"],
    ],
)
def test_bad_input_to_a_process(project_with_files: Database, words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert max(map(len, done.stderr.split())) < 120
