"""The main job for many databases, or many schemas of one."""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.core.management.base import CommandParser, no_translations

from rollback_app import fleets, reports, safety
from rollback_app.errors import RollbackError, UsageError
from rollback_app.fleets import Member, Orders, Status
from rollback_app.management import fleet_options as given
from rollback_app.management import options as main
from rollback_app.management.base import RollbackCommand
from rollback_app.management.fleet_progress import Told
from rollback_app.management.output import hangups_ignored
from rollback_app.reports import Line, Report
from rollback_app.safety import FleetPlan, Refused


class FleetNotDone(RollbackError):
    """Some members are not done. The output says which, and why."""


class Command(RollbackCommand):
    help = given.HELP

    def add_arguments(self, parser: CommandParser) -> None:
        given.add(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        given.check(options)
        if options["status"]:
            self._show_status(fleets.status(given.shard(options)), options["format"])
        elif options["stop"]:
            self._show_status(fleets.stop(given.shard(options)), options["format"])
        elif options["resume"]:
            self._resume(options)
        else:
            self._begin(options)

    def _show_status(self, found: Status, format: str) -> None:
        self.show(reports.of_fleet(found.fleet, found.members, under_way=found.under_way, waits=found.waits), format)

    def _begin(self, options: dict[str, Any]) -> None:
        orders = given.orders(options)
        everybody = fleets.find(orders.databases, all_databases=orders.all_databases)
        members = fleets.chosen(everybody, options["only"], options["but"], options["shard"])
        plan = self._survey([(member, None) for member in members], orders, options)
        if self._may_run(plan, options):
            orders = replace(orders, destroy_data=self._agreed(plan, options))
            line, shard = given.line(options, loses=orders.destroy_data), given.shard(options)
            number = fleets.begin(plan, orders, line, options["max_failures"], shard, options["tasks"] or "")
            self._carry_out(number, orders, options, known={member.name for member in everybody})

    def _resume(self, options: dict[str, Any]) -> None:
        found = fleets.status(given.shard(options))
        rest = fleets.left(found)
        orders = Orders.stored(found.fleet.orders)
        everybody = fleets.find(orders.databases, all_databases=orders.all_databases)
        plan = self._survey(rest, orders, options)
        if self._may_run(plan, options):
            orders = replace(orders, destroy_data=self._agreed(plan, options))
            number = fleets.begin_again(found, plan, orders, options["max_failures"], options["tasks"] or "")
            self._carry_out(number, orders, options, known={member.name for member in everybody})

    def _survey(self, members: Any, orders: Orders, options: dict[str, Any]) -> FleetPlan:
        """Errors: UsageError, if nobody is left; and those of `fleets.survey`."""
        if not members:
            raise UsageError("No member of the fleet is left.", hint="Leave out --except, or --only.")
        mapped = fleets.mapped(orders, given.workers(options))
        return fleets.survey(members, orders, canary=options["canary"], mapped=mapped)

    def _may_run(self, plan: FleetPlan, options: dict[str, Any]) -> bool:
        """Show the plan, and see what speaks against it. Errors: Refused."""
        report = reports.of_fleet_plan(plan, in_full=options["verbosity"] > 1)
        self.object = report.data
        if options["format"] == "text" and (options["verbosity"] or options["plan"]):
            self.show(report)
            self.findings_shown = True
        approved = main.approved(options)
        if approved:
            safety.check_fleet_approved(plan, approved.digests)
        safety.check_fleet(plan, skip_blocked=options["skip_blocked"], max_failures=options["max_failures"])
        nothing = plan.canary is None
        if options["format"] == "json" and (options["plan"] or nothing):
            self.show(Report((), {**report.data, "outcome": "nothing to do" if nothing else "planned"}), "json")
        elif options["plan"] and not nothing:
            line = given.line(options, loses=any(group.losing for group in plan.groups))
            self.show(Report((Line(), Line("To run it:"), Line(f"  {line}", whole=True))))
        return not (options["plan"] or nothing)

    def _agreed(self, plan: FleetPlan, options: dict[str, Any]) -> bool:
        """Ask, where somebody can answer; is data given up? Errors: Refused."""
        if options["interactive"] and options["format"] == "text" and sys.stdin.isatty():
            members = sum(len(group.members) - len(group.blocked) for group in plan.groups)
            self.stdout.write("")
            if any(group.losing for group in plan.groups):
                self.stdout.write(self.style.WARNING("This destroys data that only a backup brings back."))
            try:
                answer = input(f"Take back {reports.number_of(members, 'member')}? [y/N] ")
            except (EOFError, KeyboardInterrupt):
                answer = ""
            if answer.strip().lower() not in ("y", "yes"):
                raise Refused("Cancelled. Nothing was changed.", hint="Run the same command again to go on.")
            return True
        safety.check_fleet_loses_nothing(plan, agreed=options["destroy_data"])
        return bool(options["destroy_data"])

    def _carry_out(self, number: int, orders: Orders, options: dict[str, Any], known: set[str]) -> None:
        """Errors: FleetNotDone, and those of who works."""
        told = Told(self, number, shown=options["format"] == "text" and bool(options["verbosity"]))
        work = partial(fleets.work_in_processes, workers=given.workers(options), tell=told.look)
        if options["tasks"]:
            work = partial(fleets.work_by_tasks, backend=options["tasks"], tell=told.look, say=self.tell)
        with hangups_ignored() if self.at_command_line else nullcontext():
            try:
                found, took = fleets.carry_out(number, orders, work)
            finally:
                told.end()
        new = list[Member]()
        with suppress(
            RollbackError
        ):  # whatever keeps them from being found now: the others are done, and that is to be said
            now = fleets.find(orders.databases, all_databases=orders.all_databases)
            new = [member for member in now if member.name not in known]
        named = bool(orders.databases or orders.all_databases)
        forward = fleets.forward(found.members, named=named, held=orders.hold)
        report = reports.of_fleet_end(found.fleet, found.members, took, new, forward)
        self.object |= report.data
        if options["format"] == "text" and options["verbosity"]:
            self.show(report)
        if not found.done:
            hint = f"To see how far each is: {found.fleet.to_type('--status')}"
            raise FleetNotDone(f"Not all members are done: {reports.of_fleet_progress(found.counts)}.", hint=hint)
        if options["format"] == "json":
            self.show(Report((), self.object), "json")
