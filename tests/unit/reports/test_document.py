"""What a document says of a plan that is not like most."""

from __future__ import annotations

from dataclasses import replace

from rollback_app import reports
from rollback_app.compatibility import Verdict
from rollback_app.planner import plan
from rollback_app.safety import BackupFirst, Defined, Preview, RecordedObjects
from tests.support import plans
from tests.support.plain import CUT, NOON, code, made, recorded


def said(preview: Preview) -> str:
    report = reports.of_document(preview, "python manage.py rollbackmigrationsafter last", "rollback_app", holds=False)
    return reports.FORMATS["markdown"](report, lambda _, text: text)


def test_squashes_that_are_forgotten() -> None:
    graph = code(made("a.1"), made("a.2", "a.1"), made("a.sq", replaces=["a.1", "a.2"]))
    found = plan(graph, recorded("a.1", late=["a.2", "a.sq"]), CUT)
    assert (
        "\n\nForgets squashes (records only; the migrations that they replace stay applied):\n\n- `a.sq`\n"
    ) in said(replace(plans.preview(2), plan=found))


def test_views_that_come_back() -> None:
    then = RecordedObjects(NOON, then=(Defined("view", "paid_orders", "SELECT 1"),))
    text = said(replace(plans.preview(2), recorded=then))
    assert "\n## Views, functions and triggers\n" in text
    assert "| view | `paid_orders` | comes back |\n" in text
    assert "## Views" not in said(replace(plans.preview(2), recorded=RecordedObjects(NOON)))


def test_a_verdict_that_is_not_known() -> None:
    text = said(replace(plans.preview(2), verdict=Verdict(unclear="KeyError: x")))
    assert "\nWhether the older release would run without it is not known: KeyError: x.\n" in text


def test_a_run_that_takes_a_backup_needs_no_line_for_one() -> None:
    preview = replace(plans.preview(2), backup=BackupFirst("django-dbbackup"))
    assert "- [ ] The run takes a backup first, by django-dbbackup: know how to restore it.\n" in said(preview)
    assert preview.backup_line not in said(preview)
    assert preview.backup_line in said(plans.preview(2))


def test_nothing_was_ever_applied() -> None:
    text = said(replace(plans.preview(2), plan=plan(code(), [], CUT), kept=(), findings=()))
    assert "## Deployments" not in text
    assert "## Before" not in text
    assert "## Steps" not in text
