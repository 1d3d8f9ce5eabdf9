"""The plan for a database, and what speaks against it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from rollback_app.errors import database_option
from rollback_app.history import Deployment
from rollback_app.moments import Moment
from rollback_app.planner import Kind, Plan, migrate_commands
from rollback_app.safety import Level, Preview

from .backup import first_data
from .base import Line, Report, local, number_of, stamp
from .compatibility import data as verdict_data
from .compatibility import of_older
from .findings import findings, page_of
from .kept import back_data, something, to_keep_data
from .recorded import plan_data, plan_lines
from .steps import steps
from .summary import summary

SHOWN_APPS = 20


def of_preview(preview: Preview, *, all_steps: bool = False) -> Report:
    """The plan for one database. all_steps: everything in full, also where there is much of it."""
    return Report(tuple(_lines(preview, all_steps)), _data(preview))


def of_commands(preview: Preview) -> Report:
    """The `migrate` commands that do what the plan for one database does."""
    commands = migrate_commands(preview.plan)
    suffix = database_option(preview.alias)
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
    return Report(tuple(findings(preview.findings, in_full=False)))


def _lines(preview: Preview, in_full: bool) -> Iterator[Line]:
    plan = preview.plan
    yield Line(f"Database {preview.title}", "MIGRATE_HEADING", whole=True)
    yield from moment_lines(preview)
    if plan.empty and not preview.of_level(Level.BLOCKER):
        yield _nothing_to_do(preview)
        rest = list(preview.findings)
    else:
        yield from summary(preview)
        yield from _deployments(preview)
        yield from _targets(plan, in_full)
        shown, rest = steps(preview, in_full=in_full)
        yield from shown
        yield from plan_lines(preview, in_full=in_full)
    yield from _verdict(preview, in_full)
    if rest:
        yield Line()
        yield from findings(rest, in_full=in_full)
    yield from page_of(finding.id for finding in preview.of_level(Level.BLOCKER))
    if not plan.empty:
        yield Line()
        if preview.one_transaction:
            yield Line("Runs as one transaction: everything is undone, or nothing is changed.")
        else:
            yield Line("Does not run as one transaction: each step is committed by itself.", "WARNING")
        if any(
            effect.kind in (Kind.CODE, Kind.RUNS_SQL) for step in plan.steps if not step.fake for effect in step.effects
        ):
            yield Line("Stop the application first: code or SQL of these migrations may change its rows.", "WARNING")
        yield Line(f"Digest of this plan: {plan.digest}")


def _verdict(preview: Preview, in_full: bool) -> Iterator[Line]:
    lines = list(of_older(preview.verdict, in_full=in_full)) if preview.verdict else []
    yield from [Line(), *lines] if lines else []


def moment_lines(preview: Preview) -> Iterator[Line]:
    moment, newest = preview.moment, preview.plan.basis.choices.steps
    if moment.kept is not None:
        yield Line(f"Keeps    {moment.words}", indent=9)
        yield Line("Unapplies everything else, whatever its date.")
    else:
        yield Line(f"Moment   {moment.describe(preview.now)}", indent=9)
        if moment.words:
            yield Line(f"         {moment.words}")
        if moment.date_only:
            yield Line("         A date alone means its first instant.")
        yield Line("Unapplies what was applied at or after this moment. Keeps everything older.")
    if preview.reason:
        yield Line(f"Reason   {preview.reason}", indent=9)
    if newest is not None:
        yield Line(f"Of these, unapplies only the newest {f'{newest} steps' if newest > 1 else 'step'} (--steps).")


def _nothing_to_do(preview: Preview) -> Line:
    newest = preview.plan.newest
    if newest is None:
        return Line("Nothing to do: no migration was ever applied here.")
    when = f"{local(newest.applied, preview.moment.zone)} {preview.moment.zone_name}"
    reason = "is left alone" if preview.plan.basis.cut.is_late(newest) else preview.plan.basis.cut.early
    return Line(f"Nothing to do: the newest migration, {newest.key} of {when}, {reason}.", "SUCCESS")


def _deployments(preview: Preview) -> Iterator[Line]:
    """The last two kept and the first two undone, and how many there are beyond."""
    plan = preview.plan
    kept = [group for group in plan.basis.deployments if not all(map(plan.takes, group.records))]
    undone = [group for group in plan.basis.deployments if any(map(plan.takes, group.records))]
    by_time = plan.basis.cut.kept is None and plan.basis.choices.steps is None
    cut = ("CUT", "WARNING") if by_time else ("partly", "")
    yield Line()
    yield Line(f"Deployments around it, in {preview.moment.zone_name}", "MIGRATE_LABEL")
    if len(kept) > 2:
        yield Line(f"  kept    ({len(kept) - 2} more before)")
    for group in kept[-2:]:
        if group not in undone:
            yield _deployment("kept", group, preview.moment)
    for group in undone[:2]:
        word, style = cut if group in kept else ("undone", "")
        yield _deployment(word, group, preview.moment, style)
    if len(undone) > 2:
        yield Line(f"  undone  ({len(undone) - 2} more after)")


def _deployment(word: str, group: Deployment, moment: Moment, style: str = "") -> Line:
    apps = sorted({row.key.app for row in group.records})
    shown = ", ".join(apps[:6]) + (f" and {len(apps) - 6} more" if len(apps) > 6 else "")
    end = f" to {group.end.astimezone(moment.zone):%H:%M:%S}" if group.end != group.start else ""
    when = f"{local(group.start, moment.zone)}{end}"
    return Line(f"  {word:<6}  {when}, {number_of(len(group.records), 'migration')}: {shown}", style, 10)


def _targets(plan: Plan, in_full: bool) -> Iterator[Line]:
    targets = sorted(plan.stays.targets.items())
    if not targets:
        return
    yield Line()
    yield Line("Each app goes back to", "MIGRATE_LABEL")
    shown = targets if in_full or len(targets) <= SHOWN_APPS else targets[: SHOWN_APPS - 1]
    for app, names in shown:
        yield Line(f"  {app}: {_target(names)}", indent=4)
    if len(shown) < len(targets):
        yield Line(f"  and {len(targets) - len(shown)} more apps, see -v 2")


def _target(keys: Sequence[Any]) -> str:
    return " and ".join(key.name for key in keys) or "zero"


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
        "nearly_kept": _nearly_kept_data(preview),
        "digest": plan.digest,
        "one_transaction": preview.one_transaction,
        "steps": [
            {
                "migration": str(step.key),
                "applied": stamp(step.applied),
                "because": [str(key) for key in step.because],
                "fake": step.fake,
                "effects": [
                    {"kind": effect.kind.value, "words": effect.words, "own_reverse": effect.own}
                    for effect in step.effects
                ],
            }
            for step in plan.steps
        ],
        "deleted_rows": [{"migration": str(row.key), "applied": stamp(row.applied)} for row in plan.squashes],
        "kept": [to_keep_data(each) for each in something(preview.kept)],
        "comes_back": [back_data(each) for each in preview.backs],
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
        "recorded_objects": plan_data(preview.recorded),
        "reason": preview.reason,
        "backup": first_data(preview.backup),
        "verdict": verdict_data(preview.verdict) if preview.verdict else None,
    }


def _nearly_kept_data(preview: Preview) -> dict[str, Any] | None:
    if preview.nearly_kept is None:
        return None
    group, keeps = preview.nearly_kept
    seconds = (group.start - preview.moment.at).total_seconds()
    return {"start": stamp(group.start), "seconds": seconds, "moment": stamp(keeps)}


def _deployment_data(group: Deployment, plan: Plan) -> dict[str, Any]:
    late = sum(map(plan.takes, group.records))
    return {
        "start": stamp(group.start),
        "end": stamp(group.end),
        "migrations": [str(row.key) for row in group.records],
        "fate": "goes" if late == len(group.records) else "cut" if late else "stays",
    }
