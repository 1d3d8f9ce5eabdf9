"""For releases that lack this app: the SQL, the commands, or the file that tells how to go back."""

from __future__ import annotations

from argparse import Namespace
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connections
from django.utils.connection import ConnectionDoesNotExist

from rollback_app import legacy
from rollback_app.errors import UsageError, shown
from rollback_app.management.base import RollbackCommand


class Command(RollbackCommand):
    help = legacy.HELP
    missing_args_message = 'Which moment? For example:\npython manage.py legacyrollbacksql "2024-05-01 10:00"'

    def add_arguments(self, parser: CommandParser) -> None:
        legacy.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(legacy.answer(Namespace(**options), _project(options["database"])))


def _project(alias: str) -> legacy.Project:
    try:
        connection = connections[alias]
    except ConnectionDoesNotExist as error:
        known = ", ".join(sorted(connections))
        raise UsageError(f"There is no database '{shown(alias)}' in DATABASES.", hint=f"Known: {known}.") from error
    # Without USE_TZ the connection has no zone of its own: times are those of the project's clock.
    return legacy.Project(connection.vendor, settings.TIME_ZONE, connection.timezone or ZoneInfo(settings.TIME_ZONE))
