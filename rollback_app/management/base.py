"""What all commands share: the border at which a RollbackError becomes one message and an exit status."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rollback_app.errors import RollbackError
from rollback_app.reports import FORMATS, Report


def positive(text: str) -> int:
    """The type of an argument: 1, 2, 3, …"""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"'{text}' is no number from 1 on.")
    return int(text)


def minutes(text: str) -> float:
    """The type of an argument: a pause."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 10_000_000:  # this way round it is also true for what is not a number
        raise ArgumentTypeError(f"'{text}' is no number of minutes.")
    return found


class RollbackCommand(BaseCommand):
    """Parses, calls, prints. A RollbackError leaves it as a CommandError that ends with what to do next."""

    requires_system_checks: tuple[
        str, ...
    ] = ()  # a rollback must not be stopped by what the newer code complains about

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except RollbackError as error:
            raise CommandError(str(error), returncode=error.returncode) from error

    def show(self, report: Report, format: str = "text") -> None:
        """Print a report in a format to stdout."""
        text = FORMATS[format](report, self.paint)
        if text:
            self.stdout.write(text)

    def paint(self, style: str, text: str) -> str:
        return str(getattr(self.style, style)(text))
