"""Workers and commands that are killed: each member is done or untouched, nothing is done twice, and the state is true."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fleets.files import MOMENT, Fleet
from tests.support.commands import Text

DRIVER = Path(__file__).parent / "killed.py"
# Kills itself, once, when the rollback of the member in VICTIM begins, or when it is done.
SUICIDE = """
import os
import signal
import time
from pathlib import Path

from django.apps import AppConfig


class Shop(AppConfig):
    name = "shop"

    def ready(self):
        from rollback_app import signals

        signals.rollback_started.connect(self.wait, weak=False)
        victim, when = os.environ.get("VICTIM", ":").split(":")
        getattr(signals, f"rollback_{when or 'started'}").connect(self.die, weak=False)
        self.victim = victim

    def wait(self, **rest):
        time.sleep(float(os.environ.get("SLOWLY", "0")))

    def die(self, rollback, **rest):
        note = Path(f"killed-{rollback.alias}")
        if rollback.alias == self.victim and not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""

# Kills itself, once, within the second step of the member in VICTIM.
BETWEEN = """
import os
import signal
from pathlib import Path

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class Shop(AppConfig):
    name = "shop"

    def ready(self):
        connection_created.connect(self.watch, weak=False)

    def watch(self, connection, **rest):
        if connection.alias == os.environ["VICTIM"]:
            connection.execute_wrappers.append(self.die)

    def die(self, execute, sql, *rest):
        note = Path("killed")
        if 'DROP TABLE "shop_tag"' in sql and not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, *rest)
"""


