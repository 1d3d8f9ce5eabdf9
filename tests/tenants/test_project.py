"""The project of these tests is what it says."""

from __future__ import annotations

import pytest

from tests.tenants.project import KINDS, LATE, NAMES, Tenants

pytestmark = pytest.mark.databases("postgresql")


@pytest.mark.parametrize("tenants", KINDS, indirect=True)
def test_each_customer_has_migrated_twice_with_rows_of_its_own(tenants: Tenants) -> None:
    for name in NAMES[tenants.kind]:
        late = tenants.ask(
            name, "SELECT app || '.' || name FROM django_migrations WHERE applied > '2024-05-05' ORDER BY 1"
        )
        assert [each for (each,) in late] == LATE
        assert tenants.tables(name) == [
            *("django_content_type", "django_migrations", "notes_note"),
            *("shop_dear", "shop_product", "shop_review"),
        ]
        assert tenants.ask(name, "SELECT name, price FROM shop_dear") == [(f"lamp of {name}", 120)]
    assert "notes_note" in tenants.tables("public")
    assert "customers_plan" in tenants.tables("public")
    # As a real `migrate` sees it.
    for name in NAMES[tenants.kind]:
        done = tenants.migrate(name)
        assert "No migrations to apply" in done.out, done.all
        assert done.status == 0


@pytest.mark.parametrize("tenants", KINDS, indirect=True)
def test_more_customers_are_made_fast(tenants: Tenants) -> None:
    names = [f"customer_{number:03}" for number in range(100)]
    tenants.fill(*names)
    assert tenants.contents("customer_000").keys() == tenants.contents("customer_099").keys()
    assert tenants.ask("customer_099", "SELECT name FROM shop_dear") == [("lamp of customer_099",)]
