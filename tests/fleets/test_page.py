"""docs/howto/tenants.md shows what a run prints. `UPDATE_TRANSCRIPTS=1 pytest tests/fleets` writes it anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.fleets.files import ROOT, Fleet

PAGE = ROOT / "docs/howto/tenants.md"
BLOCK = re.compile(r"(<!-- fleet: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LINES = {
    "plan": 'python manage.py rollbackfleet "2024-05-01" --canary demo --plan',
    "run": 'python manage.py rollbackfleet "2024-05-01" --canary demo | tail -n 14',
    "failed": 'python manage.py rollbackfleet "2024-05-01" --canary demo 2>&1 | tail -n 14',
    "resume": "python manage.py rollbackfleet --resume | tail -n 6",
}


def printed(fleet: Fleet, name: str) -> str:
    line = LINES[name]
    done = fleet.shell(f"({line}) 2>&1".replace("rollbackfleet", "rollbackfleet --workers 1"))
    text = re.sub(r"\d+ days?( \d+ h)? ago", "… ago", done.stdout)
    text = re.sub(r"\d+\.\d\d s\b", "… s", text).replace(" --workers 1", "")
    return f"```console\n$ {line}\n{text}```\n"


def test_the_page_is_true(fleet: Fleet, made: Path, tmp_path: Path) -> None:
    names = ("acme", "beta", "demo", "eagle", "fox")
    fleet.add(*names).add("coda", at=2)
    failing = Fleet.copied(made, tmp_path / "failing").add(*names)
    failing.fail("eagle")
    found = {name: printed(fleet, name) for name in ("plan", "run")}
    found["failed"] = printed(failing, "failed")
    failing.repair("eagle")
    found["resume"] = printed(failing, "resume")
    text = PAGE.read_text()
    renewed = BLOCK.sub(lambda block: f"{block[1]}{found[block[2]]}{block[4]}", text)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        PAGE.write_text(renewed)
    assert renewed == text
