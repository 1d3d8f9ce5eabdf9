"""For a build: a file with the migrations that an older release lacks."""

from __future__ import annotations

import shlex
from typing import Any

from django.core.management.base import CommandParser

from rollback_app import packages, workflow
from rollback_app.management.base import RollbackCommand, add_database
from rollback_app.management.output import write_whole
from rollback_app.reports import Report, number_of, said
from rollback_app.safety import Size


class Command(RollbackCommand):
    help = (
        "Writes the migrations that this code has and an older release lacks to a file. With it the older can undo this one "
        "by itself: 'rollbackmigrationsafter here --package FILE'. The same code gives the same file. Changes no database."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "older",
            nargs="?",
            metavar="OLDER",
            help="The older release: manifest:FILE, what 'migrationmanifest' prints there; or release:NAME, as the database has "
            "it. Without it, the package is of all migrations.",
        )
        parser.add_argument(
            "--output", dest="file", required=True, metavar="FILE", help="Write the package to this file."
        )
        add_database(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        package = workflow.make_package(options["older"], options["database"])
        data = packages.to_zip(package)
        write_whole(options["file"], data)
        apps = {key.app for key in package.migrations}
        what = f"{number_of(len(package.migrations), 'migration')} of {number_of(len(apps), 'app')}"
        of = f" of release {package.release}" if package.release else ""
        line = f"python manage.py rollbackmigrationsafter here --package {shlex.quote(options['file'])} --plan"
        text = f"Wrote {options['file']}: {what}{of}, {Size(len(data))}.\nTo look at the rollback, in the older release: {line}"
        if not package.migrations:
            text = f"Wrote {options['file']}: it is empty, since the older release lacks no migration of this code."
        self.show(Report(tuple(said(text))))
