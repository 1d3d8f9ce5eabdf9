"""What a release's code has, as text: written by one image, read by another.

Read are our own JSON, the output of `showmigrations --plan` (for releases that lack this app), and a dump of
`django_migrations` as CSV.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rollback_app.errors import UsageError, shown
from rollback_app.history import Code, Key, Record

SCHEMA = 1
_PLAN_LINE = re.compile(r"\[[ X]\]\s+(\w+)\.(\w+)(?!\S)")
_HINT = (
    "Give the output of `migrationmanifest` or `showmigrations --plan`, or a dump of django_migrations as CSV with the "
    "columns id, app, name, applied."
)


def data(code: Code) -> dict[str, Any]:
    """All migrations on disk, by name, with what each replaces."""
    return {
        "schema": SCHEMA,
        "migrations": [
            {"migration": str(key), "replaces": [str(Key(*name)) for name in code.migrations[key].replaces]}
            for key in sorted(code.migrations)
        ],
    }


def read(text: str, name: str) -> frozenset[Key]:
    """The migrations that a manifest lists, and those that they replace. name: of the file, for messages.

    Errors: UsageError.
    """
    text = text.lstrip("\ufeff").strip()
    try:
        if text.startswith("{"):
            found = frozenset(_from_json(text))
        elif text.startswith("["):
            found = frozenset(_from_plan(text))
        else:
            found = frozenset(_from_csv(text))
    # RecursionError: brackets in brackets in brackets.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise UsageError(f"The manifest {name} is not understood: {shown(str(error))}", hint=_HINT) from error
    if not found:
        raise UsageError(f"The manifest {name} lists no migration.", hint=_HINT)
    return found


def _from_json(text: str) -> Iterator[Key]:
    for entry in json.loads(text)["migrations"]:
        for label in [entry["migration"], *entry["replaces"]]:
            yield _key(label)


def _from_plan(text: str) -> Iterator[Key]:
    for line in filter(str.strip, text.splitlines()):
        if not (matched := _PLAN_LINE.match(line)):
            raise ValueError(f"the line '{line}'")
        yield Key(matched[1], matched[2])


def _from_csv(text: str) -> Iterator[Key]:
    """With a line of names, or the columns as Django makes them."""
    lines = list(filter(None, csv.reader(text.splitlines())))
    places = [1, 2]
    if lines and {"app", "name"} <= set(lines[0]):
        places = [lines[0].index("app"), lines[0].index("name")]
        del lines[0]
    for line in lines:
        if len(line) <= max(places):
            raise ValueError(f"the line '{','.join(line)}'")
        yield _key(f"{line[places[0]]}.{line[places[1]]}")


def as_csv(records: Iterable[Record]) -> str:
    """The records of `django_migrations` as `read` takes them, with a line of names; times in UTC, to the microsecond."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "app", "name", "applied"])
    writer.writerows([record.id, *record.key, record.applied.isoformat(sep=" ")] for record in records)
    return text.getvalue()


def _key(label: str) -> Key:
    if not re.fullmatch(r"\w+\.\w+", label):
        raise ValueError(f"'{shown(label)}' is not the name of a migration")
    return Key(*label.split("."))
