"""The errors that a user can meet, each with its facts and the next thing to do.

Everything below the commands raises these; the border in `rollback_app.management.base` turns them into one message.
Anything else that is raised is a bug, and is left to show itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from itertools import takewhile

_LONGEST = 80
_WITHOUT_VALUE = re.compile("(--?[^=]+=|-[^-])--", re.DOTALL)


def shown(text: str) -> str:
    """What was typed, for a message: in one line that any terminal can print, and at most 80 characters of it."""
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in cut)


def without_value(words: Iterable[str]) -> str:
    """The first option of a command line that has "--" for its value, which is none: argparse would hand over a list, or nothing,
    as the version of Python has it. Empty, if there is none."""
    options = takewhile(lambda word: word != "--", words)
    found = next((word for word in options if _WITHOUT_VALUE.fullmatch(word)), "")
    return found[:-2].removesuffix("=")


def database_option(alias: str) -> str:
    """What a command to type needs, so that it is about this database; empty for the one that it takes by itself."""
    return "" if alias == "default" else f" --database {shlex.quote(alias)}"


class RollbackError(Exception):
    """Something a user must be told: what is wrong, what to type or do next, and the exit status that goes with it.

    message: what happened, one sentence, with the facts. hint: the next thing to type or do.
    """

    returncode = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(RollbackError):
    """What was typed cannot be understood or does not exist."""

    returncode = 2


class DatabaseUnusable(RollbackError):
    """The database cannot be reached, or is not one that Django has migrated."""


class CodeUnusable(RollbackError):
    """The migrations on disk cannot be loaded or do not form a graph."""


class Locked(RollbackError):
    """Somebody else holds a lock that the run needs. by_rollback: that is another rollback."""

    returncode = 4

    def __init__(self, message: str, *, hint: str = "", by_rollback: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.by_rollback = by_rollback
