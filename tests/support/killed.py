"""A rollback in a process of its own that kills itself in front of its Nth statement: killed.py ALIAS MOMENT N."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any


def main(alias: str, moment: str, number: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    count = 0

    def kill_at(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    with connections[alias].execute_wrapper(kill_at):
        call_command("rollbackmigrationsafter", moment, database=[alias], interactive=False, destroy_data=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
