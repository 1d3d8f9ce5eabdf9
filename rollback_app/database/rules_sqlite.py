"""The CHECK and UNIQUE rules inside a CREATE TABLE of SQLite, and which of them no migration knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rollback_app.planner import Known

from .objects_by_text import words

_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^]]*\]|--[^\n]*|/\*.*?\*/|[(),]|[^\s(),'"`[]+""", re.DOTALL
)
_OF_THE_TABLE = ("CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN")
# As Django writes them into the definition of a column.
_BY_DJANGO = ("{}>=0", "(json_valid({})or{}isnull)")


@dataclass(frozen=True)
class Rule:
    """kind: CHECK or UNIQUE. name: empty, if it has none. column: the one in whose definition it stands; empty, if it stands by
    itself. text: as it is written."""

    kind: str
    name: str
    column: str
    text: str

    def __str__(self) -> str:
        text = " ".join(self.text.split())
        return self.name or (text if self.kind == "CHECK" or not self.column else f"UNIQUE ({self.column})")

    def uses(self, column: str) -> bool:
        return column.lower() in words(self.text) or (self.kind == "UNIQUE" and column == self.column)

    def is_known(self, table: str, known: Known) -> bool:
        if self.name:
            return known.has_name(self.name, table, ())
        if self.kind == "UNIQUE":
            columns = frozenset({self.column} if self.column else words(self.text) - {"unique"})
            return columns in known.together.get(table, ()) or (table, self.column) in known.rules
        bare = re.sub(r'[\s"`]', "", self.text[len("CHECK") :]).lower()
        mine = [f"({each.format(*[self.column.lower()] * 2)})" for each in _BY_DJANGO]
        return (table, self.column) in known.checks or (bool(self.column) and bare in mine)


def rules(sql: str) -> list[Rule]:
    """Those of a table, from the text that made it."""
    return [rule for definition in _definitions(sql) for rule in _rules(sql, definition)]


def _definitions(sql: str) -> Iterator[list[tuple[re.Match[str], int]]]:
    """What stands between the commas of the outermost parentheses: words and signs, each with its depth."""
    depth, found = 0, list[tuple[re.Match[str], int]]()
    for token in _TOKEN.finditer(sql):
        if token[0].startswith(("--", "/*")):
            continue
        depth -= token[0] == ")"
        if depth == 0 or (depth == 1 and token[0] == ","):
            yield found
            found = []
        else:
            found.append((token, depth))
        depth += token[0] == "("


def _rules(sql: str, definition: list[tuple[re.Match[str], int]]) -> Iterator[Rule]:
    first = definition[0][0][0] if definition else ""
    column = "" if first.upper() in _OF_THE_TABLE else _bare(first)
    for index, (token, depth) in enumerate(definition):
        kind = token[0].upper()
        if depth == 1 and kind in ("CHECK", "UNIQUE"):
            before = [each[0] for each, _ in definition[:index]]
            name = _bare(before[-1]) if len(before) > 1 and before[-2].upper() == "CONSTRAINT" else ""
            closes = [each for each, at in definition[index + 1 :] if at == 1 and each[0] == ")"]
            opens = [each[0] for each, _ in definition[index + 1 : index + 2]] == ["("]
            yield Rule(kind, name, column, sql[token.start() : closes[0].end() if opens else token.end()])


def _bare(name: str) -> str:
    return name.strip('"`[]')
