"""An older release undoes a newer one: with a package in a file, and with what `migrate` has stored in the database."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rollback_app import bookkeeping, packages, workflow
from rollback_app import database as databases
from rollback_app import project as code_on_disk
from rollback_app.bookkeeping import PACKAGES_TABLE
from rollback_app.history import Key
from tests.support.commands import Said, call, roll_back
from tests.support.databases import Database, wait_until_alone
from tests.support.history import keys, migrate
from tests.support.killed import forked
from tests.support.projects import Project, migration
from tests.support.schema import difference, snapshot

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField(default=0))])'
U = 'migrations.CreateModel("U", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
HALVES = migration(
    "migrations.RunPython(double, halve)",
    [("a", "0002_x")],
    before="from ._by_two import halve\n\ndef double(apps, editor):\n    from . import _not_there\n",
)
BY_TWO = """\
'''For the class Migration.'''
from django.db.models import F

def halve(apps, editor):
    from django.db.models.functions import Floor
    apps.get_model("a", "T").objects.using(editor.connection.alias).update(n=Floor(F("n") / {number}))
"""
OLDER: dict[str, Any] = {"a": {"0001_t": T, "_by_two": BY_TWO.format(number=10)}}
NEWER: dict[str, Any] = {
    "a": {"0001_t": T, "0002_x": X, "0003_halves": HALVES.replace("from . import _not_there", "pass"), "_by_two": ""},
    "b": {"0001_u": U},
}
NEWER["a"]["_by_two"] = BY_TWO.format(number=2)


def shop_of(database: Database, project: Project, **newer: Any) -> None:
    """The newer release has migrated it, and its code is there."""
    project(**OLDER)
    migrate(database.alias)
    project(**{**NEWER, **newer})
    migrate(database.alias)
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (n, x) VALUES (8, 1)")


def fresh(database: Database) -> Any:
    return snapshot(database.connection)


def package(folder: Path, *older: str) -> Path:
    """What the newer release makes."""
    said = call("rollbackpackage", *older, file=str(folder / "newer.zip"))
    assert said.status == 0, said.all
    return folder / "newer.zip"


def back(database: Database, moment: str = "here", **options: Any) -> Said:
    """By the older release."""
    return roll_back(database, moment, destroy_data=False, **options)


@pytest.fixture
def stored(database: Database, project: Project, settings: Settings) -> Database:
    """Each `migrate` has stored its migrations, and the older release's code is there."""
    settings.ROLLBACK = {"RECORD": False, "HOLD": False, "PACKAGE": True, "RELEASE": "2.2"}
    shop_of(database, project)
    project(**OLDER)
    return database


def is_back(database: Database) -> None:
    assert keys(database.alias) == [("a", "0001_t")]
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT n FROM a_t")
        assert list(cursor.fetchall()) == [(4,)]  # by the helper of the newer release, and not by that of the older one


def test_with_a_file(database: Database, project: Project, tmp_path: Path) -> None:
    project(**OLDER)
    migrate(database.alias)
    before = fresh(database)
    shop_of(database, project)
    file = package(tmp_path)
    project(**OLDER)
    said = back(database, package=str(file))
    assert said.status == 0, said.all
    assert f"3 of these migrations are not in this code. They come from {file}. [rollback.I012]" in said.out
    assert "Next: start this release. Do not run migrate from the newer one: it would apply" in said.out
    is_back(database)
    assert difference(before, fresh(database)) == []
    assert "Nothing to do" in back(database, package=str(file)).out
    project(**NEWER)
    migrate(database.alias)
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT x FROM a_t")
        assert list(cursor.fetchall()) == [(1,)]


def test_with_nothing_at_hand(stored: Database) -> None:
    said = back(stored)
    assert said.status == 0, said.all
    assert f"come from row 2 of {PACKAGES_TABLE} (release 2.2). [rollback.I012]" in said.out
    is_back(stored)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("moment", ["migration:a.0001_t", "2001-01-01"])
