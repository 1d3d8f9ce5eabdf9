"""Tries again when somebody else holds a lock, if nothing was changed yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rollback_app.errors import Locked, RollbackError

LONGEST_PAUSE = 30.0  # seconds
_T = TypeVar("_T")


def _ignore(text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Retries:
    """How often to try again. sleep: pauses for that many seconds; tell: hears of each pause, in words."""

    number: int = 0
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = _ignore

    def run(self, attempt: Callable[[], _T], *, again_after: tuple[type[RollbackError], ...] = (Locked,)) -> _T:
        """What the attempt returns, or the error of the last one. again_after: errors after which nothing was changed, if a lock
        caused them. The pauses between attempts grow: 1, 2, 4, … seconds."""
        for count in range(self.number):
            try:
                return attempt()
            except again_after as error:
                if error.returncode != Locked.returncode:
                    raise
                pause = min(2.0**count, LONGEST_PAUSE)
                words = error.message.splitlines()[0]
                self.tell(
                    f"{words}\nThis attempt changed nothing. Trying again in {pause:.0f} s ({count + 1} of {self.number})."
                )
                self.sleep(pause)
        return attempt()
