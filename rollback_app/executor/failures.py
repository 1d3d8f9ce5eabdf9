"""What went wrong, what state the database is in now, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from django.db.utils import DatabaseError, InterfaceError

from rollback_app.database import Database, Mark
from rollback_app.errors import DatabaseUnusable, Locked, RollbackError
from rollback_app.planner import Plan, Step
from rollback_app.safety import Comparison, in_words

from . import advice
from .progress import Done

KEEPING = "keeping what would be lost"
_WITHOUT = " Copies of earlier runs need room too: `showkept` lists them. Or do without a copy: --no-keep loses what is dropped."


class StepFailed(RollbackError):
    """A run broke off. Facts: the step (None outside of one), what the run was doing (words), its SQL (empty if no statement
    failed), the database's or Python's own words, lines with what the server says besides, the state of the database now;
    doubtful: may the statement have been executed after all? ended: was the transaction of the run ended inside it?"""

    def __init__(
        self,
        step: Step | None,
        doing: str,
        words: str,
        *,
        sql: str = "",
        details: Sequence[str] = (),
        locked: bool = False,
        doubtful: bool = False,
        ended: bool = False,
        what_to_do: str = "",
    ) -> None:
        self.step, self.doing, self.words, self.sql, self.advice = step, doing, words, sql, what_to_do
        self.details = tuple(details)
        self.doubtful, self.ended = doubtful, ended
        self.state = ""
        self.returncode = Locked.returncode if locked else RollbackError.returncode
        super().__init__("")

    def settle(self, state: str, hint: str) -> None:
        """Say what state the database is in and what to do next, once that is known."""
        at = f" at {self.step.key}" if self.step else ""
        besides = "".join(f"\n{line}" for line in self.details)
        statement = f"\nThe statement was: {self.sql}" if self.sql else ""
        self.message = f"The rollback failed{at}, {self.doing}: {self.words}{besides}{statement}\n{state}"
        self.state, self.hint = state, hint

    def fix(self, again: str) -> str:
        """What to do about it. again: words for running the command again."""
        words = self.advice or advice.UNKNOWN
        if "{step}" in words and self.step is None:
            words = advice.UNKNOWN
        locked = self.returncode == Locked.returncode
        without = _WITHOUT if self.doing == KEEPING and not locked else ""
        return words.format(again=again, step=self.step and self.step.key) + without


class NotAsExpected(StepFailed):
    """All steps were unapplied, but the tables do not match the migrations at the target. Facts: the comparison."""

    def __init__(self, comparison: Comparison, *, stays: bool) -> None:
        self.comparison, self.stays = comparison, stays
        found = in_words(comparison.new)
        listed, more = "; ".join(found[:5]), f"; and {len(found) - 5} more" if len(found) > 5 else ""
        super().__init__(None, "comparing the tables with the migrations at the target", f"{listed}{more}")

    def settle(self, state: str, hint: str) -> None:
        if self.stays:
            super().settle(f"{state} This cannot be taken back.", "Fix these tables by hand.")
        else:
            super().settle(
                state, "Look at what unapplying these migrations does. To accept the differences, add --no-verify."
            )


def after_all_or_nothing(database: Database, plan: Plan, failed: StepFailed, mark: Mark | None) -> tuple[str, str]:
    """(what state the database is in, what to do). mark: of the transaction of the run, None if it failed before that."""
    try:
        committed = _was_committed(database, mark)
        with database.reading():
            found, others = database.records(), _others(database, failed)
    except (DatabaseUnusable, Locked, DatabaseError, InterfaceError):
        return (
            f"{database.title} cannot be reached now. Unless the run was committed just before, the server undoes it.",
            "When it is back, run the same command with --plan to see its state.",
        )
    # Others may have changed other records since; they were waiting for this lock.
    left = {row.id for row in plan.deleted} & {row.id for row in found}
    if not left:
        return (
            "The run was committed before this failure: it is done.",
            "To check, run the same command with --plan: nothing should be left to do.",
        )
    if committed:
        return _committed_early(plan, failed, left)
    if failed.ended:
        return _rolled_back_early(failed)
    state = f"Nothing was changed: everything is as it was before.{others}"
    return state, failed.fix("run the same command again")


_NO_LONGER_LOCKED = "The locks of the run ended there too, so others may have changed the database since."


def _committed_early(plan: Plan, failed: StepFailed, left: set[int]) -> tuple[str, str]:
    """What is true after a COMMIT inside a step. left: the records that are still there."""
    failed.returncode = RollbackError.returncode  # trying again would run parts of it twice
    done = [str(step.key) for step in plan.steps if not left & {row.id for row in step.records}]
    rest = [step for step in plan.steps if left & {row.id for row in step.records}]
    inside = failed.step or rest[0]
    state = (
        "The transaction of the run was committed half-way, by SQL or code of a migration or of a receiver."
        f" Unapplied, with their records: {', '.join(done[-5:]) or 'no step'}."
        f" {inside.key} may be partly undone; its record is still there. {_NO_LONGER_LOCKED}"
    )
    hint = (
        f"Restore a backup. Or finish undoing {inside.key} by hand, remove what commits, and run the same command again"
        f" with --fake {inside.key}."
    )
    return state, hint


def _rolled_back_early(failed: StepFailed) -> tuple[str, str]:
    state = (
        "The transaction of the run was rolled back there, so that the steps and operations before it are as they were."
        f" What it executed after that may have been committed by itself. {_NO_LONGER_LOCKED}"
    )
    return state, failed.fix("run the same command again")


def after_some_steps(
    database: Database, plan: Plan, done: list[Done], failed: StepFailed, mark: Mark | None
) -> tuple[str, str]:
    """(what state the database is in, what to do). mark: of the transaction of the step that failed, None if it had none."""
    left = plan.steps[len(done) :]
    state = f"{len(done)} of {len(plan.steps)} steps are unapplied and stay so"
    if done:
        state += f"; the last was {done[-1].step.key}"
    if failed.step and (mark is None or failed.ended or _may_be_committed(mark)):
        state += f". {failed.step.key} may be partly undone; its record is still there"
    names = ", ".join(str(step.key) for step in left[:5]) + (", …" if len(left) > 5 else "")
    left_over = f" Still to do: {names}." if left else ""
    return f"{state}.{left_over}{_others(database, failed)}", failed.fix(
        "run the same command again: it goes on from there"
    )


def _may_be_committed(mark: Mark) -> bool:
    try:
        return mark.was_committed()
    except (DatabaseError, InterfaceError):
        return True  # nobody can tell


def _was_committed(database: Database, mark: Mark | None) -> bool:
    """Whatever state the connection is in, it is closed."""
    if mark:
        return mark.was_committed()
    database.connection.close()
    return False


def _others(database: Database, failed: StepFailed) -> str:
    """Who held the lock, if there was one."""
    found = ""
    if failed.returncode == Locked.returncode:
        with suppress(DatabaseError, InterfaceError):
            found = database.others()
    return f" {found}" if found else ""
