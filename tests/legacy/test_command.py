"""`legacyrollbacksql`, with a project and without: the statement, --dsn, --csv, --standalone."""

from __future__ import annotations

import ast
import csv
import importlib
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pytest_django.fixtures import Settings

from rollback_app.legacy import standalone
from tests.legacy.rows import T, early, late, write
from tests.support.commands import Said, call
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration

ROOT = Path(__file__).parent.parent.parent
MOMENT = "2024-05-01 08:00+00:00"
ROWS = [*early("a", "0001_t"), *early("b", "0001_t", "0002_x"), *late("b", "0003_y"), *late("a", "0002_x", at=9)]
ROWS += late("c", "0001_squashed_0002_x", at=20)
SQUASH = "# c: 0001_squashed_0002_x was recorded at or after the moment; that can be a note about older migrations"
ANSWER = ["python manage.py migrate a 0001_t", "python manage.py migrate b 0002_x"]

# No Django in this process, and nothing that is not in the standard library or python-dateutil.
WITHOUT_DJANGO = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        # Coverage may be watching this process; sysconfig has a module that is named after the platform.
        known = sys.stdlib_module_names | {"rollback_app", "dateutil", "six", "coverage"}
        if top not in known and not top.startswith("_sysconfigdata"):
            raise ImportError(f"{name} is refused")

sys.meta_path.insert(0, Refuse())
try:
    import django
except ImportError:
    pass
else:
    sys.exit("Django can be imported")
