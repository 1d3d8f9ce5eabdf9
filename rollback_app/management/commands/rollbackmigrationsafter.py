"""The main job: take the database back to where it was at a moment."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.core.management.base import CommandParser, no_translations

import rollback_app
from rollback_app import conf, reports, safety, workflow
from rollback_app.errors import UsageError
from rollback_app.executor import Progress, Retries
from rollback_app.management import arguments
from rollback_app.management import options as given
from rollback_app.management.base import RollbackCommand
from rollback_app.management.output import hangups_ignored
from rollback_app.management.progress import Printed, Silent, printer
from rollback_app.planner import Step
from rollback_app.reports import Report
from rollback_app.safety import NOT_KEEPING, Approved, Level, Preview, Refused


class Command(RollbackCommand):
    help = arguments.HELP
    _approved: Approved | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        arguments.add(parser)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        given.check(options)
        self._approved = given.approved(options)
        previews = self._look(options)
        if options["format"] == "commands":
            self._print_commands(previews, options["verbosity"])
        elif options["format"] in reports.DOCUMENTS:
            self._print_document(previews, options)
        elif options["format"] == "sql":
            self._print_script(previews, options)
        elif options["plan"]:
            self._print_plan(previews, options)
        elif options["format"] == "json":
            self._run_and_print_one_object(previews, options)
        else:
            self._print_ask_and_run(previews, options)

    def _check(self, previews: Sequence[Preview]) -> None:
        """Errors: Refused."""
        if self._approved:
            safety.check_approved(previews, self._approved)
        safety.check_nothing_blocks(previews)

    def _look(self, options: dict[str, Any]) -> list[Preview]:
        look = partial(
            workflow.preview,
            given.moment(options),
            using=given.databases(options),
            zone=options["timezone"],
            choices=given.choices(options),
            step_by_step=options["step_by_step"],
            count=options["count"],
            timeouts=given.timeouts(options),
            keeping=NOT_KEEPING if options["format"] == "commands" else given.keeping(options),
            puts_back=options["format"] != "commands",  # which are those of `migrate`
            reason=options["reason"],
            package=given.package(options),
            backup=False if options["rehearse"] or options["format"] in ("commands", "sql") else options["backup"],
        )
        return self._retries(options).run(look)

    def _print_commands(self, previews: Sequence[Preview], verbosity: int) -> None:
        """The commands alone on stdout; what there is to know before is a matter for stderr."""
        loses = any(preview.of_level(Level.LOSS) for preview in previews)
        self._tell_findings(
            previews, verbosity, "migrate keeps nothing of what it drops, and does not ask." if loses else ""
        )
        self._check(previews)
        report = reports.joined([reports.of_commands(preview) for preview in previews], "commands")
        if report.problem:
            raise Refused(
                f"No list of migrate commands does this: {report.problem}.",
                hint="Use this command itself, without --format commands.",
            )
        self.show(report, "commands")

    def _tell_findings(self, previews: Sequence[Preview], verbosity: int, before: str = "") -> None:
        """To stderr, since stdout is for what is piped."""
        findings = reports.joined([reports.of_findings(preview) for preview in previews], "findings")
        if findings.lines and verbosity:
            if before:
                self.tell(before)
            self.stderr.write(reports.as_text(findings, self.paint), style_func=str)

    def _print_script(self, previews: Sequence[Preview], options: dict[str, Any]) -> None:
        """The script alone on stdout."""
        self._tell_findings(previews, options["verbosity"])
        self._check(previews)
        (preview,) = previews
        if preview.plan.empty:
            self.show(reports.of_no_script(preview), "sql")
            return
        line = self.spell(f"{given.line(options, previews)} --format sql")
        made = workflow.script(
            preview,
            file=options["output"] or "rollback.sql",
            progress=Silent(self),
            timeouts=given.timeouts(options),
            journal=options["journal"],
            command=line,
            verify=options["verify"],
            hold=options["hold"] and conf.holds(),
            run=options["run"],
        )
        if made.stops:
            self.tell(f"The script stops before its end: {made.stops}. Then go on with this command itself.", "WARNING")
        statements = [
            reports.Statement(
                each.part if isinstance(each.part, Step) else f"{each.part.doing}, {each.part.when}",
                each.doing,
                each.by_code,
                each.sql,
            )
            for each in made.sent
        ]
        made_with = f"rollback_app {rollback_app.__version__}"
        report = reports.of_script(
            preview,
            line,
            made_with,
            made.program,
            made.opening,
            statements,
            made.closing,
            made.comparison,
            collected=made.collected,
            check=self.spell("python manage.py checkschema"),
        )
        self._check_can_print(report)
        self.show(report, "sql")

    def _check_can_print(self, report: Report) -> None:
        """Errors: UsageError, where stdout would write "?" in place of some values, or other bytes than the programs expect."""
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        is_utf8 = codecs.lookup(encoding).name == "utf-8"
        if self.sink is None and not is_utf8 and not all(map(str.isascii, report.script)):
            raise UsageError(
                f"The script is not ASCII alone, and stdout is {encoding}. Nothing was changed.",
                hint="Write it to a file, which is UTF-8: --output rollback.sql",
            )

    def _print_document(self, previews: Sequence[Preview], options: dict[str, Any]) -> None:
        """Also of a plan that is refused; the exit status tells."""
        refused, rehearsals = None, list[Report]()
        try:
            self._check(previews)
            if options["rehearse"]:
                rehearsals = self._rehearse(previews, options, Silent(self))
        except Refused as error:
            refused = error
        rehearsed = {report.data["database"]: report for report in rehearsals}
        line, made_with = given.line(options, previews), f"rollback_app {rollback_app.__version__}"
        holds = options["hold"] and conf.holds()
        documents = [
            reports.of_document(preview, line, made_with, holds=holds, rehearsal=rehearsed.get(preview.alias))
            for preview in previews
        ]
        self.show(reports.joined(documents, "documents"), options["format"])
        if refused:
            raise refused

    def _print_plan(self, previews: Sequence[Preview], options: dict[str, Any]) -> None:
        report = _plans(previews, options)
        if options["format"] == "json":
            self.object = report.data
            self._check(previews)
            self.show(report, "json")
            return
        self._show_plan(report)
        self._check(previews)
        if not _nothing_to_do(previews):
            self._print_what_to_type(previews, options)

    def _show_plan(self, report: Report) -> None:
        self.show(report)
        self.findings_shown = True

    def _run_and_print_one_object(self, previews: Sequence[Preview], options: dict[str, Any]) -> None:
        """The plans and what became of them."""
        self.object = _plans(previews, options).data
        self._check(previews)
        if options["rehearse"]:
            key, outcome = "rehearsals", "rehearsed"
            results = self._rehearse(previews, options, Silent(self))
        else:
            key, outcome = "results", "done"
            results = self._run(previews, options, Silent(self), destroy_data=options["destroy_data"])
        self.show(Report((), {**self.object, **reports.joined(results, key).data, "outcome": outcome}), "json")

    def _print_ask_and_run(self, previews: Sequence[Preview], options: dict[str, Any]) -> None:
        if options["verbosity"]:
            self._show_plan(_plans(previews, options))
        self._check(previews)
        if _nothing_to_do(previews):
            return
        if options["rehearse"]:
            self._rehearse_and_print(previews, options)
            return
        agreed = self._asks(previews, options) or options["destroy_data"]
        safety.check_nothing_lost(previews, agreed=agreed)
        steps = max(len(preview.plan.steps) for preview in previews)
        progress = printer(self, steps, options["verbosity"])
        for result in self._run(previews, options, progress, destroy_data=agreed):
            if options["verbosity"]:
                self.show(result)

    def _rehearse_and_print(self, previews: Sequence[Preview], options: dict[str, Any]) -> None:
        """Nothing is asked, since nothing is lost."""
        rehearsals = self._rehearse(previews, options, Printed(self, options["verbosity"], "Rehearsing"))
        if options["verbosity"]:
            for rehearsal in rehearsals:
                self.show(rehearsal)
            self._print_what_to_type(previews, options)

    def _rehearse(self, previews: Sequence[Preview], options: dict[str, Any], progress: Progress) -> list[Report]:
        rehearsals = workflow.rehearse(
            previews, progress=progress, timeouts=given.timeouts(options), verify=options["verify"]
        )
        return [
            reports.of_rehearsal(
                preview.alias,
                [(step.step.key, step.seconds, step.rows, step.statements) for step in rehearsal.steps],
                rehearsal.locks,
                rehearsal.comparison,
                [(each.doing, each.when, each.seconds, each.statements) for each in rehearsal.around],
            )
            for preview, rehearsal in rehearsals
        ]

    def _run(
        self, previews: Sequence[Preview], options: dict[str, Any], progress: Progress, *, destroy_data: bool
    ) -> list[Report]:
        with hangups_ignored() if self.at_command_line else nullcontext():
            results = workflow.roll_back(
                previews,
                destroy_data=destroy_data,
                progress=progress,
                timeouts=given.timeouts(options),
                retries=self._retries(options),
                journal=options["journal"],
                command=self.spell(given.line(options, previews)),
                verify=options["verify"],
                hold=options["hold"] and conf.holds(),
            )
        return [
            reports.of_result(
                result.preview.alias,
                [(done.step.key, done.seconds) for done in result.done],
                result.preview.plan.squashes,
                result.preview.plan.release,
                result.comparison,
                result.kept,
                result.objects,
                held=result.held,
                puts_back=conf.puts_back(),
                by_older=any(step.key in result.preview.plan.basis.code.packaged for step in result.preview.plan.steps),
                given_back=result.given_back,
                backup=result.backup,
            )
            for result in results
        ]

    def _retries(self, options: dict[str, Any]) -> Retries:
        return Retries(options["retries"], tell=self.tell)

    def _asks(self, previews: Sequence[Preview], options: dict[str, Any]) -> bool:
        """Ask, where somebody can answer; is it agreed to? Errors: Refused, unless the answer is yes."""
        if not options["interactive"] or not sys.stdin.isatty():
            return False
        losses = [finding for preview in previews for finding in preview.of_level(Level.LOSS)]
        self.stdout.write("")
        if losses:
            self.stdout.write(self.style.WARNING("This destroys data that only a backup brings back:"))
            for finding in losses:
                self.stdout.write(f"  {finding.text}")
        steps = reports.number_of(sum(len(preview.plan.steps) for preview in previews), "migration")
        names = ", ".join(preview.title for preview in previews)
        try:
            answer = input(f"Unapply {steps} on {names}? [y/N] ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            raise Refused("Cancelled. Nothing was changed.", hint="Run the same command again to go on.")
        return True

    def _print_what_to_type(self, previews: Sequence[Preview], options: dict[str, Any]) -> None:
        line = reports.Line(f"  {given.line(options, previews)}", whole=True)
        self.show(Report((reports.Line(), reports.Line("To run it:"), line)))


def _plans(previews: Sequence[Preview], options: dict[str, Any]) -> Report:
    all_steps = options["verbosity"] > 1
    return reports.joined([reports.of_preview(preview, all_steps=all_steps) for preview in previews], "plans")


def _nothing_to_do(previews: Sequence[Preview]) -> bool:
    return all(preview.plan.empty for preview in previews)
