"""Where things are in the two pictures of a plan: the time line of deployments, and the steps by app.

Places from left to right are in percent, so that a picture is as wide as its page; from top to bottom they are in pixels. All
are texts, as SVG takes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from .base import number_of
from .blocks import DeploymentBlock, Deployments, Fate, Mark, StepBlock

_EDGE = 3  # percent that are left free at both sides
_LANE = 40  # pixels for an app
_DOTS = ((60, "5"), (150, "3.5"))  # up to so many steps, so large


@dataclass(frozen=True)
class Point:
    """A deployment on the time line. r: by the number of its migrations."""

    x: str
    r: str
    fate: Fate
    title: str


@dataclass(frozen=True)
class Timeline:
    """label: the picture in words. cut: where it is; empty if no line parts what stays from what is undone. anchor: on which
    side of it there is room for its text."""

    label: str
    points: Sequence[Point]
    cut: str
    anchor: str
    first: str
    last: str


def timeline(block: Deployments) -> Timeline:
    """Each deployment has the same distance to the next: most lie close together, with long pauses between."""
    shown = block.shown
    places = [_place(at, len(shown)) for at in range(len(shown))]
    points = [_point(row, x) for row, x in zip(shown, places, strict=True)]
    cut = _cut(shown) if block.cut else None
    at = None if cut is None else _place(cut, len(shown))
    words = [f"{count} {fate}" for fate, count in Counter(row.fate for row in shown).items()]
    moment = f" The moment: {block.cut}." if block.cut else ""
    label = f"Time line of {number_of(len(shown), 'deployment')}: {', '.join(words)}.{moment}"
    return Timeline(
        label,
        points,
        "" if at is None else f"{at:.2f}%",
        "start" if at is not None and at < 50 else "end",
        shown[0].when,
        shown[-1].when if len(shown) > 1 else "",
    )


def _point(row: DeploymentBlock, x: float) -> Point:
    release = f", release {row.release}" if row.release else ""
    title = f"{row.when}{release}: {number_of(row.number, 'migration')}, {row.fate}"
    return Point(f"{x:.2f}%", f"{min(13, 4 + sqrt(row.number)):.1f}", row.fate, title)


def _place(at: float, count: int) -> float:
    """The first is at the left edge, the last at the right one."""
    return min(99.5, max(0.5, _EDGE + (100 - 2 * _EDGE) * at / max(count - 1, 1)))


def _cut(shown: Sequence[DeploymentBlock]) -> float | None:
    """Between those that stay and those that are undone, or in the middle of one; None if they are mixed."""
    fates = [row.fate for row in shown]
    kept = fates.count("kept")
    if fates[:kept] != ["kept"] * kept or "cut in two" in fates[kept + 1 :]:
        return None
    return float(kept) if "cut in two" in fates else kept - 0.5


@dataclass(frozen=True)
class Lane:
    """An app: from its first step to its last."""

    app: str
    label: str
    y: str
    left: str
    right: str


@dataclass(frozen=True)
class Edge:
    """From a step to one that must be undone before it."""

    x1: str
    y1: str
    x2: str
    y2: str


@dataclass(frozen=True)
class Dot:
    x: str
    y: str
    mark: Mark
    title: str


@dataclass(frozen=True)
class Graph:
    """label: the picture in words. r: of a dot."""

    label: str
    height: str
    r: str
    lanes: Sequence[Lane]
    edges: Sequence[Edge]
    dots: Sequence[Dot]


def graph(steps: Sequence[StepBlock]) -> Graph:
    """A line for each app, the one that is undone first at the top; what is undone first is at the left."""
    apps = list(dict.fromkeys(step.app for step in steps))
    tops = {app: _LANE * at + 26 for at, app in enumerate(apps)}
    places = {step.number: (f"{_place(at, len(steps)):.2f}%", tops[step.app]) for at, step in enumerate(steps)}
    size = next((r for up_to, r in _DOTS if len(steps) <= up_to), "2.5")
    label = f"{number_of(len(steps), 'step')} of {number_of(len(apps), 'app')}, from the first at the left to the last."
    lanes = [_lane(app, [step for step in steps if step.app == app], places) for app in apps]
    dots = [Dot(places[step.number][0], f"{places[step.number][1]}", step.mark, _title(step)) for step in steps]
    return Graph(label, f"{_LANE * len(apps) + 8}", size, lanes, list(_edges(steps, places)), dots)


def _lane(app: str, steps: Sequence[StepBlock], places: dict[int, tuple[str, int]]) -> Lane:
    (left, y), (right, _) = places[steps[0].number], places[steps[-1].number]
    return Lane(app, f"{y - 12}", f"{y}", left, right)


def _edges(steps: Sequence[StepBlock], places: dict[int, tuple[str, int]]) -> Iterator[Edge]:
    """Between apps; within one the line of the app shows it."""
    for step in steps:
        x2, y2 = places[step.number]
        for x1, y1 in (places[number] for number in step.needs):
            if y1 != y2:
                yield Edge(x1, f"{y1}", x2, f"{y2}")


def _title(step: StepBlock) -> str:
    return f"{step.number}. {step.name}: {'; '.join(step.does)}"
