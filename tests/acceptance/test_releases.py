"""What two releases of the shop print beside each other: real processes of both, on one database.

`UPDATE_TRANSCRIPTS=1 pytest tests/acceptance` writes the pages anew. A transcript stands between `<!-- releases: NAME -->` and
`<!-- end -->`; the prompt names the release that a line runs in. Those of a page are run one after the other.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.acceptance.releases import Releases
from tests.acceptance.test_transcripts import same_form
from tests.support.databases import Database

DOCS = Path(__file__).parent.parent.parent / "docs"
BLOCK = re.compile(r"(<!-- releases: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SHELL = "python manage.py shell -v 0 -c"
AFTER_2_1 = 'python manage.py rollbackmigrationsafter "2024-05-15 11:00"'
REGISTERED = "from example_project.accounts.models import User as U; print(U.objects.create(username='linus'))"
DEFAULTS = [
    """ALTER TABLE accounts_user ALTER COLUMN loyalty_points SET DEFAULT 0;""",
    """ALTER TABLE orders_order ALTER COLUMN note SET DEFAULT '';""",
]
EXECUTE = "import sys; from django.db import connection; connection.cursor().execute(sys.stdin.read())"
TRANSCRIPTS = {
    "asked": [
        ("shop-2.2", f"{AFTER_2_1} --plan -v 2 | sed -n '/^Without/,/^Rows/p'"),
        ("shop-2.1", "python manage.py checkschema -v 0; echo $?"),
    ],
    "helped": [
        ("shop-2.2", f'{SHELL} "{EXECUTE}" <<SQL\n{DEFAULTS[0]}\n{DEFAULTS[1]}\nSQL'),
        ("shop-2.1", "python manage.py checkschema; echo $?"),
        ("shop-2.1", f'{SHELL} "{REGISTERED}"'),
        ("shop-2.1", "python manage.py migrate"),
    ],
    "held": [
        ("shop-2.2", f'{AFTER_2_1} --no-input -v 0 --reason "Checkout fails"'),
        ("shop-2.2", "python manage.py migrate && exec gunicorn shop.wsgi"),
        ("shop-2.1", "python manage.py migrate && python manage.py checkschema -v 0 && exec gunicorn shop.wsgi"),
    ],
    "here": [
        (
            "shop-2.1",
            "python manage.py checkschema -v 0 || python manage.py rollbackmigrationsafter here --no-input | tail -n 19",
        ),
        ("shop-2.1", "python manage.py checkschema && exec gunicorn shop.wsgi"),
    ],
    "forward": [("shop-2.2", "python manage.py migratehold --off && python manage.py migrate")],
}


def made(name: str, releases: Releases) -> str:
    lines = []
    for release, line in TRANSCRIPTS[name]:
        typed = line.replace("\n", "\n> ")
        lines.append(f"{release}$ {typed}\n{same_form(releases.printed(release, line))}")
    return f"```console\n{''.join(lines)}```\n"


def check(page: str, releases: Releases) -> None:
    text = (DOCS / page).read_text()
    renewed = BLOCK.sub(lambda block: f"{block[1]}{made(block[2], releases)}{block[4]}", text)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        (DOCS / page).write_text(renewed)
    assert renewed == text


@pytest.mark.databases("postgresql")  # SQLite gives no default to a column that is there
def test_without_a_rollback(database: Database, tmp_path: Path) -> None:
    check("howto/without-a-rollback.md", Releases(database, tmp_path))


@pytest.mark.databases("sqlite")
def test_containers(database: Database, tmp_path: Path) -> None:
    check("howto/containers.md", Releases(database, tmp_path))


@pytest.mark.databases("sqlite")
def test_older_image(database: Database, tmp_path: Path) -> None:
    check("howto/older-image.md", Releases(database, tmp_path, '\nROLLBACK = {"PACKAGE": True}\n'))


def test_each_transcript_is_used() -> None:
    used = [block[2] for page in sorted(DOCS.rglob("*.md")) for block in BLOCK.finditer(page.read_text()) if block[3]]
    assert sorted(used) == sorted(TRANSCRIPTS)


def scripts() -> list[str]:
    """The entry points on the page."""
    page = (DOCS / "howto/containers.md").read_text()
    return [found.removeprefix("#!/bin/sh\n") for found in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]


@pytest.mark.databases("sqlite")
def test_the_entry_points_on_the_page(database: Database, tmp_path: Path) -> None:
    """One waits while migrate is held; the other serves no release that does not fit."""
    waits, fits = scripts()
    releases = Releases(database, tmp_path)
    assert "gunicorn serves shop.wsgi" not in releases.printed("shop-2.1", fits)
    assert releases.printed("shop-2.2", f'{AFTER_2_1} --no-input -v 0 --reason "Checkout fails"') == ""
    assert releases.printed("shop-2.1", fits).endswith("gunicorn serves shop.wsgi\n")
    assert "gunicorn serves shop.wsgi" not in releases.printed("shop-2.2", fits)
    with releases.start("shop-2.2", waits) as waiting:
        assert waiting.stdout
        assert "migrate is held" in waiting.stdout.readline()
        assert waiting.poll() is None
        releases.printed("shop-2.2", "python manage.py migratehold --off")
        said, _ = waiting.communicate(timeout=120)
    assert said.endswith("gunicorn serves shop.wsgi\n")
    assert "Applying orders.0006_invoice... OK" in said