def test_other_moments_find_it_too(stored: Database, moment: str) -> None:
    """And what is on disk is never taken from a package."""
    said = back(stored, moment, plan=True, split_deployment=True)
    assert said.status == 0, said.all
    assert "3 of these migrations are not in this code" in said.out
    (preview,) = workflow.preview(moment, using=[stored.alias])
    on_disk = preview.plan.basis.code.migrations.keys() - preview.plan.basis.code.packaged.keys()
    assert on_disk == {Key("a", "0001_t")}


def test_not_where_the_settings_do_not_say_so(stored: Database, settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False, "HOLD": False}
    said = back(stored)
    assert said.status == 3
    assert "3 late records are not in this code: a.0002_x, a.0003_halves, b.0001_u." in said.all
    assert "or give a --package of that release" in said.all


def test_another_key(stored: Database, settings: Settings) -> None:
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    said = back(stored)
    assert said.status == 3
    assert (
        "a.0002_x cannot be loaded: row 2 of rollback_app_package (release 2.2) is not signed with this project's SECRET_KEY. "
        "[rollback.E009]" in said.all
    )
    settings.SECRET_KEY_FALLBACKS = [old]
    assert back(stored).status == 0


def test_a_changed_row_is_not_loaded(stored: Database, project: Project) -> None:
    with stored.connection.cursor() as cursor:
        cursor.execute(f"SELECT content FROM {PACKAGES_TABLE} WHERE id = 2")
        (content,) = cursor.fetchone()
        spoilt = content[:40] + ("A" if content[40] != "A" else "B") + content[41:]
        cursor.execute(f"UPDATE {PACKAGES_TABLE} SET content = %s WHERE id = 2", [spoilt])
    assert "is not signed with this project's SECRET_KEY" in back(stored).all
    assert back(stored).status == 3
    release = stored.connection.ops.quote_name("release")  # a word of MariaDB
    with stored.connection.cursor() as cursor:
        cursor.execute(f"UPDATE {PACKAGES_TABLE} SET id = 3 WHERE id = 2")
        cursor.execute(
            f"INSERT INTO {PACKAGES_TABLE} SELECT 2, made, {release}, migrations, '' FROM {PACKAGES_TABLE} WHERE id = 3"
        )
        cursor.execute(f"UPDATE {PACKAGES_TABLE} SET content = %s WHERE id = 2", [content])
    assert back(stored).status == 0, "an older row that is as it was made"


@pytest.mark.databases("sqlite")
def test_a_table_of_that_name_that_is_not_ours(stored: Database) -> None:
    with stored.connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {PACKAGES_TABLE}")
        cursor.execute(f"CREATE TABLE {PACKAGES_TABLE} (id integer)")
    assert "3 late records are not in this code" in back(stored).all


def changed(file: Path, **changes: Any) -> str:
    """The same package with other contents, made as if by the newer release."""
    found = packages.of_zip(file.read_bytes(), file.name)
    file.write_bytes(packages.to_zip(replace(found, **changes)))
    return str(file)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("version", ["1.11.2", "99.1"])
def test_another_django(database: Database, project: Project, tmp_path: Path, version: str) -> None:
    """Older or newer."""
    shop_of(database, project)
    file = changed(package(tmp_path), django=version)
    project(**OLDER)
    said = back(database, package=file)
    assert said.status == 3
    assert f"a.0002_x was written for another Django: its package was made with {version}, and this is" in said.all


