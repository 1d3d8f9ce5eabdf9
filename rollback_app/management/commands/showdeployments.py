"""The deployments in django_migrations, newest first, so that a moment can be chosen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser, no_translations

from rollback_app import fleets, moments, reports, workflow
from rollback_app.management.base import RollbackCommand, add_database, add_fleet, add_format, amount, positive
from rollback_app.workflow.reading import zone_name


class Command(RollbackCommand):
    help = (
        "Lists the deployments of a database, newest first: when each was, what it applied, whether it can be rolled back, and "
        "the command that goes back before it. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_database(parser)
        add_fleet(parser, "Show who of the fleet is where: the members that have the same applied, together.")
        parser.add_argument(
            "--limit",
            type=positive,
            metavar="NUMBER",
            help="Show only this many of the newest. Default: 10, or all with --since.",
        )
        parser.add_argument(
            "--since",
            metavar="MOMENT",
            help="Show only those that ended at or after this date and time.",
        )
        parser.add_argument(
            "--gap",
            type=amount,
            default=5.0,
            metavar="MINUTES",
            help="Where deployments were not recorded, a pause longer than this begins a new one. Default: 5.",
        )
        parser.add_argument(
            "--no-count",
            action="store_false",
            dest="count",
            help="Do not look at live rows to find what would make a rollback fail.",
        )
        parser.add_argument(
            "--timezone",
            metavar="ZONE",
            help="The time zone of the output, and of --since without an offset. Default: the project's TIME_ZONE.",
        )
        add_format(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        if options["fleet"]:
            zone = moments.zone_named(zone_name(options["timezone"]))
            self.show(reports.of_standings(fleets.standings(fleets.find(), fleets.mapped()), zone), options["format"])
            return
        listing = workflow.deployments(
            options["database"],
            gap=timedelta(minutes=options["gap"]),
            zone=options["timezone"],
            limit=options["limit"] or (None if options["since"] else 10),
            since=options["since"],
            count=options["count"],
        )
        self.show(reports.of_listing(listing, workflow.holds(options["database"]).holds), options["format"])
