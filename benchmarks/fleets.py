"""python -m benchmarks.fleets [--sizes 10 100 1000] [--workers 2]: see README.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.measure import Cost, Project
from benchmarks.ways import CHANGES, MOMENT
from tests import servers

TABLES = 20
FIRST = "t00000"  # the schema of which the others are copies
LOOP = 4  # members on each connection, of what is too slow to be measured on all

SETTINGS = """
import os
from urllib.parse import urlsplit

URL = urlsplit(os.environ["BENCHMARK_DATABASE"])
SECRET_KEY = "benchmark"
USE_TZ = True
SHARED_APPS = ["django_tenants", "customers", "django.contrib.contenttypes", "rollback_app"]
TENANT_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
INSTALLED_APPS = [*SHARED_APPS, "django.contrib.auth", "shop"]
DATABASES = {"default": {
    "ENGINE": "django_tenants.postgresql_backend", "NAME": URL.path[1:], "USER": URL.username, "PASSWORD": URL.password,
    "HOST": URL.hostname, "PORT": URL.port,
}}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TENANT_MODEL, TENANT_DOMAIN_MODEL = "customers.Client", "customers.Domain"
TENANT_LIMIT_SET_CALLS = bool(os.environ.get("BENCHMARK_LIMIT_SET_CALLS"))
TENANT_MULTIPROCESSING_MAX_PROCESSES = int(os.environ.get("BENCHMARK_WORKERS", 2))
TENANT_MULTIPROCESSING_CHUNKS = 1
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
CUSTOMERS = """
from django_tenants.models import DomainMixin, TenantMixin


class Client(TenantMixin):
    auto_create_schema = False


class Domain(DomainMixin):
    pass
"""
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [{after}]
    operations = [{operations}]
