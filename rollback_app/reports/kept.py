"""What a run keeps of what it drops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rollback_app.errors import database_option
from rollback_app.moments import ago
from rollback_app.planner import Step
from rollback_app.safety import Back, Count, Kept, KeptData, KeptKind, KeptState, Refused, Size, ToKeep, table_of

from .base import Line, Report, number_of, stamp, utc

_WORDS = {
    KeptKind.TABLE: ("table", "tables"),
    KeptKind.COLUMN: ("column", "columns"),
    KeptKind.OBJECT: ("definition", "definitions"),
}


def something(things: Sequence[ToKeep]) -> list[ToKeep]:
    """Those that hold something, as far as is known."""
    return [each for each in things if each.rows is None or not each.rows.lossless]


def keeps(things: Sequence[ToKeep]) -> Iterator[str]:
    """The sentence of the summary."""
    if full := something(things):
        holding = [each for each in full if each.kind is not KeptKind.OBJECT]
        exact = all(each.rows and not each.rows.more for each in holding)
        rows = sum(each.rows.number for each in holding if each.rows)
        size = Size(sum(each.bytes or 0 for each in holding))
        about = (
            number_of(rows, "row") if exact else f"at least {number_of(rows, 'row')}" if rows else "rows not counted"
        )
        yield f"Keeps {_numbers([each.kind for each in full])}{f' ({about}, {size})' if holding else ''} to put back later."


def in_words(each: ToKeep) -> str:
    """What stands behind the words of a step."""
    if each.kind is KeptKind.VALUES:
        return _values_in_words(each.rows)
    if each.rows is None:
        return ", whose rows are kept"
    many = each.rows.number != 1 or each.rows.more
    if each.column:
        return f": {each.rows.found} row{'s have' if many else ' has'} a value, kept"
    return f": {each.rows} row{'s' if many else ''}, kept"


def _values_in_words(count: Count | None) -> str:
    if count is None or not count.number:
        return ": the values that it changes are kept"
    one = count.found == "1"
    return f": {count.found} value{'' if one else 's'} that it changes {'is' if one else 'are'} kept"


def _numbers(kinds: Sequence[KeptKind]) -> str:
    found = [number_of(kinds.count(kind), *words) for kind, words in _WORDS.items() if kind in kinds]
    if changed := kinds.count(KeptKind.VALUES):
        found.append(f"the changed values of {number_of(changed, 'column')}")
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def kept_lines(entries: Sequence[Kept], alias: str, *, puts_back: bool) -> Iterator[Line]:
    """The last lines of a run: what it has kept, and what may be done with it. puts_back: does `migrate` put it back?"""
    if not entries:
        return
    rows, size = sum(each.rows for each in entries), Size(sum(each.bytes or 0 for each in entries))
    about = f" ({number_of(rows, 'row')}, {size})" if rows else ""
    yield Line(f"Kept {_numbers([each.kind for each in entries])}{about}.", "SUCCESS")
    suffix = database_option(alias)
    if back := [str(each.number) for each in entries if each.put_back and puts_back]:
        yield Line(
            "The next migrate that makes this again puts it back. If it is wrong and must not come back, drop it:"
        )
        yield Line(f"  python manage.py dropkept {' '.join(back)}{suffix}", whole=True)
    yield Line("What a migrate does not put back by itself, you can:" if back else "To put it back:")
    yield Line(f"  python manage.py putback {' '.join(str(each.number) for each in entries)}{suffix}", whole=True)


def puts_back(backs: Sequence[Back]) -> Iterator[str]:
    """The sentence of the summary about what a `migrate` has kept."""
    if backs:
        rows = sum(each.entry.left for each in backs)
        yield f"Puts back {_numbers([each.entry.kind for each in backs])} ({number_of(rows, 'row')}) that a migrate kept."


def words_of_backs(backs: Sequence[Back], step: Step) -> dict[str, str]:
    """What stands for the words of those effects of a step whose table or column does not come back empty."""
    return {back.effect.words: _back_in_words(back) for back in backs if back.step == step}


def _back_in_words(back: Back) -> str:
    words = back.effect.words.removesuffix(", empty").removesuffix(", without its values")
    if back.entry.kind is KeptKind.TABLE:
        return f"{words}, with {number_of(back.entry.left, 'kept row')}"
    with_values = "with" if back.entry.kind is KeptKind.COLUMN else "and puts back"
    return f"{words}, {with_values} {number_of(back.entry.left, 'kept value')}"


def back_data(back: Back) -> dict[str, Any]:
    return {
        "number": back.entry.number,
        "kind": back.entry.kind.value,
        "source": back.entry.source,
        "migration": back.entry.about,
        "rows": back.entry.left,
        "bytes": back.entry.bytes,
    }


def given_back_lines(entries: Sequence[Kept]) -> Iterator[Line]:
    """What a run has put back."""
    for each in entries:
        if back := each.rows - each.left:
            yield Line(f"Put back what a migrate had kept of {each.source}: {number_of(back, 'row')}.", "SUCCESS")


def of_kept_data(found: KeptData, *, puts_back: bool, in_full: bool = False) -> Report:
    """What is kept in a database, newest first. puts_back: does `migrate` put it back? in_full: with its columns, and what may
    be done with it."""
    lines = [Line(f"Database {found.title}", "MIGRATE_HEADING", whole=True)]
    if not found.numbers:
        lines.append(Line("Nothing is kept here."))
    for each in found.entries:
        lines.append(Line())
        lines += _entry(each, found, puts_back=puts_back, in_full=in_full)
    for number in found.without_entry:
        lines.append(Line())
        lines += _without_entry(number, found.alias)
    return Report(
        tuple(lines),
        {
            "database": found.alias,
            "kept": [kept_data(each) for each in found.entries],
            "without_entry": list(found.without_entry),
        },
    )


def _entry(each: Kept, found: KeptData, *, puts_back: bool, in_full: bool) -> Iterator[Line]:
    is_gone = each.number in found.without_table
    yield Line(f"{each.number}. {title(each)}", "MIGRATE_LABEL" if each.open else "", 3)
    by = f", by rollback {each.run}" if each.run else ", by a migrate" if each.by_migrate else ""
    yield Line(f"   kept {ago(found.now - each.made)}, on {utc(each.made)}{by}", indent=3)
    if is_gone:
        yield Line(f"   Its table {table_of(each.number)} is gone: somebody dropped it.", "WARNING", 3)
    yield from _why(each)
    if each.open:
        yield from _next(each, puts_back=puts_back)
        if in_full:
            yield from _in_full(each, found)


def _why(each: Kept) -> Iterator[Line]:
    """Why it could not be put back."""
    for rows, reason in each.why:
        what = "not made again" if each.kind is KeptKind.OBJECT else number_of(rows, "row")
        yield Line(f"   {what}: {reason}", indent=5)


def title(each: Kept) -> str:
    """What was kept, and what has become of it."""
    what = (
        f"changed values of {each.source}" if each.kind is KeptKind.VALUES else f"{_WORDS[each.kind][0]} {each.source}"
    )
    if each.kind is KeptKind.OBJECT:
        return f"{what}: {_STATES[each.state]}"
    size = "" if each.bytes is None else f", {Size(each.bytes)}"
    if each.state is KeptState.PARTLY:
        return f"{what}: {each.left:,} of {number_of(each.rows, 'row')} still kept".replace(",", " ")
    return f"{what}: {number_of(each.rows, 'row')} {_STATES[each.state]}{size if each.open else ''}"


_STATES = {
    KeptState.COPIED: "copied",
    KeptState.KEPT: "kept",
    KeptState.PARTLY: "partly put back",
    KeptState.PUT_BACK: "put back",
    KeptState.DROPPED: "dropped",
}


def _next(each: Kept, *, puts_back: bool) -> Iterator[Line]:
    """What becomes of it, if nobody does anything."""
    if each.state is KeptState.COPIED:
        who = "migrate" if each.by_migrate else "rollback"
        yield Line(f"   The {who} that made this copy broke off, or is still under way.", indent=3)
    elif each.tried or not (each.put_back and puts_back):
        yield Line(f"   Only `putback {each.number}` puts it back.", indent=3)
    else:
        again = "changes it back" if each.kind is KeptKind.VALUES else "makes it again"
        who = f"A rollback of {each.about}" if each.by_migrate else f"The next migrate that {again}"
        yield Line(f"   {who} puts this back.", indent=3)


def _in_full(each: Kept, found: KeptData) -> Iterator[Line]:
    suffix = database_option(found.alias)
    if each.kind is KeptKind.OBJECT:
        yield Line("   its definition:")
        yield from (Line(f"     {line}", whole=True) for line in each.definition.splitlines())
    else:
        columns = ", ".join(f"{name} ({kind})" for name, kind in each.columns)
        yield Line(f"   columns  {columns}", indent=12)
        yield Line(f"   key      {', '.join(each.key) or 'none'}", indent=12)
        yield Line("   to look at the rows:")
        yield Line(f"     {found.setting}SELECT * FROM {table_of(each.number)};", whole=True)
    yield Line("   to put it back now:")
    yield Line(f"     python manage.py putback {each.number}{suffix}", whole=True)
    yield Line("   to drop it for good:")
    yield Line(f"     python manage.py dropkept {each.number}{suffix}", whole=True)


def _without_entry(number: int, alias: str) -> Iterator[Line]:
    suffix = database_option(alias)
    yield Line(f"{number}. table {table_of(number)}, of which the catalogue knows nothing", "WARNING", 3)
    yield Line("   to drop it for good:")
    yield Line(f"     python manage.py dropkept {number}{suffix}", whole=True)


def of_put_back(alias: str, entries: Sequence[Kept]) -> Report:
    """What `putback` has put back, and what not."""
    lines = [] if entries else [Line("There is nothing to put back.")]
    for each in entries:
        lines.append(Line(f"{each.number}. {title(each)}", "WARNING" if each.open else "SUCCESS", 3))
        lines += _why(each)
    return Report(tuple(lines), {"database": alias, "kept": [kept_data(each) for each in entries]})


def still_kept(entries: Sequence[Kept], alias: str) -> Refused | None:
    """What could not be put back, as an error."""
    left = [each for each in entries if each.open]
    if not left:
        return None
    rows = sum(each.left for each in left if each.kind is not KeptKind.OBJECT)
    what = number_of(rows, "row") if rows else number_of(len(left), "definition")
    are = "is" if (rows or len(left)) == 1 else "are"
    suffix = database_option(alias)
    return Refused(
        f"{what} could not be put back and {are} still kept.",
        hint=f"`showkept {left[0].number}{suffix}` shows where. When you have fixed the reason, run the same command again.",
    )


def of_dropped(dropped: KeptData) -> Report:
    """What `dropkept` has dropped."""
    count = number_of(len(dropped.numbers), "copy", "copies")
    line = Line(f"Dropped {count}.", "SUCCESS") if dropped.numbers else Line("There is nothing to drop.")
    return Report((line,), {"database": dropped.alias, "dropped": sorted(dropped.numbers)})


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
        "by": "migrate" if each.by_migrate else "rollback",
    }
