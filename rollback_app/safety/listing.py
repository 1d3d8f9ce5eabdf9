"""The deployments of a database, to find the one to go back to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rollback_app.history import Deployment, Key, Record, RecordedDeployment, Run, deployments
from rollback_app.planner import Plan

from .findings import Finding


@dataclass(frozen=True)
class Listed:
    """number: 1 is the newest. start: the moment to give to go back before it. marks: what is unusual about its records, in
    words. blockers: of a rollback to before it."""

    number: int
    start: datetime
    deployment: Deployment
    marks: tuple[str, ...]
    blockers: tuple[Finding, ...]


@dataclass(frozen=True)
class RolledBack:
    """A deployment, or a part of one, that a rollback has undone. again: which of its migrations were applied again since."""

    deployment: Deployment
    run: Run
    again: tuple[Key, ...]


@dataclass(frozen=True)
class Listing:
    """alias, title: of the database. gap: by which older records were grouped. listed, rolled_back: newest first. total: how many
    deployments there are. now: aware, UTC."""

    alias: str
    title: str
    zone: ZoneInfo
    gap: timedelta
    listed: tuple[Listed, ...]
    rolled_back: tuple[RolledBack, ...]
    total: int
    now: datetime


def rolled_back(
    runs: Iterable[Run],
    records: Sequence[Record],
    gap: timedelta,
    recorded: Collection[RecordedDeployment],
    precision: timedelta,
) -> list[RolledBack]:
    """The deployments that the rollbacks of a journal have undone, newest first."""
    applied = {record.key: record.applied for record in records}
    found = []
    for run in runs:
        undone = [Record(number, *step) for number, step in enumerate(run.steps[: run.steps_done])]
        for group in deployments(undone, gap, recorded, precision):
            keys = {record.key for record in group.records}
            again = sorted(key for key in keys if key in applied and applied[key] > run.started - precision)
            found.append(RolledBack(group, run, tuple(again)))
    return sorted(found, key=lambda each: each.deployment.start, reverse=True)


def marks(group: Deployment, plan: Plan) -> tuple[str, ...]:
    """What is unusual about the records of a deployment. A faked record looks like any other; these are its traces."""
    return (*_same_time(group, plan), *_out_of_order(group, plan), *_without_file(group, plan), *_notes(group, plan))


def _same_time(group: Deployment, plan: Plan) -> Iterator[str]:
    times = Counter(record.applied for record in group.records)
    if plan.basis.cut.precision >= timedelta(seconds=1):
        return  # many migrations take less than that
    if same := sum(count for count in times.values() if count > 1):
        yield f"{same} records have the same time as another: perhaps restored, or written by hand"


def _out_of_order(group: Deployment, plan: Plan) -> Iterator[str]:
    """Records that are older than those of migrations that they depend on."""
    history = plan.basis.history
    mine = {record.key for record in group.records}
    when = {key: max(record.applied for record in rows) for key, rows in history.decisive.items()}
    for key in sorted(mine & when.keys()):
        later = sorted(parent for parent in history.parents[key] if parent in when and when[parent] > when[key])
        if later:
            yield f"{key} was recorded before {later[0]}, which it depends on: perhaps faked"


def _without_file(group: Deployment, plan: Plan) -> Iterator[str]:
    ghosts = [str(record.key) for record in plan.basis.history.ghosts if record in group.records]
    if ghosts:
        yield f"not in this code: {', '.join(ghosts)}"


def _notes(group: Deployment, plan: Plan) -> Iterator[str]:
    """A fresh installation records a squash and all that it replaces at once: there is nothing unusual about that."""
    history = plan.basis.history
    notes = [
        str(record.key)
        for record in history.bookkeeping
        if record in group.records and not {*history.records_of.get(record.key, plan.basis.records)} <= {*group.records}
    ]
    if notes:
        yield f"squash (a record only): {', '.join(notes)}"
