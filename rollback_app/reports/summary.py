"""The first lines of a plan: what will happen, in two sentences or three."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rollback_app.compatibility import Outcome
from rollback_app.moments import ago
from rollback_app.planner import Plan, removes_data
from rollback_app.safety import Finding, Level, Preview

from .backup import first_lines
from .base import Line, number_of
from .compatibility import YOU_MAY_NOT_NEED_IT
from .findings import CONSENT
from .kept import keeps, puts_back


def summary(preview: Preview) -> Iterator[Line]:
    blockers, losses = len(preview.of_level(Level.BLOCKER)), preview.of_level(Level.LOSS)
    yield Line()
    yield Line(
        " ".join(
            [*undoes(preview.plan), *keeps(preview.kept), *puts_back(preview.backs), *_loses(preview.plan, losses)]
        )
    )
    yield from _nearly_kept(preview)
    if preview.plan.steps and preview.verdict and preview.verdict.outcome is Outcome.RUNS:
        yield Line(YOU_MAY_NOT_NEED_IT)
    yield from first_lines(preview)
    consent = "Needs your consent. " if losses else ""
    if blockers:
        yield Line(f"{consent}BLOCKED by {number_of(blockers, 'finding')}, listed below.", "ERROR")
    else:
        yield Line(f"{consent}Nothing blocks.", "WARNING" if losses else "SUCCESS")


def _nearly_kept(preview: Preview) -> Iterator[Line]:
    if preview.nearly_kept:
        group, keeps = preview.nearly_kept
        distance = ago(group.start - preview.moment.at).removesuffix(" ago")
        yield Line(
            f"Undoes the deployment that began {distance} after this moment. To keep it: "
            f'"{keeps.astimezone(preview.moment.zone).isoformat(sep=" ")}".',
            "WARNING",
        )


def undoes(plan: Plan) -> Iterator[str]:
    apps = {step.key.app for step in plan.steps}
    faked = sum(step.fake for step in plan.steps)
    only = f", {faked} of them in the records only" if faked else ""
    if plan.steps:
        yield f"Undoes {number_of(len(plan.steps), 'migration')} of {number_of(len(apps), 'app')}{only}."
    else:
        yield "Undoes no migration."
    if plan.squashes:
        yield f"Forgets {number_of(len(plan.squashes), 'squash', 'squashes')}."


def _loses(plan: Plan, losses: Sequence[Finding]) -> Iterator[str]:
    dropped = [finding for finding in losses if finding.id == "rollback.W001"]
    cut = [finding for finding in losses if finding.id == "rollback.W010"]
    others = len([finding for finding in losses if finding.id not in CONSENT]) - len(dropped) - len(cut)
    if dropped:
        yield f"Destroys {_dropped(dropped)}."
    if cut:
        yield f"Cuts or rounds values in {number_of(len(cut), 'place')}."
    if others:
        yield f"Loses {number_of(others, 'other thing')}, listed below."
    if by_sql := removed_by_sql(plan):
        yield f"{by_sql}. Only --keep-table NAME keeps that."
    elif not losses:
        yield "Nothing is lost."


def removed_by_sql(plan: Plan) -> str:
    """That the SQL of migrations drops or deletes something, of which no model tells; empty if none does."""
    steps = [step for step in plan.steps if not step.fake and any(removes_data(effect.sql) for effect in step.effects)]
    if not steps:
        return ""
    return f"SQL of {number_of(len(steps), 'migration')} drops or deletes something"


def _dropped(dropped: Sequence[Finding]) -> str:
    columns = sum(bool(finding.facts["column"]) for finding in dropped)
    numbers = [(len(dropped) - columns, "table"), (columns, "column")]
    what = " and ".join(number_of(count, word) for count, word in numbers if count)
    rows = sum(finding.facts["rows"] or 0 for finding in dropped)
    if not rows:
        return f"{what} (rows not counted)"
    at_least = "" if all(finding.facts["exact"] for finding in dropped) else "at least "
    return f"{what} ({at_least}{number_of(rows, 'row')})"
