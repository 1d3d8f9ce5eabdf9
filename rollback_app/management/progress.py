"""What a run tells while it is under way, on the terminal."""

from __future__ import annotations

import shutil

from django.db.migrations.operations.base import Operation

from rollback_app import reports
from rollback_app.executor import Done, Progress
from rollback_app.history import Backup
from rollback_app.management.base import RollbackCommand
from rollback_app.planner import Plan, Step
from rollback_app.safety import BackupFirst, Comparison


def printer(command: RollbackCommand, steps: int, verbosity: int) -> Progress:
    """How to tell a run of so many steps to a person."""
    if verbosity == 1 and steps > reports.SHOWN_STEPS and command.stdout.isatty():
        return Bar(command)
    return Printed(command, verbosity)


class Silent(Progress):
    """Nothing but warnings, to stderr."""

    def __init__(self, command: RollbackCommand) -> None:
        self.command = command

    def warned(self, text: str) -> None:
        self.command.tell(text, "WARNING")


class Telling(Silent):
    """Tells of the backup; in_line: has something begun a line, that its end shall finish?"""

    talks = True
    in_line = False

    def backing_up(self, alias: str, backup: BackupFirst) -> None:
        if self.talks:
            self.command.stdout.write(f"  Backing up {alias} by {backup.way}...", ending="")
            self.command.stdout.flush()
            self.in_line = True

    def backed_up(self, backup: Backup) -> None:
        if self.talks:
            self.command.stdout.write(self.command.style.SUCCESS(" OK") + f" ({reports.seconds(backup.seconds)})")
            self.in_line = False

    def broke_off(self) -> None:
        if self.in_line:
            self.command.stdout.write(self.command.style.ERROR(" FAILED"))
            self.in_line = False


class Printed(Telling):
    """Progress for a person: a line for each step; at -v 2 what was slow in it, at -v 3 the SQL."""

    def __init__(self, command: RollbackCommand, verbosity: int, doing: str = "Unapplying") -> None:
        super().__init__(command)
        self.doing, self.verbosity, self.talks = doing, verbosity, bool(verbosity)
        if verbosity:
            command.stdout.write("")
        self.shows_sql = verbosity > 2
        self.slow: list[Operation] = []

    def began(self, step: Step) -> None:
        self.slow = []
        if self.verbosity:
            self.command.stdout.write(f"  {self.doing} {step.key}...", ending="\n" if self.shows_sql else "")
            self.command.stdout.flush()
            self.in_line = not self.shows_sql

    def finished(self, done: Done) -> None:
        if self.verbosity:
            word = "FAKED" if done.step.fake else "OK"
            self.command.stdout.write(self.command.style.SUCCESS(f" {word}") + f" ({reports.seconds(done.seconds)})")
            self.in_line = False

        if self.verbosity > 1:
            for operation in self.slow:
                self.command.stdout.write(f"    rendered all models for '{operation.describe()}'")

    def rendered_everything(self, operation: Operation) -> None:
        self.slow.append(operation)

    def verified(self, comparison: Comparison) -> None:
        if self.verbosity:
            self.command.show(reports.of_verdict(comparison, in_full=self.verbosity > 1))

    def ran(self, sql: str) -> None:
        self.command.stdout.write(f"    {sql}")


class Bar(Telling):
    """Progress for a person at a terminal, through many steps: one line, which is written again and again."""

    def started(self, plan: Plan) -> None:
        self.command.stdout.write("")
        self.total, self.done, self.in_line = len(plan.steps), 0, False

    def began(self, step: Step) -> None:
        self._show(f"{self.done + 1}/{self.total} {step.key}")

    def finished(self, done: Done) -> None:
        self.done += 1
        if self.done == self.total:
            self._show(f"{self.total}/{self.total}")
            self._end("")

    def verified(self, comparison: Comparison) -> None:
        self.command.show(reports.of_verdict(comparison))

    def _show(self, words: str) -> None:
        filled = self.done * _BAR // self.total
        width = shutil.get_terminal_size().columns - len(" FAILED") - 1
        line = f"  [{'#' * filled}{'.' * (_BAR - filled)}] {words}"[:width]
        self.command.stdout.write(f"\r{line:<{width}}", ending="")
        self.command.stdout.flush()
        self.in_line = True

    def _end(self, word: str) -> None:
        self.command.stdout.write(word)
        self.in_line = False


_BAR = 30  # signs
