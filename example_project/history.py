"""Three deployments of the shop: which migrations each brought, when it was, and what was in the database afterwards.

`python -m example_project.history` makes the shop anew, in the file that example_project/settings.py names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


@dataclass(frozen=True)
class Deployment:
    """targets: (app, migration) to migrate to, in order. also: rows of squashes that came with this release, while their
    originals were there before. fill: what people did with the shop until the next one, given the models of that release."""

    release: str
    at: datetime
    targets: tuple[tuple[str, str], ...]
    fill: Callable[[Any], None]
    also: tuple[tuple[str, str], ...] = ()


def _fill_2_0(models: Any) -> None:
    user, category, product, order, line = (
        models(*name)
        for name in [
            ("accounts", "User"),
            ("catalog", "Category"),
            ("catalog", "Product"),
            ("orders", "Order"),
            ("orders", "OrderLine"),
        ]
    )
    ada, grace = (user.objects.create(username=name, email=f"{name}@example.com") for name in ("ada", "grace"))
    tea = category.objects.create(name="Tea")
    assam = product.objects.create(category=tea, name="Assam", sku="TEA-1", price=Decimal("7.50"))
    sencha = product.objects.create(category=tea, name="Sencha", sku="TEA-2", price=Decimal("9.90"))
    for customer, products in [(ada, [assam, assam, sencha]), (grace, [sencha])]:
        placed = order.objects.create(customer=customer, placed=datetime(2024, 3, 20, 12, tzinfo=timezone.utc))
        for bought in products:
            line.objects.create(order=placed, product=bought, quantity=1)


def _fill_2_1(models: Any) -> None:
    models("catalog", "Product").objects.update(stock=40)
    for order in models("orders", "Order").objects.all():
        order.total = sum(line.quantity * line.product.price for line in order.lines.all())
        order.save()


def _fill_2_2(models: Any) -> None:
    first, second = models("orders", "Order").objects.order_by("pk")
    for order, note in [(first, "Please ring twice."), (second, "A present: no invoice in the parcel.")]:
        order.note = note
        order.save()
    models("orders", "Invoice").objects.create(order=first, number="2024-0001", due_date=date(2024, 5, 31))
    models("accounts", "User").objects.filter(username="ada").update(loyalty_points=24)


def order_of_2_1(alias: str = DEFAULT_DB_ALIAS) -> None:
    """Release 2.1, started again after a rollback, takes an order."""
    targets = [key for deployment in DEPLOYMENTS[:2] for key in deployment.targets]
    models = MigrationLoader(connections[alias]).project_state(targets).apps.get_model
    placed, tea = datetime(2024, 5, 16, 9, tzinfo=timezone.utc), models("catalog", "Product").objects.get(sku="TEA-1")
    grace = models("accounts", "User").objects.get(username="grace")
    order = models("orders", "Order").objects.create(customer=grace, placed=placed, total=tea.price)
    models("orders", "OrderLine").objects.create(order=order, product=tea, quantity=1)


DEPLOYMENTS = (
    Deployment(
        "2.0",
        datetime(2024, 3, 4, 9, tzinfo=timezone.utc),
        (
            ("contenttypes", "0002_remove_content_type_name"),
            ("auth", "0012_alter_user_first_name_max_length"),
            ("accounts", "0001_initial"),
            ("catalog", "0001_squashed_0003_product_on_sale"),  # Django runs it, and records its originals
            ("orders", "0001_initial"),
        ),
        _fill_2_0,
    ),
    Deployment(
        "2.1",
        datetime(2024, 4, 8, 9, tzinfo=timezone.utc),
        (("catalog", "0004_product_stock"), ("orders", "0003_merge_doubled_lines")),
        _fill_2_1,
    ),
    Deployment(
        "2.2",
        datetime(2024, 5, 15, 9, tzinfo=timezone.utc),
        (("accounts", "0002_user_loyalty_points"), ("catalog", "0005_longer_prices"), ("orders", "0006_invoice")),
        _fill_2_2,
        also=(("catalog", "0001_squashed_0003_product_on_sale"),),
    ),
)


def build(alias: str = DEFAULT_DB_ALIAS, first: Sequence[tuple[str, str]] = ()) -> None:
    """Take an empty database through all deployments, with Django's own migrate, and let them be in the past. first: what the
    first one brought besides."""
    recorder = MigrationRecorder(connections[alias])
    stamped: set[tuple[str, str]] = {key for deployment in DEPLOYMENTS for key in deployment.also}
    for deployment in DEPLOYMENTS:
        for app, name in (*deployment.targets, *(first if deployment is DEPLOYMENTS[0] else ())):
            call_command("migrate", app, name, database=alias, verbosity=0, interactive=False)
        rows = [row for row in recorder.migration_qs.order_by("id") if (row.app, row.name) not in stamped]
        rows += [row for row in recorder.migration_qs if (row.app, row.name) in deployment.also]
        for seconds, row in enumerate(rows):
            recorder.migration_qs.filter(pk=row.pk).update(applied=deployment.at + timedelta(seconds=seconds))
            stamped.add((row.app, row.name))
        apps = MigrationLoader(connections[alias]).project_state(list(deployment.targets)).apps
        deployment.fill(apps.get_model)


if __name__ == "__main__":
    from pathlib import Path

    import django
    from django.conf import settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    Path(settings.DATABASES["default"]["NAME"]).unlink(missing_ok=True)
    django.setup()
    build()
