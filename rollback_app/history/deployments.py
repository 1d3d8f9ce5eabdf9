"""Records that were applied together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from .records import MICROSECOND, Record


@dataclass(frozen=True)
class RecordedDeployment:
    """A `migrate` that was recorded while it ran; or a mark, whose start and end are the time of the record that was the newest
    when the database had the state of that release. Aware, in UTC."""

    release: str
    start: datetime
    end: datetime

    @property
    def is_mark(self) -> bool:
        return self.start == self.end

    def holds(self, record: Record, precision: timedelta) -> bool:
        """Is that a record of this `migrate`, or the one that was marked?"""
        return self.start - precision < record.applied < self.end + precision


@dataclass(frozen=True)
class Deployment:
    """Records that were applied together, oldest first. guessed: from the pauses between them, not from a recorded `migrate`.
    releases: the names that are known for it."""

    records: tuple[Record, ...]
    guessed: bool = True
    releases: tuple[str, ...] = ()

    @property
    def start(self) -> datetime:
        return self.records[0].applied

    @property
    def end(self) -> datetime:
        return self.records[-1].applied


def deployments(
    records: Iterable[Record],
    gap: timedelta,
    recorded: Collection[RecordedDeployment] = (),
    precision: timedelta = MICROSECOND,
) -> list[Deployment]:
    """The records grouped into deployments, oldest first.

    Records of one recorded `migrate` belong together; for all others a new one begins after a pause longer than `gap`. The times
    of records may be off from those of what was recorded by less than `precision`.
    """
    runs = sorted((run for run in recorded if not run.is_mark), key=lambda run: run.start)
    groups: list[tuple[RecordedDeployment | None, list[Record]]] = []
    for record in sorted(records, key=lambda record: (record.applied, record.id)):
        run = next((run for run in reversed(runs) if run.holds(record, precision)), None)
        if not groups or run != groups[-1][0] or (run is None and record.applied - groups[-1][1][-1].applied > gap):
            groups.append((run, []))
        groups[-1][1].append(record)
    marks = [mark for mark in recorded if mark.is_mark]
    return [Deployment(tuple(found), run is None, _releases(run, found, marks, precision)) for run, found in groups]


def just_after(group: Deployment, before: Iterable[datetime], precision: timedelta) -> datetime:
    """A moment that keeps a deployment, ready to paste: in whole seconds, if that is not after one of these moments."""
    exact = group.end + precision
    whole = (exact + timedelta(microseconds=999_999)).replace(microsecond=0)
    return whole if all(whole <= moment for moment in before) else exact


def _releases(
    run: RecordedDeployment | None, records: list[Record], marks: list[RecordedDeployment], precision: timedelta
) -> tuple[str, ...]:
    found = [run.release] if run and run.release else []
    found += [mark.release for mark in marks if any(mark.holds(record, precision) for record in records)]
    return tuple(dict.fromkeys(found))
