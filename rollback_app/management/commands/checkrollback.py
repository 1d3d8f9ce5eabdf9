"""For CI: can each new migration be rolled back?"""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import redirect_stdout
from typing import Any

from django.core.management.base import CommandParser, no_translations

from rollback_app import checking, project, reports, workflow
from rollback_app.checking import Severity
from rollback_app.errors import RollbackError, database_option
from rollback_app.management.base import RollbackCommand, add_database, positive
from rollback_app.management.output import write_whole
from rollback_app.reports import CHECK_FORMATS, number_of


class Command(RollbackCommand):
    help = (
        "Can each new migration be rolled back? Reads them, and tries them on a test database with rows: forward, back, and "
        "forward again. Without an option, new is what is not applied to the database; all, if there is none. Exits "
        "with 1 if it finds something."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "apps", nargs="*", metavar="APP[.NAME]", help="Only the migrations of these apps, or these."
        )
        new = parser.add_mutually_exclusive_group()
        new.add_argument(
            "--since",
            metavar="manifest:FILE",
            help="New is what an older release lacks: the file has what 'migrationmanifest' printed there.",
        )
        new.add_argument(
            "--base", metavar="GITREF", help="New is what git has added since this commit, such as origin/main."
        )
        new.add_argument("--all", action="store_true", dest="everything", help="Check all migrations.")
        parser.add_argument("--static", action="store_true", help="Only read the migrations. Makes no test database.")
        parser.add_argument(
            "--keepdb",
            action="store_true",
            help="Use the test database that is there, and leave it there, so that the next time only what is new is applied.",
        )
        parser.add_argument(
            "--parallel",
            nargs="?",
            const="auto",
            default=1,
            metavar="N",
            type=_processes,
            help="Try them in N processes at once, each with a test database of its own; without N, one for each core.",
        )
        parser.add_argument(
            "--require",
            action="append",
            choices=["compatible"],
            default=[],
            help="What else must be so. compatible: the older release can run on the newer schema, as it has to during a deploy.",
        )
        add_database(parser)
        parser.add_argument(
            "--format",
            choices=CHECK_FORMATS,
            default="text",
            help="text for people, json for programs, github for annotations of a pull request, sarif for code scanning.",
        )
        parser.add_argument("--output", metavar="FILE", help="Write the output to this file. Text is shown as well.")
        parser.add_argument(
            "--baseline",
            metavar="FILE",
            help="Leave out the findings in this file, which --write-baseline has written.",
        )
        parser.add_argument(
            "--write-baseline",
            metavar="FILE",
            help="Write what is found to this file, as known and accepted, with what --baseline knows, and exit with 0.",
        )

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        with redirect_stdout(sys.stderr):  # migrations may print
            found = workflow.check_rollback(
                options["apps"],
                since=options["since"],
                base=options["base"],
                everything=options["everything"],
                baseline=options["baseline"],
                trial=None
                if options["static"]
                else workflow.Trial(
                    options["keepdb"],
                    compatible="compatible" in options["require"],
                    processes=options["parallel"],
                ),
                using=options["database"],
            )
        if options["write_baseline"]:
            name = options["baseline"]
            known = list(checking.read_baseline(project.text_of(name), name).elements()) if name else []
            write_whole(options["write_baseline"], checking.written_baseline(found.findings, known).encode())
            number = len(found.findings) + len(known)
            self.tell(f"Wrote {number_of(number, 'finding')} to {options['write_baseline']}.")
            return
        report = reports.of_check(found.checked, found.findings, found.new_to, found.accepted)
        self.object = report.data
        errors = [finding for finding in found.findings if finding.severity is Severity.ERROR]
        if not (errors and options["format"] == "json"):
            self.show(report, options["format"])
        if errors:
            migrations = len({finding.migration for finding in errors})
            raise RollbackError(
                f"{number_of(len(errors), 'finding')} in {number_of(migrations, 'migration')}.",
                hint=f"Change what is not released yet. For what shall stay as it is: {_line(options)} --write-baseline FILE",
            )


def _processes(text: str) -> int:
    """The type of an argument: how many at once."""
    return os.cpu_count() or 1 if text == "auto" else positive(text)


def _line(options: dict[str, Any]) -> str:
    """The command line that checks the same."""
    words = ["python", "manage.py", "checkrollback", *options["apps"]]
    switches = (("everything", "--all"), ("static", "--static"), ("keepdb", "--keepdb"))
    words += [word for name, word in switches if options[name]]
    words += ["--parallel", str(options["parallel"])] if options["parallel"] > 1 else []
    words += [word for name in options["require"] for word in ("--require", name)]
    words += [word for name in ("since", "base", "baseline") if options[name] for word in (f"--{name}", options[name])]
    return shlex.join(words) + database_option(options["database"])
