"""The line that takes a backup of a database, with its own values and never its password: for people to paste."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def pg_dump(settings: Mapping[str, Any]) -> str:
    """It asks for the password, unless ~/.pgpass or PGPASSWORD has it (https://www.postgresql.org/docs/current/app-pgdump.html)."""
    service = settings["OPTIONS"].get("service")
    name = settings["NAME"] or service
    where = f"service={service}" if service and not settings["NAME"] else name
    given = _given(settings, host="HOST", port="PORT", username="USER")
    return shlex.join(["pg_dump", "--format=custom", f"--file={name}.dump", *given, f"--dbname={where}"])


def mysqldump(settings: Mapping[str, Any], program: str) -> str:
    """It asks for the password. program: of MariaDB or of MySQL (https://mariadb.com/kb/en/mariadb-dump/)."""
    where = "socket" if str(settings["HOST"]).startswith("/") else "host"
    given = _given(settings, **{where: "HOST"}, port="PORT", user="USER")
    what = ["--single-transaction", "--routines", "--triggers", "--events"]
    return shlex.join([program, *what, *given, "--password", f"--result-file={settings['NAME']}.sql", settings["NAME"]])


def sqlite(settings: Mapping[str, Any]) -> str:
    """Also while others write (https://www.sqlite.org/cli.html)."""
    name = str(settings["NAME"])
    return shlex.join(["sqlite3", name, f".backup {shlex.quote(f'{name}.backup')}"])


def _given(settings: Mapping[str, Any], **options: str) -> list[str]:
    return [f"--{option}={settings[key]}" for option, key in options.items() if settings[key]]
