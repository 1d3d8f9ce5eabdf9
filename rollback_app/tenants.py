"""A schema of many in one database, as django-tenants and django-pgschemas keep one for each customer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar, cast

_T = TypeVar("_T")
_COMMAND = re.compile(r"(?<=\bpython manage\.py )[a-z_]+")
_OF_NO_SCHEMA = ("rollbackfleet", "checkrollback", "dbrestore", "dbbackup")  # which are about a whole database


@dataclass(frozen=True)
class TenantSchema:
    """name: as the database has it. migrate: what `migrate` of this one is called, with its options. wrapper: the command that
    runs others in it; empty for the one in which they run by themselves. option: which tells that command the schema. taken:
    options that it takes for itself, and what they are called here besides."""

    name: str
    migrate: str
    wrapper: str = ""
    option: str = ""
    taken: tuple[tuple[str, str], ...] = ()

    @property
    def setting(self) -> str:
        """What stands before a statement to paste, so that it is about this schema: a shell of the database begins in another
        one, which may have a table of that name."""
        name = self.name.replace('"', '""')
        return f'SET search_path = "{name}", public; '

    def spelled(self, text: str) -> str:
        """The text, and each command in it as it has to be typed to be about this schema. One that is so already stays."""
        found = _COMMAND.sub(self._spell, text)
        for option, instead in self.taken:
            found = re.sub(rf"{option}(?![\w-])", instead, found)
        return found

    def _spell(self, command: re.Match[str]) -> str:
        name = command[0]
        if name == "migrate":
            return self.migrate
        if not self.wrapper or name in (self.wrapper, self.migrate.split()[0], *_OF_NO_SCHEMA):
            return name
        return f"{self.wrapper} {name} {self.option}"


def spelled(value: _T, spell: Callable[[str], str]) -> _T:
    """The same, with all texts in it spelled so: in lists, dictionaries and data classes too."""
    found: Any = value
    if isinstance(value, str):
        found = spell(value)
    elif isinstance(value, (list, tuple)):
        found = type(value)(spelled(each, spell) for each in value)
    elif isinstance(value, dict):
        found = {key: spelled(each, spell) for key, each in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        found = replace(value, **{each.name: spelled(getattr(value, each.name), spell) for each in fields(value)})
    return cast("_T", found)
