"""The journal, as it is read: who, when, back to when, which steps, and how it ended."""

from __future__ import annotations

import getpass
import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from django.db import connections

from rollback_app import workflow
from rollback_app.executor import Progress
from rollback_app.history import Outcome
from rollback_app.planner import Step
from tests.support.commands import call, roll_back
from tests.support.databases import Database, wait_until_alone
from tests.support.history import deploy, keys, migrate
from tests.support.killed import forked
from tests.support.projects import Project, migration
from tests.support.schema import everything

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
FAILS = "def fail(apps, schema_editor):\n    raise ValueError('on\\npurpose')\n"
transactional = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    project(a={"0001_t": T, "0002_x": X})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    return database


def failing(project: Project) -> None:
    code = migration("migrations.RunPython(migrations.RunPython.noop, fail)", [("a", "0001_t")], before=FAILS)
    project(a={"0001_t": T, "0002_x": code})


def here(shop: Database) -> str:
    return "" if shop.alias == "default" else f" --database {shop.alias}"


def test_nothing_was_noted(shop: Database) -> None:
    before = everything(shop.connection, exclude=())
    said = call("showrollbacks", database=shop.alias)
    assert said.status == 0
    assert said.out.splitlines()[0].startswith(f"Database {shop.alias}: ")
    assert said.out.splitlines()[-1] == "No rollback was noted here."
    roll_back(shop, DAY_2, plan=True)
    assert everything(shop.connection, exclude=()) == before


def test_a_run_that_is_done(shop: Database) -> None:
    start = datetime.now(timezone.utc).replace(microsecond=0)
    assert roll_back(shop, "2024-05-02 10:00", exclude=[], verbosity=0).status == 0
    (record,) = workflow.rollbacks(shop.alias)[1]
    assert start <= record.started <= datetime.now(timezone.utc)
    assert record.finished is not None
    assert record.outcome is Outcome.FINISHED
    assert record.moment == DAY_2
    assert [(str(key), applied) for key, applied in record.steps] == [("a.0002_x", DAY_2)]
    assert record.steps_done == 1
    assert record.seconds > 0

    said = call("showrollbacks", database=shop.alias)
    assert said.out.split("\n\n", 1)[1].splitlines() == [
        f"1. {record.started:%Y-%m-%d %H:%M:%S} UTC: done, 1 of 1 step unapplied",
        f"   by {getpass.getuser()} on {socket.gethostname()}",
        "   back to  2024-05-02 08:00:00 UTC",
        "   command",
        f'     python manage.py rollbackmigrationsafter "2024-05-02 10:00" --database {shop.alias}',
        f"   digest   {record.digest}, took {record.seconds:.2f} s",
        "   undone   a.0002_x, applied 2024-05-02 08:00:00 UTC",
        "   To go forward again later, start the newer release and run:",
        "     python manage.py migrate" + here(shop),
    ]
    data = call("showrollbacks", database=shop.alias, format="json").json
    assert data["schema"] == 1
    assert data["rollbacks"] == [
        {
            "number": 1,
            "started": record.started.isoformat(),
            "finished": record.finished.isoformat(),
            "outcome": "finished",
            "operator": getpass.getuser(),
            "host": socket.gethostname(),
            "command": f'python manage.py rollbackmigrationsafter "2024-05-02 10:00" --database {shop.alias}',
            "moment": "2024-05-02T08:00:00+00:00",
            "digest": record.digest,
            "release": "",
            "steps": [{"migration": "a.0002_x", "applied": "2024-05-02T08:00:00+00:00"}],
            "steps_done": 1,
            "one_transaction": shop.vendor != "mariadb",
            "again": [],
            "own_reverses": [],
            "seconds": record.seconds,
            "error": "",
            "reason": "",
            "backup": None,
        }
    ]
    assert data["held"] is False


def test_runs_that_failed_and_the_newest_only(shop: Database, project: Project) -> None:
    failing(project)
    assert roll_back(shop, DAY_2).status == 1
    project(a={"0001_t": T, "0002_x": X})
    assert roll_back(shop, DAY_2).status == 0
    done, failed = workflow.rollbacks(shop.alias)[1]
    assert (done.number, done.outcome) == (2, Outcome.FINISHED)
    assert (failed.outcome, failed.steps_done) == (Outcome.FAILED, 0)
    assert "ValueError: on" in failed.error
    said = call("showrollbacks", database=shop.alias)
    assert "failed, 0 of 1 step unapplied" in said.out
    assert "   left     a.0002_x" in said.out
    assert "   error    The rollback failed at a.0002_x" in said.out
    limited = call("showrollbacks", database=shop.alias, limit=1)
    assert "2. 2" in limited.out
    assert "1. 2" not in limited.out


def test_through_the_api_and_without_a_name(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, the user may have no name."""

    def no_name() -> str:
        raise OSError("no username set in the environment")

    monkeypatch.setattr(getpass, "getuser", no_name)
    workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[shop.alias]), destroy_data=True)
    said = call("showrollbacks", database=shop.alias)
    assert f" UTC: done, 1 of 1 step unapplied\n   on {socket.gethostname()}\n" in said.out
    assert "   command  (through the Python API)" in said.out


def test_a_set_of_migrations_is_no_time(shop: Database) -> None:
    assert roll_back(shop, "all:a").status == 0
    assert "   back to  a set of migrations: see the command\n" in call("showrollbacks", database=shop.alias).out
    (found,) = call("showrollbacks", database=shop.alias, format="json").json["rollbacks"]
    assert found["moment"] is None


def newest(shop: Database) -> str:
    """How the newest run ended, as it is told."""
    said = call("showrollbacks", database=shop.alias, limit=1)
    return said.out.split("\n\n", 1)[1].splitlines()[0].split(": ", 1)[1]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("step_by_step", [True, False], ids=["step by step", "all or nothing"])
def test_a_run_that_was_killed(shop: Database, project: Project, *, step_by_step: bool) -> None:
    """In front of every few statements in turn: what is told of the run is what really happened."""
    project(a={"0001_t": T, "0002_x": X}, b={"0001_u": migration(T, [("a", "0002_x")], atomic=False)})
    told: set[str] = set()
    for number in range(25, 600, 13):
        migrate(shop.alias)
        before = everything(shop.connection)
        runs = len(workflow.rollbacks(shop.alias)[1])
        status = forked(shop.alias, number, lambda: roll_back(shop, "all:", step_by_step=step_by_step))
        wait_until_alone(shop)
        noted = workflow.rollbacks(shop.alias)[1]
        if len(noted) == runs:
            assert everything(shop.connection) == before
            continue
        end, left = newest(shop), len(keys(shop.alias))
        told.add(end)
        if end == "killed; nothing was changed":
            assert everything(shop.connection) == before
            assert noted[0].outcome is Outcome.KILLED
        else:
            assert end in {3: INSIDE, 2: AFTER_1, 1: AFTER_2, 0: DONE}[left]
        if status == 0:
            break
        assert roll_back(shop, "all:", step_by_step=step_by_step).status == 0
    assert "done, 3 of 3 steps unapplied" in told
    in_steps = step_by_step or shop.vendor == "mariadb"
    sure = shop.vendor != "sqlite" or not in_steps  # between its steps, a run on SQLite holds no lock
    assert ("killed; nothing was changed" in told) == sure
    assert bool(told & set(AFTER_1)) == in_steps


INSIDE = (
    "broke off inside step 1 of 3",
    "under way, or broke off inside step 1 of 3",
    "under way, or killed; nothing was changed",
)
AFTER_1 = ("broke off after step 1 of 3", "under way, or broke off after step 1 of 3", "broke off inside step 2 of 3")
AFTER_2 = ("broke off after step 2 of 3", "under way, or broke off after step 2 of 3", "broke off inside step 3 of 3")
DONE = ("done, 3 of 3 steps unapplied", "broke off after step 3 of 3", "under way, or broke off after step 3 of 3")


@pytest.mark.parametrize("step_by_step", [True, False], ids=["step by step", "all or nothing"])
def test_a_run_that_is_under_way(shop: Database, *, step_by_step: bool) -> None:
    """As another session sees it; an older one that was killed is told from it, and nothing is offered meanwhile."""
    roll_back(shop, DAY_2)
    deploy(shop.alias, DAY_2)
    with shop.connection.cursor() as cursor:
        cursor.execute("UPDATE rollback_app_run SET outcome = 'started'")
    seen: list[str] = []

    def look() -> None:
        seen.append(call("showrollbacks", database=shop.alias).out)
        connections[shop.alias].close()

    class Looking(Progress):
        def began(self, step: Step) -> None:
            thread = threading.Thread(target=look)
            thread.start()
            thread.join(60)

    previews = workflow.preview(DAY_1.isoformat(), using=[shop.alias], step_by_step=step_by_step)
    workflow.roll_back(previews, destroy_data=True, progress=Looking())
    assert len(seen) == 2
    if step_by_step or shop.vendor == "mariadb":
        ends = [f"under way, {number} of 2 steps unapplied" for number in (0, 1)]
    else:
        ends = ["under way, 2 steps in one transaction"] * 2
    for text, end in zip(seen, ends, strict=True):
        words = " ".join(text.split())
        assert f": {end}" in words
        assert "2. 2" in words.split(end)[0]
        assert "killed" in words or "broke off" in words
        assert "forward" not in words


def test_what_was_applied_again_is_not_offered_again(shop: Database) -> None:
    roll_back(shop, DAY_2)
    assert "forward" in call("showrollbacks", database=shop.alias).out
    migrate(shop.alias)
    said = call("showrollbacks", database=shop.alias)
    assert "forward" not in said.out
    assert "a.0002_x, applied 2024-05-02 08:00:00 UTC; applied again since" in " ".join(said.out.split())
    assert workflow.rollbacks(shop.alias)[1][0].again == {("a", "0002_x")}
    roll_back(shop, "last")
    newest, oldest = call("showrollbacks", database=shop.alias, format="json").json["rollbacks"]
    assert (newest["again"], oldest["again"]) == ([], ["a.0002_x"])
    assert call("showrollbacks", database=shop.alias).out.count("forward") == 1


def test_a_journal_without_a_history(shop: Database) -> None:
    roll_back(shop, DAY_2)
    with shop.connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_migrations")
    assert newest(shop) == "done, 1 of 1 step unapplied"


def test_without_a_journal(shop: Database) -> None:
    assert roll_back(shop, DAY_2, journal=False).status == 0
    assert workflow.rollbacks(shop.alias)[1] == []


def test_an_unknown_database() -> None:
    said = call("showrollbacks", database="nowhere")
    assert said.status == 2
    assert said.error.startswith("There is no database 'nowhere' in DATABASES.")


@pytest.fixture
def no_tables(shop: Database) -> Iterator[Database]:
    """The user of the database may change what is there, and may not make tables."""
    settings = shop.connection.settings_dict
    owner = {name: settings[name] for name in ("USER", "PASSWORD")}
    give, take = FEW_RIGHTS[shop.vendor]
    with shop.connection.cursor() as cursor:
        cursor.execute(give.format(name=settings["NAME"]))
    shop.connection.close()
    settings.update(USER="few_rights", PASSWORD="few")
    yield shop
    shop.connection.close()
    settings.update(owner)
    with shop.connection.cursor() as cursor:
        cursor.execute(take.format(owner=owner["USER"]))


FEW_RIGHTS = {
    "postgresql": (
        """
        CREATE ROLE few_rights LOGIN PASSWORD 'few'; GRANT USAGE ON SCHEMA public TO few_rights;
        ALTER TABLE django_migrations OWNER TO few_rights; ALTER TABLE a_t OWNER TO few_rights
        """,
        "REASSIGN OWNED BY few_rights TO {owner}; DROP OWNED BY few_rights; DROP ROLE few_rights",
    ),
    "mariadb": (
        "GRANT SELECT, INSERT, UPDATE, DELETE, ALTER, DROP, INDEX, REFERENCES ON {name}.* TO few_rights IDENTIFIED BY 'few'",
        "DROP USER few_rights",
    ),
}


@pytest.mark.databases("postgresql")
def test_a_user_who_may_not_make_tables_is_told(no_tables: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert roll_back(no_tables, DAY_2).status == 0
    said = capsys.readouterr().err
    assert said.startswith(f"The journal of {no_tables.alias}: PostgreSQL, ")
    assert said.endswith(" cannot be written: permission denied for schema public. The run goes on without it.\n")
    assert keys(no_tables.alias) == [("a", "0001_t")]


@pytest.mark.databases("mariadb")
def test_a_user_who_may_not_make_tables_needs_no_journal(no_tables: Database) -> None:
    before = everything(no_tables.connection)
    said = roll_back(no_tables, DAY_2)
    assert said.status == 1
    assert "cannot be written: " in said.error
    assert "Without it, a run that breaks off inside a migration could not go on. Nothing was changed." in said.error
    assert said.error.endswith("Let its user create the table rollback_app_run, or add --no-journal.")
    assert everything(no_tables.connection) == before
    assert roll_back(no_tables, DAY_2, journal=False).status == 0
