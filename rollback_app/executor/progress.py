"""What a run reports while it is under way: to people, and to the journal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.migrations.operations.base import Operation

from rollback_app.history import Backup, Position
from rollback_app.planner import Plan, Step
from rollback_app.safety import BackupFirst, Comparison


@dataclass(frozen=True)
class Done:
    """A step that was unapplied, and the seconds that it took."""

    step: Step
    seconds: float


BEFORE, AFTER, RECEIVED = "before the first step", "after the last step", "after the receivers"
KEEPS, PUTS_BACK, BRINGS_BACK = "To keep data", "To put data back", "To bring back views, functions and triggers"
RECEIVERS, RECORDS, NOTES = "Receivers of the signals", "The records in django_migrations", "To note the run"


class Bookmark:
    """Notes how far a run has come, so that another run can resume there; this one notes nothing.

    What is noted inside a transaction is true only once that is committed.
    """

    def begun(self) -> None:
        """A run that is one transaction begins, in that transaction."""

    def step_begun(self, position: Position) -> None:
        """A step begins or resumes here."""

    def operation_begun(self, statements: Sequence[str], done: int) -> None:
        """An operation will run these statements, of which this many are done."""

    def statement_done(self, number: int) -> None:
        """This many of these statements are done."""

    def operation_done(self, number: int) -> None:
        """This many operations of the step are done."""

    def step_done(self, number: int) -> None:
        """This many steps are done."""

    def finished(self) -> None:
        """All is done."""


class Keeper(Protocol):
    """Keeps what a run drops, and puts back what a `migrate` had kept."""

    def before_steps(self) -> Collection[str]:
        """Under the lock of the run, and in its transaction, where there is one. The names of objects that it has dropped."""
        ...

    def before_step(self, step: Step) -> None:
        """A step of a run that is not one transaction begins. Errors: RollbackError, if what it drops is no longer what was
        kept."""

    def dropping(self, step: Step, statements: Sequence[str]) -> AbstractContextManager[None]:
        """These statements of a step, which is not one transaction, are executed inside. Errors: as `before_step`."""
        ...

    def values_of(self, step: Step, table: str, column: str) -> str:
        """The statement that puts into a column, which a step adds again, what a `migrate` had kept of it; empty if it has not.
        It is put back for good by `give_back`."""
        ...

    def give_back(self, step: Step, apps: Any) -> None:
        """A step is undone, and not committed yet where it is a transaction. apps: the registry whose models fit the database by
        then."""

    def step_done(self, step: Step) -> None:
        """A step of a run that is not one transaction is done."""

    def broke_off(self) -> None:
        """A run that is not one transaction has failed."""

    def after_steps(self) -> None:
        """All steps are done; in the transaction of the run, where there is one."""

    def after_receivers(self) -> Collection[str]:
        """The receivers of post_migrate have run; in the transaction of the run, where there is one. The names of objects that it
        has dropped, or could not make again."""
        ...


class Progress:
    """What a run reports while it is under way; a caller overrides what it wants to know.

    shows_sql: call `ran`? (Putting the values into a statement takes time.)
    """

    shows_sql = False

    def backing_up(self, alias: str, backup: BackupFirst) -> None:
        """A backup is begun, before anything else."""

    def backed_up(self, backup: Backup) -> None:
        """It was taken, and is one."""

    def started(self, plan: Plan) -> None:
        """The run begins, or is tried again."""

    def began(self, step: Step) -> None:
        """A step begins."""

    def finished(self, done: Done) -> None:
        """A step is unapplied (with --step-by-step: committed)."""

    def undoing(self, operation: Operation | None) -> None:
        """An operation begins to be undone; None: it is."""

    def beside(self, when: str, doing: str) -> AbstractContextManager[None]:
        """What is done inside, as keeping data, is part of no step. when: between which steps."""
        return nullcontext()

    def broke_off(self) -> None:
        """The run failed, perhaps inside a step; it may be tried again."""

    def ran(self, sql: str) -> None:
        """A statement was sent to the database."""

    def warned(self, text: str) -> None:
        """Something is wrong, but the run goes on."""

    def verified(self, comparison: Comparison) -> None:
        """After the last step: whether the tables match the migrations at the target."""

    def rendered_everything(self, operation: Operation) -> None:
        """An operation was given all models of the project, because nothing tells which of them it reads."""
