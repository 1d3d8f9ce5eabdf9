"""The plan for a database as a document: for a ticket, for whoever approves it, and for the night on which it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rollback_app.planner import Kind, Step
from rollback_app.safety import Finding, Level, Preview, Size

from .base import Report, forward, local, number_of
from .blocks import Block, Heading, Listing, Name, Paragraph, Shell, Table, Text
from .kept import something, words_of_backs
from .summary import summary

_TITLES = {
    Level.BLOCKER: "What blocks it",
    Level.LOSS: "What would be lost, or needs consent",
    Level.REMARK: "What there is to know",
}


def of_document(preview: Preview, command: str, made_with: str) -> Report:
    """command: the line that runs this plan. made_with: name and version of this app."""
    return Report((), document=tuple(_document(preview, command, made_with)))


def _document(preview: Preview, command: str, made_with: str) -> Iterator[Block]:
    yield Heading(("Rollback of ", Name(preview.alias)), 1)
    yield Paragraph((" ".join(line.text for line in summary(preview) if line.text),))
    yield _facts(preview, made_with)
    yield from _steps(preview)
    yield from _kept(preview)
    for level, title in _TITLES.items():
        if found := preview.of_level(level):
            yield Heading((title,))
            yield Listing([_finding(finding) for finding in found])
    if not preview.plan.empty and not preview.of_level(Level.BLOCKER):
        yield from _to_do(preview, command)


def _facts(preview: Preview, made_with: str) -> Table:
    plan, moment = preview.plan, preview.moment
    undone = [group for group in plan.basis.deployments if any(map(plan.takes, group.records))]
    how = "one transaction: everything is undone, or nothing is changed"
    rows: list[tuple[Text, Text]] = [
        (("Database",), (Name(preview.title),)),
        (("Back to",), (moment.words or moment.describe(preview.now),)),
        (("Undone deployments",), (f"{len(undone)}",)),
        (("Release that is undone",), (Name(plan.release) if plan.release else "not recorded",)),
        (("Runs as",), (how if preview.one_transaction else "steps: each is committed by itself",)),
        (("Digest",), (Name(plan.digest),)),
        (("Made",), (f"{local(preview.now, moment.zone)} {moment.zone_name}, with {made_with}",)),
    ]
    return Table(("", ""), rows)


def _steps(preview: Preview) -> Iterator[Block]:
    plan = preview.plan
    if plan.steps:
        yield Heading(("Steps, newest first",))
        zone = preview.moment.zone
        yield Table(
            ("", "migration", "applied", "undoing it"),
            [
                ((str(number),), (Name(str(step.key)),), (local(step.applied, zone),), (_effects(step, preview),))
                for number, step in enumerate(plan.steps, 1)
            ],
        )
    if targets := sorted(plan.stays.targets.items()):
        yield Heading(("Each app goes back to",))
        yield Table(
            ("app", "migration"),
            [((Name(app),), (Name(", ".join(key.name for key in keys) or "zero"),)) for app, keys in targets],
        )


def _effects(step: Step, preview: Preview) -> str:
    if step.fake:
        return "nothing: only its record is deleted"
    full = words_of_backs(preview.backs, step)
    does = [effect.words for effect in step.effects if effect.kind is not Kind.NO_EFFECT]
    words = dict.fromkeys(full.get(each, each) for each in does)
    return "; ".join(words) or "nothing in the database"


def _kept(preview: Preview) -> Iterator[Block]:
    if kept := something(preview.kept):
        yield Heading(("What is kept, to be put back",))
        rows = [
            (
                (Name(each.source),),
                ("not counted" if each.rows is None else str(each.rows),),
                ("unknown" if each.bytes is None else f"about {Size(each.bytes)}",),
                ("by the next migrate" if each.put_back else "by putback",),
            )
            for each in kept
        ]
        yield Table(("table or column", "rows", "room", "put back"), rows)


def _finding(finding: Finding) -> Text:
    hint = f" {finding.hint}" if finding.hint else ""
    about = "" if not finding.about or finding.about in finding.text else f"{finding.about}: "
    return (f"{about}{finding.text}{hint} ", Name(finding.id))


def _to_do(preview: Preview, command: str) -> Iterator[Block]:
    yield Heading(("Before",))
    yield Listing(
        [
            ("Stop what writes to this database: web servers, workers, schedulers.",),
            ("Take a backup, and know how to restore it.",),
            ("Look at the plan again. Its digest must be the one above.",),
        ],
        to_tick=True,
    )
    yield Heading(("Run it",))
    yield Shell([f"{command} --expect {preview.plan.digest}"])
    yield Heading(("After",))
    yield Listing(
        [
            ("The last lines say “Verified”, and what was kept.",),
            ("Start the older release.",),
            (f"Check that it works: {number_of(len(preview.plan.stays.targets), 'app')} went back.",),
        ],
        to_tick=True,
    )
    yield Heading(("Forward again",))
    lines = forward(preview.plan.release, preview.alias)
    commands = [line.text.strip() for line in lines if line.whole]
    said = " ".join(line.text for line in lines if not line.whole)
    yield Paragraph((re.sub(r"\s+", " ", said),))
    yield Shell(commands)
