"""A member's connection does not stay open: a fleet may have more databases than a process may open files."""

from __future__ import annotations

from tests.fleets.files import MOMENT, Fleet


def test_more_members_than_files_may_be_open(fleet: Fleet) -> None:
    names = [f"m{number}" for number in range(40)]
    fleet.add(*names)
    done = fleet.shell(f"ulimit -n 32; python manage.py rollbackfleet {MOMENT} --workers 1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(fleet.states().values()) == {"done"}
