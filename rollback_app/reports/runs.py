"""What a run did, what a rehearsal showed, and what the journal tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rollback_app.errors import database_option
from rollback_app.history import Backup, Hold, Key, Outcome, Record, Run, State, held_of
from rollback_app.safety import Comparison, Difference, Kept, ObjectChange, in_words

from .backup import details, taken_data, taken_lines
from .base import Line, Report, forward, number_of, said, seconds, stamp, utc
from .holds import hold_lines
from .kept import given_back_lines, kept_data, kept_lines
from .recorded import changes_data, done_lines
from .state import state_data, state_lines


def of_result(
    alias: str,
    done: Iterable[tuple[Key, float]],
    deleted: Sequence[Record],
    release: str = "",
    comparison: Comparison | None = None,
    kept: Sequence[Kept] = (),
    objects: Sequence[ObjectChange] = (),
    *,
    held: bool = False,
    puts_back: bool = True,
    by_older: bool = False,
    given_back: Sequence[Kept] = (),
    backup: Backup | None = None,
) -> Report:
    """What a run did to one database. done: each unapplied migration, with its seconds. release: the newest one undone.
    comparison: only for programs, since people are told as soon as it is known. by_older: did the older release do it?
    given_back: what it has put back that a `migrate` had kept, as far as that went. backup: that was taken first."""
    steps = list(done)
    total = sum(spent for _, spent in steps)
    number = number_of(len(steps), "migration")
    lines = [
        Line(f"Done: {number} unapplied on {alias} in {seconds(total)}." if steps else f"Done on {alias}.", "SUCCESS")
    ]
    lines += given_back_lines(given_back)
    if deleted:
        lines.append(Line(f"Forgot {number_of(len(deleted), 'squash', 'squashes')}."))
    lines += done_lines(objects)
    if steps:
        older, newer = ("this", "the newer one") if by_older else ("the older", "this one")
        shows = f" `python manage.py migratehold{database_option(alias)}` shows it." if held else ""
        what = f"A hold refuses a migrate of {newer}, which" if held else f"Do not run migrate from {newer}: it"
        lines.append(Line(f"Next: start {older} release. {what} would apply these migrations again.{shows}"))
        lines += forward(release, alias, held=held)
    lines += kept_lines(kept, alias, puts_back=puts_back)
    lines += taken_lines(backup)
    return Report(
        tuple(lines),
        {
            "steps": [{"migration": str(key), "seconds": spent} for key, spent in steps],
            "deleted_rows": len(deleted),
            "kept": [kept_data(each) for each in kept],
            "put_back": [kept_data(each) for each in given_back],
            "verification": of_verdict(comparison).data if comparison else None,
            "recorded_objects": changes_data(objects),
            "held": held,
            "backup": taken_data(backup),
        },
    )


def of_verdict(comparison: Comparison, *, in_full: bool = False) -> Report:
    """Are the tables after a run what the migrations at the target say? in_full: list also what was so before."""
    return Report(
        tuple(_verdict(comparison, in_full)),
        {
            "tables": comparison.tables,
            "new": [_difference(difference) for difference in comparison.new],
            "left_over": [_difference(difference) for difference in comparison.left_over],
            "by_code": [_difference(difference) for difference in comparison.by_code],
            "known": [_difference(difference) for difference in comparison.known],
            "left_out": list(comparison.left_out),
            "why_not": comparison.why_not,
        },
    )


def _verdict(comparison: Comparison, in_full: bool) -> Iterator[Line]:
    new, left_over, by_code, known = map(
        in_words, (comparison.new, comparison.left_over, comparison.by_code, comparison.known)
    )
    if comparison.why_not:
        yield Line(f"Not verified: no tables could be made to compare with: {comparison.why_not}", "WARNING")
    elif new:
        yield Line(f"Verified: {number_of(len(new), 'difference')} from what the migrations say.", "ERROR")
        return  # each is in the message of the failure
    elif not comparison.tables:
        yield Line("Verified: no table was touched." if not comparison.left_out else "Not verified:")
    else:
        are = "is" if comparison.tables == 1 else "are"
        but = ", but for the following" if left_over or by_code or known else ""
        yield Line(
            f"Verified: {number_of(comparison.tables, 'table')} {are} as the migrations at the target say{but}.",
            "SUCCESS",
        )
    for table in comparison.left_out:
        yield Line(f"  {table} was not compared: its name holds a schema or quotes.", "WARNING", indent=4)
    for words in left_over:
        yield Line(f"  {words}: that is how Django itself undoes it, and harmless.", indent=4)
    for words in by_code:
        yield Line(f"  {words}: SQL or code of a migration is in charge of it.", indent=4)
    if in_full:
        for words in known:
            yield Line(f"  {words}: that was so before.", indent=4)
    elif known:
        was, them = ("was", "it") if len(known) == 1 else ("were", "them")
        yield Line(f"  {number_of(len(known), 'difference')} {was} there before the run; -v 2 lists {them}.")


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "table": difference.table,
        "kind": difference.kind,
        "words": difference.words,
        "missing": difference.missing,
    }


def of_rehearsal(
    alias: str,
    steps: Iterable[tuple[Key, float, int, Sequence[str]]],
    locks: Mapping[str, str],
    comparison: Comparison | None,
    around: Iterable[tuple[str, str, float, Sequence[str]]] = (),
) -> Report:
    """What a rehearsal on one database tells. steps: each migration, with its seconds, changed rows and statements. locks: by
    table the strongest that was held. around: what else was done, and when, with its seconds and statements."""
    told = list(steps)
    total = sum(spent for _, spent, _, _ in told)
    number = number_of(len(told), "migration")
    lines = [Line(f"Rehearsed on {alias}: {number} in {seconds(total)}.", "MIGRATE_HEADING")]
    for key, spent, rows, statements in told:
        lines.append(Line(f"  {key}: {seconds(spent)}, {number_of(rows, 'row')}", "MIGRATE_LABEL"))
        lines += _statements(statements)
    for doing, when, spent, statements in around:
        lines.append(Line(f"  {doing}, {when}: {seconds(spent)}", "MIGRATE_LABEL"))
        lines += _statements(statements)
    if locks:
        lines.append(Line("The strongest lock on each table, held to the end of the run", "MIGRATE_LABEL"))
        lines += [Line(f"  {table}: {mode}{blocks(mode)}") for table, mode in locks.items()]
    lines.append(Line("Nothing was changed.", "SUCCESS"))
    return Report(
        tuple(lines),
        {
            "database": alias,
            "steps": [
                {"migration": str(key), "seconds": spent, "rows": rows, "sql": list(statements)}
                for key, spent, rows, statements in told
            ],
            "keeping": [
                {"when": when, "seconds": spent, "sql": list(statements)} for _, when, spent, statements in around
            ],
            "locks": dict(locks),
            "verification": of_verdict(comparison).data if comparison else None,
        },
    )


def _statements(statements: Sequence[str]) -> list[Line]:
    return [Line(f"    {statement}", whole=True) for statement in statements]


def blocks(mode: str) -> str:
    """What others cannot do meanwhile (https://www.postgresql.org/docs/current/explicit-locking.html)."""
    if mode == "ACCESS EXCLUSIVE":
        return ", so that reads and writes wait"
    return ", so that writes wait" if mode in ("EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE") else ""


_STYLES = {Outcome.FINISHED: "SUCCESS", Outcome.FAILED: "ERROR", Outcome.KILLED: "ERROR"}


def of_record(alias: str, title: str, record: Run, state: State | None, holds: Sequence[Hold] = ()) -> Report:
    """One run of the journal, and what there was before it, if that was noted. holds: what holds `migrate` there."""
    report = of_records(alias, title, [record], holds)
    (data,) = report.data["rollbacks"]
    return Report(
        (*report.lines, *state_lines(alias, record.number, state)),
        {**report.data, "rollbacks": [{**data, "state": state_data(state) if state else None}]},
    )


def of_records(alias: str, title: str, records: Sequence[Run], holds: Sequence[Hold] = ()) -> Report:
    """The journal of one database, newest first. holds: what holds `migrate` there."""
    lines = [Line(f"Database {title}", "MIGRATE_HEADING", whole=True)]
    if not records:
        lines.append(Line("No rollback was noted here."))
    lines += hold_lines(alias, holds)
    quiet = all(record.outcome is not Outcome.STARTED for record in records)
    for record in records:
        lines.append(Line())
        lines.extend(_record(record))
        if quiet and set(record.unapplied) - record.again:
            held = held_of(holds, record.unapplied)
            lines.extend(forward(record.release, alias, indent=3, held=held))
    return Report(tuple(lines), {"rollbacks": [_record_data(record) for record in records], "held": bool(holds)})


def _end(record: Run) -> str:
    """How a run ended, or where it is, in words."""
    steps = number_of(len(record.steps), "step")
    if record.outcome in (Outcome.KILLED, Outcome.UNKNOWN):
        if record.inside:
            killed = f"broke off inside step {record.steps_done + 1} of {len(record.steps)}"
        elif record.steps_done:
            killed = f"broke off after step {record.steps_done} of {len(record.steps)}"
        else:
            killed = "killed; nothing was changed"
        return killed if record.outcome is Outcome.KILLED else f"under way, or {killed}"
    if record.outcome is Outcome.STARTED and record.one_transaction:
        return f"under way, {steps} in one transaction"
    words = {Outcome.STARTED: "under way", Outcome.FINISHED: "done", Outcome.FAILED: "failed"}[record.outcome]
    return f"{words}, {record.steps_done} of {steps} unapplied"


def _record(record: Run) -> Iterator[Line]:
    who = f"by {record.operator} on {record.host}" if record.operator else f"on {record.host}"
    heading = f"{record.number}. {utc(record.started)}: {_end(record)}"
    yield Line(heading, _STYLES.get(record.outcome, "WARNING"), 3)
    yield Line(f"   {who}")
    yield Line(f"   back to  {utc(record.moment) if record.moment else 'a set of migrations: see the command'}")
    if record.reason:
        yield from said(f"   reason   {record.reason}", indent=0)
    yield Line("   command" if record.command else "   command  (through the Python API)")
    if record.command:
        yield Line(f"     {record.command}", whole=True)
    yield Line(f"   digest   {record.digest}" + (f", took {seconds(record.seconds)}" if record.finished else ""))
    if record.backup:
        yield Line(f"   backup   by {record.backup.way} ({details(record.backup)})", indent=12)
        for each in filter(None, [record.backup.name, record.backup.restore]):
            yield Line(f"     {each}", whole=True)
    for index, (key, applied) in enumerate(record.steps, start=1):
        mark = "undone" if index <= record.steps_done else "left"
        own = "; the project's own reverse" if key in record.own_reverses else ""
        again = "; applied again since" if key in record.again else ""
        yield Line(f"   {mark:<7}  {key}, applied {utc(applied)}{own}{again}", indent=12)
    if record.error:
        yield Line("   error")
        yield from said(record.error, indent=5)


def _record_data(record: Run) -> dict[str, Any]:
    return {
        "number": record.number,
        "started": stamp(record.started),
        "finished": stamp(record.finished) if record.finished else None,
        "outcome": record.outcome.value,
        "operator": record.operator,
        "host": record.host,
        "command": record.command,
        "reason": record.reason,
        "moment": stamp(record.moment) if record.moment else None,
        "digest": record.digest,
        "release": record.release,
        "steps": [{"migration": str(key), "applied": stamp(applied)} for key, applied in record.steps],
        "steps_done": record.steps_done,
        "one_transaction": record.one_transaction,
        "again": sorted(map(str, record.again)),
        "own_reverses": sorted(map(str, record.own_reverses)),
        "seconds": record.seconds,
        "error": record.error,
        "backup": taken_data(record.backup),
    }
