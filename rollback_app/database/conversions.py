"""What becomes of a column's values when its type changes back: which of them do not fit, and which come out changed.

The server's own conversion decides, value by value, as far as the server can be asked without changing anything. A value is
changed if it is not the same after it was converted there and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rollback_app.safety import Count, Violations

from .column_types import NOTHING, Outcome, types
from .conversions_by_servers import mysql, postgresql
from .conversions_by_sqlite import UNREADABLE, sqlite
from .search import Search
from .value_types import base_of, becomes


def is_about_types(search: Search) -> bool:
    """Does the type of the column change at all?"""
    old, new = types(search)
    return old != new


def not_fitting(search: Search) -> Violations | None:
    """Values for which the operation fails."""
    outcome = _outcome(search)
    return Violations(Count(1), why=outcome.impossible) if outcome.impossible else outcome.not_fitting


def changed(search: Search) -> Violations | None:
    """Values that the operation cuts, rounds, or writes in another way."""
    return _outcome(search).changed


def stranded(search: Search) -> Violations | None:
    """Values that SQLite leaves as they are in a column of a type that they are not of."""
    old, new = map(base_of, types(search))
    unreadable = UNREADABLE.get(new, "") if search.vendor == "sqlite" and old != new else ""
    return search.matching(_not_null(search, unreadable)) if unreadable else None


def converted(search: Search) -> str:
    """The values as they will be, where SQL can say that."""
    collation = getattr(search.requirement.after, "db_collation", None)
    value = becomes(search.vendor, search.column, types(search)[1]) if is_about_types(search) else search.column
    return f"{value} COLLATE {search.quote(collation)}" if collation else value


def _not_null(search: Search, condition: str) -> str:
    return f"{search.column} IS NOT NULL AND ({condition.format(x=search.column)})"


def _outcome(search: Search) -> Outcome:
    """Found out once for each column and change of its type."""
    requirement = search.requirement
    key = search.limit, requirement.today, requirement.columns, *types(search), str(search.types_by_then)
    if key not in search.seen:
        search.seen[key] = _VENDORS[search.vendor](search) if search.is_there() else NOTHING
    found: Outcome = search.seen[key]
    return found


_VENDORS: Mapping[str, Callable[[Search], Outcome]] = {
    "postgresql": postgresql,
    "mysql": mysql,
    "sqlite": sqlite,
}
