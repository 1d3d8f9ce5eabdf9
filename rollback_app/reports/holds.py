"""What holds `migrate`, and how to go forward again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rollback_app.history import Hold, HoldSource, Key

from .base import Line, Report, as_message, forward_command, number_of, said, stamp, utc

_SHOWN = 3
_WHAT = {
    HoldSource.SETTING: "ROLLBACK['MIGRATE'] = False in the settings",
    HoldSource.ENVIRONMENT: "RUN_MIGRATIONS in the environment",
}


def of_holds(alias: str, title: str, holds: Sequence[Hold]) -> Report:
    """Is `migrate` held on a database, and by what? The first hold is the one that `data` tells of."""
    lines = [Line(f"Database {title}", "MIGRATE_HEADING", whole=True)]
    lines += hold_lines(alias, holds, in_full=True) if holds else [Line("migrate is not held.")]
    return Report(tuple(lines), {"database": alias, **_data(holds)})


def hold_lines(alias: str, holds: Sequence[Hold], *, in_full: bool = False) -> Iterator[Line]:
    """Nothing, where nothing is held. in_full: each of the migrations."""
    for hold in holds:
        yield from said(f"HELD {_sentence(hold)}", "WARNING")
        shown = hold.migrations if in_full else hold.migrations[:_SHOWN]
        for key in shown:
            yield Line(f"  {key}")
        if len(shown) < len(hold.migrations):
            yield Line(f"  and {len(hold.migrations) - len(shown)} more; `migratehold` lists them")
    if holds:
        yield from said(_hint(alias, holds[0]))


_BEFORE = "CommandError: "  # as Django tells it


def refusal(alias: str, hold: Hold, keys: Sequence[Key]) -> str:
    """Why a `migrate` that would apply these is refused, and what to type."""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    names = f"{', '.join(map(str, keys[:_SHOWN]))}{more}"
    text = f"{_sentence(hold)}\nIt would apply {names}. Nothing was changed.\n{_hint(alias, hold)}"
    return as_message(f"{_BEFORE}{text}").removeprefix(_BEFORE)


def _sentence(hold: Hold) -> str:
    if what := _WHAT.get(hold.source):
        return f"migrate is held here by {what}."
    since = f" since {utc(hold.since)}" if hold.since else ""
    number = number_of(len(hold.migrations), "migration")
    undid = f": a rollback undid {number}" if hold.source is HoldSource.ROLLBACK else ""
    reason = f" The reason: {hold.reason}" if hold.reason else ""
    return f"migrate is held{since} by {hold.by}{undid}.{reason}"


def _hint(alias: str, hold: Hold) -> str:
    if hold.source in _WHAT:
        return "Run migrate where that is not set."
    return f"To lift the hold and go forward again, run:\n  {forward_command(alias, held=True)}"


def _data(holds: Sequence[Hold]) -> dict[str, Any]:
    """No migrations are named where every one is held."""
    first = holds[0] if holds else None
    every = any(not hold.migrations for hold in holds)
    names = [] if every else sorted({str(key) for hold in holds for key in hold.migrations})
    return {
        "held": bool(holds),
        "migrations": names,
        "since": stamp(first.since) if first and first.since else None,
        "by": first.by if first else "",
        "reason": first.reason if first else "",
        "source": first.source.value if first else None,
    }
