"""What a run tells while it is under way: to people, and to the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.migrations.operations.base import Operation

from rollback_app.history import Position
from rollback_app.planner import Plan, Step
from rollback_app.safety import Comparison


@dataclass(frozen=True)
class Done:
    """A step that was unapplied, and how many seconds it took."""

    step: Step
    seconds: float


class Bookmark:
    """Where a run notes how far it has come, so that another can go on behind it; this one notes nothing.

    What is noted inside a transaction is true only if that is committed.
    """

    def step_begun(self, position: Position) -> None:
        """A step begins, or goes on, here."""

    def operation_begun(self, statements: Sequence[str], done: int) -> None:
        """An operation will run these statements, of which so many are done."""

    def statement_done(self, number: int) -> None:
        """So many of these statements are done."""

    def operation_done(self, number: int) -> None:
        """So many operations of the step are done."""

    def step_done(self, number: int) -> None:
        """So many steps are done."""

    def finished(self) -> None:
        """All is done."""


class Progress:
    """What a run tells while it is under way; a caller overrides what it wants to know.

    shows_sql: does `ran` want to be told? (Putting the values into a statement takes time.)
    """

    shows_sql = False

    def started(self, plan: Plan) -> None:
        """The run begins, or is tried again."""

    def began(self, step: Step) -> None:
        """A step begins."""

    def finished(self, done: Done) -> None:
        """A step is undone (with --step-by-step: committed)."""

    def broke_off(self) -> None:
        """The run failed, or its step that had begun; it may be tried again."""

    def ran(self, sql: str) -> None:
        """A statement was sent to the database."""

    def warned(self, text: str) -> None:
        """Something is not as it should be, and the run goes on."""

    def verified(self, comparison: Comparison) -> None:
        """After the last step: whether the tables are what the migrations at the target say."""

    def rendered_everything(self, operation: Operation) -> None:
        """An operation was given all models of the project: what it looks at is not known, or is everything."""
