"""The run as a script that is collected and not done: where a run is no transaction, and where no lock may be taken."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rollback_app import bookkeeping, executor
from rollback_app.bookkeeping import HoldEntry, Journal, RunEntry, Table, Written
from rollback_app.database import Condition, Database, Dialect
from rollback_app.errors import RollbackError
from rollback_app.executor import AFTER, BEFORE, KEEPS, NOTES, RECORDS, Beside, CollectedStep, Sent
from rollback_app.history import HoldSource, Position, Record, State
from rollback_app.kept import KeptInScript
from rollback_app.planner import Step
from rollback_app.safety import Preview, Refused

from .run import begin


class Collecting:
    """Collects what a run would send. command: None for a run that is not noted. state: before the run. sent: what it is.
    conditions: what must be true before. stops: why it ends before the plan does, in words; else empty.

    Errors: Refused, if nothing can be collected, or not all of what has to be one transaction; those of reading the catalog."""

    def __init__(
        self, database: Database, dialect: Dialect, looked_at: Preview, command: str | None, state: State, *, hold: bool
    ) -> None:
        self._database, self._dialect, self._looked_at = database, dialect, looked_at
        self._statements: list[str] = []
        self._in_pieces = not database.can_undo_ddl
        self.sent: list[Sent] = []
        self.stops = ""
        plan = looked_at.plan
        hint = "Use this command itself, without --format sql." if self._in_pieces else "Leave out --no-run."
        _check(looked_at, hint)
        steps = list(executor.collect(database, plan))
        if steps and steps[-1].why_not and (len(steps) == 1 or not self._in_pieces):
            raise _refused(f"undoing {steps[-1].step.key}: {steps[-1].why_not}", hint)
        self._journal: Journal | None = None
        if command is not None:
            self._journal = Journal(database, self._written(RunEntry))
            begin(self._journal, looked_at, command, state)
        self._put(Beside(NOTES, BEFORE))
        kept = KeptInScript(database, dialect, looked_at.kept, plan.steps, self._statements)
        try:
            kept.before_steps(self._journal.number if self._journal else 0)
        except RollbackError as error:
            raise _refused(error.message, error.hint) from error
        self._put(Beside(KEEPS, BEFORE))
        for number, each in enumerate(steps, 1):
            if each.why_not:
                self._stop(number, each)
            else:
                self._step(number, each, kept)
        if not self.stops:
            self._end(kept, hold=hold)
        self.conditions = [dialect.same_records(plan.basis.records), *kept.conditions]

    def _written(self, model: type) -> Written:
        return Written(Table(self._database, model), self._dialect, self._statements)

    def _put(self, part: Step | Beside, doing: str = "") -> None:
        """What was written down belongs to this part."""
        self.sent += [
            Sent(part, self._dialect.whole(each), doing, by_code=False, reads=False) for each in self._statements
        ]
        self._statements.clear()

    def _step(self, number: int, collected: CollectedStep, kept: KeptInScript) -> None:
        step, journal = collected.step, self._journal if self._in_pieces else None
        self._statements += kept.before_step(step)
        if journal:
            journal.step_begun(Position(step.key, tuple(row.id for row in step.records), operations=0))
        self._put(step)
        for index, operation in enumerate(collected.operations, 1):
            noted = journal if len(operation.statements) > 1 else None
            if noted:
                noted.operation_begun(operation.statements, 0)
            for done, statement in enumerate(operation.statements, 1):
                self._statements.append(statement)
                if noted:
                    noted.statement_done(done)
            if operation.by_hand:
                self._statements += self._dialect.check_rows()
            if journal:
                journal.operation_done(index)
            self._put(step, operation.words)
        together = self._dialect.together
        self._statements += [*together[:1], *self._delete(step.records)]
        kept.step_done(step)
        if journal:
            journal.step_done(number)
        self._statements += together[1:]
        self._put(Beside(RECORDS, f"after {step.key}"))

    def _delete(self, records: Collection[Record]) -> Iterator[str]:
        if records:
            numbers = ", ".join(str(record.id) for record in records)
            yield f"DELETE FROM {self._dialect.quote('django_migrations')} WHERE id IN ({numbers})"

    def _stop(self, number: int, collected: CollectedStep) -> None:
        words = f"step {number} is no SQL: go on with rollbackmigrationsafter"
        self._statements += self._dialect.check(f"step_{number}", Condition("0", words))
        self.stops = f"{collected.step.key} cannot be part of a script: {collected.why_not}"
        self._put(collected.step, f"stops here, since this step is no SQL: {collected.why_not}")

    def _end(self, kept: KeptInScript, *, hold: bool) -> None:
        self._statements += self._delete(self._looked_at.plan.squashes)
        kept.after_steps()
        self._put(Beside(RECORDS, AFTER))
        if self._journal:
            self._journal.finished()
        held = 0
        if hold:
            keys = [step.key for step in self._looked_at.plan.steps]
            table = self._written(HoldEntry)
            held = bookkeeping.add_hold(self._database, HoldSource.ROLLBACK, self._looked_at.reason, keys, table)
        run = self._journal.number if self._journal else 0
        self._statements += bookkeeping.stamps(self._dialect, run, held, kept.numbers, kept.copies)
        self._put(Beside(NOTES, AFTER))


def _check(looked_at: Preview, hint: str) -> None:
    """Errors: Refused, for what depends on rows, or on what is there by then."""
    if looked_at.backs:
        raise _refused("what a migrate had kept is put back, row by row", hint)
    if looked_at.recorded and looked_at.recorded.at and looked_at.recorded.changes:
        raise _refused("views, functions or triggers are brought back", hint)


def _refused(what: str, hint: str) -> Refused:
    return Refused(f"No script can be made without running it: {what}. Nothing was changed.", hint=hint)
