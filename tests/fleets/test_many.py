"""What rollbackfleet says where there is much of it, asks at a terminal, and does in states that are rare: in this process."""

from __future__ import annotations

import io
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections, models

from rollback_app import fleets
from rollback_app.bookkeeping.fleets import FleetEntry, MemberEntry
from rollback_app.fleets import Member, Orders
from rollback_app.fleets.processes import free_dead
from rollback_app.fleets.work import name_of_worker
from rollback_app.history import MemberState
from tests.fleets.files import Fleet
from tests.support.commands import Said, Text, call
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.projects import Project

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

pytestmark = pytest.mark.databases("sqlite")
DAY_1, DAY_2 = (datetime(2024, 5, day, 8, tzinfo=timezone.utc) for day in (1, 2))
MOMENT = DAY_2.isoformat()
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("x", models.IntegerField(null=True))])'
FILLED = 'migrations.AlterField("T", "x", models.IntegerField(null=True))'
LATE = {
    "0002_y": 'migrations.AddField("T", "y", models.IntegerField(null=True))',
    "0003_u": 'migrations.CreateModel("U", [("id", models.BigAutoField(primary_key=True))])',
}
Make = Callable[..., None]


@pytest.fixture
def make(database: Database, project: Project, tmp_path: Path, settings: Settings) -> Iterator[Make]:
    """Gives these members a database each, after both deployments. sql: that is run in each of them. shared: is it what others
    need?"""
    project(a={"0001_t": T.replace("null=True", ""), "0001b_null": FILLED, **LATE})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    connections[database.alias].close()
    template = tmp_path / "template.sqlite3"
    shutil.copy(connections[database.alias].settings_dict["NAME"], template)
    members: list[Member] = []
    settings.ROLLBACK = {**settings.ROLLBACK, "FLEET": lambda: members}

    def made(*names: str, sql: str = "", shared: bool = False) -> None:
        for name in names:
            file = tmp_path / f"{name}.sqlite3"
            shutil.copy(template, file)
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.executescript(sql)
            connections.settings[name] = {**connections.settings["other"], "NAME": file}
            members.append(Member(name, name, shared=shared))

    yield made
    for member in members:
        connections[member.alias].close()
        del connections[member.alias]
        del connections.settings[member.alias]


def begun(max_failures: int = 0, **orders: Any) -> int:
    """A fleet of all members that is noted, and not worked on; its number."""
    told = Orders(MOMENT, "UTC", **orders)
    plan = fleets.survey([(member, None) for member in fleets.find()], told)
    return fleets.begin(plan, told, "", max_failures)


def roll_back(*args: str, **options: Any) -> Said:
    return call("rollbackfleet", *(args or (MOMENT,)), workers=1, **options)


def names(letter: str, number: int) -> list[str]:
    return [f"{letter}{count:02}" for count in range(number)]


VALUE = "INSERT INTO a_t (x, y) VALUES (1, 2);"
NULL = "INSERT INTO a_t (x) VALUES (NULL);"
FAILS = "CREATE TRIGGER no BEFORE DELETE ON django_migrations BEGIN SELECT raise(ABORT, 'sabotaged'); END;"


def test_many_members_that_are_blocked_or_lose_data(make: Make) -> None:
    make(*names("b", 8), sql=NULL)
    make(*names("l", 8), sql=VALUE)
    refused = roll_back(keep=False, destroy_data=True)
    assert refused.status == 3
    assert "Refused: 8 members are blocked." in refused.error
    assert "BLOCKED: b00, b01, b02, b03, b04 and 3 more." in refused.out
    assert "DESTROYS data of 8 members." in refused.out
    assert "  b01:\n    BLOCKED " in refused.out
    assert "and 10 more members with such findings, see -v 2" in refused.out
    in_full = roll_back(plan=True, verbosity=2, keep=False)
    assert in_full.out.count("    BLOCKED ") == 7  # the first is shown with the group
    assert "BLOCKED: b00, b01, b02, b03, b04, b05, b06, b07." in in_full.out
    refused = roll_back(keep=False, skip_blocked=True)
    assert "this would destroy data of l00, l01, l02, l03, l04 and 3 more members" in refused.error


def test_one_blocked_member(make: Make) -> None:
    make("a", "b")
    make("c", sql=NULL)
    assert "Refused: 1 member is blocked." in roll_back().error
    alone = roll_back(only=["c"], plan=True)
    assert alone.status == 3
    assert "Order:" not in alone.out


