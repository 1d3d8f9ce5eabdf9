"""The migrations that this code has, for another release to read."""

from __future__ import annotations

import json
from typing import Any

from rollback_app import workflow
from rollback_app.management.base import RollbackCommand


class Command(RollbackCommand):
    help = (
        "Prints the migrations that this code has, as JSON. In a newer release, 'rollbackmigrationsafter manifest:FILE' keeps "
        "exactly these. Does not read a database."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(workflow.code_manifest(), indent=2))
