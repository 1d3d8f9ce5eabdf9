"""Numbers of rows, and of those that are in the way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """A number of rows. more: not all rows were looked at, so there may be more. about: how many rows the database's statistics
    estimate, if not all were looked at."""

    number: int
    more: bool = False
    about: int | None = None

    @property
    def lossless(self) -> bool:
        return not self.number and not self.more

    def __str__(self) -> str:
        return f"more than {digits(self.number)}" if self.more else digits(self.number)

    @property
    def found(self) -> str:
        """The same for rows that were searched for: there may be no more of them."""
        return f"at least {digits(self.number)}" if self.more else digits(self.number)


@dataclass(frozen=True)
class Violations:
    """The rows or names that would make an operation fail. query: lists the rows; empty for a name that is taken. partial: it
    lists only some. why: the database's words, if no row matters. condition: of all these rows, in SQL; empty if there is none,
    or if it would not find those that come later."""

    count: Count
    query: str = ""
    partial: bool = False
    why: str = ""
    condition: str = ""


def digits(number: int) -> str:
    return f"{number:,}".replace(",", " ")
