"""Rolling back what everybody installs, with histories of a hundred migrations and more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import Database
from tests.support.schema import OURS

ROOT = Path(__file__).parents[2]

# What Django's own reverse leaves different at some boundaries; that it is Django's, the comparison of statements shows.
OF_DJANGO = {
    # The column that points to a key takes over the key's new type only when its own table is remade. That had not happened
    # when token_blacklist.0008 changed the key; undoing the later migrations remakes the table.
    ("accounts", "sqlite"): {
        "+ token_blacklist_blacklistedtoken: column token_id bigint NOT NULL",
        "- token_blacklist_blacklistedtoken: column token_id integer NOT NULL",
    },
    # Taking db_index from a field drops every index of that column that Meta.indexes does not name: also the one of
    # account.0003, which is a unique constraint with a condition. It is missing until account.0003 is undone itself.
    ("accounts", "postgresql"): {
        "- account_emailaddress: index CREATE UNIQUE INDEX ON public.account_emailaddress USING btree (email) WHERE verified",
    },
}
# The second of them is a loss that Django makes in silence; the verification finds it, and the run needs --no-verify there.
FOUND = {("accounts", "postgresql"): ["account_emailaddress lacks unique index btree (email) WHERE verified"]}
# Reverse code writes in these: of auth.0011 and contenttypes.0002; the third takes '' for the NULL that a site's name was; the
# fourth takes the new field for the old.
REWRITTEN = {"auth_permission", "django_content_type", "wagtailcore_site", "social_auth_usersocialauth"}

# Code deletes rows when it is undone and makes them when it runs, with keys of their own: of wagtail's permissions, and of
# auth.0011, which also fails by itself the second time.
MADE_ANEW = {"auth_permission", "auth_group_permissions", "wagtailcore_groupcollectionpermission"}


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("project", ["accounts", "publishing", "shop"])
def test_every_boundary_is_as_it_was(database: Database, project: str) -> None:
    told = _told(database, project)
    boundaries = told["boundaries"]
    assert list(boundaries) == ["4", "3", "2", "1", "0"]  # by the deployments that are left
    for boundary in boundaries.values():
        assert boundary["refused"] == [["rollback.E001", name] for name in boundary["irreversible"]]
        assert boundary["untouched"]
        assert set(boundary["difference"]) <= OF_DJANGO.get((project, database.vendor), set())
        assert boundary["lost rows"].keys() <= REWRITTEN
        assert boundary["history"]
    # Once, in the run that makes it; in those behind it the difference was there before.
    found = [difference for boundary in boundaries.values() for difference in boundary["not as expected"]]
    assert found == FOUND.get((project, database.vendor), [])
    assert boundaries["0"]["difference"] == []
    assert told["again"] == []
    assert len(told["forward again"]) == (2 if project == "publishing" else 3) - len(found)
    for forward in told["forward again"].values():
        assert {*forward["lost"], *forward["new"]} <= MADE_ANEW
    assert any(forward["kept"] for forward in told["forward again"].values())
    # wagtailcore.0008 cannot be undone, and the squash that could stand for it is not whole there.
    assert bool(boundaries["1"]["refused"]) == (project == "publishing")
    newest = [boundaries["4"], boundaries["3"]]
    assert [boundary["ours"] for boundary in newest] == [boundary["of django"] for boundary in newest]
    assert sum(len(statements) for boundary in newest for statements in boundary["ours"].values()) > 40


@pytest.mark.databases("postgresql")  # whose scripts have more to say; SQLite's are tried on histories that are made up
@pytest.mark.parametrize("project", ["accounts", "publishing", "shop"])
def test_a_script_does_what_the_command_does(
    database: Database, other_database: Database, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_REAL_OTHER", other_database.alias)
    told = _told(database, project, "script")
    assert told["statuses"] == [0, 0, 0], told["said"]
    assert told["statements"] > 20
    assert told["difference"] == []
    assert [rows.keys() - OURS for rows in told["rows"]] == [set(), set()]
    assert told["history"]


@pytest.mark.databases("sqlite", "postgresql")
def test_a_reverse_for_wagtail(database: Database) -> None:
    """The worked example of docs/howto/irreversible.md."""
    told = _told(database, "publishing", "reverses")
    name = "wagtailcore.0008_populate_latest_revision_created_at"
    assert told["refused"] == [["rollback.E001", name]]
    assert len(told["effects"]) == 1
    assert told["effects"][0].startswith("reverses nothing: ")
    assert "the project's own reverse" in told["effects"][0]
    assert told["difference"] == []
    assert told["history"]
    assert f'"{name}": "noop"' in (ROOT / "docs" / "howto" / "irreversible.md").read_text()


def _told(database: Database, project: str, script: str = "roundtrip") -> Any:
    """What a script of tests/real tells. It is a project of its own, and so a process of its own."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.real.settings",
        "TEST_REAL_PROJECT": project,
        "TEST_REAL_DATABASE": database.alias,
    }
    command = [sys.executable, "-m", f"tests.real.{script}"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
