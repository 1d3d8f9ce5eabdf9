"""A document as Markdown, as GitHub and GitLab show it (https://github.github.com/gfm/)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .base import Paint, Report
from .blocks import Block, Deployments, Heading, Listing, Name, Paragraph, Steps, Table, Text

_SPECIAL = re.compile(r"[\\`*\[\]<>|~&#]|(?<![^\W_])_|_(?![^\W_])|^(?=[+=-])|@|(?<=:)//")
_NUMBER = re.compile(r"^(\d+)(?=[.)](\s|$))")


def as_markdown(report: Report, paint: Paint) -> str:
    return "\n\n".join("\n".join(_block(block)) for block in report.document)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"{'#' * block.level} {_text(block.text)}"
    elif isinstance(block, Paragraph):
        yield _text(block.text)
    elif isinstance(block, Listing):
        box = "[ ] " if block.to_tick else ""
        yield from (f"- {box}{_text(item)}" for item in block.items)
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Deployments):
        yield from _table(_table_of_deployments(block))
    elif isinstance(block, Steps):
        yield from _table(_table_of_steps(block))
    else:
        fence = "`" * max(3, _longest_ticks("\n".join(block.lines)) + 1)
        prompt = "$ " if block.language == "console" else ""
        yield from (f"{fence}{block.language}", *(f"{prompt}{line}" for line in block.lines), fence)


def _table_of_deployments(block: Deployments) -> Table:
    older, newer = (
        [((f"{number} more {where}",), *[("",)] * 4)] if number else []
        for number, where in ((block.before, "before"), (block.after, "after"))
    )
    rows = [((row.fate,), (row.when,), (row.release,), (str(row.number),), (row.what,)) for row in block.shown]
    return Table(("", "began", "release", "migrations", "apps"), [*older, *rows, *newer])


def _table_of_steps(block: Steps) -> Table:
    timed = any(step.seconds for step in block.shown)
    rows = [
        ((str(step.number),), (Name(step.name),), (step.applied,), ("; ".join(step.does),))
        + (((step.seconds,),) if timed else ())
        for step in block.shown
    ]
    return Table(("", "migration", "applied", "undoing it") + (("seconds",) if timed else ()), rows)


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(table.titles)} |"
    yield f"|{'---|' * len(table.titles)}"
    for row in table.rows:
        # A bar ends a cell, in code too.
        yield f"| {' | '.join(_text(cell, in_table=True) for cell in row)} |"


def _text(text: Text, *, in_table: bool = False) -> str:
    return "".join(_name(part.text, in_table) if isinstance(part, Name) else _escaped(part) for part in text)


def _escaped(text: str) -> str:
    """Plain text, in one line, in which nothing means anything to Markdown."""
    flat = re.sub(r"\s+", " ", text)
    return _NUMBER.sub(r"\1\\", _SPECIAL.sub(lambda sign: f"\\{sign[0]}", flat))


def _name(text: str, in_table: bool) -> str:
    """A name as code, which keeps its signs; only a bar in a table has to be marked."""
    flat = re.sub(r"\s", " ", text)
    fence = "`" * (_longest_ticks(flat) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat.replace('|', chr(92) + '|') if in_table else flat}{pad}{fence}"


def _longest_ticks(text: str) -> int:
    return max((len(found) for found in re.findall("`+", text)), default=0)
