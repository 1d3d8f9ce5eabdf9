"""The run as an SQL script, with comments that say what each part is for."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rollback_app.planner import Step
from rollback_app.safety import Comparison, Level, Preview

from .base import Paint, Report, local, utc
from .runs import of_verdict
from .summary import summary

_WIDTH = 76  # of the words of a comment


@dataclass(frozen=True)
class Statement:
    """part: the step that it belongs to, or else in words what it is for. doing: the operation that it undoes, in words, or
    empty. by_code: was it sent by code, so that it depends on the data?"""

    part: Step | str
    doing: str
    by_code: bool
    sql: str


def as_sql(report: Report, paint: Paint) -> str:
    return "\n".join(report.script)


def of_no_script(preview: Preview) -> Report:
    """For a plan that has nothing to do."""
    lines = [
        *_comment(f"Rollback of {preview.title}", whole=True),
        *_comment("Nothing to do: there is no migration to unapply."),
    ]
    return Report((), script=tuple(lines))


def of_script(
    preview: Preview,
    command: str,
    made_with: str,
    program: str,
    opening: Sequence[str],
    statements: Sequence[Statement],
    closing: Sequence[str],
    comparison: Comparison | None,
    *,
    collected: bool = False,
    check: str = "python manage.py checkschema",
) -> Report:
    """command: the line that makes this script. made_with: name and version of this app. program: the line that runs it. opening,
    closing: what stands around the statements. collected: was nothing done to make it? check: the line that tells afterwards
    whether the older release can work."""
    lines = [
        *_header(preview, command, made_with, program),
        *(_how_collected() if collected else ()),
        *(_of_this_data() if any(each.by_code for each in statements) else ()),
        "",
        *_comment("Stops at the first error, takes the lock of a rollback, and checks that the database is as it was."),
        *opening,
        *_parts(preview, statements),
        "",
        *(_no_verification(check) if collected else _verification(comparison)),
        *closing,
    ]
    return Report((), script=tuple(lines))


def _header(preview: Preview, command: str, made_with: str, program: str) -> Iterator[str]:
    plan, moment = preview.plan, preview.moment
    facts = {
        "Back to": moment.words or moment.describe(preview.now),
        "Digest": plan.digest,
        "Release": plan.release,
        "Reason": preview.reason,
        "Made": f"{utc(preview.now)} with {made_with}",
        "Made by": command,
        "Run it by": program,
    }
    yield from _comment(f"Rollback of {preview.title}", whole=True)
    yield "--"
    for name, value in facts.items():
        if value:
            yield from _comment(f"{name:<10} {value}", whole=True)
    for line in summary(preview):
        yield from _comment(line.text)
    for finding in preview.of_level(Level.LOSS):
        yield from _comment(f"  LOST {finding.about} {finding.text} [{finding.id}]".replace("  LOST  ", "  LOST "))
    if preview.one_transaction:
        yield from _comment("One transaction: everything is undone, or nothing is changed.")
    else:
        yield from _comment(
            "No transaction: each statement is committed by itself. If it fails half-way, the command, without --format sql,"
            " goes on where it stopped."
        )


def _how_collected() -> Iterator[str]:
    yield from _comment(
        "Nothing was run to make this. What receivers of pre_migrate and post_migrate do is not in it: the older release's next"
        " migrate runs its own."
    )


def _of_this_data() -> Iterator[str]:
    yield from _comment(
        "What Python code has sent is data of this very database, as it was when this was made. Stop the application before you"
        " make the script, and until you have run it."
    )


def _parts(preview: Preview, statements: Iterable[Statement]) -> Iterator[str]:
    steps = {step.key: (number, step) for number, step in enumerate(preview.plan.steps, 1)}
    for part, of_part in groupby(statements, key=lambda each: each.part):
        yield ""
        if isinstance(part, Step):
            number, _ = steps[part.key]
            when = f"{local(part.applied, preview.moment.zone)} {preview.moment.zone_name}"
            yield from _comment(f"Step {number} of {len(steps)}: {part.key}, applied {when}", whole=True)
        else:
            yield from _comment(part)
        for (doing, by_code), group in groupby(of_part, key=lambda each: (each.doing, each.by_code)):
            if doing:
                yield from _comment(f"  {doing}", whole=True)
            if by_code:
                yield from _comment("  What this code has sent is data of this very database, as it was then.")
            yield from (_ended(each.sql) for each in group)


_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")


def _ended(sql: str) -> str:
    """With a semicolon, on a line of its own behind what may be a comment."""
    text = sql.strip()
    *_, last = ["", *_QUOTED.sub("", text).splitlines()]
    if "--" in last or "/*" in last:
        return f"{text}\n;"
    return text if text.endswith(";") else f"{text};"


def _no_verification(check: str) -> Iterator[str]:
    yield from _comment("Nothing is verified. Afterwards, start the older release and run:")
    yield from _comment(f"  {check}", whole=True)


def _verification(comparison: Comparison | None) -> Iterator[str]:
    if comparison is None:
        yield from _comment("Nothing was verified when this was made (--no-verify).")
        return
    yield from _comment("When this was made, the tables were compared with the migrations:")
    for line in of_verdict(comparison, in_full=True).lines:
        yield from _comment(f"  {line.text}")


def _comment(text: str, *, whole: bool = False) -> Iterator[str]:
    """Whatever it holds, no line of it is anything but a comment. whole: not wrapped, for what is pasted."""
    for line in text.splitlines() or [""]:
        start = " " * (len(line) - len(line.lstrip()))
        wrapped = [line] if whole else textwrap.wrap(line, _WIDTH, subsequent_indent=start, break_on_hyphens=False)
        for each in wrapped or [""]:
            yield f"-- {each}".rstrip()
