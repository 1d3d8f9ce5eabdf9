"""What a script notes in our tables: when and by whom it was run, which is not when it was made."""

from __future__ import annotations

from collections.abc import Collection

from rollback_app.database import Dialect

from .holds import TABLE as HOLDS
from .kept import TABLE as KEPT
from .runs import TABLE as RUNS


def stamp(dialect: Dialect, run: int, hold: int, kept: Collection[int], copies: Collection[tuple[int, str]]) -> None:
    """Note it in the rows of these numbers, in the transaction that becomes the script; 0: there is none. copies: of what is
    kept in a table, the number and the table, whose rows are counted when the script is run.

    Errors: those of Django's database layer."""
    who = [f"operator = {dialect.who}"] if dialect.who else []
    times = [f"started = {dialect.began}", f"finished = {dialect.now}", f"seconds = {dialect.seconds}"]
    if run:
        _update(dialect, RUNS, [run], *times, *who)
    if hold:
        _update(dialect, HOLDS, [hold], f"since = {dialect.now}", *who)
    if kept:
        _update(dialect, KEPT, sorted(kept), f"made = {dialect.now}")
    for number, table in copies:
        rows, left = dialect.quote("rows"), dialect.quote("left")
        count = f"(SELECT count(*) FROM {dialect.quote(table)})"
        _update(dialect, KEPT, [number], f"{rows} = {count}", f"{left} = {count}")


def _update(dialect: Dialect, table: str, numbers: Collection[int], *values: str) -> None:
    which = ", ".join(map(str, numbers))
    with dialect.connection.cursor() as cursor:
        cursor.execute(f"UPDATE {dialect.quote(table)} SET {', '.join(values)} WHERE id IN ({which})")
