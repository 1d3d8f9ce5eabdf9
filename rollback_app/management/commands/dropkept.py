"""Drop what rollbacks have kept."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from rollback_app import conf, reports, workflow
from rollback_app.management import kept as given
from rollback_app.management.base import RollbackCommand, whole
from rollback_app.safety import KeptData, Refused


class Command(RollbackCommand):
    help = "Drops what rollbacks have kept, for good. Shows it and asks first; where nobody can be asked, it needs --no-input."

    def add_arguments(self, parser: CommandParser) -> None:
        given.add_numbers(parser)
        parser.add_argument(
            "--older-than", type=whole, metavar="DAYS", help="Drop all that was kept more than this many days ago."
        )
        given.add(parser)
        parser.add_argument(
            "--no-input",
            "--noinput",
            "--no-question",  # since runschema of django-pgschemas takes the others for itself
            action="store_false",
            dest="interactive",
            help="Do not ask, and drop it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        numbers = given.numbers(options, "older_than")
        older_than = None if options["older_than"] is None else timedelta(days=options["older_than"])
        found = workflow.kept_to_drop(options["database"], numbers, older_than=older_than)
        if found.numbers and options["interactive"]:
            self._ask(found)
        if found.numbers:
            workflow.drop_kept(options["database"], found.numbers)
        self.show(reports.of_dropped(found), options["format"])

    def _ask(self, found: KeptData) -> None:
        """Errors: Refused, unless somebody says yes."""
        if not sys.stdin.isatty():
            raise Refused(
                "What is kept is dropped for good, and nobody can be asked here. Nothing was dropped.",
                hint="Add --no-input to drop it without a question.",
            )
        self.stderr.write(
            reports.as_text(reports.of_kept_data(found, puts_back=conf.puts_back()), self.paint), style_func=str
        )
        given.ask("Drop this for good? [y/N] ", "Nothing was dropped.")
