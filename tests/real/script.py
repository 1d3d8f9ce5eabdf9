"""python -m tests.real.script: rolls the newest deployment back by a script, on a copy, and by the command.

Tells what differs, as JSON. TEST_REAL_PROJECT and TEST_REAL_DATABASE as for tests.real.roundtrip; TEST_REAL_OTHER:
another alias, for the copy.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import Any

import django
from django.db import connections

from tests.real.roundtrip import FIRST, WEEK, lost


def main() -> dict[str, Any]:
    from django.db.migrations.loader import MigrationLoader

    from tests.real import deployments, rows
    from tests.support import history
    from tests.support.commands import roll_back
    from tests.support.databases import Database
    from tests.support.schema import data, difference, snapshot
    from tests.support.scripts import copied, made, run

    vendor = {"postgresql": "postgresql"}.get(connections["default"].vendor, "sqlite")
    database, other = Database("default", vendor), Database("other", vendor)
    parts = deployments.deployments("default")
    for number, keys in enumerate(parts):
        loader = MigrationLoader if keys is parts[-1] else deployments.UnsquashedLoader
        apps = deployments.deploy("default", loader, keys, FIRST + WEEK * number)
        if number == 1:
            rows.make(apps)
    moment = FIRST + WEEK * (len(parts) - 1)
    faked = deployments.irreversible(keys)
    script = made(database, moment, fake=faked)
    copied(database, other)
    done = run(other, script.out)
    said = roll_back(database, moment, fake=faked)
    here, there = (data(each.connection) for each in (database, other))
    return {
        "statuses": [script.status, done.returncode, said.status],
        "said": script.error + done.stderr + said.error,
        "statements": script.out.count(";\n"),
        "difference": difference(snapshot(database.connection), snapshot(other.connection)),
        "rows": [lost(here, there), lost(there, here)],
        "history": history.rows("default") == history.rows("other"),
    }


if __name__ == "__main__":
    django.setup()
    with redirect_stdout(sys.stderr):  # migrations may print
        told = main()
    print(json.dumps(told))
