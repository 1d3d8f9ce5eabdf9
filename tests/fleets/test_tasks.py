"""--tasks: the workers of the project's own queue roll a fleet back. Real ones, of django-tasks-db and django-tasks-rq."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.fleets.files import MIGRATIONS, MOMENT, Fleet
from tests.fleets.workers import (
    DB_WORKER,
    SECONDS,
    ServerFleet,
    Workers,
    check_done,
    check_done_or_untouched,
    ended,
    number_in,
    wait_until,
    with_tasks,
    working,
)
from tests.settings import SUFFIX
from tests.support.commands import Text

NAMES = [f"m{number:02}" for number in range(12)]
WAITING = "READY"
RQ = """
INSTALLED_APPS += ["django_rq", "django_tasks_rq"]
TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": ["rollbacks"]}}
RQ_QUEUES = {"rollbacks": {"URL": "%s", "DEFAULT_TIMEOUT": 600}}
"""
RQ_WORKER = ("rqworker", "rollbacks", "--job-class", "django_tasks_rq.Job")
RUN = ("rollbackfleet", MOMENT, "--tasks", "--destroy-data", "--workers", "1")


def left_in_queue(fleet: Fleet) -> int:
    return len(fleet.home(f"SELECT 1 FROM django_tasks_database_dbtaskresult WHERE status = '{WAITING}'"))


def long_ago(fleet: Fleet) -> None:
    """As if nobody had watched or worked for a while."""
    fleet.home("UPDATE rollback_app_fleetrun SET lease = '2024-01-01T00:00:00+00:00' RETURNING 1")


def test_the_workers_share_the_work_and_end_it(fleet: Fleet) -> None:
    with_tasks(fleet, seconds=0.2).add(*NAMES, "shared")
    line = fleet.roll_back(MOMENT, "--plan", "--tasks", "--destroy-data").stdout.splitlines()[-1].strip()
    assert "--tasks default" in line
    with working(fleet):
        done = fleet.shell(f"{line} --destroy-data")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: left_in_queue(fleet) == 0)
    assert "13 of 13 members done, in" in done.stdout
    assert len(fleet.workers()) == 2
    check_done(fleet, [*NAMES, "shared"])
    assert ended(fleet)
    assert fleet.as_json("--status")["outcome"] == "done"


@pytest.mark.parametrize("farewell", [signal.SIGINT, signal.SIGKILL])
def test_the_command_may_be_left(fleet: Fleet, farewell: int) -> None:
    with_tasks(fleet, seconds=1.0).add(*NAMES, "shared")
    with working(fleet):
        command = fleet.start(*RUN)
        wait_until(lambda: number_in(fleet, "done"))
        command.send_signal(farewell)
        _, error = command.communicate(timeout=SECONDS)
        assert number_in(fleet, "done") < len(NAMES)
        if farewell == signal.SIGINT:
            assert command.returncode == 1
            assert "The fleet goes on, by the workers of TASKS['default']." in Text(error)
            assert "python manage.py rollbackfleet --stop" in Text(error)
        second = fleet.manage(*RUN)
        assert second.returncode == 4
        assert "The rollback of a fleet is under way" in Text(second.stderr)
        assert "The workers of TASKS['default'] have it. To stop it:" in Text(second.stderr)
        wait_until(lambda: ended(fleet))
    check_done(fleet, [*NAMES, "shared"])


def test_a_worker_may_come_an_hour_later(fleet: Fleet) -> None:
    with_tasks(fleet).add(*NAMES[:3])
    command = fleet.start(*RUN)
    wait_until(lambda: left_in_queue(fleet))
    time.sleep(12)
    command.send_signal(signal.SIGINT)
    _, error = command.communicate(timeout=SECONDS)
    assert command.returncode == 1, error
    line = "python manage.py db_worker --backend default --queue-name default"
    assert "No worker has begun yet. You may leave this with Ctrl-C: the fleet goes on. Start one:" in Text(error)
    assert f"  {line}\n" in error
    long_ago(fleet)

    status = fleet.manage("rollbackfleet", "--status")
    assert "0 of 3 members done. It is with TASKS['default'], but no worker has a member now." in Text(status.stdout)
    assert "python manage.py rollbackfleet --resume --tasks default" in status.stdout
    assert fleet.as_json("--status")["outcome"] == "running"
    second = fleet.manage(*RUN)
    assert second.returncode == 4, second.stderr
    with working(fleet, number=1):
        wait_until(lambda: ended(fleet))
    check_done(fleet, NAMES[:3])


def test_what_is_stopped_is_not_begun_later(fleet: Fleet) -> None:
    with_tasks(fleet).add(*NAMES[:3])
    command = fleet.start(*RUN)
    wait_until(lambda: left_in_queue(fleet))
    command.kill()
    command.communicate()
    long_ago(fleet)
    assert fleet.manage("rollbackfleet", "--stop").returncode == 0
    with working(fleet, number=1):
        wait_until(lambda: left_in_queue(fleet) == 0 and ended(fleet))
        check_done_or_untouched(fleet, NAMES[:3])
        assert number_in(fleet, "waiting") == 3
        assert fleet.manage(*RUN).returncode == 0
    check_done(fleet, NAMES[:3])


def test_a_lost_task_is_handed_over_again(fleet: Fleet) -> None:
    with_tasks(fleet).add(*NAMES[:3])
    command = fleet.start(*RUN)
    wait_until(lambda: left_in_queue(fleet))
    command.kill()
    command.communicate()
    fleet.home("DELETE FROM django_tasks_database_dbtaskresult")
    watched = fleet.manage("rollbackfleet", "--resume", "--tasks")
    assert watched.returncode == 4
    long_ago(fleet)
    with working(fleet, number=1):
        again = fleet.manage("rollbackfleet", "--resume", "--tasks", "--destroy-data")
    assert again.returncode == 0, again.stderr
    check_done(fleet, NAMES[:3])


def test_shards_one_after_the_other(fleet: Fleet) -> None:
    with_tasks(fleet).add(*NAMES[:6])
    command = fleet.start(*RUN, "--shard", "1/2")
    wait_until(lambda: left_in_queue(fleet))
    command.send_signal(signal.SIGINT)
    _, error = command.communicate(timeout=SECONDS)
    assert "python manage.py rollbackfleet --status --shard 1/2" in Text(error)
    with working(fleet, number=1):
        done = fleet.manage(*RUN, "--shard", "2/2")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: fleet.as_json("--status", "--shard", "1/2")["outcome"] == "done")
    assert all(fleet.applied(name) == ["0001_initial"] for name in NAMES[:6])


def test_processes_may_go_on_with_it(fleet: Fleet) -> None:
    """What is still in the queue then does nothing."""
    with_tasks(fleet, seconds=1.0).add(*NAMES[:4])
    command = fleet.start(*RUN)
    wait_until(lambda: left_in_queue(fleet))
    command.kill()
    command.communicate()
    long_ago(fleet)
    again = fleet.start("rollbackfleet", "--resume", "--destroy-data", "--workers", "2")
    wait_until(lambda: number_in(fleet, "running"))
    with working(fleet, number=1):  # only now: one that begins first has the fleet
        wait_until(lambda: left_in_queue(fleet) == 0)
    _, error = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, error
    check_done(fleet, NAMES[:4])


def test_all_workers_and_the_command_are_killed(fleet: Fleet) -> None:
    """A worker that is started anew goes on by itself: the next task was in the queue before the first one worked."""
    with_tasks(fleet, seconds=1.0).add(*NAMES[:4])
    with working(fleet, number=1) as workers:
        command = fleet.start(*RUN)
        wait_until(lambda: number_in(fleet, "done") and number_in(fleet, "running"))
        command.kill()
        workers.kill()
        command.communicate()
        check_done_or_untouched(fleet, [name for name, state in fleet.states().items() if state != "running"])
        wait_until(lambda: ended(fleet))
    check_done(fleet, NAMES[:4])
    assert fleet.home("SELECT max(tries) FROM rollback_app_fleet") == [(2,)]


def test_the_command_hands_over_again_what_died_with_its_workers(fleet: Fleet) -> None:
    with_tasks(fleet, seconds=1.0).add(*NAMES[:3])
    with working(fleet, number=1) as workers:
        command = fleet.start(*RUN)
        wait_until(lambda: number_in(fleet, "running"))
        fleet.home(f"DELETE FROM django_tasks_database_dbtaskresult WHERE status = '{WAITING}'")
        workers.kill()
        _, error = command.communicate(timeout=SECONDS)
    assert command.returncode == 0, error
    assert "No worker" not in error
    check_done(fleet, NAMES[:3])


def test_who_stands_by_takes_over_from_a_dead_canary(fleet: Fleet) -> None:
    """And stands by again and again while the canary takes its time."""
    with_tasks(fleet, seconds=5.0).add(*NAMES[:2])
    with working(fleet):
        command = fleet.start(*RUN)
        (canary,) = wait_until(lambda: number_in(fleet, "running") and fleet.workers() - {""})
        time.sleep(4)
        os.kill(int(canary.rpartition(":")[2]), signal.SIGKILL)
        command.communicate(timeout=SECONDS)
        assert command.returncode == 0
    check_done(fleet, NAMES[:2])
    assert fleet.workers() == fleet.workers() - {canary}


def test_a_stand_by_that_was_killed_is_missed(fleet: Fleet) -> None:
    """By a task that still works, when its time is over."""
    with_tasks(fleet, seconds=0.7).add(*NAMES[:6])
    with working(fleet, number=1):
        command = fleet.start(*RUN)
        wait_until(lambda: number_in(fleet, "running"))
        command.kill()
        command.communicate()
        fleet.home(f"DELETE FROM django_tasks_database_dbtaskresult WHERE status = '{WAITING}'")
        fleet.home("UPDATE rollback_app_fleetrun SET next_task = '2024-01-01T00:00:00+00:00'")
        wait_until(lambda: ended(fleet))
    check_done(fleet, NAMES[:6])


def test_a_member_that_fails_ends_the_fleet(fleet: Fleet) -> None:
    with_tasks(fleet).add(*NAMES[:3])
    fleet.fail(NAMES[0])
    with working(fleet, number=1):
        done = fleet.manage(*RUN, "--canary", NAMES[0])
        assert done.returncode == 1
        assert "FAILED m00" in done.stdout
        check_done_or_untouched(fleet, NAMES[:3])
        fleet.repair(NAMES[0])
        again = fleet.manage("rollbackfleet", "--resume", "--tasks", "--destroy-data")
    assert again.returncode == 0, again.stderr
    check_done(fleet, NAMES[:3])


def kill_at_random(fleet: Fleet, workers: Workers, times: int) -> None:
    """While there is something to do. Each member may lose its worker twice; a third time, and it counts as failed."""
    for _ in range(times):
        time.sleep(random.uniform(0.5, 2))
        if not number_in(fleet, "waiting"):
            return
        workers.kill(random.randrange(len(workers.all)))


@pytest.fixture
def server_fleet(made: Path, tmp_path: Path) -> Iterator[ServerFleet]:
    fleet = ServerFleet.copied(made, tmp_path / "project")
    assert isinstance(fleet, ServerFleet)
    direct = os.environ[servers.URLS["postgresql"]]
    fleet.prepare(os.environ.get(servers.URLS["pgbouncer"], direct), direct, f"rollback_tests_fleet_{SUFFIX}")
    yield fleet
    fleet.empty()


def killed_at_random(fleet: Fleet, *words: str) -> None:
    with working(fleet, *words) as workers:
        killer = threading.Thread(target=kill_at_random, args=(fleet, workers, 5))
        command = fleet.start(*RUN, "--max-failures", "3")
        wait_until(lambda: number_in(fleet, "running", "done"))
        killer.start()
        out, error = command.communicate(timeout=SECONDS)
        killer.join()
        assert workers.deaths
    check_done_or_untouched(fleet, NAMES)
    states = fleet.states()
    if command.returncode:  # one member lost its worker three times
        assert "Its workers died, 3 times." in out, (states, out, error)
        again = fleet.manage("rollbackfleet", "--resume", "--destroy-data", "--workers", "2")
        assert again.returncode == 0, again.stderr
    check_done(fleet, NAMES)


def test_files_with_workers_that_are_killed(fleet: Fleet) -> None:
    killed_at_random(with_tasks(fleet, seconds=0.5).add(*NAMES))


@pytest.mark.databases("postgresql")
def test_databases_with_workers_that_are_killed(server_fleet: ServerFleet) -> None:
    """Behind pgbouncer in transaction mode, where there is one; the state and the queue too."""
    server_fleet.add(*NAMES)
    killed_at_random(with_tasks(server_fleet, seconds=0.5))


@pytest.mark.databases("redis")
def test_rq_with_workers_that_are_killed(fleet: Fleet) -> None:
    with_tasks(fleet, RQ % os.environ[servers.URLS["redis"]], seconds=0.5).add(*NAMES)
    killed_at_random(fleet, *RQ_WORKER)


# What is wrong with the back end


@pytest.mark.parametrize(
    ("settings", "words", "said"),
    [
        (
            "",
            ["--tasks", "other"],
            "TASKS has no back end called 'other'. Known: default. A moment comes before --tasks.",
        ),
        ("TASKS = {}", ["--tasks"], "TASKS is wrong"),
        ('TASKS = {"default": {"BACKEND": "shop.Nothing"}}', ["--tasks"], "TASKS is wrong: Could not find backend"),
        (
            'TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}',
            ["--tasks"],
            "The back end 'default' of TASKS has no workers: it is DummyBackend.",
        ),
        (
            'TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}',
            ["--tasks"],
            "leave out --tasks: then processes of this machine work",
        ),
        (
            'import sys; sys.modules["django_tasks"] = sys.modules["django.tasks"] = None',
            ["--tasks"],
            "There is no task framework here",
        ),
        ("", ["--tasks", ""], "--tasks is empty"),
        ("", ["--status", "--tasks"], "--tasks says who works. Leave out --tasks, or --status and --stop."),
    ],
)
def test_bad_input(fleet: Fleet, settings: str, words: list[str], said: str) -> None:
    fleet.settings('TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}')
    fleet.settings(settings)
    fleet.add("acme")
    moment = [] if "--status" in words else [MOMENT]
    done = fleet.manage("rollbackfleet", *moment, *words)
    assert done.returncode == 2
    assert said in Text(done.stderr)
    assert "Traceback" not in done.stderr


def test_a_queue_that_takes_nothing(fleet: Fleet) -> None:
    """There is no such server."""
    with_tasks(fleet, RQ % f"redis://127.0.0.1:{servers.free_port()}/0").add("acme")
    done = fleet.manage(*RUN)
    assert done.returncode == 1
    assert "TASKS['default'] takes no task: ConnectionError" in Text(done.stderr)
    assert "python manage.py rollbackfleet --resume --tasks default" in Text(done.stderr)
    assert fleet.applied("acme") == [*MIGRATIONS]
    long_ago(fleet)
    assert "not under way, stopped" in fleet.manage("rollbackfleet", "--status").stdout


def test_a_state_that_can_no_longer_be_read(fleet: Fleet) -> None:
    with_tasks(fleet).add("acme")
    command = fleet.start(*RUN)
    wait_until(lambda: left_in_queue(fleet))
    fleet.home("DROP TABLE rollback_app_fleetrun")
    _, error = command.communicate(timeout=SECONDS)
    assert command.returncode == 1
    assert "It can no longer be watched. The state of the fleet, in default," in Text(error)
    assert "no such table: rollback_app_fleetrun" in Text(error)
    assert "The fleet goes on" in Text(error)
    assert "Traceback" not in error


def test_a_worker_that_cannot_even_begin(fleet: Fleet) -> None:
    """It finds other settings than the command does."""
    with_tasks(fleet).add("acme")
    file = fleet.folder / "fleet.py"
    file.write_text(
        f"import sys\n\nif 'db_worker' in sys.argv:\n    raise RuntimeError('no such fleet')\n{file.read_text()}"
    )
    with working(fleet, number=1):
        done = fleet.manage(*RUN)
    assert done.returncode == 1
    assert "The task fails before it takes a member:" in Text(done.stderr)
    assert "RuntimeError: no such fleet" in Text(done.stderr)
    assert fleet.applied("acme") == [*MIGRATIONS]


def test_a_back_end_that_cannot_tell_how_its_tasks_are(fleet: Fleet) -> None:
    with_tasks(fleet).add("acme")
    (fleet.folder / "quiet.py").write_text(
        "from django_tasks_db import DatabaseBackend\n\nclass Quiet(DatabaseBackend):\n    supports_get_result = False\n"
    )
    fleet.settings('TASKS["own"] = {"BACKEND": "quiet.Quiet", "QUEUES": ["rollbacks"]}')
    command = fleet.start(*RUN[:-4], "--tasks", "own", "--destroy-data", "--format", "json")
    wait_until(lambda: left_in_queue(fleet))
    time.sleep(24)
    with working(fleet, *DB_WORKER, "--backend", "own", "--queue-name", "rollbacks", number=1):
        out, error = command.communicate(timeout=SECONDS)
    assert command.returncode == 0
    assert json.loads(out)["outcome"] == "done"
    assert "the fleet goes on. Start one of quiet.Quiet." in Text(error)
    assert error.count("No worker") == 1
    check_done(fleet, ["acme"])
