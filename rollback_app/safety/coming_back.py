"""What a `migrate` has destroyed and kept, and a rollback over it puts back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rollback_app.planner import Effect, Kind, Step, renamed

from .kept import Kept, KeptKind


@dataclass(frozen=True)
class Back:
    """entry: what is put back after this step. effect: what the step does that makes room for it."""

    entry: Kept
    step: Step
    effect: Effect


def coming_back(entries: Iterable[Kept], migrations: Collection[str]) -> list[Kept]:
    """Those of these entries that go back once these migrations are unapplied."""
    return [
        each
        for each in entries
        if each.by_migrate and each.open and each.put_back and not each.tried and each.about in migrations
    ]


def backs(steps: Sequence[Step], entries: Iterable[Kept]) -> Iterator[Back]:
    """What these steps put back: of each source the newest. entries: newest first."""
    waiting = coming_back(entries, {str(step.key) for step in steps if not step.fake})
    for step in steps:
        of_step: dict[tuple[KeptKind, str], Kept] = {}
        for entry in waiting:
            if entry.about == str(step.key):
                of_step.setdefault((entry.kind, entry.source), entry)
        for entry in of_step.values():
            effect = next((each for number, each in enumerate(step.effects) if _makes_room(step, number, entry)), None)
            if effect:
                yield Back(entry, step, effect)


def _makes_room(step: Step, number: int, entry: Kept) -> bool:
    """Does this effect of a step bring back the table or column of an entry, or what its values were cut in? An entry has the
    names that are there once the step is undone."""
    effect, later = step.effects[number], step.effects[number + 1 :]
    if entry.kind is KeptKind.VALUES:
        return effect.kind is Kind.CHANGES and any(
            renamed(later, effect.touches or effect.table, effect.renamed_to or column) == (entry.table, entry.column)
            for requirement in effect.requirements
            for column in requirement.columns
        )
    return effect.kind is Kind.MAKES and renamed(later, effect.table, effect.column) == (entry.table, entry.column)
