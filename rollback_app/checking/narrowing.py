"""Does a column become too small for values that it may hold?"""

from __future__ import annotations

from typing import Any

_TEXT = ("CharField", "SlugField", "FileField", "FilePathField", "TextField")
# How large the values may be that Django promises on every database. A sign that a field refuses is no matter here: like a
# constraint, it keeps the migration from being applied, and so nothing is lost.
_WHOLE = {
    **dict.fromkeys(("SmallIntegerField", "SmallAutoField", "PositiveSmallIntegerField"), 15),
    **dict.fromkeys(("IntegerField", "AutoField", "PositiveIntegerField"), 31),
    **dict.fromkeys(("BigIntegerField", "BigAutoField", "PositiveBigIntegerField"), 63),
}
_LESS = {
    ("FloatField", "whole"),
    ("DecimalField", "whole"),
    ("DateTimeField", "DateField"),
    ("DateTimeField", "TimeField"),
    ("text", "whole"),
    *(("text", kind) for kind in ("DecimalField", "FloatField", "BooleanField", "DateField", "DateTimeField")),
    *(("text", kind) for kind in ("TimeField", "DurationField", "UUIDField", "GenericIPAddressField")),
    ("whole", "BooleanField"),
}


def narrows(before: Any, after: Any) -> bool:
    """Are there values of one field that the other cannot hold? False for fields that Django does not know."""
    kinds = before.get_internal_type(), after.get_internal_type()
    if kinds[0] in _TEXT and kinds[1] in _TEXT:
        return _longest(after) < _longest(before)
    if kinds[0] in _WHOLE and kinds[1] in _WHOLE:
        return _WHOLE[kinds[1]] < _WHOLE[kinds[0]]
    if kinds == ("DecimalField", "DecimalField"):
        return any(new < old for old, new in zip(_digits(before), _digits(after), strict=True))
    return (_family(kinds[0]), _family(kinds[1])) in _LESS


def _longest(field: Any) -> float:
    if field.get_internal_type() == "TextField" or field.max_length is None:
        return float("inf")
    return float(field.max_length)


def _digits(field: Any) -> tuple[int, int]:
    """Before and behind the point."""
    return field.max_digits - field.decimal_places, field.decimal_places


def _family(kind: str) -> str:
    return "text" if kind in _TEXT else "whole" if kind in _WHOLE else kind
