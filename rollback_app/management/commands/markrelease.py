"""Give a state of the database the name of a release."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS

from rollback_app import workflow
from rollback_app.management.base import RollbackCommand
from rollback_app.moments import clock
from rollback_app.reports import Report, said


class Command(RollbackCommand):
    help = (
        "Gives the state of a database the name of a release, so that release:NAME goes back to it. For the past, or for a "
        "release that applied nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="The name of the release, such as 2.1.0.")
        parser.add_argument("--at", metavar="MOMENT", help="When the database had that state. Default: now.")
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help=f"The alias of the database in DATABASES. Default: {DEFAULT_DB_ALIAS}.",
        )
        parser.add_argument(
            "--timezone",
            metavar="ZONE",
            help="The time zone of a moment without an offset, such as Europe/Berlin. Default: the project's TIME_ZONE.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        mark = workflow.mark_release(options["name"], options["at"], options["database"], options["timezone"])
        until = f"{clock(mark.end)} UTC"
        text = f"release:{mark.release} goes back to what was applied until {until}, on {options['database']}."
        self.show(Report(tuple(said(text))))
