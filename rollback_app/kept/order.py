"""Which entries go back, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from rollback_app.bookkeeping import Catalogue
from rollback_app.safety import Kept, KeptKind

from .moves import Move


def newest(catalogue: Catalogue, entries: Sequence[Kept]) -> list[Kept]:
    """Of each source the newest, which the others must not overwrite: they stay kept, to be put back by hand. entries: newest
    first."""
    found: dict[tuple[KeptKind, str], Kept] = {}
    for entry in entries:
        first = found.setdefault((entry.kind, entry.source), entry)
        if first is not entry:
            why = f"a newer copy, {first.number}, was put back"
            catalogue.change(entry.number, why=((entry.left, why),), tried=True)
    return list(found.values())


def in_order(moves: Sequence[Move]) -> list[list[Move]]:
    """What is pointed to comes before what points to it. Those that point to each other in a circle are together."""
    by_table: dict[str, list[int]] = {}
    for number, move in enumerate(moves):
        by_table.setdefault(move.entry.table, []).append(number)
    pointed = [
        {target for reference in move.references() for target in by_table.get(reference.table, [])} for move in moves
    ]
    reached = [_reached(number, pointed) for number in range(len(moves))]
    found: list[list[Move]] = []
    done: set[int] = set()
    # Who reaches more comes later; those of a circle reach the same.
    for number in sorted(range(len(moves)), key=lambda each: (len(reached[each] | {each}), each)):
        if number not in done:
            circle = {other for other in reached[number] if number in reached[other]}
            done |= circle
            found.append([moves[each] for each in sorted(circle)])
    return found


def _reached(start: int, pointed: Sequence[set[int]]) -> set[int]:
    """What can be reached from there, itself too."""
    found = {start}
    waiting = [start]
    while waiting:
        new = pointed[waiting.pop()] - found
        found |= new
        waiting += new
    return found
