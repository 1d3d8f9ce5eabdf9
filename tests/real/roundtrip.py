"""python -m tests.real.roundtrip ALIAS KIND: deploys again and again, rolls back again and again, and tells what it saw.

Prints one JSON object, see `main`. While the deployments go forward, the database is at each boundary a fresh one that was
migrated to exactly that set: what it looks like then is what every rollback to the boundary must give.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django


def main(alias: str, kind: str) -> dict[str, Any]:
    from django.db import connections

    from tests.real.deployments import FIRST, WEEK, deploy, deployments
    from tests.support.schema import difference, snapshot

    connection = connections[alias]
    parts = deployments(alias, kind)
    moments = [FIRST + WEEK * number for number in range(len(parts))]
    seen = [snapshot(connection)]
    for keys, at in zip(parts, moments, strict=True):
        deploy(alias, kind, keys, at)
        seen.append(snapshot(connection))
    boundaries = [roll_back(alias, moment, expected) for moment, expected in reversed(list(zip(moments, seen)))]
    for keys, at in zip(parts, moments, strict=True):
        deploy(alias, kind, keys, at)
    return {
        "deployments": list(map(len, parts)),
        "boundaries": boundaries,
        "again": difference(seen[-1], snapshot(connection)),
    }


def roll_back(alias: str, moment: Any, expected: Any) -> dict[str, Any]:
    from django.db import connections

    from rollback_app import workflow
    from rollback_app.planner import Choices
    from rollback_app.safety import Refused
    from tests.real.deployments import irreversible
    from tests.support import history
    from tests.support.schema import difference, everything, snapshot

    rows = history.rows(alias)
    late = [row.key for row in rows if row.applied >= moment]
    true_blockers = irreversible(late)
    previews = workflow.preview(moment.isoformat(), using=[alias])
    refused: list[list[str]] = []
    before = everything(connections[alias]) if true_blockers else None
    try:
        workflow.roll_back(previews, destroy_data=True)
    except Refused as error:
        refused = [[finding.id, finding.about] for finding in error.findings]
        untouched = everything(connections[alias]) == before
        faked = Choices(fake=tuple(about for _, about in refused))
        previews = workflow.preview(moment.isoformat(), using=[alias], choices=faked)
        workflow.roll_back(previews, destroy_data=True)
    return {
        "late": len(late),
        "steps": len(previews[0].plan.steps),
        "refused": refused,
        "expected_refused": [["rollback.E001", name] for name in true_blockers],
        "untouched": untouched if refused else True,
        "rows": [".".join(key) for key in history.keys(alias)] == [".".join(row.key) for row in rows if row.applied < moment],
        "difference": difference(expected, snapshot(connections[alias])),
    }


if __name__ == "__main__":
    django.setup()
    print(json.dumps(main(*sys.argv[1:])))
