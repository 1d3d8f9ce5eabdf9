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

from rollback_app.errors import UsageError, shown
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
            "An earlier rollback stopped half-way, so the newest deployment is now what it left over, or the one before.",
            hint="Give a date and time, which `showdeployments` lists; or finish that rollback with the same command: "
            f"{known.broke_off}",
        )
    count = len(known.groups)
    # Not int() alone: it reads other scripts' digits, and signs.
    if not re.fullmatch("[0-9]{1,9}", argument) or not 1 <= int(argument) <= count:
        raise UsageError(
            f"There is no deployment '{shown(argument)}' here. They are numbered from 1, the newest, to {count}."
            if count
            else "There is no deployment here: no migration was ever applied.",
            hint="`showdeployments` lists them.",
        )
    number = int(argument)
    group = known.groups[-number]
    newer = "" if number == 1 else " Undoes it and everything newer."
    return known.at(group.start, f"The start of deployment {number}.{newer}")


def _release(argument: str, known: Known) -> Moment:
    """Back to the end of that release's deployment."""
    named = [found for found in known.recorded if found.release]
    mine = [found for found in named if found.release == argument]
    # The newest mark counts, so that a wrong one can be corrected; but not one whose records were rolled back.
    for found in reversed(mine):
        if times := [record.applied for record in known.records if found.holds(record, known.precision)]:
            end = max(times)
            return known.at(end + known.precision, f"Just after {known.local(end)}, the end of release {argument}.")
    # What was not recorded may be declared by the migrations themselves: `release = "2.1"` on the class.
    says = [(record.applied, _declared(record, known.code)) for record in known.records]
    if times := [applied for applied, release in says if release and release == argument and not mine]:
        end = max(times)
        words = f"Just after {known.local(end)}, the last migration that declares release {argument}."
        return known.at(end + known.precision, words)
    names = {*(found.release for found in named), *(release for _, release in says if release)} - {argument}
    raise UsageError(
        f"Release '{shown(argument)}' was rolled back. Nothing of it is applied."
        if mine
        else f"No release '{shown(argument)}' is recorded here.",
        hint=f"Known: {', '.join(_nearest_first(argument, names))}."
        if names
        else "No other is recorded. To give a past moment the name of a release: "
        "python manage.py markrelease NAME --at MOMENT",
    )


def _declared(record: Record, code: Code) -> str:
    """The release that a migration declares; empty if it declares none."""
    release = getattr(code.migrations.get(record.key), "release", "")
    return release if isinstance(release, str) else ""


def _migration(argument: str, known: Known) -> Moment:
    """Undoes what was applied after that record. The beginning of a name is enough, if no other begins so."""
    name = _recorded_name(argument, sorted({str(record.key) for record in known.records}))
    found = [record for record in known.records if str(record.key) == name]
    named = min(found, key=lambda record: (record.applied, record.id))
    same = [
        record
        for record in known.records
        if record.applied == named.applied and record.id > named.id and record.key != named.key
    ]
    if same:
        raise UsageError(
            f"{same[0].key} was recorded after {name}, at exactly the same time. No moment lies between them.",
            hint=f"Name the last of them: migration:{max(same, key=lambda record: record.id).key}",
        )
    return known.at(named.applied + known.precision, f"Just after {name} was applied. It stays applied.")


def _recorded_name(argument: str, names: Sequence[str]) -> str:
    if argument in names:
        return argument
    found = [name for name in names if "." in argument and name.startswith(argument)]
    if len(found) > 1:
        raise UsageError(
            f"More than one migration that is recorded here begins with '{shown(argument)}'.",
            hint=f"Did you mean {' or '.join(found[:3])}{' or …' if len(found) > 3 else ''}?",
        )
    if not found:
        raise UsageError(
            f"No migration '{shown(argument)}' is recorded here.", hint=_did_you_mean(argument, names, "APP.NAME")
        )
    return found[0]


