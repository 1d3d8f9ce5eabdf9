"""--expect and --output: a plan that was approved, and output that goes to a file."""

from __future__ import annotations

import json
import os
import re
import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest

from rollback_app.history import Key
from tests.support.commands import Said, call
from tests.support.databases import Database
from tests.support.history import deploy, keys, rows, set_applied
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    project(a={"0001_t": T, "0002_x": 'migrations.AddField("T", "x", models.IntegerField(null=True))'})
    deploy(database.alias, DAY_1, [Key("a", "0001_t")])
    deploy(database.alias, DAY_2)
    return database


def roll_back(shop: Database, moment: datetime, *options: str) -> Said:
    return call("rollbackmigrationsafter", moment.isoformat(), "--database", shop.alias, *options)


def plan(shop: Database) -> dict[str, object]:
    (found,) = roll_back(shop, DAY_2, "--plan", "--format", "json").json["plans"]
    return dict(found)


def test_the_approved_plan_runs(shop: Database) -> None:
    done = roll_back(shop, DAY_2, "--no-input", "--expect", str(plan(shop)["digest"]))
    assert done.status == 0, done.all
    assert keys(shop.alias) == [Key("a", "0001_t")]


@pytest.mark.parametrize("options", [(), ("--plan",), ("--format", "json"), ("--rehearse",), ("--format", "commands")])
@on_sqlite
def test_any_other_plan_is_refused(shop: Database, options: tuple[str, ...]) -> None:
    before = rows(shop.alias)
    refused = roll_back(shop, DAY_2, "--no-input", "--expect", "0123456789ab", *options)
    assert refused.status == 3
    assert f"Its digest is {plan(shop)['digest']}, not 0123456789ab. Nothing was changed." in refused.all
    assert "give its digest to --expect" in refused.all
    assert rows(shop.alias) == before


@on_sqlite
def test_a_file_tells_what_differs(shop: Database, tmp_path: Path) -> None:
    approved = tmp_path / "plan.json"
    assert roll_back(shop, DAY_2, "--plan", "--format", "json", "--output", str(approved)).out == ""
    assert roll_back(shop, DAY_2, "--plan", "--expect", str(approved)).status == 0

    set_applied(shop.alias, dict.fromkeys(keys(shop.alias), DAY_2))
    more = roll_back(shop, DAY_2, "--plan", "--expect", str(approved), "--destroy-data")
    assert more.status == 3
    assert more.all.split("Nothing was changed.\n")[1].splitlines()[:-1] == [
        "  approved  keep a.0001_t, deployed 2024-05-01 08:00:00 UTC",
        "  now       undo a.0001_t, applied 2024-05-02 08:00:00 UTC",
    ]
    less = tmp_path / "both.json"
    roll_back(shop, DAY_2, "--plan", "--format", "json", "--output", str(less))
    set_applied(shop.alias, {keys(shop.alias)[0]: DAY_1})
    other = roll_back(shop, DAY_2, "--plan", "--expect", str(less))
    assert "\n  approved  undo a.0001_t, applied 2024-05-02 08:00:00 UTC\n" in other.all
    set_applied(shop.alias, {keys(shop.alias)[0]: DAY_1.replace(hour=9)})
    later = roll_back(shop, DAY_2, "--plan", "--expect", str(approved))
    assert "\n  now       keep a.0001_t, deployed 2024-05-01 09:00:00 UTC\n" in later.all
    set_applied(shop.alias, {keys(shop.alias)[0]: DAY_1})
    move_records(shop)
    same = roll_back(shop, DAY_2, "--plan", "--expect", str(approved))
    assert "\n  The steps are the same, but other records of django_migrations have changed.\n" in same.all


def move_records(shop: Database) -> None:
    """As if they had been deleted, and written again."""
    from django.db.migrations.recorder import MigrationRecorder

    records = MigrationRecorder(shop.connection).migration_qs
    for record in records.order_by("-id"):
        records.filter(pk=record.pk).update(id=record.pk + 100)


