"""What rollbacks have kept."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from rollback_app import conf, reports, workflow
from rollback_app.management import kept as given
from rollback_app.management.base import RollbackCommand, positive


class Command(RollbackCommand):
    help = (
        "Shows what rollbacks have kept of the tables and columns that they dropped, newest first: how many rows, since when, "
        "and what becomes of them. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "number",
            nargs="?",
            type=positive,
            metavar="NUMBER",
            help="Show only this one, and all that is known of it.",
        )
        given.add(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        number = options["number"]
        found = workflow.kept_data(options["database"], None if number is None else [number])
        self.show(
            reports.of_kept_data(found, puts_back=conf.puts_back(), in_full=number is not None), options["format"]
        )
