"""The options of rollbackfleet, what they mean, and the line that types them again."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import TYPE_CHECKING, Any

from rollback_app import conf, moments, project
from rollback_app.errors import UsageError, shown
from rollback_app.fleets import Orders, backend_named
from rollback_app.moments import kinds
from rollback_app.workflow.reading import zone_name

from . import arguments
from . import options as given
from .base import positive, whole

if TYPE_CHECKING:
    from argparse import _ArgumentGroup

HELP = """\
Takes many databases, or many schemas of one (django-tenants, django-pgschemas),
back to a moment: looks at all of them first, then goes from one to the next.
Each is rolled back as rollbackmigrationsafter does it.

Examples:
  python manage.py rollbackfleet "2024-05-01 10:00" --plan
  python manage.py rollbackfleet "2024-05-01 10:00" --canary acme
  python manage.py rollbackfleet --status"""

STATUSES = """\
Exit statuses:
  0  all members are done, nothing to do, or a plan that nothing blocks
  1  some failed, or were not begun; the message says which, and how to go on;
     or you no longer watch what --tasks does
  2  wrong usage
  3  refused: something blocks, or consent is missing; nothing was changed
  4  another rollback of a fleet is under way"""


def add(parser: ArgumentParser) -> None:
    """Tell a parser about all of them."""
    parser.formatter_class = arguments.HelpFormatter
    parser.usage = "%(prog)s MOMENT [options]\n       %(prog)s --status | --resume | --stop"
    parser.epilog = STATUSES
    arguments.when(parser.add_argument_group("Where to go back to"))
    _who(parser.add_argument_group("Who belongs to the fleet"))
    arguments.what(parser.add_argument_group("What to include"))
    before = parser.add_argument_group("Before it runs")
    arguments.looks(before)
    arguments.agrees(before)
    arguments.output(before)
    before.add_argument(
        "--format", choices=("json", "text"), default="text", help="text for people, json for programs."
    )
    arguments.keep(parser.add_argument_group("What to keep of what is dropped"))
    _order(parser.add_argument_group("In which order, and by whom"))
    arguments.how(parser.add_argument_group("How each member is rolled back"))
    _later(parser.add_argument_group("A fleet that was begun"))
    arguments.django_last(parser)


def _who(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--database",
        action="append",
        metavar="ALIAS",
        help="The alias of a database in DATABASES that belongs to it. Repeatable. Default: the members that FLEET of ROLLBACK "
        "in the settings yields; without it, every tenant of django-tenants or django-pgschemas.",
    )
    group.add_argument("--all-databases", action="store_true", help="All databases of DATABASES belong to it.")
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="Only the members of this name, which may have wildcards: 'eu-*'. Repeatable.",
    )
    group.add_argument(
        "--except",
        action="append",
        default=[],
        dest="but",
        metavar="NAME",
        help="Not the members of this name, which may have wildcards. Repeatable.",
    )
    group.add_argument(
        "--shard",
        type=_shard,
        metavar="NUMBER/OF",
        help="Only this part of the fleet, such as 3/10, so that several machines have a part each. What the members share is in "
        "no part: --only names it at the end.",
    )


def _shard(text: str) -> tuple[int, int]:
    """The type of an argument: `3/10`."""
    found = re.fullmatch("([0-9]{1,5})/([0-9]{1,5})", text)
    number, many = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= many:
        raise ArgumentTypeError(f"'{shown(text)}' is no part of a fleet. Give one such as 3/10, the third of ten.")
    return number, many


def shard(options: dict[str, Any]) -> str:
    """As it was typed; empty for the whole fleet."""
    return "{}/{}".format(*options["shard"]) if options["shard"] else ""


def _order(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--canary",
        default="",
        metavar="NAME",
        help="The member that is first, alone; if it fails, no other is begun. Default: the smallest.",
    )
    group.add_argument(
        "--max-failures",
        type=whole,
        default=0,
        metavar="NUMBER",
        help="After more failed members than this, no new one is begun. Default: 0.",
    )
    group.add_argument("--skip-blocked", action="store_true", help="Leave out the members that something blocks.")
    group.add_argument(
        "--workers",
        type=positive,
        metavar="NUMBER",
        help="How many processes of this machine work on it. Default: one for each core. With --tasks: look at the members.",
    )
    group.add_argument(
        "--tasks",
        nargs="?",
        const="default",
        metavar="BACKEND",
        help="Have the workers of this back end of TASKS in the settings (Django's task framework) do the work, and only watch, "
        "which may be left with Ctrl-C: the fleet goes on. Default: default.",
    )


def _later(group: _ArgumentGroup) -> None:
    later = group.add_mutually_exclusive_group()
    later.add_argument("--status", action="store_true", help="Show how far the newest fleet is, and stop.")
    later.add_argument(
        "--resume",
        action="store_true",
        help="Go on with the members of the newest fleet that are not done: look at them anew, and ask again.",
    )
    later.add_argument(
        "--stop", action="store_true", help="Begin no new member of the newest fleet. Those under way end."
    )


def check(options: dict[str, Any]) -> None:
    """Errors: UsageError, for options that are empty, out of range, or do not go together."""
    given.check_values(options, "database", "exclude", "expect", "fake", "output", "tasks", "timezone", "only", "but")
    if options["database"] and options["all_databases"]:
        raise UsageError("--database and --all-databases do not go together.", hint="Leave out one of them.")
    if options["moment"] and (options["status"] or options["resume"] or options["stop"]):
        raise UsageError(
            "A fleet that was begun has its moment already.",
            hint="Leave out the moment, or --status, --resume and --stop.",
        )
    if options["tasks"] and (options["status"] or options["stop"]):
        raise UsageError("--tasks says who works.", hint="Leave out --tasks, or --status and --stop.")
    if options["tasks"]:
        backend_named(options["tasks"])


def orders(options: dict[str, Any]) -> Orders:
    """What each member is told. Errors: UsageError."""
    moment, zone = given.moment(options, "rollbackfleet", "showdeployments --fleet"), zone_name(options["timezone"])
    moments.zone_named(zone)
    keeping = given.keeping(options)
    return Orders(
        moment=moment,
        zone=zone,
        manifest=_manifest(moment),
        databases=tuple(given.given_list(options["database"] or ())),
        all_databases=options["all_databases"],
        cascade=options["cascade"],
        split_deployment=options["split_deployment"],
        exclude=tuple(options["exclude"]),
        fake=tuple(options["fake"]),
        start_over=options["start_over"],
        gap=options["gap"] * 60,
        steps=options["steps"],
        step_by_step=options["step_by_step"],
        count=options["count"],
        keep=keeping.wanted,
        keep_at_most=keeping.at_most,
        keep_tables=keeping.tables,
        reason=options["reason"],
        verify=options["verify"],
        journal=options["journal"],
        hold=options["hold"] and conf.holds(),
        lock_timeout=options["lock_timeout"],
        statement_timeout=options["statement_timeout"],
        retries=options["retries"],
    )


def _manifest(moment: str) -> str:
    """What its file holds, if it names one. Errors: UsageError."""
    kind = kinds.of(moment)
    return project.text_of(kind[1]) if kind and kind[0] is kinds.KINDS["manifest"] and kind[1] else ""


def workers(options: dict[str, Any]) -> int:
    return options["workers"] or os.cpu_count() or 1


def line(options: dict[str, Any], *, loses: bool) -> str:
    """The command line that runs the plan that was shown."""
    words = ["python", "manage.py", "rollbackfleet"]
    words += ["--resume"] if options["resume"] else [given.moment(options)]
    words += given.named(
        options, "timezone", "database", "only", "exclude", "fake", "steps", "canary", "workers", "tasks"
    )
    words += [word for name in options["but"] for word in ("--except", name)]
    words += ["--shard", shard(options)] if options["shard"] else []
    words += ["--all-databases"] if options["all_databases"] else []
    words += ["--max-failures", str(options["max_failures"])] if options["max_failures"] else []
    words += ["--skip-blocked"] if options["skip_blocked"] else []
    words += given.common(options)
    return given.joined([*words, *(["--destroy-data"] if loses else [])])
