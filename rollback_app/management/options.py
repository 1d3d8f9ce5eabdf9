"""The options of the main command, what they mean, and the line that types them again."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.management.base import DjangoHelpFormatter
from django.db import DEFAULT_DB_ALIAS

from rollback_app import conf, project, reports, workflow
from rollback_app.database import Timeouts
from rollback_app.errors import UsageError
from rollback_app.management.base import amount, positive, size, whole
from rollback_app.moments import kinds
from rollback_app.packages import Package
from rollback_app.planner import DEFAULT_GAP, Choices
from rollback_app.safety import Approved, Keeping, Level, Preview, Size, approved_in, is_digest

if TYPE_CHECKING:
    from argparse import _ArgumentGroup


HELP = """\
Takes the database back to a moment: unapplies, in one run over all apps, every
migration that was applied at or after it, and nothing else. Shows the plan
before it changes anything.

Examples:
  python manage.py rollbackmigrationsafter "2024-05-01 10:00" --plan
  python manage.py rollbackmigrationsafter last

If you do not know the moment, `python manage.py showdeployments` lists the
deployments, each with the command that goes back before it."""

STATUSES = """\
Exit statuses:
  0  done, nothing to do, or a plan that nothing blocks
  1  failed; the message says what state the database is in
  2  wrong usage
  3  refused: something blocks, or consent is missing, or the history changed
  4  somebody else holds a lock"""


class HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the description and of the exit statuses; Django's own options come last."""


def add(parser: ArgumentParser) -> None:
    """Tell a parser about all of them."""
    parser.formatter_class = HelpFormatter
    parser.usage = "%(prog)s MOMENT [options]"
    parser.epilog = STATUSES
    _where(parser.add_argument_group("Where to go back to"))
    _what(parser.add_argument_group("What to include"))
    _before(parser.add_argument_group("Before it runs"))
    _keep(parser.add_argument_group("What to keep of what is dropped"))
    _how(parser.add_argument_group("How it runs"))
    groups = parser._action_groups  # noqa: SLF001 (argparse has no other way to have Django's own options come last)
    groups.append(groups.pop(groups.index(parser._optionals)))  # noqa: SLF001


def _where(group: _ArgumentGroup) -> None:
    others = ", ".join(kinds.EXAMPLES.values())
    group.add_argument(
        "moment",
        nargs="*",
        metavar="MOMENT",
        help='A date and time, such as "2024-05-01 10:00" or "2024-05-01T10:00:00+02:00". Unapplies what was applied at or '
        f"after it. A date alone means its first instant. Or one of: {others}.",
    )
    group.add_argument(
        "--timezone",
        metavar="ZONE",
        help="The time zone of a moment without an offset, such as Europe/Berlin. Default: the project's TIME_ZONE.",
    )
    group.add_argument(
        "--package",
        metavar="FILE",
        help="Where to load the migrations from that this older release lacks: what `rollbackpackage` of the newer one wrote.",
    )
    group.add_argument(
        "--database",
        action="append",
        metavar="ALIAS",
        help=f"The alias of the database in DATABASES. Repeatable. Default: {DEFAULT_DB_ALIAS}.",
    )


def _what(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="APP[.NAME]",
        help="Keep this app or migration applied. Repeatable.",
    )
    group.add_argument(
        "--fake",
        action="append",
        default=[],
        metavar="APP.NAME",
        help="Delete the record of this migration without undoing it: for one that never really ran. Repeatable.",
    )
    group.add_argument(
        "--cascade",
        action="store_true",
        help="Also unapply older migrations that depend on those of the plan.",
    )
    group.add_argument(
        "--split-deployment",
        action="store_true",
        help="Allow a moment that cuts a deployment in two.",
    )
    group.add_argument(
        "--gap",
        type=amount,
        default=5.0,
        metavar="MINUTES",
        help="Where deployments were not recorded, a pause longer than this begins a new one. Default: 5.",
    )
    group.add_argument(
        "--steps",
        type=positive,
        metavar="NUMBER",
        help="Unapply only this many of the newest migrations of the plan.",
    )


