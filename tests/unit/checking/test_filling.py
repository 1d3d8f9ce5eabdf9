"""What the text of code tells: a column that the migration itself adds may be filled, and one that comes back be filled again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models
from django.db.migrations import Migration
from django.db.migrations.operations import AddField, RemoveField, RunPython, SeparateDatabaseAndState

from tests.support.checking_examples import reading, set_totals

MORE = AddField("Order", "more", models.IntegerField(null=True))
OTHER = AddField("Order", "other", models.IntegerField(null=True))
HEAD = """
import hashlib, logging
import shop.tools
from decimal import Decimal
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower as Smaller
from django.utils.text import slugify
from shop.tools import total_of
from . import tools

logger = logging.getLogger(__name__)


def helper(row): ...


def more(apps, schema_editor):
    Order = apps.get_model("orders", "Order")
    rows = Order.objects.using(schema_editor.connection.alias)
"""
ONLY_FILLS = [
    'rows.update(more=F("total"))',
    'rows.update(more=models.F("total"))',
    "rows.filter(total__gt=0).exclude(number=Smaller('number')).update(more=1)",
    "for row in rows.iterator():\n        row.more = int(Decimal(row.total))\n        row.save()",
    'for row in rows:\n        row.more = hashlib.sha256(row.number.encode()).digest()[0]; row.save(update_fields=["more"])',
    'batch = []\n    for row in rows:\n        batch.append(row)\n    rows.bulk_update(batch, ["more"], batch_size=len(batch))',
    'rows.bulk_update(list(rows), fields=("more",))\n    logger.info(slugify("done"))\n    [].append({}.get("".join([])))',
]
MAY_DO_MORE = [
    "rows.update(total=0)",
    "rows.update(more=1, total=0)",
    "rows.update(**{'more': 1})",
    "rows.update({'more': 1})",
    "rows.update(more=1)\n    rows.filter(total=0).delete()",
    "rows.update(more=1)\n    rows.create(number=1)",
    "rows.update(more=1)\n    helper(rows)",
    "rows.update(more=total_of(rows))",
    "rows.update(more=1)\n    shop.tools.sums()",
    "rows.update(more=1)\n    tools.sums()",
    "rows.update(more=1)\n    setattr(rows[0], 'total', 1)",
    "rows.update(more=1)\n    unknown(rows)",
    "rows.update(more=1)\n    schema_editor.execute('UPDATE x SET y = 1')",
    "rows.update(more=1)\n    schema_editor.alter_field(1, 2, 3)",
    "apps.get_model('orders', 'Other').objects.update(more=1)",
    "row = rows[0]\n    row.more = row.total = 1\n    row.save()",
    "row = rows[0]\n    row.more = 1\n    row.save(True)",
    "row = rows[0]\n    row.save(update_fields=rows.fields)",
    "row = rows[0]\n    row.save(**rows.options)",
    "rows.bulk_update(rows, rows.fields)",
    "rows.bulk_update(rows)",
    "rows.bulk_update(rows, ['more', str(rows)])",
    "rows.count()",
]


def made(body: str, head: str = HEAD) -> tuple[Callable[..., Any], str]:
    """A function `more` with this body, as one of the migration's own file, and the text of that."""
    text = f"{head}    {body}\n"
    function_text = text[text.index("def more") :]
    found: dict[str, Any] = {"__name__": Migration.__module__}
    exec(function_text, found)
    return found["more"], text


def ids(*operations: Any, text: str) -> list[str]:
    return [finding.id.removeprefix("rollback.") for finding in reading(*operations, text=text)]


@pytest.mark.parametrize("body", ONLY_FILLS)
def test_what_is_filled_goes_with_its_column(body: str) -> None:
    code, text = made(body)
    fills = RunPython(code, RunPython.noop)
    assert ids(MORE, fills, text=text) == []
    assert ids(MORE, OTHER, fills, text=text) == []
    assert ids(SeparateDatabaseAndState([MORE], [MORE]), fills, text=text) == []
    assert ids(OTHER, fills, text=text) == ["C002"]
    assert ids(fills, MORE, text=text) == ["C002"]
    assert ids(MORE, fills, text=f"{text}\n\n{text}") == ["C002"]  # which of the two it is, is not known
    assert ids(MORE, fills, text="") == ["C002"]


@pytest.mark.parametrize("body", MAY_DO_MORE)
def test_what_may_do_more_is_found(body: str) -> None:
    code, text = made(body)
    assert ids(MORE, RunPython(code, RunPython.noop), text=text) == ["C002"]


def test_code_that_asks_for_several_models_may_do_more() -> None:
    code, text = made('rows.update(more=1)\n    apps.get_model("orders", "Other")')
    assert ids(MORE, RunPython(code, RunPython.noop), text=text) == ["C002"]


def test_a_model_whose_name_is_not_written_out() -> None:
    code, text = made("rows.update(more=1)", HEAD.replace('"orders", "Order"', "settings.ORDER"))
    assert ids(MORE, RunPython(code, RunPython.noop), text=text) == []


def test_code_of_another_file_may_do_anything() -> None:
    _, text = made("rows.update(more=1)")
    assert ids(MORE, RunPython(set_totals, RunPython.noop), text=text) == ["C002"]
    assert ids(RunPython(RunPython.noop, set_totals), RemoveField("Order", "total"), text=text) == ["C003"]


def test_a_column_that_is_filled_when_it_comes_back_is_not_lost() -> None:
    code, text = made('rows.update(total=F("more"))')
    back = RunPython(set_totals, code)
    assert ids(MORE, back, RemoveField("Order", "total"), text=text) == []
    assert ids(back, RemoveField("Order", "number"), text=text) == ["C003"]
    assert ids(RemoveField("Order", "total"), text=text) == ["C003"]
    code, text = made('rows.update(total=F("more"))', HEAD.replace('"Order"', '"Other"'))
    assert ids(RunPython(set_totals, code), RemoveField("Order", "total"), text=text) == ["C003"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('if schema_editor:\n        schema_editor.execute("PRAGMA legacy_alter_table = OFF")', []),
        ('schema_editor.execute("SELECT 1"), schema_editor.execute("ANALYZE")', []),
        ('schema_editor.execute("UPDATE x SET y = 1")', ["C002"]),
        ('schema_editor.execute("SELECT 1"), schema_editor.execute("DELETE FROM x")', ["C002"]),
        ("schema_editor.execute(str(apps))", ["C002"]),
        ('schema_editor.execute("SELECT 1", [])', ["C002"]),
        ("execute = apps.x", ["C002"]),
    ],
)
def test_sql_that_leaves_nothing(body: str, found: list[str]) -> None:
    code, text = made(body, "def more(apps, schema_editor):\n")
    assert ids(RunPython(code, RunPython.noop), text=text) == found
