"""Two releases of the example shop as two folders, each with its own code, as two images have it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from tests.support.databases import Database

ROOT = Path(__file__).parent.parent.parent
# What release 2.2 brought: its migrations, and what it added to the models.
FILES_OF_2_2 = (
    "accounts/migrations/0002_user_loyalty_points.py",
    "catalog/migrations/0001_squashed_0003_product_on_sale.py",
    "catalog/migrations/0005_longer_prices.py",
    "orders/migrations/0004_order_note.py",
    "orders/migrations/0005_lower_case_status.py",
    "orders/migrations/0006_invoice.py",
)
MODELS_OF_2_2 = (
    ("accounts/models.py", r"    loyalty_points = .*\n", "    pass\n"),
    ("catalog/models.py", r"max_digits=10", "max_digits=8"),
    ("orders/models.py", r"    note = .*\n\n    class Meta:\n.*\n", ""),
    ("orders/models.py", r'default="open"', 'default="OPEN"'),
    ("orders/models.py", r"\n\nclass Invoice\((.|\n)*", ""),
)
SETTINGS = """\
import pymysql
pymysql.install_as_MySQLdb()

from example_project.settings import *
from example_project.settings import DATABASES

DATABASES["default"].update({database!r})
ROLLBACK = {rollback!r}
SECRET_KEY = {key!r}
"""


@dataclass
class Checkout:
    """A folder with one release. rollback: the setting ROLLBACK. key: SECRET_KEY."""

    folder: Path
    database: Database
    rollback: dict[str, object] = field(default_factory=dict)
    key: str = "the key of the shop"

    def run(self, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A line of shell, in this folder, in which `python` is the Python of the tests."""
        names = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
        here = settings.DATABASES[self.database.alias]
        database = {name: str(here[name] or "") for name in names if name in here}
        text = SETTINGS.format(database=database, rollback=self.rollback, key=self.key)
        (self.folder / "shop_settings.py").write_text(text)
        python = self.folder / "python"  # no link, by which Python would not find its packages
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        words = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "PYTHONPATH": f"{self.folder}:{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "shop_settings",
        }
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env={**os.environ, **words, **environment},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )


def newer(folder: Path, database: Database) -> Checkout:
    """Release 2.2."""
    return Checkout(newer_code(folder), database, {"RELEASE": "2.2"})


def older(folder: Path, database: Database) -> Checkout:
    """Release 2.1."""
    return Checkout(older_code(folder), database, {"RELEASE": "2.1"})


def newer_code(folder: Path) -> Path:
    """The code of release 2.2, which is the example itself."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.sqlite3")
    shutil.copytree(ROOT / "example_project", folder / "example_project", ignore=unwanted)
    shutil.copy(ROOT / "manage.py", folder)
    return folder


def older_code(folder: Path) -> Path:
    """The code of release 2.1: all that 2.2 brought is not there."""
    newer_code(folder)
    for file in FILES_OF_2_2:
        (folder / "example_project" / file).unlink()
    for file, pattern, text in MODELS_OF_2_2:
        path = folder / "example_project" / file
        changed, count = re.subn(pattern, text, path.read_text())
        if not count:
            raise LookupError(f"{pattern} is not in {file}")
        path.write_text(changed)
    return folder