def _before(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--plan",
        "--dry-run",
        action="store_true",
        help="Show the plan and stop. Changes nothing and asks nothing.",
    )
    group.add_argument(
        "--reason",
        default="",
        metavar="TEXT",
        help="Why. Shown in the plan, in showrollbacks, and to whom the hold stops.",
    )
    group.add_argument(
        "--backup",
        action="store_true",
        default=None,
        help="Take a backup first, verify it, and say how to restore it: as BACKUP of ROLLBACK in the settings says, else by "
        "django-dbbackup. If it fails, nothing is run.",
    )
    group.add_argument(
        "--no-backup",
        action="store_false",
        dest="backup",
        default=None,
        help="Take no backup, though BACKUP of ROLLBACK in the settings names a way.",
    )
    group.add_argument(
        "--rehearse",
        action="store_true",
        help="Run everything, verification included, and roll it back. Shows the SQL, the seconds and the changed rows of "
        "each step, and the locks, which are those of the run and are held while it lasts. Not on MariaDB and MySQL.",
    )
    group.add_argument(
        "--destroy-data",
        action="store_true",
        help="Consent to losing the rows and values that the plan names.",
    )
    group.add_argument(
        "--no-input",
        "--noinput",
        action="store_false",
        dest="interactive",
        help="Ask nothing. If data would be lost, --destroy-data is needed.",
    )
    group.add_argument(
        "--no-count",
        action="store_false",
        dest="count",
        help="Do not look at rows. Every drop then counts as a loss.",
    )
    group.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="DIGEST",
        help="Refuse any plan but the one with this digest, which was looked at before. Or the name of a file that "
        "--format json --plan has printed. Repeatable, for several databases.",
    )
    _shape(group)


def _shape(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--output",
        metavar="FILE",
        help="Write the output to this file, as a whole or not at all. Text is shown as well.",
    )
    group.add_argument(
        "--format",
        choices=reports.PLAN_FORMATS,
        default="text",
        help="text for people, json for programs, commands for the equivalent migrate commands, markdown for a ticket, html for "
        "a page, sql for a script that does all of it (the last four change nothing).",
    )
    group.add_argument(
        "--no-run",
        action="store_false",
        dest="run",
        help="With --format sql: collect the script without running anything, and without a lock. Refused if a step is code.",
    )


def _keep(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--no-keep",
        action="store_false",
        dest="keep",
        help="Keep no copy of what is dropped, but for --keep-table. Every drop of rows then counts as a loss.",
    )
    group.add_argument(
        "--keep-at-most",
        type=size,
        metavar="SIZE",
        help="Do not keep what would need more than this, such as 10GB or 500MB. It then counts as a loss. Default: 1GB, or "
        "KEEP_AT_MOST of ROLLBACK in the settings.",
    )
    group.add_argument(
        "--keep-table",
        action="append",
        default=[],
        metavar="NAME",
        help="Keep a copy of this whole table besides. Only `putback` puts it back. Repeatable.",
    )


def _how(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--step-by-step",
        action="store_true",
        help="Run each migration in a transaction of its own, as migrate does, instead of all in one.",
    )
    group.add_argument(
        "--start-over",
        action="store_true",
        help="Do not continue where an earlier run broke off inside a migration. For when you have restored or repaired it.",
    )
    group.add_argument(
        "--no-verify",
        action="store_false",
        dest="verify",
        help="Do not compare the tables with the migrations at the end.",
    )
    group.add_argument(
        "--no-journal",
        action="store_false",
        dest="journal",
        help="Do not note the run in the table rollback_app_run. A run on MariaDB or MySQL then cannot be continued after a "
        "failure.",
    )
    group.add_argument(
        "--no-hold",
        action="store_false",
        dest="hold",
        help="Do not hold migrate afterwards. The newer release then applies again what was undone if it migrates.",
    )
    group.add_argument(
        "--lock-timeout",
        type=amount,
        default=5.0,
        metavar="SECONDS",
        help="How long to wait for a lock that somebody else holds. Default: 5.",
    )
    group.add_argument(
        "--statement-timeout",
        type=amount,
        metavar="SECONDS",
        help="How long one statement may take (PostgreSQL). Default: no limit.",
    )
    group.add_argument(
        "--retries",
        type=whole,
        default=0,
        metavar="N",
        help="How often to try again, after growing pauses, when somebody else holds a lock. Default: 0.",
    )


def moment(options: dict[str, Any]) -> str:
    """The moment as it was typed, in one word or in several. Errors: UsageError, if there is none."""
    given = options["moment"]
    if not given:
        raise UsageError(
            'Which moment? Give a date and time, or "last". `showdeployments` lists them.',
            hint='For example: python manage.py rollbackmigrationsafter "2024-05-01 10:00" --plan',
        )
    return given if isinstance(given, str) else " ".join(given)


def databases(options: dict[str, Any]) -> list[str]:
    given = options["database"] or [DEFAULT_DB_ALIAS]
    return [given] if isinstance(given, str) else given


def choices(options: dict[str, Any]) -> Choices:
    return Choices(
        cascade=options["cascade"],
        split_deployment=options["split_deployment"],
        exclude=tuple(options["exclude"]),
        fake=tuple(options["fake"]),
        start_over=options["start_over"],
        gap=timedelta(minutes=options["gap"]),
        steps=options["steps"],
    )


