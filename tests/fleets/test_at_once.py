"""Two that begin, or go on with, a fleet at the same time: one does, or none."""

from __future__ import annotations

from tests.fleets.files import MOMENT, Fleet

OTHER = """
CREATE TRIGGER other AFTER INSERT ON rollback_app_fleetrun WHEN new.command <> 'other' BEGIN
    INSERT INTO rollback_app_fleetrun
    (started, ended, operator, host, command, orders, max_failures, stopped, lease{columns})
    SELECT started, '', 'bob', host, 'other', orders, 0, '', '2999-01-01T00:00:00+00:00'{columns}
    FROM rollback_app_fleetrun WHERE id = new.id;
END
"""


def test_another_that_begins_at_the_same_moment(fleet: Fleet) -> None:
    fleet.add("acme")
    assert fleet.roll_back().returncode == 0
    fleet.add("acme")
    known = ["id", "started", "ended", "operator", "host", "command", "orders", "max_failures", "stopped", "lease"]
    more = [name for _, name, *_ in fleet.home("PRAGMA table_info(rollback_app_fleetrun)") if name not in known]
    fleet.home(OTHER.format(columns="".join(f", {name}" for name in more)))
    refused = fleet.roll_back()
    assert refused.returncode == 4
    assert "which bob on" in refused.stderr
    assert fleet.home("SELECT operator <> 'bob', ended = '' FROM rollback_app_fleetrun") == [(1, 0), (0, 1)]
    assert fleet.runs("acme") == []


def test_two_that_go_on_with_the_same_fleet(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.fail("acme")
    assert fleet.roll_back(MOMENT).returncode == 1
    code = """
import django; django.setup()
from rollback_app import fleets
from rollback_app.errors import Locked
fleets.find()
found = fleets.status()
orders = fleets.Orders.stored(found.fleet.orders)
plan = fleets.survey(fleets.left(found), orders)
fleets.begin_again(found, plan, orders, 0)
try:
    fleets.begin_again(found, plan, orders, 0)
except Locked as error:
    print(error.returncode, error.message)
"""
    done = fleet.python(code)
    assert "4 The rollback of a fleet is under way" in done.stdout, done.stderr
