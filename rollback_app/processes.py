"""Processes beside each other, by the pool of the standard library. (Read before there are settings.)

They do not hear a Ctrl-C, which is for the process that started them to hear; and they end with it, however it ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import django

from rollback_app.errors import RollbackError, UsageError

T = TypeVar("T")
Found = TypeVar("Found")

# In a process of a pool. uncut: held while something is done that must not be cut off. alone: is who started it gone?
uncut, alone = threading.Lock(), threading.Event()


class ProcessEnded(RollbackError):
    """A process that tried migrations is gone."""


def in_processes(work: Callable[[T], Found], arguments: Sequence[T]) -> list[Found]:
    """What this function returns for each of these, each in a process of its own. They are gone when this returns or raises.

    Errors: UsageError, ProcessEnded; whatever the function raises, of the first argument with which it does.
    """
    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        raise UsageError("Other processes cannot read settings that are in no module.", hint="Leave out --parallel.")
    try:
        with pool_of(len(arguments)) as pool:
            with no_interrupts():
                running = [pool.submit(work, argument) for argument in arguments]
            return [each.result() for each in running]
    except BrokenProcessPool as error:
        raise ProcessEnded(
            "A process that tried migrations has ended.",
            hint="If the memory did not suffice, give fewer processes, as --parallel 2, or leave out --parallel.",
        ) from error


@contextmanager
def pool_of(number: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes, which are started with the first that is submitted; do that in `no_interrupts`. They are ended at once
    if something is raised inside, and gone afterwards."""
    others = {*multiprocessing.active_children()}
    # Not forked: a connection to a database would be there twice.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(number, context, initializer=_begin) as pool:
        try:
            yield pool
        except BaseException:
            for process in {*multiprocessing.active_children()} - others:
                process.terminate()
            raise


def _begin() -> None:
    """In a new process, before it reads anything of a project."""
    threading.Thread(target=_end_with, args=[multiprocessing.parent_process()], daemon=True).start()
    sys.stdout = sys.stderr  # migrations may print
    django.setup()


def _end_with(parent: Any) -> None:
    parent.join()
    alone.set()
    with uncut:
        os._exit(1)


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Processes that are started inside do not hear a Ctrl-C: this one does, ends them, and cleans up."""
    before = signal.getsignal(signal.SIGINT)
    with suppress(ValueError):  # only the main thread may say that
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)
