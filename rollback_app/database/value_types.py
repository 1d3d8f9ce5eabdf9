"""Types of columns, and what a change of one makes of a value, as an SQL expression."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def type_of(connection: BaseDatabaseWrapper, field: Any) -> str:
    """As it stands in a column's definition."""
    return str(field.db_type(connection)).removesuffix(" AUTO_INCREMENT")


def base_of(kind: str) -> str:
    """A type without its length, its precision, or its sign."""
    return re.sub(r"\(.*\)| unsigned", "", kind.lower()).strip()


def is_text(kind: str) -> bool:
    return any(word in kind for word in ("char", "text", "json"))


def is_whole(kind: str) -> bool:
    return "int" in kind or kind == "bool"


def affinity(kind: str) -> str:
    """https://www.sqlite.org/datatype3.html#determination_of_column_affinity"""
    for affinity, words in {
        "INTEGER": "int",
        "TEXT": "char|clob|text",
        "BLOB": "blob",
        "REAL": "real|floa|doub",
    }.items():
        if re.search(words, kind.lower()):
            return affinity
    return "NUMERIC"


def mysql_cast(kind: str) -> str:
    """The type of this column as CAST knows it; empty, if it knows none."""
    base = base_of(kind)
    if is_text(kind):
        return "CHAR" + "".join(re.findall(r"\(.*\)", kind))
    if is_whole(kind):
        return "SIGNED"
    return {"numeric": kind.replace("numeric", "DECIMAL"), "double precision": "DOUBLE"}.get(
        base, kind if base in ("date", "datetime", "time", "uuid") else ""
    )


def becomes(vendor: str, value: str, kind: str) -> str:
    """A value, after its column got this type, if it fits; the value as it is, where SQL cannot say that."""
    if vendor == "sqlite":
        cast = f"CAST({value} AS {affinity(kind)})"
        return f"CASE WHEN {cast} = {value} THEN {cast} ELSE {value} END"
    to = mysql_cast(kind) if vendor == "mysql" else kind
    return f"CAST({value} AS {to})" if to else value


def passed_through(connection: BaseDatabaseWrapper, value: str, fields: Iterable[Any]) -> str:
    """A value, after its column got the types of these fields, one after the other."""
    for field in fields:
        value = becomes(connection.vendor, value, type_of(connection, field))
    return value
