"""Scripts of --format sql, run by the programs that they are for, on copies of a database."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from django.db import connections

from tests import servers
from tests.support.commands import Said, call
from tests.support.databases import Database, ask, empty
from tests.support.schema import JOURNAL, everything

NOTES = ("rollback_app_run", "rollback_app_kept", "rollback_app_hold", "rollback_app_snapshot")
# When and by whom; of a run, also how long.
_UNLIKE = {"at", "started", "finished", "since", "made", "operator", "host", "seconds", "command"}
# What only a run knows, or only MariaDB of one and the same database.
_BY_RUNNING = {"bytes", "fingerprint", "history", "names", "changing"}


def made(database: Database, moment: Any, **options: Any) -> Said:
    text = moment if isinstance(moment, str) else moment.isoformat()
    return call("rollbackmigrationsafter", text, database=[database.alias], format="sql", **options)


def copied(database: Database, other: Database) -> None:
    """Make the other one what this one is, where its sequences stand included."""
    empty(other)
    connections.close_all()
    name, copy = (each.connection.settings_dict["NAME"] for each in (database, other))
    if database.vendor == "sqlite":
        shutil.copy(name, copy)
    elif database.vendor == "mariadb":
        _copied_mariadb(database, other)
    else:
        with database.connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {copy}")
            cursor.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")


def _copied_mariadb(database: Database, other: Database) -> None:
    name = database.connection.settings_dict["NAME"]
    tables = [table for (table,) in ask(database, "SHOW TABLES")]
    made = [ask(database, f"SHOW CREATE TABLE `{table}`")[0][1] for table in tables]
    filled = [f"INSERT INTO `{table}` SELECT * FROM `{name}`.`{table}`" for table in tables]
    with other.connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        for statement in made + filled:
            cursor.execute(statement)
    other.connection.close()


def run(database: Database, script: str) -> subprocess.CompletedProcess[str]:
    """Have its own program read the script, as a user would."""
    program, environment = servers.client(database.vendor)
    settings = database.connection.settings_dict
    database.connection.close()
    if database.vendor == "sqlite":
        words = [str(settings["NAME"])]
    elif database.vendor == "mariadb":
        host = [f"-h{settings['HOST']}", f"-P{settings['PORT']}", f"-u{settings['USER']}"]
        words = ["--no-defaults", *host, str(settings["NAME"])]
    else:
        host = [f"-h{settings['HOST']}", f"-p{settings['PORT']}", f"-U{settings['USER']}"]
        words = ["-X", *host, "-d", str(settings["NAME"]), "-f", "-"]
    # As bytes: Python's own line ends would hide what the program makes of them.
    done = subprocess.run([program, *words], check=False, input=script.encode(), capture_output=True, env=environment)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def end(database: Database, *, collected: bool = False) -> dict[str, Any]:
    """Everything that a run leaves: schema, rows, records, where counters stand, and our notes but for when and by whom.
    collected: without what is only known by running it."""
    unlike = _UNLIKE | (_BY_RUNNING if collected else set())
    notes = {table: _notes(database, table, unlike) for table in NOTES}
    return {**everything(database.connection, JOURNAL | set(NOTES)), "notes": notes}


def _notes(database: Database, table: str, unlike: set[str]) -> list[dict[str, Any]]:
    with database.connection.cursor() as cursor:
        if table not in database.connection.introspection.table_names(cursor):
            return []
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{name: value for name, value in row.items() if name not in unlike} for row in rows]
