"""How commands are spelled where a schema is one of many: plain text in, plain text out."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rollback_app.tenants import TenantSchema, spelled

SEVENTH = TenantSchema("tenant7", "migrate_schemas --schema=tenant7", "tenant_command", "--schema=tenant7")
PUBLIC = TenantSchema("public", "migrate_schemas --shared")


OFF = "python manage.py tenant_command migratehold --schema=tenant7 --off"


@pytest.mark.parametrize(
    ("text", "in_seventh", "in_public"),
    [
        (
            "To run it: python manage.py rollbackmigrationsafter last --plan",
            "To run it: python manage.py tenant_command rollbackmigrationsafter --schema=tenant7 last --plan",
            "To run it: python manage.py rollbackmigrationsafter last --plan",
        ),
        (
            "python manage.py migratehold --off && python manage.py migrate",
            f"{OFF} && python manage.py migrate_schemas --schema=tenant7",
            "python manage.py migratehold --off && python manage.py migrate_schemas --shared",
        ),
        ("`migrate` is held", "`migrate` is held", "`migrate` is held"),
        # About all schemas, or a whole database.
        ("python manage.py rollbackfleet --status",) * 3,
        ("python manage.py dbrestore --database default",) * 3,
    ],
)
def test_a_command(text: str, in_seventh: str, in_public: str) -> None:
    assert SEVENTH.spelled(text) == in_seventh
    assert PUBLIC.spelled(text) == in_public
    # What was spelled so already stays.
    assert SEVENTH.spelled(in_seventh) == in_seventh
    assert PUBLIC.spelled(in_public) == in_public


def test_an_option_that_the_wrapper_takes_for_itself() -> None:
    taken = TenantSchema("t7", "migrateschema -s t7", "runschema", "-s t7", (("--exclude", "--exclude-migration"),))
    line = "python manage.py rollbackmigrationsafter last --exclude shop"
    found = "python manage.py runschema rollbackmigrationsafter -s t7 last --exclude-migration shop"
    assert taken.spelled(line) == found
    assert taken.spelled(found) == found


@dataclass(frozen=True)
class Note:
    text: str
    number: int = 1


def test_all_texts_in_a_value() -> None:
    value = {"python": ["a", ("b", Note("c", 2)), None, 3], "kind": Note}
    assert spelled(value, str.upper) == {"python": ["A", ("B", Note("C", 2)), None, 3], "kind": Note}
