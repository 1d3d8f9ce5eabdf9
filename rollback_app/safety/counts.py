"""Numbers of rows."""

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


def digits(number: int) -> str:
    return f"{number:,}".replace(",", " ")