import runpy
sys.argv[0] = "rollback_app"
runpy.run_module("rollback_app", run_name="__main__")
"""


def alone(*words: str, refuse: bool = False, **environment: str) -> Said:
    """`python -m rollback_app`, in a folder that is no project."""
    code = ["-c", WITHOUT_DJANGO] if refuse else ["-m", "rollback_app"]
    inherited = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.run(
        [sys.executable, *code, "legacyrollbacksql", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env={**inherited, "PYTHONPATH": path, **environment},
    )
    return Said(process.returncode, process.stdout, process.stderr)


def same_answer(said: Said) -> bool:
    first, *rest = said.out.splitlines()
    assert said.status == 0, said.error
    return first.startswith(SQUASH) and rest == ANSWER


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "sqlite", "oracle"])
def test_without_django(dialect: str) -> None:
    said = alone("2024-05-01 10:00+02:00", "--dialect", dialect, refuse=True)
    assert said.status == 0
    assert said.error == ""
    assert said.out.count("2024-05-01 08:00:00") == 1
    assert f"for {dialect}." in said.out
    assert said.out == alone("2024-05-01", "10:00", "--timezone", "Europe/Berlin", "--dialect", dialect).out.replace(
        "2024-05-01 10:00, read in Europe/Berlin", "2024-05-01 10:00+02:00, read in +02:00"
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["2024-05-01 10:00", "--dialect", "sqlite"],
            "'2024-05-01 10:00' does not say which time zone it is in.",
        ),
        (["10", "--dialect", "sqlite"], "leaves out a part of the date"),
        ([MOMENT], "Without a project, the statement needs to know the kind of database. Add --dialect with"),
        (
            [MOMENT, "--dialect", "access"],
            "There is no dialect 'access'. Give --dialect with one of: postgresql, mysql,",
        ),
        ([MOMENT, "--dialect", "sqlite", "--csv", "x"], "--dialect chooses the statement to print, and --dsn"),
        (
            [MOMENT, "--dsn", "redis://host/1"],
            "--dsn: 'redis' is not a database that this command can read. Begin it with",
        ),
        ([MOMENT, "--csv", "/nowhere.csv"], "the file '/nowhere.csv' cannot be read: No such file or directory"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], error: str) -> None:
    said = alone(*words, refuse=True)
    assert said.status == 2
    assert said.out == ""
    assert error in said.error
    assert len(said.error.splitlines()) == 1


@pytest.mark.parametrize("option", ["--timezone", "--csv", "--dsn", "--dialect"])
def test_an_option_without_its_value(option: str) -> None:
    said = alone(MOMENT, f"{option}=--", refuse=True)
    assert said.status == 2
    assert f"argument {option}: '--' is not a value" in said.error
    assert "Traceback" not in said.error


def test_without_a_command_it_tells_the_usage() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "rollback_app"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert process.returncode == 2
    assert "legacyrollbacksql" not in process.stdout
    assert "COMMAND" in process.stderr


def test_the_installed_command_is_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`rollback-app`, for pipx and uvx."""
    (target,) = re.findall(
        r'^\[project.scripts\]\nrollback-app = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    module, _, name = target.partition(":")
    monkeypatch.setattr(sys, "argv", ["rollback-app", "legacyrollbacksql", MOMENT, "--dialect", "sqlite"])
    assert getattr(importlib.import_module(module), name)() == 0
    assert capsys.readouterr().out == alone(MOMENT, "--dialect", "sqlite").out


# In a project


def test_the_dialect_and_the_zone_are_the_projects(database: Database) -> None:
    said = call("legacyrollbacksql", "2024-05-01 10:00", database=database.alias)
    assert said.status == 0
    dialect = {"mariadb": "mysql"}.get(database.vendor, database.vendor)
    assert f"for {dialect}." in said.out
    assert "2024-05-01 10:00, read in Europe/Berlin" in said.out
    assert "2024-05-01 08:00:00" in said.out
    assert ("--database" in said.out) == (database.alias != "default")
    write(database, ROWS)
    with database.connection.cursor() as cursor:
        cursor.execute(said.out)
        lines = [line for (line,) in cursor.fetchall()]
    suffix = "" if database.alias == "default" else f" --database {database.alias}"
    assert lines[1:] == [line + suffix for line in ANSWER]


@pytest.mark.databases("sqlite", "mariadb")
def test_without_use_tz_the_moment_is_in_the_projects_time(database: Database, settings: Settings) -> None:
    settings.USE_TZ = False
    said = call("legacyrollbacksql", MOMENT, database=database.alias)
    assert "2024-05-01 10:00:00" in said.out
    assert "It stands here in CEST." in said.out


@pytest.mark.databases("sqlite")
def test_another_dialect_than_the_projects(database: Database) -> None:
    assert "for oracle." in call("legacyrollbacksql", MOMENT, dialect="oracle").out


@pytest.mark.databases("sqlite")
def test_an_unknown_alias(database: Database) -> None:
    said = call("legacyrollbacksql", MOMENT, database="nowhere")
    assert said.status == 2
    assert said.error.startswith("There is no database 'nowhere' in DATABASES.\nKnown: default, ")


# --dsn


def url_of(database: Database, *, password: str = "") -> str:
    options: dict[str, Any] = database.connection.settings_dict
    if database.vendor == "sqlite":
        return f"sqlite:///{quote(str(options['NAME']))}"
    secret = f":{password}" if password else ""
    scheme = {"postgresql": "postgresql", "mariadb": "mysql"}[database.vendor]
    return f"{scheme}://{options['USER']}{secret}@{options['HOST']}:{options['PORT']}/{options['NAME']}"


def test_dsn_prints_the_commands(database: Database) -> None:
    write(database, ROWS)
    database.connection.close()
    assert same_answer(alone(MOMENT, "--dsn", url_of(database)))
    assert same_answer(call("legacyrollbacksql", MOMENT, dsn=url_of(database)))


def test_dsn_with_nothing_to_do(database: Database) -> None:
    write(database, early("a", "0001_t"))
    said = call("legacyrollbacksql", MOMENT, dsn=url_of(database))
    assert said.out == "# Nothing was applied at or after 2024-05-01 08:00:00 UTC.\n"


@pytest.mark.databases("sqlite")
def test_dsn_can_be_the_name_of_a_file(database: Database, tmp_path: Path) -> None:
    write(database, ROWS)
    database.connection.close()
    odd = tmp_path / "odd %41 name?.sqlite3"
    odd.write_bytes(Path(database.connection.settings_dict["NAME"]).read_bytes())
    assert same_answer(alone(MOMENT, "--dsn", str(odd)))


def test_dsn_without_the_table(database: Database) -> None:
    with database.connection.cursor() as cursor:
        cursor.execute("CREATE TABLE other (id integer)")
    said = call("legacyrollbacksql", MOMENT, dsn=url_of(database))
    assert said.status == 1
    assert "cannot be read: " in said.error
    assert "django_migrations" in said.error
    assert "Check --dsn, PGPASSWORD or MYSQL_PWD" in said.error


@pytest.mark.databases("sqlite")
def test_dsn_of_a_file_that_is_not_there_makes_none(database: Database, tmp_path: Path) -> None:
    said = alone(MOMENT, "--dsn", str(tmp_path / "no.sqlite3"))
    assert said.status == 1
    assert "unable to open database file" in said.error
    assert not list(tmp_path.iterdir())


@pytest.mark.databases("postgresql", "mariadb")
def test_dsn_never_shows_the_password(database: Database) -> None:
    secret = "s3cr3t%21word"
    wrong = url_of(database, password=secret).rpartition("/")[0] + "/nowhere_at_all"
    for url in (wrong, f"{wrong}?strange=1", wrong.replace("127.0.0.1:", f"127.0.0.1:{secret}")):
        said = alone(MOMENT, "--dsn", url)
        assert said.status == 1
        assert "s3cr3t" not in said.all
        assert len(said.error.splitlines()) == 1


@pytest.mark.databases("mariadb")
def test_dsn_takes_the_password_from_the_environment(database: Database) -> None:
    write(database, ROWS)
    with database.connection.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS reader")
        cursor.execute("CREATE USER reader IDENTIFIED BY 'let me/in'")
        cursor.execute("GRANT SELECT ON *.* TO reader")
    url = url_of(database).replace(f"//{database.connection.settings_dict['USER']}@", "//reader@")
    try:
        assert same_answer(alone(MOMENT, "--dsn", url, MYSQL_PWD="let me/in"))
        assert same_answer(alone(MOMENT, "--dsn", url.replace("reader@", f"reader:{quote('let me/in', safe='')}@")))
        assert alone(MOMENT, "--dsn", url, MYSQL_PWD="wrong").status == 1
    finally:
        with database.connection.cursor() as cursor:
            cursor.execute("DROP USER reader")


@pytest.mark.databases("postgresql")
def test_dsn_without_its_driver() -> None:
    said = alone(MOMENT, "--dsn", "postgresql://host/name", refuse=True)
    assert said.status == 2
    assert said.error.startswith(
        "--dsn needs psycopg, which is not installed here. Install it, or run the printed statement"
    )


# --csv


def dump(*, header: bool, zone: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    if header:
        writer.writerow(["Name", "applied", "app", "id", "more"])
    for number, (app, name, seconds) in enumerate(ROWS, 1):
        at = f"{T.fromtimestamp(T.timestamp() + seconds + (7200 if zone == '+02' else 0), T.tzinfo):%Y-%m-%d %H:%M:%S.%f}{zone}"
        writer.writerow([name, at, app, number, "x"] if header else [number, app, name, at])
    return out.getvalue() + "\n"


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("zone", ["", "+00:00", "Z", "+02"])
def test_csv(tmp_path: Path, header: bool, zone: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(dump(header=header, zone=zone), encoding="utf-8-sig")
    assert same_answer(alone(MOMENT, "--csv", str(file), refuse=True))


def test_csv_in_a_project_without_use_tz(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(
        "1,a,0001_t,2024-05-01 09:59:59\n2,a,0002_x,2024-05-01 10:00:00\n3,a,0003_y,2024-05-01 08:00:00+00\n"
    )
    settings.USE_TZ = False
    said = call("legacyrollbacksql", MOMENT, csv=str(file))
    assert said.out == "python manage.py migrate a 0001_t\n"


@pytest.mark.parametrize(
    "line", ["1,a,0002_x", "x,a,0002_x,2024-05-01", "1,a,0002_x,05/01/2024", "1,a,0002_x,0001-01-01 00:00+23:59"]
)
def test_csv_that_is_none(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(f"id,app,name,applied\n{line}\n")
    said = alone(MOMENT, "--csv", str(file))
    assert said.status == 2
    assert said.error.startswith(f"--csv: line 2 is not a record of django_migrations: {line}")


def test_csv_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"\xff\xfe\x00")
    said = alone(MOMENT, "--csv", str(file))
    assert said.status == 2
    assert "Give a CSV file in UTF-8." in said.error


# --standalone


def plan_of(moment: str, *, database: str = "", **environment: str) -> list[str]:
    """What the printed file says in `manage.py shell`, in a process of its own."""
    source = call("legacyrollbacksql", moment, standalone=True, database=database).out
    process = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0"],
        input=source,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


def in_function(source: str) -> None:
    exec(source)  # as the shell of Django before 3.2 does


@pytest.mark.parametrize("version", [(3, 5), (3, 6), (3, 7)])
def test_the_standalone_file_is_written_for_old_pythons(version: tuple[int, int]) -> None:
    source = Path(standalone.__file__).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=version)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr)]
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name.partition(".")[0] for name in modules if name} == {"os", "shlex", "typing", "django"}


