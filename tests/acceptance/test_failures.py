"""Each way in which a run can fail, for real, and to the letter: docs/safety.md shows what the operator sees.

`UPDATE_TRANSCRIPTS=1 pytest tests/acceptance` writes the page anew. A transcript stands between `<!-- failure: NAME -->` and
`<!-- end -->`. Whatever is said, the database is then looked at.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rollback_app.reports import as_message
from tests.support.commands import unwrapped
from tests.support.databases import Database
from tests.support.history import keys
from tests.support.schema import everything

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/safety.md"
BLOCK = re.compile(r"(<!-- failure: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
COMMAND = 'python manage.py rollbackmigrationsafter "2024-05-15 11:00" --no-input --destroy-data -v 0'
# Whenever rows of this table are changed: the reverse code of a migration does that.
SLOW = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN new; END $$;
CREATE TRIGGER slowly BEFORE UPDATE ON orders_order FOR EACH STATEMENT EXECUTE FUNCTION slowly()
"""

on_postgresql = pytest.mark.databases("postgresql")
on_sqlite = pytest.mark.databases("sqlite")
on_mariadb = pytest.mark.databases("mariadb")


class Shop:
    """The example shop after its three deployments, on a database of the tests."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.acceptance.shop_variant"}
        self.connect()
        code = "import django; django.setup(); from example_project import history; history.build()"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=self.environment, check=True, timeout=120)
        self.before = everything(database.connection)
        self.typed: list[str] = []

    def connect(self, user: str = "") -> None:
        """As whom the shop connects."""
        settings = self.database.connection.settings_dict
        if self.database.vendor == "sqlite":
            url = f"sqlite://{settings['NAME']}"
        else:
            user = user or settings["USER"]
            url = f"{self.database.vendor}://{user}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
        self.environment["EXAMPLE_DATABASE_URL"] = url

    def sql(self, *statements: str) -> None:
        with self.database.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        self.before = everything(self.database.connection)
        self.database.connection.close()

    @contextmanager
    def running(self, line: str) -> Iterator[subprocess.Popen[str]]:
        words = [sys.executable if word == "python" else word for word in shlex.split(line)]
        with subprocess.Popen(
            words,
            cwd=ROOT,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            yield process

    def types(self, line: str, meanwhile: Callable[[subprocess.Popen[str]], None] = lambda process: None) -> int:
        """Run a line, note what it prints, and return its exit status."""
        with self.running(line) as process:
            meanwhile(process)
            said, _ = process.communicate(timeout=120)
        killed = "Killed\n" if process.returncode == -signal.SIGKILL else ""  # says the shell
        self.typed.append(f"$ {line}\n{self.in_one_form(said)}{killed}")
        return process.returncode

    def in_one_form(self, text: str) -> str:
        """With the same names everywhere, and wrapped as these are long."""
        text = unwrapped(text)
        settings = self.database.connection.settings_dict
        place = f"{settings['NAME']} on {settings['HOST']}:{settings['PORT']}"
        for found, shown in [
            (re.escape(place), "shop on localhost"),
            (re.escape(str(settings["NAME"])), "shop"),
            (r"process \d+ of postgres", "process 4711 of postgres"),
            (r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "since 2024-05-15 12:30:02 UTC"),
        ]:
            text = re.sub(found, shown, text)
        return as_message(text) + "\n" if text else ""

    def unchanged(self) -> bool:
        self.database.connection.close()
        return bool(everything(self.database.connection) == self.before)

    @contextmanager
    def locked(self, statement: str) -> Iterator[None]:
        """Somebody else has begun a transaction, and gone to lunch."""
        other = self.database.connection.copy()
        other.set_autocommit(False)
        try:
            with other.cursor() as cursor:
                cursor.execute(statement)
                yield
        finally:
            other.rollback()
            other.close()


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def shown(shop: Shop, name: str) -> None:
    """What was typed and said stands on the page, to the letter."""
    text = PAGE.read_text()
    transcript = f"```console\n{''.join(shop.typed)}```\n"
    renewed = BLOCK.sub(lambda block: f"{block[1]}{transcript if block[2] == name else block[3]}{block[4]}", text)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        PAGE.write_text(renewed)
    assert f"<!-- failure: {name} -->" in text
    assert renewed == text


@on_postgresql
def test_a_constraint(shop: Shop) -> None:
    shop.sql("ALTER TABLE orders_order ADD CONSTRAINT lower_case CHECK (status = lower(status))")
    assert shop.types(COMMAND) == 1
    assert shop.unchanged()
    shown(shop, "constraint")


@on_postgresql
def test_a_locked_table(shop: Shop) -> None:
    with shop.locked("LOCK TABLE orders_order IN SHARE MODE"):
        assert shop.types(f"{COMMAND} --lock-timeout 0.2 --retries 1") == 4
    assert shop.unchanged()
    shown(shop, "locked-table")


@on_postgresql
def test_a_locked_history(shop: Shop) -> None:
    with shop.locked("LOCK TABLE django_migrations IN SHARE MODE"):
        assert shop.types(f"{COMMAND} --lock-timeout 0.2") == 4
    assert shop.unchanged()
    shown(shop, "locked-history")


@on_postgresql
def test_a_statement_timeout(shop: Shop) -> None:
    shop.sql(SLOW.format(statement="PERFORM pg_sleep(60)"))
    assert shop.types(f"{COMMAND} --statement-timeout 2") == 1
    assert shop.unchanged()
    shown(shop, "statement-timeout")


@on_postgresql
def test_a_lost_connection(shop: Shop) -> None:
    shop.sql(SLOW.format(statement="PERFORM pg_terminate_backend(pg_backend_pid())"))
    assert shop.types(COMMAND) == 1
    assert shop.unchanged()
    shown(shop, "lost-connection")


@on_sqlite
def test_a_full_disk(shop: Shop) -> None:
    shop.sql("""
        INSERT INTO orders_order (customer_id, placed, status, total, note)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9000)
        SELECT 1, '2024-05-15 12:00:00', 'open', 0, 'Please ring twice.' FROM numbers
    """)
    shop.environment["SHOP_INIT_COMMAND"] = "PRAGMA max_page_count = 1"  # SQLite takes it for what there are already
    assert shop.types(COMMAND) == 1
    assert shop.unchanged()
    shown(shop, "full-disk")


@on_postgresql
def test_a_missing_right(shop: Shop) -> None:
    user = f"{shop.database.connection.settings_dict['NAME']}_user"
    shop.sql(
        f"DROP ROLE IF EXISTS {user}",
        f"CREATE ROLE {user} LOGIN",
        f"GRANT ALL ON SCHEMA public TO {user}",
        *(f"ALTER TABLE {table} OWNER TO {user}" for table in shop.database.connection.introspection.table_names()),
        f"REVOKE UPDATE ON orders_order FROM {user}",
    )
    shop.connect(user)
    try:
        assert shop.types(COMMAND) == 1
        assert shop.unchanged()
    finally:
        shop.sql(f"DROP OWNED BY {user}", f"DROP ROLE {user}")
    shown(shop, "missing-right")


@on_sqlite
def test_reverse_code_that_raises(shop: Shop, tmp_path: Path) -> None:
    copied = shutil.copytree(ROOT / "example_project/orders/migrations", tmp_path / "careless")
    file = copied / "0005_lower_case_status.py"
    file.write_text(
        file.read_text().replace(
            "def upper_case(apps, schema_editor):\n",
            "def upper_case(apps, schema_editor):\n    {'paid': 'PAID'}['open']\n",
        )
    )
    shop.environment.update(SHOP_ORDERS_MIGRATIONS="careless", PYTHONPATH=str(tmp_path))
    assert shop.types(COMMAND) == 1
    assert shop.unchanged()
    shown(shop, "reverse-code")


@on_postgresql
def test_a_killed_process(shop: Shop) -> None:
    shop.sql(SLOW.format(statement="PERFORM pg_sleep(1)"))

    def kill(process: subprocess.Popen[str]) -> None:
        end = time.monotonic() + 60
        while not asleep(shop):
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()

    assert shop.types(COMMAND, kill) == -signal.SIGKILL
    while asleep(shop):  # the server notices when it wants to answer
        time.sleep(0.05)
    assert shop.unchanged()
    assert shop.types("python manage.py showmigrations orders") == 0
    shown(shop, "killed")


def asleep(shop: Shop) -> bool:
    with shop.database.connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND wait_event = 'PgSleep'"
        )
        return cursor.fetchone() is not None


@on_mariadb
def test_a_failure_half_way(shop: Shop) -> None:
    shop.sql("ALTER TABLE orders_order ADD CONSTRAINT lower_case CHECK (BINARY status = lower(status))")
    assert shop.types(COMMAND) == 1
    assert ("orders", "0006_invoice") not in keys(shop.database.alias)
    assert ("orders", "0005_lower_case_status") in keys(shop.database.alias)
    shop.sql("ALTER TABLE orders_order DROP CONSTRAINT lower_case")
    assert shop.types(COMMAND) == 0
    assert ("orders", "0004_order_note") not in keys(shop.database.alias)
    assert shop.types("python manage.py showmigrations orders") == 0
    shown(shop, "half-way")


def test_every_transcript_has_its_test() -> None:
    names = [block[2] for block in BLOCK.finditer(PAGE.read_text())]
    proven = re.findall(r'shown\(shop, "([^"]+)"\)', Path(__file__).read_text())
    assert sorted(names) == sorted(proven)
    assert all(block[3] for block in BLOCK.finditer(PAGE.read_text()))
