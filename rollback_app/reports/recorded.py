"""Views, functions and triggers that a run makes as they were recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rollback_app.safety import Does, ObjectChange, Preview, RecordedObjects

from .base import Line, local, stamp
from .findings import SHOWN


def plan_lines(preview: Preview, *, in_full: bool) -> Iterator[Line]:
    """What the plan says of them; nothing, if nothing differs."""
    recorded, moment = preview.recorded, preview.moment
    if recorded is None or recorded.at is None or not recorded.changes:
        return
    yield Line()
    when = f"{local(recorded.at, moment.zone)} {moment.zone_name}"
    yield Line(
        f"Views, functions and triggers become as they were recorded on {when}. Now these differ", "MIGRATE_LABEL"
    )
    for does in Does:
        yield from _lines([each for each in recorded.changes if each.does is does], in_full=in_full)
    if not preview.one_transaction:
        yield Line("  This is done after the last step.", indent=2)


def _lines(changes: Sequence[ObjectChange], *, in_full: bool) -> Iterator[Line]:
    shown = changes if in_full or len(changes) <= SHOWN + 1 else changes[:SHOWN]
    for each in shown:
        yield Line(f"  {each.kind} {each.name} {each.does.value}", indent=4)
    if len(shown) < len(changes):
        more = len(changes) - len(shown)
        yield Line(f"  and {more} more: {changes[0].does.value}, see -v 2", indent=4)


def plan_data(recorded: RecordedObjects | None) -> dict[str, Any] | None:
    if recorded is None or recorded.at is None:
        return None
    return {"recorded": stamp(recorded.at), "changes": changes_data(recorded.changes)}


def changes_data(changes: Sequence[ObjectChange]) -> list[dict[str, str]]:
    return [{"kind": each.kind, "name": each.name, "change": each.does.value} for each in changes]


_DONE = {Does.MAKES: "came back", Does.REPLACES: "changed back", Does.DROPS: "dropped"}


def done_lines(changes: Sequence[ObjectChange]) -> Iterator[Line]:
    """What a run did to them."""
    if changes:
        numbers = {does: sum(each.does is does for each in changes) for does in _DONE}
        words = ", ".join(f"{number} {_DONE[does]}" for does, number in numbers.items() if number)
        yield Line(f"Views, functions and triggers: {words}.", "SUCCESS")
