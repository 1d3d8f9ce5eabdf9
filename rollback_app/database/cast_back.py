"""Values of a column that has another type now: what is written, and which cannot be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError

from .errors import first_line

_WHOLE = re.compile(r"(tiny|small|medium|big)?int(eger)?\b", re.IGNORECASE)
_NUMBER = re.compile(r"((tiny|small|medium|big)?int(eger)?|numeric|decimal|real|float|double)\b", re.IGNORECASE)
_SCALE = re.compile(r"(?:numeric|decimal)\(\d+(?:, ?(\d+))?\)", re.IGNORECASE)
_TEXT = re.compile(r"(character|varchar|char|text)\b", re.IGNORECASE)
_DATE = re.compile(r"date\b", re.IGNORECASE)
_TIME = re.compile(r"(timestamp|datetime)\b", re.IGNORECASE)
_TIME_OF_DAY = re.compile(r"time\b", re.IGNORECASE)
_FLOAT = re.compile(r"(real|float|double)\b", re.IGNORECASE)
# What Django can read in such a column of SQLite, as a pattern of GLOB.
_A_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_SHAPES = {"date": _A_DAY, "datetime": f"{_A_DAY}*", "time": "[0-9][0-9]:[0-9][0-9]*"}


@dataclass(frozen=True)
class Cast:
    """expression: what is written. lost: the condition of values that cannot be; empty if all can, as far as can be told
    before. why: the reason, in words."""

    expression: str
    lost: str = ""
    why: str = ""


def cast(connection: BaseDatabaseWrapper, source: str, column: str, before: str, now: str) -> Cast:
    """For a column of the table `source`, k, whose values had the one type and go into the other. source: quoted."""
    value = f"k.{connection.ops.quote_name(column)}"
    if before == now:
        return Cast(value)
    expression = _AS[connection.vendor].format(value, now)
    if refusal := _refusal(connection, f"SELECT {expression} FROM {source} k WHERE 1 = 0"):
        return Cast(_AS[connection.vendor].format("NULL", now), f"{value} IS NOT NULL", refusal)
    return Cast(
        expression, _lost(connection.vendor, value, before, now), f"{column} is {now} now and would change the value"
    )


_AS: Mapping[str, str] = {"postgresql": "CAST({} AS {})", "mysql": "{}", "sqlite": "{}"}  # others do so by themselves


def _refusal(connection: BaseDatabaseWrapper, query: str) -> str:
    """Why a server cannot cast so at all, in its own words; empty if it can."""
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(query)
    except DatabaseError as error:
        return first_line(error)
    return ""


def _lost(vendor: str, value: str, before: str, now: str) -> str:
    if vendor == "sqlite":
        return _lost_on_sqlite(value, now)
    if _NUMBER.match(before):
        return _lost_of_number(vendor, value, before, now)
    if (_TIME.match(before) and _TIME_OF_DAY.match(now)) or (_TIME_OF_DAY.match(before) and _TIME.match(now)):
        return f"{value} IS NOT NULL"  # the day would be gone, or that of the migrate
    if _TIME.match(before) and _DATE.match(now):
        return f"CAST({value} AS date) <> {value}"
    if (
        _TEXT.match(before) and _TEXT.match(now) and vendor == "postgresql"
    ):  # a cast cuts, and what is assigned is refused
        return f"CAST(CAST({value} AS {now}) AS text) <> CAST({value} AS text)"
    return ""


def _lost_on_sqlite(value: str, now: str) -> str:
    """SQLite takes anything."""
    if shape := _SHAPES.get(now.lower()):
        return f"({value} IS NOT NULL AND {value} NOT GLOB '{shape}')"
    if now.lower() == "bool":
        return f"({value} IS NOT NULL AND {value} NOT IN (0, 1))"
    is_text = f"typeof({value}) = 'text' AND (trim({value}) = '' OR {value} GLOB '*[^0-9.eE+-]*')"
    cut = ""
    if _WHOLE.match(now):
        cut = f" OR typeof({value}) = 'real' AND round({value}) <> {value}"
    elif _FLOAT.match(now):
        cut = f" OR typeof({value}) = 'integer' AND CAST(CAST({value} AS real) AS integer) <> {value}"
    return f"({is_text}{cut})" if _NUMBER.match(now) else ""


def _lost_of_number(vendor: str, value: str, before: str, now: str) -> str:
    exact = _EXACT[vendor]
    if (scale := _scale(now)) is not None:
        return f"round(CAST({value} AS {exact}), {scale}) <> {value}"
    if _FLOAT.match(now) and not _FLOAT.match(before):
        floating = {"mysql": "double"}.get(vendor, now)
        return f"CAST(CAST({value} AS {floating}) AS {exact}) <> CAST({value} AS {exact})"
    if _WHOLE.match(before) and now == "boolean":
        return f"CAST(CAST({value} AS boolean) AS integer) <> {value}"
    return ""


_EXACT: Mapping[str, str] = {"postgresql": "numeric", "mysql": "decimal(65, 30)"}


def _scale(kind: str) -> int | None:
    """How many digits after the point a type holds; None if it has no such limit."""
    if _WHOLE.match(kind):
        return 0
    found = _SCALE.match(kind)
    return int(found[1] or 0) if found else None
