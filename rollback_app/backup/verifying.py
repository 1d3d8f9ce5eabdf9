"""Is a file a backup? It is read, and the records of `django_migrations` in it are counted, where its format tells."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from django.db.migrations.recorder import MigrationRecorder

from rollback_app.errors import shown
from rollback_app.history import Key

_SQLITE, _PG_DUMP = b"SQLite format 3\0", b"PGDMP"
_TABLE = MigrationRecorder.Migration._meta.db_table
# In a line of COPY, and in one of INSERT.
_NAMES = re.compile(rb"\t(\w+)\t(\w+)\t|'(\w+)', ?'(\w+)'")


class Damaged(Exception):
    """What is wrong with a file: a sentence that begins with its name."""


def counted(file: Path, records: Collection[Key], pg_restore: Sequence[str] = ()) -> str:
    """What was found, in words; empty, if its format is one that tells nothing. records: those that must be in it. pg_restore:
    the command that reads the format of `pg_dump`, which is not looked into without.

    Errors: Damaged.
    """
    with file.open("rb") as content:
        start = content.read(16)
        if not start:
            raise Damaged("it is empty")
        content.seek(0)
        found = _found(file, start, content, pg_restore)
    if found is None:
        return ""
    missing = sorted(set(records) - found)
    if missing:
        raise Damaged(f"it lacks {len(missing)} of {len(records)} records of {_TABLE}, such as {missing[0]}")
    return f"read again, {len(records)} record{'s' if len(records) != 1 else ''} counted"


def _found(file: Path, start: bytes, content: Iterable[bytes], pg_restore: Sequence[str]) -> set[Key] | None:
    """The records in a file; None, if it cannot be told which. Errors: Damaged."""
    if start == _SQLITE:
        return _of_sqlite(file)
    if start.startswith(_PG_DUMP):
        return (_in_sql(_restored(file, pg_restore)) or set()) if pg_restore else None
    return _in_sql(content)


def _of_sqlite(file: Path) -> set[Key]:
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise Damaged(f"integrity_check says: {shown(str(found))}")
            return {Key(*names) for names in connection.execute(f"SELECT app, name FROM {_TABLE}")}
    except sqlite3.Error as error:
        raise Damaged(f"SQLite cannot read it: {shown(str(error))}") from error


def _restored(file: Path, pg_restore: Sequence[str]) -> Iterator[bytes]:
    """The lines of SQL that would fill the table. Errors: Damaged."""
    words = [*pg_restore, "--data-only", f"--table={_TABLE}", "--file=-", str(file)]
    try:
        done = subprocess.run(words, check=False, capture_output=True)  # noqa: S603  # what the project's settings name
    except OSError as error:
        raise Damaged(f"{pg_restore[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        raise Damaged(f"{pg_restore[0]} cannot read it: {shown(done.stderr.decode(errors='replace').strip())}")
    return iter(done.stdout.splitlines(keepends=True))


def _in_sql(lines: Iterable[bytes]) -> set[Key] | None:
    """The records in the lines of a dump; None, if no line is about their table, so that it is something else than SQL."""
    name, seen, inside, found = _TABLE.encode(), False, False, set[Key]()
    for line in lines:
        if name in line:
            seen, inside = True, line.startswith(b"COPY ")
        elif line.startswith(b"\\."):
            inside = False
        if inside or (name in line and line.startswith(b"INSERT ")):
            for names in _NAMES.findall(line):
                app, migration = names[:2] if names[0] else names[2:]
                found.add(Key(app.decode(), migration.decode()))
    return found if seen else None
