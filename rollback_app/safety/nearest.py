"""The nearest later moment that nothing blocks, as far as a plan for an earlier one can tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from rollback_app.history import Cut, Key
from rollback_app.planner import Plan

from .findings import Finding, Level
from .reverse_checks import CHOOSE_LATER

_OF_THIS_CUT = ("rollback.E002", "rollback.E003", "rollback.E004", "rollback.E005")  # another one has its own


def with_nearest(plan: Plan, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The same findings; those that advise to choose a later moment name it, if there is one."""
    found = list(findings)
    advise = any(CHOOSE_LATER in each.hint for each in found)
    at = _nearest(plan, [each for each in found if each.level is Level.BLOCKER]) if advise else None
    named = (
        f'Choose a later moment: the next that works is "{at.isoformat(sep=" ")}". Or restore a backup.' if at else ""
    )
    for each in found:
        yield replace(each, hint=each.hint.replace(CHOOSE_LATER, named)) if named else each


def _nearest(plan: Plan, blockers: Collection[Finding]) -> datetime | None:
    """The begin of the first deployment from which on all can be undone."""
    steps = {str(step.key): step.key for step in plan.steps}
    blocked = {steps[each.about] for each in blockers if each.about in steps}
    everywhere = [each for each in blockers if each.about not in steps and each.id not in _OF_THIS_CUT]
    if plan.basis.cut.kept is not None or plan.obstacles.unclear or plan.earlier.unfit or everywhere:
        return None
    for group in plan.basis.deployments:
        cut = Cut(group.start, plan.basis.cut.precision)
        if group.start > plan.basis.cut.at and _goes(plan, cut, blocked):
            return cut.to_paste(plan.basis.records)
    return None


def _goes(plan: Plan, cut: Cut, blocked: Collection[Key]) -> bool:
    """Would nothing that is undone for this cut be blocked, or be needed by what stays?"""
    history = plan.basis.history
    late = {step.key for step in plan.steps if any(map(cut.is_late, history.decisive[step.key]))}
    goes, waiting = set(late), list(late)
    while waiting:
        more = {child for child in history.children[waiting.pop()] if child in history.decisive} - goes
        goes |= more
        waiting += more
    allowed = {step.key for step in plan.steps} if plan.basis.choices.cascade else late
    return goes <= allowed and not goes & set(blocked) and not any(map(cut.is_late, plan.obstacles.ghosts))
