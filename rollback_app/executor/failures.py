"""What went wrong, what state the database is in after it, and what to do next."""

from __future__ import annotations

from contextlib import suppress

from django.db.utils import DatabaseError, InterfaceError

from rollback_app.database import Database
from rollback_app.errors import DatabaseUnusable, Locked, RollbackError
from rollback_app.planner import Plan, Step
from rollback_app.safety import Comparison

from .progress import Done


class StepFailed(RollbackError):
    """A run broke off. Facts: the step (None outside of one), what was going on (words), its SQL (empty if the failure was
    not in a statement), the database's or Python's own words, what state the database is in now; doubtful: may the statement
    have been done all the same?"""

    def __init__(
        self,
        step: Step | None,
        doing: str,
        words: str,
        *,
        sql: str = "",
        locked: bool = False,
        doubtful: bool = False,
        advice: str = "",
    ) -> None:
        self.step, self.doing, self.words, self.sql, self.advice = step, doing, words, sql, advice
        self.doubtful = doubtful
        self.state = ""
        self.returncode = Locked.returncode if locked else RollbackError.returncode
        super().__init__("")

    def settle(self, state: str, hint: str) -> None:
        """Say what state the database is in, and what to do next, once that is known."""
        at = f" at {self.step.key}" if self.step else ""
        statement = f"\nThe statement was: {self.sql}" if self.sql else ""
        self.message = f"The rollback failed{at}, {self.doing}: {self.words}{statement}\n{state}"
        faked = ""
        if self.step and not self.advice:  # a reason that is known is not that one
            faked = f" If {self.step.key} was recorded without ever being run, add --fake {self.step.key}."
        self.state, self.hint = state, hint + faked

    def mend(self, then: str) -> str:
        """What to do about it, and then."""
        return f"{self.advice} Then {then}" if self.advice else f"Mend what is named above and {then}"


class NotAsExpected(StepFailed):
    """All steps were undone, and then the tables were not what the migrations at the target say. Facts: the verdict."""

    def __init__(self, comparison: Comparison, *, stays: bool) -> None:
        self.comparison, self.stays = comparison, stays
        listed = "; ".join(map(str, comparison.new[:5]))
        more = f"; and {len(comparison.new) - 5} more" if len(comparison.new) > 5 else ""
        super().__init__(None, "comparing the tables with what the migrations at the target say", f"{listed}{more}")

    def settle(self, state: str, hint: str) -> None:
        if self.stays:
            super().settle(f"{state} Nothing of it can be taken back.", "Mend these tables by hand.")
        else:
            super().settle(state, "Look at what undoing these migrations does. To accept the differences: --no-verify")


def after_all_or_nothing(database: Database, plan: Plan, failed: StepFailed) -> tuple[str, str]:
    database.connection.close()
    try:
        with database.reading():
            found, others = database.records(), _others(database, failed)
    except (DatabaseUnusable, Locked):
        return (
            f"{database.title} cannot be reached now. The run was not committed, so it undoes itself.",
            "When it is back, run the same command with --plan to see where it is.",
        )
    # Others may have changed other rows since; they were waiting for this lock.
    if {row.id for row in plan.deleted} & {row.id for row in found}:
        return f"Nothing was changed: everything is as it was before.{others}", failed.mend(
            "run the same command again."
        )
    return (
        "The run was committed before that, or during it: it is done.",
        "Run the same command with --plan: it has nothing left to do.",
    )


def after_some_steps(database: Database, plan: Plan, done: list[Done], failed: StepFailed) -> tuple[str, str]:
    left = plan.steps[len(done) :]
    state = f"{len(done)} of {len(plan.steps)} steps are undone and stay so"
    if done:
        state += f", the last is {done[-1].step.key}"
    if failed.step and not (database.can_undo_ddl and failed.step.migration.atomic):
        state += f". Of {failed.step.key} a part may be undone; its row is still there"
    names = ", ".join(str(step.key) for step in left[:5]) + (", …" if len(left) > 5 else "")
    left_over = f" Left: {names}." if left else ""
    return f"{state}.{left_over}{_others(database, failed)}", failed.mend(
        "run the same command again: it goes on from there."
    )


def _others(database: Database, failed: StepFailed) -> str:
    """Who may have been in the way, if somebody was."""
    found = ""
    if failed.returncode == Locked.returncode:
        with suppress(DatabaseError, InterfaceError):
            found = "; ".join(database.others())
    return f" Transactions of others that are open now: {found}." if found else ""
