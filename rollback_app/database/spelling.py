"""When two texts of PostgreSQL's catalog say the same: a change of a column's type and back leaves casts in the expressions that
are stored with its table, as in `((price)::numeric >= (0)::numeric)` for what was `(price >= 0)`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any


def normal(words: str) -> Any:
    """What an expression or a definition says, without casts and needless parentheses, as something that can be compared."""
    tokens = _TOKEN.findall(_CAST.sub(lambda found: found["literal"] or "", words))
    return _group(iter(tokens))


_LITERAL = r"""'(?:[^']|'')*'|"(?:[^"]|"")*\""""
_TYPE = (
    r"character varying|double precision|bit varying|time(?:stamp)?(?:\(\d+\))? with(?:out)? time zone"
    r"""|(?:"(?:[^"]|"")+"|\w+)(?:\.(?:"(?:[^"]|"")+"|\w+))?"""
)
_CAST = re.compile(rf"(?P<literal>{_LITERAL})|::(?:{_TYPE})(?:\(\d+(?:,\d+)?\))?(?:\[\])*")
_TOKEN = re.compile(rf"{_LITERAL}|[\w.]+|\S")
_OPERATORS = {
    "and",
    "or",
    "not",
    "in",
    "is",
    "where",
    "like",
    "between",
    "default",
    "when",
    "then",
    "else",
    "case",
    "with",
}


def _group(tokens: Iterator[str]) -> Any:
    """The tokens up to the next closing parenthesis, those in parentheses as one. Parentheses around a single thing are none,
    unless they follow the name of a function."""
    found: list[Any] = []
    for each in itertools.takewhile(lambda text: text != ")", tokens):
        called = found and isinstance(found[-1], str) and _is_name(found[-1])
        inner = _group(tokens) if each == "(" else each
        found.append(["call", inner] if each == "(" and called else inner)
    return found[0] if len(found) == 1 else found


def _is_name(token: str) -> bool:
    return token[0].isalpha() and token.lower() not in _OPERATORS
