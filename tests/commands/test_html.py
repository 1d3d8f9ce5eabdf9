"""--format html: the plan as a page."""

from __future__ import annotations

from pathlib import Path

from rollback_app.history import Key
from tests.commands.test_markdown import DAY_1, DAY_2, LATE, table
from tests.support.commands import call
from tests.support.databases import Database
from tests.support.history import deploy, rows
from tests.support.projects import Project


def test_a_plan_is_a_page(database: Database, project: Project, tmp_path: Path) -> None:
    project(a={"0001_t": table(database), "0002_x": LATE})
    deploy(database.alias, DAY_1, [Key("a", "0001_t")])
    deploy(database.alias, DAY_2)
    before, file = rows(database.alias), tmp_path / "plan.html"
    where = ["--database", database.alias, "--format", "html", "--output", str(file)]
    said = call("rollbackmigrationsafter", DAY_2.isoformat(), *where, "--reason", "<b>Slow</b>")
    assert (said.status, said.out) == (0, "")
    assert rows(database.alias) == before
    page = file.read_text()
    assert page.startswith("<!doctype html>\n")
    assert page.endswith("</html>\n")
    assert "<title>Rollback of" in page
    assert "<dt>Why</dt><dd>&lt;b&gt;Slow&lt;/b&gt;</dd>" in page
    assert 'class="cut"' in page
    assert "<code>a.0002_x</code>" in page