def _manifest(argument: str, known: Known) -> Moment:
    """Keeps exactly what is listed."""
    name = "from stdin" if argument == "-" else f"'{shown(argument)}'"
    if not argument:
        raise UsageError("Which manifest?", hint="For example manifest:older.json, or manifest:- for stdin.")
    listed = manifest.read(known.open(argument), name)
    recorded = {record.key for record in known.records}
    here = len(listed & _standing_for(recorded, known.code))
    if recorded and here * 2 < len(listed):
        raise UsageError(
            f"The manifest {name} is probably another project's: {here or 'none'} of its {len(listed)} migrations "
            f"{'is' if here < 2 else 'are'} recorded here.",
            hint="Give the manifest of an older release of this project, and check --database.",
        )
    kept = _with_squashes(listed, known.code, recorded)
    number = f"{len(listed)} migration{'s' if len(listed) > 1 else ''}"
    return known.keeping(kept, f"what the manifest {name} lists: {number}")


def _standing_for(recorded: set[Key], code: Code) -> set[Key]:
    """Also the migrations that a recorded squash replaces, and the squashes of which all originals are recorded."""
    found = set(recorded)
    for key, migration in code.migrations.items():
        originals = {Key(*name) for name in migration.replaces}
        if key in recorded:
            found |= originals
        elif originals and originals <= recorded:
            found.add(key)
    return found


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


def _here(argument: str, known: Known) -> Moment:
    """Keeps what this code has on disk. A record that neither this code nor a package has is kept if it is older than the newest
    one that this code has: it is of an app that is gone."""
    packaged = known.code.packaged.keys() | known.code.unloadable.keys()
    here = known.code.migrations.keys() - packaged
    recorded = {record.key for record in known.records}
    newest = max((record.applied for record in known.records if record.key in here), default=None)
    kept = _with_squashes(frozenset(here), known.code, recorded)
    gone = {
        record.key
        for record in known.records
        if record.key not in kept | packaged and newest is not None and record.applied < newest
    }
    number = f"{len(here)} migration{'s' if len(here) > 1 else ''}"
    return known.keeping(kept | gone, f"what this code has: {number}")


def _all(argument: str, known: Known) -> Moment:
    """Unapplies every migration of an app, or of all apps."""
    apps = {record.key.app for record in known.records}
    if argument and argument not in apps:
        raise UsageError(
            f"No migration of an app '{shown(argument)}' is recorded here.",
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
    "here": _here,
    "all": _all,
}
_ALONE = ("last", "here")  # which take no argument


def of(text: str) -> tuple[Kind, str] | None:
    """The kind of moment and its argument; None for a date and time.

    Errors: UsageError, if it looks like a kind and is none.
    """
    name, colon, argument = text.strip().partition(":")
    if name in KINDS and bool(colon) is (name not in _ALONE):
        return KINDS[name], argument.strip()
    meant = _meant(text.strip())
    if meant or name in KINDS or (colon and name.isalpha()):
        raise UsageError(
            f"'{shown(text)}' is not a moment.",
            hint=(f"Did you mean {shown(meant)}? " if meant else "")
            + f"Give a date and time, or one of: {', '.join(EXAMPLES.values())}.",
        )
    return None


_RELEASE = re.compile(r"(?!\d{1,2}\.\d{1,2}\.(\d{2}|\d{4})\b)(?!\d{4}\.\d{1,2}\.\d{1,2}\b)v?\d+(\.\d+)+([-+.]?\w+)*")
_MIGRATION = re.compile(r"[A-Za-z_]\w*\.\w+")


def _meant(text: str) -> str:
    """The moment that was meant by a text that is nearly one; empty if there is none."""
    name, between, argument = re.fullmatch(r"([A-Za-z]*)([\s:=]*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    near = difflib.get_close_matches(name.lower(), KINDS, n=1, cutoff=0.6)
    if name.lower() in _ALONE and not argument:
        return name.lower()
    if near and near[0] not in _ALONE and between and argument:
        return f"{near[0]}:{argument}"
    if _RELEASE.fullmatch(text):
        return f"release:{text}"
    return f"migration:{text}" if _MIGRATION.fullmatch(text) else ""


EXAMPLES = {
    "last": "last",
    "deployment": "deployment:2",
    "release": "release:2.1.0",
    "migration": "migration:orders.0007_total",
    "manifest": "manifest:FILE",
    "here": "here",
    "all": "all:APP",
}


def _nearest_first(name: str, known: Iterable[str]) -> list[str]:
    return sorted(known, key=lambda other: (-difflib.SequenceMatcher(None, name, other).ratio(), other))[:10]


def _did_you_mean(name: str, known: Iterable[str], form: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"Did you mean {' or '.join(near)}?" if near else f"Give {form}. `showmigrations` lists them."
