"""A finding of each check of migrations, about the shop: the examples on the pages of docs/reference/findings, and what each
check must find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import models
from django.db.migrations import Migration
from django.db.migrations.operations import (
    AlterField,
    DeleteModel,
    RemoveField,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation

from rollback_app.checking import Finding, Source, looked_at, plan_of, read_through
from rollback_app.planner import Names
from tests.support.finding_examples import INITIAL, LATE, ORDER, fill_totals
from tests.support.plain import code, key, made

FILE = "orders/migrations/0007_invoices.py"
CUSTOMERS = "customers.0001_initial"
USES_CUSTOMERS = """\
from django.db import migrations


def fill_totals(apps, schema_editor):
    Customer = apps.get_model("customers", "Customer")


class Migration(migrations.Migration):
    operations = [
        migrations.RunPython(fill_totals, migrations.RunPython.noop),
    ]
"""


def empty_totals(apps: Any, schema_editor: Any) -> None:
    """A reverse that does nothing, in other words than noop."""


def set_totals(apps: Any, schema_editor: Any) -> None:
    apps.get_model("orders", "Order").objects.update(total=0)


set_totals.__module__ = "shop.orders.migrations.0007_invoices"


def reading(
    *operations: Operation,
    text: str = "",
    others: Sequence[Migration] = (),
    kept: bool = False,
    required: Sequence[str] = (),
    **attributes: Any,
) -> list[Finding]:
    """What is found in a newest migration of these operations, with this text and these attributes."""
    newest = made(LATE, INITIAL, operations=operations)
    vars(newest).update(attributes)
    plan = plan_of(code(made(INITIAL, operations=[ORDER]), newest, *others), [key(INITIAL)], Names())
    (looked,) = looked_at(
        plan, [key(LATE)], Names(), lambda migration: Source(FILE, text), kept=kept, required=required
    )
    return read_through(looked)


EXAMPLES: dict[str, Callable[[], Sequence[Finding]]] = {
    "C001": lambda: reading(RunPython(fill_totals)),
    "C002": lambda: reading(RunPython(set_totals, RunPython.noop)),
    "C003": lambda: reading(DeleteModel("Order")),
    "C004": lambda: reading(AlterField("Order", "number", models.CharField(max_length=10, unique=True))),
    "C005": lambda: reading(RunSQL("DROP TABLE orders_old CASCADE", "SELECT 1")),
    "C006": lambda: reading(RunPython(lambda apps, schema_editor: apps.clear(), set_totals)),
    "C007": lambda: reading(RunSQL("SELECT 1", "DELETE FROM orders_log; COMMIT")),
    "C008": lambda: reading(
        AddIndexConcurrently("Order", models.Index(fields=["total"], name="orders_by_total")), atomic=True
    ),
    "C009": lambda: reading(text=USES_CUSTOMERS, others=[made(CUSTOMERS)]),
    "C030": lambda: reading(RemoveField("Order", "total"), required=["release"], breaking=True),
    "C031": lambda: reading(SeparateDatabaseAndState([DeleteModel("Order")], []), breaking=False)[-1:],
    "C032": lambda: reading(breaking="yes"),
}