@on_sqlite
def test_of_many_lines_that_differ_some_are_shown(database: Database, project: Project, tmp_path: Path) -> None:
    project(a={"0001_t": T, **{f"{number:04}_x": "" for number in range(2, 40)}})
    deploy(database.alias, DAY_1, [Key("a", "0001_t")])
    deploy(database.alias, DAY_2)
    approved = tmp_path / "plan.json"
    roll_back(database, DAY_2, "--plan", "--format", "json", "--output", str(approved))
    fewer = roll_back(database, DAY_2, "--plan", "--expect", str(approved), "--fake", "a.0039_x", "--steps", "3")
    assert fewer.status == 3
    lines = fewer.all.split("Nothing was changed.\n")[1].splitlines()
    assert lines[:2] == [
        "  approved  undo a.0039_x, applied 2024-05-02 08:00:37 UTC",
        "  now       fake a.0039_x, applied 2024-05-02 08:00:37 UTC",
    ]
    assert lines[20] == "  and 52 more lines that differ"


@on_sqlite
def test_a_squash_that_is_forgotten_is_a_line(database: Database, project: Project, tmp_path: Path) -> None:
    project(a={"0001_t": T, "0002_x": ""})
    deploy(database.alias, DAY_1)
    squash = migration("", replaces=[("a", "0001_t"), ("a", "0002_x")])
    project.replace(a={"0001_t": T, "0002_x": "", "0001_squashed": squash})
    deploy(database.alias, DAY_2)
    approved = tmp_path / "plan.json"
    roll_back(database, DAY_2, "--plan", "--format", "json", "--output", str(approved))
    assert roll_back(database, DAY_2, "--plan", "--expect", str(approved)).status == 0
    all_of_it = roll_back(database, DAY_1, "--plan", "--expect", str(approved))
    assert "\n  approved  forget the squash a.0001_squashed, applied 2024-05-02 08:00:00 UTC\n" in all_of_it.all


@on_sqlite
def test_nothing_to_do_needs_no_approval(shop: Database) -> None:
    late = DAY_2.replace(day=3)
    assert roll_back(shop, late, "--no-input", "--expect", "0123456789ab").status == 0


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"plans": []}', '{"plans": [{"digest": "x", "steps": []}]}', '{"plans": 1}']
)
@on_sqlite
def test_a_file_that_is_no_plan(shop: Database, tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    wrong = roll_back(shop, DAY_2, "--plan", "--expect", str(file))
    assert (wrong.status, wrong.out) == (2, "")
    assert "is neither a digest nor a plan" in wrong.error


@on_sqlite
def test_text_is_shown_and_written(shop: Database, tmp_path: Path) -> None:
    file = tmp_path / "plan.txt"
    told = roll_back(shop, DAY_2, "--plan", "--output", str(file))
    assert file.read_text() == told.out
    assert "To run it:" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~_umask()
    assert list(tmp_path.glob(".*")) == []


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@on_sqlite
def test_a_refused_plan_is_written_too(shop: Database, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    refused = roll_back(shop, DAY_2, "--plan", "--format", "json", "--expect", "0123456789ab", "--output", str(file))
    assert refused.status == 3
    assert json.loads(file.read_text())["outcome"] == "refused"


@on_sqlite
def test_a_file_that_cannot_be_written_is_known_before_the_run(shop: Database, tmp_path: Path) -> None:
    before = rows(shop.alias)
    (tmp_path / "folder").mkdir()
    for name in (tmp_path / "none" / "plan", tmp_path / "folder", Path(os.devnull), tmp_path / ("x" * 300), "a\0b"):
        refused = roll_back(shop, DAY_2, "--no-input", "--output", str(name))
        assert refused.status == 2, refused.all
        assert re.search("cannot be written|is no file that can be replaced", refused.error)
    assert rows(shop.alias) == before
    assert not Path(os.devnull).is_file()


@on_sqlite
def test_a_link_stays_a_link(shop: Database, tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    roll_back(shop, DAY_2, "--plan", "--output", str(link))
    assert link.is_symlink()
    assert "a.0002_x" in file.read_text()


@on_sqlite
def test_a_disk_that_is_full_at_the_end(
    shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.txt"
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device") if self.name.startswith(".plan.txt") else real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    assert roll_back(shop, DAY_2, "--no-input", "--output", str(file)).status == 0
    assert "could not be written: No space left on device" in capsys.readouterr().err
    assert list(tmp_path.glob("*plan*")) == []


@on_sqlite
def test_a_bug_leaves_no_file(shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollback_app.planner.plan", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(
            "rollbackmigrationsafter",
            DAY_2.isoformat(),
            "--plan",
            "--output",
            str(tmp_path / "plan"),
            "--database",
            shop.alias,
        )
    assert list(tmp_path.iterdir()) == [path for path in tmp_path.iterdir() if "project" in path.name]
