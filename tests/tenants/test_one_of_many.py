"""A rollback of one customer's schema, by the line that its package has for such commands: that schema alone, all of it right."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import servers
from tests.support.commands import Said
from tests.tenants.project import BETWEEN, KINDS, LATE, NAMES, Tenants

pytestmark = pytest.mark.databases("postgresql")
OURS = ["rollback_app_hold", "rollback_app_kept", "rollback_app_run"]
KEPT = ["rollback_kept_1", "rollback_kept_2", "rollback_kept_3"]
WRAPPER = {"django_tenants": "tenant_command", "django_pgschemas": "runschema"}
each_kind = pytest.mark.parametrize("tenants", KINDS, indirect=True)


def roll_back(tenants: Tenants, schema: str, *args: str) -> Said:
    return tenants.inside(schema, "rollbackmigrationsafter", BETWEEN, "--no-input", *args)


def lines(said: Said) -> list[str]:
    """Those to paste."""
    return [line.strip() for line in said.all.splitlines() if line.strip().startswith("python manage.py ")]


def all_contents(tenants: Tenants) -> dict[str, dict[str, list[str]]]:
    return {schema: tenants.contents(schema) for schema in ("public", *NAMES[tenants.kind])}


def without_history(contents: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without when what was applied, and our own tables."""
    return {name: rows for name, rows in contents.items() if name != "django_migrations" and "rollback" not in name}


@pytest.mark.parametrize(
    ("tenants", "schema"),
    [(kind, schema) for kind in KINDS for schema in NAMES[kind] if schema != "beta"],
    indirect=["tenants"],
)
def test_there_and_back_by_the_printed_lines(tenants: Tenants, schema: str) -> None:
    before = all_contents(tenants)
    plan = tenants.inside(schema, "rollbackmigrationsafter", BETWEEN, "--plan")
    assert f", schema {schema}\n" in plan.out
    assert "drops column notes_note.pinned: 1 row has a value, kept" in plan.out
    assert tenants.differences(before) == []

    (line,) = lines(plan)
    assert line.startswith(f"python manage.py {WRAPPER[tenants.kind]} rollbackmigrationsafter --schema=")
    done = tenants.paste(line)
    assert done.status == 0, done.all
    assert "Done: 5 migrations unapplied" in done.out

    assert tenants.differences(before) == [schema]
    assert tenants.tables(schema) == [
        *("django_content_type", "django_migrations", "notes_note", *OURS, *KEPT, "shop_product")
    ]
    assert tenants.columns(schema, "shop_product") == ["currency_id", "id", "name"]
    assert not set(LATE) & set(tenants.records(schema))
    # Of what all share, only the record was the schema's.
    assert "customers_plan" in tenants.tables("public")
    assert tenants.ask("public", "SELECT symbol FROM customers_currency") == [("$",)]

    refused = tenants.migrate(schema)
    assert refused.status == 1
    assert "migrate is held" in refused.all
    assert lines(refused) == [line for line in lines(done) if "--off" in line]
    (forward,) = lines(refused)
    again = tenants.paste(forward)
    assert again.status == 0, again.all
    assert "Put back what a rollback had kept of shop_product.price: 2 rows." in again.out
    assert without_history(tenants.contents(schema)) == without_history(before[schema])
    assert sorted(tenants.records(schema)) == sorted(
        row.split(",")[1] + "." + row.split(",")[2] for row in before[schema]["django_migrations"] if row[0] == "("
    )
    assert tenants.differences(before) == [schema]


@each_kind
def test_where_the_search_path_is_not_set_for_each_cursor(tenants: Tenants) -> None:
    tenants.environment["TENANTS_LIMIT"] = "1"
    before = all_contents(tenants)
    for args in (["--rehearse"], ["--step-by-step"]):
        done = roll_back(tenants, "alpha", *args)
        assert done.status == 0, done.all
        assert tenants.differences(before) == (["alpha"] if args == ["--step-by-step"] else [])
    assert tenants.inside("alpha", "migratehold", "--off").status == 0
    assert tenants.migrate("alpha").status == 0
    assert without_history(tenants.contents("alpha")) == without_history(before["alpha"])
    assert tenants.differences(before) == ["alpha"]


