"""A few characters that differ when the rows of a table differ, whatever their order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .shapes import Column


def fingerprint(
    connection: BaseDatabaseWrapper,
    rows: str,
    columns: Sequence[Column],
    condition: str = "",
    params: Sequence[Any] = (),
) -> tuple[str, int]:
    """Of these columns: how many rows there are, and a sum over all of them, each of which counts as 32 or 64 bits of a hash.
    Asked for again by another process, it is the same. And how many of the rows meet the condition, which has these
    parameters. rows: as FROM names them."""
    summing = _QUERIES[connection.vendor](connection, columns)
    met = f"count(CASE WHEN {condition} THEN 1 END)" if condition else "count(*)"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), {summing}, {met} FROM {rows}", params or None)
        number, summed, found = cursor.fetchone()
    return f"{number}:{summed or 0}", found


def _postgresql(connection: Any, columns: Sequence[Column]) -> str:
    # hashtextextended: 64 bits, at a third of the cost of md5
    listed = ", ".join(connection.ops.quote_name(each.name) for each in columns)
    return f"sum(hashtextextended(ROW({listed})::text, 0)::numeric)"


_LONG = re.compile("text|blob|json|geometry|point|linestring|polygon|collection|binary|vector")
_NO_COMMA = re.compile("int|decimal|double|float|date|time|year")
_TEXT = re.compile("char|enum|set")


def _mysql(connection: Any, columns: Sequence[Column]) -> str:
    """By crc32, since md5 takes four times as long; by that of its digits, or two rows that change places might have the same
    sum. (CHECKSUM TABLE takes a third of the time, but the same sum for these.) Texts as bytes, since a collation may take
    different ones for the same, and behind their length; long values by their own number, for what is longer than
    max_allowed_packet would be null."""
    parts = []
    for each in columns:
        name = connection.ops.quote_name(each.name)
        if _LONG.search(each.type):
            parts.append(f"ifnull(crc32({name}), 'N')")
        elif _NO_COMMA.search(each.type):
            parts.append(f"ifnull({name}, 'N')")
        else:
            value = f"CAST({name} AS BINARY)" if _TEXT.search(each.type) else name
            parts += [f"ifnull(length({name}), 'N')", f"ifnull({value}, '')"]
    row = ", ',', ".join(parts)
    return f"sum(crc32(crc32(concat({row}))))"


class _Sum:
    def __init__(self) -> None:
        self.sum = 0

    def step(self, row: str) -> None:
        digest = hashlib.blake2b(row.encode(errors="surrogateescape"), digest_size=8).digest()
        self.sum += int.from_bytes(digest, "big")

    def finalize(self) -> str:
        return str(self.sum)


def _sqlite(connection: Any, columns: Sequence[Column]) -> str:
    connection.ensure_connection()
    connection.connection.create_aggregate("rollback_app_sum", 1, _Sum)
    row = " || ',' || ".join(f"quote({connection.ops.quote_name(each.name)})" for each in columns)
    return f"rollback_app_sum({row})"


_QUERIES: dict[str, Callable[[Any, Sequence[Column]], str]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlite": _sqlite,
}
