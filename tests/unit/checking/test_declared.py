"""What migrations declare: demanded, held against what they do, and of the right type."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from django.db.migrations.operations import AddField, RemoveField, RunPython

from rollback_app.checking import with_declared
from tests.support.checking_examples import reading, set_totals
from tests.support.finding_examples import LATE
from tests.support.plain import code, key, made
from tests.unit.checking.test_static import ids

ADDS = AddField("Order", "note", models.TextField(default=""))
DROPS = RemoveField("Order", "total")


def test_what_is_demanded() -> None:
    assert ids(reading(ADDS, required=["breaking", "release"])) == ["C030", "C030"]
    assert reading(ADDS, required=["breaking", "release"], breaking=False, release="2.1") == []
    (first,) = reading(ADDS, required=["breaking"])
    assert "does not declare breaking, which ROLLBACK['REQUIRE'] demands" in first.text
    assert first.hint == "Add to the Migration class: breaking = False. Its operations say so."
    assert "breaking = True" in reading(DROPS, required=["breaking"])[-1].hint
    assert reading(ADDS, required=["release"])[0].hint == "Add to the Migration class: release = '2.1'."


def test_what_breaks_says_so() -> None:
    assert ids(reading(DROPS, breaking=False)) == ["C003", "C031"]
    assert ids(reading(RunPython(set_totals), breaking=False)) == ["C001", "C031"]
    assert reading(DROPS, breaking=False, kept=True) == []
    assert reading(DROPS, breaking=True) == []


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"breaking": "yes"}, "declares breaking = 'yes', which must be True or False."),
        ({"reversible_by_design": 1}, "declares reversible_by_design = 1, which must be True or False."),
        ({"release": 2.1}, "declares release = 2.1, which must be the name of a release, as '2.1'."),
        ({"release": ""}, "declares release = '', which must be the name of a release, as '2.1'."),
    ],
)
def test_of_the_wrong_type(declared: dict[str, Any], words: str) -> None:
    (finding,) = reading(ADDS, **declared)
    assert (finding.id, finding.text) == ("rollback.C032", f"{LATE} {words}")


def test_what_the_settings_declare_of_others() -> None:
    before = code(made("a.1"), made("b.1"))
    after = with_declared(before, {"a.1": {"breaking": True, "release": "2.1"}, "gone.1": {"breaking": True}})
    migration: Any = after.migrations[key("a.1")]
    assert (migration.breaking, migration.release) == (True, "2.1")
    assert not hasattr(before.migrations[key("a.1")], "breaking")
    assert after.migrations[key("b.1")] is before.migrations[key("b.1")]
