"""Who may import whom. The rules are read from the syntax trees, and each is tried on code that breaks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "rollback_app"

# A room imports only from rows above its own; those of one row do not know each other.
ROWS = [
    {"__init__", "errors", "conf", "signals", "tenants"},
    {"history"},
    {"moments", "states", "project", "git"},
    {"planner", "legacy", "packages"},
    {"compatibility"},
    {"safety", "checking"},
    {"database"},
    {"bookkeeping"},
    {"kept", "executor", "backup"},
    {"trials", "processes"},
    {"reports"},
    {"workflow"},
    {"fleets"},
    {"checks", "receivers"},
    {"apps", "management", "web", "testing", "__main__"},
]
PURE = {
    "errors",
    "tenants",
    "history",
    "moments",
    "states",
    "planner",
    "compatibility",
    "safety",
    "checking",
    "reports",
    "legacy",
}
ONLY = {"legacy": {"errors", "moments"}}  # what a room may import, if it is less than the rows above it
ROOMS = set().union(*ROWS)
WITHOUT_DJANGO = {"errors", "moments", "legacy", "__main__"}  # for machines that have no project
# What pure modules may take from Django: nothing that opens a connection or reads a setting.
PURE_DJANGO = ("django.db.migrations", "django.db.models", "django.utils")
PURE_FROM = {
    ("django.db", "models"),
    ("django.db", "migrations"),
    ("django.core.checks.model_checks", "_check_lazy_references"),  # looks only at the registry that it is given
    ("django.template", "Context"),  # which, with an Engine that is made by hand, asks no setting
    ("django.template", "Engine"),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of each import; of our own modules with the package's name in front."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"rollback_app.{node.module or ''}".rstrip(".") if node.level else node.module or ""
            yield from ((module, alias.name) for alias in node.names)


def own(source: str) -> Iterator[str]:
    """The rooms of ours that a source imports."""
    for module, name in imports(source):
        if module == "rollback_app":
            yield name or "__init__"
        elif module.startswith("rollback_app."):
            yield module.split(".")[1]


def files_of_other_rooms(room: str, source: str) -> Iterator[str]:
    """Imports of another room's file, where the room itself says in its `__init__` what others may use."""
    for module, _ in imports(source):
        parts = module.split(".")
        if parts[0] == "rollback_app" and len(parts) > 2 and parts[1] != room:
            yield module


def broken(room: str, source: str) -> list[str]:
    """The rules that this source of this room breaks."""
    row = next(number for number, rooms in enumerate(ROWS) if room in rooms)
    above = set().union(*ROWS[:row])
    allowed = ONLY.get(room, above) | {room}
    found = [f"{room} imports {name}" for name in own(source) if name not in allowed]
    if room not in ("management", "__main__"):
        found += [f"{room} imports the file {module}" for module in files_of_other_rooms(room, source)]
    if room in PURE:
        found += [f"{room} imports {name}, which is not pure" for name in own(source) if name not in PURE]
        found += [
            f"{room} imports {module} {name}"
            for module, name in imports(source)
            if module.split(".")[0] == "django"
            and not module.startswith(PURE_DJANGO)
            and (module, name) not in PURE_FROM
        ]
    if room in WITHOUT_DJANGO:
        found += [f"{room} imports {module}" for module, _ in imports(source) if module.split(".")[0] == "django"]
    if room not in ("management", "__main__"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"):
                found.append(f"{room} calls {node.func.id}")
    return found


STANDALONE = ROOT / "legacy" / "standalone.py"  # run by itself, in other projects
FILES = sorted(path for path in ROOT.rglob("*.py") if path != STANDALONE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_rules_are_kept(path: Path) -> None:
    source = path.read_text()
    if path.parent != ROOT:  # what a room that is a package takes from itself
        source = re.sub(r"^from \.(?=\w)", f"from rollback_app.{name_of(path)}.", source, flags=re.MULTILINE)
        source = re.sub(r"^from \. import", f"from rollback_app.{name_of(path)} import", source, flags=re.MULTILINE)
    assert broken(name_of(path), source) == []


def test_every_room_has_its_place() -> None:
    assert {name_of(path) for path in FILES} == set().union(*ROWS)


def test_the_picture_shows_these_rows() -> None:
    """docs/contributing.md draws them; `__main__` is Python's own name, and no room."""
    page = (ROOT.parent / "docs" / "contributing.md").read_text()
    picture = page.split("```")[1]
    drawn = [{word for word in line[:30].split() if word in ROOMS} for line in picture.splitlines()]
    assert [rooms for rooms in drawn if rooms] == [rooms - {"__init__", "__main__"} for rooms in ROWS]


@pytest.mark.parametrize(
    ("room", "source", "rule"),
    [
        ("history", "from .planner import Plan", "history imports planner"),
        ("planner", "from .database import get", "planner imports database"),
        ("safety", "from rollback_app import database", "safety imports database"),
        ("executor", "from . import workflow", "executor imports workflow"),
        ("states", "from .planner import Kind", "states imports planner"),
        ("legacy", "from .history import Key", "legacy imports history"),
        (
            "workflow",
            "from rollback_app.planner.plan import Plan",
            "workflow imports the file rollback_app.planner.plan",
        ),
        ("reports", "from .executor import Done", "reports imports executor, which is not pure"),
        ("workflow", "from .management import base", "workflow imports management"),
        ("planner", "from django.conf import settings", "planner imports django.conf settings"),
        ("moments", "from django.db import connection", "moments imports django.db connection"),
        ("safety", "import django.apps", "safety imports django.apps "),
        ("legacy", "from django.utils import timezone", "legacy imports django.utils"),
        ("reports", "print(1)", "reports calls print"),
        ("executor", "input()", "executor calls input"),
    ],
)
def test_each_rule_can_be_broken(room: str, source: str, rule: str) -> None:
    assert rule in broken(room, source)


def test_importing_the_package_imports_nothing_else() -> None:
    assert list(imports((ROOT / "__init__.py").read_text())) in ([], [("__future__", "annotations")])
