"""The plan for a database, and what speaks against it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rollback_app.history import Deployment
from rollback_app.moments import Moment
from rollback_app.planner import Plan, Step, migrate_commands
from rollback_app.safety import Finding, Level, Preview

from .base import Line, Report, number_of, stamp

SHOWN_STEPS = 20


_BADGES = {
    Level.BLOCKER: ("BLOCKED", "ERROR"),
    Level.LOSS: ("LOST", "WARNING"),
    Level.REMARK: ("Note", ""),
}


def of_preview(preview: Preview, *, all_steps: bool = False) -> Report:
    """The plan for one database. all_steps: in full also where there are many."""
    return Report(tuple(_lines(preview, all_steps)), _data(preview))


def of_commands(preview: Preview) -> Report:
    """The `migrate` commands that do what the plan for one database does."""
    commands = migrate_commands(preview.plan)
    suffix = "" if preview.alias == "default" else f" --database {shlex.quote(preview.alias)}"
    return Report(
        lines=(),
        commands=tuple(
            f"python manage.py migrate {shlex.quote(app)} {shlex.quote(target)}{suffix}"
            for app, target in commands.targets
        ),
        problem=commands.why_not,
    )


def of_findings(preview: Preview) -> Report:
    """What speaks against the plan for one database, and what there is to know before."""
    return Report(tuple(_findings(preview)))


def _lines(preview: Preview, all_steps: bool) -> Iterator[Line]:
    plan = preview.plan
    yield Line(f"Database {preview.title}", "MIGRATE_HEADING")
    yield from _moment(preview)
    if plan.empty and not preview.of_level(Level.BLOCKER):
        yield _nothing_to_do(preview)
    else:
        yield from _deployments(preview)
        yield from _targets(plan)
        yield from _steps(preview, all_steps)
    if preview.findings:
        yield Line()
        yield from _findings(preview)
    if not plan.empty:
        yield Line()
        if preview.one_transaction:
            yield Line("All of it runs as one transaction: it is done completely, or nothing is changed.")
        else:
            yield Line("NOT all or nothing: what is undone stays undone if a later step fails.", "WARNING")
        yield Line(f"Digest of this plan: {plan.digest}")


def _moment(preview: Preview) -> Iterator[Line]:
    moment, choices = preview.moment, preview.plan.basis.choices
    if moment.kept is not None:
        yield Line(f"Keeps    {moment.words}")
        yield Line("         What is applied and not among it goes, whenever it was applied.")
    else:
        yield Line(f"Moment   {moment.describe(preview.now)}")
        if moment.words:
            yield Line(f"         {moment.words}")
        if moment.date_only:
            yield Line("         A date alone means its first instant.")
        yield Line("         What was applied at or after it goes, what was applied before it stays.")
    if choices.steps is not None:
        yield Line(f"         Of that, only the newest go: {number_of(choices.steps, 'step')} at the most.")


def _nothing_to_do(preview: Preview) -> Line:
    newest = preview.plan.newest
    if newest is None:
        return Line("Nothing to do: no migration was ever applied here.")
    when = f"{_local(newest.applied, preview.moment)} {preview.moment.zone_name}"
    reason = "is left alone" if preview.plan.basis.cut.is_late(newest) else preview.plan.basis.cut.early
    return Line(f"Nothing to do: the newest migration, {newest.key} of {when}, {reason}.", "SUCCESS")


def _deployments(preview: Preview) -> Iterator[Line]:
    """The last two kept and the first two undone, and how many there are beyond."""
    plan = preview.plan
    stays = [group for group in plan.basis.deployments if not all(map(plan.takes, group.records))]
    goes = [group for group in plan.basis.deployments if any(map(plan.takes, group.records))]
    by_time = plan.basis.cut.kept is None and plan.basis.choices.steps is None
    cut = Line("  CUT    ", "WARNING") if by_time else Line("  partly ")
    yield Line()
    yield Line(f"Deployments around it, in {preview.moment.zone_name}", "MIGRATE_LABEL")
    if len(stays) > 2:
        yield Line(f"  stays  ({len(stays) - 2} more before)")
    for group in stays[-2:]:
        if group not in goes:
            yield Line(f"  stays  {_deployment(group, preview.moment)}")
    for group in goes[:2]:
        if group in stays:
            yield Line(f"{cut.text}{_deployment(group, preview.moment)}", cut.style)
        else:
            yield Line(f"  goes   {_deployment(group, preview.moment)}")
    if len(goes) > 2:
        yield Line(f"  goes   ({len(goes) - 2} more after)")


def _deployment(group: Deployment, moment: Moment) -> str:
    apps = sorted({row.key.app for row in group.records})
    shown = ", ".join(apps[:6]) + (", …" if len(apps) > 6 else "")
    end = f" to {group.end.astimezone(moment.zone):%H:%M:%S}" if group.end != group.start else ""
    return f"{_local(group.start, moment)}{end}, {number_of(len(group.records), 'migration')}: {shown}"


def _targets(plan: Plan) -> Iterator[Line]:
    if not plan.stays.targets:
        return
    yield Line()
    yield Line("Each app goes back to", "MIGRATE_LABEL")
    for app, targets in sorted(plan.stays.targets.items()):
        yield Line(f"  {app}: {' and '.join(key.name for key in targets) or 'zero'}")


def _steps(preview: Preview, all_steps: bool) -> Iterator[Line]:
    plan = preview.plan
    yield Line()
    if not plan.steps:
        yield Line("No migration is unapplied, and no data is touched.", "MIGRATE_LABEL")
    elif len(plan.steps) <= SHOWN_STEPS or all_steps:
        yield Line(f"{number_of(len(plan.steps), 'step')}, newest first", "MIGRATE_LABEL")
        for index, step in enumerate(plan.steps, start=1):
            yield from _step(index, step, preview)
    else:
        yield Line(f"{len(plan.steps)} steps; -v 2 shows each", "MIGRATE_LABEL")
        for app in sorted(plan.stays.targets):
            yield Line(f"  {app}: {number_of(sum(step.key.app == app for step in plan.steps), 'step')}")
    for row in plan.squashes:
        yield Line(f"  Deletes the row of {row.key}: a note that its originals are applied, which they stay.")


def _step(index: int, step: Step, preview: Preview) -> Iterator[Line]:
    style = "WARNING" if step.fake else ""
    fake = "  FAKED: only its row is deleted" if step.fake else ""
    yield Line(f"  {index}. {step.key}  applied {_local(step.applied, preview.moment)}{fake}", style)
    if step.because:
        yield Line(f"       goes because it depends on {step.because[0]}")
    for words in dict.fromkeys(_worded(step, preview.findings)):
        yield Line(f"       {words}")


def _worded(step: Step, findings: Sequence[Finding]) -> Iterator[str]:
    """What undoing the step does; where data is lost, the finding says it better."""
    lost = {
        finding.facts["effect"]: finding.text.removesuffix(".")
        for finding in findings
        if finding.id == "rollback.W001" and finding.about == str(step.key)
    }
    for effect in step.effects:
        yield lost.get(effect.words, effect.words)
    if not step.effects:
        yield "nothing in the database"


def _findings(preview: Preview) -> Iterator[Line]:
    for finding in preview.findings:
        badge, style = _BADGES[finding.level]
        about = f"{finding.about}: " if finding.id == "rollback.W001" else ""
        yield Line(f"{badge} {about}{finding.text} [{finding.id}]", style)
        if finding.hint:
            yield Line(f"    {finding.hint}")


def _data(preview: Preview) -> dict[str, Any]:
    plan = preview.plan
    by_time = preview.moment.kept is None
    return {
        "database": preview.alias,
        "engine": preview.title,
        "moment": {
            "text": preview.moment.text,
            "utc": stamp(preview.moment.at) if by_time else None,
            "zone": preview.moment.zone_name,
            "in_zone": preview.moment.at.astimezone(preview.moment.zone).isoformat() if by_time else None,
            "words": preview.moment.words,
        },
        "digest": plan.digest,
        "one_transaction": preview.one_transaction,
        "steps": [
            {
                "migration": str(step.key),
                "applied": stamp(step.applied),
                "because": [str(key) for key in step.because],
                "fake": step.fake,
                "effects": [{"kind": effect.kind.value, "words": effect.words} for effect in step.effects],
            }
            for step in plan.steps
        ],
        "deleted_rows": [{"migration": str(row.key), "applied": stamp(row.applied)} for row in plan.squashes],
        "targets": {app: [key.name for key in targets] for app, targets in sorted(plan.stays.targets.items())},
        "deployments": [_deployment_data(group, plan) for group in plan.basis.deployments],
        "findings": [
            {
                "id": finding.id,
                "level": finding.level.value,
                "about": finding.about,
                "text": finding.text,
                "hint": finding.hint,
                "facts": dict(finding.facts),
            }
            for finding in preview.findings
        ],
    }


def _deployment_data(group: Deployment, plan: Plan) -> dict[str, Any]:
    late = sum(map(plan.takes, group.records))
    return {
        "start": stamp(group.start),
        "end": stamp(group.end),
        "migrations": [str(row.key) for row in group.records],
        "fate": "goes" if late == len(group.records) else "cut" if late else "stays",
    }


def _local(at: datetime, moment: Moment) -> str:
    return f"{at.astimezone(moment.zone):%Y-%m-%d %H:%M:%S}"
