"""The migrations that this code has, for another release to read."""

from __future__ import annotations

import json
from typing import Any

from rollback_app import workflow
from rollback_app.management.base import RollbackCommand


class Command(RollbackCommand):
    help = (
        "Prints the migrations that this code has, as JSON. 'rollbackmigrationsafter manifest:FILE' in a newer release keeps "
        "exactly these. Looks at no database."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(workflow.code_manifest(), indent=2))
