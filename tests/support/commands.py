"""Running a command as a user does, and keeping all that it said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError
from jsonschema import Draft202012Validator, FormatChecker

from tests.support.databases import Database
from tests.support.reference import ALIASES, SCHEMA


class Text(str):
    """What was said; `in` looks over the ends of lines, since where a sentence wraps is a matter of the layout."""

    __slots__ = ()

    def __contains__(self, part: object) -> bool:
        return super().__contains__(part) or " ".join(str(part).split()) in " ".join(self.split())


@dataclass(frozen=True)
class Said:
    """status: the exit status. out: what went to stdout. error: the message of a failure. command: who said it."""

    status: int
    out: str
    error: str
    command: str = "rollbackmigrationsafter"

    @property
    def all(self) -> str:
        return Text(self.out + self.error)

    @property
    def json(self) -> Any:
        return checked(self.out, self.command)


FORMATS = FormatChecker(())


@FORMATS.checks("date-time")
def is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@cache
def validator(command: str) -> Draft202012Validator:
    name = ALIASES.get(command, command)
    assert name in SCHEMA["$defs"], f"rollback_app/reports/schema.json does not know {name}"
    return Draft202012Validator({"$defs": SCHEMA["$defs"], "$ref": f"#/$defs/{name}"}, format_checker=FORMATS)


def checked(text: str | bytes, command: str = "rollbackmigrationsafter") -> Any:
    """What a command has printed for a program. It is what rollback_app/reports/schema.json says, and not a field more."""
    found = json.loads(text)
    wrong = [f"{error.json_path}: {error.message:.300}" for error in validator(command).iter_errors(found)]
    assert not wrong, "\n".join(wrong)
    return found


def unwrapped(text: str) -> str:
    """Each sentence on one line again: it was wrapped where the first word of the next line would not have fitted. What
    announces a line to paste ("The statement was:") is a sentence of its own."""
    lines: list[str] = []
    width = 0  # of the last line as it was
    all_lines = text.splitlines()
    for line, following in zip(all_lines, [*all_lines, ""][1:], strict=True):
        announces = line[:1].isupper() and line.endswith(":") and following.startswith("  ")
        if lines and line.strip() and not announces and width <= 80 < width + 1 + len(line.split()[0]):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
        width = len(line)
    return "\n".join(lines)


def call(name: str, /, *args: str, **options: Any) -> Said:
    out = StringIO()
    try:
        call_command(name, *args, stdout=out, no_color=True, **options)
    except CommandError as error:
        return Said(error.returncode, Text(out.getvalue()), Text(error), name)
    return Said(0, Text(out.getvalue()), Text(), name)


def roll_back(database: Database, moment: datetime | str, /, **options: Any) -> Said:
    """The main command with consent given, since most tests are not about it."""
    text = moment if isinstance(moment, str) else moment.isoformat()
    defaults = {"database": [database.alias], "interactive": False, "destroy_data": True}
    return call("rollbackmigrationsafter", text, **{**defaults, **options})
