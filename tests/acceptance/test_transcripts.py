"""Every transcript in README and docs is what a run prints: `UPDATE_TRANSCRIPTS=1 pytest tests/acceptance` writes them anew.

A transcript stands between `<!-- transcript: NAME -->` and `<!-- end -->`. A line that begins with `2.1$` is run by the release
before the newest. What differs from run to run (how long ago, seconds,
paths) is put in one form on both sides.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.checkouts import older_code
from tests.support.commands import checked

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(<!-- transcript: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

BEFORE_2_2 = 'python manage.py rollbackmigrationsafter "2024-05-15 11:00"'
TRANSCRIPTS = {
    "plan": [f"{BEFORE_2_2} --plan"],
    "run": [f"{BEFORE_2_2} --no-input"],
    "brief": [f"{BEFORE_2_2} --plan | head -n 7"],
    "deployments-brief": ["python manage.py showdeployments --limit 2"],
    "kept": ["python manage.py showkept"],
    "held": ["python manage.py migrate"],
    "forward": ["python manage.py migratehold --off", "python manage.py migrate"],
    "blocked": ['python manage.py rollbackmigrationsafter "2024-04-08 11:00" --plan | tail -n 14'],
    "rubbish": [
        "python manage.py dropkept 2 --no-input",
        "python manage.py migratehold --off",
        "python manage.py migrate | tail -n 2",
    ],
    "step-by-step": [f"{BEFORE_2_2} --plan --step-by-step | tail -n 10"],
    "refused": ['python manage.py rollbackmigrationsafter "2024-04-08 11:00" --plan'],
    "json": [f"{BEFORE_2_2} --plan --format json"],
    "approved": [
        f"{BEFORE_2_2} --plan --format json --output plan.json",
        f"{BEFORE_2_2} --fake catalog.0005_longer_prices --expect plan.json -v 0",
    ],
    "deployments": ["python manage.py showdeployments"],
    "release": [
        'python manage.py markrelease 2.1 --at "2024-05-01"',
        "python manage.py showdeployments --since 2024-04-01 --limit 2",
        "python manage.py rollbackmigrationsafter release:2.11 --plan",
    ],
    "manifest": ["python manage.py rollbackmigrationsafter manifest:- --plan < older.json"],
    "package": [
        "python manage.py rollbackpackage manifest:older.json --output shop-2.2.zip",
        "2.1$ python manage.py rollbackmigrationsafter here --package shop-2.2.zip --no-input",
    ],
    "backup": [f"{BEFORE_2_2} --plan | head -n 9", f"{BEFORE_2_2} --no-input | tail -n 13"],
    "no-package": ["2.1$ python manage.py rollbackmigrationsafter here --package older.json"],
    "steps": ["python manage.py rollbackmigrationsafter all: --steps 1 --plan"],
    "undo": [
        f"{BEFORE_2_2} --no-input -v 0",
        "python manage.py showdeployments --limit 1",
        "python manage.py showrollbacks",
    ],
    "commands": [f"{BEFORE_2_2} --format commands"],
    "script": [
        f"{BEFORE_2_2} --format sql --output rollback.sql",
        "head -n 25 rollback.sql",
        'sed -n "/^-- Step 1/,/^-- Step 3/p" rollback.sql',
    ],
    "script-run": [
        "sqlite3 shop.sqlite3 < rollback.sql",
        "sqlite3 shop.sqlite3 < rollback.sql",
        "python manage.py showrollbacks",
    ],
    "legacy": ['python -m rollback_app legacyrollbacksql "2024-05-15 11:00+02:00" --dsn shop.sqlite3'],
    "standalone": [
        'python -m rollback_app legacyrollbacksql "2024-05-15 11:00+02:00" --standalone > rollback_plan.py',
        "python manage.py shell -v 0 < rollback_plan.py",
    ],
}

# What has been run before, on the shop of a transcript.
ROLLED_BACK = [f"{BEFORE_2_2} --no-input -v 0"]
BEFORE = dict.fromkeys(("kept", "held", "forward", "rubbish"), ROLLED_BACK)
BEFORE["script-run"] = [f"{BEFORE_2_2} --format sql --output rollback.sql"]

# The settings of some transcripts, in the folder of the shop.
SETTINGS = {
    "backup": """
