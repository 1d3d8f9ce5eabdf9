"""The plan for a database as a document: for a ticket, for whoever approves it, and for the night on which it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rollback_app.compatibility import Outcome
from rollback_app.errors import database_option
from rollback_app.history import Deployment
from rollback_app.planner import Kind, Step
from rollback_app.safety import Finding, Level, Preview, Size

from .base import Report, forward, local, number_of, seconds
from .blocks import (
    Block,
    DeploymentBlock,
    Deployments,
    Fate,
    Heading,
    Listing,
    Mark,
    Name,
    Paragraph,
    Shell,
    StepBlock,
    Steps,
    Table,
    Text,
)
from .compatibility import YOU_MAY_NOT_NEED_IT, answers, wrong
from .deployments import counts
from .kept import something
from .runs import blocks
from .steps import told, with_steps
from .summary import summary

_TITLES = {
    Level.BLOCKER: "What blocks it",
    Level.LOSS: "What would be lost, or needs consent",
    Level.REMARK: "What there is to know",
}
_KEPT, _UNDONE = 5, 15  # deployments that are shown


def of_document(
    preview: Preview, command: str, made_with: str, *, holds: bool = True, rehearsal: Report | None = None
) -> Report:
    """command: the line that runs this plan. made_with: name and version of this app. holds: is `migrate` held afterwards?
    rehearsal: what `of_rehearsal` tells of this plan, if it was rehearsed."""
    rehearsed = rehearsal.data if rehearsal else None
    return Report((), document=tuple(_document(preview, command, made_with, rehearsed, holds=holds)))


def _document(
    preview: Preview, command: str, made_with: str, rehearsed: dict[str, Any] | None, *, holds: bool
) -> Iterator[Block]:
    plan = preview.plan
    yield Heading(("Rollback of ", Name(preview.alias)), 1)
    yield Paragraph((" ".join(line.text for line in summary(preview) if line.text),))
    yield _facts(preview, made_with)
    if plan.basis.deployments:
        yield Heading(("Deployments",))
        yield _deployments(preview)
    yield from _steps(preview, rehearsed)
    yield from _kept(preview)
    at_steps = with_steps(preview)
    for level, title in _TITLES.items():
        found = [each for each in preview.of_level(level) if level is not Level.REMARK or each not in at_steps]
        if found:
            yield Heading((title,))
            yield Listing([_finding(finding) for finding in found])
    yield from _needed(preview)
    if rehearsed:
        yield from _rehearsal(rehearsed)
    if not plan.empty and not preview.of_level(Level.BLOCKER):
        yield from _to_do(preview, command, holds=holds)


def _facts(preview: Preview, made_with: str) -> Table:
    plan, moment = preview.plan, preview.moment
    how = "one transaction: everything is undone, or nothing is changed"
    rows: list[tuple[Text, Text]] = [
        (("Why",), (preview.reason or "no reason given",)),
        (("Database",), (Name(preview.title),)),
        (("Back to",), (moment.words or moment.describe(preview.now),)),
        (("From release",), (Name(plan.release) if plan.release else "not recorded",)),
        (("To release",), (Name(plan.older_release) if plan.older_release else "not recorded",)),
        (("Runs as",), (how if preview.one_transaction else "steps: each is committed by itself",)),
        (("Digest",), (Name(plan.digest),)),
        (("Made",), (f"{local(preview.now, moment.zone)} {moment.zone_name}, with {made_with}",)),
    ]
    return Table(("", ""), rows)


def _deployments(preview: Preview) -> Deployments:
    plan, moment = preview.plan, preview.moment
    groups = plan.basis.deployments
    first = next((at for at, group in enumerate(groups) if any(map(plan.takes, group.records))), len(groups))
    before, end = max(0, first - _KEPT), min(len(groups), first + _UNDONE)
    return Deployments(
        moment.words or f"{local(moment.at, moment.zone)} {moment.zone_name}",
        [_deployment(group, preview) for group in groups[before:end]],
        before,
        len(groups) - end,
    )


def _deployment(group: Deployment, preview: Preview) -> DeploymentBlock:
    taken = sum(map(preview.plan.takes, group.records))
    fate: Fate = "undone" if taken == len(group.records) else "cut in two" if taken else "kept"
    return DeploymentBlock(
        fate,
        local(group.start, preview.moment.zone),
        ", ".join(group.releases),
        len(group.records),
        counts(group),
    )


def _steps(preview: Preview, rehearsed: dict[str, Any] | None) -> Iterator[Block]:
    plan = preview.plan
    if plan.steps:
        spent = {step["migration"]: seconds(step["seconds"]) for step in (rehearsed or {"steps": []})["steps"]}
        numbers = {step.key: number for number, step in enumerate(plan.steps, 1)}
        yield Heading((f"{number_of(len(plan.steps), 'step')}, newest first",))
        yield Steps([_step(step, preview, numbers, spent.get(str(step.key), "")) for step in plan.steps])
    if plan.squashes:
        yield Paragraph(("Forgets squashes (records only; the migrations that they replace stay applied):",))
        yield Listing([(Name(str(record.key)),) for record in plan.squashes])
    if preview.recorded and preview.recorded.changes:
        yield Heading(("Views, functions and triggers",))
        changes = [((each.kind,), (Name(each.name),), (each.does.value,)) for each in preview.recorded.changes]
        yield Table(("", "name", "what becomes of it"), changes)
    if targets := sorted(plan.stays.targets.items()):
        yield Heading(("Each app goes back to",))
        yield Table(
            ("app", "migration"),
            [((Name(app),), (Name(", ".join(key.name for key in keys) or "zero"),)) for app, keys in targets],
        )


def _step(step: Step, preview: Preview, numbers: dict[Any, int], spent: str) -> StepBlock:
    children = preview.plan.basis.history.children[step.key]
    return StepBlock(
        numbers[step.key],
        step.key.app,
        str(step.key),
        local(step.applied, preview.moment.zone),
        told(step, preview),
        sorted(numbers[child] for child in children if child in numbers),
        _mark(step, preview),
        spent,
    )


def _mark(step: Step, preview: Preview) -> Mark:
    """The worst of what undoing it does."""
    name, kinds = str(step.key), {effect.kind for effect in step.effects if not step.fake}
    if any(finding.about == name for finding in preview.of_level(Level.BLOCKER)):
        return "blocked"
    if any(finding.about == name for finding in preview.of_level(Level.LOSS)):
        return "lost"
    if any(each.about == name for each in something(preview.kept)):
        return "kept"
    return "code" if kinds & {Kind.CODE, Kind.RUNS_SQL} else "plain"


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


_VERDICTS = {
    Outcome.RUNS: YOU_MAY_NOT_NEED_IT,
    Outcome.WITH_CARE: "Without it, the older release would run on this database, but some statements may fail.",
    Outcome.FAILS: "Without it, the older release would fail on this database.",
}


def _needed(preview: Preview) -> Iterator[Block]:
    verdict = preview.verdict
    if verdict is None:
        return
    yield Heading(("Is it needed?",))
    rows = f" Rows are another matter: look at {', '.join(verdict.look_at)}." if verdict.look_at else ""
    if verdict.unclear:
        yield Paragraph((f"Whether the older release would run without it is not known: {verdict.unclear}.",))
        return
    yield Paragraph((f"{_VERDICTS[verdict.outcome]}{rows}",))
    tables = wrong(verdict)
    if tables:
        found = [((Name(table.table),), (answers(table),), (" ".join(table.because),)) for table in tables]
        yield Table(("table", "what fails", "why"), found)
    if bridge := [sql for table in tables for sql in table.bridge]:
        yield Paragraph(("A way round it, to be run by hand, instead of the rollback:",))
        yield Shell(bridge, language="sql")


def _rehearsal(rehearsed: dict[str, Any]) -> Iterator[Block]:
    total = sum(each["seconds"] for each in [*rehearsed["steps"], *rehearsed["keeping"]])
    verified = rehearsed["verification"]
    fine = verified and verified["tables"] and not verified["new"]
    compared = number_of(verified["tables"], "table") if fine else ""
    words = f" {compared} compared with what the migrations at the target say: no difference." if fine else ""
    yield Heading(("Rehearsed",))
    yield Paragraph((f"All of it was done on this database, and taken back, in {seconds(total)}.{words}",))
    if rehearsed["locks"]:
        yield Paragraph(("The strongest lock on each table, held to the end of the run:",))
        locks = [((Name(table),), (f"{mode}{blocks(mode)}",)) for table, mode in rehearsed["locks"].items()]
        yield Table(("table", "lock"), locks)


def _to_do(preview: Preview, command: str, *, holds: bool) -> Iterator[Block]:
    plan, option = preview.plan, database_option(preview.alias)
    older = f" {plan.older_release}" if plan.older_release else ""
    yield Heading(("Before",))
    yield Listing(
        [
            ("Look at the plan again. Its digest must be ", Name(plan.digest), "."),
            ("Stop what writes to this database: web servers, workers, schedulers.",),
            (f"The run takes a backup first, by {preview.backup.way}: know how to restore it.",)
            if preview.backup
            else ("Take a backup, and know how to restore it. For example:",),
        ],
        to_tick=True,
    )
    if not preview.backup:
        yield Shell([preview.backup_line])
    yield Heading(("Run it",))
    yield Shell([f"{command} --expect {plan.digest}"])
    yield Heading(("After",))
    held: list[Text] = [
        (
            Name(f"python manage.py migratehold{option}"),
            " says that migrate is held: the newer release does not return.",
        )
    ]
    yield Listing(
        [
            (f"The last lines say “Verified”, and what was kept. {_back(preview)}",),
            *(held if holds else []),
            (f"Start the older release{older}.",),
            ("In it, ", Name(f"python manage.py checkschema{option}"), " ends with status 0."),
            ("Its health check passes, and what people do most works.",),
            ("Start workers and schedulers.",),
        ],
        to_tick=True,
    )
    yield Heading(("Forward again",))
    lines = forward(plan.release, preview.alias, held=holds)
    commands = [line.text.strip() for line in lines if line.whole]
    said = " ".join(line.text for line in lines if not line.whole)
    yield Paragraph((re.sub(r"\s+", " ", said),))
    yield Shell(commands)


def _back(preview: Preview) -> str:
    return f"{number_of(len(preview.plan.stays.targets), 'app')} went back."
