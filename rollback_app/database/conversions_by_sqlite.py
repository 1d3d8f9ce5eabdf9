"""What SQLite makes of values whose type changes."""

from __future__ import annotations

from collections.abc import Mapping

from .column_types import NOTHING, Outcome, types
from .search import Search
from .value_types import affinity

# SQLite: a type is only an inclination. What can be read as a number becomes one in a column that is inclined to numbers; the
# rest stays as it is.


def sqlite(search: Search) -> Outcome:
    old, new = map(affinity, types(search))
    if old == new:
        return NOTHING
    x = search.column
    there = f"CAST({x} AS {new})"
    if new == "TEXT":  # a floating number is written with 15 digits
        condition = f"typeof({x}) = 'real' AND CAST({there} AS REAL) <> {x}"
    elif new == "REAL":
        condition = (
            f"typeof({x}) = 'integer' AND CAST({there} AS INTEGER) <> {x}"
            f" OR typeof({x}) = 'text' AND {there} = {x} AND CAST({there} AS TEXT) <> {x}"
        )
    elif old == "TEXT" and new != "BLOB":
        condition = f"typeof({x}) = 'text' AND CAST({x} AS NUMERIC) = {x} AND CAST(CAST({x} AS NUMERIC) AS TEXT) <> {x}"
    else:
        return NOTHING
    return Outcome(None, search.matching(condition))


# What a column of that type cannot hold as Django wants to read it.
_NO_NUMBER = "CAST({x} AS NUMERIC) <> {x}"
_NO_INTEGER = "CAST({x} AS INTEGER) <> {x}"
UNREADABLE: Mapping[str, str] = {
    **dict.fromkeys(("integer", "bigint", "smallint"), _NO_INTEGER),
    "bool": f"{_NO_INTEGER} OR CAST({{x}} AS INTEGER) NOT IN (0, 1)",
    "real": _NO_NUMBER,
    "decimal": _NO_NUMBER,
    "date": "typeof({x}) <> 'text' OR date({x}) IS NOT {x}",
    "datetime": "typeof({x}) <> 'text' OR datetime({x}) IS NULL OR date(substr({x}, 1, 10)) IS NOT substr({x}, 1, 10)",
    "time": "typeof({x}) <> 'text' OR time({x}) IS NULL OR {x} LIKE '%-%'",
    "char": "length({x}) <> 32 OR {x} GLOB '*[^0-9a-f]*'",  # the only one is for UUIDs
}
