"""Types of columns, in the words of any of the databases, brought down to what matters to who reads and writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SIZES = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "integer": 4, "bigint": 8}
_SIZES |= {"smallserial": 2, "serial": 4, "bigserial": 8}
_TEXTS = {"tinytext": 255, "text": None, "mediumtext": 16_777_215, "longtext": None}
_FAMILIES = {
    **dict.fromkeys(_SIZES, "whole number"),
    **dict.fromkeys(("numeric", "decimal"), "decimal number"),
    **dict.fromkeys(("real", "double precision", "double", "float"), "floating number"),
    **dict.fromkeys(("varchar", "character varying", "char", "character", *_TEXTS), "text"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("json", "jsonb"), "JSON"),
    **dict.fromkeys(("bytea", "blob", "longblob", "mediumblob", "tinyblob", "binary", "varbinary"), "binary"),
    **dict.fromkeys(("timestamp with time zone", "timestamptz", "datetime"), "date and time"),
    "date": "date",
    "time": "time",
    "time without time zone": "time",
    "interval": "duration",
    "uuid": "UUID",
}
# What Django makes for a kind of value that a database has no type for, and makes for no other.
_DJANGOS = {"tinyint(1)": "boolean", "char(32)": "UUID"}
_WORDS = re.compile(r"(?P<name>[^(]+?) *(\((?P<numbers>[\d, ]+)\))?(?P<rest>[^()]*)")


@dataclass(frozen=True)
class Type:
    """words: the database's own. family: what kind of value it holds; the words themselves, if that is not known. size: its
    length, its bytes, or its digits before the point; None for no limit. places: behind the point. unsigned: no negative ones."""

    words: str
    family: str
    size: int | None = None
    places: int | None = None
    unsigned: bool = False

    @property
    def known(self) -> bool:
        return self.family in _FAMILIES.values()

    def narrower(self, other: Type) -> bool:
        """Is there a value of the other, of the same family, for which there is no room here?"""
        if self.unsigned != other.unsigned and (self.unsigned or _least(self.size) <= _least(other.size)):
            return True
        return any(
            mine is not None and (its is None or mine < its)
            for mine, its in ((self.size, other.size), (self.places, other.places))
        )


def _least(size: int | None) -> float:
    return float("inf") if size is None else size


def of_words(words: str) -> Type:
    """The type that these words name: `varchar(20)`, `character varying(20)`, `numeric(10, 2)`, `int(10) unsigned`."""
    plain = " ".join(words.lower().replace("auto_increment", "").split())
    if plain in _DJANGOS:
        return Type(words, _DJANGOS[plain])
    found = _WORDS.fullmatch(plain)
    name = " ".join(f"{found['name']}{found['rest']}".split()) if found else plain
    name, unsigned = name.removesuffix(" unsigned"), name.endswith(" unsigned")
    family = _FAMILIES.get(name, plain)
    numbers = [int(number) for number in re.findall(r"\d+", found["numbers"] or "")] if found else []
    if family == "whole number":
        return Type(words, family, _SIZES[name], unsigned=unsigned)
    if family == "decimal number" and numbers:
        digits, places = (*numbers, 0)[:2]
        return Type(words, family, digits - places, places)
    if family == "text":
        return Type(words, family, numbers[0] if numbers else _TEXTS.get(name))
    return Type(words, family)
