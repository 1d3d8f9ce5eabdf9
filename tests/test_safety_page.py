"""The promises of docs/safety.md: each has its tests, which run where it is promised, and the README says the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/safety.md"
LINK = re.compile(r"\[(test_\w+)\]\(([^)]+)\)")
DATABASES = ("postgresql", "sqlite", "mariadb")  # in the order of the columns
POOLED = {"pgbouncer": "postgresql"}


def table(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    text = page.read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


PROMISES = table(PAGE, "Promises")


def databases_of_tests(path: Path) -> dict[str, set[str]]:
    """The tests of a file, and the databases that each runs on."""
    tree = ast.parse(path.read_text())
    marks: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            marks[node.targets[0].id] = named_in(node.value)
    everywhere = marks.get("pytestmark") or set(DATABASES)
    found: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            own = [named_in(each) | marks.get(getattr(each, "id", ""), set()) for each in node.decorator_list]
            found[node.name] = next(filter(None, own), everywhere)
    return found


def named_in(node: ast.expr) -> set[str]:
    """What `pytest.mark.databases(…)` names; nothing for any other expression."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "databases"):
        return set()
    names = {str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)}
    return {POOLED.get(name, name) for name in names}


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[0])
def test_each_promise_is_proven_on_each_database_that_it_is_made_for(row: list[str]) -> None:
    assert len(row) == 5
    proven: set[str] = set()
    for name, target in LINK.findall(row[4]):
        tests = databases_of_tests((PAGE.parent / target).resolve())
        assert name in tests
        proven |= tests[name]
    made = {
        database for database, cell in zip(DATABASES, row[1:4], strict=True) if not cell.startswith(("no", "there is"))
    }
    assert made
    assert made <= proven


def test_databases_of_a_test_are_read_from_its_marks() -> None:
    tests = databases_of_tests(ROOT / "tests/database/test_locks.py")
    assert tests["test_a_lock_that_nobody_lets_go_of"] == set(DATABASES)
    assert tests["test_a_migrate_that_starts_meanwhile_waits"] == {"sqlite", "postgresql"}
    assert tests["test_a_lock_is_gone_with_its_process"] == {"mariadb"}
    assert databases_of_tests(ROOT / "tests/database/test_pgbouncer.py")["test_a_rollback_works"] == {"postgresql"}


def test_the_readme_promises_the_same() -> None:
    promised = [row[:4] for row in PROMISES]
    limits = table(ROOT / "README.md", "What each database can and cannot promise")
    assert len(limits) > 4
    for row in limits:
        assert row in promised
