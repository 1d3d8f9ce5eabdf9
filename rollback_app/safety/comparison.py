"""The result of comparing tables with what the migrations say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
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
        return f"{self.table} {'lacks' if self.missing else 'still has'} {what}"

    @property
    def by_django(self) -> bool:
        """The second index of a text column, for LIKE: on PostgreSQL Django leaves it out or leaves it behind when AlterField
        or a rename is undone, with `migrate` too. No value depends on it."""
        return self.kind == "index" and ("varchar_pattern_ops" in self.words or "text_pattern_ops" in self.words)


@dataclass(frozen=True)
class Comparison:
    """tables: how many were compared. new: differences that the run made. left_over: differences that Django's own reverse is
    known to make, and that are harmless. known: differences that existed before. why_not: why nothing was compared."""

    tables: int = 0
    new: tuple[Difference, ...] = ()
    left_over: tuple[Difference, ...] = ()
    known: tuple[Difference, ...] = ()
    why_not: str = ""
