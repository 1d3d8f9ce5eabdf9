"""The journal: which rollbacks were run on a database, by whom, and how they ended."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from rollback_app import reports, workflow
from rollback_app.errors import UsageError
from rollback_app.management.base import RollbackCommand, add_database, positive
from rollback_app.moments import manifest


class Command(RollbackCommand):
    help = (
        "Shows the rollbacks that were run on a database, newest first: when, by whom, to which moment, and how they ended. With "
        "a NUMBER, also what was there before that one: the records of django_migrations, and the tables that it changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "number",
            nargs="?",
            type=positive,
            metavar="NUMBER",
            help="Show only this one, and what was there before it.",
        )
        add_database(parser)
        parser.add_argument(
            "--limit", type=positive, metavar="NUMBER", help="Show only this many of the newest. Default: all."
        )
        parser.add_argument(
            "--format",
            choices=["csv", "json", "text"],
            default="text",
            help="text for people, json for programs; csv, with a NUMBER, for the records that were there before it, as "
            "manifest: reads them.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        number, alias = options["number"], options["database"]
        if options["format"] == "csv":
            self._print_csv(number, alias)
            return
        holds = workflow.holds(alias).holds
        if number is None:
            title, records = workflow.rollbacks(alias)
            report = reports.of_records(alias, title, records[: options["limit"]], holds)
        else:
            report = reports.of_record(alias, *workflow.rollback(number, alias), holds)
        self.show(report, options["format"])

    def _print_csv(self, number: int | None, alias: str) -> None:
        """Errors: UsageError."""
        if number is None:
            hint = "For example: python manage.py showrollbacks 1 --format csv"
            raise UsageError("--format csv is about one rollback, and none is named.", hint=hint)
        _title, _record, state = workflow.rollback(number, alias)
        if state is None:
            raise UsageError(
                f"What was there before rollback {number} was not noted, or cannot be read.",
                hint=f"`showrollbacks {number}` has the migrations that it undid.",
            )
        self.stdout.write(manifest.as_csv(state.records), ending="")
