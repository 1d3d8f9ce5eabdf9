"""The arguments of the main command, as a parser knows them."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING

from django.core.management.base import DjangoHelpFormatter
from django.db import DEFAULT_DB_ALIAS

from rollback_app import reports
from rollback_app.management.base import amount, positive, size, whole
from rollback_app.moments import kinds

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
    what(parser.add_argument_group("What to include"))
    _before(parser.add_argument_group("Before it runs"))
    keep(parser.add_argument_group("What to keep of what is dropped"))
    how(parser.add_argument_group("How it runs"))
    django_last(parser)


def django_last(parser: ArgumentParser) -> None:
    """Have Django's own options come last, for which argparse has no other way."""
    groups = parser._action_groups  # noqa: SLF001
    groups.append(groups.pop(groups.index(parser._optionals)))  # noqa: SLF001


def when(group: _ArgumentGroup) -> None:
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


def _where(group: _ArgumentGroup) -> None:
    when(group)
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


def what(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--exclude",
        "--exclude-migration",  # since runschema of django-pgschemas takes --exclude for an option of its own
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
    looks(group)
    _first(group)
    agrees(group)
    _shape(group)


def looks(group: _ArgumentGroup) -> None:
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


def _first(group: _ArgumentGroup) -> None:
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


def agrees(group: _ArgumentGroup) -> None:
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


def output(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--output",
        metavar="FILE",
        help="Write the output to this file, as a whole or not at all. Text is shown as well.",
    )


def _shape(group: _ArgumentGroup) -> None:
    output(group)
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


def keep(group: _ArgumentGroup) -> None:
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


def how(group: _ArgumentGroup) -> None:
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