@each_kind
def test_what_public_keeps_is_its_own(tenants: Tenants) -> None:
    """Tables of ours have the same names there, and are seen from each schema."""
    public = tenants.manage("rollbackmigrationsafter", BETWEEN, "--no-input")
    assert public.status == 0, public.all
    assert ", schema public\n" in public.out
    assert "customers_plan" not in tenants.tables("public")
    shared = tenants.contents("public")
    for command, words in {
        "showrollbacks": "No rollback was noted here.",
        "showkept": "Nothing is kept",
        "migratehold": "migrate is not held.",
    }.items():
        assert words in tenants.inside("alpha", command).out
    assert "deployments, newest first" in tenants.inside("alpha", "showdeployments").out

    done = roll_back(tenants, "alpha", "--reason", "of alpha")
    assert done.status == 0, done.all
    assert [name for name in tenants.tables("alpha") if "rollback" in name] == [*OURS, *KEPT]
    assert tenants.ask("alpha", "SELECT id FROM rollback_app_run") == [(1,)]
    assert tenants.ask("alpha", "SELECT pinned FROM rollback_kept_3") == [("yes",)]
    assert tenants.contents("public") == shared
    assert "of alpha" not in tenants.manage("showrollbacks").out

    # What is typed in public is what its package wants there, too.
    (forward,) = [line for line in lines(public) if "--off" in line]
    again = tenants.paste(forward)
    assert again.status == 0, again.all
    assert "customers_plan" in tenants.tables("public")
    assert tenants.ask("public", "SELECT text, pinned FROM notes_note") == [("note of public", "yes")]
    assert "shop_product" not in tenants.tables("public")


@each_kind
def test_options_that_a_package_takes_for_itself(tenants: Tenants) -> None:
    """runschema has an option --exclude-schema, of which argparse takes --exclude for a short form, and --no-input."""
    instead = {
        "django_tenants": ["--exclude", "--no-input"],
        "django_pgschemas": ["--exclude-migration", "--no-question"],
    }
    exclude, no_input = instead[tenants.kind]
    plan = tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN, "--plan", exclude, "notes.0002_pinned")
    (line,) = lines(plan)
    assert f"{exclude} notes.0002_pinned" in line
    done = tenants.paste(line)
    assert done.status == 0, done.all
    assert "notes.0002_pinned" in tenants.records("alpha")
    asks = tenants.inside("alpha", "dropkept", "1")
    assert asks.status == 3
    assert f"Add {no_input} to drop it without a question." in asks.error
    dropped = tenants.inside("alpha", "dropkept", "1", no_input)
    assert dropped.status == 0, dropped.all
    assert "rollback_kept_1" not in tenants.tables("alpha")


def test_a_table_that_only_public_has_is_not_taken_for_ours(tenants: Tenants) -> None:
    tenants.ask("alpha", "DROP TABLE notes_note")
    before = all_contents(tenants)
    plan = tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN, "--format", "json", "--plan")
    assert plan.status == 3
    (blocker,) = [finding for finding in plan.json["plans"][0]["findings"] if finding["level"] == "blocker"]
    assert blocker["id"] == "rollback.E019"
    assert "is not in schema alpha: the run would change the one of schema public" in blocker["text"]
    assert roll_back(tenants, "alpha", "--destroy-data").status == 3
    assert tenants.differences(before) == []

    check = tenants.inside("alpha", "checkschema")
    assert check.status == 3
    assert "There is no table notes_note." in check.out

    left_out = roll_back(tenants, "alpha", "--exclude", "notes.0002_pinned")
    assert left_out.status == 0, left_out.all
    assert tenants.differences(before) == ["alpha"]


def test_what_is_kept_does_not_go_back_into_public(tenants: Tenants) -> None:
    assert roll_back(tenants, "alpha").status == 0
    tenants.ask("alpha", "DROP TABLE notes_note")
    before = all_contents(tenants)
    refused = tenants.inside("alpha", "putback", "3")
    assert refused.status == 3, refused.all
    assert "table notes_note is not there" in refused.all
    assert tenants.differences({**before, "alpha": tenants.contents("alpha")}) == []
    assert tenants.ask("alpha", "SELECT count(*) FROM rollback_kept_3") == [(1,)]


def key_of(connection: psycopg.Connection[object]) -> None:
    """Takes the lock of a rollback that goes step by step, in the schema of a connection."""
    connection.execute(
        "SELECT pg_advisory_xact_lock((1919118435::bigint << 32) + 'django_migrations'::regclass::oid::bigint)"
    )


@pytest.mark.parametrize("option", [[], ["--step-by-step"]])
def test_each_schema_has_a_lock_of_its_own(tenants: Tenants, option: list[str]) -> None:
    with tenants.connected("alpha") as alpha, alpha.transaction():
        key_of(alpha)
        with tenants.connected("public") as public, public.transaction():
            key_of(public)
            done = roll_back(tenants, "beta", *option)
            assert done.status == 0, done.all
            waits = roll_back(tenants, "alpha", *option, "--lock-timeout", "0.3")
            assert waits.status == 4, waits.all
            assert "Another rollback is running on" in waits.error
            assert ", schema alpha" in waits.error
    assert not set(LATE) & set(tenants.records("beta"))
    assert set(LATE) <= set(tenants.records("alpha"))


