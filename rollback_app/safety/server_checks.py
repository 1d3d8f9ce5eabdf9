"""Checks of what the database server can do, and of what its user may do."""

from __future__ import annotations

from collections.abc import Iterator

from rollback_app.planner import Right, rights

from .findings import Finding, Judged, Level


def missing_rights(judged: Judged) -> Iterator[Finding]:
    needed = rights(judged.plan) if judged.count else ()
    for sentence in judged.inspector.missing_rights(needed) if needed else ():
        hint = "Run this as the user that runs your migrations, or grant this user the right."
        yield Finding("rollback.E016", Level.BLOCKER, "", sentence, hint)


def of_other_schemas(judged: Judged) -> Iterator[Finding]:
    changed = {table for table, right in rights(judged.plan) if right is not Right.CREATE}
    for sentence in judged.inspector.of_other_schemas(changed) if changed else ():
        hint = "Make the table in this schema, as its migrations do; or keep or fake the steps that change it: --exclude, --fake."
        yield Finding("rollback.E019", Level.BLOCKER, "", sentence, hint)


def read_only(judged: Judged) -> Iterator[Finding]:
    if not judged.plan.empty and (why := judged.inspector.read_only()):
        hint = "Run this where the database can be written to."
        yield Finding("rollback.E017", Level.BLOCKER, "", f"Nothing can be written to this database. {why}", hint)


def not_all_or_nothing(judged: Judged) -> Iterator[Finding]:
    if judged.one_transaction or judged.plan.empty:
        return
    if judged.inspector.can_undo_ddl:
        reason = "With --step-by-step, each migration is a transaction of its own"
        hint = "Without --step-by-step, the whole run is one transaction."
    else:
        reason = f"{judged.inspector.vendor_name} cannot undo DDL"
        hint = "Take a backup first."
    text = f"{reason}. If a step fails, the steps before it stay undone."
    yield Finding("rollback.I004", Level.REMARK, "", text, hint)
