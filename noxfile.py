"""The suite on every Django and Python that go together: `nox`, or `nox -s "tests(django='6.1', python='3.13')"`.

With pyenv, let its shims offer all of the Pythons: PYENV_VERSION=3.10.13:3.11.7:3.12.1:3.13.0 nox
"""

from __future__ import annotations

import shutil

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv" if shutil.which("uv") else "virtualenv"
# By default a Python that is not here is passed over in silence.
nox.options.error_on_missing_interpreters = True

MATRIX = {
    "5.2": ["3.10", "3.11", "3.12", "3.13"],
    "6.0": ["3.12", "3.13"],
    "6.1": ["3.12", "3.13"],
}


# The pages look the same on each of them: `dev.py test`, which fetches axe-core, looks at them once.
WITHOUT_BROWSER = {"TEST_BROWSER": ""}


# What dev.py removes, too; a virtual environment of uv has no pip.
REMOVE_CRONTAB = """
import pathlib, shutil, crontab
file = pathlib.Path(crontab.__file__)
if file.name == "__init__.py":
    shutil.rmtree(file.parent)
"""


@nox.session
@nox.parametrize("python,django", [(python, django) for django, pythons in MATRIX.items() for python in pythons])
def tests(session: nox.Session, django: str) -> None:
    session.install("-e", ".[tests,pgschemas]" if django == "5.2" else ".[tests]")
    # On its own, because one of the well-known apps of tests/real declares an upper bound that it does not need.
    session.install(f"django~={django}.0")
    session.run("python", "-c", REMOVE_CRONTAB)
    session.run("pytest", "-n", "2", *session.posargs, env=WITHOUT_BROWSER)


# What does not use fields and constraints that came with a later Django.
CORE = [
    "tests/unit/history",
    "tests/unit/moments",
    "tests/commands/test_deployments.py",
    "tests/commands/test_rollbackmigrationsafter.py",
    "tests/database/test_executor.py",
    "tests/database/test_releases.py",
]


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """The core of the suite on the oldest Django."""
    session.install("-e", ".[tests]")
    session.install("django~=4.2.0")
    session.run("python", "-c", REMOVE_CRONTAB)
    session.run("pytest", "-n", "2", *(session.posargs or CORE), env=WITHOUT_BROWSER)


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """The pages, into docs/_build/html; a warning, as of a link that leads nowhere, is an error."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-q", "docs", "docs/_build/html", *session.posargs)
