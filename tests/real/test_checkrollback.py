"""`checkrollback` is silent about well-known apps, but for what is in a baseline: what cannot be undone, is lost, or has a
reverse that does nothing. `manage.py checkrollback --all --write-baseline tests/real/baselines/PROJECT.json` renews one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASELINES = ROOT / "tests/real/baselines"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("project", ["accounts", "publishing", "shop"])
def test_nothing_is_found_but_what_is_known(project: str) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.real.settings",
        "TEST_DATABASES": "sqlite",
        "TEST_REAL_PROJECT": project,
        "TEST_REAL_DATABASE": "default",
    }
    baseline = f"tests/real/baselines/{project}.json"
    command = [sys.executable, "manage.py", "checkrollback", "--all", "--format", "json", "--baseline", baseline]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["findings"] == [], done.stderr
    assert done.returncode == 0
    assert len(found["checked"]) > 100
