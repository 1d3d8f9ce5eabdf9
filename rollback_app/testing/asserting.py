"""Checks as `checkrollback` makes them, inside a test: whatever that test does to the connections of its thread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollback_app.workflow import Checked

# What lifts pytest-django's block on databases, if that is there; the plugin sets it.
unblock: list[Any] = []


def assert_rolls_back(*migrations: str, using: str = "default") -> None:
    """Fail unless these migrations can be rolled back: apps (`orders`) and migrations (`orders.0007_invoices`); all, without any.

    They are read, and tried on a test database of their own, with rows in their tables: forward, back, and forward again. The
    test needs no database. using: the alias of the database beside which that is made.

    Errors: AssertionError, with what was found; RollbackError, if they could not be tried.
    """
    found = checked(migrations, everything=True, using=using)
    if errors := [finding for finding in found.findings if finding.severity.value == "error"]:
        raise AssertionError("\n".join(["", *map(in_words, errors)]))


def in_words(finding: Any) -> str:
    return f"{finding.file}:{finding.line}\n    {finding.text} [{finding.id}]\n    {finding.hint}"


def checked(apps: Any = (), *, using: str = "default", **options: Any) -> Checked:
    """As `workflow.check_rollback`, with a trial. In a thread of its own, whose connections are others than those of the test."""

    def check() -> Checked:
        from django.db import connections  # noqa: PLC0415  # pytest loads its plugins before there are settings

        from rollback_app import workflow  # noqa: PLC0415

        try:
            trial = workflow.Trial(worker=os.environ.get("PYTEST_XDIST_WORKER", ""))
            return workflow.check_rollback(apps, trial=trial, using=using, **options)
        finally:
            connections.close_all()

    with _databases(), ThreadPoolExecutor(1) as thread:
        return thread.submit(check).result()


@contextmanager
def _databases() -> Iterator[None]:
    lifted: AbstractContextManager[Any] = unblock[-1]() if unblock else nullcontext()
    with lifted:
        yield
