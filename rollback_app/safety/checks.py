"""All checks, in the order in which their findings are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rollback_app.planner import Plan

from . import changes, destroyed, history_checks, losses, object_checks, reverse_checks, row_checks, server_checks
from .coming_back import Back
from .findings import Finding, Inspector, Judged, Level
from .kept import NOT_KEEPING, Keeping, ToKeep
from .nearest import with_nearest
from .recorded import RecordedObjects, parted

Check = Callable[[Judged], Iterator[Finding]]


def judge(
    plan: Plan,
    inspector: Inspector,
    *,
    one_transaction: bool,
    count: bool = True,
    keeping: Keeping = NOT_KEEPING,
    recorded: RecordedObjects | None = None,
    backs: Sequence[Back] = (),
) -> tuple[tuple[Finding, ...], tuple[ToKeep, ...], RecordedObjects | None]:
    """(all findings about a plan, blockers first; what the run keeps; `recorded`, with what hangs on what the plan changes).
    What several operations of a step give alike is one finding. recorded: the objects that the run brings back; None, if it
    shall not. backs: what the run puts back."""
    drops, changed = destroyed.found(
        plan.steps, inspector, keeping, count=count, one_transaction=one_transaction, resumes=plan.earlier.resumes
    )
    kept = [*(drop.keep for drop in drops if drop.keep), *changes.things(changed)]
    left, cared_for = parted(object_checks.found(plan, inspector), recorded, one_transaction=one_transaction)
    hanging = tuple(losses.hanging(left, kept, inspector, keeping))
    recorded = recorded and replace(recorded, hanging=cared_for)
    judged = Judged(plan, inspector, one_transaction, count, drops, hanging, changed, recorded, tuple(backs))
    findings = _found(CHECKS, judged)
    with_objects = [thing for each in hanging for thing in each.keep]
    return findings, (*kept, *with_objects, *losses.named(inspector, keeping)), recorded


def blockers(
    plan: Plan,
    inspector: Inspector,
    *,
    one_transaction: bool,
    count: bool = True,
    recorded: RecordedObjects | None = None,
) -> tuple[Finding, ...]:
    """The blockers among them, without counting what would be lost."""
    checks = [check for check in CHECKS if check is not row_checks.loss]
    left, _ = parted(object_checks.found(plan, inspector), recorded, one_transaction=one_transaction)
    found = _found(checks, Judged(plan, inspector, one_transaction, count, hanging=tuple(left)))
    return tuple(finding for finding in found if finding.level is Level.BLOCKER)


def _found(checks: Sequence[Check], judged: Judged) -> tuple[Finding, ...]:
    found: dict[tuple[str, str, str], Finding] = {}
    for finding in with_nearest(judged.plan, (finding for check in checks for finding in check(judged))):
        found.setdefault((finding.id, finding.about, finding.text), finding)
    return tuple(sorted(found.values(), key=lambda finding: list(Level).index(finding.level)))


CHECKS: tuple[Check, ...] = (
    reverse_checks.irreversible,
    reverse_checks.ends_the_transaction,
    reverse_checks.refuses_a_transaction,
    history_checks.ghosts,
    history_checks.unloadable,
    history_checks.dependants,
    history_checks.split_deployment,
    history_checks.excluded,
    history_checks.broken_off,
    history_checks.torn_squashes,
    history_checks.unclear_history,
    row_checks.would_fail,
    server_checks.read_only,
    server_checks.missing_rights,
    server_checks.of_other_schemas,
    history_checks.nothing_left,
    history_checks.asked_for_zero,
    history_checks.below_floor,
    row_checks.loss,
    object_checks.objects,
    object_checks.not_recorded,
    history_checks.packaged,
    history_checks.apps_to_zero,
    reverse_checks.reverses_nothing,
    reverse_checks.brings_back_empty,
    reverse_checks.cannot_be_judged,
    server_checks.not_all_or_nothing,
    history_checks.early_ghosts,
    reverse_checks.plain_twins,
    history_checks.near_the_moment,
    history_checks.faked,
)