from example_project.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "dbbackup"]
FILES = {{"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {{"location": "{folder}/backups"}}}}
STORAGES = {{"default": FILES, "staticfiles": FILES, "dbbackup": FILES}}
DBBACKUP_HOSTNAME = "web-1"
ROLLBACK = {{"BACKUP": "dbbackup"}}
""",
}


def shell(line: str, database: Path, code: Path = ROOT) -> str:
    """What a line prints; `python` is the Python of the tests, and files are beside the shop's. code: the release's."""
    line, *part = re.split(r" \| (head|tail) -n ", line)
    line, *files = re.split(r" ([<>]) ", line)
    words = [sys.executable if word == "python" else word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
    special = {database.name: str(database), "manage.py": str(code / "manage.py")}
    words = [special.get(word, word) for word in words]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "example_project.settings", "PYTHONPATH": f"{code}:{ROOT}"}
    environment["EXAMPLE_DATABASE_URL"] = f"sqlite://{database}"
    if (database.parent / "shop_settings.py").exists():
        environment["DJANGO_SETTINGS_MODULE"] = "shop_settings"
        environment["PYTHONPATH"] += f":{database.parent}"
    process = subprocess.run(
        words,
        cwd=database.parent,
        env=environment,
        check=False,
        text=True,
        input=(database.parent / files[1]).read_text() if files[:1] == ["<"] else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    if files[:1] == [">"]:
        (database.parent / files[1]).write_text(process.stdout)
        return ""
    printed = process.stdout.splitlines(keepends=True)
    if part:
        printed = printed[: int(part[1])] if part[0] == "head" else printed[-int(part[1]) :]
    return "".join(printed)


def same_form(text: str, database: Path | None = None) -> str:
    if database:
        text = text.replace(str(database), "shop.sqlite3")
        text = text.replace(f"{database.parent}/backups", "/var/backups/shop")
    text = re.sub(r"\d+ days?( \d+ h)? ago", "… ago", text)
    text = re.sub(r"\d+\.\d\d s\b", "… s", text)
    text = re.sub(
        r"[-\d]{10} [:\d]{8} UTC: (.*\n)   by \S+ on \S+", r"2024-05-16 01:12:44 UTC: \1   by alice on web-1", text
    )
    text = re.sub(r"(by rollback \d+ of|held since) [-\d]{10} [:\d]{8}", r"\1 2024-05-16 01:12:44", text)
    text = re.sub(r"(held since .* UTC by) \S+ on [^\s:]+", r"\1 alice on web-1", text)
    text = re.sub(r"kept .* ago, on [-\d]{10} [:\d]{8} UTC", "kept … ago, on 2024-05-16 01:12:44 UTC", text)
    text = re.sub(r"\d+ [kMGT]?B free", "80 GB free", text)
    text = re.sub(r"(default-web-1-)[-\d]+", r"\g<1>2024-05-16-011244", text)
    text = re.sub(r"(digest   |Digest     |digest is\s|, not )[0-9a-f]{12}", r"\1…", text)
    text = re.sub(r"(Made       )[-\d]{10} [:\d]{8}", r"\g<1>2024-05-16 01:12:44", text)
    return re.sub(r"(Digest of this plan: |\"digest\": \")[0-9a-f]{12}", r"\1…", text)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the shop after its three deployments."""
    database = tmp_path_factory.mktemp("shop") / "shop.sqlite3"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    environment["EXAMPLE_DATABASE_URL"] = f"sqlite://{database}"
    subprocess.run(
        [sys.executable, "-m", "example_project.history"], cwd=ROOT, env=environment, check=True, timeout=120
    )
    return database


def manifest_of_2_1(database: Path) -> str:
    """What migrationmanifest prints in the release before the newest, which had no squash."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT app, name FROM django_migrations WHERE applied < '2024-05-15'").fetchall()
    migrations = [{"migration": f"{app}.{name}", "replaces": []} for app, name in rows]
    return json.dumps({"schema": 1, "migrations": migrations})


def made(name: str, shop: Path, folder: Path) -> str:
    """The transcript as it should stand, run on a copy of the shop."""
    database = folder / "shop.sqlite3"
    database.write_bytes(shop.read_bytes())
    if name in SETTINGS:
        (folder / "shop_settings.py").write_text(SETTINGS[name].format(folder=folder))
    for line in BEFORE.get(name, []):
        shell(line, database)
    (folder / "older.json").write_text(manifest_of_2_1(database))
    lines = ""
    for line in TRANSCRIPTS[name]:
        _prompt, there, command = line.rpartition("2.1$ ")
        code = folder / "shop-2.1" if there else ROOT
        if not code.exists():
            older_code(code)
        printed = shell(command, database, code)
        if command.endswith("--format json"):
            checked(printed)
        lines += f"{there or '$ '}{command}\n{same_form(printed, database)}"
    return f"```console\n{lines}```\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_transcripts_are_true(page: Path, shop: Path, tmp_path: Path) -> None:
    text = page.read_text()
    renewed = BLOCK.sub(lambda block: f"{block[1]}{made(block[2], shop, tmp_path)}{block[4]}", text)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        page.write_text(renewed)
    assert renewed == text


def test_every_transcript_is_used() -> None:
    used = {block[2] for page in PAGES for block in BLOCK.finditer(page.read_text()) if block[3]}
    assert used == set(TRANSCRIPTS)


def test_the_demonstration_runs() -> None:
    """`python3 dev.py demo`, without the installing."""
    process = subprocess.run(
        [sys.executable, "-m", "example_project.demo"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0
    assert process.stderr == ""
    assert "Done: 5 migrations unapplied on default" in process.stdout
    assert "(exit status 3)" in process.stdout
    before, after, again = (part for part in process.stdout.split("\n\n# ") if part.startswith("The database "))
    written = ("orders_invoice (", "Please ring twice.", "A present: no invoice", "2024-0001", "1, ada, 24")
    assert all(words in before and words in again for words in written)
    assert not any(words in after for words in written)
    assert ", OPEN" in after
    assert "2024-05-16 09:00:00" in again
    assert "2024-05-16 09:00:00" not in before + after


def test_older_code_without_the_app_says_unknown_command(shop: Path) -> None:
    """What Django itself says then; docs/howto/containers.md tells what to do."""
    code = (
        "import os; from django.conf import settings; from django.core.management import execute_from_command_line;"
        "from example_project import settings as shop;"
        "apps = [app for app in shop.INSTALLED_APPS if app != 'rollback_app'];"
        "settings.configure(INSTALLED_APPS=apps, DATABASES=shop.DATABASES, AUTH_USER_MODEL='accounts.User');"
        "execute_from_command_line(['manage.py', 'rollbackmigrationsafter', '2024-05-15'])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 1
    assert process.stderr.startswith("Unknown command: 'rollbackmigrationsafter'")
    assert "Unknown command: 'rollbackmigrationsafter'" in (ROOT / "docs/howto/containers.md").read_text()