def test_many_groups(make: Make) -> None:
    for number, name in enumerate(names("g", 8)):
        make(name, sql=f"INSERT INTO django_migrations (app, name, applied) VALUES ('old', '{number}', '2020-01-01');")
    found = roll_back(plan=True)
    assert found.status == 0
    assert "And 3 more groups of 3 members, see -v 2" in found.out
    assert roll_back(plan=True, verbosity=2).out.count("Group ") == 8


def test_many_members_without_a_plan(make: Make) -> None:
    make(*names("v", 8), sql="DROP TABLE django_migrations;")
    make("a")
    refused = roll_back()
    assert refused.out.count("django_migrations") == 5
    assert "there is no plan for v00, v01, v02, v03, v04 and 3 more members" in refused.error
    assert roll_back(plan=True, verbosity=2, max_failures=8).out.count("  v0") >= 8


def test_many_failures_are_not_all_shown(make: Make) -> None:
    make(*names("f", 25), sql=FAILS)
    make("a")
    done = roll_back(canary="a", max_failures=30)
    assert done.status == 1
    assert done.out.count("FAILED f") == 20
    assert "and 5 more, which --status --format json lists." in done.out
    assert "25 failed" in done.out
    assert roll_back("--status").out.count("FAILED f") == 20


def test_only_what_others_share_is_left(make: Make) -> None:
    make("both", shared=True)
    done = roll_back()
    assert done.status == 0
    assert "Order: both first, alone." in done.out


def test_step_by_step_is_said(make: Make) -> None:
    make("a")
    assert "Members run step by step, not as one transaction" in roll_back(plan=True, step_by_step=True).out


def test_the_way_forward_of_many_databases(make: Make) -> None:
    make(*names("d", 7))
    done = roll_back(MOMENT, *(word for name in names("d", 7) for word in ("--database", name)))
    assert done.status == 0, done.error
    assert "python manage.py migrate --database d00" in done.out
    assert "and the same for 2 more databases." in done.out


def test_quiet(make: Make) -> None:
    make("a")
    done = roll_back(verbosity=0)
    assert (done.status, done.out) == (0, "")


def test_records_that_change_after_the_survey(make: Make, database: Database) -> None:
    make("a", "b")
    number = begun(max_failures=1)
    with connections["b"].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name = '0003_u'")
    fleets.work(number)
    done, changed = fleets.status().members
    assert (done.state, changed.state) == (MemberState.DONE, MemberState.FAILED)
    assert changed.error.startswith("Its records changed after the fleet was looked at. Nothing was changed here.")


@pytest.mark.parametrize("lost_before", [False, True])
def test_what_is_lost_beyond_what_was_agreed_to(make: Make, database: Database, lost_before: bool) -> None:
    """Consent is for what the plan has shown: not for a value that was written since."""
    make("a", sql=VALUE if lost_before else "")
    number = begun(keep=False, destroy_data=True)
    with connections["a"].cursor() as cursor:
        cursor.execute("INSERT INTO a_t (x, y) VALUES (5, 6)")
    fleets.work(number)
    (member,) = fleets.status().members
    if lost_before:
        assert member.state is MemberState.DONE
        return
    assert member.state is MemberState.FAILED
    assert member.error.startswith("It would lose something that it would not when the fleet was looked at.")
    with connections["a"].cursor() as cursor:
        cursor.execute("SELECT x, y FROM a_t")
        assert cursor.fetchall() == [(5, 6)]


def test_the_file_of_a_plan_that_was_approved(make: Make, tmp_path: Path) -> None:
    make("a", "b")
    file = tmp_path / "plan.json"
    assert roll_back(plan=True, format="json", output=str(file)).status == 0
    make("c", sql="INSERT INTO django_migrations (app, name, applied) VALUES ('old', '1', '2020-01-01');")
    refused = roll_back(expect=[str(file)])
    assert refused.status == 3
    assert "the plan of c is not one that was approved" in refused.error
    assert roll_back(expect=[str(file)], but=["c"]).status == 0
    file.write_text('{"groups": [{"digest": "no"}]}')
    assert roll_back(expect=[str(file)]).status == 2


def test_members_that_cannot_be_found_in_the_end_hide_nothing(make: Make, settings: Settings) -> None:
    make("a")
    member, calls = fleets.find(), iter((1, 0))
    settings.ROLLBACK = {**settings.ROLLBACK, "FLEET": lambda: member if next(calls) else 1 / 0}
    done = roll_back()
    assert done.status == 0, done.error
    assert "1 of 1 member done" in done.out


