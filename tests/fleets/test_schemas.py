"""Schemas of a PostgreSQL database without a package for tenants: the settings' function says which there are."""

from __future__ import annotations

import os

import pytest

from tests.fleets.files import MIGRATIONS, MOMENT, TIMES, Fleet
from tests.support.commands import Text
from tests.tenants.project import Tenants, make_database

pytestmark = pytest.mark.databases("postgresql")
NAMES = ("one", "Tenant 2", r"back\slash")
SETTINGS = """
import os
from urllib.parse import unquote, urlsplit

SERVER = urlsplit(os.environ["TEST_POSTGRES_URL"])
DATABASES["default"] = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ["FLEET_DATABASE"],
    "USER": unquote(SERVER.username or ""),
    "PASSWORD": unquote(SERVER.password or ""),
    "HOST": SERVER.hostname,
    "PORT": SERVER.port or "",
    "OPTIONS": {"options": os.environ.get("FLEET_OPTIONS", "")},
}
"""
MEMBERS = """
from rollback_app.fleets import Member


def members():
    for name in {names!r}:
        yield Member(name, schema=name)
"""


@pytest.fixture
def schemas(fleet: Fleet) -> tuple[Fleet, Tenants]:
    """The project, and what reads its database."""
    from django.conf import settings

    name = f"rollback_tests_schemas_{settings.SUFFIX}"
    make_database(name)
    database = Tenants("django_tenants", name)
    fleet.settings(SETTINGS)
    fleet.environment["FLEET_DATABASE"] = name
    (fleet.folder / "fleet.py").write_text(MEMBERS.format(names=NAMES))
    for schema in NAMES:
        database.ask("public", f'CREATE SCHEMA "{schema}"')
        path = '"' + schema.replace("\\", r"\\").replace(" ", r"\ ") + '"'
        made = fleet.manage("migrate", "-v", "0", FLEET_OPTIONS=f"-c search_path={path}")
        assert made.returncode == 0, made.stderr
        for migration, applied in zip(MIGRATIONS, TIMES, strict=True):
            database.ask(schema, f"UPDATE django_migrations SET applied = '{applied}+00' WHERE name = '{migration}'")
        database.ask(schema, "INSERT INTO shop_item (name, price) VALUES ('pen', 3)")
    return fleet, database


def test_each_schema_is_rolled_back_in_its_own_place(schemas: tuple[Fleet, Tenants]) -> None:
    fleet, database = schemas
    done = fleet.roll_back(MOMENT, workers=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Takes back 3 members in 1 group" in Text(done.stdout)
    for schema in NAMES:
        assert database.columns(schema, "shop_item") == ["id", "name"]
        assert "shop_tag" not in database.tables(schema)
        assert "rollback_app_run" in database.tables(schema)
        assert database.records(schema) == ["shop.0001_initial"]
    assert database.tables("public") == ["rollback_app_fleet", "rollback_app_fleetrun"]


def test_a_schema_that_is_not_there(schemas: tuple[Fleet, Tenants]) -> None:
    fleet, database = schemas
    database.ask("public", 'DROP SCHEMA "Tenant 2" CASCADE')
    found = fleet.as_json(MOMENT, "--max-failures", "1")
    assert found["without_plan"] == [{"name": "Tenant 2", "error": "There is no schema 'Tenant 2' in default."}]
    assert found["outcome"] == "failed"
    assert database.records("one") == ["shop.0001_initial"]


def test_a_server_that_cannot_be_reached(schemas: tuple[Fleet, Tenants]) -> None:
    fleet, _ = schemas
    fleet.environment["TEST_POSTGRES_URL"] = "postgres://nobody@127.0.0.1:9/"
    refused = fleet.roll_back()
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert os.environ["TEST_POSTGRES_URL"] != fleet.environment["TEST_POSTGRES_URL"]


def test_the_state_cannot_be_written(schemas: tuple[Fleet, Tenants]) -> None:
    fleet, database = schemas
    database.ask("public", "CREATE VIEW rollback_app_fleet AS SELECT 1 AS id")
    refused = fleet.roll_back()
    assert refused.returncode == 1
    assert "The state of the fleet, in default, cannot be read or written" in Text(refused.stderr)
    assert database.records("one") == [f"shop.{name}" for name in MIGRATIONS]
