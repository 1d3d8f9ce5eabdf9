"""A whole fleet judged: which members are alike, which of them are blocked, and who comes first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollback_app.compatibility import Verdict
from rollback_app.history import Member, MemberRecord, MemberState, Record, Turn

from .findings import Finding, Level, Preview, Refused

_NAMED = 5


@dataclass(frozen=True)
class Judged:
    """A member, as it was found. digest: of the plan of its group (`Plan.pattern`); empty, if there is nothing to do, or no
    plan. at: its moment, aware; None for one that is no time. rows, bytes: that its run would keep. problem, hint: why there
    is no plan, and what to do about it."""

    member: Member
    digest: str = ""
    at: datetime | None = None
    blockers: tuple[Finding, ...] = ()
    losses: tuple[Finding, ...] = ()
    rows: int = 0
    bytes: int = 0
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Standing:
    """What is applied in a member. problem: why that cannot be told, and what to do about it; else empty."""

    member: Member
    records: tuple[Record, ...]
    problem: str = ""


@dataclass(frozen=True)
class Checked:
    """Can a code work on a member as it is? verdict: None, if that cannot be told. problem: why, and what to do about it."""

    member: Member
    verdict: Verdict | None
    problem: str = ""


@dataclass(frozen=True)
class FleetGroup:
    """Members for which the same is to be done. preview: of the first of them."""

    members: tuple[Judged, ...]
    preview: Preview

    @property
    def digest(self) -> str:
        return self.members[0].digest

    @property
    def blocked(self) -> tuple[Judged, ...]:
        return tuple(each for each in self.members if each.blockers)

    @property
    def losing(self) -> tuple[Judged, ...]:
        return tuple(each for each in self.members if each.losses)


@dataclass(frozen=True)
class FleetPlan:
    """What a rollback of a fleet would do. groups: the largest first. idle: members that have nothing to undo. without: those for
    which there is no plan. canary: the member that comes first; None, if none can be rolled back."""

    groups: tuple[FleetGroup, ...]
    idle: tuple[Judged, ...]
    without: tuple[Judged, ...]
    canary: Member | None

    @property
    def blocked(self) -> list[Judged]:
        return [each for group in self.groups for each in group.blocked]

    def records(self) -> list[MemberRecord]:
        """All members as they are when the run begins. Blocked ones are passed over."""
        found = [_record(each, MemberState.DONE) for each in self.idle]
        found += [_record(each, MemberState.FAILED, f"{each.problem}\n{each.hint}".strip()) for each in self.without]
        for group in self.groups:
            for each in group.members:
                if each.blockers:
                    found.append(_record(each, MemberState.SKIPPED, _why(each)))
                else:
                    turn = Turn.CANARY if each.member == self.canary else _turn(each.member)
                    found.append(_record(each, MemberState.WAITING, turn=turn))
        return sorted(found, key=lambda record: (record.turn, record.member.name))


def lost(finding: Finding) -> str:
    """A loss as it is agreed to: of which kind, and by undoing which migration; not how many rows, which grow."""
    return f"{finding.id} {finding.about}".strip()


def judged(member: Member, preview: Preview) -> Judged:
    """What counts of a member's plan when there are many."""
    kept = [each for each in preview.kept if each.rows is None or not each.rows.lossless]
    blockers = tuple(preview.of_level(Level.BLOCKER))
    return Judged(
        member,
        "" if preview.plan.empty and not blockers else preview.plan.pattern,
        preview.moment.at if preview.moment.kept is None else None,
        blockers,
        tuple(preview.of_level(Level.LOSS)),
        sum(each.rows.number for each in kept if each.rows),
        sum(each.bytes or 0 for each in kept),
    )


def canary_of(found: Sequence[Judged], name: str = "") -> Member | None:
    """The member of this name, or else the smallest of those that can go first; None, if none can. What others need cannot, as
    long as one of them is left. Errors: Refused, if it cannot be the one of this name."""
    left = [each for each in found if each.digest or each.problem]
    others_left = any(not each.member.shared for each in left)
    first = [each for each in left if each.digest and not each.blockers and not (each.member.shared and others_left)]
    if name:
        named = next((each.member for each in first if each.member.name == name), None)
        if named is None:
            raise Refused(
                f"Refused: '{name}' cannot be the canary: it has nothing to undo, is blocked, or is needed by the others. "
                "Nothing was changed.",
                hint="Name another with --canary, or none: the smallest member then goes first.",
            )
        return named
    return min(first, key=lambda each: (each.bytes, each.rows, each.member.name)).member if first else None


def check_fleet(plan: FleetPlan, *, skip_blocked: bool, max_failures: int) -> None:
    """Errors: Refused, if members are blocked that shall not be passed over, too many have no plan, or none is left that can be
    rolled back."""
    if plan.blocked and not skip_blocked:
        findings = [finding for each in plan.blocked for finding in each.blockers]
        raise Refused(
            f"Refused: {_members(plan.blocked)} blocked. Nothing was changed.",
            hint="Follow the hint below each blocker in the plan, or add --skip-blocked to leave these members out.",
            findings=findings,
        )
    if len(plan.without) > max_failures:
        first = plan.without[0]
        raise Refused(
            f"Refused: there is no plan for {_names(plan.without)}: {first.problem} Nothing was changed.",
            hint=f"{first.hint} Or leave them out with --except, or let so many fail: --max-failures {len(plan.without)}",
        )
    if plan.canary is None and (plan.groups or plan.without):
        raise Refused(
            "Refused: no member can be rolled back now. Nothing was changed.",
            hint="Follow the hints in the plan, then run the same command again.",
        )


def check_fleet_loses_nothing(plan: FleetPlan, *, agreed: bool) -> None:
    """Errors: Refused, if data would be lost, unless the user consented."""
    losing = [] if agreed else [each for group in plan.groups for each in group.losing if not each.blockers]
    if losing:
        raise Refused(
            f"Refused: this would destroy data of {_names(losing)}. Nothing was changed.",
            hint="Take a backup. Then, if this data may be destroyed, add --destroy-data",
            findings=[finding for each in losing for finding in each.losses],
        )


def check_fleet_approved(plan: FleetPlan, approved: Collection[str]) -> None:
    """Errors: Refused, with the first group whose plan is not among those that were approved."""
    for group in plan.groups:
        if group.digest not in approved:
            raise Refused(
                f"Refused: the plan of {_names(group.members)} is not one that was approved. Its digest is {group.digest}, not "
                f"{' or '.join(sorted(approved))}. Nothing was changed.",
                hint="Have the new plan approved, and give its digest to --expect.",
            )


def _turn(member: Member) -> Turn:
    return Turn.SHARED if member.shared else Turn.BATCH


def _record(each: Judged, state: MemberState, error: str = "", turn: Turn | None = None) -> MemberRecord:
    turn = _turn(each.member) if turn is None else turn
    losses = tuple(dict.fromkeys(map(lost, each.losses)))
    return MemberRecord(0, each.member, turn, state, each.digest, each.at, error=error, lost=losses)


def _why(each: Judged) -> str:
    return " ".join(f"{finding.text} [{finding.id}]" for finding in each.blockers)


def _members(found: Sequence[Judged]) -> str:
    return "1 member is" if len(found) == 1 else f"{len(found)} members are"


def _names(found: Sequence[Judged]) -> str:
    names = ", ".join(each.member.name for each in found[:_NAMED])
    return names if len(found) <= _NAMED else f"{names} and {len(found) - _NAMED} more members"
