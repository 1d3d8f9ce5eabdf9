"""What there was before a run: the records, and the tables that it was about to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rollback_app.errors import database_option
from rollback_app.history import State

from .base import Line, number_of, stamp


def state_lines(alias: str, number: int, state: State | None) -> Iterator[Line]:
    """number: of the run."""
    yield Line()
    if state is None:
        yield Line("What was there before it was not noted, or cannot be read.", "WARNING")
        return
    yield Line(f"Before it there were {number_of(len(state.records), 'record')} in django_migrations", "MIGRATE_LABEL")
    width = max((len(str(record.id)) for record in state.records), default=0)
    for record in state.records:
        yield Line(f"  {record.id:>{width}}  {record.key}, applied {record.applied.isoformat(sep=' ')}", whole=True)
    yield Line("As a file, for manifest: and other tools:")
    suffix = database_option(alias)
    yield Line(f"  python manage.py showrollbacks {number}{suffix} --format csv > before-{number}.csv", whole=True)
    yield Line()
    if state.why_not:
        yield Line(f"The tables that it was about to change could not be read: {state.why_not}", "WARNING")
    elif not state.tables:
        yield Line("It was about to change no table.")
    else:
        yield Line("The tables that it was about to change, as they were", "MIGRATE_LABEL")
    for sql in state.tables.values():
        yield from (Line(f"  {line}", whole=True) for line in sql.splitlines())


def state_data(state: State) -> dict[str, Any]:
    return {
        "records": [
            {"id": record.id, "migration": str(record.key), "applied": stamp(record.applied)}
            for record in state.records
        ],
        "tables": dict(state.tables),
        "why_not": state.why_not,
    }
