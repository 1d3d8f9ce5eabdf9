"""Tells the receivers of `rollback_app.signals` of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.dispatch import Signal

from rollback_app.database import first_line
from rollback_app.errors import RollbackError
from rollback_app.executor import Progress
from rollback_app.safety import Preview
from rollback_app.signals import Rollback, rollback_failed, rollback_finished, rollback_started


@contextmanager
def told(looked_at: Preview, command: str, progress: Progress) -> Iterator[None]:
    """The run on one database is inside. A plan that undoes nothing is none."""
    plan = looked_at.plan
    if plan.empty:
        yield
        return
    migrations = tuple(str(step.key) for step in plan.steps)
    rollback = Rollback(looked_at.alias, looked_at.title, migrations, plan.digest, looked_at.reason, command)
    _send(rollback_started, progress, rollback=rollback)
    began = time.monotonic()
    try:
        yield
    except RollbackError as error:
        _send(rollback_failed, progress, rollback=rollback, error=error)
        raise
    _send(rollback_finished, progress, rollback=rollback, seconds=time.monotonic() - began)


def _send(signal: Signal, progress: Progress, **named: Any) -> None:
    for receiver, answer in signal.send_robust(sender=Rollback, **named):
        if isinstance(answer, Exception):
            name = getattr(receiver, "__qualname__", type(receiver).__qualname__)
            words = f"{receiver.__module__}.{name}, a receiver of a signal of rollback_app, failed"
            progress.warned(f"{words}: {type(answer).__name__}: {first_line(answer)}. The run goes on.")
