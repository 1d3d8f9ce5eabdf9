"""Looking at all members before any is changed: what each would undo, keep and lose, and which of them are alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

from rollback_app import workflow
from rollback_app.errors import RollbackError
from rollback_app.history import Member
from rollback_app.safety import FleetGroup, FleetPlan, Judged, Preview, canary_of, judged

from .orders import Orders
from .places import place_of

_One = tuple[Member, datetime | None]
Mapped = Callable[[Callable[[_One], Judged], Sequence[_One]], Iterable[Judged]]


def survey(members: Sequence[_One], orders: Orders, *, canary: str = "", mapped: Mapped = map) -> FleetPlan:
    """What a rollback would do to all of them; changes nothing. members: each with its moment, if that is known. canary:
    the name of the one that comes first; empty for the smallest. mapped: calls a function for each member, in any process; gives
    the results in their order.

    Errors: that of the members, if there is no plan for any of them; Refused.
    """
    once = workflow.Once()
    found = list(mapped(partial(judge, orders, once), members))
    without = tuple(each for each in found if each.problem)
    if without and len(without) == len(found):
        look(*members[0], orders, once)  # which raises that error, with its exit status
    alike: dict[str, list[Judged]] = {}
    for each in found:
        if each.digest:
            alike.setdefault(each.digest, []).append(each)
    largest_first = sorted(alike.values(), key=lambda group: (-len(group), group[0].member.name))
    return FleetPlan(
        tuple(FleetGroup(tuple(group), look(group[0].member, group[0].at, orders, once)) for group in largest_first),
        tuple(each for each in found if not each.digest and not each.problem),
        without,
        canary_of(found, canary),
    )


def judge(orders: Orders, once: workflow.Once, one: _One) -> Judged:
    """What counts of a member's plan; or why there is none."""
    member, at = one
    try:
        return judged(member, look(member, at, orders, once))
    except RollbackError as error:
        return Judged(member, problem=error.message, hint=error.hint)


def look(member: Member, at: datetime | None, orders: Orders, once: workflow.Once | None = None) -> Preview:
    """The plan for one member, with its findings. at: its moment, if that is known. once: what it has in common with others.
    Errors: as those of `workflow.preview`."""
    with place_of(member):
        (preview,) = workflow.preview(
            orders.at(at),
            using=[member.alias],
            zone=orders.zone,
            choices=orders.choices,
            step_by_step=orders.step_by_step,
            count=orders.count,
            timeouts=orders.timeouts,
            keeping=orders.keeping,
            reason=orders.reason,
            backup=False,
            text_of=orders.text_of,
            once=once,
        )
    return preview
