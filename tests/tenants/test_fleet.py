"""rollbackfleet over schemas: of django-tenants, of django-pgschemas, and of a project that only says which there are."""

from __future__ import annotations

import json

import pytest

from tests.support.commands import Text
from tests.tenants.project import BETWEEN, KINDS, LATE, NAMES, Tenants

pytestmark = pytest.mark.databases("postgresql")
each_kind = pytest.mark.parametrize("tenants", KINDS, indirect=True)


def line_after(out: str, words: str) -> str:
    """The line to paste below these words."""
    return next(line for line in out.split(words, 1)[1].splitlines() if line.startswith("  python")).strip()


@each_kind
def test_all_schemas_go_back_and_forward_again(tenants: Tenants) -> None:
    names = NAMES[tenants.kind]
    before = {name: tenants.contents(name) for name in names}
    planned = tenants.manage("rollbackfleet", BETWEEN, "--plan")
    assert planned.status == 0, planned.error
    assert f"Fleet of {len(names) + 1} members" in planned.out
    assert "and public, which the others need, last" in planned.out
    assert "in 2 groups of members that are alike" in Text(planned.out)  # since the routers let other steps in public
    assert tenants.differences(before) == []

    alone = {
        name: tenants.inside(name, "rollbackmigrationsafter", BETWEEN, "--plan", "--format", "json") for name in names
    }
    steps = {name: [step["migration"] for step in said.json["plans"][0]["steps"]] for name, said in alone.items()}

    done = tenants.paste(line_after(planned.out, "To run it:"))
    assert done.status == 0, done.error
    assert f"{len(names) + 1} of {len(names) + 1} members done" in done.out
    for name in (*names, "public"):
        assert not {*LATE, *steps.get(name, [])} & set(tenants.records(name))
        assert tenants.ask(name, "SELECT outcome FROM rollback_app_run") == [("finished",)]
    assert tenants.ask("public", "SELECT DISTINCT state FROM rollback_app_fleet") == [("done",)]
    assert not any(table.startswith("rollback_app_fleet") for name in names for table in tenants.tables(name))

    forward = tenants.paste(line_after(done.out, "To go forward again later"))
    assert forward.status == 0, forward.error
    for name in names:
        now = tenants.contents(name)
        kept = {table: rows for table, rows in now.items() if not table.startswith(("rollback_", "django_migrations"))}
        assert kept == {table: before[name][table] for table in kept}


def test_tenants_of_several_types(tenants: Tenants) -> None:
    """The router of django-tenants lets other apps into the schemas of another type."""
    tenants.environment["TENANTS_OF_TYPES"] = "1"
    tenants.ask("beta", "DROP TABLE shop_review, shop_product CASCADE")
    before = {name: tenants.contents(name) for name in ("alpha", "beta")}
    done = tenants.manage("rollbackfleet", BETWEEN)
    assert done.status == 0, done.error
    for name, tables in (("alpha", {"notes_note", "shop_product"}), ("beta", {"notes_note"})):
        assert not set(LATE) & set(tenants.records(name))
        assert {table for table in tenants.tables(name) if table.startswith(("notes", "shop"))} == tables
        assert tenants.columns(name, "notes_note") == ["id", "text"]
    forward = tenants.paste(line_after(done.out, "To go forward again later"))
    assert forward.status == 0, forward.error
    for name, contents in before.items():
        after = tenants.contents(name)
        assert {table for table in after if not table.startswith("rollback_")} == contents.keys()
        assert after["notes_note"] == contents["notes_note"]


