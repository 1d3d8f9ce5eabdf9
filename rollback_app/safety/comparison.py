"""The result of comparing tables with what the migrations say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Difference:
    """missing: the target's migrations make it, and the table does not have it. Otherwise the other way round."""

    table: str
    kind: str
    words: str
    missing: bool

    def __str__(self) -> str:
        what = "" if self.kind == "table" else f"{self.kind} {self.words}".strip()
        if not what:
            return f"{self.table} {'is missing' if self.missing else 'is still there'}"
        return (
            f"{self.table} lacks {what}"
            if self.missing
            else f"{self.table} has {what}, which the migrations do not say"
        )

    @property
    def by_django(self) -> bool:
        """The second index of a text column, for LIKE: on PostgreSQL Django leaves it out or leaves it behind when AlterField
        or a rename is undone, with `migrate` too. No value depends on it."""
        return self.kind == "index" and ("varchar_pattern_ops" in self.words or "text_pattern_ops" in self.words)

    @property
    def column(self) -> tuple[str, str] | None:
        """Table and column, as the database names them; None, if it is about something else."""
        return (self.table, _name(self).strip('"')) if self.kind == "column" else None


@dataclass(frozen=True)
class Comparison:
    """tables: how many were compared. new: differences that the run made. left_over: harmless ones that Django's own reverse is
    known to make. by_code: what SQL or code of a step is in charge of, and the migrations do not know. known: those that were
    there before. left_out: the tables that were touched, and that have no other place where they could be made to compare with,
    since their names hold a schema. why_not: why nothing was compared."""

    tables: int = 0
    new: tuple[Difference, ...] = ()
    left_over: tuple[Difference, ...] = ()
    by_code: tuple[Difference, ...] = ()
    known: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()
    why_not: str = ""


def in_words(differences: Iterable[Difference]) -> list[str]:
    """A sentence for each. A column that is there, but not as the migrations say, is one difference and not two."""
    all_of_them = list(differences)
    there = {each.column: each for each in all_of_them if each.column and not each.missing}
    wanted = {each.column: each for each in all_of_them if each.column and each.missing}
    found = []
    for each in all_of_them:
        if each.column not in there or each.column not in wanted:
            found.append(str(each))
        elif not each.missing:
            found.append(_changed(each, wanted[each.column]))
    return found


def _changed(there: Difference, wanted: Difference) -> str:
    name, has, says = _name(there), _parts(there), _parts(wanted)
    more, less = [part for part in has if part not in says], [part for part in says if part not in has]
    column = f"column {name} of {there.table}"
    if not less:
        return f"{column} has {' '.join(more)}, which the migrations do not say"
    if not more:
        return f"{column} lacks {' '.join(less)}"
    return f"{column} is {' '.join(has)}, and the migrations say {' '.join(says)}"


# What the words for a column begin with, and where what they say besides its type begins: "size integer NOT NULL DEFAULT 0"
_NAME = re.compile(r'"(?:[^"]|"")+"|\S+')
_PART = re.compile(r" (?=NOT NULL|DEFAULT |GENERATED |automatic|auto_increment|COLLATE |PRIMARY KEY )")


def _name(column: Difference) -> str:
    return str(_NAME.findall(column.words)[0])


def _parts(column: Difference) -> list[str]:
    return _PART.split(column.words[len(_name(column)) + 1 :])
