"""Put back by hand what rollbacks have kept."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from rollback_app import reports, workflow
from rollback_app.management import kept as given
from rollback_app.management.base import RollbackCommand


class Command(RollbackCommand):
    help = (
        "Puts back what rollbacks have kept, where `migrate` has not done so by itself: rows whose key is not there, and "
        "values where the row holds nothing of its own. What cannot be put back stays kept, and the exit status is then 3."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        given.add_numbers(parser)
        parser.add_argument(
            "--overwrite",
            action="store_true",
            help="Put values back also where the row holds another one meanwhile, which is then gone.",
        )
        given.add(parser)
        parser.add_argument(
            "--no-input",
            "--noinput",
            action="store_false",
            dest="interactive",
            help="Ask nothing, also with --overwrite at a terminal.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        alias, numbers = options["database"], given.numbers(options)
        if options["overwrite"] and options["interactive"] and sys.stdin.isatty():
            workflow.kept_data(alias, numbers)  # wrong numbers are told before the question
            given.ask("Overwrite what these rows hold meanwhile? [y/N] ", "Nothing was changed.")
        entries = workflow.put_back(alias, numbers, overwrite=options["overwrite"])
        report = reports.of_put_back(alias, entries)
        self.object = report.data
        error = reports.still_kept(entries, alias)
        if options["format"] == "text" or not error:
            self.show(report, options["format"])
        if error:
            raise error
