"""`rollbackpackage`: what it writes, what it says, and what is wrong usage."""

from __future__ import annotations

import json
import py_compile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rollback_app import packages
from rollback_app.errors import shown
from tests.support.commands import Said, call, roll_back
from tests.support.databases import Database
from tests.support.history import migrate
from tests.support.projects import Project

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'


def make(folder: Path, *older: str, database: str = "default", file: str = "shop.zip") -> Said:
    return call("rollbackpackage", *older, file=str(folder / file), database=database)


def names(folder: Path) -> list[str]:
    package = packages.of_zip((folder / "shop.zip").read_bytes(), "")
    return sorted(map(str, package.migrations))


@pytest.fixture
def manifest(project: Project, tmp_path: Path) -> str:
    """Of the older release; the newer one's code is there."""
    project(a={"0001_t": T})
    file = tmp_path / "older.json"
    file.write_text(call("migrationmanifest").out)
    project(a={"0001_t": T, "0002_x": X}, b={"0001_t": T})
    return f"manifest:{file}"


def test_what_the_older_release_lacks(manifest: str, tmp_path: Path, settings: Settings) -> None:
    settings.ROLLBACK = {"RELEASE": "2.2"}
    said = make(tmp_path, manifest)
    size = (tmp_path / "shop.zip").stat().st_size
    assert said.status == 0
    wrote, _, line = said.out.rpartition("\n  ")
    assert " ".join(wrote.split()) == (
        f"Wrote {tmp_path / 'shop.zip'}: 2 migrations of 2 apps of release 2.2, {size / 1000:.1f} kB. "
        "To look at the rollback, in the older release:"
    )
    assert line == f"python manage.py rollbackmigrationsafter here --package {tmp_path / 'shop.zip'} --plan\n"
    assert names(tmp_path) == ["a.0002_x", "b.0001_t"]
    with zipfile.ZipFile(tmp_path / "shop.zip") as archive:
        told = json.loads(archive.read("manifest.json"))
    assert told["release"] == "2.2"
    assert told["code"] == ["a.0001_t", "a.0002_x", "b.0001_t"]
    before = (tmp_path / "shop.zip").read_bytes()
    make(tmp_path, manifest)
    assert (tmp_path / "shop.zip").read_bytes() == before


def test_all_without_an_older_release(manifest: str, tmp_path: Path) -> None:
    assert make(tmp_path).status == 0
    assert names(tmp_path) == ["a.0001_t", "a.0002_x", "b.0001_t"]


def test_nothing_is_lacking(project: Project, manifest: str, tmp_path: Path) -> None:
    project(a={"0001_t": T})
    said = make(tmp_path, manifest)
    assert "it is empty, since the older release lacks no migration of this code." in said.out
    assert names(tmp_path) == []


def test_a_release_that_the_database_knows(
    database: Database, project: Project, settings: Settings, tmp_path: Path
) -> None:
    settings.ROLLBACK = {"RELEASE": "2.1"}
    project(a={"0001_t": T})
    migrate(database.alias)
    settings.ROLLBACK = {"RELEASE": "2.2"}
    project(a={"0001_t": T, "0002_x": X})
    migrate(database.alias)
    assert make(tmp_path, "release:2.1", database=database.alias).status == 0
    assert names(tmp_path) == ["a.0002_x"]
    said = make(tmp_path, "release:2.0", database=database.alias)
    assert said.status == 2
    assert said.error.startswith("No release '2.0' is recorded here.")


@pytest.mark.parametrize("older", ["last", "manifest:", "release:", "2.1"])
def test_what_is_no_older_release(manifest: str, tmp_path: Path, older: str) -> None:
    said = make(tmp_path, older)
    assert said.status == 2
    assert said.error.splitlines()[0] == f"'{older}' does not name an older release."
    assert not (tmp_path / "shop.zip").exists()


def test_the_manifest_of_another_project(project: Project, manifest: str, tmp_path: Path) -> None:
    project(c={"0001_t": T})
    said = make(tmp_path, manifest)
    assert said.status == 2
    assert "is probably another project's: this code has few of its migrations." in said.error


@pytest.mark.parametrize(("file", "why"), [("", "Is a directory"), ("no/shop.zip", "No such file or directory")])
def test_a_file_that_cannot_be_written(manifest: str, tmp_path: Path, file: str, why: str) -> None:
    said = make(tmp_path, manifest, file=file)
    assert said.status == 2
    assert why in said.error or "is no file that can be replaced" in said.error


def test_a_disk_that_is_full(manifest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.zip").write_text("of last week")

    def fails(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fails)
    said = make(tmp_path, manifest)
    assert said.status == 2
    assert "cannot be written: No space left on device" in said.error
    assert sorted(path.name for path in tmp_path.glob("*shop*")) == ["shop.zip"]
    assert (tmp_path / "shop.zip").read_text() == "of last week"


def test_a_release_that_has_no_name(manifest: str, tmp_path: Path, settings: Settings) -> None:
    settings.ROLLBACK = {"RELEASE": 1}
    said = make(tmp_path, manifest)
    assert said.status == 1
    assert "ROLLBACK['RELEASE'] must give a str, not int." in said.error


def test_without_source_files(project: Project, tmp_path: Path) -> None:
    folder = project(a={"0001_t": T})
    source = folder / "a" / "0001_t.py"
    py_compile.compile(str(source), cfile=f"{source}c", doraise=True)
    source.unlink()
    said = make(tmp_path)
    assert said.status == 1
    assert said.error.splitlines()[0] == f"The migration {folder.name}.a.0001_t has no source file, only 0001_t.pyc."


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("content", "status"), [(b"no zip", 2), (None, 2)])
def test_the_main_command_refuses_what_is_no_package(
    database: Database, project: Project, tmp_path: Path, content: bytes | None, status: int
) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    file = tmp_path / "shop.zip"
    if content:
        file.write_bytes(content)
    said = roll_back(database, "here", package=str(file))
    assert said.status == status
    assert said.error.startswith(f"The file '{shown(str(file))}' ")
    assert said.out == ""


@pytest.mark.databases("sqlite")
def test_the_line_to_run_names_the_package(database: Database, project: Project, tmp_path: Path) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    project(a={"0001_t": T, "0002_x": X})
    migrate(database.alias)
    make(tmp_path)
    project(a={"0001_t": T})
    said = roll_back(database, "here", package=f"{tmp_path}/shop.zip", plan=True)
    line = f"  python manage.py rollbackmigrationsafter here --package {tmp_path}/shop.zip --database default"
    assert said.out.splitlines()[-1] == line
