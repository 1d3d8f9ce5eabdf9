"""In which order entries go back."""

from __future__ import annotations

from collections.abc import Sequence

from .moves import Move


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