@pytest.mark.databases("sqlite")
def test_another_project(database: Database, project: Project, tmp_path: Path) -> None:
    shop_of(database, project)
    file = package(tmp_path)
    project(c={"0001_v": U})
    said = back(database, package=str(file))
    assert said.status == 2
    assert said.error.startswith(f"The package {file} is probably another project's: its release has none of the 1 ")
    assert len(said.error.splitlines()) == 2


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            migration(X, [("a", "0001_t")], before="import no_such_module"),
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        (
            migration(
                "migrations.RunPython(migrations.RunPython.noop, back)",
                [("a", "0001_t")],
                before="def back(apps, editor):\n    from json import no_such_name\n",
            ),
            "ImportError: cannot import name 'no_such_name' from 'json'",
        ),
        (migration(X, [("a", "0001_t")], before="import sys; sys.exit()"), "SystemExit: "),
        (
            migration(X, [("a", "0001_t")]).replace("[migrations.AddField", "[1, migrations.AddField"),
            "TypeError: operations of",
        ),
    ],
)
def test_what_it_imports_and_this_code_lacks(
    database: Database, project: Project, tmp_path: Path, text: str, why: str
) -> None:
    """What depends on it cannot be loaded either, and no code has run."""
    shop_of(database, project)
    name = f"{code_on_disk.code().migrations[Key('a', '0002_x')].__module__.replace('.', '/')}.py"
    file = package(tmp_path)
    files = packages.of_zip(file.read_bytes(), "").files
    changed(file, files={**files, name: text.encode()})
    project(**OLDER)
    said = back(database, package=str(file))
    assert said.status == 3
    assert f"a.0002_x cannot be loaded: {why}" in said.all
    assert (
        "a.0003_halves depends on a.0002_x, which is neither in this code nor can be loaded from a package." in said.all
    )
    assert "Run this from the newer release, which has all that it needs." in said.all
    assert ("b", "0001_u") in keys(database.alias)


@pytest.mark.databases("sqlite")
def test_what_only_migrate_runs_may_lack_something(database: Database, project: Project, tmp_path: Path) -> None:
    shop_of(database, project)
    project(**{**NEWER, "a": {**NEWER["a"], "0003_halves": HALVES}})
    file = package(tmp_path)
    project(**OLDER)
    assert back(database, package=str(file)).status == 0


IMPORTS = """\
import dataclasses
import {own}._by_two
import {own}._by_two as by_two
from {own} import _by_two as again
from . import _by_two as relative, ANSWER
from {app}.apps import *
try:
    from . import _gone
except ImportError:
    pass

assert by_two is again is relative is {own}._by_two
assert by_two.__name__ == "packaged.{own}._by_two"
assert {own}.ANSWER == 41 != ANSWER, "what this code has, and what the package has"

def back(apps, editor):
    try:
        import no_such_module
    except ImportError:
        assert ANSWER == 42
    import {own}._by_two
    by_two.halve(apps, editor)
"""


@pytest.mark.databases("sqlite")
def test_all_ways_to_import(database: Database, project: Project, tmp_path: Path) -> None:
    root = project(**OLDER)
    migrate(database.alias)
    folder = project(**NEWER)
    own = f"{folder.name}.a"
    (folder / "a" / "__init__.py").write_text("ANSWER = 42\n")
    text = migration(
        "migrations.RunPython(migrations.RunPython.noop, back)",
        [("a", "0002_x")],
        before=IMPORTS.format(own=own, app="tests.apps.a"),
    )
    here = [line for line in text.splitlines() if not line.startswith("assert ")]
    (folder / "a" / "0003_halves.py").write_text("\n".join(here))
    migrate(database.alias)
    file = package(tmp_path)
    found = packages.of_zip(file.read_bytes(), "")
    assert f"{folder.name}/a/__init__.py" in found.files
    changed(file, files={**found.files, f"{folder.name}/a/0003_halves.py": text.encode()})
    project.forget()
    (folder / "a" / "__init__.py").write_text("ANSWER = 41\n")
    project.settings.MIGRATION_MODULES = {
        **project.settings.MIGRATION_MODULES,
        "a": f"{root.name}.a",
        "b": "tests.apps.empty",
    }
    with database.connection.cursor() as cursor:
        cursor.execute("INSERT INTO a_t (n, x) VALUES (8, 1)")
    said = back(database, package=str(file))
    assert said.status == 0, said.all
    is_back(database)


