"""Kinds of moment beside a date and time, as `deployment:2`: what each means for the history of one database.

Each kind is one function; adding one is that function, its line in KINDS and its tests.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rollback_app.errors import UsageError
from rollback_app.history import Code, Deployment, Key, Record, RecordedDeployment

from . import manifest
from .dates import Moment, clock


@dataclass(frozen=True)
class Known:
    """What a kind may look at. text: all that was typed. groups: the deployments, oldest first. precision: of the column
    `applied`. now: aware, UTC. open: gives the text of a file by its name, "-" for what is piped in. broke_off: the command of
    the newest run, if it broke off half-way and is still to be ended."""

    text: str
    records: Sequence[Record]
    code: Code
    groups: Sequence[Deployment]
    recorded: Sequence[RecordedDeployment]
    precision: timedelta
    zone: ZoneInfo
    now: datetime
    open: Callable[[str], str]
    broke_off: str = ""

    def at(self, at: datetime, words: str) -> Moment:
        return Moment(self.text, at, self.zone, self.zone.key, words=words)

    def keeping(self, kept: frozenset[Key], words: str, *, zero: bool = False) -> Moment:
        return Moment(self.text, self.now, self.zone, self.zone.key, words=words, kept=kept, zero=zero)

    def local(self, at: datetime) -> str:
        return clock(at.astimezone(self.zone).replace(microsecond=0))


Kind = Callable[[str, Known], Moment]


def _last(argument: str, known: Known) -> Moment:
    return _deployment("1", known)


def _deployment(argument: str, known: Known) -> Moment:
    """Undoes that deployment and all newer ones."""
    if known.broke_off:
        raise UsageError(
            "A run broke off half-way, so that the newest deployment now is a rest of it, or the one before.",
            hint=f"Run that one to its end: {known.broke_off}. Or name a time; 'python manage.py showdeployments' lists them.",
        )
    count = len(known.groups)
    # Not int() alone: it reads other scripts' digits, and signs.
    if not re.fullmatch("[0-9]{1,9}", argument) or not 1 <= int(argument) <= count:
        raise UsageError(
            f"There is no deployment '{argument}' here: they are numbered 1 (the newest) to {count}."
            if count
            else "There is no deployment here: no migration was ever applied.",
            hint="'python manage.py showdeployments' lists them.",
        )
    number = int(argument)
    group = known.groups[-number]
    what = "it goes" if number == 1 else "it goes, with all that is newer"
    return known.at(group.start, f"Deployment {number} began then; {what}.")


def _release(argument: str, known: Known) -> Moment:
    """Back to the end of that release's deployment."""
    named = [found for found in known.recorded if found.release]
    mine = [found for found in named if found.release == argument]
    # The newest word counts, so that a mark can be put right; not if its records are gone, since it was rolled back.
    for found in reversed(mine):
        if times := [record.applied for record in known.records if found.holds(record, known.precision)]:
            end = max(times)
            return known.at(end + known.precision, f"Just after {known.local(end)}, the end of release {argument}.")
    names = {found.release for found in named} - {argument}
    raise UsageError(
        f"Release '{argument}' was rolled back: nothing of it is applied."
        if mine
        else f"No release '{argument}' is recorded here.",
        hint=f"Known: {', '.join(_nearest_first(argument, names))}."
        if names
        else "No other is recorded. To name a moment of the past: python manage.py markrelease NAME --at MOMENT",
    )


def _migration(argument: str, known: Known) -> Moment:
    """Undoes what was applied after that record."""
    found = [record for record in known.records if str(record.key) == argument]
    if not found:
        names = (str(record.key) for record in known.records)
        raise UsageError(
            f"No migration '{argument}' is recorded here.", hint=_did_you_mean(argument, names, "APP.NAME, in full")
        )
    named = min(found, key=lambda record: (record.applied, record.id))
    same = [
        record
        for record in known.records
        if record.applied == named.applied and record.id > named.id and record.key != named.key
    ]
    if same:
        raise UsageError(
            f"{same[0].key} was recorded after {argument}, at the very same time: a moment cannot come between them.",
            hint=f"Name the last of them: migration:{max(same, key=lambda record: record.id).key}",
        )
    return known.at(named.applied + known.precision, f"Just after {argument} was applied, which stays.")


def _manifest(argument: str, known: Known) -> Moment:
    """Keeps exactly what is listed."""
    name = "from stdin" if argument == "-" else f"'{argument}'"
    if not argument:
        raise UsageError(
            "It is not said which manifest.", hint="For example manifest:older.json, or manifest:- for stdin."
        )
    listed = manifest.read(known.open(argument), name)
    kept = _with_squashes(listed, known.code, {record.key for record in known.records})
    return known.keeping(kept, f"what the manifest {name} lists: {len(listed)} migrations")


def _with_squashes(listed: frozenset[Key], code: Code, recorded: set[Key]) -> frozenset[Key]:
    """Also the migrations that stand for what is listed: what a listed squash replaces; and a squash that was run in the
    place of its originals, all of which are listed."""
    kept = set(listed)
    replaces = {
        key: {Key(*name) for name in migration.replaces}
        for key, migration in code.migrations.items()
        if migration.replaces
    }
    before = -1
    while before != len(kept):  # squashes may be of squashes
        before = len(kept)
        for squash, originals in replaces.items():
            if squash in kept:
                kept |= originals
            elif originals <= kept and not originals & recorded:
                kept.add(squash)
    return frozenset(kept)


def _all(argument: str, known: Known) -> Moment:
    """An app, or everything, to zero."""
    apps = {record.key.app for record in known.records}
    if argument and argument not in apps:
        raise UsageError(
            f"No migration of an app '{argument}' is recorded here.",
            hint=_did_you_mean(argument, apps, "an app's label"),
        )
    kept = frozenset(record.key for record in known.records if argument and record.key.app != argument)
    return known.keeping(kept, f"every app but {argument}" if argument else "nothing", zero=True)


KINDS: dict[str, Kind] = {
    "last": _last,
    "deployment": _deployment,
    "release": _release,
    "migration": _migration,
    "manifest": _manifest,
    "all": _all,
}


def of(text: str) -> tuple[Kind, str] | None:
    """The kind of moment and its argument; None for a date and time.

    Errors: UsageError, if it looks like a kind and is none.
    """
    name, colon, argument = text.strip().partition(":")
    if name in KINDS and bool(colon) is (name != "last"):
        return KINDS[name], argument.strip()
    if name in KINDS or (colon and name.isalpha()):
        raise UsageError(f"'{text}' is no kind of moment.", hint=f"Known: {', '.join(EXAMPLES.values())}.")
    return None


EXAMPLES = {
    "last": "last",
    "deployment": "deployment:2",
    "release": "release:2.1.0",
    "migration": "migration:orders.0007_total",
    "manifest": "manifest:FILE",
    "all": "all:APP",
}


def _nearest_first(name: str, known: Iterable[str]) -> list[str]:
    return sorted(known, key=lambda other: (-difflib.SequenceMatcher(None, name, other).ratio(), other))[:10]


def _did_you_mean(name: str, known: Iterable[str], form: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return (
        f"Did you mean {' or '.join(near)}?" if near else f"Give {form}; 'python manage.py showmigrations' lists them."
    )
