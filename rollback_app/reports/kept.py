"""What a run keeps of what it drops."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from rollback_app.safety import Kept, KeptKind, Size, ToKeep

from .base import Line, number_of, stamp

_WORDS = {
    KeptKind.TABLE: ("table", "tables"),
    KeptKind.COLUMN: ("column", "columns"),
    KeptKind.VALUES: ("column of changed values", "columns of changed values"),
    KeptKind.OBJECT: ("definition", "definitions"),
}


def something(things: Sequence[ToKeep]) -> list[ToKeep]:
    """Those that hold something, as far as is known."""
    return [each for each in things if each.rows is None or not each.rows.lossless]


def keeps(things: Sequence[ToKeep]) -> Iterator[str]:
    """The sentence of the summary."""
    if full := something(things):
        exact = all(each.rows and not each.rows.more for each in full if each.kind is not KeptKind.OBJECT)
        rows = sum(each.rows.number for each in full if each.rows)
        size = Size(sum(each.bytes or 0 for each in full))
        about = (
            number_of(rows, "row") if exact else f"at least {number_of(rows, 'row')}" if rows else "rows not counted"
        )
        yield f"Keeps {_numbers([each.kind for each in full])} ({about}, {size}) to put back later."


def in_words(each: ToKeep) -> str:
    """What stands behind the words of a step."""
    if each.rows is None:
        return ", whose rows are kept"
    many = each.rows.number != 1 or each.rows.more
    if each.column:
        return f": {each.rows.found} row{'s have' if many else ' has'} a value, kept"
    return f": {each.rows} row{'s' if many else ''}, kept"


def _numbers(kinds: Sequence[KeptKind]) -> str:
    found = [number_of(kinds.count(kind), *words) for kind, words in _WORDS.items() if kind in kinds]
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def kept_lines(entries: Sequence[Kept], alias: str) -> Iterator[Line]:
    """The last lines of a run: what it has kept, and what may be done with it."""
    if not entries:
        return
    rows, size = sum(each.rows for each in entries), Size(sum(each.bytes or 0 for each in entries))
    yield Line(f"Kept {_numbers([each.kind for each in entries])} ({number_of(rows, 'row')}, {size}).", "SUCCESS")
    suffix = "" if alias == "default" else f" --database {shlex.quote(alias)}"
    if back := [str(each.number) for each in entries if each.put_back]:
        yield Line(
            "The next migrate that makes this again puts it back. If it is wrong and must not come back, drop it:"
        )
        yield Line(f"  python manage.py dropkept {' '.join(back)}{suffix}", whole=True)
    yield Line("What a migrate does not put back by itself, you can:" if back else "To put it back:")
    yield Line(f"  python manage.py putback {' '.join(str(each.number) for each in entries)}{suffix}", whole=True)


def to_keep_data(each: ToKeep) -> dict[str, Any]:
    return {
        "kind": each.kind.value,
        "source": each.source,
        "migration": each.about,
        "rows": None if each.rows is None else each.rows.number,
        "exact": bool(each.rows and not each.rows.more),
        "bytes": each.bytes,
        "put_back": each.put_back,
    }


def kept_data(each: Kept) -> dict[str, Any]:
    return {
        "number": each.number,
        "run": each.run,
        "kind": each.kind.value,
        "source": each.source,
        "columns": [name for name, _ in each.columns],
        "key": list(each.key),
        "rows": each.rows,
        "bytes": each.bytes,
        "made": stamp(each.made),
        "state": each.state.value,
        "left": each.left,
        "why": [{"rows": rows, "reason": reason} for rows, reason in each.why],
    }
