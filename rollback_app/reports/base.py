"""What a report is, the formats for it, and the words that all share."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from typing import Any

from rollback_app.errors import RollbackError, database_option
from rollback_app.safety import Refused

from .blocks import Block

SCHEMA = 1
WIDTH = 80  # columns, at most, where no single name or command is longer


@dataclass(frozen=True)
class Line:
    """One line for a person. style: a name of django.core.management.color's palette, or empty. indent: where the text goes on
    if it is too long for one line; without it, below its first sign. whole: never broken, for a command to paste."""

    text: str = ""
    style: str = ""
    indent: int | None = None
    whole: bool = False


@dataclass(frozen=True)
class Report:
    """A result, ready for each format. lines: for a person. data: for a program. commands: for a shell. problem: why there
    are no commands. document: for formats with headings and tables. script: SQL for the database's own program, in pieces."""

    lines: tuple[Line, ...]
    data: dict[str, Any] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    problem: str = ""
    document: tuple[Block, ...] = ()
    script: tuple[str, ...] = ()


Paint = Callable[[str, str], str]  # (style, text) -> text


def as_text(report: Report, paint: Paint) -> str:
    return "\n".join(
        paint(line.style, text) if line.style and text else text for line in report.lines for text in broken(line)
    )


# What stays on one line: a quotation or an option with its value, since they may be something to paste; a distance in time.
_QUOTED = re.compile(r""""[^"\n]*"|`[^`\n]*`|'python [^'\n]*'|--[a-z-]+ [\w.]*\w\.\w+|\d+ \w+( \d+ \w+)? ago""")
_GAP = "\0"


def broken(line: Line) -> list[str]:
    """The line in lines that are not too wide."""
    if line.whole or len(line.text) <= WIDTH:
        return [line.text]
    start = len(line.text) - len(line.text.lstrip())
    text = _QUOTED.sub(lambda quoted: quoted[0].replace(" ", _GAP), line.text)
    found = textwrap.wrap(
        text,
        WIDTH,
        subsequent_indent=" " * (start if line.indent is None else line.indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [each.replace(_GAP, " ") for each in found]


_TO_PASTE = re.compile(
    r"(?P<words>.*?): (?P<whole>(python3? (manage\.py|-m) |(SELECT|SET|INSERT|UPDATE|DELETE|ALTER|CREATE|DROP|WITH) ).*)"
)


def said(text: str, style: str = "", indent: int = 0) -> Iterator[Line]:
    """The lines of a message. A command or a statement that ends one of them stands on a line of its own, and one that begins
    with spaces is such a line already."""
    for each in text.splitlines():
        if each.startswith("  "):
            yield Line(" " * indent + each, whole=True)
            continue
        to_paste = _TO_PASTE.fullmatch(each)
        yield Line(" " * indent + (f"{to_paste['words']}:" if to_paste else each), style, indent)
        if to_paste:
            yield Line(" " * (indent + 2) + to_paste["whole"], whole=True)


def as_message(text: str) -> str:
    """A message of an error, in lines that are not too wide."""
    return as_text(Report(tuple(said(text))), lambda _, painted: painted)


def as_json(report: Report, paint: Paint) -> str:
    return json.dumps({"schema": SCHEMA, **report.data}, indent=2, ensure_ascii=False)


def as_commands(report: Report, paint: Paint) -> str:
    return "\n".join(report.commands)


def of_error(error: RollbackError) -> dict[str, Any]:
    """What a program is told of an error; schema 1."""
    outcome = "refused" if error.returncode == Refused.returncode else "failed"
    return {"outcome": outcome, "error": {"message": error.message, "hint": error.hint, "status": error.returncode}}


# Words


def number_of(count: int, one: str, many: str = "") -> str:
    """`1 step`, `12 steps`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", " ", 1)


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def stamp(at: datetime) -> str:
    return at.astimezone(timezone.utc).isoformat()


def local(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def utc(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def forward_command(alias: str, *, held: bool) -> str:
    """What goes forward again. held: is there a hold to lift?"""
    suffix = database_option(alias)
    lift = f"python manage.py migratehold --off{suffix} && " if held else ""
    return f"{lift}python manage.py migrate{suffix}"


def forward(release: str, alias: str, indent: int = 0, *, held: bool = False) -> list[Line]:
    """How to go forward again. held: is there a hold to lift?"""
    which = f"release {release}" if release else "the newer release"
    start = " " * indent
    return [
        Line(f"{start}To go forward again later, start {which} and run:", indent=indent),
        Line(f"{start}  {forward_command(alias, held=held)}", whole=True),
    ]


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
        tuple(block for report in reports for block in report.document),
    )
