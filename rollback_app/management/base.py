"""What all commands share: the border at which a RollbackError becomes one message and an exit status."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from rollback_app import database as databases
from rollback_app.errors import RollbackError, UsageError, shown, without_value
from rollback_app.reports import FORMATS, Report, as_message, of_error
from rollback_app.safety import Size
from rollback_app.tenants import spelled

from .output import lenient, lenient_streams, whole_file

_TOO_LONG = 10_000_000  # minutes or seconds: a limit that no one waits for, and that dates can be reckoned with
_LONG_WORD = re.compile(r"\S{81,}|[^\S ]+")
_WHOLE = re.compile("[0-9]{1,9}")


def whole(text: str) -> int:
    """The type of an argument: 0, 1, 2, …"""
    if not _WHOLE.fullmatch(text):
        raise ArgumentTypeError(f"'{shown(text)}' is not a whole number from 0 on. Give one such as 5.")
    return int(text)


def positive(text: str) -> int:
    """The type of an argument: 1, 2, 3, …"""
    if not _WHOLE.fullmatch(text) or not int(text):
        raise ArgumentTypeError(f"'{shown(text)}' is not a whole number from 1 on. Give one such as 5.")
    return int(text)


def amount(text: str | float) -> float:
    """The type of an argument: minutes or seconds."""
    try:
        found = float(text) if str(text).isascii() else -1.0
    except ValueError:
        found = -1.0
    if not 0 <= found < _TOO_LONG:  # false for nan
        raise ArgumentTypeError(f"'{shown(str(text))}' is not a number from 0 on. Give one such as 2.5.")
    return found


def size(text: str) -> int:
    """The type of an argument: bytes."""
    try:
        return Size.parse(text).bytes
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def add_database(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        default=DEFAULT_DB_ALIAS,
        metavar="ALIAS",
        help=f"The alias of the database in DATABASES. Default: {DEFAULT_DB_ALIAS}.",
    )


def add_fleet(parser: ArgumentParser, help: str) -> None:
    parser.add_argument("--fleet", action="store_true", help=f"{help} See `rollbackfleet`.")


def add_format(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=["json", "text"], default="text", help="text for people, json for programs."
    )


class _Parser(CommandParser):
    """Says in one short line what it does not understand."""

    def parse_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:
        words = list(args or ())
        if option := without_value(words):
            self.error(f"argument {option}: '--' is not a value")
        return super().parse_args(words, namespace)

    def error(self, message: str) -> Any:
        super().error(_LONG_WORD.sub(lambda word: shown(word[0]), message))


class RollbackCommand(BaseCommand):
    """Parses, calls, prints. A RollbackError leaves it as a CommandError that ends with what to do next; with --format json it is
    also told in the one object that is printed then."""

    requires_system_checks: tuple[
        str, ...
    ] = ()  # a rollback must not be stopped by what the newer code complains about
    at_command_line = False
    for_a_program = False  # is the one object of --format json wanted, also if the rest cannot be understood?

    def __init__(self, stdout: Any = None, stderr: Any = None, **options: Any) -> None:
        super().__init__(lenient(stdout or sys.stdout), lenient(stderr or sys.stderr), **options)
        self.object: dict[str, Any] = {}  # what is known, should an error end it
        self.findings_shown = False
        self.sink: TextIO | None = None
        self.spell: Callable[[str], str] = str  # each command as it has to be typed here

    def run_from_argv(self, argv: list[str]) -> None:
        self.at_command_line = True
        self.for_a_program = "--format=json" in argv or "--format json" in " ".join(argv)
        with lenient_streams():
            try:
                super().run_from_argv(argv)
            except CommandError as error:
                if isinstance(error.__cause__, RollbackError):
                    raise  # --traceback
                self.show(Report((), of_error(UsageError(str(error).removeprefix("Error: ")))), "json")
                self.stderr.write(str(error))
                sys.exit(UsageError.returncode)

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.__class__ = _Parser  # Django has no other way to choose it
        if self.for_a_program:
            parser.called_from_command_line = False  # so that what it does not understand comes here as an error
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        for name in ("stdout", "stderr"):
            if options.get(name):
                options[name] = lenient(options[name])
        if os.environ.get("NO_COLOR") and not options["force_color"]:
            options["no_color"] = True
        named = options.get("database") or DEFAULT_DB_ALIAS
        self.spell = databases.spelling([named] if isinstance(named, str) else named)
        try:
            with whole_file(options.get("output")) as self.sink:
                return self._execute(*args, **options)
        except RollbackError as error:
            raise CommandError(self._message(error), returncode=error.returncode) from error

    def _execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except RollbackError as error:
            if options.get("format") == "json":
                self.show(Report((), {**of_error(error), **self.object}), "json")
            raise

    def _message(self, error: RollbackError) -> str:
        """Without what the terminal shows already, and not too wide for it."""
        if not self.at_command_line:
            return self.spell(str(error))
        name = f"{CommandError.__name__}: "  # which Django puts in front of it
        brief = getattr(error, "brief", "") if self.findings_shown else ""
        text = self.spell(f"{name}{brief or error.message}\n{error.hint}")
        return as_message(text).removeprefix(name)

    def tell(self, text: str, style: str = "") -> None:
        """Print to stderr what there is to know meanwhile."""
        told = as_message(self.spell(text)) if self.at_command_line else self.spell(text)
        self.stderr.write(self.paint(style, told) if style else told)

    def show(self, report: Report, format: str = "text") -> None:
        """Print a report in a format to stdout, or write it to the file of --output; text to both."""
        report = replace(spelled(report, self.spell), script=report.script)  # which is SQL, and stays as it is
        if self.sink is not None:
            self.sink.write(FORMATS[format](report, lambda _, plain: plain) + "\n")
        if self.sink is None or format == "text":
            text = FORMATS[format](report, self.paint)
            if text:
                self.stdout.write(text)

    def paint(self, style: str, text: str) -> str:
        return str(getattr(self.style, style)(text))
