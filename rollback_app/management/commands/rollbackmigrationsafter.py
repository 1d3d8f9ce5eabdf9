"""The main job: take the database back to where it was at a moment."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser, no_translations
from django.db import DEFAULT_DB_ALIAS
from django.db.migrations.operations.base import Operation

from rollback_app import reports, safety, workflow
from rollback_app.database import Timeouts
from rollback_app.errors import RollbackError, UsageError
from rollback_app.executor import Done, Progress, Retries
from rollback_app.management.base import RollbackCommand, minutes, positive
from rollback_app.moments import kinds
from rollback_app.planner import DEFAULT_GAP, Choices, Plan, Step
from rollback_app.reports import Report
from rollback_app.safety import Comparison, Level, Preview, Refused

if TYPE_CHECKING:
    from argparse import _ArgumentGroup


class Command(RollbackCommand):
    help = (
        "Takes the database back to where it was at a moment: unapplies, in one run over all apps, every migration that was "
        "applied at or after it, and nothing else. Shows the plan first; --plan stops there and changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "moment",
            nargs="*",
            metavar="MOMENT",
            help='The date and time to go back to, as "2024-05-01 10:00" or "2024-05-01T10:00:00+02:00". What was applied at '
            "or after it goes. A date alone means its first instant. Or another kind of moment: "
            + ", ".join(kinds.EXAMPLES.values())
            + ".",
        )
        _which(parser.add_argument_group("which database, and to when"))
        _what(parser.add_argument_group("what goes"))
        _consent(parser.add_argument_group("looking and agreeing"))
        _how(parser.add_argument_group("how it runs"))

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        format = options["format"]
        databases = options["database"] or [DEFAULT_DB_ALIAS]
        if not options["moment"]:
            raise UsageError(
                "It is not said to which moment to go back.",
                hint='For example: python manage.py rollbackmigrationsafter "2024-05-01 10:00" --plan',
            )
        look = partial(
            workflow.preview,
            _joined(options["moment"]),
            using=[databases] if isinstance(databases, str) else databases,
            zone=options["timezone"],
            choices=Choices(
                cascade=options["cascade"],
                split_deployment=options["split_deployment"],
                exclude=tuple(options["exclude"]),
                fake=tuple(options["fake"]),
                start_over=options["start_over"],
                gap=timedelta(minutes=options["gap"]),
                steps=options["steps"],
            ),
            step_by_step=options["step_by_step"],
            count=options["count"],
            timeouts=_timeouts(options),
        )
        previews = self._retries(options).run(look)
        if format == "commands":
            self._commands(previews, options["verbosity"])
            return
        report = reports.joined(
            [reports.of_preview(preview, all_steps=options["verbosity"] > 1) for preview in previews], "plans"
        )
        if options["plan"]:
            self.show(report, format)
            safety.check_nothing_blocks(previews)
            if format == "text" and not all(preview.plan.empty for preview in previews):
                self.stdout.write(f"\nTo run it: {_again(options, previews)}")
        elif format == "json":
            self._json(previews, report, options)
        else:
            self._text(previews, report, options)

    def _commands(self, previews: Sequence[Preview], verbosity: int) -> None:
        """The commands alone on stdout; what there is to know before is a matter for stderr."""
        findings = reports.joined([reports.of_findings(preview) for preview in previews], "findings")
        if findings.lines and verbosity:
            self.stderr.write(reports.as_text(findings, self.paint), style_func=str)
        safety.check_nothing_blocks(previews)
        report = reports.joined([reports.of_commands(preview) for preview in previews], "commands")
        if report.problem:
            raise Refused(
                f"No list of migrate commands does this: {report.problem}.",
                hint="Use this command itself, without --format commands.",
            )
        self.show(report, "commands")

    def _json(self, previews: Sequence[Preview], report: Report, options: dict[str, Any]) -> None:
        """One object with the plans and what became of them."""
        data = dict(report.data)
        key, outcome = ("rehearsals", "rehearsed") if options["rehearse"] else ("results", "done")
        try:
            if options["rehearse"]:
                results = self._rehearse(previews, options, _Silent(self))
            else:
                results = self._run(previews, options, _Silent(self), destroy_data=options["destroy_data"])
            data[key] = reports.joined(results, key).data[key]
            data["outcome"] = outcome
        except RollbackError as error:
            data["outcome"] = "refused" if isinstance(error, Refused) else "failed"
            data["error"] = {"message": error.message, "hint": error.hint, "status": error.returncode}
            raise
        finally:
            self.show(Report((), data), "json")

    def _text(self, previews: Sequence[Preview], report: Report, options: dict[str, Any]) -> None:
        if options["verbosity"]:
            self.show(report)
        safety.check_nothing_blocks(previews)
        if all(preview.plan.empty for preview in previews):
            return
        if options["rehearse"]:
            rehearsals = self._rehearse(previews, options, _Printed(self, options["verbosity"]))
            if options["verbosity"]:
                for rehearsal in rehearsals:
                    self.show(rehearsal)
                self.stdout.write(f"\nTo run it: {_again(options, previews)}")
            return
        destroy_data = options["destroy_data"]
        if options["interactive"] and sys.stdin.isatty():
            self._ask(previews)
            destroy_data = True
        safety.check_nothing_lost(previews, agreed=destroy_data)
        for result in self._run(previews, options, self._progress(previews, options), destroy_data=destroy_data):
            if options["verbosity"]:
                self.show(result)

    def _progress(self, previews: Sequence[Preview], options: dict[str, Any]) -> Progress:
        steps = max(len(preview.plan.steps) for preview in previews)
        if options["verbosity"] == 1 and steps > reports.SHOWN_STEPS and self.stdout.isatty():
            return _Bar(self)
        return _Printed(self, options["verbosity"])

    def _rehearse(self, previews: Sequence[Preview], options: dict[str, Any], progress: Progress) -> list[Report]:
        """Nothing is asked, since nothing is lost."""
        rehearsals = workflow.rehearse(
            previews, progress=progress, timeouts=_timeouts(options), verify=options["verify"]
        )
        return [
            reports.of_rehearsal(
                preview.alias,
                [(step.step.key, step.seconds, step.rows, step.statements) for step in rehearsal.steps],
                rehearsal.locks,
                rehearsal.comparison,
            )
            for preview, rehearsal in rehearsals
        ]

    def _run(
        self, previews: Sequence[Preview], options: dict[str, Any], progress: Progress, *, destroy_data: bool
    ) -> list[Report]:
        results = workflow.roll_back(
            previews,
            destroy_data=destroy_data,
            progress=progress,
            timeouts=_timeouts(options),
            retries=self._retries(options),
            journal=options["journal"],
            command=_again(options, previews),
            verify=options["verify"],
        )
        return [
            reports.of_result(
                result.preview.alias,
                [(done.step.key, done.seconds) for done in result.done],
                result.preview.plan.squashes,
                result.preview.plan.release,
                result.comparison,
            )
            for result in results
        ]

    def _retries(self, options: dict[str, Any]) -> Retries:
        if options["retries"] < 0:
            raise UsageError("--retries takes a number from 0 on.", hint="For example: --retries 5")
        return Retries(options["retries"], tell=self.stderr.write)

    def _ask(self, previews: Sequence[Preview]) -> None:
        """Errors: Refused, unless the answer is yes."""
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
            raise Refused("You did not say yes. Nothing was changed.", hint="Run the same command again to go on.")


# The options


def _which(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--timezone",
        metavar="ZONE",
        help="The zone of a moment without an offset, as Europe/Berlin. Default: the project's TIME_ZONE.",
    )
    group.add_argument(
        "--database",
        action="append",
        metavar="ALIAS",
        help=f"The database to take back, by its alias in DATABASES; may be repeated. Default: {DEFAULT_DB_ALIAS}.",
    )


def _what(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="APP[.NAME]",
        help="Keep this app or migration applied; may be repeated.",
    )
    group.add_argument(
        "--fake",
        action="append",
        default=[],
        metavar="APP.NAME",
        help="Delete the row of this step without undoing it, for a migration that was never really run; may be repeated.",
    )
    group.add_argument(
        "--cascade",
        action="store_true",
        help="Also unapply older migrations that depend on what goes.",
    )
    group.add_argument(
        "--split-deployment",
        action="store_true",
        help="Allow a moment that cuts a deployment in two.",
    )
    group.add_argument(
        "--gap",
        type=minutes,
        default=5.0,
        metavar="MINUTES",
        help="A pause longer than this begins a new deployment. Default: 5.",
    )
    group.add_argument(
        "--steps",
        type=positive,
        metavar="NUMBER",
        help="Undo only so many of the newest migrations of the plan.",
    )


def _consent(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--plan",
        "--dry-run",
        action="store_true",
        help="Show what would be done and what speaks against it; change nothing, ask nothing. Exit status 3 if "
        "something blocks.",
    )
    group.add_argument(
        "--destroy-data",
        action="store_true",
        help="Agree that the rows and values that the plan names are lost.",
    )
    group.add_argument(
        "--no-input",
        "--noinput",
        action="store_false",
        dest="interactive",
        help="Ask nothing; if data would be lost, only --destroy-data agrees to it.",
    )
    group.add_argument(
        "--no-count",
        action="store_false",
        dest="count",
        help="Do not look at live rows; every drop then counts as a loss.",
    )
    group.add_argument(
        "--format",
        choices=sorted(reports.FORMATS),
        default="text",
        help="text for a person; json for a program; commands for the migrate commands that do the same (implies --plan).",
    )


def _how(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--rehearse",
        action="store_true",
        help="Do all of it, verification included, and take it back; show the SQL, the seconds and the rows of each step, "
        "and which tables are locked. Needs no consent. Not on MariaDB and MySQL.",
    )
    group.add_argument(
        "--step-by-step",
        action="store_true",
        help="Give up all-or-nothing: a transaction for each migration, as migrate does.",
    )
    group.add_argument(
        "--start-over",
        action="store_true",
        help="Do not go on where an earlier run broke off inside a migration: that one is whole again, from a backup or "
        "mended by hand.",
    )
    group.add_argument(
        "--no-verify",
        action="store_false",
        dest="verify",
        help="Do not compare the tables at the end with what the migrations at the target say.",
    )
    group.add_argument(
        "--no-journal",
        action="store_false",
        dest="journal",
        help="Do not note the run in the table rollback_app_run. On MariaDB and MySQL a run that breaks off inside a "
        "migration can then not be continued.",
    )
    group.add_argument(
        "--lock-timeout",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="How long to wait for a lock that somebody else holds. Default: 5.",
    )
    group.add_argument(
        "--statement-timeout",
        type=float,
        metavar="SECONDS",
        help="How long one statement may take (PostgreSQL). Default: no limit.",
    )
    group.add_argument(
        "--retries",
        type=int,
        default=0,
        metavar="N",
        help="How often to try again, with growing pauses, when somebody else holds a lock. Default: 0.",
    )


class _Silent(Progress):
    """Nothing but warnings, to stderr."""

    def __init__(self, command: RollbackCommand) -> None:
        self.command = command

    def warned(self, text: str) -> None:
        self.command.stderr.write(self.command.style.WARNING(text))


class _Printed(_Silent):
    """Progress for a person: a line for each step; at -v 2 what was slow in it, at -v 3 the SQL."""

    def __init__(self, command: RollbackCommand, verbosity: int) -> None:
        super().__init__(command)
        if verbosity:
            command.stdout.write("")
        self.verbosity = verbosity
        self.shows_sql = verbosity > 2
        self.slow: list[Operation] = []
        self.in_line = False  # which a step has begun, and its end shall finish

    def began(self, step: Step) -> None:
        self.slow = []
        if self.verbosity:
            self.command.stdout.write(f"  Unapplying {step.key}...", ending="\n" if self.shows_sql else "")
            self.command.stdout.flush()
            self.in_line = not self.shows_sql

    def finished(self, done: Done) -> None:
        if self.verbosity:
            word = "FAKED" if done.step.fake else "OK"
            self.command.stdout.write(self.command.style.SUCCESS(f" {word}") + f" ({reports.seconds(done.seconds)})")
            self.in_line = False

        if self.verbosity > 1:
            for operation in self.slow:
                self.command.stdout.write(f"    rendered all models for '{operation.describe()}'")

    def broke_off(self) -> None:
        if self.in_line:
            self.command.stdout.write(self.command.style.ERROR(" FAILED"))
            self.in_line = False

    def rendered_everything(self, operation: Operation) -> None:
        self.slow.append(operation)

    def verified(self, comparison: Comparison) -> None:
        if self.verbosity:
            self.command.show(reports.of_verdict(comparison))

    def ran(self, sql: str) -> None:
        self.command.stdout.write(f"    {sql}")


class _Bar(_Silent):
    """Progress for a person at a terminal, through many steps: one line, which is written again and again."""

    in_line = False

    def started(self, plan: Plan) -> None:
        self.command.stdout.write("")
        self.total, self.done, self.in_line = len(plan.steps), 0, False

    def began(self, step: Step) -> None:
        self._show(f"{self.done + 1}/{self.total} {step.key}")

    def finished(self, done: Done) -> None:
        self.done += 1
        if self.done == self.total:
            self._show(f"{self.total}/{self.total}")
            self._end("")

    def broke_off(self) -> None:
        if self.in_line:
            self._end(self.command.style.ERROR(" FAILED"))

    def verified(self, comparison: Comparison) -> None:
        self.command.show(reports.of_verdict(comparison))

    def _show(self, words: str) -> None:
        filled = self.done * _BAR // self.total
        width = shutil.get_terminal_size().columns - len(" FAILED") - 1
        line = f"  [{'#' * filled}{'.' * (_BAR - filled)}] {words}"[:width]
        self.command.stdout.write(f"\r{line:<{width}}", ending="")
        self.command.stdout.flush()
        self.in_line = True

    def _end(self, word: str) -> None:
        self.command.stdout.write(word)
        self.in_line = False


_BAR = 30  # signs


def _joined(moment: str | Sequence[str]) -> str:
    return moment if isinstance(moment, str) else " ".join(moment)


def _timeouts(options: dict[str, Any]) -> Timeouts:
    return Timeouts(options["lock_timeout"], options["statement_timeout"])


def _again(options: dict[str, Any], previews: Sequence[Preview]) -> str:
    """The command line that runs the plan that was shown."""
    words = ["python", "manage.py", "rollbackmigrationsafter", _fixed(_joined(options["moment"]), previews)]
    for name in ("timezone", "database", "exclude", "fake", "steps"):
        given = options[name] or []
        for value in given if isinstance(given, (list, tuple)) else [str(given)]:
            words += [f"--{name}", value]
    if timedelta(minutes=options["gap"]) != DEFAULT_GAP:
        words += ["--gap", f"{options['gap']:g}"]
    words += [
        f"--{name.replace('_', '-')}"
        for name in ("cascade", "split_deployment", "step_by_step", "start_over")
        if options[name]
    ]
    words += [] if options["verify"] else ["--no-verify"]
    if any(preview.of_level(Level.LOSS) for preview in previews):
        words.append("--destroy-data")
    return " ".join(word if word == shlex.quote(word) else _quoted(word) for word in words)


def _fixed(moment: str, previews: Sequence[Preview]) -> str:
    """The moment so that it means the same later on: "last" is another deployment after a run, or half of one."""
    times = {preview.moment.at for preview in previews if preview.moment.kept is None}
    if kinds.of(moment) and len(times) == 1:
        return times.pop().isoformat(sep=" ")
    return moment


def _quoted(word: str) -> str:
    """In double quotes, which every shell knows, where that is enough."""
    return shlex.quote(word) if set(word) & set('"$`\\!') else f'"{word}"'
