"""A manifest: what one release writes, another reads."""

from __future__ import annotations

import json

import pytest

from rollback_app.errors import UsageError
from rollback_app.moments import manifest
from tests.support.plain import code, keys, made

SQUASHED = code(made("a.1"), made("a.2", "a.1"), made("a.1_squashed_2", replaces=["a.1", "a.2"]), made("b.1"))


def test_it_reads_what_it_writes() -> None:
    written = manifest.data(SQUASHED)
    assert written == {
        "schema": 1,
        "migrations": [
            {"migration": "a.1", "replaces": []},
            {"migration": "a.1_squashed_2", "replaces": ["a.1", "a.2"]},
            {"migration": "a.2", "replaces": []},
            {"migration": "b.1", "replaces": []},
        ],
    }
    listed = frozenset(keys("a.1", "a.2", "a.1_squashed_2", "b.1"))
    assert manifest.read(json.dumps(written), "it") == listed
    assert manifest.read("\ufeff" + json.dumps(written, indent=2), "it") == listed


def test_replaced_originals_are_listed_with_their_squash() -> None:
    text = '{"schema": 1, "migrations": [{"migration": "a.s", "replaces": ["a.1", "a.2"]}]}'
    assert manifest.read(text, "it") == frozenset(keys("a.s", "a.1", "a.2"))


def test_showmigrations() -> None:
    text = "[X]  a.0001_initial\n[ ]  a.0002_more ... (a.0001_initial)\n\n[X]  b.0001_initial\n"
    assert manifest.read(text, "it") == frozenset(keys("a.0001_initial", "a.0002_more", "b.0001_initial"))


@pytest.mark.parametrize(
    "text",
    [
        "1,a,0001,2024-05-01 10:00:00\n2,b,0001,2024-05-01 10:00:01\n",
        'id,app,name,applied\n1,"a","0001",2024-05-01\n\n2,"b","0001",2024-05-01\n',
        "name,app\n0001,a\n0001,b\n",
    ],
)
def test_a_dump_of_the_table(text: str) -> None:
    assert manifest.read(text, "it") == frozenset(keys("a.0001", "b.0001"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The manifest it lists no migration."),
        ("id,app,name,applied\n", "The manifest it lists no migration."),
        ('{"migrations": []}', "The manifest it lists no migration."),
        ("{", "is not understood: Expecting property name"),
        ("{}", "is not understood: 'migrations'"),
        ('{"migrations": 1}', "is not understood: 'int' object is not iterable"),
        ('{"migrations": ["a.1"]}', "is not understood: string indices"),
        ('{"migrations": [{"migration": "a", "replaces": []}]}', "'a' is not the name of a migration"),
        ('{"migrations": [{"migration": 1, "replaces": []}]}', "is not understood: expected string"),
        ("[X]  a.0001\nUnknown command", "is not understood: the line 'Unknown command'"),
        ("Unknown command: 'migrationmanifest'", "the line 'Unknown command: 'migrationmanifest''"),
        ("1,a\n", "the line '1,a'"),
        ("1,a b,0001\n", "'a b.0001' is not the name of a migration"),
        ('1,"a\n', "is not understood: the line '1,a'"),
        ("1," + "x" * 200_000 + ",y\n", "is not understood: field larger than field limit"),
    ],
)
def test_what_is_no_manifest(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        manifest.read(text, "it")
    assert message in caught.value.message
    assert "showmigrations --plan" in caught.value.hint