@each_kind
def test_the_workers_of_a_queue_that_is_in_the_shared_schema(tenants: Tenants) -> None:
    tenants.environment["TENANTS_TASKS"] = "1"
    assert tenants.migrate("public", RECORD=False).status == 0
    tenants.ask("public", "UPDATE django_migrations SET applied = '2024-05-01 10:00+00' WHERE applied > '2024-06-01'")
    worker = tenants.start("db_worker", "--interval", "0.2", "--no-startup-delay", "--no-reload")
    done = tenants.manage("rollbackfleet", BETWEEN, "--tasks")
    worker.terminate()
    said, _ = worker.communicate(timeout=60)
    assert done.status == 0, (done.error, said)
    for name in (*NAMES[tenants.kind], "public"):
        assert not set(LATE) & set(tenants.records(name))
        assert tenants.ask(name, "SELECT outcome FROM rollback_app_run") == [("finished",)]
    (workers,) = tenants.ask("public", "SELECT DISTINCT worker FROM rollback_app_fleet WHERE worker <> ''")
    assert str(worker.pid) in workers[0]


@each_kind
def test_who_is_where_and_whether_the_code_runs(tenants: Tenants) -> None:
    shown = tenants.manage("showdeployments", "--fleet")
    assert shown.status == 0, shown.error
    assert f"{len(NAMES[tenants.kind]) + 1} members, 1 group" in shown.out
    assert tenants.manage("checkschema", "--fleet").status == 0
    assert tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN).status == 0
    assert "Lacks" in tenants.manage("showdeployments", "--fleet").out
    refused = tenants.manage("checkschema", "--fleet")
    assert refused.status == 3
    assert "1 member: alpha" in refused.out


@each_kind
def test_a_schema_that_is_gone_and_one_without_records_are_no_members_that_can_be_rolled_back(tenants: Tenants) -> None:
    """The next schema of the search path is not taken for theirs."""
    tenants.ask("public", "DROP SCHEMA alpha CASCADE; CREATE SCHEMA alpha; DROP SCHEMA beta CASCADE")
    before = {"public": tenants.contents("public")}
    refused = tenants.manage("rollbackfleet", BETWEEN, "--only", "alpha", "--only", "beta")
    assert refused.status == 1
    assert "schema alpha has no table django_migrations" in refused.error
    some = tenants.manage("rollbackfleet", BETWEEN, "--plan", "--format", "json")
    assert some.status == 3
    assert {each["name"] for each in some.json["without_plan"]} == {"alpha", "beta"}
    assert "There is no schema 'beta' in default." in some.out
    assert tenants.differences(before) == []


def test_two_processes_and_a_failure(tenants: Tenants) -> None:
    trigger = (
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'sabotaged'; END $$;"
        "CREATE TRIGGER no BEFORE DELETE ON django_migrations FOR EACH ROW EXECUTE FUNCTION no()"
    )
    tenants.ask("beta", trigger)
    before = {"beta": tenants.contents("beta")}
    done = tenants.manage("rollbackfleet", BETWEEN, "--workers", "2", "--canary", "alpha", "--max-failures", "1")
    assert done.status == 1
    assert "FAILED beta: " in done.out
    assert "sabotaged" in done.out
    assert "public was left as it is, since members that are not done need it." in Text(done.out)
    assert LATE[0] in tenants.records("public")
    assert not set(LATE) & set(tenants.records("Tenant A"))
    now = tenants.contents("beta")
    assert {table: rows for table, rows in now.items() if not table.startswith("rollback_app")} == before["beta"]

    tenants.ask("beta", "DROP TRIGGER no ON django_migrations")
    assert tenants.manage("rollbackfleet", "--resume", "--workers", "2").status == 0
    assert LATE[0] not in tenants.records("public")


def test_a_last_deployment_of_its_own_for_each_schema(tenants: Tenants) -> None:
    found = tenants.manage("rollbackfleet", "last", "--format", "json", "--except", "public")
    assert found.status == 0, found.out
    assert json.loads(found.out)["outcome"] == "done"
    assert not set(LATE) & set(tenants.records("alpha"))


def test_tenants_that_cannot_be_read(tenants: Tenants) -> None:
    tenants.ask("public", "ALTER TABLE customers_client RENAME TO gone")
    refused = tenants.manage("rollbackfleet", BETWEEN)
    assert refused.status == 1
    assert "The tenants of default cannot be read" in refused.error
    assert "Traceback" not in refused.error
