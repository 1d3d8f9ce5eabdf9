"""The run as an SQL script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.db.utils import DatabaseError, InterfaceError

from rollback_app import bookkeeping, executor, safety
from rollback_app import database as databases
from rollback_app.bookkeeping import Journal
from rollback_app.database import Condition, Database, Dialect, Timeouts, first_line
from rollback_app.errors import RollbackError
from rollback_app.executor import Progress, Sent
from rollback_app.history import State
from rollback_app.kept import Copies
from rollback_app.planner import Step
from rollback_app.safety import Comparison, KeptKind, Preview, Refused, table_of

from .collected import Collecting
from .run import Ends, Keeper, add_hold, begin, keeper_of, named_in, plan_again, state_before


@dataclass(frozen=True)
class Script:
    """What a run would send, in its order, and what stands around it. program: the line that runs the script of a file. opening:
    what takes the lock, and stops unless the database is as it was. closing: what commits. comparison: how the tables were
    verified; None if they were not. collected: was nothing done to make it? stops: why it ends before the plan does, in words."""

    program: str
    opening: tuple[str, ...]
    sent: tuple[Sent, ...]
    closing: tuple[str, ...]
    comparison: Comparison | None = None
    collected: bool = False
    stops: str = ""


class _Noting(Ends):
    """Notes the run in its own transaction, as it will be when the script is run. command: None for a run that is not noted."""

    def __init__(
        self,
        database: Database,
        looked_at: Preview,
        keeper: Keeper,
        progress: Progress,
        command: str | None,
        state: State,
    ) -> None:
        self._database, self._looked_at, self._keeper = database, looked_at, keeper
        self._progress, self._command, self._state = progress, command, state
        self._journal = Journal(database)

    def begun(self) -> None:
        if self._command is None:
            return
        try:
            with transaction.atomic(using=self._database.alias):
                begin(self._journal, self._looked_at, self._command, self._state)
        except (DatabaseError, InterfaceError) as error:
            words = f"The journal of {self._database.title} cannot be written: {first_line(error)}"
            self._progress.warned(f"{words}. The script does not note the run.")
            self._journal.number = 0
        self._keeper.run = self._journal.number

    def finished(self) -> None:
        if self._journal.number:
            self._journal.finished()
        super().finished()
        kept = {each.number: each.kind for each in self._keeper.kept}
        copies = [(number, table_of(number)) for number, kind in kept.items() if kind is not KeptKind.OBJECT]
        dialect = databases.dialect(self._database)
        with self._database.connection.cursor() as cursor:
            for statement in bookkeeping.stamps(dialect, self._journal.number, self.held, kept, copies):
                cursor.execute(statement)


def script(
    looked_at: Preview,
    *,
    file: str,
    progress: Progress | None = None,
    timeouts: Timeouts | None = None,
    journal: bool = True,
    command: str = "",
    verify: bool = True,
    hold: bool = False,
    run: bool = True,
) -> Script:
    """The script that does what `roll_back` would do, made by doing it and taking it back; where that cannot be, or shall not
    (run: False), its statements are collected. Needs no consent. file: what the script will be called. The others: as for
    `roll_back`.

    Errors: Refused, if something blocks, if what is done could not be taken back, or if no script can do it; Locked; StepFailed.
    """
    safety.check_nothing_blocks([looked_at])
    told = progress or Progress()
    database = databases.get(looked_at.alias, timeouts or Timeouts())
    if not (run and database.can_undo_ddl):
        return _collected(database, looked_at, file, command if journal else None, hold=hold)
    safety.check_can_be_taken_back([looked_at])
    keeper = keeper_of(database, looked_at, told)
    state = state_before(database, looked_at.plan)
    bookmark = _Noting(database, looked_at, keeper, told, command if journal else None, state)
    if hold:
        bookmark.hold = partial(add_hold, database, looked_at, told)
    try:
        rehearsal = executor.rehearse(
            database,
            looked_at.plan,
            lambda: plan_again(database, looked_at),
            told,
            verify=verify,
            named=named_in(looked_at),
            keeper=keeper,
            bookmark=bookmark,
        )
    except RollbackError:
        told.broke_off()
        raise
    dialect = databases.dialect(database)
    for sent in rehearsal.sent:
        _check_can_do(dialect, sent)
    with database.reading():
        conditions = [
            dialect.same_records(looked_at.plan.basis.records),
            *_nothing_to_keep(dialect, keeper),
        ]
        opening = dialect.opening(conditions, rehearsal.numbers)
    closing = dialect.closing(_done(looked_at))
    return Script(dialect.program(file), tuple(opening), rehearsal.sent, tuple(closing), rehearsal.comparison)


def _collected(database: Database, looked_at: Preview, file: str, command: str | None, *, hold: bool) -> Script:
    dialect, state = databases.dialect(database), state_before(database, looked_at.plan)
    with database.reading():
        found = Collecting(database, dialect, looked_at, command, state, hold=hold)
        opening = dialect.opening(found.conditions, ())
    for sent in found.sent:
        _check_can_do(dialect, sent)
    return Script(
        dialect.program(file),
        tuple(opening),
        tuple(found.sent),
        tuple(dialect.closing(_done(looked_at))),
        collected=True,
        stops=found.stops,
    )


def _done(looked_at: Preview) -> str:
    steps = len(looked_at.plan.steps)
    return f"Done: {steps} migration{'' if steps == 1 else 's'} unapplied."


def _nothing_to_keep(dialect: Dialect, keeper: Keeper) -> Iterator[Condition]:
    copies = Copies(dialect.database)
    for thing in keeper.nothing_of:
        rows, params = copies.rows(thing)
        yield dialect.none_of(thing.source, dialect.composed(rows, params or None))


def _check_can_do(dialect: Dialect, sent: Sent) -> None:
    """Errors: Refused."""
    if what := dialect.cannot_do(sent.sql):
        about = f"Undoing {sent.part.key}" if isinstance(sent.part, Step) else sent.part.doing
        raise Refused(
            f"No script can do this: {about} uses {what}. Nothing was changed.",
            hint="Use this command itself, without --format sql.",
        )