def test_migrate_of_that_schema_alone_is_kept_out(tenants: Tenants) -> None:
    rehearsed = tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN, "--rehearse")
    assert rehearsed.status == 0, rehearsed.all
    assert "  django_migrations: ACCESS EXCLUSIVE" in rehearsed.out
    locked = [line for line in rehearsed.out.splitlines() if "ACCESS EXCLUSIVE" in line]
    assert not [line for line in locked if "public" in line or "beta" in line]


def test_objects_of_other_schemas_that_hang_on_this_one(tenants: Tenants) -> None:
    tenants.ask("public", "CREATE SCHEMA reports")
    for name in ("alpha", "beta"):
        tenants.ask("reports", f"CREATE VIEW of_{name} AS SELECT text FROM {name}.shop_review")
    plan = tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN, "--plan", "-v", "2")
    assert "view reports.of_alpha" in plan.out
    assert "of_beta" not in plan.out
    done = roll_back(tenants, "alpha")
    assert done.status == 0, done.all
    assert tenants.tables("reports") == ["of_beta"]
    (forward,) = [line for line in lines(done) if "--off" in line]
    again = tenants.paste(forward)
    assert again.status == 0, again.all
    assert tenants.tables("reports") == ["of_alpha", "of_beta"]
    rows = [text for (text,) in tenants.ask("reports", "SELECT text FROM of_alpha ORDER BY 1")]
    assert rows == ["review of chair of alpha", "review of lamp of alpha"]


def test_verification_looks_at_this_schema_alone(tenants: Tenants) -> None:
    tenants.ask("public", "ALTER TABLE notes_note ADD COLUMN of_public integer")
    tenants.ask("beta", "ALTER TABLE notes_note ADD COLUMN of_beta integer")
    tenants.ask("alpha", "ALTER TABLE notes_note ADD COLUMN of_alpha integer")
    done = roll_back(tenants, "alpha", "-v", "2")
    assert "Verified: 3 tables are as the migrations at the target say, but for the following." in done.out
    assert "of_alpha" in done.out
    assert "of_beta" not in done.out
    assert "of_public" not in done.out


@pytest.mark.parametrize("schema", ["alpha", "Tenant A"])
def test_a_script_is_for_this_schema(tenants: Tenants, tmp_path: Path, schema: str) -> None:
    before = all_contents(tenants)
    script = tmp_path / "rollback.sql"
    made = tenants.inside(schema, "rollbackmigrationsafter", BETWEEN, "--format", "sql", "--output", str(script))
    assert made.status == 0, made.all
    assert tenants.differences(before) == []
    text = script.read_text()
    assert f"-- Rollback of default: PostgreSQL, {tenants.database} on" in text
    assert "SET search_path" not in text
    program, environment = servers.client("postgresql")
    (line,) = re.findall(r"^-- Run it by +psql (.*) -f .*$", text, re.MULTILINE)
    psql = [str(program), *line.split(), "-f", str(script)]
    done = subprocess.run(psql, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert tenants.differences(before) == [schema]
    assert not set(LATE) & set(tenants.records(schema))

    (line,) = [line for line in lines(tenants.inside(schema, "showrollbacks")) if "--format sql" in line]
    assert line.startswith("python manage.py tenant_command rollbackmigrationsafter --schema=")
    assert tenants.inside(schema, "migratehold", "--off").status == 0
    assert tenants.migrate(schema).status == 0
    assert without_history(tenants.contents(schema)) == without_history(before[schema])


def test_sql_that_only_says_where_a_cursor_is_is_not_shown(tenants: Tenants) -> None:
    rehearsed = tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN, "--rehearse", "-v", "3")
    assert 'ALTER TABLE "shop_product" DROP COLUMN "price"' in rehearsed.out
    about = [line.strip() for line in rehearsed.out.splitlines() if re.search("(SET|SHOW) search_path", line)]
    assert all(line.startswith('SET search_path = "alpha", public; ALTER TABLE "') for line in about), about  # to paste


