"""Workers that the project has already: those of its back end for Django's task framework. The command puts a task into the
queue and watches; who works, and where, is up to the back end."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from rollback_app.database import first_line
from rollback_app.errors import RollbackError, UsageError, shown

from .orders import Orders
from .work import StateUnusable, book

LOOK = 0.5  # seconds between two looks at how far it is
SILENCE = 10.0  # seconds without a sign of a worker, until that is said


class NotQueued(RollbackError):
    """The back end takes no task."""


class TaskFailed(RollbackError):
    """A worker could not even begin."""


class Left(RollbackError):
    """Nobody watches any longer; the fleet goes on."""


def backend_named(name: str) -> str:
    """The alias of a back end of TASKS that has workers. Errors: UsageError."""
    try:
        tasks = _tasks()
        known = list(tasks.task_backends)
        found = tasks.task_backends[name] if name in known else None
    except ModuleNotFoundError as error:
        raise UsageError(
            f"There is no task framework here: {first_line(error)}.",
            hint="Use Django 6, or install django-tasks and a back end, such as django-tasks-db; or leave out --tasks.",
        ) from error
    except ImproperlyConfigured as error:
        raise UsageError(f"TASKS is wrong: {first_line(error)}", hint="Fix it in the settings.") from error
    if found is None:
        raise UsageError(
            f"TASKS has no back end called '{shown(name)}'.",
            hint=f"Known: {', '.join(known)}. A moment comes before --tasks.",
        )
    if {"DummyBackend", "ImmediateBackend"} & {each.__name__ for each in type(found).__mro__}:
        raise UsageError(
            f"The back end '{name}' of TASKS has no workers: it is {type(found).__name__}.",
            hint="Name one that has, such as that of django-tasks-db; or leave out --tasks: then processes of this machine work.",
        )
    return name


def work_by_tasks(
    number: int, orders: Orders, backend: str, tell: Callable[[], None], say: Callable[[str], None]
) -> None:
    """Have a fleet worked on by the workers of a back end, and watch until none of its members may be begun. tell: is called
    again and again. say: with what there is to know, a sentence or two.

    Errors: NotQueued, TaskFailed; Left, by Ctrl-C, or if the state cannot be read.
    """
    with book() as fleets:
        see = f"To see how far it is: {fleets.line(number, '--status')}\nTo stop it: {fleets.line(number, '--stop')}"
    try:
        _watch(number, backend, tell, say)
    except KeyboardInterrupt as error:
        raise Left(f"The fleet goes on, by the workers of TASKS['{backend}'].", hint=see) from error
    except StateUnusable as error:
        raise Left(
            f"It can no longer be watched. {error.message}\nThe fleet goes on, by the workers of TASKS['{backend}'].",
            hint=see,
        ) from error


def _watch(number: int, backend: str, tell: Callable[[], None], say: Callable[[str], None]) -> None:
    result, before = _queued(number, backend), None
    signs, silent_since, said = False, time.monotonic(), False
    while True:
        with book() as fleets:
            fleets.renew(number)
            ready, busy = fleets.outlook(number)
            counts = fleets.counts(number)
        tell()
        if not (ready or busy):
            return
        if busy or (before is not None and counts != before):
            signs, silent_since = True, time.monotonic()
        before = counts
        if time.monotonic() - silent_since > SILENCE:
            if signs:  # somebody worked, and was killed together with who should go on
                result, signs = _queued(number, backend), False
            elif failure := _failure(result):
                raise TaskFailed(
                    f"The task fails before it takes a member: {failure}",
                    hint=f"Mend it, then: {_again(number, backend)}",
                )
            elif not said:
                say(f"No worker has begun yet. You may leave this with Ctrl-C: the fleet goes on. {_start(backend)}")
                said = True
            silent_since = time.monotonic()
        time.sleep(LOOK)


def _queued(number: int, backend: str) -> Any:
    """Errors: NotQueued."""
    try:
        return _tasks().hand_on(number, backend)
    # It is the project's back end, and may raise anything.
    except Exception as error:
        with book() as fleets:
            fleets.stop(number)
        raise NotQueued(
            f"TASKS['{backend}'] takes no task: {type(error).__name__}: {first_line(error)}. No new member is begun.",
            hint=f"When it does again: {_again(number, backend)}",
        ) from error


def _failure(result: Any) -> str:
    """Why a task failed; empty, if it did not, or nobody can tell."""
    if not result.task.get_backend().supports_get_result:
        return ""
    result.refresh()
    if not result.errors:
        return ""
    name = result.errors[-1].exception_class_path.removeprefix("builtins.")
    return str([name, *re.findall(rf"^{re.escape(name)}.*$", result.errors[-1].traceback, re.MULTILINE)][-1])


def _start(backend: str) -> str:
    """What starts a worker."""
    tasks = _tasks()
    queue, found = tasks.queue_of(backend), type(tasks.task_backends[backend])
    lines = {
        "django_tasks_db": f"db_worker --backend {shlex.quote(backend)} --queue-name {shlex.quote(queue)}",
        "django_tasks_rq": f"rqworker {shlex.quote(queue)} --job-class django_tasks_rq.Job",
    }
    line = lines.get(found.__module__.partition(".")[0])
    if line:
        return f"Start one: python manage.py {line}"
    return f"Start one of {found.__module__}.{found.__qualname__}."


def _again(number: int, backend: str) -> str:
    with book() as fleets:
        return fleets.line(number, "--resume", "--tasks", shlex.quote(backend))


def _tasks() -> Any:
    """Errors: ModuleNotFoundError, ImproperlyConfigured."""
    return import_module("rollback_app.fleets.tasks")