"""
KEY = '("id", models.BigAutoField(primary_key=True))'
NAME = '("name", models.CharField(max_length=20))'
STEPS = (
    'migrations.AddField("T0", "a", models.IntegerField(default=3))',
    f'migrations.CreateModel("New", [{KEY}, {NAME}, ("t", models.ForeignKey("shop.T1", models.CASCADE))])',
    'migrations.AddIndex("T2", models.Index(fields=["name"], name="t2_name"))',
    'migrations.AlterField("T3", "name", models.CharField(max_length=50))',
    'migrations.RenameField("T4", "n", "m")',
)


def write(folder: Path) -> None:
    """The project: 20 tables, made by one migration, and five later ones that are undone."""
    first = [
        f'migrations.CreateModel("T{i}", [{KEY}, {NAME}, ("n", models.IntegerField(default=0))])' for i in range(TABLES)
    ]
    files = {
        "settings.py": SETTINGS,
        "manage.py": MANAGE,
        "customers/models.py": CUSTOMERS,
        "customers/__init__.py": "",
    }
    files |= {"shop/__init__.py": "", "shop/models.py": "", "shop/migrations/__init__.py": ""}
    for number, operations in enumerate([", ".join(first), *STEPS], 1):
        after = f'("shop", "{number - 1:04}_x")' if number > 1 else ""
        text = MIGRATION.replace("{after}", after).replace("{operations}", operations)
        files[f"shop/migrations/{number:04}_x.py"] = text
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# In processes of their own, in the folder of the project


def _setup() -> Any:
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    import django

    django.setup()
    from django.db import connection

    return connection


def make() -> None:
    """The shared schema, and the first customer's, after both deployments and with a few rows."""
    connection = _setup()
    from customers.models import Client  # type: ignore[import-not-found]
    from django.core.management import call_command

    call_command("makemigrations", "customers", verbosity=0)
    call_command("migrate_schemas", shared=True, verbosity=0)
    Client.objects.create(schema_name=FIRST)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {FIRST}")
    call_command("migrate_schemas", schema_name=FIRST, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET applied = '2024-01-01T00:00Z'")
    connection.set_schema(FIRST)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET applied = '2024-01-01T00:00Z'")
        cursor.execute("UPDATE django_migrations SET applied = %s WHERE app = 'shop' AND name > '0002'", [MOMENT])
        for i in range(TABLES):
            columns, values = {0: ("name, n, a", "'x', i, i"), 4: ("name, m", "'x', i")}.get(i, ("name, n", "'x', i"))
            cursor.execute(f"INSERT INTO shop_t{i} ({columns}) SELECT {values} FROM generate_series(1, 5) i")


def record(statements: str) -> None:
    """Roll the first customer back, keeping each statement that changes something; without book-keeping and verification."""
    connection = _setup()
    from django.core.management import call_command

    connection.set_schema(FIRST)
    kept = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(CHANGES):
            kept.append(context["cursor"].mogrify(sql, params) if params else sql)
        return execute(sql, params, many, context)

    quiet = {"verify": False, "journal": False, "keep": False, "hold": False, "count": False}
    with connection.execute_wrapper(keep):
        call_command("rollbackmigrationsafter", MOMENT, interactive=False, destroy_data=True, verbosity=0, **quiet)
    Path(statements).write_text(json.dumps(kept))


def bare(statements: str, first: str, last: str) -> None:
    """Those statements in one schema after the other, each in a transaction: nothing can be faster."""
    import psycopg

    sent = json.loads(Path(statements).read_text())
    with psycopg.connect(os.environ["BENCHMARK_DATABASE"], autocommit=True) as server:
        for number in range(int(first), int(last)):
            with server.transaction():
                server.execute(f'SET LOCAL search_path = "{_schema(number)}", public')
                for statement in sent:
                    server.execute(statement)


def left() -> None:
    """How many members are not rolled back."""
    connection = _setup()
    from customers.models import Client

    names = Client.objects.values_list("schema_name", flat=True)
    with connection.cursor() as cursor:
        late = 0
        for name in names:
            cursor.execute(f'SELECT count(*) > 0 FROM "{name}".django_migrations WHERE applied >= %s', [MOMENT])
            late += cursor.fetchone()[0]
    print(late)


def _schema(number: int) -> str:
    return f"t{number:05}"


# The databases


class Fleet:
    """A project, and databases with so many schemas; each way begins with a fresh copy of the same one."""

    def __init__(self, folder: Path, size: int, workers: int) -> None:
        self.folder, self.size, self.workers = folder, size, workers

    def project(self, name: str) -> Project:
        url = urlsplit(os.environ[servers.URLS["postgresql"]])
        return Project(self.folder, url._replace(path=f"/{name}").geturl())

    def fill(self) -> None:
        """The database of which copies are made: the first schema is dumped, and made again under the other names."""
        template = self.project("fleet_template")
        template.way("copy", "template0")
        template.run("-m", "benchmarks.fleets", "make")
        dump = self.program("pg_dump", "-n", FIRST, template.url)
        schemas = self.folder / "schemas.sql"
        with schemas.open("w") as file:
            for name in map(_schema, range(1, self.size)):
                file.write(dump.replace(FIRST, name))
                file.write(f"INSERT INTO public.customers_client (schema_name) VALUES ('{name}');\n")
            file.write("RESET ALL; ANALYZE;\n")
        self.program("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(schemas), template.url)
        schemas.unlink()

    def copy(self) -> Project:
        found = self.project("fleet_copy")
        found.way("copy", "fleet_template")
        self.program("psql", "-q", "-c", "CHECKPOINT", found.url)
        return found

    def catalog(self) -> str:
        query = "SELECT pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class WHERE relnamespace = 11 AND relkind = 'r'"
        return self.program("psql", "-Atc", query, self.project("fleet_template").url).strip()

    def program(self, *words: str) -> str:
        program = servers.programs("postgresql") / words[0]
        return subprocess.run([program, *words[1:]], check=True, capture_output=True, text=True).stdout

    def beside(self, what: Callable[[int], object], numbers: range) -> float:
        """Seconds until all of that is done, by so many workers."""
        start = time.perf_counter()
        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(what, numbers))
        return time.perf_counter() - start


# The ways: seconds for each member, and what there is to say


@dataclass(frozen=True)
class Found:
    way: str
    seconds: float  # for each member
    memory: float | None = None  # of the largest process, in MB
    words: str = ""


def ways(fleet: Fleet) -> Iterator[Found]:
    """The bare SQL comes first."""
    statements, project = fleet.folder / "statements.json", fleet.copy()
    project.run("-m", "benchmarks.fleets", "record", statements)  # in the first schema
    share = -(-(fleet.size - 1) // fleet.workers)

    def part(number: int) -> Cost:
        first, last = 1 + number * share, min(1 + (number + 1) * share, fleet.size)
        return project.run("-m", "benchmarks.fleets", "bare", statements, first, last)

    seconds = fleet.beside(part, range(fleet.workers))
    _check(project)
    yield Found("the SQL alone", seconds / (fleet.size - 1))

    project = fleet.copy()
    yield _ours(fleet, project, "`rollbackfleet --plan`", "--plan")
    yield _ours(fleet, project, "`rollbackfleet`")
    _check(project)
    project = fleet.copy()
    os.environ["BENCHMARK_LIMIT_SET_CALLS"] = "1"
    yield _ours(fleet, project, "the same, `TENANT_LIMIT_SET_CALLS = True`")
    del os.environ["BENCHMARK_LIMIT_SET_CALLS"]
    _check(project)

    # What is too slow to be measured on all: each on its own part.
    few, project = min(LOOP * fleet.workers, fleet.size // 3), fleet.copy()

    def loop(*words: str, first: int) -> float:
        def one(number: int) -> Cost:
            return project.manage(*words, f"--schema={_schema(number)}", "-v", "0")

        return fleet.beside(one, range(first, first + few)) / few

    seconds = loop("tenant_command", "rollbackmigrationsafter", MOMENT, "--no-input", first=0)
    yield Found("`tenant_command rollbackmigrationsafter` in a loop", seconds, words=f"of {few}")
    seconds = loop("migrate_schemas", "shop", "0001", first=few)
    yield Found("`migrate_schemas shop 0001 --schema=…` in a loop", seconds, words=f"of {few}")
    others = f"schema_name < '{_schema(2 * few)}' OR schema_name >= '{_schema(3 * few)}'"
    fleet.program("psql", "-q", "-c", f"DELETE FROM customers_client WHERE {others}", project.url)
    cost = project.manage("migrate_schemas", "shop", "0001", "--tenant", "--executor=multiprocessing", "-v", "0")
    yield Found("`migrate_schemas shop 0001 --tenant`", cost.seconds / few, words=f"of {few}, with its start")


def _ours(fleet: Fleet, project: Project, name: str, *words: str) -> Found:
    cost = project.manage("rollbackfleet", MOMENT, "--no-input", "--workers", fleet.workers, "-v", "0", *words)
    return Found(name, cost.seconds / fleet.size, cost.memory)


def _check(project: Project) -> None:
    if int(project._run(("-m", "benchmarks.fleets", "left"), subprocess.PIPE)[1]):  # noqa: SLF001
        raise RuntimeError("not all members are rolled back")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleets", description="Measures fleets; see README.md.")
    parser.add_argument("--sizes", nargs="+", type=int, default=[10, 100, 1000], help="Schemas, such as 5000")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    os.environ["BENCHMARK_WORKERS"] = str(options.workers)
    servers.start(["postgresql"])
    print("| schemas | catalog | way | seconds for each member | times the SQL | peak MB of a process |")
    print("|--:|--:|---|--:|--:|--:|")
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as temporary:
            fleet = Fleet(Path(temporary), size, options.workers)
            write(fleet.folder)
            fleet.fill()
            least = None
            for each in ways(fleet):
                least = least or each.seconds
                words = f"{each.way} ({each.words})" if each.words else each.way
                memory = f"{each.memory:.0f}" if each.memory else ""
                ratio = each.seconds / least
                print(
                    f"| {size} | {fleet.catalog()} | {words} | {each.seconds:.4f} | {ratio:.1f} | {memory} |",
                    flush=True,
                )


COMMANDS: dict[str, Callable[..., None]] = {each.__name__: each for each in (make, record, bare, left)}

if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