def test_deployments_are_recorded_in_each_schema(tenants: Tenants) -> None:
    every = roll_back(tenants, "alpha"), roll_back(tenants, "beta")
    assert [said.status for said in every] == [0, 0]
    for name in ("alpha", "beta"):
        assert tenants.inside(name, "migratehold", "--off").status == 0
    migrated = tenants.manage("migrate_schemas")
    assert migrated.status == 0, migrated.all
    for name in ("alpha", "beta"):
        assert tenants.ask(name, "SELECT count(*) FROM rollback_app_deployment") == [(1,)]
    for name in ("public", "Tenant A"):  # where there was nothing to apply
        assert "rollback_app_deployment" not in tenants.tables(name)
    shown = tenants.inside("alpha", "showdeployments", "--format", "json")
    command = shown.json["deployments"][0]["command"]
    assert command.startswith("python manage.py tenant_command rollbackmigrationsafter --schema=alpha ")
    again = tenants.paste(command)
    assert again.status == 0, again.all
    assert "Undoes 5 migrations" in again.out


def test_messages_have_lines_that_can_be_pasted(tenants: Tenants) -> None:
    nothing = tenants.inside("alpha", "rollbackmigrationsafter")
    assert nothing.status == 2
    assert 'python manage.py tenant_command rollbackmigrationsafter --schema=alpha "2024-05-01' in nothing.all
    assert roll_back(tenants, "alpha").status == 0
    held = tenants.inside("alpha", "migratehold")
    assert held.status == 3
    assert "`python manage.py tenant_command migratehold --schema=alpha --off` lifts" in held.error
    listed = tenants.inside("alpha", "rollbackmigrationsafter", "2024-04-01", "--format", "commands")
    assert listed.out.splitlines(), listed.all
    assert all(line.startswith("python manage.py migrate_schemas --schema=alpha ") for line in listed.out.splitlines())
    assert tenants.inside("alpha", "migratehold", "--off").status == 0
    not_put_back = tenants.migrate("alpha", PUT_BACK=False)
    assert "`python manage.py tenant_command putback --schema=alpha 1` does it." in not_put_back.all
    comments = tenants.ask("alpha", "SELECT obj_description('rollback_kept_1'::regclass)")
    assert "`python manage.py tenant_command showkept --schema=alpha 1`" in comments[0][0]


def statements(out: str) -> list[str]:
    """Those to paste, each of which begins with what makes it one about a schema."""
    found = [line.strip() for line in out.splitlines() if re.match(r"\s+(SET|SELECT|ALTER|INSERT|UPDATE) ", line)]
    assert all(line.startswith('SET search_path = "alpha", public; ') for line in found), found
    return found


def pasted(tenants: Tenants, line: str) -> list[tuple[Any, ...]]:
    """Into the shell of the database, which begins in another schema."""
    with tenants.connected() as connection:
        for each in line.rstrip(";").split("; "):
            found = connection.execute(each.encode())
        return found.fetchall() if found.description else []


@each_kind
def test_statements_that_are_shown_are_about_this_schema(tenants: Tenants) -> None:
    tenants.ask("alpha", "INSERT INTO shop_product (name) VALUES (NULL)")
    (query,) = statements(tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN, "--plan").out)
    assert len(pasted(tenants, query)) == 1

    tenants.ask("alpha", "DELETE FROM shop_product WHERE name IS NULL")
    assert roll_back(tenants, "alpha").status == 0
    shown = tenants.inside("alpha", "showkept", "1")
    (query,) = statements(shown.out)
    assert pasted(tenants, query), shown.out

    (bridge,) = statements(tenants.inside("alpha", "checkschema").out)
    assert pasted(tenants, bridge) == []
    assert statements(tenants.inside("alpha", "checkschema").out) == []
    tenants.ask("alpha", "INSERT INTO shop_product (name) VALUES (NULL)")


@each_kind
def test_a_record_that_is_missing_is_added_to_this_schema(tenants: Tenants) -> None:
    before = tenants.records("public")
    tenants.ask("alpha", "DELETE FROM django_migrations WHERE (app, name) = ('notes', '0001_initial')")
    (insert,) = statements(tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN, "--plan").all)
    assert pasted(tenants, insert) == []
    assert tenants.records("alpha").count("notes.0001_initial") == 1
    assert tenants.records("public") == before
    assert tenants.inside("alpha", "rollbackmigrationsafter", BETWEEN, "--plan").status == 0


@each_kind
def test_a_schema_without_history_is_not_read_in_public(tenants: Tenants) -> None:
    tenants.ask("alpha", "DROP TABLE django_migrations")
    refused = roll_back(tenants, "alpha")
    assert refused.status == 1
    assert "has no table django_migrations" in refused.error
    assert ", schema alpha" in refused.error
