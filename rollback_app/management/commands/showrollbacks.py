"""The journal: which rollbacks were run on a database, by whom, and how they ended."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from rollback_app import reports, workflow
from rollback_app.management.base import RollbackCommand, add_database, add_format, positive


class Command(RollbackCommand):
    help = "Shows the rollbacks that were run on a database, newest first: when, by whom, to which moment, and how they ended."

    def add_arguments(self, parser: CommandParser) -> None:
        add_database(parser)
        parser.add_argument(
            "--limit", type=positive, metavar="NUMBER", help="Show only this many of the newest. Default: all."
        )
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        title, records = workflow.rollbacks(options["database"])
        holds = workflow.holds(options["database"]).holds
        report = reports.of_records(options["database"], title, records[: options["limit"]], holds)
        self.show(report, options["format"])
