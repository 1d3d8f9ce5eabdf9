"""Who of a fleet is where: showdeployments --fleet, checkschema --fleet."""

from __future__ import annotations

import json
from typing import Any

from tests.fleets.files import Fleet
from tests.support.commands import Text, checked


def as_json(fleet: Fleet, command: str) -> Any:
    return checked(fleet.manage(command, "--fleet", "--format", "json").stdout, command)


def test_showdeployments_tells_who_is_where(fleet: Fleet) -> None:
    fleet.add("acme", "beta").add("coda", at=2).add("dime", at=1)
    fleet.file("void").touch()
    fleet.execute("beta", "UPDATE django_migrations SET applied = '2024-05-01 12:30:00' WHERE name = '0003_name'")
    shown = fleet.manage("showdeployments", "--fleet", "--timezone", "UTC")
    assert shown.returncode == 0
    assert "Fleet of 5 members, 3 groups" in shown.stdout
    assert "2 members: acme, beta" in shown.stdout
    assert "the newest shop.0003_name of 2024-05-01 10:00:01 to 2024-05-01 12:30:00" in Text(shown.stdout)
    assert "1 member: dime" in shown.stdout
    assert "Lacks shop.0002_price, shop.0003_name" in shown.stdout
    assert "void: " in shown.stdout
    found = as_json(fleet, "showdeployments")
    assert [(group["names"], group["migrations"]) for group in found["groups"]] == [
        (["acme", "beta"], 3),
        (["coda"], 2),
        (["dime"], 1),
    ]
    assert found["groups"][1]["lacks"] == ["shop.0003_name"]
    assert [each["name"] for each in found["without_records"]] == ["void"]


def test_a_member_that_has_more_than_most_and_one_that_has_nothing(fleet: Fleet) -> None:
    fleet.add("acme", "beta", at=1).add("coda").add("dime", at=1)
    fleet.execute("dime", "DELETE FROM django_migrations")
    shown = fleet.manage("showdeployments", "--fleet")
    assert "Has besides shop.0002_price, shop.0003_name" in shown.stdout
    assert "1 member: dime\n  Lacks shop.0001_initial" in shown.stdout
    assert as_json(fleet, "showdeployments")["groups"][2]["newest"] == []


def test_many_members_are_not_all_named(fleet: Fleet) -> None:
    fleet.add(*(f"c{number:02}" for number in range(25)))
    for number in range(25):
        fleet.file(f"void{number:02}").touch()
    shown = fleet.manage("showdeployments", "--fleet")
    assert "c19 and 5 more" in Text(shown.stdout)
    assert "and 5 more, which --format json lists." in shown.stdout
    assert len(as_json(fleet, "showdeployments")["without_records"]) == 25


def test_checkschema_asks_each_member(fleet: Fleet) -> None:
    fleet.models()
    fleet.add("acme", "beta").add("dime", at=1)
    refused = fleet.manage("checkschema", "--fleet")
    assert refused.returncode == 3
    assert "1 member: dime" in refused.stdout
    assert "This code does not run on the database as it is:" in refused.stdout
    assert "2 members: acme, beta" in refused.stdout
    assert "This code cannot work on 1 member of 3 as they are." in Text(refused.stderr)
    assert "python manage.py rollbackfleet here --plan" in refused.stderr
    found = json.loads(fleet.manage("checkschema", "--fleet", "--format", "json").stdout)
    checked(json.dumps(found), "checkschema")
    assert [group["verdict"]["verdict"] for group in found["groups"]] == ["fails", "runs"]
    assert found["outcome"] == "refused"

    fleet.file("dime").unlink()
    assert fleet.manage("checkschema", "--fleet").returncode == 0
    fleet.file("void").write_bytes(b"no database" * 100)
    refused = fleet.manage("checkschema", "--fleet", "-v", "0")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert [each["name"] for each in as_json(fleet, "checkschema")["not_checked"]] == ["void"]
