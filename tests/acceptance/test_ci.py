"""What docs/howto/ci.md has ready to paste: valid for whom it is for, and run in a clone of the example project's repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/ci.md").read_text()
BAD = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("catalog", "0004_product_stock")]
    operations = [
        migrations.RunSQL("UPDATE catalog_product SET stock = 0"),
    ]
"""
GOOD = BAD.replace('"UPDATE catalog_product SET stock = 0"', '"SELECT 1", "SELECT 1"')
FILE = "example_project/catalog/migrations/0005_no_stock.py"
FOUND = "catalog.0005_no_stock cannot be undone: its SQL has no reverse."


def snippet(name: str) -> str:
    return re.search(rf"<!-- tried: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)[1]  # type: ignore[index]


def valid(name: str, schema: str) -> Any:
    found = yaml.safe_load(snippet(name))
    if True in found:  # YAML 1.1 takes `on` for true
        found["on"] = found.pop(True)
    text = files("check_jsonschema").joinpath(f"builtin_schemas/vendor/{schema}.json").read_text()
    jsonschema.validate(found, json.loads(text))
    return found


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A shallow clone of a branch that adds a migration which cannot be undone."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    shutil.copytree(ROOT / "example_project", origin / "example_project", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", origin)
    (origin / ".gitignore").write_text("__pycache__\n")
    git(origin, "init", "--initial-branch=main")
    git(origin, "add", ".")
    git(origin, "commit", "-m", "one")
    git(origin, "checkout", "-b", "feature")
    (origin / FILE).write_text(BAD)
    git(origin, "add", ".")
    git(origin, "commit", "-m", "two")
    git(tmp_path, "clone", "--depth=1", "--branch=feature", f"file://{origin}", str(clone))
    return clone


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def run(folder: Path, command: str, **variables: str) -> tuple[int, str]:
    """A shell's line there: its exit status, and what it said."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # Our package, and the clone's example project rather than ours.
    environment = {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), **variables}
    environment["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
    done = subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_workflow_for_github(clone: Path) -> None:
    steps = valid("github", "github-workflows")["jobs"]["rollback"]["steps"]
    *_, fetch, check = [step["run"].replace("${{ github.base_ref }}", "main") for step in steps if "run" in step]
    assert run(clone, fetch)[0] == 0
    status, said = run(clone, check)
    assert status == 1
    assert f"::error file={FILE},line=8,title=rollback.C001::{FOUND}" in said
    (clone / FILE).write_text(GOOD)
    assert run(clone, check)[0] == 0


def test_the_job_for_gitlab(clone: Path) -> None:
    job = valid("gitlab", "gitlab-ci")["rollback"]
    variables = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    status, said = run(clone, "\n".join(job["script"]), **variables)
    assert status == 1
    assert "Checked 1 migration of 1 app (new to origin/main): 1 finding." in said
    assert f"{FILE}:8" in said


def test_the_hook_of_pre_commit(clone: Path) -> None:
    ((hook,),) = [repo["hooks"] for repo in yaml.safe_load(snippet("pre-commit"))["repos"]]
    assert re.search(hook["files"], FILE)
    assert not re.search(hook["files"], "example_project/catalog/models.py")
    assert run(clone, hook["entry"])[1].startswith("Nothing to check: no migration is new to HEAD.")
    (clone / FILE).rename(clone / FILE.replace("0005_no_stock", "0005_none"))
    status, said = run(clone, hook["entry"])
    assert status == 1
    assert "catalog.0005_none cannot be undone" in said


def test_the_session_of_nox(clone: Path) -> None:
    (clone / "noxfile.py").write_text(snippet("nox"))
    git(clone, "fetch", "--depth=1", "origin", "main:refs/remotes/origin/main")
    status, said = run(clone, "nox --no-venv --no-install --session rollback -- --format github")
    assert status == 1
    assert f"title=rollback.C001::{FOUND}" in said
