"""The gate in front of `migrate`: is it held, hold it, lift that."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser, no_translations

from rollback_app import reports, workflow
from rollback_app.errors import UsageError, database_option
from rollback_app.management.base import RollbackCommand, add_database, add_format
from rollback_app.safety import Refused


class Command(RollbackCommand):
    help = (
        "Shows whether migrate is held, since when, by whom and why. A rollback leaves a hold, so that the newer release "
        "does not apply again what was undone. Exits with 3 while something is held, with 0 if nothing is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_database(parser)
        parser.add_argument("--off", action="store_true", help="Lift the hold, so that migrate can go forward again.")
        parser.add_argument("--on", action="store_true", help="Hold every migration.")
        parser.add_argument("--reason", default="", metavar="TEXT", help="With --on: why. Shown to whom it stops.")
        add_format(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["database"]
        if options["on"] and options["off"]:
            raise UsageError("--on and --off exclude each other.", hint="Give one of them.")
        if options["reason"] and not options["on"]:
            raise UsageError("--reason is for --on.", hint='For example: --on --reason "Sales until Monday"')
        if options["on"]:
            workflow.hold(alias, options["reason"])
        if options["off"]:
            workflow.lift(alias)
        found = workflow.holds(alias)
        report = reports.of_holds(alias, found.title, found.holds)
        self.object = report.data
        refuses = bool(found.holds) and not options["on"]
        if options["verbosity"] and not (refuses and options["format"] == "json"):
            self.show(report, options["format"])
        if refuses:
            lifts = f"`python manage.py migratehold --off{database_option(alias)}`"
            raise Refused("migrate is held.", hint=f"{lifts} lifts what a rollback holds.")
