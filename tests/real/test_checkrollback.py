"""`checkrollback` is silent about well-known apps, but for what is in a baseline: what cannot be undone, is lost, or has a
reverse that does nothing. `manage.py checkrollback --all --write-baseline tests/real/baselines/PROJECT.json` renews one.

Why those of C002 to C004 are right, by their kinds:
- values that code overwrites or rows that it deletes, for good: letters made small, duplicates, JSON in place of text,
  permissions, PostgreSQL's collation (account, axes, address, basket, customer, order.0012, voucher, catalogue,
  social_django.0019 and 0021, wagtailcore.0027, 0059 and 0089, wagtailembeds);
- rows that code adds and nothing takes away: groups, permissions, workflows, locales, and a sequence that is set
  (wagtailcore.0001, 0025, 0045, 0048, 0054 and 0086, wagtailsearchpromotions);
- a column that an earlier migration has added stays filled (order.0017, social_django.0020, wagtailcore.0036, 0056 and 0075), or
  the code calls what the checker cannot see through (wagtailcore.0040);
- C003: columns and tables that are dropped. Where an earlier migration has moved their values, as in token_blacklist and
  social_django.0014, undoing the drop alone does not bring these back."""

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