def test_a_member_whose_workers_die_again_and_again(make: Make, database: Database) -> None:
    make("a", "b")
    number = begun(max_failures=1)
    for _ in range(3):
        with fleets.book() as book:
            member = book.claim(number, "gone:1")
            assert member
            assert member.member.name == "a"
            assert book.free(number, ["gone:1"]) == 1
    with fleets.book() as book:
        assert book.claim(number, "me:1") is None  # since it was the canary
    assert fleets.status().members[0].error == "Its workers died, 3 times."


@pytest.mark.parametrize("workers", [1, 2])
def test_a_state_that_is_lost_meanwhile(fleet: Fleet, workers: int) -> None:
    fleet.add("a", "b", "c")
    assert fleet.roll_back("2024-03-01", "--only", "a").returncode == 0
    fleet.home(
        "CREATE TRIGGER no BEFORE UPDATE ON rollback_app_fleet WHEN new.state = 'done' BEGIN SELECT raise(ABORT, 'full'); END"
    )
    done = fleet.roll_back("2024-03-01", workers=workers)
    assert done.returncode == 1
    assert "The state of the fleet, in default, cannot be read or written: full" in Text(done.stderr)
    assert "Traceback" not in done.stderr
    fleet.home("DROP TRIGGER no")
    assert fleet.runs("b") == ["finished"]


def test_a_new_fleet_stops_an_older_one_that_nobody_ended(make: Make, database: Database) -> None:
    make("a", "b")
    first = begun()
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE rollback_app_fleetrun SET lease = '2024-01-01T00:00:00+00:00'")
    second = begun()
    fleets.work(first)
    with fleets.book() as book:
        assert book.counts(first) == {MemberState.WAITING: 2}
    fleets.work(second)
    assert fleets.status().done
    names = {FleetEntry: f"{first}: since ", MemberEntry: "a: waiting"}
    for model, text in names.items():
        row = models.QuerySet(model, using="default").earliest("pk")
        assert str(row).startswith(text)


def test_a_worker_that_was_quicker(make: Make, database: Database) -> None:
    make("a")
    number = begun()

    def quicker(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            with closing(sqlite3.connect(connections["default"].settings_dict["NAME"])) as other, other:
                other.execute("UPDATE rollback_app_fleet SET state = 'running', lease = '2999-01-01T00:00:00+00:00'")
        return execute(sql, *rest)

    with fleets.book() as book, connections["default"].execute_wrapper(quicker):
        assert book.claim(number, "me:1") is None


def test_only_members_of_processes_that_are_gone_are_freed(make: Make, database: Database) -> None:
    make("a")
    number = begun()
    gone = subprocess.Popen(["true"])
    gone.wait()
    with fleets.book() as book:
        assert book.claim(number, name_of_worker(gone.pid))
        assert free_dead(book, number) == 1
        assert book.claim(number, name_of_worker())
        assert free_dead(book, number) == 0
        assert book.counts(number) == {MemberState.RUNNING: 1}


def test_a_fleet_of_which_nothing_is_known_is_not_worked_on(make: Make) -> None:
    make("a")
    roll_back()
    fleets.work(99)
    assert fleets.status().fleet.number == 1


class Person(StringIO):
    """At a terminal, who types this."""

    def isatty(self) -> bool:
        return True


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: str, **options: Any) -> tuple[int, str]:
    monkeypatch.setattr(sys, "stdin", Person(typed))
    asked = io.StringIO()
    monkeypatch.setattr("builtins.input", lambda words: print(words, file=asked) or _line(typed))
    out = Person()
    status = 0
    try:
        call_command("rollbackfleet", MOMENT, stdout=out, no_color=True, workers=1, **options)
    except CommandError as error:
        status = error.returncode
    return status, out.getvalue() + asked.getvalue()


def _line(typed: str) -> str:
    if not typed:
        raise EOFError
    return typed


def test_a_person_is_asked_and_sees_a_line_that_is_written_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("a", "b", "c", sql=VALUE)
    for typed in ("n", ""):
        status, out = at_a_terminal(monkeypatch, typed, keep=False)
        assert status == 3
        assert "This destroys data that only a backup brings back." in out
        assert "Take back 3 members? [y/N]" in out
    status, out = at_a_terminal(monkeypatch, "y")
    assert status == 0
    assert "This destroys" not in out
    assert re.findall(r"\r(\d) of 3 members done", out)[-1] == "3"
    assert out.count("3 of 3 members done") == 2  # in that line, and at the end
