"""The project under `site`, with a schema for each customer, in a database of its own: made once, copied for each test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from tests.support.commands import Said, Text

SITE = Path(__file__).parent / "site"
KINDS = ("django_tenants", "django_pgschemas")
BETWEEN = "2024-05-05"  # of the two deployments
# What django-pgschemas does not take, needs quotes.
NAMES = {"django_tenants": ("alpha", "beta", "Tenant A"), "django_pgschemas": ("alpha", "beta")}
LATE = ["customers.0002_plan", "notes.0002_pinned", "shop.0003_price", "shop.0004_review", "shop.0005_prices_filled"]


class Tenants:
    """The project with a database. kind: the package that keeps the customers apart."""

    def __init__(self, kind: str, database: str) -> None:
        self.kind, self.database = kind, database
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            "TENANTS": kind,
            "TENANTS_DATABASE": database,
            "COLUMNS": "80",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }

    # Making

    def fill(self, *names: str) -> None:
        """Make these customers, each after both deployments, with rows of its own."""
        done = self._run([sys.executable, "fill.py", *names], TENANTS_ROLLBACK='{"RECORD": false, "HOLD": false}')
        assert done.returncode == 0, done.stdout + done.stderr

    # Running

    def manage(self, *args: str, **settings: Any) -> Said:
        """`python manage.py …`. settings: those of ROLLBACK."""
        return self._said([sys.executable, "manage.py", *args], args[0], settings)

    def inside(self, schema: str, command: str, *args: str, **settings: Any) -> Said:
        """The same in a customer's schema."""
        wrapper = "tenant_command" if self.kind == "django_tenants" else "runschema"
        words = [sys.executable, "manage.py", wrapper, command, *args, f"--schema={schema}"]
        return self._said(words, command, settings)

    def migrate(self, schema: str, *args: str, **settings: Any) -> Said:
        command = "migrate_schemas" if self.kind == "django_tenants" else "migrateschema"
        return self.manage(command, *args, f"--schema={schema}", **settings)

    def paste(self, line: str, **settings: Any) -> Said:
        """Run a line of a shell as it is."""
        words = line.strip().split()
        command = next((word for word in words[2:] if word not in ("tenant_command", "runschema")), "")
        return self._said(["sh", "-c", line.strip()], command, settings)

    def start(self, *args: str, **settings: Any) -> subprocess.Popen[str]:
        """The same as `manage`, and it is not waited for."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *args],
            cwd=SITE,
            env=self._with(settings),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _said(self, words: list[str], command: str, settings: dict[str, Any]) -> Said:
        done = self._run(words, **self._with(settings))
        return Said(done.returncode, Text(done.stdout), Text(done.stderr), command)

    def _with(self, settings: dict[str, Any]) -> dict[str, str]:
        return {**self.environment, "TENANTS_ROLLBACK": json.dumps(settings)}

    def _run(self, words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=SITE,
            env={**self.environment, **environment},
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
        )

    # Reading, and changing by hand

    @contextmanager
    def connected(self, schema: str = "public") -> Iterator[psycopg.Connection[Any]]:
        """With a search_path of this schema alone."""
        with connect(self.database) as connection:
            connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
            yield connection

    def ask(self, schema: str, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.connected(schema) as connection:
            found = connection.execute(statement.encode(), params or None)
            return found.fetchall() if found.description else []

    def tables(self, schema: str) -> list[str]:
        """And views."""
        query = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace = %s::regnamespace"
        return sorted(name for (name,) in self.ask(schema, query, f'"{schema}"'))

    def columns(self, schema: str, table: str) -> list[str]:
        query = "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = (%s, %s)"
        return sorted(name for (name,) in self.ask(schema, query, schema, table))

    def records(self, schema: str) -> list[str]:
        """app.name, in the order of django_migrations."""
        return [name for (name,) in self.ask(schema, "SELECT app || '.' || name FROM django_migrations ORDER BY id")]

    def contents(self, schema: str) -> dict[str, list[str]]:
        """All rows of all tables and views of a schema, as texts, and what each column is."""
        found = {}
        with self.connected(schema) as connection:
            for table in self.tables(schema):
                rows = connection.execute(
                    sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(table))
                ).fetchall()
                found[table] = [*self.columns(schema, table), *(row for (row,) in rows)]
        return found

    def differences(self, before: dict[str, dict[str, list[str]]]) -> list[str]:
        """The schemas that are not what they were."""
        return [schema for schema, contents in before.items() if self.contents(schema) != contents]


def connect(database: str) -> psycopg.Connection[Any]:
    url = urlsplit(os.environ["TEST_POSTGRES_URL"])
    return psycopg.connect(
        host=url.hostname,
        port=url.port or 5432,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        dbname=database,
        autocommit=True,
    )


def make_database(name: str, template: str = "template0") -> None:
    with connect("postgres") as connection:
        for each in (name, template):
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [each])
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
