"""Checks of how operations are undone: no reverse, a reverse that does nothing, code, or a plain twin."""

from __future__ import annotations

from collections.abc import Iterator

from rollback_app.planner import Effect, Kind, Plan, Step

from .findings import Finding, Judged, Level

CHOOSE_LATER = "Choose a later moment, or restore a backup."


def irreversible(judged: Judged) -> Iterator[Finding]:
    for step, effect in _effects(judged.plan, Kind.IRREVERSIBLE):
        yield Finding(
            "rollback.E001",
            Level.BLOCKER,
            str(step.key),
            f"{step.key} {effect.words}.",
            f"{CHOOSE_LATER} To leave {step.key} applied, add --exclude {step.key}",
            {"operation": effect.index},
        )


def reverses_nothing(judged: Judged) -> Iterator[Finding]:
    for step, effect in _effects(judged.plan, Kind.NOOP):
        yield Finding("rollback.I002", Level.REMARK, str(step.key), f"{step.key} {effect.words}.")


def brings_back_empty(judged: Judged) -> Iterator[Finding]:
    filled = {id(back.effect) for back in judged.backs}
    for step, effect in _effects(judged.plan, Kind.MAKES):
        if id(effect) in filled:
            continue
        facts = {"table": effect.table, "column": effect.column, "effect": effect.words}
        yield Finding("rollback.I011", Level.REMARK, str(step.key), f"{step.key} {effect.words}.", "", facts)


def cannot_be_judged(judged: Judged) -> Iterator[Finding]:
    for kind in (Kind.CODE, Kind.RUNS_SQL, Kind.UNKNOWN):
        for step, effect in _effects(judged.plan, kind):
            text = f"{step.key} {effect.words}. Its effect on the data cannot be predicted."
            yield Finding("rollback.I003", Level.REMARK, str(step.key), text)


def plain_twins(judged: Judged) -> Iterator[Finding]:
    for step in judged.plan.steps if judged.one_transaction else ():
        for effect in step.effects:
            if effect.twin_waits:
                words = "runs SQL of its own" if effect.sql else effect.words
                text = f"{step.key} {words} without CONCURRENTLY: {effect.twin_waits} wait meanwhile."
                hint = "To run it concurrently, give up all-or-nothing with --step-by-step."
                yield Finding("rollback.I006", Level.REMARK, str(step.key), text, hint)


def ends_the_transaction(judged: Judged) -> Iterator[Finding]:
    for step in judged.plan.steps if judged.one_transaction else ():
        for effect in step.effects:
            if effect.ends_transaction:
                text = (
                    f"{step.key} runs SQL with {effect.ends_transaction}, which would end the transaction of the run"
                    " half-way."
                )
                hint = "Remove it from the reverse SQL, or give up all-or-nothing with --step-by-step."
                facts = {"operation": effect.index, "statement": effect.ends_transaction}
                yield Finding("rollback.E030", Level.BLOCKER, str(step.key), text, hint, facts)


def refuses_a_transaction(judged: Judged) -> Iterator[Finding]:
    """Without `atomic = False` it fails step by step too, and so it does with `migrate`."""
    for step in judged.plan.steps if judged.inspector.can_undo_ddl else ():
        for effect in step.effects:
            if effect.refuses_transaction and (judged.one_transaction or step.migration.atomic):
                text = f"{step.key} runs SQL with {effect.refuses_transaction}, which cannot run inside a transaction."
                atomic = "Set atomic = False in this migration, and give" if step.migration.atomic else "Give"
                hint = f"{atomic} up all-or-nothing with --step-by-step."
                facts = {"operation": effect.index, "statement": effect.refuses_transaction}
                yield Finding("rollback.E031", Level.BLOCKER, str(step.key), text, hint, facts)


def _effects(plan: Plan, kind: Kind) -> Iterator[tuple[Step, Effect]]:
    for step in plan.steps:
        for effect in step.effects:
            if effect.kind is kind:
                yield step, effect
