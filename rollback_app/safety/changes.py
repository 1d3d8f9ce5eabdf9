"""The values that a plan cuts or rounds, and what of them the run keeps."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from rollback_app.history import Position
from rollback_app.planner import Help, Need, Requirement, Step, all_requirements

from .counts import Count
from .findings import Inspector
from .kept import Change, Drop, Keeping, KeptKind, ToKeep
from .losses import LARGER, RIGHT, WHOLE, no_right, too_large


def found(
    steps: Sequence[Step],
    inspector: Inspector,
    keeping: Keeping,
    drops: Sequence[Drop],
    *,
    count: bool,
    one_transaction: bool,
    resumes: Position | None = None,
) -> Iterator[Change]:
    """Each change of values, in the order of these steps. drops: what is kept before it. resumes: where in them an earlier run
    stopped, if it did."""
    keeper = _Keeper(inspector, keeping, drops, count=count)
    for step, requirement, help in all_requirements(steps, resumes) if count or keeping.wanted else ():
        if requirement.need is not Need.KEPT or (help is Help.MAY_FILL and one_transaction):
            continue
        now = _as_of_now(requirement)
        violations = inspector.violations(now) if count else inspector.violations(now, count=False)
        if violations and (not count or violations.condition or not violations.count.lossless):
            change = Change(step, requirement, violations)
            yield keeper.decide(change) if keeping.wanted else change


def _as_of_now(requirement: Requirement) -> Requirement:
    """The same of the column as it is called before the run."""
    table, column = _source(requirement)
    return replace(requirement, table=table, columns=(column,), renamed=())


def _source(requirement: Requirement) -> tuple[str, str]:
    return requirement.today, dict(requirement.renamed).get(requirement.column, requirement.column)


class _Keeper:
    """Decides for each change whether its values are kept."""

    def __init__(self, inspector: Inspector, keeping: Keeping, drops: Sequence[Drop], *, count: bool) -> None:
        self._inspector, self._keeping, self._count = inspector, keeping, count
        self._dropped = {(drop.table, drop.column) for drop in drops if drop.keep}
        self._room = keeping.at_most - sum(drop.keep.bytes or 0 for drop in drops if drop.keep)
        self._no_right: str | None = None

    def decide(self, change: Change) -> Change:
        table, column = _source(change.requirement)
        if self._dropped & {(table, ""), (table, column)}:
            return replace(change, kept_with=True)
        if self._no_right is None:
            self._no_right = no_right(self._inspector)
        if self._no_right:
            return replace(change, why_not=self._no_right, way_out=RIGHT)
        key = self._inspector.key(table)
        if not key or column in key:
            why_not = "it is the primary key" if key else "its table has no primary key"
            return replace(change, why_not=why_not, way_out=WHOLE.format(shlex.quote(table)))
        size = self._size(change, table, [*key, column])
        if size is not None and size > self._room:
            return replace(change, why_not=too_large(size, self._keeping), way_out=LARGER)
        self._room -= size or 0
        rows = change.violations.count if self._count else None
        keep = ToKeep(
            KeptKind.VALUES,
            str(change.step.key),
            table,
            column,
            words=_words(change.step, change.requirement),
            rows=rows,
            bytes=size,
            condition=change.violations.condition,
        )
        return replace(change, keep=keep)

    def _size(self, change: Change, table: str, columns: Collection[str]) -> int | None:
        """Bytes, about."""
        count = change.violations.count
        if not self._count or count.more:
            return self._inspector.size(table)
        return round(count.number * self._inspector.row_bytes(table, columns)) if count.number else 0


def _words(step: Step, requirement: Requirement) -> str:
    """How the plan says what changes them."""
    return next(
        effect.words
        for effect in step.effects
        if any((each.need, each.words) == (Need.KEPT, requirement.words) for each in effect.requirements)
    )


def things(changes: Sequence[Change]) -> Iterator[ToKeep]:
    """What is kept of them: of each column once, before the first step that changes it."""
    by_source: dict[tuple[str, str], list[ToKeep]] = {}
    for change in changes:
        if change.keep:
            by_source.setdefault((change.keep.table, change.keep.column), []).append(change.keep)
    for same in by_source.values():
        conditions = [keep.condition for keep in same]
        together = " OR ".join(f"({each})" for each in dict.fromkeys(conditions)) if all(conditions) else ""
        yield replace(same[0], condition=together, rows=_most([keep.rows for keep in same]))


def _most(counts: Sequence[Count | None]) -> Count | None:
    """Of rows that several changes change, each perhaps other ones."""
    known = [count for count in counts if count]
    if not known:
        return None
    most = max(known, key=lambda count: count.number)
    return most if len(set(known)) == 1 else Count(most.number, more=True)
