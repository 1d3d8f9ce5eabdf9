"""What a plan drops, and what of it the run keeps."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rollback_app.errors import UsageError, shown
from rollback_app.planner import Reach, Right, Step, code_on_the_way, drops

from .counts import Count
from .findings import Inspector
from .kept import Drop, Hanging, Keeping, KeptKind, Size, ToKeep
from .objects import Fate

_A_TABLE_OF_OURS = "rollback_kept_1"
_LOSE = "lose it with --destroy-data"
LARGER = f"Keep it with a larger --keep-at-most, or {_LOSE}."
RIGHT = f"Keep it by granting this user the right to create tables, or {_LOSE}."
WHOLE = f"Keep a copy of the whole table with --keep-table {{}}, and {_LOSE}."


def found(steps: Sequence[Step], inspector: Inspector, keeping: Keeping, *, count: bool) -> list[Drop]:
    """Each drop of these steps, in their order, but for columns of tables that are dropped too. Looks at each table once."""
    there = list(_counted(steps, inspector, count=count))
    return list(_Keeper(steps, inspector, keeping, count=count).decide(there)) if keeping.wanted else there


def named(inspector: Inspector, keeping: Keeping) -> Iterator[ToKeep]:
    """The tables that the user wants to be kept besides. Errors: UsageError, if there is none of this name."""
    for table in dict.fromkeys(keeping.tables):
        counted = inspector.count(table, {})
        if counted is None:
            raise UsageError(
                f"There is no table '{shown(table)}' to keep.", hint="Give --keep-table a name as the database has it."
            )
        size = inspector.size(table)
        yield ToKeep(KeptKind.TABLE, "", table, rows=counted[0], bytes=size, put_back=False)


def hanging(
    there: Iterable[Hanging], kept: Sequence[ToKeep], inspector: Inspector, keeping: Keeping
) -> Iterator[Hanging]:
    """What the run keeps of objects that go along or break. kept: what it keeps besides."""
    room = keeping.at_most - sum(thing.bytes or 0 for thing in kept)
    lacking: str | None = None
    for each in there:
        if not keeping.wanted or each.object.fate is Fate.STOPS or not each.object.definition:
            yield each
            continue
        lacking = no_right(inspector) if lacking is None else lacking
        keep = list(_of_object(each, inspector))
        size = sum(thing.bytes or 0 for thing in keep)
        why_not = lacking or (too_large(size, keeping) if size > room else "")
        room -= 0 if why_not else size
        way_out = RIGHT if lacking else LARGER
        yield replace(each, why_not=why_not, way_out=way_out) if why_not else replace(each, keep=tuple(keep))


def _of_object(each: Hanging, inspector: Inspector) -> Iterator[ToKeep]:
    """Its definition, and the rows of a table; those of a partition are kept with the table that it is a part of."""
    change, hung, about = each.change, each.object, str(each.change.step.key)
    yield ToKeep(
        KeptKind.OBJECT, about, change.table, change.column, name=str(hung), definition=hung.definition, bytes=0
    )
    if hung.table:
        rows, size = Count(hung.rows or 0), inspector.size(hung.table)
        yield ToKeep(KeptKind.TABLE, about, hung.table, name=str(hung), rows=rows, bytes=size)


def no_right(inspector: Inspector) -> str:
    """Why nothing can be kept in this database; empty if it can."""
    lacking = inspector.missing_rights([(_A_TABLE_OF_OURS, Right.CREATE)])
    return " ".join(lacking).removesuffix(".").removesuffix(", as the run does")


def too_large(size: int, keeping: Keeping) -> str:
    return f"it takes about {Size(size)}, and a run keeps at most {Size(keeping.at_most)}"


def _counted(steps: Sequence[Step], inspector: Inspector, *, count: bool) -> Iterator[Drop]:
    dropped = [drop for drop in drops(steps) if not getattr(drop[1].field, "generated", False)]
    dropped_tables = {table for _, _, table, column in dropped if not column}
    wanted: dict[str, dict[str, Any]] = {}
    for _, effect, table, column in dropped:
        columns = wanted.setdefault(table, {})
        if column and table not in dropped_tables:
            columns[column] = effect.field
    counts = {table: inspector.count(table, columns) if count else None for table, columns in wanted.items()}
    for step, effect, table, column in dropped:
        if not (column and table in dropped_tables):
            rows, values = counts[table] or (None, {})
            yield Drop(step, effect, table, column, values.get(column) if column else rows)


class _Keeper:
    """Decides for each drop whether it is kept."""

    def __init__(self, steps: Sequence[Step], inspector: Inspector, keeping: Keeping, *, count: bool) -> None:
        self._inspector, self._keeping, self._count = inspector, keeping, count
        self._code = code_on_the_way(steps)
        self._room = keeping.at_most

    def decide(self, all_drops: Sequence[Drop]) -> Iterator[Drop]:
        lacking = no_right(self._inspector) if all_drops else ""
        for drop in all_drops:
            if drop.count is None and self._count:  # there is none
                yield drop
            elif lacking:
                yield replace(drop, why_not=lacking, way_out=RIGHT)
            else:
                yield self._one(drop)

    def _one(self, drop: Drop) -> Drop:
        empty = drop.count is not None and drop.count.lossless
        key = self._inspector.key(drop.table) if drop.column and not empty else ()
        if drop.column and not empty and (not key or drop.column in key):
            why_not = "it is the primary key" if key else "its table has no primary key"
            return replace(drop, why_not=why_not, way_out=WHOLE.format(shlex.quote(drop.table)))
        size = self._size(drop, key)
        if size is not None and size > self._room:
            return replace(drop, why_not=too_large(size, self._keeping), way_out=LARGER)
        self._room -= size or 0
        kind = KeptKind.COLUMN if drop.column else KeptKind.TABLE
        keep = ToKeep(
            kind,
            str(drop.step.key),
            drop.table,
            drop.column,
            words=drop.effect.words,
            rows=drop.count,
            bytes=size,
            field=drop.effect.field,
            everything=bool(drop.column) and _is_filled(self._code, drop),
        )
        return replace(drop, keep=keep)

    def _size(self, drop: Drop, key: Sequence[str]) -> int | None:
        """Bytes, about."""
        if drop.count is None or (drop.count.more and drop.count.about is None):
            return self._inspector.size(drop.table)
        rows = drop.count.about or drop.count.number
        columns = [*key, drop.column] if drop.column else []
        return round(rows * self._inspector.row_bytes(drop.table, columns)) if rows else 0


def _is_filled(code: Sequence[Reach], drop: Drop) -> bool:
    """May code fill this column on the way forward, so that the rows without a value have to be known too?"""
    return any(reach.includes(drop.step.key.app, {drop.table, drop.effect.table}) for reach in code)
