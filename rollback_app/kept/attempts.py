"""Statements of which some may fail, each by itself, because they need what others make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TypeVar

from django.db import transaction
from django.db.utils import DatabaseError

from rollback_app.database import Database, first_line

_T = TypeVar("_T")


def as_far_as_possible(things: Sequence[_T], attempt: Callable[[_T], str]) -> list[tuple[_T, str]]:
    """Attempt each; what fails is attempted again as long as any other succeeds. attempt: gives why it failed, or an empty text.
    What is left, and why."""
    waiting, failed = list(things), list[tuple[_T, str]]()
    while waiting:
        failed = [(each, why) for each in waiting if (why := attempt(each))]
        if len(failed) == len(waiting):
            break
        waiting = [each for each, _ in failed]
    return failed


def why_not(database: Database, do: Callable[[], object], *, refused_only: bool = False) -> str:
    """Why this failed in the database; empty if it did not. It is done as a whole or not at all, where DDL can be undone.

    refused_only: what is about something else, a lock or a lost connection, is raised.
    """
    try:
        with transaction.atomic(using=database.alias) if database.can_undo_ddl else nullcontext():
            do()
    except DatabaseError as error:
        if refused_only and (database.is_lock_timeout(error) or not database.is_answer(error)):
            raise
        return first_line(error)
    return ""


def execute(database: Database, definition: str) -> None:
    """Errors: those of Django's database layer."""
    with database.connection.cursor() as cursor:
        cursor.execute(definition)
