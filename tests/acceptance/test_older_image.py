"""The older image undoes the newer one by itself: two checkouts of the example shop, each in processes of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.checkouts import Checkout, newer, older
from tests.support.databases import Database
from tests.support.history import keys

RECIPE = "python manage.py checkschema || python manage.py rollbackmigrationsafter here --no-input"


@pytest.fixture
def images(tmp_path: Path, database: Database) -> tuple[Checkout, Checkout]:
    """(2.1, 2.2)."""
    return older(tmp_path / "older", database), newer(tmp_path / "newer", database)


def test_starting_it_is_enough(images: tuple[Checkout, Checkout], database: Database) -> None:
    old, new = images
    for image in images:
        image.rollback["PACKAGE"] = True
    assert old.run("python manage.py migrate").returncode == 0
    before = keys(database.alias)
    assert new.run("python manage.py migrate").returncode == 0
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO catalog_category (name) VALUES ('Tea')")
    said = old.run(f"{RECIPE} && python manage.py checkschema")
    assert said.returncode == 0, said.stderr
    assert "Done: 5 migrations unapplied on default" in said.stdout
    assert said.stdout.endswith("This code runs on the database as it is (11 tables).\n")
    assert keys(database.alias) == before
