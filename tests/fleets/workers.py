"""Fleets for the workers of a back end of tasks: files, or databases of a PostgreSQL server; and workers that may be killed."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.fleets.files import MIGRATIONS, NAME, TIMES, Fleet
from tests.support.projects import migration

SECONDS = 90  # until a test no longer waits
WITH_TASKS = """
INSTALLED_APPS += ["django.contrib.contenttypes", "django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
"""
DB_WORKER = ("db_worker", "--interval", "0.2", "--no-startup-delay", "--no-reload")
# Nobody wants to wait as long as the real ones are.
SHORT = """

from importlib import import_module

import_module("rollback_app.bookkeeping.fleets").LEASE = 3.0
import_module("rollback_app.fleets.work").BEAT = 0.5
import_module("rollback_app.fleets.tasks").CHUNK = 2.0
import_module("rollback_app.fleets.tasks").WATCH = 3.0
"""


def with_tasks(fleet: Fleet, settings: str = WITH_TASKS, *, seconds: float = 0.0) -> Fleet:
    """seconds: that each member takes besides."""
    fleet.settings(settings)
    file = fleet.folder / "fleet.py"
    file.write_text(file.read_text() + SHORT)
    if seconds:
        before = f"import time\n\ndef slowly(apps, schema_editor):\n    time.sleep({seconds})\n"
        operations = (
            f'migrations.AlterField("item", "name", {NAME.format(", null=True")}), '
            "migrations.RunPython(migrations.RunPython.noop, slowly)"
        )
        text = migration(operations, [("shop", "0002_price")], before=before)
        (fleet.folder / "shop/migrations/0003_name.py").write_text(text)
    if "django_tasks_db" in settings:
        done = fleet.manage("migrate", "django_tasks_database", "-v", "0")
        assert done.returncode == 0, done.stderr
    return fleet


class Workers:
    """So many processes that work on what is in the queue."""

    def __init__(self, fleet: Fleet, *words: str, number: int = 2) -> None:
        self.fleet, self.words, self.deaths = fleet, words or DB_WORKER, 0
        self.all = [self.start() for _ in range(number)]

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *self.words],
            cwd=self.fleet.folder,
            env=self.fleet.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self, number: int = 0) -> None:
        """With what it has forked, or that alone, as it happens."""
        victim = self.all[number]
        forked = Path(f"/proc/{victim.pid}/task/{victim.pid}/children").read_text().split()
        for child in forked:
            os.kill(int(child), signal.SIGKILL)
        if not forked or random.random() < 0.5:
            victim.kill()
            victim.wait()
            self.all[number] = self.start()
        self.deaths += 1

    def stop(self) -> None:
        """As whoever runs them does: they end what they have begun, and write what they have covered."""
        for worker in self.all:
            worker.terminate()
        for worker in self.all:
            worker.wait(SECONDS)


@contextmanager
def working(fleet: Fleet, *words: str, number: int = 2) -> Iterator[Workers]:
    found = Workers(fleet, *words, number=number)
    try:
        yield found
    finally:
        found.stop()


def wait_until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError("that never happened")


def number_in(fleet: Fleet, *states: str) -> int:
    """How many members of the newest fleet are in these states; 0, if there is no fleet yet."""
    found = fleet.states_or_none() or {}
    return sum(state in states for state in found.values())


def ended(fleet: Fleet) -> bool:
    return fleet.home("SELECT ended FROM rollback_app_fleetrun ORDER BY id DESC")[0] != ("",)


def check_done(fleet: Fleet, names: Sequence[str]) -> None:
    """Each member was taken back, once."""
    assert {name: fleet.states()[name] for name in names} == dict.fromkeys(names, "done")
    for name in names:
        assert fleet.applied(name) == ["0001_initial"], name
        assert fleet.runs(name).count("finished") == 1, name


def check_done_or_untouched(fleet: Fleet, names: Sequence[str]) -> None:
    states = fleet.states()
    for name in names:
        done = states[name] == "done"
        assert fleet.applied(name) == (["0001_initial"] if done else [*MIGRATIONS]), (name, states[name])
        assert fleet.runs(name).count("finished") == done, name


SERVER_SETTINGS = """
import os

SECRET_KEY = "of the tests"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["shop", "rollback_app"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "PREFIX_home",
        "USER": "USERNAME",
        "HOST": "127.0.0.1",
        "PORT": os.environ.get("FLEET_PORT", "PORTNUMBER"),
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROLLBACK = {"FLEET": "fleet.members"}
"""
SERVER_FLEET = """
from pathlib import Path

from django.db import connections

from rollback_app.fleets import Member


def members():
    for name in sorted(file.name for file in Path(__file__).parent.glob("customers/*")):
        connections.settings.setdefault(name, {**connections.settings["default"], "NAME": f"PREFIX_{name}"})
        yield Member(name, name, shared=name == "shared")
"""


class ServerFleet(Fleet):
    """A database of a PostgreSQL server for each customer, and one for the state. url: how they are reached, perhaps through
    a pool; direct: how the tests reach them."""

    url: str
    direct: str
    prefix: str

    def prepare(self, url: str, direct: str, prefix: str) -> ServerFleet:
        self.url, self.direct, self.prefix = url, direct, prefix
        self.empty()
        words = {"PREFIX": prefix, "USERNAME": urlsplit(url).username or "", "PORTNUMBER": str(urlsplit(url).port)}
        for name, template in {"settings.py": SERVER_SETTINGS, "fleet.py": SERVER_FLEET}.items():
            (self.folder / name).write_text(re.sub("|".join(words), lambda word: words[word[0]], template))
        self.server(f"CREATE DATABASE {prefix}_home")
        done = self.manage("migrate", "shop", "-v", "0", FLEET_PORT=str(urlsplit(direct).port))
        assert done.returncode == 0, done.stderr
        for name, applied in zip(MIGRATIONS, TIMES, strict=True):
            self.home(f"UPDATE django_migrations SET applied = '{applied}+00' WHERE name = '{name}' RETURNING 1")
        self.home("INSERT INTO shop_item (name, price) VALUES ('pen', 3), ('ink', 0) RETURNING 1")
        self.home("INSERT INTO shop_tag (name) VALUES ('new') RETURNING 1")
        return self

    def empty(self) -> None:
        names = self.server(f"SELECT datname FROM pg_database WHERE datname LIKE '{self.prefix}%'")
        for (name,) in names:
            self.server(f"DROP DATABASE {name} WITH (FORCE)")

    def add(self, *names: str, at: int = 3) -> ServerFleet:
        for name in names:
            self.server(f"CREATE DATABASE {self.prefix}_{name} TEMPLATE {self.prefix}_home")
            self.file(name).touch()
        return self

    def file(self, name: str) -> Path:
        return self.customers / name

    def server(self, sql: str) -> list[tuple[Any, ...]]:
        return self._ask("postgres", sql)

    def home(self, sql: str) -> list[tuple[Any, ...]]:
        return self._ask(f"{self.prefix}_home", sql)

    def execute(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        return self._ask(f"{self.prefix}_{name}", sql)

    def states_or_none(self) -> dict[str, str] | None:
        there = self.home("SELECT to_regclass('rollback_app_fleet') IS NOT NULL")[0][0]
        return self.states() if there else None

    def runs(self, name: str) -> list[str]:
        there = self.execute(name, "SELECT to_regclass('rollback_app_run') IS NOT NULL")[0][0]
        return [each for (each,) in self.execute(name, "SELECT outcome FROM rollback_app_run")] if there else []

    def _ask(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(f"{self.direct}/{database}", autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []
