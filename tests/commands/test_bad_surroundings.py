"""Servers, files, settings and variables that are not as they should be: one message with what to do next, the right status."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project_settings
from django.db import connections, router

from tests.commands.test_rollbackmigrationsafter import T, execute
from tests.support.commands import Said, call
from tests.support.databases import Database
from tests.support.history import migrate
from tests.support.projects import Project

MAIN = "rollbackmigrationsafter"
PLAN = [MAIN, "last", "--plan", "--lock-timeout=0.2"]
RUN = [MAIN, "last", "--no-input", "--destroy-data", "--lock-timeout=0.2"]
NO_CONSENT, NO_WAIT = [MAIN, "last", "--no-input"], [MAIN, "last", "--plan", "--lock-timeout=0"]
DEPLOYMENTS, JOURNAL, MARK = ["showdeployments"], ["showrollbacks"], ["markrelease", "1.0"]
READS = [PLAN, [MAIN, "2024-05-01 00:00Z", "--plan", "--format=json"], DEPLOYMENTS]
ALL = [*READS, RUN, JOURNAL, MARK]
WHAT_TO_TYPE = ("Add", "Check", "Choose", "Fix", "Follow", "If", "Known", "Let", "Look", "Run", "Take", "Wait")

Around = Callable[[Database, pytest.MonkeyPatch], "AbstractContextManager[Any]"]


@dataclass(frozen=True)
class Case:
    """Something that is not as it should be, the databases that can have it, and how these commands end then."""

    name: str
    vendors: str
    status: int
    around: Around
    commands: Sequence[list[str]] = tuple(ALL)


def setting(**changed: Any) -> Around:
    """DATABASES of the project says something else."""

    @contextmanager
    def around(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        name = database.connection.settings_dict["NAME"]
        database.connection.close()
        settings = {**database.connection.settings_dict, **changed}
        if isinstance(settings["NAME"], str):
            settings["NAME"] = settings["NAME"].replace("{NAME}", str(name))
        with as_configured(database, settings):
            yield

    return around


@contextmanager
def as_configured(database: Database, settings: dict[str, Any]) -> Iterator[None]:
    """A connection of its own, as a new process with these settings would have."""
    before, configured = database.connection, connections.settings[database.alias]
    del connections[database.alias]
    connections.settings[database.alias] = settings
    try:
        yield
    finally:
        connections.settings[database.alias] = configured
        connections.close_all()
        connections[database.alias] = before


def variable(name: str, value: str) -> Around:
    @contextmanager
    def around(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        database.connection.close()
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            yield
            database.connection.close()

    return around


def sql(*statements: str) -> Around:
    """{NAME} stands for the name of the database, {FILE} for that of its file."""

    def around(database: Database, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        for statement in statements:
            execute(database, statement.replace("{NAME}", str(database.connection.settings_dict["NAME"])))
        return nullcontext()

    return around


def as_user(*statements: str) -> Around:
    """Another user of the server, whom these statements make: {USER}."""

    @contextmanager
    def around(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        name = str(database.connection.settings_dict["NAME"])
        user = f"{name}_other"
        for statement in statements:
            execute(database, statement.replace("{USER}", user).replace("{NAME}", name))
        try:
            with setting(USER=user, PASSWORD="wrong")(database, monkeypatch):
                yield
        finally:
            if database.vendor == "postgresql":
                execute(database, f"DROP OWNED BY {user}")
            execute(database, f"DROP USER {user}")

    return around


def file(content: bytes | None) -> Around:
    """The SQLite file holds this; None: it is a folder."""

    def around(database: Database, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        path = Path(database.connection.settings_dict["NAME"])
        database.connection.close()
        if content is None:
            folder = path.with_name(f"{path.name}-folder")
            folder.mkdir(exist_ok=True)
            return setting(NAME=str(folder))(database, monkeypatch)
        path.write_bytes(content)
        return nullcontext()

    return around


def half_a_file(database: Database, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
    path = Path(database.connection.settings_dict["NAME"])
    database.connection.close()
    return file(path.read_bytes()[:100] + b"\xff" * 5000)(database, monkeypatch)


def held(*statements: str) -> Around:
    """Another session has done this, and is still there."""

    @contextmanager
    def around(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        other = database.connection.copy()
        try:
            if database.vendor == "postgresql":
                other.set_autocommit(False)
            with other.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement.replace("{NAME}", str(database.connection.settings_dict["NAME"])))
            with short_waits(database):
                yield
        finally:
            other.close()

    return around


@contextmanager
def short_waits(database: Database) -> Iterator[None]:
    """showdeployments and markrelease have no option for it."""
    connection = database.connection
    connection.close()
    if database.vendor == "sqlite":
        with setting(OPTIONS={"timeout": 0.2})(database, pytest.MonkeyPatch()):
            yield
    else:
        yield


@contextmanager
def with_password(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user whom the server asks for a password, which its configuration for the tests does for nobody."""
    name = str(database.connection.settings_dict["NAME"])
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('hba_file'), pg_read_file(current_setting('hba_file'))")
        path, before = cursor.fetchone()
        cursor.execute(f"CREATE USER {name}_asked PASSWORD 'right'")
    rule = f"host all {name}_asked all scram-sha-256\n"
    try:
        write_hba(database, path, rule + before)
        with setting(USER=f"{name}_asked", PASSWORD="wrong")(database, monkeypatch):
            yield
    finally:
        write_hba(database, path, before)
        execute(database, f"DROP USER {name}_asked")


def write_hba(database: Database, path: str, text: str) -> None:
    with database.connection.cursor() as cursor:
        cursor.execute("COPY (SELECT regexp_split_to_table(%s, '\n')) TO PROGRAM %s", [text, f"cat > '{path}'"])
        cursor.execute("SELECT pg_reload_conf()")


def routers(value: list[Any]) -> Around:
    @contextmanager
    def around(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as changed:
            changed.setattr(project_settings, "DATABASE_ROUTERS", value)
            changed.setattr(router, "_routers", value)
            router.__dict__.pop("routers", None)
            yield
        router.__dict__.pop("routers", None)

    return around


class NoRouter:
    def allow_migrate(self) -> bool:
        return True


def migration_file(text: str | bytes) -> Around:
    """The project has one more migration."""

    def around(database: Database, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        content = text if isinstance(text, bytes) else text.encode()
        path = Path(project_settings.MIGRATION_MODULES["a"].replace(".", "/"))
        (Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]) / path / "0009_bad.py").write_bytes(content)
        return nullcontext()

    return around


def migration_with(body: str) -> Around:
    return migration_file(
        f"from django.db import migrations, models\nclass Migration(migrations.Migration):\n    {body}\n"
    )


BOTH = "postgresql mariadb"
READ_ONLY = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
READ_ONLY_VARIABLE = variable("PGOPTIONS", "-c default_transaction_read_only=on")
READ_ONLY_FILE = setting(NAME="file:{NAME}?mode=ro", OPTIONS={"uri": True})
LOOKS = [PLAN, DEPLOYMENTS, JOURNAL]
THREE = "sqlite postgresql mariadb"
CODE = [*READS, RUN, ["migrationmanifest"]]
CASES = [
    Case("no server", BOTH, 1, setting(HOST="127.0.0.1", PORT="9")),
    Case("no host", BOTH, 1, setting(HOST="nowhere.invalid")),
    Case("no database", BOTH, 1, setting(NAME="nowhere")),
    Case("a name with a line in it", BOTH, 1, setting(NAME="no\nwhere")),
    Case("no user", BOTH, 1, setting(USER="nobody_of_that_name", PASSWORD="x")),
    Case("no name", THREE, 1, setting(NAME="")),
    Case("a port that is none", BOTH, 1, setting(PORT="x")),
    Case("an unknown option", THREE, 1, setting(OPTIONS={"nonsense": 1})),
    Case("an option of the wrong type", THREE, 1, setting(OPTIONS=5)),
    Case("an isolation level that is none", "mariadb", 1, setting(OPTIONS={"isolation_level": "x"})),
    Case("an isolation level that is none", "postgresql", 1, setting(OPTIONS={"isolation_level": "x"})),
    Case("a service that is none", "postgresql", 1, setting(OPTIONS={"service": "nowhere"})),
    Case("options of the server that are none", "postgresql", 1, setting(OPTIONS={"options": "-c nonsense=1"})),
    Case("a certificate that is not there", "postgresql", 1, setting(OPTIONS={"sslmode": "verify-full"})),
    Case("a first command that is none", "mariadb", 1, setting(OPTIONS={"init_command": "NONSENSE"})),
    Case("a charset that is none", "mariadb", 1, setting(OPTIONS={"charset": "nonsense"})),
    Case("a time zone that is none", THREE, 1, setting(TIME_ZONE="Mars/Base"), [*READS, RUN]),
    Case("an engine that is none", THREE, 1, setting(ENGINE="nowhere")),
    Case("PGOPTIONS nonsense", "postgresql", 1, variable("PGOPTIONS", "-c nonsense")),
    Case("PGOPTIONS with an unknown setting", "postgresql", 1, variable("PGOPTIONS", "-c nonsense=1")),
    Case("PGTZ nonsense", "postgresql", 1, variable("PGTZ", "Mars/Base")),
    Case("PGDATESTYLE nonsense", "postgresql", 1, variable("PGDATESTYLE", "nonsense")),
    Case("PGSSLMODE nonsense", "postgresql", 1, variable("PGSSLMODE", "nonsense")),
    Case("PGSERVICE nonsense", "postgresql", 1, variable("PGSERVICE", "nonsense")),
    Case("PGCONNECT_TIMEOUT nonsense", "postgresql", 1, variable("PGCONNECT_TIMEOUT", "nonsense")),
    Case("a search_path that leads nowhere", "postgresql", 1, variable("PGOPTIONS", "-c search_path=nowhere"), READS),
    Case("a wrong password", "postgresql", 1, with_password),
    Case("a wrong password", "mariadb", 1, as_user("CREATE USER {USER} IDENTIFIED BY 'right'")),
    Case("a locked account", "mariadb", 1, as_user("CREATE USER {USER} IDENTIFIED BY 'wrong' ACCOUNT LOCK")),
    Case("an expired password", "mariadb", 1, as_user("CREATE USER {USER} IDENTIFIED BY 'wrong' PASSWORD EXPIRE")),
    Case("no login", "postgresql", 1, as_user("CREATE ROLE {USER}")),
    Case("no connections left", "postgresql", 1, as_user("CREATE USER {USER} CONNECTION LIMIT 0")),
    Case(
        "no more queries",
        "mariadb",
        1,
        as_user(
            "CREATE USER {USER} IDENTIFIED BY 'wrong' WITH MAX_QUERIES_PER_HOUR 3", "GRANT ALL ON {NAME}.* TO {USER}"
        ),
        READS,
    ),
    Case("no rights at all", "postgresql", 1, as_user("CREATE USER {USER}"), READS),
    Case("no rights at all", "mariadb", 1, as_user("CREATE USER {USER} IDENTIFIED BY 'wrong'")),
    Case(
        "no right to read the records",
        "mariadb",
        1,
        as_user("CREATE USER {USER} IDENTIFIED BY 'wrong'", "GRANT SELECT ON {NAME}.a_t TO {USER}"),
        READS,
    ),
    Case("no records", THREE, 1, sql("DROP TABLE django_migrations"), [*READS, RUN, MARK]),
    Case("records without times", THREE, 1, sql("ALTER TABLE django_migrations DROP COLUMN applied"), [*READS, RUN]),
    Case("a time that is none", "sqlite", 1, sql("UPDATE django_migrations SET applied = 'x'"), [*READS, RUN, MARK]),
    Case("a time that is a number", "sqlite", 1, sql("UPDATE django_migrations SET applied = 5"), [*READS, RUN, MARK]),
    Case(
        "a time that is beyond all",
        "postgresql",
        1,
        sql("UPDATE django_migrations SET applied = 'infinity'"),
        [*READS, RUN, MARK],
    ),
    Case(
        "a time that is not there",
        BOTH,
        1,
        sql(
            "ALTER TABLE django_migrations DROP COLUMN applied",
            "ALTER TABLE django_migrations ADD applied TIMESTAMP NULL",
        ),
        [*READS, RUN, MARK],
    ),
    Case(
        "a time of zeros",
        "mariadb",
        1,
        sql("SET sql_mode = ''", "UPDATE django_migrations SET applied = '0000-00-00 00:00:00'"),
        [*READS, RUN, MARK],
    ),
    Case("a file that is none", "sqlite", 1, file(b"nothing that SQLite knows" * 100)),
    Case("an empty file", "sqlite", 1, file(b""), [*READS, RUN, MARK]),
    Case("half a file", "sqlite", 1, half_a_file),
    Case("a folder", "sqlite", 1, file(None)),
    Case("no folder", "sqlite", 1, setting(NAME="/nowhere/at/all.sqlite3"), [*READS, RUN, MARK]),
    Case("a router that cannot be imported", THREE, 1, routers(["nowhere.Router"]), [PLAN, RUN]),
    Case("a router that is none", THREE, 1, routers([NoRouter()]), [PLAN, RUN]),
    Case("a migration that imports nothing", "sqlite", 1, migration_file("import nowhere\n"), CODE),
    Case("a migration that ends the process", "sqlite", 1, migration_file("raise SystemExit(0)\n"), CODE),
    Case("a migration that is no Python", "sqlite", 1, migration_file("def\n"), CODE),
    Case("a migration with NUL", "sqlite", 1, migration_file(b"x = 1\x00\n"), CODE),
    Case("a migration that is no text", "sqlite", 1, migration_file(b"# \xff\xfe\n"), CODE),
    Case("a migration without a class", "sqlite", 1, migration_file("Migration = 5\n"), CODE),
    Case(
        "a dependency that is none", "sqlite", 1, migration_with("dependencies = [('a', '0008_none')]"), [*READS, RUN]
    ),
    Case("a dependency of one word", "sqlite", 1, migration_with("dependencies = ['a']"), CODE),
    Case(
        "a dependency of an unknown app",
        "sqlite",
        1,
        migration_with("dependencies = [('x', '__first__')]"),
        [*READS, RUN],
    ),
    Case("an operation that is none", "sqlite", 1, migration_with("operations = [5]"), CODE),
    Case("dependencies that are none", "sqlite", 1, migration_with("dependencies = 5"), CODE),
    Case("what it replaces is none", "sqlite", 1, migration_with("replaces = [5]"), CODE),
    Case(
        "the server is read-only for us",
        "postgresql",
        3,
        READ_ONLY_VARIABLE,
        [PLAN, RUN],
    ),
    Case(
        "the server is read-only for us",
        "mariadb",
        3,
        setting(OPTIONS=READ_ONLY),
        [PLAN, RUN],
    ),
    Case(
        "a release where nothing can be written",
        "postgresql",
        1,
        READ_ONLY_VARIABLE,
        [MARK],
    ),
    Case(
        "a release where nothing can be written",
        "mariadb",
        1,
        setting(OPTIONS=READ_ONLY),
        [MARK],
    ),
    Case(
        "a release where nothing can be written",
        "sqlite",
        1,
        READ_ONLY_FILE,
        [MARK],
    ),
    Case("a file opened to read", "sqlite", 3, READ_ONLY_FILE, [PLAN, RUN]),
    Case(
        "a view on the table",
        "sqlite postgresql",
        3,
        sql("CREATE VIEW v AS SELECT * FROM a_t"),
        [[MAIN, "last", "--no-input"]],
    ),
    Case(
        "records that are locked",
        "postgresql",
        4,
        held("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE"),
        [PLAN, RUN, NO_WAIT],
    ),
    Case(
        "records that are being written",
        "postgresql",
        4,
        held("LOCK TABLE django_migrations IN ROW EXCLUSIVE MODE"),
        [RUN],
    ),
    Case("a table that is read", "postgresql", 4, held("LOCK TABLE a_t IN ACCESS SHARE MODE"), [RUN]),
    Case("records that are locked", "mariadb", 4, held("LOCK TABLES django_migrations WRITE"), [PLAN, RUN]),
    Case("another rollback", "mariadb", 4, held("SELECT GET_LOCK('rollback_app.{NAME}', 1)"), [PLAN, RUN]),
    Case("a file that is being written", "sqlite", 4, held("BEGIN IMMEDIATE"), [RUN]),
    Case("a file that is locked", "sqlite", 4, held("BEGIN EXCLUSIVE"), [PLAN, RUN, DEPLOYMENTS]),
    Case(
        "a release that nobody can print",
        THREE,
        0,
        variable("ROLLBACK_RELEASE", "2.1\x1b[31m\n"),
        [PLAN, DEPLOYMENTS, JOURNAL],
    ),
    Case("NO_COLOR nonsense", "sqlite", 0, variable("NO_COLOR", "\x1b"), LOOKS),
    Case("no time zone on this machine", "sqlite", 0, variable("PYTHONTZPATH", "/nowhere"), [PLAN, DEPLOYMENTS]),
    Case("COLUMNS nonsense", "sqlite", 0, variable("COLUMNS", "wide"), LOOKS),
    Case("LINES and TERM nonsense", "sqlite", 0, variable("TERM", "\x1b"), LOOKS),
]


def typed(words: Sequence[str], alias: str) -> Said:
    here = [] if words[0] == "migrationmanifest" else [f"--database={alias}"]
    return call(words[0], *words[1:], *here)


def complaint(words: Sequence[str], said: Said, status: int) -> str:
    """What is wrong with the answer; empty if nothing is."""
    if said.status != status:
        return f"status {said.status}"
    if "Traceback" in said.all:
        return "a traceback"
    if not said.error.replace("\n", "").isprintable():
        return "not one that can be printed"
    if "--format=json" in words and status:
        data = said.json
        if not data["error"]["message"] or not data["error"]["hint"]:
            return "no error in the object"
    last = said.error.rstrip().rpartition("\n")[2]
    begins = [sentence.split(" ")[0] for sentence in last.split(". ")]
    return (
        "" if status == 0 or any(word in WHAT_TO_TYPE for word in begins) else "the last line does not say what to do"
    )


def cases_of(vendor: str) -> pytest.MarkDecorator:
    cases = [case for case in CASES if vendor in case.vendors.split()]
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@pytest.fixture
def tried(database: Database, project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], list[str]]:
    project(a={"0001_t": T})
    migrate(database.alias)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    def complaints(case: Case) -> list[str]:
        wrong = []
        with case.around(database, monkeypatch):
            for words in case.commands:
                try:
                    said = typed(words, database.alias)
                except BaseException as error:  # noqa: BLE001  # a traceback, for whoever typed this
                    wrong.append(f"{words}: {error!r:.300}")
                    continue
                if why := complaint(words, said, case.status):
                    wrong.append(f"{words}: {why}: {said.error[:600]!r}")
        return wrong

    return complaints


@pytest.mark.databases("sqlite")
@cases_of("sqlite")
def test_on_sqlite(tried: Callable[[Case], list[str]], database: Database, case: Case) -> None:
    wrong = tried(case)
    assert not wrong, "\n".join(wrong)


@pytest.mark.databases("postgresql")
@cases_of("postgresql")
def test_on_postgresql(tried: Callable[[Case], list[str]], database: Database, case: Case) -> None:
    wrong = tried(case)
    assert not wrong, "\n".join(wrong)


@pytest.mark.databases("mariadb")
@cases_of("mariadb")
def test_on_mariadb(tried: Callable[[Case], list[str]], database: Database, case: Case) -> None:
    wrong = tried(case)
    assert not wrong, "\n".join(wrong)
