"""What others can listen to: a rollback of one database begins, is done, or has failed. Not sent for plans and rehearsals.

    @receiver(rollback_failed)
    def page(rollback: Rollback, error: RollbackError, **kwargs): …

A receiver that raises is a warning of the run, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.dispatch import Signal


@dataclass(frozen=True)
class Rollback:
    """alias, title: of the database. migrations: those to undo, newest first, as `app.name`. digest: of the plan. reason,
    command: why, and what was typed; empty if nobody said."""

    alias: str
    title: str
    migrations: tuple[str, ...]
    digest: str
    reason: str
    command: str


rollback_started = Signal()
"""rollback: a Rollback."""

rollback_finished = Signal()
"""rollback: a Rollback. seconds: a float."""

rollback_failed = Signal()
"""rollback: a Rollback. error: a `rollback_app.errors.RollbackError`, with `message` and `hint`."""
