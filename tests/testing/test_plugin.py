"""The plugin of pytest and `assert_rolls_back`, in a project with tests of its own, run as its developer would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.projects import Project
from tests.support.trials import BAD, T

ROOT = Path(__file__).parents[2]
OWN_TESTS = """
import pytest
from rollback_app.testing import assert_rolls_back

def test_good():
    assert_rolls_back("a.0001_t")

def test_bad(db):  # in a transaction of pytest-django's
    with pytest.raises(AssertionError) as caught:
        assert_rolls_back("a")
    assert "a.0002_code changes rows for good" in str(caught.value)
"""


class Run:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, settings: str = "tests.settings") -> tuple[int, str]:
        configuration = self.folder / "pytest.ini"
        if not configuration.exists():
            configuration.write_text("[pytest]\naddopts = --strict-markers -p no:cacheprovider\n")
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]]),
            "TEST_DATABASES": "sqlite",
        }
        command = [sys.executable, "-m", "pytest", "-p", "rollback_app.testing.plugin", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def run(project: Project) -> Run:
    package = project(a={**BAD["C012"][0]})
    return Run(package)


@pytest.mark.databases("sqlite")
def test_an_item_for_each_new_migration_and_check(run: Run) -> None:
    status, said = run("--check-rollback", "-v")
    assert status == 1
    outcomes = dict(re.findall(r"^a/(\d+_\w+\.py::\w+) (PASSED|FAILED)", said, re.MULTILINE))
    checks = ["reversible", "leaves_no_trace", "rows_survive", "up_down_up"]
    names = [f"{name}.py::{check}" for name in ("0001_t", "0002_code") for check in checks]
    assert outcomes == {**dict.fromkeys(names, "PASSED"), "0002_code.py::rows_survive": "FAILED"}
    assert "a.0002_code changes rows for good: after it was applied and undone, a_t has other values in n." in said
    assert "[rollback.C012]" in said
    assert "Traceback" not in said


@pytest.mark.databases("sqlite")
def test_nothing_happens_without_the_option(run: Run) -> None:
    assert "no tests ran" in run("-q")[1]
    (run.folder / "pytest.ini").write_text("[pytest]\nrollback_check = true\n")
    status, said = run("-k", "up_down_up or rows_survive", "-q")
    assert status == 1
    assert "1 failed, 3 passed" in said


@pytest.mark.databases("sqlite")
def test_with_xdist_and_without_pytest_django(run: Run) -> None:
    assert "1 failed, 7 passed" in run("--check-rollback", "-n", "2", "--dist", "loadgroup")[1]
    assert "1 failed, 7 passed" in run("--check-rollback", "-p", "no:django", "-p", "no:xdist")[1]


@pytest.mark.databases("sqlite")
def test_what_is_new_and_what_is_known(run: Run, project: Project) -> None:
    (run.folder / "v1.json").write_text('{"migrations": [{"migration": "a.0002_code", "replaces": ["a.0001_t"]}]}')
    assert "no tests ran" in run("--check-rollback", "--rollback-since", "manifest:v1.json")[1]
    (run.folder / "known.json").write_text(
        '{"findings": [{"id": "rollback.C012", "migration": "a.0002_code", "operation": null}]}'
    )
    assert "8 passed" in run("--check-rollback", "--rollback-baseline", "known.json")[1]
    status, said = run("--check-rollback", "--rollback-since", "nonsense")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "'nonsense' does not name an older release." in said


@pytest.mark.databases("sqlite")
def test_what_cannot_be_tried_fails_in_one_line(project: Project) -> None:
    package = project(a={"0001_t": T, "0002_x": "migrations.RunPython(lambda apps, schema_editor: 1 / 0)"})
    status, said = Run(package)("--check-rollback", "-q")
    assert status == 1
    assert "8 failed" in said
    assert "a.0002_x cannot be applied to an empty database: ZeroDivisionError: division by zero" in said
    assert "Traceback" not in said


@pytest.mark.databases("sqlite")
def test_a_bug_shows_itself(run: Run) -> None:
    (run.folder / "conftest.py").write_text(
        "import rollback_app.testing.plugin as plugin\n\ndef pytest_collection_finish():\n    plugin._OF = None\n"
    )
    assert "AttributeError: 'NoneType' object has no attribute 'get'" in run("--check-rollback")[1]


@pytest.mark.databases("sqlite")
def test_a_projects_own_tests(run: Run) -> None:
    (run.folder / "test_own.py").write_text(OWN_TESTS)
    status, said = run("-q")
    assert status == 0, said
    assert "2 passed" in said
