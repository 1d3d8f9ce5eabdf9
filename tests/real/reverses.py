"""python -m tests.real.reverses: Wagtail's wagtailcore.0008, which has no reverse, with and without one of the project's own.

Tells what it saw, as JSON. TEST_REAL_PROJECT is "publishing"; TEST_REAL_DATABASE as for tests.real.roundtrip.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import Any

import django
from django.db import connection
from django.test.utils import override_settings

from tests.real.roundtrip import FIRST, WEEK

REVERSES = {"wagtailcore.0008_populate_latest_revision_created_at": "noop"}


def main() -> dict[str, Any]:
    from rollback_app import workflow
    from rollback_app.safety import Refused
    from tests.real import deployments
    from tests.support import history
    from tests.support.schema import difference, snapshot

    first, second, *_ = deployments.deployments("default")
    deployments.deploy("default", deployments.UnsquashedLoader, first, FIRST)
    before, recorded = snapshot(connection), history.rows("default")
    deployments.deploy("default", deployments.UnsquashedLoader, second, FIRST + WEEK)
    moment = (FIRST + WEEK).isoformat()
    told: dict[str, Any] = {"refused": []}
    try:
        workflow.roll_back(workflow.preview(moment), destroy_data=True)
    except Refused as error:
        told["refused"] = [[finding.id, finding.about] for finding in error.findings]
    with override_settings(ROLLBACK={"REVERSES": REVERSES}):
        (preview,) = workflow.preview(moment)
        told["effects"] = [
            effect.words for step in preview.plan.steps if str(step.key) in REVERSES for effect in step.effects
        ]
        workflow.roll_back([preview], destroy_data=True)
    told["difference"] = difference(before, snapshot(connection))
    told["history"] = history.rows("default") == recorded
    return told


if __name__ == "__main__":
    django.setup()
    with redirect_stdout(sys.stderr):  # migrations may print
        told = main()
    print(json.dumps(told))
