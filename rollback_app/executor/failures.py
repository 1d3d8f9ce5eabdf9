"""What went wrong, what state the database is in now, and what to do next."""

from __future__ import annotations

from contextlib import suppress

from django.db.utils import DatabaseError, InterfaceError

from rollback_app.database import Database
from rollback_app.errors import DatabaseUnusable, Locked, RollbackError
from rollback_app.planner import Plan, Step
from rollback_app.safety import Comparison

from . import advice
from .progress import Done


class StepFailed(RollbackError):
    """A run broke off. Facts: the step (None outside of one), what the run was doing (words), its SQL (empty if no statement
    failed), the database's or Python's own words, the state of the database now; doubtful: may the statement have been executed
    after all?"""

    def __init__(
        self,
        step: Step | None,
        doing: str,
        words: str,
        *,
        sql: str = "",
        locked: bool = False,
        doubtful: bool = False,
        what_to_do: str = "",
    ) -> None:
        self.step, self.doing, self.words, self.sql, self.advice = step, doing, words, sql, what_to_do
        self.doubtful = doubtful
        self.state = ""
        self.returncode = Locked.returncode if locked else RollbackError.returncode
        super().__init__("")

    def settle(self, state: str, hint: str) -> None:
        """Say what state the database is in and what to do next, once that is known."""
        at = f" at {self.step.key}" if self.step else ""
        statement = f"\nThe statement was: {self.sql}" if self.sql else ""
        self.message = f"The rollback failed{at}, {self.doing}: {self.words}{statement}\n{state}"
        faked = ""
        if self.step and not self.advice:  # the reason is not known
            faked = f" If {self.step.key} was recorded without ever being run, add --fake {self.step.key}."
        self.state, self.hint = state, hint + faked

    def fix(self, again: str) -> str:
        """What to do about it. again: words for running the command again."""
        return (self.advice or advice.UNKNOWN).format(again=again)


class NotAsExpected(StepFailed):
    """All steps were unapplied, but the tables do not match the migrations at the target. Facts: the comparison."""

    def __init__(self, comparison: Comparison, *, stays: bool) -> None:
        self.comparison, self.stays = comparison, stays
        listed = "; ".join(map(str, comparison.new[:5]))
        more = f"; and {len(comparison.new) - 5} more" if len(comparison.new) > 5 else ""
        super().__init__(None, "comparing the tables with the migrations at the target", f"{listed}{more}")

    def settle(self, state: str, hint: str) -> None:
        if self.stays:
            super().settle(f"{state} This cannot be taken back.", "Fix these tables by hand.")
        else:
            super().settle(
                state, "Look at what unapplying these migrations does. To accept the differences, add --no-verify."
            )


def after_all_or_nothing(database: Database, plan: Plan, failed: StepFailed) -> tuple[str, str]:
    database.connection.close()
    try:
        with database.reading():
            found, others = database.records(), _others(database, failed)
    except (DatabaseUnusable, Locked):
        return (
            f"{database.title} cannot be reached now. The run was not committed, so the server undoes it.",
            "When it is back, run the same command with --plan to see its state.",
        )
    # Others may have changed other rows since; they were waiting for this lock.
    if {row.id for row in plan.deleted} & {row.id for row in found}:
        state = f"Nothing was changed: everything is as it was before.{others}"
        return state, failed.fix("run the same command again")
    return (
        "The run was committed before this failure: it is done.",
        "To check, run the same command with --plan: nothing should be left to do.",
    )


def after_some_steps(database: Database, plan: Plan, done: list[Done], failed: StepFailed) -> tuple[str, str]:
    left = plan.steps[len(done) :]
    state = f"{len(done)} of {len(plan.steps)} steps are unapplied and stay so"
    if done:
        state += f"; the last was {done[-1].step.key}"
    if failed.step and not (database.can_undo_ddl and failed.step.migration.atomic):
        state += f". {failed.step.key} may be partly undone; its record is still there"
    names = ", ".join(str(step.key) for step in left[:5]) + (", …" if len(left) > 5 else "")
    left_over = f" Still to do: {names}." if left else ""
    return f"{state}.{left_over}{_others(database, failed)}", failed.fix(
        "run the same command again: it goes on from there"
    )


def _others(database: Database, failed: StepFailed) -> str:
    """Who held the lock, if there was one."""
    found = ""
    if failed.returncode == Locked.returncode:
        with suppress(DatabaseError, InterfaceError):
            found = "; ".join(database.others())
    return f" Other transactions that are open now: {found}." if found else ""
