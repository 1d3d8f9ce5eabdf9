"""Workers as processes of this machine, by the pool of the standard library."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from typing import Any, TypeVar

import django

from rollback_app.bookkeeping import Fleets
from rollback_app.errors import RollbackError
from rollback_app.history import MemberState

from .members import find
from .orders import Orders
from .work import book, name_of_worker, work

LOOK = 0.5  # seconds between two looks at how far it is

_T = TypeVar("_T")
_R = TypeVar("_R")


# In a process of the pool: has it members to work on, and is the command gone?
_busy, _alone = threading.Lock(), threading.Event()


class WorkersDied(RollbackError):
    """Processes that should work end by themselves, or are killed."""


def work_in_processes(number: int, orders: Orders, workers: int, tell: Callable[[], None]) -> None:
    """Work on a fleet with so many processes, or in this one if it is one, until none of its members may be begun. tell: is
    called again and again. A process that dies is replaced; what it had is looked at anew.

    Errors: WorkersDied, if they die before they take a member.
    """
    if workers == 1:
        work(number, tell=tell)
        return
    while _until_one_dies(number, orders, workers, tell):
        with book() as fleets:
            if not free_dead(fleets, number):
                raise WorkersDied(
                    "The processes that should work on the fleet die before they take a member. What is done stays done.",
                    hint="Work in one process, which shows why: python manage.py rollbackfleet --resume --workers 1",
                )


def _until_one_dies(number: int, orders: Orders, workers: int, tell: Callable[[], None]) -> bool:
    """Did one die?"""
    with _pool(workers) as pool:
        futures = [pool.submit(_call, orders, _work, number) for _ in range(workers)]
        try:
            _watch(number, futures, tell)
        except KeyboardInterrupt:
            with book() as fleets:
                fleets.stop(number)
            _watch(number, futures, tell)
    try:
        for each in futures:
            each.result()
    except BrokenProcessPool:
        return True
    return False


def mapped(
    orders: Orders | None = None, workers: int = 0
) -> Callable[[Callable[[_T], _R], Sequence[_T]], Iterator[_R]]:
    """Calls a function for each thing, in so many processes; in this one, if it is one. workers: 0 for one for each core."""
    told, workers = orders or Orders("", ""), workers or os.cpu_count() or 1

    def call(function: Callable[[_T], _R], things: Sequence[_T]) -> Iterator[_R]:
        if workers == 1 or len(things) < 2 * workers:
            yield from map(function, things)
            return
        try:
            with _pool(workers) as pool:
                chunk = max(1, min(25, len(things) // (workers * 4)))
                yield from pool.map(partial(_call, told, function), things, chunksize=chunk)
        except BrokenProcessPool as error:
            raise WorkersDied(
                "A process that looked at the members died. Nothing was changed.",
                hint="Look at them in one process, which shows why: --workers 1",
            ) from error

    return call


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not by fork, which would share this process's connections.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=django.setup)


def _work(number: int) -> None:
    """Until the command is done, or is killed."""
    with _busy:
        work(number, goes_on=lambda: not _alone.is_set())


def _end_with(parent: Any) -> None:
    """The pool's processes would wait for ever for a command that was killed."""
    parent.join()
    _alone.set()
    with _busy:
        os._exit(1)


def _call(orders: Orders, function: Callable[[_T], _R], thing: _T) -> _R:
    """In a process of the pool."""
    _prepare(orders.databases, all_databases=orders.all_databases)
    return function(thing)


@cache
def _prepare(databases: tuple[str, ...], *, all_databases: bool) -> None:
    """What Ctrl-C does is decided by the process that watches. Finding the members may make the aliases."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=[multiprocessing.parent_process()], daemon=True).start()
    find(databases, all_databases=all_databases)


def _watch(number: int, futures: Sequence[Future[Any]], tell: Callable[[], None]) -> None:
    waiting = set(futures)
    while waiting:
        _, waiting = wait(waiting, timeout=LOOK)
        with book() as fleets:
            fleets.renew(number)
        tell()


def free_dead(fleets: Fleets, number: int) -> int:
    """Those that processes of this machine have, which are no more; how many."""
    mine = name_of_worker().rpartition(":")[0]
    held = {each.worker for each in fleets.members(number) if each.state is MemberState.RUNNING}
    return fleets.free(number, [worker for worker in held if worker.rpartition(":")[0] == mine and not _lives(worker)])


def _lives(worker: str) -> bool:
    try:
        os.kill(int(worker.rpartition(":")[2]), 0)
    except OSError as error:
        return error.errno != errno.ESRCH  # it may be somebody else's
    return True
