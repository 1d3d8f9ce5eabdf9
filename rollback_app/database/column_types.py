"""What is known about the values of a column whose type changes: how it is told, and what lengths and ranges say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from django.db.utils import DatabaseError

from rollback_app.safety import Count, Violations

from .search import Search
from .value_types import base_of, is_text, type_of

LISTED_VALUES = 20  # that a query names one by one, where no condition tells them
_DECIMALS = ("DecimalField", "FloatField")


@dataclass(frozen=True)
class Outcome:
    """not_fitting, changed: the rows; None if there can be none. impossible: the server's words, if it knows no way at all."""

    not_fitting: Violations | None = None
    changed: Violations | None = None
    impossible: str = ""


NOTHING = Outcome()


def types(search: Search) -> tuple[str, str]:
    """Before and after, as they stand in a column's definition."""
    requirement = search.requirement
    return type_of(search.connection, requirement.before), type_of(search.connection, requirement.after)


def one_by_one(search: Search, text: str, differs: str, *statements: str) -> Outcome:
    """The outcome of statements that look at one row after the other, and say: how many there are, how many do not fit, how
    many are changed, and some values of each, as JSON. text: the values as text, in SQL. differs: is it changed? Or empty."""
    total, *numbers, refused, different = search.fetch(*statements)
    refusals, differences = (Count(int(number), more=total > search.limit) for number in numbers)
    refused, different = (
        f"{text} IN ({', '.join(map(search.literal, json.loads(values))) or 'NULL'})" for values in (refused, different)
    )
    pattern = _PATTERNS.get(base_of(types(search)[1]), "")
    unlike = _LIKE[search.vendor].format(x=text, pattern=pattern)
    all_refused = pattern and search.matching(f"{refused} AND NOT ({unlike})")
    patterns = [unlike] if all_refused and all_refused.count.lossless else []
    guarded = [f"CASE WHEN {refused} THEN false ELSE {differs} END"] if differs else []
    return Outcome(
        _listed(search, refusals, refused, refused, *patterns),
        _listed(search, differences, different, *guarded, different),
    )


def _listed(search: Search, count: Count, some: str, *conditions: str) -> Violations | None:
    """That many rows, with the first of these conditions that finds as many; else with the one that finds some of them."""
    # Where there are none, a condition finds those that come later.
    for condition in [each for each in conditions if each != some] if count.lossless else conditions:
        with suppress(DatabaseError):  # it cannot be asked of all values
            found = search.matching(condition)
            if found and found.count == count:
                return replace(found, condition="") if condition == some else found
    return None if count.lossless else Violations(count, search.listing(some), partial=True)


# What can be read as such a value, if it is not too large.
_PATTERNS: Mapping[str, str] = {
    **dict.fromkeys(("integer", "bigint", "smallint", "bool"), r"^ *[-+]?[0-9]+ *$"),
    **dict.fromkeys(("numeric", "double precision"), r"^ *[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)? *$"),
    "uuid": r"^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$",
    "date": r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$",
}


_LIKE: Mapping[str, str] = {"postgresql": "{x} !~ '{pattern}'", "mysql": "{x} NOT REGEXP '{pattern}'"}


# Lengths and numbers, in conditions that no value fails


def only_widens(old: str, new: str) -> bool:
    """Is there room for every value?"""
    sizes = ("smallint", "integer", "bigint")
    if old in sizes and new in sizes:
        return sizes.index(old) < sizes.index(new)
    return is_text(old) and new in ("text", "longtext", "varchar")


def _type(field: Any) -> str:
    return str(field.get_internal_type())


def is_number(search: Search) -> bool:
    """Does it stay a number of which the range and the places are known?"""
    whole = search.connection.ops.integer_field_ranges
    before, after = _type(search.requirement.before), _type(search.requirement.after)
    return before in {*whole, *_DECIMALS} and after in {*whole, "DecimalField"}


def too_long(search: Search) -> str:
    """Longer than the column will be; empty, if it cannot be."""
    before, after = search.requirement.before, search.requirement.after
    length = getattr(after, "max_length", None)
    if length is None or "varchar" not in types(search)[1]:
        return ""
    if base_of(types(search)[0]) == "varchar" and (before.max_length or length + 1) <= length:
        return ""
    long = f"char_length({search.column}) > {length}"
    return f"{long} AND NOT ({_only_spaces(search)})" if cuts_spaces(search) else long


def cuts_spaces(search: Search) -> bool:
    """Does the database cut spaces at the end, however many, where it refuses to cut anything else?"""
    return search.vendor == "postgresql" or types(search)[0] == "longtext"


def _only_spaces(search: Search) -> str:
    return f"rtrim(substr({search.column}, {search.requirement.after.max_length} + 1)) = ''"


def spaces_cut(search: Search) -> str:
    return f"char_length({search.column}) > {search.requirement.after.max_length} AND {_only_spaces(search)}"


def out_of_range(search: Search) -> str:
    if not is_number(search):
        return ""
    before, after = search.requirement.before, search.requirement.after
    whole = search.connection.ops.integer_field_ranges
    value = _round(search)
    if _type(after) == "DecimalField":
        return f"abs({value}) >= {10 ** (after.max_digits - after.decimal_places)}"
    low, high = whole[_type(after)]
    least, most = whole.get(_type(before), (low - 1, high + 1))
    below = (
        least < low and _type(after) not in search.connection.data_type_check_constraints
    )  # else the check finds those
    found = [f"{value} < {low}"] * below + [f"{value} > {high}"] * (most > high)
    return " OR ".join(found)


def rounded(search: Search) -> str:
    rounds = is_number(search) and _type(search.requirement.before) in _DECIMALS
    return f"{search.column} <> {_round(search)}" if rounds else ""


def _round(search: Search) -> str:
    """The values as they will be."""
    if _type(search.requirement.before) not in _DECIMALS:
        return search.column
    places = getattr(search.requirement.after, "decimal_places", None) or 0
    return f"round({search.column}, {places})"
