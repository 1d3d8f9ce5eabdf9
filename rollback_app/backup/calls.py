"""Backups by a command or a function of the project's."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from django.utils.module_loading import import_string

from rollback_app.database import Database, first_line
from rollback_app.errors import shown
from rollback_app.history import Key

from .verifying import Damaged, counted
from .way import BackupFailed, Taken, without_password

_TAIL = 4000  # bytes of its output that are looked at
_MOST_WORDS = 64_000  # bytes; a command that prints more prints the backup itself
_ONE_SECOND = 1.0  # file systems round times


@dataclass(frozen=True)
class Program:
    """words: the command, in which {name}, {host}, {port}, {user}, {alias} and {time} stand for those of the database. restore:
    what to type afterwards, in which {file} stands for what the command has made, too."""

    words: tuple[str, ...]
    restore: str

    @property
    def name(self) -> str:
        return f"the command {Path(self.words[0]).name}"

    def why_not(self, database: Database) -> str:
        return ""

    def size(self, database: Database) -> int | None:
        return database.total_size()

    def free(self) -> int | None:
        return None

    def take(self, database: Database, records: Collection[Key]) -> Taken:
        values = _values(database)
        words = [_filled(word, values) for word in self.words]
        began = time.time()
        try:
            last, printed = _run(words, {**os.environ, **_environment(database)})
        except (OSError, _NotZero) as error:
            raise BackupFailed(database.alias, f"{self.name}: {without_password(str(error), database)}") from error
        named = _named(last, [word.rpartition("=")[2] for word in words[1:]], began, values["name"])
        if printed > _MOST_WORDS and not Path(named).is_file():
            raise BackupFailed(
                database.alias, f"{self.name} printed {printed} bytes, which nobody keeps. Have it write them to a file"
            )
        return _taken(database.alias, named, records, values, self.restore, f"{self.name} exited with 0")


@dataclass(frozen=True)
class Function:
    """path: dotted. It is called with the alias of the database, and gives the name of what it has made, or None."""

    path: str
    restore: str

    @property
    def name(self) -> str:
        return self.path

    def why_not(self, database: Database) -> str:
        try:
            found = import_string(self.path)
        # The module is the project's, and may raise anything.
        except Exception as error:  # noqa: BLE001
            return f"{self.path} cannot be imported: {type(error).__name__}: {first_line(error)}"
        return "" if callable(found) else f"{self.path} is no function."

    def size(self, database: Database) -> int | None:
        return database.total_size()

    def free(self) -> int | None:
        return None

    def take(self, database: Database, records: Collection[Key]) -> Taken:
        try:
            found = import_string(self.path)(database.alias)
        # The function is the project's, and may raise anything.
        except Exception as error:
            words = f"{self.path}: {type(error).__name__}: {first_line(error)}"
            raise BackupFailed(database.alias, without_password(words, database)) from error
        name = "" if found is None else str(found)
        return _taken(database.alias, name, records, _values(database), self.restore, f"{self.path} came to its end")


class _NotZero(Exception):
    """A command failed."""


def _run(words: list[str], environment: Mapping[str, str]) -> tuple[str, int]:
    """(the last line that a command prints, how many bytes it has printed). Errors: OSError; _NotZero."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603  # what the project's settings name
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        tail, printed = b"", 0
        with process:
            while process.stdout and (some := process.stdout.read(65536)):
                tail, printed = (tail + some)[-_TAIL:], printed + len(some)
        if process.returncode:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _TAIL))
            said = errors.read() or tail
            raise _NotZero(f"exit status {process.returncode}: {_last_line(said) or 'it says nothing'}")
    return _last_line(tail), printed


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _named(last: str, words: Sequence[str], began: float, database: str) -> str:
    """What a command has made: the file that its last line names, or the new one that its words name, or any other name that is
    its last line; empty, if none is. database: the file of the database itself, if it is one."""
    if Path(last).is_file() or _is_path(last):
        return last
    new = [word for word in words if word != database and _is_new(Path(word), began)]
    if new:
        return new[-1]
    return "" if any(map(str.isspace, last)) else last


def _is_path(text: str) -> bool:
    return os.sep in text and "://" not in text and not any(map(str.isspace, text))


def _is_new(file: Path, since: float) -> bool:
    return file.is_file() and file.stat().st_mtime >= since - _ONE_SECOND


def _taken(
    alias: str, name: str, records: Collection[Key], values: Mapping[str, str], restore: str, without_file: str
) -> Taken:
    """Errors: BackupFailed, if it names a file that is no backup."""
    filled = _filled(restore, {key: shlex.quote(value) for key, value in {**values, "file": name}.items()})
    file = Path(name)
    if not file.is_file():
        if _is_path(name):
            raise BackupFailed(alias, f"it names {shown(name)}, and there is no such file")
        return Taken(shown(name), datetime.now(timezone.utc), None, without_file, filled)
    found = file.stat()
    try:
        verified = counted(file, records) or "the file is there, and not empty"
    except Damaged as error:
        raise BackupFailed(alias, f"{file}: {error}") from error
    return Taken(str(file), datetime.fromtimestamp(found.st_mtime, timezone.utc), found.st_size, verified, filled)


def _values(database: Database) -> dict[str, str]:
    settings: dict[str, Any] = database.connection.settings_dict
    values = {name.lower(): str(settings[name] or "") for name in ("NAME", "HOST", "PORT", "USER")}
    return {**values, "alias": database.alias, "time": f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"}


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _environment(database: Database) -> dict[str, str]:
    """What PostgreSQL's and MySQL's own programs read; the password is nowhere else."""
    settings = database.connection.settings_dict
    _, found = database.connection.client.settings_to_cmd_args_env(settings, [])
    if database.connection.vendor == "postgresql":
        names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGDATABASE": "NAME"}
        found = {**{name: str(settings[key]) for name, key in names.items() if settings[key]}, **(found or {})}
    return {name: str(value) for name, value in (found or {}).items()}
