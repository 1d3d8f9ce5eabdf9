"""The promises of docs/safety.md: each has its tests, which run where it is promised, and the README says the same."""

from __future__ import annotations

import ast
import re
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.db import DataError

from rollback_app.database import KINDS
from rollback_app.database.sqlite import SQLite
from tests.support import promises
from tests.support.databases import Database

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


def test_both_tables_say_what_the_code_says() -> None:
    """`python -m tests.support.promises` writes them anew."""
    for file, made in ((promises.README, promises.readme()), (PAGE, promises.page(promises.proofs(PAGE.read_text())))):
        assert promises.written(file.read_text(), made) == file.read_text()


def test_a_table_follows_the_class_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = promises.readme()
    monkeypatch.setattr(SQLite, "can_undo_ddl", False)
    changed = [line for line in promises.readme().splitlines() if line not in before]
    assert [line.split(" | ")[2] for line in changed] == [
        "no: what is finished stays undone, and the plan says so before the run",
        "no",
        "yes; the copies are made before the first step, and looked at again before each drop",
    ]


def test_each_class_attribute_says_what_it_means() -> None:
    """A docstring below it, as Python's own tools read it."""
    source = ast.parse((ROOT / "rollback_app/database/base.py").read_text())
    (found,) = [node for node in source.body if isinstance(node, ast.ClassDef) and node.name == "Database"]
    attributes = [number for number, node in enumerate(found.body) if isinstance(node, ast.AnnAssign)]
    assert len(attributes) > 8
    for number in attributes:
        below = found.body[number + 1]
        assert isinstance(below, ast.Expr)
        assert isinstance(below.value, ast.Constant)
        assert str(below.value.value).endswith(".")


def test_only_the_room_of_databases_asks_for_the_vendor() -> None:
    asking = {
        str(path.relative_to(ROOT / "rollback_app"))
        for path in (ROOT / "rollback_app").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("vendor", "can_rollback_ddl")
    }
    others = {name for name in asking if not name.startswith("database/")}
    # One names the dialect of a project that may have another database than ours. The verdict has no database at hand: it is
    # told of one, and writes SQL for it; and a model may demand a vendor. Backups are made by the programs of a vendor. A
    # database of the tests may be a file, with a journal beside it. Members of a fleet are schemas of PostgreSQL alone.
    assert others == {
        "backup/calls.py",
        "backup/dbbackup.py",
        "backup/restore_point.py",
        "management/commands/legacyrollbacksql.py",
        "compatibility/rules.py",
        "compatibility/schema.py",
        "fleets/places.py",
        "trials/ground.py",
        "workflow/verdict.py",
    }


def test_what_is_said_is_so(database: Database) -> None:
    """By Django's own knowledge of the connection, and by asking the server."""
    connection = database.connection
    kind = KINDS[connection.vendor]
    assert kind.can_undo_ddl == connection.features.can_rollback_ddl
    if kind.clock:
        with connection.cursor() as cursor:
            cursor.execute(kind.clock)
            (there,) = cursor.fetchone()
        assert abs(there.replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)) < timedelta(minutes=1)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE typed (a varchar(1))")
        with pytest.raises(DataError) if kind.enforces_types else nullcontext():
            cursor.execute("INSERT INTO typed VALUES ('too long')")
