"""Two releases of the example shop after its history, known by names that are the same on each machine, for transcripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.checkouts import ROOT, newer_code, older_code
from tests.support.databases import Database


class Releases:
    """The shop after its three deployments, in a database of the tests, and both releases of it."""

    def __init__(self, database: Database, folder: Path, settings: str = "") -> None:
        """settings: more of them, for both."""
        self.folders = {"shop-2.2": folder / "shop-2.2", "shop-2.1": folder / "shop-2.1"}
        newer_code(self.folders["shop-2.2"])
        older_code(self.folders["shop-2.1"])
        for release in self.folders.values():
            file = release / "example_project/settings.py"
            file.write_text(file.read_text() + settings)
        self._known_by_name(database, folder)
        self.printed(
            "shop-2.2",
            "python -c 'import django; django.setup(); from example_project import history; history.build()'",
        )

    def _known_by_name(self, database: Database, folder: Path) -> None:
        """Who and where is the same on each machine; what a server is called, is put in the place of the tests' names."""
        (folder / "sitecustomize.py").write_text('import socket\n\nsocket.gethostname = lambda: "web-1"\n')
        programs = folder / "bin"
        programs.mkdir()
        for name, script in {"gunicorn": 'echo "gunicorn serves $1"', "sleep": "exec /bin/sleep 0.1"}.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        settings = database.connection.settings_dict
        where = f"{settings['USER']}@{settings['HOST']}:{settings['PORT']}/" if database.vendor != "sqlite" else ""
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "EXAMPLE_DATABASE_URL": f"{database.vendor}://{where}{settings['NAME']}",
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),  # rollback_app, behind the release's own code
            "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "LOGNAME": "alice",
        }
        self.instead = {str(settings["NAME"]): "shop.sqlite3" if database.vendor == "sqlite" else "shop"}
        if database.vendor != "sqlite":
            self.instead[f"{settings['HOST']}:{settings['PORT']}"] = "db:5432"

    def start(self, release: str, line: str) -> subprocess.Popen[str]:
        """What a shell runs there; both outputs are one."""
        return subprocess.Popen(
            ["sh", "-c", line],
            cwd=self.folders[release],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def printed(self, release: str, line: str) -> str:
        with self.start(release, line) as process:
            found, _ = process.communicate(timeout=120)
        for name, instead in self.instead.items():
            found = found.replace(name, instead)
        return found
