"""The verdict: could a code run on a database as it is?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rollback_app.compatibility import Answer, Does, Outcome, TableVerdict, Verdict

from .base import WIDTH, Line, Report, number_of

YOU_MAY_NOT_NEED_IT = "The older release would run on the database as it is; you may not need this rollback."
_STYLES = {Outcome.RUNS: "SUCCESS", Outcome.WITH_CARE: "WARNING", Outcome.FAILS: "ERROR"}


def of_schema_check(alias: str, title: str, verdict: Verdict) -> Report:
    """What `checkschema` says."""
    return Report(tuple(_check(title, verdict)), {"database": alias, **data(verdict)})


def _check(title: str, verdict: Verdict) -> Iterator[Line]:
    yield Line(f"Database {title}", "MIGRATE_HEADING", whole=True)
    yield from verdict_lines(verdict)


def verdict_lines(verdict: Verdict) -> Iterator[Line]:
    """Can the code run, and if not, why not."""
    for what, migrations in (("Applied, but unknown to this code", verdict.unknown), ("Not applied", verdict.pending)):
        if migrations:
            yield Line(f"{what}: {', '.join(migrations)}.", indent=2)
    yield Line()
    if verdict.outcome is Outcome.RUNS:
        yield Line(f"This code runs on the database as it is ({number_of(len(verdict.tables), 'table')}).", "SUCCESS")
        return
    care = "This code runs on the database as it is, but some statements may fail:"
    fails = "This code does not run on the database as it is:"
    yield Line(fails if verdict.outcome is Outcome.FAILS else care, _STYLES[verdict.outcome])
    yield from _tables(verdict)


def _tables(verdict: Verdict) -> Iterator[Line]:
    """All that is wrong, with its reasons."""
    for table in wrong(verdict):
        yield Line(f"  {table.table}: {answers(table)}", _style(table), indent=4)
        for text in table.because:
            yield Line(f"    {text}", indent=6)
        for sql in table.bridge:
            yield Line("    A way round it, to be run by hand:")
            yield Line(f"      {sql}", whole=True)


def wrong(verdict: Verdict) -> list[TableVerdict]:
    """The worst first."""
    tables = [table for table in verdict.tables if table.worst is not Answer.YES]
    return sorted(tables, key=lambda table: (table.worst is not Answer.NO, table.table))


def _style(table: TableVerdict) -> str:
    return "ERROR" if table.worst is Answer.NO else "WARNING"


def answers(table: TableVerdict) -> str:
    """`inserts fail; updates may fail`."""
    words = {Answer.NO: "fail", Answer.MAYBE: "may fail"}
    groups = {answer: [does.value for does in Does if table.answer(does) is answer] for answer in words}
    return "; ".join(f"{', '.join(does)} {words[answer]}" for answer, does in groups.items() if does)


def of_older(verdict: Verdict, *, in_full: bool) -> Iterator[Line]:
    """What a plan says: three lines at the most, unless all of it is wanted. Nothing, if the summary says it all."""
    found = wrong(verdict)
    if verdict.unclear:
        yield Line(f"Whether the older release would run without it is not known: {verdict.unclear}.")
    elif found:
        word = "fail" if verdict.outcome is Outcome.FAILS else "run with care"
        yield Line(f"Without a rollback, the older release would {word} on this database:", _STYLES[verdict.outcome])
        if in_full:
            yield from _tables(verdict)
        else:
            yield _shortened([f"{table.table}: {answers(table)}" for table in found])
    rows = f"Rows are another matter: look at {_named(verdict.look_at, in_full=in_full)}." if verdict.look_at else ""
    more = "Reasons and a way round it: -v 2." if any(table.bridge for table in found) else "Reasons: -v 2."
    said = " ".join(filter(None, (rows, more if found and not in_full else "")))
    if said:
        yield Line(said if len(said) <= WIDTH else rows or more)


def _shortened(tables: Sequence[str]) -> Line:
    """As many of them as fit on a line, and how many more there are."""
    shown, line = 0, ""
    while shown < len(tables) and (not shown or len(_with_rest(tables, shown + 1)) <= WIDTH):
        shown += 1
        line = _with_rest(tables, shown)
    return Line(line, whole=True)


def _with_rest(tables: Sequence[str], shown: int) -> str:
    rest = len(tables) - shown
    return "  " + "; ".join(tables[:shown]) + (f"; and {number_of(rest, 'more table')}" if rest else "")


def _named(migrations: Sequence[str], *, in_full: bool) -> str:
    shown = migrations if in_full or len(migrations) <= 1 else migrations[:1]
    rest = len(migrations) - len(shown)
    return ", ".join(shown) + (f" and {number_of(rest, 'more migration')}" if rest else "")


def data(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.outcome.value,
        "unknown": list(verdict.unknown),
        "pending": list(verdict.pending),
        "look_at": list(verdict.look_at),
        "unclear": verdict.unclear,
        "tables": [
            {
                "table": table.table,
                **{does.value: table.answer(does).value for does in Does},
                "because": list(table.because),
                "bridge": list(table.bridge),
            }
            for table in verdict.tables
        ],
    }
