"""Any result -> one Report; a Report -> text, JSON, or commands.

A result knows only how to become a Report, a format sees only a Report: M formats and N results cost M + N functions.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .history import Deployment, Key, Outcome, Record, Row
from .listing import Listed, Listing, RolledBack
from .moments import Moment, ago
from .planner import DEFAULT_GAP, Plan, Step, migrate_commands
from .safety import Finding, Level, Preview
from .verdict import Difference, Verdict

SCHEMA = 1
SHOWN_STEPS = 20


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


def _local(at: datetime, moment: Moment) -> str:
    return f"{at.astimezone(moment.zone):%Y-%m-%d %H:%M:%S}"


_BADGES = {
    Level.BLOCKER: ("BLOCKED", "ERROR"),
    Level.LOSS: ("LOST", "WARNING"),
    Level.REMARK: ("Note", ""),
}


# Results


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
    moment, choices = preview.moment, preview.plan.choices
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
    reason = "is left alone" if preview.plan.cut.is_late(newest) else preview.plan.cut.early
    return Line(f"Nothing to do: the newest migration, {newest.key} of {when}, {reason}.", "SUCCESS")


def _deployments(preview: Preview) -> Iterator[Line]:
    """The last two kept and the first two undone, and how many there are beyond."""
    plan = preview.plan
    stays = [group for group in plan.deployments if not all(map(plan.takes, group.rows))]
    goes = [group for group in plan.deployments if any(map(plan.takes, group.rows))]
    by_time = plan.cut.kept is None and plan.choices.steps is None
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
    apps = sorted({row.key.app for row in group.rows})
    shown = ", ".join(apps[:6]) + (", …" if len(apps) > 6 else "")
    end = f" to {group.end.astimezone(moment.zone):%H:%M:%S}" if group.end != group.start else ""
    return f"{_local(group.start, moment)}{end}, {number_of(len(group.rows), 'migration')}: {shown}"


def _targets(plan: Plan) -> Iterator[Line]:
    if not plan.targets:
        return
    yield Line()
    yield Line("Each app goes back to", "MIGRATE_LABEL")
    for app, targets in sorted(plan.targets.items()):
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
        for app in sorted(plan.targets):
            yield Line(f"  {app}: {number_of(sum(step.key.app == app for step in plan.steps), 'step')}")
    for row in plan.bookkeeping:
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
            "utc": _stamp(preview.moment.at) if by_time else None,
            "zone": preview.moment.zone_name,
            "in_zone": preview.moment.at.astimezone(preview.moment.zone).isoformat() if by_time else None,
            "words": preview.moment.words,
        },
        "digest": plan.digest,
        "one_transaction": preview.one_transaction,
        "steps": [
            {
                "migration": str(step.key),
                "applied": _stamp(step.applied),
                "because": [str(key) for key in step.because],
                "fake": step.fake,
                "effects": [{"kind": effect.kind.value, "words": effect.words} for effect in step.effects],
            }
            for step in plan.steps
        ],
        "deleted_rows": [{"migration": str(row.key), "applied": _stamp(row.applied)} for row in plan.bookkeeping],
        "targets": {app: [key.name for key in targets] for app, targets in sorted(plan.targets.items())},
        "deployments": [_deployment_data(group, plan) for group in plan.deployments],
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
    late = sum(map(plan.takes, group.rows))
    return {
        "start": _stamp(group.start),
        "end": _stamp(group.end),
        "migrations": [str(row.key) for row in group.rows],
        "fate": "goes" if late == len(group.rows) else "cut" if late else "stays",
    }


def _stamp(at: datetime) -> str:
    return at.astimezone(timezone.utc).isoformat()


def of_result(
    alias: str,
    done: Iterable[tuple[Key, float]],
    deleted: Sequence[Row],
    release: str = "",
    verdict: Verdict | None = None,
) -> Report:
    """What a run did to one database. done: each unapplied migration, with its seconds. release: the newest one undone.
    verdict: only for programs, since people are told as soon as it is known."""
    steps = list(done)
    total = sum(spent for _, spent in steps)
    number = number_of(len(steps), "migration")
    lines = [
        Line(f"Done: {number} unapplied on {alias} in {seconds(total)}." if steps else f"Done on {alias}.", "SUCCESS")
    ]
    if deleted:
        lines.append(Line(f"{number_of(len(deleted), 'row')} of squash migrations deleted."))
    if steps:
        lines.append(
            Line("Next: start the older release. Do not run migrate from this one: it would apply them again.")
        )
        lines.append(Line(f"To go forward again later: {_forward(release, alias)}."))
    return Report(
        tuple(lines),
        {
            "steps": [{"migration": str(key), "seconds": spent} for key, spent in steps],
            "deleted_rows": len(deleted),
            "verification": of_verdict(verdict).data if verdict else None,
        },
    )


def of_listing(listing: Listing) -> Report:
    """The deployments of a database."""
    return Report(tuple(_listing(listing)), _listing_data(listing))


def _listing(listing: Listing) -> Iterator[Line]:
    yield Line(f"Database {listing.title}", "MIGRATE_HEADING")
    if listing.total:
        shown = len(listing.listed)
        yield Line(f"{number_of(listing.total, 'deployment')}, newest first, in {listing.zone.key}; {shown} shown")
    else:
        yield Line("No migration is applied here.")
    gone = list(listing.rolled_back)
    for listed in listing.listed:
        while gone and gone[0].deployment.start > listed.deployment.start:
            yield Line()
            yield from _rolled_back(gone.pop(0), listing)
        yield Line()
        yield from _listed(listed, listing)
    for rolled_back in gone:
        yield Line()
        yield from _rolled_back(rolled_back, listing)


def _listed(listed: Listed, listing: Listing) -> Iterator[Line]:
    guessed = "  guessed" if listed.deployment.guessed else ""
    yield Line(f"{listed.number}. {_when(listed.deployment, listing)}{guessed}", "MIGRATE_LABEL")
    yield from _what(listed.deployment, listing)
    for mark in listed.marks:
        yield Line(f"   ! {mark}")
    if not listed.blockers:
        yield Line("   can be rolled back, together with all that is newer")
    for finding in listed.blockers[:3]:
        yield Line(f"   BLOCKED {finding.text} [{finding.id}]", "ERROR")
    if len(listed.blockers) > 3:
        yield Line(f"   and {len(listed.blockers) - 3} more blockers")
    yield Line(f"   before it: {_back_before(listed, listing)}")


def _rolled_back(rolled_back: RolledBack, listing: Listing) -> Iterator[Line]:
    record = rolled_back.record
    yield Line(f"-. {_when(rolled_back.deployment, listing)}  ROLLED BACK", "WARNING")
    yield from _what(rolled_back.deployment, listing)
    yield Line(f"   by rollback {record.number} of {_utc(record.started)}; 'python manage.py showrollbacks' tells more")
    if rolled_back.again:
        yield Line(f"   applied again since: {', '.join(map(str, rolled_back.again))}")
    else:
        release = rolled_back.deployment.releases[-1] if rolled_back.deployment.releases else ""
        yield Line(f"   to go forward again: {_forward(release, listing.alias)}")


def _when(group: Deployment, listing: Listing) -> str:
    start, end = (f"{at.astimezone(listing.zone):%Y-%m-%d %H:%M:%S}" for at in (group.start, group.end))
    named = f"  release {', '.join(group.releases)}" if group.releases else ""
    return f"{start}{'' if start == end else ' to ' + end[11:]}{named}"


def _what(group: Deployment, listing: Listing) -> Iterator[Line]:
    yield Line(
        f"   UTC {group.start:%Y-%m-%d %H:%M:%S} to {group.end:%Y-%m-%d %H:%M:%S}, {ago(listing.now - group.end)}"
    )
    apps = Counter(row.key.app for row in group.rows)
    counts = ", ".join(f"{app} {count}" for app, count in sorted(apps.items()))
    lasted = seconds((group.end - group.start).total_seconds())
    yield Line(f"   {number_of(len(group.rows), 'migration')} in {lasted}: {counts}")


def _back_before(listed: Listed, listing: Listing) -> str:
    start = listed.deployment.start.isoformat(sep=" ")
    suffix = "" if listing.alias == "default" else f" --database {shlex.quote(listing.alias)}"
    if listing.gap != DEFAULT_GAP:  # by another gap it might seem to be cut in two
        suffix += f" --gap {listing.gap.total_seconds() / 60:g}"
    return f'python manage.py rollbackmigrationsafter "{start}"{suffix} --plan'


def _listing_data(listing: Listing) -> dict[str, Any]:
    return {
        "database": listing.alias,
        "engine": listing.title,
        "zone": listing.zone.key,
        "total": listing.total,
        "deployments": [
            {
                "number": listed.number,
                "start": _stamp(listed.deployment.start),
                "end": _stamp(listed.deployment.end),
                "in_zone": listed.deployment.start.astimezone(listing.zone).isoformat(),
                "releases": list(listed.deployment.releases),
                "guessed": listed.deployment.guessed,
                "migrations": [str(row.key) for row in listed.deployment.rows],
                "marks": list(listed.marks),
                "can_be_rolled_back": not listed.blockers,
                "blockers": [{"id": found.id, "about": found.about, "text": found.text} for found in listed.blockers],
                "command": _back_before(listed, listing),
            }
            for listed in listing.listed
        ],
        "rolled_back": [
            {
                "start": _stamp(gone.deployment.start),
                "end": _stamp(gone.deployment.end),
                "releases": list(gone.deployment.releases),
                "migrations": [str(row.key) for row in gone.deployment.rows],
                "rollback": gone.record.number,
                "applied_again": [str(key) for key in gone.again],
            }
            for gone in listing.rolled_back
        ],
    }


def _forward(release: str, alias: str) -> str:
    suffix = "" if alias == "default" else f" --database {shlex.quote(alias)}"
    return f"start {f'release {release}' if release else 'the newer release'} and run python manage.py migrate{suffix}"


def of_verdict(verdict: Verdict) -> Report:
    """Are the tables after a run what the migrations at the target say?"""
    return Report(
        tuple(_verdict(verdict)),
        {
            "tables": verdict.tables,
            "new": [_difference(difference) for difference in verdict.new],
            "left_over": [_difference(difference) for difference in verdict.left_over],
            "known": [_difference(difference) for difference in verdict.known],
            "why_not": verdict.why_not,
        },
    )


def _verdict(verdict: Verdict) -> Iterator[Line]:
    if verdict.why_not:
        yield Line(f"Not verified: no tables could be made to compare with: {verdict.why_not}", "WARNING")
    elif verdict.new:
        yield Line(f"Verified: {number_of(len(verdict.new), 'difference')} from what the migrations say.", "ERROR")
        return  # each is in the message of the failure
    elif not verdict.tables:
        yield Line("Verified: no table was touched.")
    else:
        are = "is" if verdict.tables == 1 else "are"
        but = ", but for the following" if verdict.left_over or verdict.known else ""
        yield Line(
            f"Verified: {number_of(verdict.tables, 'table')} {are} as the migrations at the target say{but}.", "SUCCESS"
        )
    for difference in verdict.left_over:
        yield Line(f"  {difference}: that is how Django itself undoes it, and harmless.")
    for difference in verdict.known:
        yield Line(f"  {difference}: that was so before.")


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "table": difference.table,
        "kind": difference.kind,
        "words": difference.words,
        "missing": difference.missing,
    }


def of_rehearsal(
    alias: str,
    steps: Iterable[tuple[Key, float, int, Sequence[str]]],
    locks: Mapping[str, str],
    verdict: Verdict | None,
) -> Report:
    """What a rehearsal on one database tells. steps: each migration, with its seconds, changed rows and statements. locks: by
    table the strongest that was held."""
    told = list(steps)
    total = sum(spent for _, spent, _, _ in told)
    number = number_of(len(told), "migration")
    lines = [Line(f"Rehearsed on {alias}, and taken back: {number} in {seconds(total)}.", "SUCCESS")]
    for key, spent, rows, statements in told:
        lines.append(Line(f"  {key}: {seconds(spent)}, {number_of(rows, 'row')}", "MIGRATE_LABEL"))
        lines += [Line(f"    {statement}") for statement in statements]
    if locks:
        lines.append(Line("The strongest lock on each table, held to the end of the run", "MIGRATE_LABEL"))
        lines += [Line(f"  {table}: {mode}{_blocks(mode)}") for table, mode in locks.items()]
    return Report(
        tuple(lines),
        {
            "database": alias,
            "steps": [
                {"migration": str(key), "seconds": spent, "rows": rows, "sql": list(statements)}
                for key, spent, rows, statements in told
            ],
            "locks": dict(locks),
            "verification": of_verdict(verdict).data if verdict else None,
        },
    )


def _blocks(mode: str) -> str:
    """What others cannot do meanwhile (https://www.postgresql.org/docs/current/explicit-locking.html)."""
    if mode == "ACCESS EXCLUSIVE":
        return ", so that reads and writes wait"
    return ", so that writes wait" if mode in ("EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE") else ""


_ENDS = {
    Outcome.STARTED: ("under way, or killed", "WARNING"),
    Outcome.FINISHED: ("done", "SUCCESS"),
    Outcome.FAILED: ("failed", "ERROR"),
}


def of_records(alias: str, title: str, records: Sequence[Record]) -> Report:
    """The journal of one database, newest first."""
    lines = [Line(f"Database {title}", "MIGRATE_HEADING")]
    if not records:
        lines.append(Line("No rollback was noted here."))
    for record in records:
        lines.append(Line())
        lines.extend(_record(record, alias))
    return Report(tuple(lines), {"rollbacks": [_record_data(record) for record in records]})


def _record(record: Record, alias: str) -> Iterator[Line]:
    end, style = _ENDS[record.outcome]
    who = f" by {record.operator}" if record.operator else ""
    done = f"{record.steps_done} of {number_of(len(record.steps), 'step')} undone"
    yield Line(f"{record.number}. {_utc(record.started)}{who} on {record.host}: {end}, {done}", style)
    yield Line(f"   back to  {_utc(record.moment) if record.moment else 'a set of migrations: see the command'}")
    yield Line(f"   command  {record.command or '(through the Python API)'}")
    yield Line(f"   digest   {record.digest}" + (f", took {seconds(record.seconds)}" if record.finished else ""))
    for index, (key, applied) in enumerate(record.steps, start=1):
        mark = "undone" if index <= record.steps_done else "left"
        yield Line(f"   {mark:<7}  {key}, which was applied {_utc(applied)}")
    for line in record.error.splitlines():
        yield Line(f"   error    {line}")
    if record.steps_done:
        yield Line(f"   forward  {_forward(record.release, alias)}")


def _utc(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _record_data(record: Record) -> dict[str, Any]:
    return {
        "number": record.number,
        "started": _stamp(record.started),
        "finished": _stamp(record.finished) if record.finished else None,
        "outcome": record.outcome.value,
        "operator": record.operator,
        "host": record.host,
        "command": record.command,
        "moment": _stamp(record.moment) if record.moment else None,
        "digest": record.digest,
        "release": record.release,
        "steps": [{"migration": str(key), "applied": _stamp(applied)} for key, applied in record.steps],
        "steps_done": record.steps_done,
        "seconds": record.seconds,
        "error": record.error,
    }


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
