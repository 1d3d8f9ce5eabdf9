"""A rollback that kills itself in front of its Nth statement, in a process of its own: killed.py ALIAS MOMENT N, or a fork."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(alias: str, moment: str, number: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    with connections[alias].execute_wrapper(kill_at(number)):
        call_command("rollbackmigrationsafter", moment, database=[alias], interactive=False, destroy_data=True)


def kill_at(number: int, *, changes: bool = False) -> Callable[..., Any]:
    """changes: do not count what only reads: what is there in front of it is there in front of the next change too."""
    count = 0

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal count
        count += not (changes and sql.lstrip().upper().startswith(("SELECT", "SHOW", "PRAGMA", "SET")))
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    return wrapper


def forked(alias: str, number: int, run: Callable[[], object], *, changes: bool = False) -> int:
    """Run it in a fork, which is much quicker than a new process. Comes back with its status, -9 if it was killed. changes: see
    `kill_at`."""
    from django.db import connections

    connections.close_all()  # a connection cannot be shared by two processes
    child = os.fork()
    if not child:
        status = 1
        try:
            with connections[alias].execute_wrapper(kill_at(number, changes=changes)):
                run()
            status = 0
        except BaseException:  # noqa: BLE001  # whatever it is, this process must not go on with the tests
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
