"""What the commands about kept data have in common."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from rollback_app.errors import UsageError
from rollback_app.management.base import add_database, add_format, positive
from rollback_app.safety import Refused


def add(parser: ArgumentParser) -> None:
    add_database(parser)
    add_format(parser)


def add_numbers(parser: ArgumentParser) -> None:
    parser.add_argument("numbers", nargs="*", type=positive, metavar="NUMBER", help="A number that `showkept` shows.")
    parser.add_argument("--all", action="store_true", help="All that is kept.")


def numbers(options: dict[str, Any], *others: str) -> list[int] | None:
    """The numbers that were given; None for all. others: options that say which, in their place.

    Errors: UsageError, unless one way to say which was used.
    """
    given = options["numbers"] if isinstance(options["numbers"], (list, tuple)) else [options["numbers"]]
    ways = [bool(given), options["all"], *(options[name] is not None for name in others)]
    if sum(ways) != 1:
        names = ["numbers", *(f"--{name.replace('_', '-')}" for name in others), "--all"]
        listed = f"{', '.join(names[:-1])} or {names[-1]}"
        words = f"Only one of {listed} can be given." if any(ways) else f"Which kept data? Give {listed}."
        raise UsageError(words, hint="`showkept` lists what is kept.")
    return list(given) or None


def ask(question: str, otherwise: str) -> None:
    """Errors: Refused, unless the answer is yes."""
    try:
        answer = input(question)
    except (EOFError, KeyboardInterrupt):
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused(f"Cancelled. {otherwise}", hint="Run the same command again to go on.")
