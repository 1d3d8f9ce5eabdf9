"""The task for Django's task framework: rolls back some members of a fleet. Imported only by who works with tasks.

A task carries no members: it takes what may be begun, so that one too many, or one that runs twice, does no harm. Before it
works it puts the next one into the queue: if its worker is killed, that one goes on, wherever. The next one that finds nothing
to begin stands by, alone, until there is something, which may be what a dead worker had.
"""

from __future__ import annotations

import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .members import find
from .orders import Orders
from .work import book, work

if TYPE_CHECKING:
    from django_tasks import task, task_backends
    from django_tasks.base import Task
else:
    _framework = import_module("django.tasks" if find_spec("django.tasks") else "django_tasks")
    task, task_backends, Task = _framework.task, _framework.task_backends, _framework.base.Task

CHUNK = 30.0  # seconds after which a task begins no member, so that other tasks have their turn
WATCH = 20.0  # seconds that a task stands by
LOOK = 0.5  # seconds between two looks


def queue_of(backend: str) -> str:
    """The queue for our tasks: the default, if the back end has that."""
    queues = task_backends[backend].queues
    return "default" if not queues or "default" in queues else min(queues)


def hand_on(number: int, backend: str) -> Any:
    """Put a task for a fleet into the queue; its result. Errors: whatever the back end raises."""
    with book() as fleets:
        fleets.note_queued(number)
    return roll_back_some.using(backend=backend, queue_name=queue_of(backend)).enqueue(number)


def _any_backend() -> str:
    """Whichever it is, since each fleet says which one it wants; but a task of the framework's own kind suits them all."""
    names = list(task_backends) or ["default"]
    return next((name for name in names if task_backends[name].task_class is Task), names[0])


_SOME = _any_backend()


@task(backend=_SOME, queue_name=queue_of(_SOME))
def roll_back_some(number: int) -> None:
    """Roll back members of a fleet for a while."""
    with book() as fleets:
        fleet = fleets.get(number)
    if fleet is None or fleet.ended or not fleet.tasks:
        return
    orders = Orders.stored(fleet.orders)
    find(orders.databases, all_databases=orders.all_databases)  # which may make the aliases
    if _may_begin(number, fleet.tasks):
        hand_on(number, fleet.tasks)
        end = time.monotonic() + CHUNK
        work(number, goes_on=lambda: time.monotonic() < end, patient=False, tell=partial(_sign_of_life, number))
    with book() as fleets:
        over = not any(fleets.outlook(number))
        if over:
            fleets.end(number)
        lost = not over and not fleets.has_next(number)
    if lost:
        hand_on(number, fleet.tasks)


def _may_begin(number: int, backend: str) -> bool:
    """May a member be begun? Waits for one for a while, unless another task does."""
    with book() as fleets:
        ready, busy = fleets.outlook(number)
        if ready or not busy or not fleets.stand_by(number, WATCH):
            return ready
    end = time.monotonic() + WATCH
    while busy and not ready and time.monotonic() < end:
        time.sleep(LOOK)
        with book() as fleets:
            fleets.renew(number)
            ready, busy = fleets.outlook(number)
    if busy and not ready:
        hand_on(number, backend)
    return ready


def _sign_of_life(number: int) -> None:
    with book() as fleets:
        fleets.renew(number)
