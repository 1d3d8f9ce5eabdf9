"""Each finding of a plan, and each system check, has its page in docs/reference/findings, with an example that is made here:
`UPDATE_TRANSCRIPTS=1 pytest tests/test_finding_pages.py` writes them anew."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import CheckMessage

from rollback_app import checking, checks, conf, reports, workflow
from rollback_app.bookkeeping import Catalogue
from rollback_app.database import get
from rollback_app.reports.findings import findings
from rollback_app.safety import KeptKind, KeptState
from tests.database.test_checks import T, kept_days_ago, set_clock
from tests.support.checking_examples import EXAMPLES as CHECKING_EXAMPLES
from tests.support.databases import Database
from tests.support.finding_examples import EXAMPLES
from tests.support.history import migrate, set_applied
from tests.support.projects import Project
from tests.support.trials import BAD

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs/reference/findings"
PAGES = {page.stem: page for page in sorted(FOLDER.glob("[CEIW]*.md"))}
BLOCK = re.compile(r"(?<=<!-- finding -->\n```text\n)(.*?)(?=```\n<!-- end -->)", re.DOTALL)
SETTINGS: dict[str, dict[str, Any]] = {
    "E101": {"RECORDS": True},
    "W103": {"RECORD": False},
    "W105": {"REVERSES": {"stock.0003_hash": "noop"}},
    "W106": {"RELEASE": 2.1},
}


def ids() -> set[str]:
    source = "".join(path.read_text() for path in (ROOT / "rollback_app").rglob("*.py"))
    return set(re.findall(r"rollback\.([CEIW]\d{3})", source))


def stands(id: str, example: str) -> None:
    """The page of this finding shows this example."""
    text = PAGES[id].read_text()
    renewed, number = BLOCK.subn(lambda _: f"{example}\n", text)
    assert number == 1
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        PAGES[id].write_text(renewed)
    assert renewed == text


def as_check_prints_it(messages: Sequence[CheckMessage], id: str) -> str:
    (message,) = [each for each in messages if each.id == f"rollback.{id}"]
    text = re.sub(r"database '\w+'", "database 'default'", f"({message.id}) {message.msg}")
    hint = textwrap.fill(
        f"HINT: {message.hint}".replace(", ".join(conf.KEYS), "…"),
        80,
        initial_indent="        ",
        subsequent_indent="        ",
    )
    return f"{textwrap.fill(f'?: {text}', 80)}\n{hint}"


def test_each_id_has_its_page_and_each_page_its_id() -> None:
    assert set(PAGES) == ids()
    listed = re.findall(r"^- \[rollback\.(\w+)\]\((\w+)\.md\): ", (FOLDER / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted((id, id) for id in ids())


@pytest.mark.parametrize("id", PAGES)
def test_a_page_says_what_it_means_with_an_example_and_what_to_do(id: str) -> None:
    text = PAGES[id].read_text()
    heading, meaning, *rest = text.split("\n\n")
    assert heading.startswith(f"# rollback.{id}: ")
    assert not meaning.startswith(("<", "#"))
    assert rest[0].startswith("<!-- finding -->")
    assert f"rollback.{id}" in "".join(BLOCK.findall(text))
    assert "\n## What to do\n\n" in text


@pytest.mark.parametrize("id", EXAMPLES)
def test_the_example_of_a_finding_is_what_the_plan_prints(id: str) -> None:
    found = [finding for finding in EXAMPLES[id]() if finding.id == f"rollback.{id}"]
    report = reports.Report(tuple(findings(found[:1], in_full=True)))
    stands(id, reports.FORMATS["text"](report, lambda style, text: text))


@pytest.mark.parametrize("id", CHECKING_EXAMPLES)
def test_the_example_of_a_check_of_migrations_is_what_it_prints(id: str) -> None:
    (finding,) = CHECKING_EXAMPLES[id]()
    lines = [reports.Line(f"{finding.file}:{finding.line}"), *reports.of_finding(finding)]
    stands(id, reports.FORMATS["text"](reports.Report(tuple(lines)), lambda style, text: text))


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("id", [id for id in BAD if " " not in id])
def test_the_example_of_what_a_trial_finds(id: str, database: Database, project: Project) -> None:
    package = project(a=BAD[id][0])
    found = workflow.check_rollback(everything=True, trial=workflow.Trial(), using=database.alias).findings
    shows(id, found, package)


@pytest.mark.databases("sqlite")
def test_the_example_of_a_release_that_cannot_run(database: Database, project: Project) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    package = project(a={"0001_t": T, "0002_m": 'migrations.AddField("T", "m", models.IntegerField(default=1))'})
    shows("C020", workflow.check_rollback(trial=workflow.Trial(), using=database.alias).findings, package)


def shows(id: str, found: Sequence[checking.Finding], package: Path) -> None:
    (finding,) = [each for each in found if each.id == f"rollback.{id}"]
    lines = [reports.Line(f"{Path(finding.file).relative_to(package)}:{finding.line}"), *reports.of_finding(finding)]
    stands(id, reports.FORMATS["text"](reports.Report(tuple(lines)), lambda style, text: text))


@pytest.mark.parametrize("id", SETTINGS)
def test_the_example_of_a_check_of_the_settings_is_what_it_prints(
    id: str, settings: Settings, project: Project
) -> None:
    project(a={"0001_t": T})
    settings.ROLLBACK = SETTINGS[id]
    stands(id, as_check_prints_it([*checks.settings(), *checks.reverses(), *checks.recording()], id))


@pytest.mark.databases("postgresql")
def test_the_example_of_a_clock_that_is_wrong(database: Database) -> None:
    set_clock(database, 90)
    example = as_check_prints_it(checks.clocks([database.alias]), "W101")
    stands("W101", re.sub(r"is \d+ s", "is 90 s", example))


@pytest.mark.databases("sqlite")
def test_the_example_of_records_in_the_future(database: Database, project: Project) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    set_applied(database.alias, {("a", "0001_t"): datetime.now(timezone.utc) + timedelta(days=1)})
    stands("W102", as_check_prints_it(checks.future_records([database.alias]), "W102"))


@pytest.mark.databases("sqlite")
def test_the_example_of_what_is_kept_for_long(database: Database, project: Project) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    catalogue = Catalogue(get(database.alias))
    for name in ("v", "w"):
        catalogue.add(kind=KeptKind.OBJECT, table="a_t", name=name, state=KeptState.KEPT, left=1)
    kept_days_ago(database, 31)
    stands("W104", as_check_prints_it(checks.kept_for_long([database.alias]), "W104"))
