"""What a report is, the formats for it, and the words that all share."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

SCHEMA = 1


@dataclass(frozen=True)
class Line:
    """One line for a person. style: a name of django.core.management.color's palette, or empty."""

    text: str = ""
    style: str = ""


@dataclass(frozen=True)
class Report:
    """A result, ready for each format. lines: for a person. data: for a program. commands: for a shell. problem: why there
    are no commands."""

    lines: tuple[Line, ...]
    data: dict[str, Any] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    problem: str = ""


Paint = Callable[[str, str], str]  # (style, text) -> text


def as_text(report: Report, paint: Paint) -> str:
    return "\n".join(paint(line.style, line.text) if line.style else line.text for line in report.lines)


def as_json(report: Report, paint: Paint) -> str:
    return json.dumps({"schema": SCHEMA, **report.data}, indent=2, ensure_ascii=False)


def as_commands(report: Report, paint: Paint) -> str:
    return "\n".join(report.commands)


FORMATS: dict[str, Callable[[Report, Paint], str]] = {"text": as_text, "json": as_json, "commands": as_commands}


# Words


def number_of(count: int, one: str, many: str = "") -> str:
    """`1 step`, `12 steps`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", " ", 1)


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def stamp(at: datetime) -> str:
    return at.astimezone(timezone.utc).isoformat()


def utc(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def forward(release: str, alias: str) -> str:
    suffix = "" if alias == "default" else f" --database {shlex.quote(alias)}"
    return f"start {f'release {release}' if release else 'the newer release'} and run python manage.py migrate{suffix}"


def joined(reports: Sequence[Report], key: str) -> Report:
    """Reports about several databases as one; in `data` a list under `key`."""
    lines: list[Line] = []
    for report in reports:
        lines.extend(([Line()] if lines else []) + list(report.lines))
    return Report(
        tuple(lines),
        {key: [report.data for report in reports]},
        tuple(command for report in reports for command in report.commands),
        "; ".join(report.problem for report in reports if report.problem),
    )
