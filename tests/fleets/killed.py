"""A rollback of a fleet that is killed in front of certain statements, and gone on with: killed.py HISTORIES KILLS, both JSON.

HISTORIES: how many migrations each member has. KILLS: in front of which statement, of all databases together, a run kills itself.
Runs in the folder of a project; prints after each run, and at last after one that nobody kills, what the members hold.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

MOMENT = "2024-03-01"


def main(histories: list[int], kills: list[int]) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    for number, applied in enumerate(histories):
        shutil.copy(f"at-{applied}.sqlite3", f"customers/m{number}.sqlite3")
        shutil.copy(f"at-{applied}.sqlite3", f"alone-{number}.sqlite3")
    import django

    django.setup()
    for number in range(len(histories)):
        assert forked(lambda number=number: alone(number), 0) == 0
    before = [content(f"customers/m{number}.sqlite3") for number in range(len(histories))]
    found = [forked_and_seen(kill, len(histories)) for kill in [*kills, 0]]
    after = [content(f"alone-{number}.sqlite3") for number in range(len(histories))]
    print(json.dumps({"before": before, "alone": after, "runs": found}))


def forked_and_seen(kill: int, members: int) -> dict[str, Any]:
    status = forked(again, kill)
    with closing(sqlite3.connect("home.sqlite3")) as connection, connection:
        there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rollback_app_fleetrun'").fetchall()
        if there:  # as if time had passed: nobody gives a sign of life any more
            connection.execute("UPDATE rollback_app_fleetrun SET lease = '2024-01-01T00:00:00+00:00'")
            connection.execute(
                "UPDATE rollback_app_fleet SET lease = '2024-01-01T00:00:00+00:00' WHERE state = 'running'"
            )
    return {"status": status, "members": [content(f"customers/m{number}.sqlite3") for number in range(members)]}


def again() -> None:
    from django.core.management import call_command
    from django.core.management.base import CommandError

    try:
        call_command("rollbackfleet", resume=True, workers=1, verbosity=0)
    except CommandError as error:
        if error.returncode != 2:  # there is none, or it is done
            raise
        call_command("rollbackfleet", MOMENT, workers=1, verbosity=0)


def alone(number: int) -> None:
    """What its own rollback makes of this member."""
    from django.core.management import call_command
    from django.db import connections

    connections.settings["alone"] = {
        **connections.settings["default"],
        "NAME": Path(f"alone-{number}.sqlite3").resolve(),
    }
    call_command("rollbackmigrationsafter", MOMENT, database=["alone"], verbosity=0)


def forked(run: Any, kill: int) -> int:
    """Its status, -9 if it was killed."""
    from django.db import connections
    from django.db.backends.signals import connection_created

    connections.close_all()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status, count = 1, 0

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal count
        count += 1
        if count == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    def counted(connection: Any, **rest: Any) -> None:
        if wrapper not in connection.execute_wrappers:
            connection.execute_wrappers.append(wrapper)

    connection_created.connect(counted)
    for connection in connections.all():
        counted(connection)
    try:
        run()
        status = 0
    except BaseException:  # noqa: BLE001 (as a process of its own would)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def content(file: str) -> list[Any]:
    """Records, tables and rows, but for our own, and how many rollbacks were finished."""
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE name LIKE 'shop%' ORDER BY 1").fetchall()
        rows = [connection.execute(f"SELECT * FROM {table}").fetchall() for table, _ in tables]
        records = connection.execute("SELECT app, name FROM django_migrations ORDER BY 1, 2").fetchall()
        runs = connection.execute("SELECT name FROM sqlite_master WHERE name = 'rollback_app_run'").fetchall()
        sql = "SELECT count(*) FROM rollback_app_run WHERE outcome = 'finished'"
        finished = connection.execute(sql).fetchone()[0] if runs else 0
    return [tables, rows, records, finished]


if __name__ == "__main__":
    sys.path.insert(0, ".")
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
