"""All that steps destroy, and what of it is kept: of a plan, or of a migration that is about to be applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rollback_app.history import Position
from rollback_app.planner import Step

from . import changes, losses
from .findings import Inspector
from .kept import Change, Drop, Keeping, ToKeep


def found(
    steps: Sequence[Step],
    inspector: Inspector,
    keeping: Keeping,
    *,
    count: bool,
    one_transaction: bool,
    resumes: Position | None = None,
) -> tuple[tuple[Drop, ...], tuple[Change, ...]]:
    """(what these steps drop, what they cut or round). resumes: where in them an earlier run stopped, if it did."""
    drops = tuple(losses.found(steps, inspector, keeping, count=count))
    changed = changes.found(
        steps, inspector, keeping, drops, count=count, one_transaction=one_transaction, resumes=resumes
    )
    return drops, tuple(changed)


def by_applying(
    step: Step, inspector: Inspector, keeping: Keeping, *, one_transaction: bool
) -> tuple[tuple[ToKeep, ...], tuple[str, ...]]:
    """(what is kept of what applying a migration destroys; what of it is not, and why, in words). step: as `planner.applied`
    gives it."""
    drops, changed = found([step], inspector, keeping, count=True, one_transaction=one_transaction)
    kept = [*(drop.keep for drop in drops if drop.keep), *changes.things(changed)]
    return tuple(kept), tuple(_not_kept(drops, changed))


def _not_kept(drops: Sequence[Drop], changed: Sequence[Change]) -> Iterator[str]:
    for drop in drops:
        if drop.why_not and drop.count and not drop.count.lossless:
            yield f"{drop.table}.{drop.column}: {drop.why_not}" if drop.column else f"{drop.table}: {drop.why_not}"
    for change in changed:
        if change.why_not and not change.violations.count.lossless:
            yield f"{change.requirement.today}.{change.requirement.column}: {change.why_not}"
