"""The options of the main command, what they mean, and the line that types them again."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS

from rollback_app import reports
from rollback_app.database import Timeouts
from rollback_app.errors import UsageError
from rollback_app.management.base import minutes, positive
from rollback_app.moments import kinds
from rollback_app.planner import DEFAULT_GAP, Choices
from rollback_app.safety import Level, Preview

if TYPE_CHECKING:
    from argparse import _ArgumentGroup


def add(parser: ArgumentParser) -> None:
    """Tell a parser about all of them."""
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


def moment(options: dict[str, Any]) -> str:
    """The moment as it was typed, in one word or in several. Errors: UsageError, if there is none."""
    given = options["moment"]
    if not given:
        raise UsageError(
            "It is not said to which moment to go back.",
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


def timeouts(options: dict[str, Any]) -> Timeouts:
    return Timeouts(options["lock_timeout"], options["statement_timeout"])


def retries(options: dict[str, Any]) -> int:
    """Errors: UsageError."""
    if options["retries"] < 0:
        raise UsageError("--retries takes a number from 0 on.", hint="For example: --retries 5")
    return int(options["retries"])


def line(options: dict[str, Any], previews: Sequence[Preview]) -> str:
    """The command line that runs the plan that was shown."""
    words = ["python", "manage.py", "rollbackmigrationsafter", _fixed(moment(options), previews)]
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
    times = {
        preview.plan.basis.cut.to_paste(preview.plan.basis.records).astimezone(preview.moment.zone)
        for preview in previews
        if preview.moment.kept is None
    }
    return times.pop().isoformat(sep=" ") if kinds.of(moment) and len(times) == 1 else moment


def _quoted(word: str) -> str:
    """In double quotes, which every shell knows, where that is enough."""
    return shlex.quote(word) if set(word) & set('"$`\\!') else f'"{word}"'
