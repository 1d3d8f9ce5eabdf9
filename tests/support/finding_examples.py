"""A finding of each kind, about the shop, made from plain data: the examples on the pages of docs/reference/findings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import models
from django.db.migrations import Migration
from django.db.migrations.operations import (
    AddField,
    AlterField,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameModel,
    RunPython,
    RunSQL,
)
from django.db.migrations.operations.base import Operation

from rollback_app.history import Cut, Position, Record
from rollback_app.planner import Choices, Need, plan
from rollback_app.safety import (
    BackupFirst,
    Count,
    Fate,
    Finding,
    Keeping,
    Object,
    RecordedObjects,
    Violations,
    cannot_back_up,
    judge,
)
from tests.support.plain import CUT, NOON, code, key, made, recorded
from tests.unit.safety.test_checks import Facts

INITIAL, LATE = "orders.0001_initial", "orders.0007_invoices"
ORDER = CreateModel(
    "Order",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("number", models.CharField(max_length=20, unique=True)),
        ("total", models.DecimalField(max_digits=8, decimal_places=2)),
        ("customer", models.ForeignKey("orders.Order", models.CASCADE)),
    ],
)
INVOICE = CreateModel("Invoice", [("id", models.BigAutoField(primary_key=True))])
NOTE = AddField("Order", "note", models.TextField(default=""))
WIDER = AlterField("Order", "total", models.DecimalField(max_digits=12, decimal_places=4))
NO_FIELDS = "cannot be loaded here: No module named 'shop.fields'"
QUERY = 'SELECT id FROM "orders_order" WHERE …'


def fill_totals(apps: Any, schema_editor: Any) -> None:
    """What a migration of the shop might run."""


fill_totals.__module__ = "shop.orders.migrations.0007_invoices"


class Shop(Facts):
    """With what keeping asks for, too."""

    def key(self, table: str) -> tuple[str, ...]:
        return ("id",)

    def row_bytes(self, table: str, columns: Collection[str]) -> float:
        return 50.0

    def size(self, table: str) -> int:
        return 4096


def of(
    migrations: Sequence[Migration],
    rows: Sequence[Record],
    facts: Facts | None = None,
    choices: Choices | None = None,
    *,
    cut: Cut = CUT,
    one_transaction: bool = True,
    position: Position | None = None,
    keeping: Keeping | None = None,
    recorded: RecordedObjects | None = None,
    **packages: Any,
) -> Sequence[Finding]:
    made_plan = plan(replace(code(*migrations), **packages), rows, cut, choices or Choices(), position=position)
    findings, *_ = judge(
        made_plan,
        facts or Shop(),
        one_transaction=one_transaction,
        keeping=keeping or Keeping(wanted=False),
        recorded=recorded,
    )
    return findings


def undoing(*operations: Operation, facts: Facts | None = None, **options: Any) -> Sequence[Finding]:
    migrations = [made(INITIAL, operations=[ORDER]), made(LATE, INITIAL, operations=operations)]
    return of(migrations, recorded(INITIAL, late=[LATE]), facts, **options)


def in_the_way(need: Need, number: int, *operations: Operation, more: bool = False) -> Sequence[Finding]:
    return undoing(*operations, facts=Shop(in_the_way={need: Violations(Count(number, more), QUERY)}))


def hanging(object: Object, **options: Any) -> Sequence[Finding]:
    facts = Shop({"orders_order": 2}, {("orders_order", "note"): Count(0)}, hanging={"orders_order.note": object})
    return undoing(NOTE, facts=facts, **options)


def stopped(**options: Any) -> Sequence[Finding]:
    """An earlier run stopped inside the newest migration."""
    position = Position(key(LATE), (2,), 1, command="python manage.py rollbackmigrationsafter last")
    return undoing(NOTE, INVOICE, facts=Shop(can_undo_ddl=False), one_transaction=False, position=position, **options)


def restored() -> Sequence[Finding]:
    position = replace(Position(key(LATE), (2,), 1), restored=True)
    return undoing(NOTE, facts=Shop(can_undo_ddl=False), one_transaction=False, position=position)


def depending(**options: Any) -> Sequence[Finding]:
    """An older migration of another app that depends on the newest one."""
    migrations = [made(INITIAL), made(LATE, INITIAL), made("billing.0002_total", LATE)]
    return of(migrations, recorded(INITIAL, "billing.0002_total", late=[LATE]), **options)


def split() -> Sequence[Finding]:
    rows = [
        Record(1, key(INITIAL), NOON - timedelta(hours=3)),
        Record(2, key("orders.0002_total"), NOON - timedelta(minutes=1)),
        Record(3, key(LATE), NOON),
    ]
    graph = [made(INITIAL), made("orders.0002_total", INITIAL), made(LATE, "orders.0002_total")]
    return of(graph, rows)


def torn() -> Sequence[Finding]:
    names = ["orders.0002_total", "orders.0003_note"]
    return of(
        [made(INITIAL), made("orders.0002_squashed_0003_note", INITIAL, replaces=names)],
        recorded(INITIAL, names[0], late=names[1:]),
    )


def to_the_second() -> Sequence[Finding]:
    rows = [*recorded(INITIAL), Record(2, key(LATE), NOON - timedelta(milliseconds=400))]
    return of([made(INITIAL), made(LATE, INITIAL)], rows, cut=Cut(NOON, precision=timedelta(seconds=1)))


def to_zero() -> Sequence[Finding]:
    cut = Cut(NOON, kept=frozenset([key("users.0001_initial")]), zero=True)
    return of([made(INITIAL), made("users.0001_initial")], recorded("users.0001_initial", INITIAL), cut=cut)


BACK = [made(INITIAL), made(LATE, INITIAL)]
EXAMPLES: dict[str, Callable[[], Sequence[Finding]]] = {
    "E001": lambda: undoing(RunPython(fill_totals)),
    "E002": lambda: of([made(INITIAL)], recorded(INITIAL, late=[LATE])),
    "E003": depending,
    "E004": split,
    "E005": lambda: depending(choices=Choices(exclude=("billing",))),
    "E006": torn,
    "E007": lambda: of(
        [made(INITIAL, operations=[ORDER]), made(LATE, INITIAL, operations=[NOTE])], recorded(late=[LATE])
    ),
    "E008": restored,
    "E009": lambda: of([made(INITIAL)], recorded(INITIAL, late=[LATE]), unloadable={key(LATE): NO_FIELDS}),
    "E010": lambda: in_the_way(Need.FEW_ROWS, 7, RemoveField("Order", "total")),
    "E011": lambda: in_the_way(Need.UNIQUE, 4, AlterField("Order", "number", models.CharField(max_length=20))),
    "E012": lambda: in_the_way(Need.FITS, 3, WIDER),
    "E013": lambda: in_the_way(
        Need.POINTS,
        2,
        AlterField("Order", "customer", models.ForeignKey("orders.Order", models.CASCADE, db_constraint=False)),
    ),
    "E014": lambda: in_the_way(Need.CHECK, 1, WIDER),
    "E015": lambda: in_the_way(Need.FREE_TABLE, 1, RenameModel("Order", "Purchase")),
    "E016": lambda: undoing(NOTE, facts=Shop(lacking=["shop_ro does not own orders_order."])),
    "E017": lambda: undoing(NOTE, facts=Shop(why_read_only="The server is a standby.")),
    "E018": lambda: [*cannot_back_up(BackupFirst("django-dbbackup", 40_000_000_000, 12_000_000_000))],
    "E019": lambda: undoing(
        NOTE,
        facts=Shop(
            elsewhere=["Table orders_order is not in schema tenant7: the run would change the one of schema public."]
        ),
    ),
    "E020": lambda: hanging(Object("view", "reports.notes", Fate.STOPS, what="it uses the column")),
    "E030": lambda: undoing(RunSQL("", "DELETE FROM orders_log; COMMIT")),
    "E031": lambda: undoing(RunSQL("", "VACUUM")),
    "W001": lambda: undoing(INVOICE, facts=Shop({"orders_invoice": 40_000_000}), keeping=Keeping()),
    "W002": lambda: of([made(INITIAL)], recorded(late=[INITIAL])),
    "W003": to_zero,
    "W004": lambda: undoing(NOTE, choices=Choices(floor=(LATE,))),
    "W010": lambda: in_the_way(Need.KEPT, 12, WIDER),
    "W011": lambda: in_the_way(Need.READABLE, 2, WIDER),
    "W020": lambda: hanging(Object("view", "reports.notes", Fate.GOES)),
    "W021": lambda: hanging(Object("view", "notes", Fate.BREAKS, "CREATE VIEW …"), keeping=Keeping()),
    "I001": lambda: of([made("users.0001_initial"), made(INITIAL)], recorded("users.0001_initial", late=[INITIAL])),
    "I002": lambda: undoing(RunPython(fill_totals, RunPython.noop)),
    "I003": lambda: undoing(RunSQL("", "UPDATE orders_order SET total = 0")),
    "I004": lambda: undoing(one_transaction=False, facts=Shop(can_undo_ddl=False)),
    "I005": lambda: of(BACK, recorded(INITIAL, "blog.0001_initial", late=[LATE])),
    "I006": lambda: undoing(AddIndexConcurrently("Order", models.Index(fields=["total"], name="orders_by_total"))),
    "I007": to_the_second,
    "I008": lambda: undoing(NOTE, choices=Choices(fake=(LATE,))),
    "I009": lambda: of([made(INITIAL), made(LATE, INITIAL)], recorded(late=[LATE])),
    "I010": stopped,
    "I011": lambda: undoing(DeleteModel("Order")),
    "I012": lambda: of(BACK, recorded(INITIAL, late=[LATE]), packaged={key(LATE): "shop-2.2.zip"}),
    "I020": lambda: in_the_way(
        Need.UNIQUE, 0, AlterField("Order", "number", models.CharField(max_length=20)), more=True
    ),
    "I021": lambda: hanging(Object("view", "reports.notes", Fate.GOES, "CREATE VIEW …"), keeping=Keeping()),
    "I022": lambda: undoing(NOTE, recorded=RecordedObjects()),
}
