"""python -m tests.real.roundtrip: deploys again and again, rolls back again and again, and tells what it saw, as JSON.

TEST_REAL_PROJECT and TEST_REAL_DATABASE say which project, and where (an alias of tests.settings; empty at the start).

While the deployments go forward, the database is at each boundary a fresh one that was migrated to exactly that set of
migrations: what it looks like then is what a rollback to the boundary must give.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import redirect_stdout, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import django
from django.db import connection

FIRST = datetime(2026, 1, 5, 10, tzinfo=timezone.utc)
WEEK = timedelta(days=7)
# Its code makes rows, its reverse leaves them, and it makes them again without looking: no `migrate` gets past that.
NOT_TWICE = ("wagtailcore", "0045_assign_unlock_grouppagepermission")


def main() -> dict[str, Any]:
    from django.db.migrations.loader import MigrationLoader

    from rollback_app.executor import NotAsExpected
    from tests.real import deployments, rows
    from tests.support import history
    from tests.support.schema import data, difference, snapshot

    parts = deployments.deployments("default")
    moments = [FIRST + WEEK * number for number in range(len(parts))]
    seen, forward_again = [], {}
    for keys, at in zip(parts, moments, strict=True):
        seen.append((at, snapshot(connection), data(connection), history.rows("default")))
        # The last one is made by today's code, which has squash migrations.
        loader = MigrationLoader if keys is parts[-1] else deployments.UnsquashedLoader
        apps = deployments.deploy("default", loader, keys, at)
        if len(seen) == 2:
            rows.make(apps)
        if len(seen) > 2 and NOT_TWICE not in keys and not deployments.irreversible(keys):
            with suppress(NotAsExpected):  # and nothing was changed
                forward_again[len(seen)] = roll_back_and_deploy_again(loader, keys, at)
    final = snapshot(connection)
    boundaries = {}
    for number, (at, schema, content, recorded) in reversed(list(enumerate(seen))):
        told = roll_back(at, compare=at in moments[-2:])
        told["difference"] = difference(schema, snapshot(connection))
        told["lost rows"] = lost(content, data(connection))
        told["history"] = history.rows("default") == recorded
        boundaries[number] = told
    deployments.migrate_all("default")
    return {
        "boundaries": boundaries,
        "again": difference(final, snapshot(connection)),
        "forward again": forward_again,
    }


def roll_back_and_deploy_again(loader: Any, keys: Any, at: datetime) -> dict[str, Any]:
    """The rows that are not there again, and those that were not there before. Without consent: all is kept."""
    from rollback_app import workflow
    from tests.real import deployments
    from tests.support.schema import data

    before = data(connection)
    (result,) = workflow.roll_back(workflow.preview(at.isoformat()))
    deployments.deploy("default", loader, keys, at)
    after = data(connection)
    return {
        "kept": [str(entry.source) for entry in result.kept],
        "lost": lost(before, after),
        "new": lost(after, before),
    }


def roll_back(moment: datetime, *, compare: bool) -> dict[str, Any]:
    """Refused if it must be, then with the blockers faked. compare: tell its statements, and those of Django."""
    from rollback_app import workflow
    from rollback_app.executor import NotAsExpected
    from rollback_app.planner import Choices
    from rollback_app.safety import Refused
    from tests.real import deployments, statements
    from tests.support import history
    from tests.support.schema import everything

    rows = history.rows("default")
    told: dict[str, Any] = {"refused": [], "untouched": True, "not as expected": []}
    told["irreversible"] = deployments.irreversible(row.key for row in rows if row.applied >= moment)
    if told["irreversible"]:
        before = everything(connection)
        try:
            workflow.roll_back(workflow.preview(moment.isoformat()), destroy_data=True)
        except Refused as error:
            told["refused"] = [[finding.id, finding.about] for finding in error.findings]
        told["untouched"] = everything(connection) == before
        compare = False  # Django stops at the first of them
    choices = Choices(fake=tuple(told["irreversible"]))
    previews = workflow.preview(moment.isoformat(), choices=choices)
    if compare:
        kept = [(migration.app_label, migration.name) for migration in previews[0].plan.stays.migrations]
        told["of django"] = statements.of_django(kept, [step.key for step in previews[0].plan.steps])
    for verify in (True, False):
        try:
            ours = statements.ours(previews, verify=verify)
            break
        except NotAsExpected as error:
            told["not as expected"] = [str(difference) for difference in error.comparison.new]
            previews = workflow.preview(moment.isoformat(), choices=choices)
    if compare:
        told["ours"] = ours
    return told


def lost(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Rows that were there, by table."""
    gone = {
        table: sorted((Counter(map(repr, rows)) - Counter(map(repr, after.get(table, [])))).elements())
        for table, rows in before.items()
        if table != "django_migrations"
    }
    return {table: rows for table, rows in gone.items() if rows}


if __name__ == "__main__":
    django.setup()
    with redirect_stdout(sys.stderr):  # migrations may print
        told = main()
    print(json.dumps(told))