def test_the_standalone_file_in_the_shell(database: Database, project: Project) -> None:
    project(a={"0001_t": "", "0002_x": "", "0003_y": ""}, b={"0001_u": migration("", [("a", "0003_y")])})
    deploy(database.alias, T.replace(day=1, month=4), [("a", "0001_t")])
    deploy(database.alias, T)
    suffix = "" if database.alias == "default" else f" --database {database.alias}"
    lines = plan_of(MOMENT, database=database.alias)
    assert lines == [f"python manage.py migrate a 0001_t{suffix}"]
    subprocess.run(
        [sys.executable, "manage.py", *lines[0].split()[2:]], cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    assert keys(database.alias) == [("a", "0001_t")]
    assert plan_of(MOMENT, database=database.alias) == ["# Nothing was applied at or after 2024-05-01T08:00:00+00:00."]
    assert plan_of(MOMENT, database=database.alias, ROLLBACK_MOMENT="2024-01-01T00:00:00Z") == [
        f"python manage.py migrate a zero{suffix}"
    ]


@pytest.mark.databases("sqlite")
def test_the_standalone_file_inside_a_function(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project(a={"0001_t": "", "0002_x": ""})
    deploy(database.alias, T)
    in_function(call("legacyrollbacksql", MOMENT, standalone=True).out)
    assert capsys.readouterr().out == "python manage.py migrate a zero\n"


@pytest.mark.databases("sqlite")
def test_the_standalone_file_runs_where_it_stands(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project(a={"0001_t": "", "0002_x": ""})
    deploy(database.alias, T)
    monkeypatch.setenv("ROLLBACK_MOMENT", "2024-05-01T10:00:01+02:00")
    runpy.run_path(standalone.__file__)
    assert capsys.readouterr().out == "python manage.py migrate a 0001_t\n"


def told(database: Database, capsys: pytest.CaptureFixture[str], moment: str = "2024-05-01T08:00:00Z") -> list[str]:
    standalone.main(moment, database.alias)
    return capsys.readouterr().out.splitlines()


def test_the_standalone_file_wants_a_whole_moment(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("2024-05-01T08:00:00", "yesterday"):
        standalone.main(text)
        assert capsys.readouterr().out.startswith("# ROLLBACK_MOMENT must be like")


EARLY = T.replace(month=4)


def test_the_standalone_file_with_branches(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """K02: the merge can be unapplied; the late branch only with the one that is kept. K04: likewise."""
    branch = {"0001_t": "", "0002_a": migration("", [("a", "0001_t")])}
    project(a=branch)
    deploy(database.alias, EARLY)
    project(
        a={
            **branch,
            "0002_b": migration("", [("a", "0001_t")]),
            "0003_merge": migration("", [("a", "0002_a"), ("a", "0002_b")]),
        }
    )
    deploy(database.alias, T)
    suffix = "" if database.alias == "default" else f" --database {database.alias}"
    assert told(database, capsys) == [
        "# a.0002_b: no migrate command unapplies it and leaves what is older, as where branches meet.",
        f"python manage.py migrate a 0002_a{suffix}",
    ]


def test_the_standalone_file_with_squashes(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Early originals stay, whenever the squash was recorded (K01); originals on both sides cannot be told apart."""
    originals = {"0001_t": "", "0002_x": migration("", [("a", "0001_t")])}
    squash = migration("", replaces=[("a", "0001_t"), ("a", "0002_x")])
    suffix = "" if database.alias == "default" else f" --database {database.alias}"
    project(a=originals)
    deploy(database.alias, EARLY)
    project(a={**originals, "0001_squashed_0002_x": squash})
    deploy(database.alias, T)
    assert told(database, capsys) == ["# Nothing was applied at or after 2024-05-01T08:00:00+00:00."]
    project(a={**originals, "0001_squashed_0002_x": squash, "0003_y": migration("", [("a", "0001_squashed_0002_x")])})
    deploy(database.alias, T)
    assert told(database, capsys) == [f"python manage.py migrate a 0001_squashed_0002_x{suffix}"]
    (between,) = told(database, capsys, EARLY.replace(second=1).isoformat())[:1]
    assert between == (
        "# a.0001_squashed_0002_x: the moment lies between the migrations that it replaces, where migrate cannot stop."
    )


def test_the_standalone_file_with_rows_that_fit_no_code(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project(a={"0001_t": "", "0002_x": "", "0002_x_more": ""}, b={"0001_u": migration("", [("a", "0002_x_more")])})
    write(
        database,
        [*early("a", "0001_t", "0002_x"), *early("b", "0001_u"), *late("a", "0002_x_more"), *late("c", "0001\ngone")],
    )
    assert told(database, capsys) == [
        "# c.0001 gone: recorded at or after the moment, but not applied as Django sees it. Is its file in this release?",
        "# a.0002_x_more: b.0001_u, which is older, depends on it.",
    ]


@pytest.mark.databases("sqlite")
def test_the_standalone_file_with_a_name_that_migrate_cannot_find(
    database: Database, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project(a={"0001_t": "", "0002_x": "", "0002_x_more": ""})
    write(database, [*early("a", "0001_t", "0002_x"), *late("a", "0002_x_more")])
    assert told(database, capsys) == [
        "# a.0002_x_more: no migrate command unapplies it and leaves what is older, as where branches meet."
    ]


@pytest.mark.databases("sqlite")
def test_the_standalone_file_without_use_tz(
    database: Database, project: Project, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    project(a={"0001_t": "", "0002_x": ""})
    settings.USE_TZ = False
    with database.connection.cursor() as cursor:
        cursor.execute("CREATE TABLE django_migrations (id integer primary key, app text, name text, applied datetime)")
        cursor.execute("INSERT INTO django_migrations VALUES (1, 'a', '0001_t', '2024-05-01 09:59:59')")
        cursor.execute("INSERT INTO django_migrations VALUES (2, 'a', '0002_x', '2024-05-01 10:00:00')")
    assert told(database, capsys) == ["python manage.py migrate a 0001_t"]


@pytest.mark.parametrize(
    ("dsn", "why"),
    [
        ("", "it is empty"),
        ("postgresql://host/na\x01me", "a control character"),
        ("postgresql://[host/name", "Invalid IPv6 URL"),
    ],
)
def test_a_dsn_that_cannot_be_read(dsn: str, why: str) -> None:
    said = alone(MOMENT, "--dsn", dsn)
    assert said.status == 2
    assert f"--dsn cannot be read: {why}." in said.error