def test_an_app_that_is_not_installed_here(
    database: Database, project: Project, settings: Settings, tmp_path: Path
) -> None:
    shop_of(database, project)
    file = package(tmp_path)
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "tests.apps.b"]
    project(**OLDER)
    assert back(database, package=str(file)).status == 0
    is_back(database)
    assert "b_u" not in database.connection.introspection.table_names()


@pytest.mark.databases("sqlite")
def test_records_that_nobody_knows(stored: Database) -> None:
    """Those of an app that is long gone stay; newer ones block."""
    with stored.connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('gone', '0001', '2001-01-01')")
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('new', '0001', '2101-01-01')")
    said = back(stored)
    assert said.status == 3
    assert "new.0001 is not among what is kept, but this code has no such migration." in said.all
    assert back(stored, exclude=["new"]).status == 0
    assert keys(stored.alias) == [("a", "0001_t"), ("gone", "0001"), ("new", "0001")]


@pytest.mark.databases("sqlite")
def test_a_squash_that_the_older_release_lacks(database: Database, project: Project, settings: Settings) -> None:
    """Nobody depends on its record, and what does depend on the squash finds it, recorded or not."""
    settings.ROLLBACK = {"RECORD": False, "HOLD": False, "PACKAGE": True}
    older = {"0001_t": T, "0002_x": X}
    squashed = migration(f"{T}, {X}", replaces=[("a", "0001_t"), ("a", "0002_x")])
    project(a=older)
    migrate(database.alias)
    project(
        a={**older, "0001_squashed": squashed, "0003_y": migration(X.replace('"x"', '"y"'), [("a", "0001_squashed")])}
    )
    migrate(database.alias)
    assert ("a", "0001_squashed") in keys(database.alias)
    with database.connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name = '0001_squashed'")
    project(a=older)
    said = back(database)
    assert said.status == 0, said.all
    assert keys(database.alias) == [("a", "0001_t"), ("a", "0002_x")]


@pytest.mark.databases("sqlite")
def test_nothing_is_stored_of_these(
    database: Database, project: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `migrate` that goes back or applies nothing, and the databases of tests."""
    settings.ROLLBACK = {"RECORD": False, "PACKAGE": True}
    project(**OLDER)
    migrate(database.alias)
    migrate(database.alias)
    migrate(database.alias, "a", "zero")
    with database.connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {PACKAGES_TABLE}")
        assert cursor.fetchall() == [(1,)]
        cursor.execute(f"DROP TABLE {PACKAGES_TABLE}")
    monkeypatch.setattr("rollback_app.receivers._is_of_tests", lambda using: True)
    migrate(database.alias)
    assert PACKAGES_TABLE not in database.connection.introspection.table_names()


@pytest.mark.databases("sqlite")
def test_what_cannot_be_stored_is_a_warning(
    database: Database, project: Project, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ROLLBACK = {"RECORD": False, "PACKAGE": True}
    folder = project(a={"0001_t": T})
    (folder / "a" / "0001_t.py").write_bytes(f"# coding: latin-1\n# \xe4\n{migration(T)}".encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        migrate(database.alias)
    (record,) = [record for record in caplog.records if record.name.startswith("rollback_app.")]
    assert record.getMessage().startswith(f"The migrations were not stored on {database.alias}: 'utf-8' codec")
    assert keys(database.alias) == [("a", "0001_t")]


def test_a_row_says_what_it_is(database: Database, project: Project) -> None:
    project(**OLDER)
    made = workflow.make_package()
    bookkeeping.add_package(databases.get(database.alias), made)
    (row,) = bookkeeping.packages.PackageEntry.objects.using(database.alias).all()
    assert str(row) == "1: "


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("number", [2, 5, 8])
def test_killed_in_the_middle(stored: Database, number: int) -> None:
    """The same command again ends well."""
    assert forked(stored.alias, number, lambda: back(stored), changes=True) == -9
    wait_until_alone(stored)
    said = back(stored)
    assert said.status == 0, said.all
    is_back(stored)
