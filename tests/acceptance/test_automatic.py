"""The script of docs/howto/automatic.md, as it stands there: two releases of the shop, really started, migrated and asked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from django.db import connections

from tests.servers import free_port
from tests.support.checkouts import ROOT, Checkout, newer, older
from tests.support.databases import Database
from tests.support.history import keys

PAGE = (ROOT / "docs/howto/automatic.md").read_text()
SITE, SCRIPT = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
# In the place of Docker: a folder for each release, and a server of its code.
HERE = """\
manage() {{ release=$1; shift; (cd "$release" && python manage.py "$@"); }}
start() {{ (cd "$1" && exec python {server} {port} "$1") > log 2>&1 & echo $! > pid; }}
stop() {{ test ! -e pid || {{ kill "$(cat pid)"; sleep 1; }}; rm -f pid; }}
healthy() {{ (cd 2.1 && python {server} {port}); }}
say() {{ echo "$1" >&2; }}
retries=0
"""
FAILS = """

def fail(apps, schema_editor):
    raise ValueError("no way back")


Migration.operations = [*Migration.operations, migrations.RunPython({forwards}, {backwards})]
"""
NOOP = "migrations.RunPython.noop"


class Site:
    """Release 2.1 is running; a deployment puts 2.2 in its place."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder, self.port = folder, free_port()
        self.old, self.new = older(folder / "2.1", database), newer(folder / "2.2", database)
        (folder / "site.sh").write_text(HERE.format(server=ROOT / "tests/acceptance/shop_server.py", port=self.port))
        (folder / "deploy.sh").write_text(SCRIPT)
        for release in (self.old, self.new):
            assert release.run("true").returncode == 0  # which writes its settings
        assert self.old.run("python manage.py migrate -v 0").returncode == 0
        assert self.run(". ./site.sh; start 2.1; healthy") == (0, "")
        assert self.serves() == "2.1"

    def begun(self, line: str) -> subprocess.Popen[str]:
        words = {
            "PATH": f"{self.old.folder}:{os.environ['PATH']}",
            "PYTHONPATH": f".:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.Popen(
            ["sh", "-c", line],
            cwd=self.folder,
            env={**os.environ, **words},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, line: str) -> tuple[int, str]:
        """(exit status, the last thing that was said)."""
        with self.begun(line) as process:
            _, said = process.communicate(timeout=180)
        return process.returncode, said.strip().rpartition("\n")[2]

    def deploy(self) -> tuple[int, str]:
        return self.run("sh deploy.sh 2.1 2.2")

    def serves(self) -> str:
        """Which release answers; empty, if none does."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/", timeout=60) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def stop(self) -> None:
        pid = self.folder / "pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)


@pytest.fixture
def site(tmp_path: Path, database: Database) -> Iterator[Site]:
    made = Site(tmp_path, database)
    yield made
    made.stop()


def add(release: Checkout, file: str, text: str) -> None:
    path = release.folder / "example_project" / file
    path.write_text(path.read_text() + text)


def make_sick(release: Checkout) -> None:
    """Somebody forgot `makemigrations`."""
    path = release.folder / "example_project/accounts/models.py"
    path.write_text(path.read_text() + "    nickname = models.CharField(max_length=20, default='')\n")


@pytest.mark.databases("sqlite")
def test_a_healthy_release(site: Site, database: Database) -> None:
    assert site.deploy() == (0, "")
    assert site.serves() == "2.2"
    assert ("orders", "0006_invoice") in keys(database.alias)


def test_a_sick_release(site: Site, database: Database) -> None:
    """And a good one after it."""
    before = keys(database.alias)
    make_sick(site.new)
    assert site.deploy() == (1, "2.2 did not come up. 2.1 runs again: the database is what it was.")
    assert site.serves() == "2.1"
    assert keys(database.alias) == before
    text = (ROOT / "example_project/accounts/models.py").read_text()
    (site.new.folder / "example_project/accounts/models.py").write_text(text)
    held, told = site.deploy()
    assert (held, site.serves()) == (1, "2.1"), "held"
    assert told == "2.2 did not come up. 2.1 runs again: the database is what it was."
    assert site.new.run("python manage.py migratehold --off").returncode == 0
    assert site.deploy() == (0, "")
    assert site.serves() == "2.2"


@pytest.mark.databases("postgresql", "mariadb")  # which cannot take back what it had done before it failed
def test_a_migration_that_fails(site: Site, database: Database) -> None:
    before = keys(database.alias)
    text = FAILS.format(forwards="fail", backwards=NOOP)
    add(site.new, "orders/migrations/0005_lower_case_status.py", text)
    assert site.deploy() == (1, "2.2 did not come up. 2.1 runs again: the database is what it was.")
    assert (site.serves(), keys(database.alias)) == ("2.1", before)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("serves", ["", "2.1"])
def test_a_rollback_that_is_refused(site: Site, database: Database, serves: str) -> None:
    """The older release starts if it can work on the newer tables."""
    make_sick(site.new)
    add(site.new, "orders/migrations/0005_lower_case_status.py", FAILS.format(forwards=NOOP, backwards="None"))
    words = "the rollback was refused: something blocks, or would be lost."
    if serves:
        for file in ("accounts/migrations/0002_user_loyalty_points.py", "orders/migrations/0004_order_note.py"):
            path = site.new.folder / "example_project" / file
            text = path.read_text().replace("default=0", "null=True").replace('default=""', "null=True")
            path.write_text(text.replace('blank=True, default=""', "null=True"))
        assert site.deploy() == (2, f"2.2 did not come up. 2.1 runs again: {words}")
    else:
        assert site.deploy() == (3, f"2.2 did not come up, and 2.1 cannot run: {words}")
    assert site.serves() == serves


@pytest.mark.databases("postgresql")
def test_a_rollback_that_fails(site: Site, database: Database) -> None:
    make_sick(site.new)
    add(site.new, "orders/migrations/0004_order_note.py", FAILS.format(forwards=NOOP, backwards="fail"))
    words = "the rollback failed; its message says what state the database is in."
    assert site.deploy() == (3, f"2.2 did not come up, and 2.1 cannot run: {words}")
    assert site.serves() == ""


@pytest.mark.databases("postgresql")
def test_somebody_else_works_on_the_database(site: Site, database: Database) -> None:
    """From when the new release is asked for its health."""
    make_sick(site.new)
    own = site.folder / "site.sh"
    waits = "healthy() { touch asked; until test -e locked; do sleep 0.1; done;"
    own.write_text(own.read_text().replace("healthy() {", waits))
    with site.begun("sh deploy.sh 2.1 2.2") as deploying:
        while not (site.folder / "asked").exists() and deploying.poll() is None:
            time.sleep(0.1)
        other = connections.create_connection(database.alias)
        with other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")
        (site.folder / "locked").touch()
        _, said = deploying.communicate(timeout=180)
        other.close()
    words = "the rollback did not begin: somebody else works on the database."
    assert (deploying.returncode, said.strip().rpartition("\n")[2]) == (
        3,
        f"2.2 did not come up, and 2.1 cannot run: {words}",
    )


@pytest.mark.databases("sqlite")
def test_nothing_is_touched_if_it_cannot_be_told_where_to_go_back_to(site: Site, database: Database) -> None:
    before = keys(database.alias)
    add(site.old, "orders/migrations/0001_initial.py", "\nraise OSError('a broken image')\n")
    status, _ = site.deploy()
    assert (status, site.serves(), keys(database.alias)) == (2, "2.1", before)


def test_what_is_the_site_s_own_is_all_there() -> None:
    """The functions that the script calls are those of the page's site.sh, and of the one here."""
    defined = set(re.findall(r"^(\w+)\(\) \{", SITE, re.MULTILINE))
    assert (
        defined
        == set(re.findall(r"^(\w+)\(\) \{", HERE, re.MULTILINE))
        == {"manage", "start", "stop", "healthy", "say"}
    )
    for text in (SITE, SCRIPT):
        assert subprocess.run(["sh", "-n", "-c", text], check=False).returncode == 0
