"""Workers as processes of this machine."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from typing import Any, TypeVar

from rollback_app.bookkeeping import Fleets
from rollback_app.errors import RollbackError
from rollback_app.history import MemberState
from rollback_app.processes import alone, no_interrupts, pool_of, uncut

from .members import find
from .orders import Orders
from .work import book, name_of_worker, work

LOOK = 0.5  # seconds between two looks at how far it is

_T = TypeVar("_T")
_R = TypeVar("_R")


class WorkersDied(RollbackError):
    """Processes that should work end by themselves, or are killed."""


class CutOff(RollbackError):
    """Somebody did not want to wait until the members that are under way end."""


def work_in_processes(number: int, orders: Orders, workers: int, tell: Callable[[], None]) -> None:
    """Work on a fleet with so many processes, or in this one if it is one, until none of its members may be begun. tell: is
    called again and again. A process that dies is replaced; what it had is looked at anew. After a Ctrl-C none is begun.

    Errors: WorkersDied, if they die before they take a member; CutOff, by a second Ctrl-C.
    """
    if workers == 1:
        try:
            work(number, tell=tell)
        except KeyboardInterrupt:
            _stop(number)
        return
    try:
        while _until_one_dies(number, orders, workers, tell):
            with book() as fleets:
                if not free_dead(fleets, number):
                    raise WorkersDied(
                        "The processes that should work on the fleet die before they take a member. What is done stays done.",
                        hint=f"Work in one process, which shows why: {fleets.line(number, '--resume', '--workers', '1')}",
                    )
    except KeyboardInterrupt as error:
        with book() as fleets:
            free_dead(fleets, number)
            fleets.end(number)
            again = fleets.line(number, "--resume")
        raise CutOff(
            "The members that were under way were cut off. What is done stays done.",
            hint=f"To look at the others anew and go on: {again}",
        ) from error


def _until_one_dies(number: int, orders: Orders, workers: int, tell: Callable[[], None]) -> bool:
    """Did one die?"""
    with pool_of(workers) as pool:
        with no_interrupts():
            futures = [pool.submit(_call, orders, _work, number) for _ in range(workers)]
        try:
            _watch(number, futures, tell)
        except KeyboardInterrupt:
            _stop(number)
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
        chunk = max(1, min(25, len(things) // (workers * 4)))
        try:
            with pool_of(workers) as pool:
                with no_interrupts():
                    found = pool.map(partial(_call, told, function), things, chunksize=chunk)
                yield from found
        except BrokenProcessPool as error:
            raise WorkersDied(
                "A process that looked at the members died. Nothing was changed.",
                hint="Look at them in one process, which shows why: python manage.py rollbackfleet MOMENT --plan --workers 1",
            ) from error

    return call


def _work(number: int) -> None:
    """Until the command is done, or is killed; then the member at hand still ends."""
    with uncut:
        work(number, goes_on=lambda: not alone.is_set())


def _call(orders: Orders, function: Callable[[_T], _R], thing: _T) -> _R:
    """In a process of the pool."""
    _prepare(orders.databases, all_databases=orders.all_databases)
    return function(thing)


@cache
def _prepare(databases: tuple[str, ...], *, all_databases: bool) -> None:
    """Finding the members may make the aliases."""
    find(databases, all_databases=all_databases)


def _stop(number: int) -> None:
    with book() as fleets:
        fleets.stop(number)


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
