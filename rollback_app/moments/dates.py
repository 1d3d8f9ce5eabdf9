"""What the user typed -> the moment to go back to.

Nothing is guessed and nothing is filled in from today: what is doubtful is refused, with texts that can be pasted.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from dateutil import parser

from rollback_app.errors import UsageError, shown

_EXAMPLES = 'Give year, month and day, such as "2024-05-01 10:00", "2024-05-01T10:00:00+02:00" or "1 May 2024 10am".'
_MONTHS = "jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?|dec(ember)?"
_WEEKDAYS = "mon(day)?|tue(s(day)?)?|wed(nesday)?|thu(r(s(day)?)?)?|fri(day)?|sat(urday)?|sun(day)?"
_WORDS = re.compile(rf"({_MONTHS}|{_WEEKDAYS}|am|pm|t|z|utc|gmt|at|on|of|st|nd|rd|th)", re.IGNORECASE)
_SWAPPABLE = re.compile(r"(?<!\d)(\d{1,2})([./-])(\d{1,2})\2(\d{2}|\d{4})(?!\d)")
_ODD_OFFSET = re.compile(r"(utc|gmt|z)\s*[+-]\s*\d|[\d\s][+-](\d|\d{3}|\d:\d{2})$", re.IGNORECASE)
# A sign without a number, the T of a time without one, and hours that no clock with am and pm has.
_STRAY = re.compile(r"(?<!\w)[+-](?!\d)|\dt(?!\w)|(?<![\d:])0{1,2}(:\d{2})*\s*[ap]m", re.IGNORECASE)
# At the end, and not the end of a date such as 2024-05-15 or 15-05-2024.
_OFFSET = re.compile(
    r"(?<=[\dm\s])(?<!\b\d{4}-\d\d)(?<!\b\d{4}-\d)(?<!\b\d\d-\d\d)(?<!\b\d-\d\d)[+-]\d{2}(:?\d{2})?$", re.IGNORECASE
)
_FURTHEST = timedelta(hours=-12), timedelta(hours=14)  # the offsets that are in use on earth
_TIME = re.compile(
    r"(?<![\d:+-])\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(\s*[ap]m)?|(?<![\d:])\d{1,2}\s*[ap]m|(?<=\d)t\d{2,6}(?!\d|:)([.,]\d+)?"
    r"|(?<=\b\d{8})\d{2,6}\b",
    re.IGNORECASE,
)
_PIECES = (  # each of them may stand in a text once
    ("time", _TIME),
    ("am or pm", re.compile(r"(?<![a-z])[ap]m(?![a-z])", re.IGNORECASE)),
    ("month", re.compile(rf"(?<![a-z])({_MONTHS})(?![a-z])", re.IGNORECASE)),
    ("weekday", re.compile(rf"(?<![a-z])({_WEEKDAYS})(?![a-z])", re.IGNORECASE)),
    ("year", re.compile(r"(?<![\d:.,+-])(19|20)\d\d(?!\d)|(?<=[./-])(19|20)\d\d(?!\d)")),
)
# As `Moment.describe` and other messages end a moment: "2024-05-15 11:00:00 Europe/Berlin = 09:00:00 UTC, 2 h ago".
_OUR_TAIL = re.compile(r"(?P<rest>.*?)(\s=\s(?P<utc>[\d:. -]+) UTC)?(,\s\d[\w ]* ago)?")
_WITH_ZONE = re.compile(r"(?P<rest>.*\d.*)\s\[?(?P<zone>[A-Za-z_]+(/[\w+-]+)+)\]?")

# Without a zone, as dateutil wants them: whether the text has one is still to be seen.
_DEFAULTS = (datetime(2004, 1, 1, 0), datetime(2005, 2, 2, 1))  # noqa: DTZ001


@dataclass(frozen=True)
class Moment:
    """A point in time, and how it was said.

    text: as typed. at: aware, in UTC. zone, zone_name: in which it was read ("Europe/Berlin", "UTC", "+02:00"). date_only: no
    time was given, so that it means the first instant of that date.

    What was typed may be another kind of moment (`kinds`). words: then, what it means. kept: if it is not a time but a set,
    the migrations that stay, as (app, name); `at` is then when it was read. zero: was it asked to go back to nothing?
    """

    text: str
    at: datetime
    zone: tzinfo
    zone_name: str
    date_only: bool = False
    words: str = ""
    kept: frozenset[tuple[str, str]] | None = None
    zero: bool = False

    def describe(self, now: datetime) -> str:
        """The moment in its zone, in UTC, and how long ago it was at `now`."""
        here, there = self.at.astimezone(self.zone), self.at.astimezone(timezone.utc)
        in_utc = there.time().isoformat() if there.date() == here.date() else clock(there)
        utc = "" if self.zone_name == "UTC" else f" = {in_utc} UTC"
        return f"{clock(here)} {self.zone_name}{utc}, {ago(now - self.at)}"


def clock(at: datetime) -> str:
    """Date and time without a zone, microseconds only where there are some."""
    return at.replace(tzinfo=None).isoformat(sep=" ")


def ago(distance: timedelta) -> str:
    """`3 h 12 min ago`: the two largest units."""
    minutes, seconds = divmod(int(distance.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "days" if days != 1 else "day"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((place for place, (number, _) in enumerate(units) if number), len(units) - 1)
    return " ".join(f"{number} {unit}" for number, unit in units[first : first + 2] if number or first == 3) + " ago"


def parse(text: str, *, default_zone: str | None, now: datetime) -> Moment:
    """Read an absolute date and time.

    default_zone: the IANA name of the zone of a text without an offset; None refuses such a text. now: aware.
    Errors: UsageError, for whatever is partial, doubtful, impossible, or later than `now`.
    """
    typed, utc, zone = _parts(text)
    _refuse_doubtful(typed)
    local, date_only = _read(typed)
    _refuse_leftovers(typed, local)
    if local.tzinfo is not None:
        offset = local.utcoffset() or timedelta()
        _refuse_offset(typed, offset, zone)
        name = "UTC" if not offset else f"{local:%z}"[:3] + ":" + f"{local:%z}"[3:5]
        moment = Moment(text, _in_utc(local, typed), timezone(offset), name, date_only)
    else:
        moment = _in_zone(text, local, zone or default_zone, date_only=date_only)
    if not clock(moment.at).endswith(utc):
        raise UsageError(f"'{shown(text)}' gives two different times.", hint="Give one of them alone.")
    if moment.at > now:
        today = clock(now.astimezone(timezone.utc).replace(microsecond=0))
        raise UsageError(
            f"{clock(moment.at)} UTC is in the future. It is now {today} UTC.",
            hint="Nothing can have been applied after it. If the zone is wrong, give an offset, such as +02:00, or --timezone.",
        )
    return moment


def _parts(text: str) -> tuple[str, str, str]:
    """(date and time, the same in UTC if our output added that, name of a zone if one stands behind them)."""
    printed = _OUR_TAIL.fullmatch(text.strip().strip("\"'").strip())
    typed, utc = (printed["rest"], printed["utc"] or "") if printed else (text, "")
    named = _WITH_ZONE.fullmatch(typed)
    return (named["rest"].strip(), utc, named["zone"]) if named else (typed, utc, "")


def _refuse_leftovers(typed: str, local: datetime) -> None:
    """What dateutil reads by leaving a part of the text out of account."""
    rest = _OFFSET.sub("", typed)
    date, times = _TIME.subn("", rest)
    for what, pattern in _PIECES:
        if len(list(pattern.finditer(date if what == "year" else rest))) > 1:
            raise UsageError(f"'{shown(typed)}' has more than one {what}.", hint=_EXAMPLES)
    if (weekday := dict(_PIECES)["weekday"].search(rest)) and not f"{local:%A}".lower().startswith(
        weekday[0][:3].lower()
    ):
        raise UsageError(
            f"'{shown(typed)}' has the wrong weekday: {local:%Y-%m-%d} is a {local:%A}.", hint="Give the date alone."
        )
    numbers = re.findall(r"\d+", date)
    of_date = 1 if any(len(number) >= 8 for number in numbers) else 2 if dict(_PIECES)["month"].search(date) else 3
    # Without a time of the usual form, one number more is the hour.
    if len(numbers) > of_date + (not times) or _STRAY.search(rest):
        raise UsageError(f"'{shown(typed)}' has more in it than one date and time.", hint=_EXAMPLES)


def _refuse_offset(typed: str, offset: timedelta, zone: str) -> None:
    if zone:
        raise UsageError(
            f"'{shown(typed)} {shown(zone)}' has an offset and a time zone.", hint="Give only one of them."
        )
    if not _FURTHEST[0] <= offset <= _FURTHEST[1]:
        raise UsageError(
            f"'{shown(typed)}' has an offset that no time zone has.",
            hint="Offsets go from -12:00 to +14:00, as in +02:00.",
        )


def _refuse_doubtful(typed: str) -> None:
    if not (typed.isascii() and typed.isprintable() and re.search(r"\d", typed)):
        raise UsageError(f"'{shown(typed)}' is not a date.", hint=_EXAMPLES)
    if swappable := _SWAPPABLE.search(typed):
        first, second, year = int(swappable[1]), int(swappable[3]), swappable[4]
        if len(year) == 2:
            raise UsageError(f"'{shown(typed)}' has a year of two digits.", hint=_EXAMPLES)
        if first != second and first <= 12 and second <= 12:
            rest = typed[swappable.end() :]
            raise UsageError(
                f"'{shown(typed)}' can be read with the day first or the month first.",
                hint=f'Give "{year}-{second:02}-{first:02}{rest}" or "{year}-{first:02}-{second:02}{rest}".',
            )
    if _ODD_OFFSET.search(typed):
        raise UsageError(
            f"The offset in '{shown(typed)}' can be read in two ways.", hint='Write it as "+02:00" after the time.'
        )
    for word in re.findall(r"[A-Za-z/_]*[A-Za-z]", typed):
        if not _WORDS.fullmatch(word.strip("/")):
            raise UsageError(
                f"'{shown(word)}' in '{shown(typed)}' is not understood. Abbreviations of time zones have several meanings.",
                hint="Give an offset, as +02:00, or the full name of a time zone, such as --timezone Europe/Berlin.",
            )


def _read(typed: str) -> tuple[datetime, bool]:
    """The date and time, and whether only a date was given. Read twice, to see what is filled in."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            one, other = (parser.parse(typed, default=default) for default in _DEFAULTS)
            one.isoformat(), one.utcoffset()
    except (ValueError, OverflowError, TypeError, AttributeError, Warning) as error:
        raise UsageError(f"'{shown(typed)}' is not a date and time.", hint=_EXAMPLES) from error
    if one.date() != other.date() or f"{one.year:04}" not in typed:
        raise UsageError(
            f"'{shown(typed)}' leaves out a part of the date, or has a year of two digits.", hint=_EXAMPLES
        )
    return one, one.hour != other.hour


