"""What people see is at most 80 columns wide, and a plan says nothing twice: in the demonstration and in every page."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import unwrapped

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TRANSCRIPT = re.compile(r"<!-- (?:transcript|failure): (\S+) -->\n```console\n(.*?)```\n<!-- end -->", re.DOTALL)
FOR_PROGRAMS = {"script", "script-run", "json"}
TO_PASTE = re.compile(
    r"(2\.1)?\$ |(  )+(python manage\.py|SELECT|UPDATE|INSERT|DELETE|DROP|ALTER|CREATE) |python manage\.py migrate |# \w+: "
)


def too_wide(text: str) -> list[str]:
    """Lines that are neither a command to paste nor one single name."""
    return [line for line in text.splitlines() if len(line) > 80 and not TO_PASTE.match(line) and len(line.split()) > 1]


def plans(text: str) -> Iterator[list[str]]:
    """The lines of each plan, from the database to the digest."""
    for plan in re.findall(
        r"^Database [^\n]*\n(?:Moment|Keeps).*?^Digest of this plan", text, re.DOTALL | re.MULTILINE
    ):
        yield [line for line in unwrapped(plan).splitlines() if line]


def twice(text: str) -> list[str]:
    return [line for plan in plans(text) for line, count in Counter(plan).items() if count > 1]


def shown() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for found in TRANSCRIPT.finditer(page.read_text()):
            if found[1] not in FOR_PROGRAMS:
                yield f"{page.relative_to(ROOT)}: {found[1]}", found[2]


@pytest.fixture(scope="module")
def demonstration() -> str:
    words = [sys.executable, "-m", "example_project.demo"]
    said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120).stdout
    return said.replace(str(ROOT / "example_project") + "/", "")


@pytest.mark.parametrize(("name", "text"), [pytest.param(*each, id=each[0]) for each in shown()])
def test_transcripts(name: str, text: str) -> None:
    assert too_wide(text) == []
    assert twice(text) == []


def test_the_demonstration(demonstration: str) -> None:
    assert len(list(plans(demonstration))) == 3
    assert too_wide(demonstration) == []
    assert twice(demonstration) == []


def test_what_is_looked_for_is_found() -> None:
    assert len(list(shown())) > 20
    assert too_wide("x " * 41 + "\n  python manage.py " + "x " * 40 + "\n" + "x" * 90) == ["x " * 41]
    assert twice("Database d\nMoment m\n  same\n  same\nDigest of this plan: 1\n") == ["  same"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_wrap_at_100(page: Path) -> None:
    """Not what is shown as it is, tables, and links."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    prose = [line for line in text.splitlines() if not line.startswith("|") and "](" not in line]
    assert [line for line in prose if len(line) > 100] == []
