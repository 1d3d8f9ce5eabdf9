"""What the database server can do, and lets its user do."""

from __future__ import annotations

from collections.abc import Iterator

from rollback_app.planner import rights

from .findings import Finding, Judged, Level


def missing_rights(judged: Judged) -> Iterator[Finding]:
    needed = rights(judged.plan) if judged.count else ()
    for sentence in judged.inspector.missing_rights(needed) if needed else ():
        hint = "Run this as the user that runs your migrations, or give this one the right."
        yield Finding("rollback.E016", Level.BLOCKER, "", sentence, hint)


def not_all_or_nothing(judged: Judged) -> Iterator[Finding]:
    if judged.one_transaction or judged.plan.empty:
        return
    if judged.inspector.can_undo_ddl:
        reason = "With --step-by-step each migration is a transaction of its own"
        hint = "Leave --step-by-step away to have all or nothing."
    else:
        reason = f"{judged.inspector.vendor_name} cannot take back a change of a table"
        hint = "Take a backup first."
    text = f"{reason}: if a step fails, those before it stay undone."
    yield Finding("rollback.I004", Level.REMARK, "", text, hint)
