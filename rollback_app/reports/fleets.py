"""A fleet: the plan by groups of members that are alike, how far it is, and how it ended."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rollback_app.history import Fleet, Member, MemberRecord, MemberState, Turn
from rollback_app.safety import FleetGroup, FleetPlan, Judged, Preview, Size

from .base import Line, Report, number_of, said, seconds, stamp, utc
from .findings import findings, page_of
from .plan import moment_lines
from .steps import steps
from .summary import removed_by_sql, undoes

NAMED = 20
_SHOWN = 5  # names in a line; groups in full


def of_fleet_plan(plan: FleetPlan, *, in_full: bool = False) -> Report:
    """What a rollback of a fleet would do. in_full: every group and every name."""
    data = {"groups": [_group_data(group) for group in plan.groups], "nothing_to_do": len(plan.idle)}
    problems = [{"name": each.member.name, "error": each.problem} for each in plan.without]
    return Report(tuple(_plan_lines(plan, in_full)), {**data, "without_plan": problems})


def of_fleet(fleet: Fleet, members: Sequence[MemberRecord], *, under_way: bool, waits: bool = False) -> Report:
    """How far a fleet is, or how it ended. waits: is it with a back end of tasks, and nobody works on it?"""
    data = {
        "number": fleet.number,
        "started": stamp(fleet.started),
        "ended": stamp(fleet.ended) if fleet.ended else None,
        "by": fleet.operator,
        "host": fleet.host,
        "command": fleet.command,
        "stopped": fleet.stopped,
        "outcome": _outcome(members, under_way=under_way),
        "members": [_member_data(each) for each in members],
    }
    return Report(tuple(_status_lines(fleet, members, under_way=under_way, waits=waits)), data)


def of_fleet_end(
    fleet: Fleet, members: Sequence[MemberRecord], took: float, new: Sequence[Member], forward: Sequence[str]
) -> Report:
    """How a run of a fleet ended. took: seconds. new: members that appeared meanwhile. forward: the commands that go forward."""
    data = {"outcome": _outcome(members, under_way=False), "members": [_member_data(each) for each in members]}
    return Report(tuple(_end_lines(fleet, members, took, new, forward)), data)


def of_fleet_progress(counts: Counter[MemberState]) -> str:
    """One line, as `120 of 1 500 members done, 1 failed, 4 under way`."""
    rest = [(MemberState.FAILED, "failed"), (MemberState.SKIPPED, "passed over"), (MemberState.RUNNING, "under way")]
    more = "".join(f", {counts[state]} {words}" for state, words in rest if counts[state])
    return f"{counts[MemberState.DONE]} of {number_of(sum(counts.values()), 'member')} done{more}"


# The plan


def _plan_lines(plan: FleetPlan, in_full: bool) -> Iterator[Line]:
    every = [each for group in plan.groups for each in group.members]
    total = len(every) + len(plan.idle) + len(plan.without)
    yield Line(f"Fleet of {number_of(total, 'member')}", "MIGRATE_HEADING")
    if plan.groups:
        yield from _moment(plan.groups[0].preview)
    yield Line()
    yield Line(" ".join(_summary(plan, every)))
    if plan.blocked:
        yield Line(f"BLOCKED: {_names(plan.blocked, in_full)}.", "ERROR", 2)
    if plan.without:
        yield Line(f"NO PLAN: {_names(plan.without, in_full)}.", "ERROR", 2)
    shown = plan.groups if in_full else plan.groups[:_SHOWN]
    for group in shown:
        yield from _group_lines(group, in_full)
    if rest := plan.groups[len(shown) :]:
        members = sum(len(group.members) for group in rest)
        yield Line()
        yield Line(f"And {number_of(len(rest), 'more group')} of {number_of(members, 'member')}, see -v 2")
    yield from _without_lines(plan.without, in_full)
    if every:
        yield Line()
        yield from _order(plan, every)


def _moment(first: Preview) -> Iterator[Line]:
    if first.moment.words and first.moment.kept is None:
        yield Line(f"Moment   {first.moment.text}, looked up in each member by itself", indent=9)
    else:
        yield from moment_lines(first)


def _summary(plan: FleetPlan, every: Sequence[Judged]) -> Iterator[str]:
    if not every:
        yield "Nothing to do."
        return
    groups = number_of(len(plan.groups), "group")
    yield f"Takes back {number_of(len(every), 'member')} in {groups} of members that are alike."
    if kept := sum(each.bytes for each in every):
        rows = sum(each.rows for each in every)
        yield f"Keeps {number_of(rows, 'row')} ({Size(kept)}) to put back later."
    losing = sum(len(group.losing) for group in plan.groups)
    by_sql = next(filter(None, (removed_by_sql(group.preview.plan) for group in plan.groups)), "")
    if losing:
        yield f"DESTROYS data of {number_of(losing, 'member')}."
    if by_sql or not losing:
        yield f"{by_sql}, which is not kept." if by_sql else "Nothing is lost."
    if plan.idle:
        yield f"{number_of(len(plan.idle), 'member has', 'members have')} nothing to undo."


def _group_lines(group: FleetGroup, in_full: bool) -> Iterator[Line]:
    yield Line()
    words = f"Group {group.digest}: {number_of(len(group.members), 'member')}"
    yield Line(words, "MIGRATE_LABEL")
    yield Line(f"  {_names(group.members, in_full)}", indent=2)
    first = group.members[0].member.name
    yield Line(f"  {' '.join(undoes(group.preview.plan))} As for {first}:", indent=2)
    shown, rest = steps(group.preview, in_full=in_full)
    yield from (Line(f"  {line.text}".rstrip(), line.style, line.indent, line.whole) for line in shown[1:])
    if rest:
        yield from (
            Line(f"  {line.text}", line.style, line.indent, line.whole) for line in findings(rest, in_full=in_full)
        )
    others = [each for each in group.members[1:] if each.blockers or each.losses]
    for each in others if in_full else others[:_SHOWN]:
        yield from _findings_of(each)
    if len(others) > _SHOWN and not in_full:
        yield Line(f"  and {len(others) - _SHOWN} more members with such findings, see -v 2")
    yield from page_of(finding.id for each in group.blocked for finding in each.blockers)


def _findings_of(each: Judged) -> Iterator[Line]:
    yield Line(f"  {each.member.name}:")
    lines = findings((*each.blockers, *each.losses), in_full=False)
    yield from (Line(f"    {line.text}", line.style, line.indent, line.whole) for line in lines)


def _without_lines(without: Sequence[Judged], in_full: bool) -> Iterator[Line]:
    if without:
        yield Line()
        yield Line("There is no plan for", "MIGRATE_LABEL")
    for each in without if in_full else without[:_SHOWN]:
        yield Line(f"  {each.member.name}: {each.problem}", "ERROR", 4)
        yield from said(each.hint, indent=4)


def _order(plan: FleetPlan, every: Sequence[Judged]) -> Iterator[Line]:
    able = [each.member for each in every if not each.blockers]
    if plan.canary is None:
        return
    rest = [member for member in able if member != plan.canary and not member.shared]
    shared = [member for member in able if member != plan.canary and member.shared]
    parts = [f"{plan.canary.name} first, alone"]
    parts += [f"then the other {len(rest)}" if len(rest) > 1 else f"then {rest[0].name}"] if rest else []
    when = "if no other is left then" if plan.blocked or plan.without else "last"
    parts += [f"and {shared[0].name}, which the others need, {when}"] if shared else []
    yield Line(f"Order: {', '.join(parts)}. Each member is verified before the next turn begins.")
    one = all(group.preview.one_transaction for group in plan.groups)
    yield Line(
        "Each member is one transaction: all of it is undone, or nothing of it is changed. Members that are done stay done."
        if one
        else "Members run step by step, not as one transaction: one that fails may be left between two steps."
    )
    yield Line("rollbackfleet takes no backup. Take one first.")


# How far it is, and how it ended


def _status_lines(fleet: Fleet, members: Sequence[MemberRecord], *, under_way: bool, waits: bool) -> Iterator[Line]:
    by = f" by {fleet.operator}" if fleet.operator else ""
    yield Line(f"Fleet {fleet.number}, started {utc(fleet.started)}{by} on {fleet.host}", "MIGRATE_HEADING")
    yield Line(f"  {fleet.command}", whole=True)
    yield Line()
    words = "is under way" if under_way else f"ended {utc(fleet.ended)}" if fleet.ended else "is not under way"
    if fleet.tasks and under_way:
        words = f"is with TASKS['{fleet.tasks}'], {'but no worker has a member now' if waits else 'under way'}"
    stopped = ", stopped" if fleet.stopped else ""
    yield Line(f"{of_fleet_progress(_counts(members))}. It {words}{stopped}.")
    for each in members:
        if each.state is MemberState.RUNNING:
            yield Line(f"  {each.member.name}: under way, by {each.worker}")
    yield from _failed(members)
    if not under_way:
        yield from _not_begun(members)
    if waits:
        yield Line()
        yield Line("Is one running? Should its task be lost, this hands the rest over again:")
        yield Line(f"  {fleet.to_type('--resume', '--tasks', shlex.quote(fleet.tasks))}", whole=True)
    if not under_way and _left(members):
        yield Line()
        yield from _resume(fleet)


def _end_lines(
    fleet: Fleet, members: Sequence[MemberRecord], took: float, new: Sequence[Member], forward: Sequence[str]
) -> Iterator[Line]:
    counts, left = _counts(members), _left(members)
    style = "ERROR" if counts[MemberState.FAILED] else "WARNING" if left else "SUCCESS"
    yield Line()
    yield Line(f"{of_fleet_progress(counts)}, in {seconds(took)}.", style)
    yield from _failed(members)
    yield from _not_begun(members)
    if new:
        names = ", ".join(member.name for member in new[:NAMED])
        yield Line(f"Appeared meanwhile, and not looked at: {names}{', …' if len(new) > NAMED else ''}.", "WARNING")
        yield Line("Look at them with the same command, --plan, and --only NAME.")
    if left:
        yield from _resume(fleet)
    yield from _forward(forward if counts[MemberState.DONE] else None)


def _forward(commands: Sequence[str] | None) -> Iterator[Line]:
    """commands: None, if there is nothing to go forward with."""
    if commands:
        yield Line("To go forward again later, start the newer release and run:")
        yield from (Line(f"  {line}", whole=True) for line in commands[:_SHOWN])
    if commands and len(commands) > _SHOWN:
        yield Line(f"and the same for {number_of(len(commands) - _SHOWN, 'more database')}.")
    if commands is not None and not commands:
        yield Line(
            "To go forward again later, start the newer release, lift the hold of each member (migratehold --off), and "
            "migrate it."
        )


def _failed(members: Sequence[MemberRecord]) -> Iterator[Line]:
    for state, word in ((MemberState.FAILED, "FAILED"), (MemberState.SKIPPED, "PASSED OVER")):
        found = [each for each in members if each.state is state]
        for each in found[:NAMED]:
            first, *rest = each.error.splitlines() or [""]
            yield Line(f"{word} {each.member.name}: {first}", "ERROR" if state is MemberState.FAILED else "WARNING", 4)
            yield from said("\n".join(rest), indent=4)
        if len(found) > NAMED:
            yield Line(f"and {len(found) - NAMED} more, which --status --format json lists.")


def _not_begun(members: Sequence[MemberRecord]) -> Iterator[Line]:
    waiting = [each for each in members if each.state is MemberState.WAITING]
    if shared := [each for each in waiting if each.turn is Turn.SHARED]:
        yield Line(f"{shared[0].member.name} was left as it is, since members that are not done need it.", indent=2)
    if others := len(waiting) - len(shared):
        yield Line(f"{number_of(others, 'member was', 'members were')} not begun.")


def _resume(fleet: Fleet) -> Iterator[Line]:
    yield Line("What is done stays done. To go on with the rest, when the causes are fixed:")
    yield Line(f"  {fleet.to_type('--resume')}", whole=True)


def _counts(members: Sequence[MemberRecord]) -> Counter[MemberState]:
    return Counter(each.state for each in members)


def _left(members: Sequence[MemberRecord]) -> list[MemberRecord]:
    return [each for each in members if each.state is not MemberState.DONE]


def _names(found: Sequence[Judged], in_full: bool) -> str:
    names = [each.member.name for each in found]
    if in_full or len(names) <= _SHOWN + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_SHOWN])} and {number_of(len(names) - _SHOWN, 'more', 'more')}"


# For programs


def _group_data(group: FleetGroup) -> dict[str, Any]:
    return {
        "digest": group.digest,
        "members": len(group.members),
        "names": [each.member.name for each in group.members[:NAMED]],
        "steps": [str(step.key) for step in group.preview.plan.steps],
        "kept": {"rows": sum(each.rows for each in group.members), "bytes": sum(each.bytes for each in group.members)},
        "lost": [each.member.name for each in group.losing],
        "blocked": [
            {"name": each.member.name, "findings": [finding.id for finding in each.blockers]} for each in group.blocked
        ],
    }


def _member_data(each: MemberRecord) -> dict[str, Any]:
    return {
        "name": each.member.name,
        "database": each.member.alias,
        "schema": each.member.schema,
        "state": each.state.value,
        "digest": each.digest,
        "seconds": each.seconds,
        "error": each.error,
        "worker": each.worker,
    }


def _outcome(members: Sequence[MemberRecord], *, under_way: bool) -> str:
    counts = _counts(members)
    if under_way:
        return "running"
    if counts[MemberState.FAILED]:
        return "failed"
    return "stopped" if counts[MemberState.WAITING] or counts[MemberState.RUNNING] else "done"