def approved(options: dict[str, Any]) -> Approved | None:
    """Errors: UsageError, of what is neither a digest nor a file with a plan."""
    found = [
        Approved(frozenset([each])) if is_digest(each) else approved_in(project.text_of(each), each)
        for each in given_list(options["expect"])
    ]
    if not found:
        return None
    lines = {digest: told for each in found for digest, told in each.lines.items()}
    return Approved(frozenset(digest for each in found for digest in each.digests), lines)


def given_list(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def keeping(options: dict[str, Any]) -> Keeping:
    """Errors: UsageError."""
    given, setting = options["keep_at_most"], conf.keep_at_most()
    try:
        typed: Any = setting if given is None else given
        limit = Size.parse(typed).bytes if isinstance(typed, str) else typed
    except ValueError as error:
        where = "ROLLBACK['KEEP_AT_MOST']" if given is None else "--keep-at-most"
        raise UsageError(f"{where} is wrong: {error}".partition(" Give ")[0], hint="Give one such as 10GB.") from error
    return Keeping(options["keep"], Keeping().at_most if limit is None else limit, tuple(options["keep_table"]))


def package(options: dict[str, Any]) -> Package | None:
    """Errors: UsageError."""
    return workflow.read_package(options["package"]) if options["package"] else None


def timeouts(options: dict[str, Any]) -> Timeouts:
    return Timeouts(options["lock_timeout"], options["statement_timeout"])


def check(options: dict[str, Any]) -> None:
    """Errors: UsageError, for options that are empty, out of range, or do not go together."""
    for name in ("database", "exclude", "expect", "fake", "output", "package", "timezone"):
        given = options[name]
        if given == "" or (isinstance(given, (list, tuple)) and "" in given):
            raise UsageError(f"--{name} is empty.", hint=f"Give it a value, or leave out --{name}.")
    for name in ("gap", "lock_timeout", "statement_timeout", "retries"):
        try:
            amount(options[name] or 0)
        except ArgumentTypeError as error:  # on the command line the parser has seen it
            option = name.replace("_", "-")
            raise UsageError(f"--{option} {error}".partition(" Give ")[0], hint=f"For example: --{option} 5") from error
    if options["rehearse"] and options["format"] in ("commands", "sql"):
        raise UsageError(
            f"--format {options['format']} changes nothing, so it cannot rehearse.",
            hint=f"Leave out --rehearse, or --format {options['format']}.",
        )
    if not options["run"] and options["format"] != "sql":
        raise UsageError("--no-run is about scripts.", hint="Add --format sql, or leave out --no-run.")
    if options["format"] == "sql" and len(databases(options)) > 1:
        raise UsageError("A script is for one database.", hint="Make one for each: name one with --database.")
    if options["format"] == "sql" and options["backup"]:
        raise UsageError(
            "A script takes no backup.", hint="Leave out --backup, and take one before you run the script."
        )
    if options["format"] == "sql" and options["step_by_step"]:
        raise UsageError("A script is one transaction.", hint="Leave out --step-by-step, or --format sql.")


def line(options: dict[str, Any], previews: Sequence[Preview]) -> str:
    """The command line that runs the plan that was shown."""
    words = ["python", "manage.py", "rollbackmigrationsafter", _fixed(moment(options), previews)]
    for name in ("timezone", "package", "database", "exclude", "fake", "steps"):
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
    words += [] if options["backup"] is None else ["--backup" if options["backup"] else "--no-backup"]
    words += [] if options["verify"] else ["--no-verify"]
    words += [] if options["keep"] else ["--no-keep"]
    words += [] if options["keep_at_most"] is None else ["--keep-at-most", f"{keeping(options).at_most}B"]
    words += [word for name in options["keep_table"] for word in ("--keep-table", name)]
    words += [] if options["hold"] else ["--no-hold"]
    words += ["--reason", options["reason"]] if options["reason"] else []
    if any(preview.of_level(Level.LOSS) for preview in previews):
        words.append("--destroy-data")
    return " ".join(word if word == shlex.quote(word) else _quoted(word) for word in words)


def _fixed(moment: str, previews: Sequence[Preview]) -> str:
    """The moment so that it means the same later on: "last" is another deployment after a run, or half of one."""
    times = {
        preview.plan.basis.cut.to_paste(preview.plan.basis.records).astimezone(preview.moment.zone)
        for preview in previews
        if preview.moment.kept is None
    }
    return times.pop().isoformat(sep=" ") if kinds.of(moment) and len(times) == 1 else moment


def _quoted(word: str) -> str:
    """In double quotes, which every shell knows, where that is enough."""
    return shlex.quote(word) if set(word) & set('"$`\\!') else f'"{word}"'