def with_suicide(fleet: Fleet, victim: str) -> None:
    (fleet.folder / "shop/apps.py").write_text(SUICIDE)
    fleet.environment["VICTIM"] = victim


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.lists(st.integers(1, 400), max_size=3))
@example([3, 3, 1], [])
@example([3, 2], [150, 60])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_member_ends_where_its_own_rollback_would_have_brought_it(
    made: Path, histories: list[int], kills: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet.copied(made, Path(folder) / "project")
        done = subprocess.run(
            [sys.executable, str(DRIVER), json.dumps(histories), json.dumps(kills)],
            cwd=fleet.folder,
            env=fleet.environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
    for run in found["runs"]:
        for member, alone, before in zip(run["members"], found["alone"], found["before"], strict=True):
            assert member[:3] in (alone[:3], before[:3]), run["status"]
    last = found["runs"][-1]
    assert last["status"] == 0, done.stderr
    assert last["members"] == found["alone"]


def test_a_process_that_dies_is_replaced(fleet: Fleet) -> None:
    names = [f"c{number}" for number in range(8)]
    fleet.add(*names)
    with_suicide(fleet, "c3:started")
    done = fleet.roll_back(MOMENT, workers=2)
    assert done.returncode == 0, done.stderr
    assert (fleet.folder / "killed-c3").exists()
    assert set(fleet.states().values()) == {"done"}
    assert [fleet.runs(name).count("finished") for name in names] == [1] * 8


def test_a_process_that_dies_when_a_member_is_done_does_it_not_twice(fleet: Fleet) -> None:
    names = [f"c{number}" for number in range(8)]
    fleet.add(*names)
    with_suicide(fleet, "c3:finished")
    done = fleet.roll_back(MOMENT, workers=2)
    assert done.returncode == 0, done.stderr
    assert (fleet.folder / "killed-c3").exists()
    # When one process of a pool dies, the others are ended: what these had was taken back, and done later.
    assert [fleet.runs(name).count("finished") for name in names] == [1] * 8
    assert set(fleet.states().values()) == {"done"}


def test_a_process_that_dies_between_two_steps(fleet: Fleet) -> None:
    """Where it is not one transaction, what it has done stays done."""
    fleet.add("acme", "beta", "coda", "dime")
    (fleet.folder / "shop/apps.py").write_text(BETWEEN)
    fleet.environment["VICTIM"] = "beta"
    done = fleet.roll_back(MOMENT, "--step-by-step", "--no-keep", "--destroy-data", "--canary", "acme", workers=2)
    assert done.returncode == 1, done.stderr
    assert "FAILED beta: The worker that had it died between two steps." in Text(done.stdout)
    assert fleet.applied("beta") == ["0001_initial", "0002_price"]
    again = fleet.roll_back("--resume", "--destroy-data")
    assert again.returncode == 0, again.stderr
    assert fleet.applied("beta") == ["0001_initial"]


@pytest.mark.parametrize("members", [3, 8])
def test_processes_that_die_at_once(fleet: Fleet, members: int) -> None:
    """So early that they take no member: that is said, and not tried for ever. A few members are looked at without them."""
    names = [f"c{number}" for number in range(members)]
    fleet.add(*names)
    (fleet.folder / "sitecustomize.py").write_text(
        "import sys\nif 'multiprocessing' in ' '.join(sys.orig_argv):\n    import os; os._exit(3)\n"
    )
    done = fleet.roll_back(MOMENT, workers=2)
    assert done.returncode == 1
    assert "--workers 1" in done.stderr
    assert "Traceback" not in done.stderr
    assert fleet.states_or_none() == (dict.fromkeys(names, "waiting") if members == 3 else None)
    (fleet.folder / "sitecustomize.py").unlink()
    fleet.forget()
    assert fleet.roll_back(MOMENT, workers=1).returncode == 0


def test_a_command_that_was_killed_is_noticed_and_gone_on_with(fleet: Fleet) -> None:
    fleet.add("acme", "beta", "coda")
    with_suicide(fleet, "beta:started")
    assert fleet.roll_back(MOMENT, "--canary", "acme").returncode == -signal.SIGKILL
    assert fleet.states() == {"acme": "done", "beta": "running", "coda": "waiting"}
    status = fleet.roll_back("--status")
    assert "It is under way." in status.stdout
    for words in ([MOMENT], ["--resume"]):
        refused = fleet.roll_back(*words)
        assert refused.returncode == 4
        assert "If it was killed, that is noticed within 30 s." in Text(refused.stderr)

    time.sleep(31)
    status = fleet.roll_back("--status")
    assert "1 of 3 members done, 1 under way. It is not under way." in Text(status.stdout)
    assert "python manage.py rollbackfleet --resume" in status.stdout
    done = fleet.roll_back("--resume")
    assert done.returncode == 0, done.stderr
    assert fleet.states() == {"acme": "done", "beta": "done", "coda": "done"}
    assert [fleet.runs(name).count("finished") for name in ("acme", "beta", "coda")] == [1, 1, 1]


def test_processes_of_a_command_that_was_killed_begin_no_other_member(fleet: Fleet) -> None:
    names = [f"c{number:02}" for number in range(40)]
    fleet.add(*names)
    running = fleet.start("rollbackfleet", MOMENT, "--workers", "2")
    while "done" not in (fleet.states_or_none() or {}).values():
        time.sleep(0.05)
        assert running.poll() is None
    running.kill()
    running.communicate()
    seen: dict[str, str] = {}
    while seen != (seen := fleet.states()) or "running" in seen.values():
        time.sleep(1)
    assert set(seen.values()) == {"done", "waiting"}
    for name, state in seen.items():
        assert (fleet.applied(name) == ["0001_initial"]) is (state == "done")


def test_stop_and_a_second_fleet_while_one_is_under_way(fleet: Fleet) -> None:
    names = [f"c{number:02}" for number in range(40)]
    fleet.add(*names)
    with_suicide(fleet, ":")
    fleet.environment["SLOWLY"] = "1"
    running = fleet.start("rollbackfleet", MOMENT, "--workers", "1")
    while not fleet.states_or_none():
        time.sleep(0.05)
        assert running.poll() is None
    second = fleet.roll_back(MOMENT)
    assert second.returncode == 4
    stopped = fleet.roll_back("--stop")
    assert stopped.returncode == 0
    assert "stopped" in stopped.stdout
    out, error = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "were not begun." in Text(out)
    assert "Not all members are done" in error
    states = fleet.states()
    assert set(states.values()) == {"done", "waiting"}
    assert fleet.as_json("--status")["outcome"] == "stopped"
    fleet.environment["SLOWLY"] = "0"
    assert fleet.roll_back("--resume", workers=2).returncode == 0
    assert [fleet.runs(name).count("finished") for name in names] == [1] * 40


def test_ctrl_c_where_the_command_does_the_work(fleet: Fleet) -> None:
    """The member at hand is undone, and said to be so; no other is begun, though failures are allowed."""
    fleet.add("acme", "beta", "coda", "dime")
    with_suicide(fleet, ":")
    fleet.environment["SLOWLY"] = "2"
    running = fleet.start("rollbackfleet", MOMENT, "--workers", "1", "--max-failures", "3")
    while "done" not in (fleet.states_or_none() or {}).values():
        time.sleep(0.05)
        assert running.poll() is None
    time.sleep(1)
    os.kill(running.pid, signal.SIGINT)
    out, error = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "Traceback" not in error
    assert "were not begun." in Text(out)
    states = fleet.states()
    assert states.pop("beta") in ("failed", "waiting")
    assert states == {"acme": "done", "coda": "waiting", "dime": "waiting"}
    assert fleet.applied("beta") == ["0001_initial", "0002_price", "0003_name"]
    fleet.environment["SLOWLY"] = "0"
    assert fleet.roll_back("--resume").returncode == 0
    assert [fleet.runs(name).count("finished") for name in ("acme", "beta", "coda", "dime")] == [1] * 4


def test_ctrl_c_again_cuts_off_those_under_way(fleet: Fleet) -> None:
    names = [f"c{number}" for number in range(6)]
    fleet.add(*names)
    with_suicide(fleet, ":")
    fleet.environment["SLOWLY"] = "5"
    running = fleet.start("rollbackfleet", MOMENT, "--workers", "2")
    while list((fleet.states_or_none() or {}).values()).count("running") < 2:
        time.sleep(0.1)
        assert running.poll() is None
    for _ in range(2):
        os.kill(running.pid, signal.SIGINT)
        time.sleep(1)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "The members that were under way were cut off." in Text(error)
    assert "Traceback" not in error
    states = fleet.states()
    assert set(states.values()) == {"done", "waiting"}
    for name, state in states.items():
        assert (fleet.applied(name) == ["0001_initial"]) is (state == "done")
    fleet.environment["SLOWLY"] = "0"
    assert fleet.roll_back("--resume", workers=2).returncode == 0


def test_ctrl_c_lets_those_under_way_end(fleet: Fleet) -> None:
    names = [f"c{number:02}" for number in range(40)]
    fleet.add(*names)
    running = fleet.start("rollbackfleet", MOMENT, "--workers", "2")
    while "done" not in (fleet.states_or_none() or {}).values():
        time.sleep(0.05)
        assert running.poll() is None
    os.kill(running.pid, signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "Traceback" not in error
    assert set(fleet.states().values()) == {"done", "waiting"}
    for name, state in fleet.states().items():
        assert (fleet.applied(name) == ["0001_initial"]) is (state == "done")
    assert fleet.roll_back("--resume").returncode == 0
    shutil.rmtree(fleet.folder)
