"""A worker: takes one member after the other, and rolls it back. As many as you like work side by side, on any machine."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import connections
from django.db.utils import DatabaseError, InterfaceError

from rollback_app import database as databases
from rollback_app import workflow
from rollback_app.bookkeeping import Fleets
from rollback_app.database import first_line
from rollback_app.errors import RollbackError
from rollback_app.executor import Retries
from rollback_app.history import Fleet, MemberRecord, MemberState
from rollback_app.safety import Level, Refused, lost

from .orders import Orders
from .places import home, place_of
from .survey import look

PAUSE = 0.2  # seconds, until a worker looks again for something to do
BEAT = 5.0  # seconds between two signs of life


class StateUnusable(RollbackError):
    """How far a fleet is cannot be read, or cannot be written."""


@contextmanager
def book() -> Iterator[Fleets]:
    """The state of fleets. Inside, the connection of the default database is where that is kept. Errors: StateUnusable."""
    here = home()
    try:
        with place_of(here):
            yield Fleets(databases.get(here.alias))
    except (DatabaseError, InterfaceError) as error:
        raise StateUnusable(
            f"The state of the fleet, in {here.alias}, cannot be read or written: {first_line(error)}",
            hint="Check that database, and the rights of its user: it makes two tables, rollback_app_fleet and "
            "rollback_app_fleetrun. What is done stays done. To go on: python manage.py rollbackfleet --resume",
        ) from error


def name_of_worker(process: int | None = None) -> str:
    """Of this process, or another on this machine."""
    return f"{socket.gethostname()}:{process or os.getpid()}"


def work(
    number: int,
    *,
    goes_on: Callable[[], bool] = lambda: True,
    patient: bool = True,
    tell: Callable[[], None] = lambda: None,
) -> None:
    """Roll back members of a fleet, until none may be begun. goes_on: asked before each, whether it may still be begun by this
    worker. patient: wait for those that may be begun when others are done. tell: is called after each.

    Errors: StateUnusable. Ctrl-C ends it when it is known how the member at hand ended.
    """
    group, once = "", workflow.Once()
    while goes_on():
        with book() as fleets:
            record = fleets.claim(number, name_of_worker(), group)
            found = fleets.get(number)
            if record is None or found is None:
                if not (patient and fleets.is_coming(number)):
                    break
                time.sleep(PAUSE)
                continue
        group = record.digest
        began = time.monotonic()
        with _signs_of_life(number, record):
            state, error, interrupted = _ended(record, found, once)
        with book() as fleets:
            fleets.note(record, state, time.monotonic() - began, error)
        if interrupted:
            raise KeyboardInterrupt
        tell()


def _ended(record: MemberRecord, fleet: Fleet, once: workflow.Once) -> tuple[MemberState, str, bool]:
    """Roll this member back; (how it ended, what went wrong, was it interrupted?)."""
    try:
        _roll_back(record, fleet, once)
    except RollbackError as error:
        # The advice is that of the command for one database, which nobody typed here.
        hint = error.hint.replace("run the same command again", "go on with --resume")
        return MemberState.FAILED, f"{error.message}\n{hint}".strip(), isinstance(error.__cause__, KeyboardInterrupt)
    except KeyboardInterrupt:  # while it was looked at
        return MemberState.WAITING, "", True
    return MemberState.DONE, "", False


def _roll_back(record: MemberRecord, fleet: Fleet, once: workflow.Once) -> None:
    """Errors: as those of `workflow.roll_back`."""
    orders, anew = Orders.stored(fleet.orders), f"To look at it anew and go on: {fleet.to_type('--resume')}"
    preview = look(record.member, record.at, orders, once)
    if preview.plan.empty:  # a worker before has done it, and died before it could say so
        return
    if preview.plan.pattern != record.digest:
        in_part = record.tries > 1 and not preview.one_transaction
        raise Refused(
            "The worker that had it died between two steps. What it has taken back stays so; nothing was changed since."
            if in_part
            else "Its records changed after the fleet was looked at. Nothing was changed here.",
            hint=anew,
        )
    more = [each for each in preview.of_level(Level.LOSS) if lost(each) not in record.lost]
    if more:  # than was agreed to
        raise Refused(
            "It would lose something that it would not when the fleet was looked at. Nothing was changed here:",
            hint=anew,
            findings=more,
        )
    with place_of(record.member):
        workflow.roll_back(
            [preview],
            destroy_data=orders.destroy_data,
            timeouts=orders.timeouts,
            retries=Retries(orders.retries),
            journal=orders.journal,
            command=fleet.command,
            verify=orders.verify,
            hold=orders.hold,
        )


@contextmanager
def _signs_of_life(number: int, record: MemberRecord) -> Iterator[None]:
    """Renew the lease of a member while it is worked on, from a thread with a connection of its own."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            # What holds the database now may let go of it before the next beat.
            with suppress(RollbackError), book() as fleets:
                fleets.keep(number, record)
        connections.close_all()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
