"""Measurements as a Markdown table, and as an SVG plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.generate import Size
from benchmarks.measure import Cost


@dataclass(frozen=True)
class Measured:
    """What each way cost on one project and database, in the order of WAYS; check: of an idle `manage.py check`."""

    size: Size
    vendor: str
    costs: Mapping[str, Cost]
    check: Cost


OURS, BOUND = "rollbackmigrationsafter", "the SQL alone"
COLOURS = ("#c0392b", "#8e44ad", "#2980b9", "#7f8c8d", "#27ae60")


def table(rows: Iterable[Measured]) -> str:
    lines = [
        (
            "| apps × migrations | undone | database | way | seconds | CPU | peak MB | slower than ours | times the SQL "
            "| times the memory of `check` |"
        ),
        "|---|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        ours, bound = row.costs[OURS], row.costs[BOUND]
        for way, cost in row.costs.items():
            more = "" if cost.whole else "> "
            shown = [
                str(row.size).replace("x", " × "),
                str(row.size.undone),
                row.vendor,
                way,
                f"{more}{cost.seconds:.2f}",
                f"{more}{cost.cpu:.2f}",
                f"{more}{cost.memory:.0f}",
                f"{more}{cost.seconds / ours.seconds:.1f}",
                f"{more}{cost.seconds / bound.seconds:.1f}",
                f"{more}{cost.memory / row.check.memory:.2f}",
            ]
            lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


WIDTH, HEIGHT, LEFT, TOP, GAP = 380, 300, 60, 40, 90


def plot(rows: Sequence[Measured], ways: Sequence[str]) -> str:
    """Two panels, seconds and megabytes, over the number of migrations undone; both axes logarithmic."""
    width, height = 2 * (WIDTH + GAP), TOP + HEIGHT + 60 + 18 * len(ways)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, (title, unit) in enumerate([("Seconds", "seconds"), ("Peak memory, MB", "memory")]):
        left = LEFT + number * (WIDTH + GAP)
        parts += _panel(rows, ways, title, unit, left)
    for number, way in enumerate(ways):
        y = TOP + HEIGHT + 55 + 18 * number
        parts += [
            f'<line x1="{LEFT}" y1="{y - 4}" x2="{LEFT + 30}" y2="{y - 4}" stroke="{COLOURS[number]}" stroke-width="2"/>',
            f'<text x="{LEFT + 38}" y="{y}">{way}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _panel(rows: Sequence[Measured], ways: Sequence[str], title: str, unit: str, left: int) -> Iterator[str]:
    points = {
        way: [
            (row.size.undone, float(getattr(row.costs[way], unit)))
            for row in rows
            if way in row.costs and row.costs[way].whole
        ]
        for way in ways
    }
    across = _Axis([row.size.undone for row in rows], left, left + WIDTH)
    up = _Axis([value for line in points.values() for _, value in line], TOP + HEIGHT, TOP)
    yield f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}</text>'
    yield f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>'
    for undone in sorted({row.size.undone for row in rows}):
        yield f'<text x="{across(undone):.0f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{undone}</text>'
    yield f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 34}" text-anchor="middle">migrations undone</text>'
    for value in up.ticks():
        yield f'<line x1="{left}" y1="{up(value):.1f}" x2="{left + WIDTH}" y2="{up(value):.1f}" stroke="#eee"/>'
        yield f'<text x="{left - 6}" y="{up(value) + 4:.0f}" text-anchor="end">{value:g}</text>'
    for colour, line in zip(COLOURS, points.values(), strict=False):
        places = [(across(x), up(y)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)


class _Axis:
    """From values to places, logarithmic; some room is left at both ends."""

    def __init__(self, values: Iterable[float], start: float, end: float) -> None:
        values = list(values)
        self.low, self.high = math.log10(min(values) / 1.5), math.log10(max(values) * 1.5)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> Iterator[float]:
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            for step in (1, 2, 5):
                value = step * 10.0**power
                if self.low <= math.log10(value) <= self.high:
                    yield value
