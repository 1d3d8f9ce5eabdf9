"""For entry points: can the code that runs here work on this database as it is?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser, no_translations

from rollback_app import fleets, reports, workflow
from rollback_app.compatibility import Outcome
from rollback_app.errors import database_option
from rollback_app.management.base import RollbackCommand, add_database, add_fleet, add_format
from rollback_app.safety import Refused


class Command(RollbackCommand):
    help = (
        "Can the code that runs here work on this database as it is? Compares its models with the live schema, and says which "
        "tables it can read, insert into, update and delete from. Changes nothing. Exits with 0 if it can, with 3 if it cannot."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_database(parser)
        add_fleet(parser, "Ask it of each member of the fleet.")
        add_format(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        if options["fleet"]:
            self._check_fleet(options)
        else:
            self._check_one(options)

    def _check_fleet(self, options: dict[str, Any]) -> None:
        found = fleets.check_schemas(fleets.find(), fleets.mapped())
        report = reports.of_schema_checks(found)
        self.object = report.data
        bad = [each for each in found if not each.verdict or each.verdict.outcome is Outcome.FAILS]
        if options["verbosity"] and not (bad and options["format"] == "json"):
            self.show(report, options["format"])
        if bad:
            raise Refused(
                f"This code cannot work on {reports.number_of(len(bad), 'member')} of {len(found)} as they are.",
                hint="Migrate them, or take the fleet back to this code: python manage.py rollbackfleet here --plan",
            )

    def _check_one(self, options: dict[str, Any]) -> None:
        found = workflow.check_schema(options["database"])
        report = reports.of_schema_check(found.alias, found.title, found.verdict)
        self.object = report.data
        fails = found.verdict.outcome is Outcome.FAILS
        if options["verbosity"] and not (fails and options["format"] == "json"):
            self.show(report, options["format"])
        if fails:
            hint = "Migrate it, or start the release that it was migrated for."
            if found.verdict.unknown:
                line = f"python manage.py rollbackmigrationsafter here{database_option(found.alias)} --plan"
                hint = f"{hint} Or take the database back to this code: {line}"
            raise Refused(f"This code cannot work on {found.title} as it is.", hint=hint)
