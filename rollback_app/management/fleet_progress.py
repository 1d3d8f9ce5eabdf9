"""How far a fleet is, on the terminal: one line that is written again and again; elsewhere a line for each batch."""

from __future__ import annotations

from rollback_app import fleets, reports
from rollback_app.history import MemberState
from rollback_app.management.base import RollbackCommand

_BATCHES = 20  # lines, at the most


class Told:
    """Tells of the fleet of this number."""

    def __init__(self, command: RollbackCommand, number: int, *, shown: bool) -> None:
        self.command, self.number, self.shown = command, number, shown
        self.over_again = shown and command.stdout.isatty()
        self.told = ""
        self.ended = 0

    def look(self) -> None:
        """Look how far it is, and tell."""
        if not self.shown:
            return
        with fleets.book() as book:
            counts = book.counts(self.number)
        words, total = reports.of_fleet_progress(counts), sum(counts.values())
        ended = counts[MemberState.DONE] + counts[MemberState.FAILED]
        if words == self.told:
            return
        if self.over_again:
            self.command.stdout.write(f"\r{words:<{len(self.told)}}", ending="")
            self.command.stdout.flush()
        elif ended - self.ended >= max(1, total // _BATCHES) or ended == total:
            self.command.stdout.write(words)
            self.ended = ended
        self.told = words

    def end(self) -> None:
        if self.over_again and self.told:
            self.command.stdout.write("")