def _in_utc(local: datetime, typed: str) -> datetime:
    try:
        return local.astimezone(timezone.utc)
    except OverflowError as error:
        raise UsageError(f"'{shown(typed)}' is outside the calendar.", hint=_EXAMPLES) from error


def zone_named(name: str) -> ZoneInfo:
    """Errors: UsageError."""
    try:
        return ZoneInfo(name)
    # A name that is a folder, or has odd characters, raises other errors than ZoneInfoNotFoundError, which is a KeyError.
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(
            f"There is no time zone '{shown(name)}'.", hint="Give an IANA name, such as --timezone Europe/Berlin."
        ) from error


def _in_zone(text: str, local: datetime, name: str | None, *, date_only: bool) -> Moment:
    if name is None:
        raise UsageError(
            f"'{shown(text)}' does not say which time zone it is in.",
            hint="Give an offset, such as +02:00, or --timezone Europe/Berlin.",
        )
    zone = zone_named(name)
    readings = [local.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    utc = [_in_utc(reading, text) for reading in readings]
    if utc[0] != utc[1] and not date_only:
        exists = utc[0].astimezone(zone).replace(tzinfo=None) == local
        both = " or ".join(f'"{at.astimezone(zone).isoformat(sep=" ")}"' for at in sorted(utc))
        raise UsageError(
            f"'{shown(text)}' {'happened twice' if exists else 'never happened'} in {name}, because the clocks were changed.",
            hint=f"Give {both}.",
        )
    return Moment(text, utc[0], zone, name, date_only)  # where a midnight is skipped, the first instant after it
