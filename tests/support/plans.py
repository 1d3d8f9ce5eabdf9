"""Plans of any length as documents, made from plain data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import models
from django.db.migrations import Migration
from django.db.migrations.operations import AddField, CreateModel, RunPython
from django.db.migrations.operations.base import Operation

from rollback_app import reports
from rollback_app.history import Cut
from rollback_app.moments import Moment
from rollback_app.planner import plan
from rollback_app.reports import Report
from rollback_app.safety import Count, Finding, KeptKind, Level, Preview, ToKeep
from tests.support.plain import NOON, code, made, recorded

MARKUP = "<script>alert(1)</script><img src=//example.com/x>\"'&amp;"


def operations(app: str, number: int) -> Sequence[Operation]:
    name = f"field_{number}"
    if number == 1:
        return [CreateModel("T", [("id", models.BigAutoField(primary_key=True))])]
    if number % 7 == 0:
        return [RunPython(nothing, nothing)]
    return [AddField("T", name, models.IntegerField(null=True))]


def nothing(apps: Any, schema_editor: Any) -> None:
    """What a migration might run."""


def migrations(steps: int, apps: int) -> list[Migration]:
    """Of that many apps in turn; each depends on the one before it of its app, some on another app's."""
    found: list[Migration] = []
    for at in range(steps):
        app, number = f"app_{at % apps:02}", at // apps + 1
        depends = [f"{app}.{number - 1:04}_step"] if number > 1 else []
        if at % 11 == 5:
            depends.append(f"app_{(at - 1) % apps:02}.{(at - 1) // apps + 1:04}_step")
        found.append(made(f"{app}.{number:04}_step", *depends, operations=operations(app, number)))
    return found


def preview(steps: int, apps: int = 3, reason: str = "") -> Preview:
    """Everything is undone but one migration that makes a table; of every fifth step something is kept, and of some lost."""
    late = migrations(steps, apps)
    names = [f"{each.app_label}.{each.name}" for each in late]
    rows = recorded("base.0001_initial", late=names)
    basis = code(made("base.0001_initial", operations=operations("base", 1)), *late)
    found = plan(basis, rows, Cut(NOON))
    kept, findings = [], []
    for at, step in enumerate(found.steps):
        effect, name = step.effects[0], str(step.key)
        if at % 5 == 0 and effect.column:
            words = effect.words
            kept.append(
                ToKeep(KeptKind.COLUMN, name, effect.table, effect.column, words, rows=Count(1204), bytes=40_000)
            )
        elif at % 17 == 3:
            facts = {"effect": effect.words, "column": effect.column, "rows": 12, "exact": True}
            text = f"{name}: {effect.words}: 12 rows. {MARKUP}"
            findings.append(Finding("rollback.W001", Level.LOSS, name, text, "Keep it.", facts))
    moment = Moment("12:00", NOON, ZoneInfo("UTC"), "UTC")
    return Preview(
        "default",
        f"default: SQLite, {MARKUP}",
        moment,
        found,
        tuple(findings),
        True,
        NOON + timedelta(days=3),
        tuple(kept),
        reason=reason,
        backup_line="sqlite3 shop.sqlite3 '.backup shop.sqlite3.backup'",
    )


def document(steps: int, apps: int = 3) -> Report:
    line = 'python manage.py rollbackmigrationsafter "2024-05-01 12:00"'
    return reports.of_document(preview(steps, apps, reason=MARKUP), line, "rollback_app")
