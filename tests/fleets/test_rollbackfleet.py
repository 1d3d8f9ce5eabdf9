"""rollbackfleet on SQLite files, from the command line: looked at, run, refused, stopped, gone on with."""

from __future__ import annotations

import pytest

from tests.fleets.files import FORWARD, MOMENT, Fleet
from tests.support.commands import Text


def test_all_members_go_back_and_forward_again(fleet: Fleet) -> None:
    fleet.add("acme", "beta").add("coda", at=2).add("dime", at=1).add("shared")
    before = {name: fleet.content(name) for name in ("acme", "beta", "coda", "shared")}
    empty = fleet.add("other", at=1).content("other")

    done = fleet.roll_back()

    assert done.returncode == 0, done.stderr
    assert "Takes back 4 members in 2 groups of members that are alike." in Text(done.stdout)
    assert "2 members have nothing to undo." in Text(done.stdout)
    assert "acme first, alone, then the other 2, and shared, which the others need, last" in Text(done.stdout)
    assert "6 of 6 members done, in" in done.stdout
    for name in before:
        assert fleet.applied(name) == ["0001_initial"]
        assert fleet.content(name)[0] == empty[0]
        assert fleet.runs(name) == ["finished"]
    assert fleet.runs("dime") == []
    # Each member has its own hold, and its own kept data, which come back with its own migrate.
    code = (
        "import django; django.setup(); import fleet; from django.core.management import call_command as call\n"
        "for each in fleet.members():\n"
        "    call('migratehold', off=True, database=each.alias, verbosity=0)\n"
        "    call('migrate', database=each.alias, verbosity=0)"
    )
    forward = fleet.python(code)
    assert forward.returncode == 0, forward.stderr
    for name in ("acme", "beta", "shared"):
        assert fleet.content(name)[1] == before[name][1]


def test_a_plan_changes_nothing_and_prints_the_line_that_runs_it(fleet: Fleet) -> None:
    fleet.add("acme", "beta")
    before = fleet.file("acme").read_bytes()
    planned = fleet.roll_back(
        MOMENT, "--plan", "--reason", "wrong release", "--except", "beta", "--max-failures", "1", "--shard", "1/1"
    )
    assert fleet.file("acme").read_bytes() == before
    assert planned.returncode == 0
    line = planned.stdout.splitlines()[-1].strip()
    assert line == (
        f'python manage.py rollbackfleet {MOMENT} --workers 1 --except beta --shard 1/1 --max-failures 1 --reason "wrong release"'
    )
    assert fleet.shell(line).returncode == 0
    assert fleet.states() == {"acme": "done"}
    assert fleet.applied("beta") == ["0001_initial", "0002_price", "0003_name"]


def test_nothing_to_do(fleet: Fleet) -> None:
    fleet.add("acme")
    done = fleet.roll_back(FORWARD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing to do." in done.stdout
    assert fleet.as_json(FORWARD)["outcome"] == "nothing to do"


def test_json_of_a_plan_and_of_a_run(fleet: Fleet) -> None:
    fleet.add("acme", "beta").add("coda", at=2)
    planned = fleet.as_json(MOMENT, "--plan")
    assert planned["outcome"] == "planned"
    first, second = planned["groups"]
    assert (first["members"], first["names"]) == (2, ["acme", "beta"])
    assert first["steps"] == ["shop.0003_name", "shop.0002_price"]
    assert second["steps"] == ["shop.0002_price"]
    assert first["kept"]["rows"] == 4
    done = fleet.as_json()
    assert done["outcome"] == "done"
    assert [each["state"] for each in done["members"]] == ["done"] * 3
    assert done["groups"] == planned["groups"]
    assert fleet.as_json("--status")["outcome"] == "done"


def test_a_digest_that_was_approved_runs_and_no_other(fleet: Fleet) -> None:
    fleet.add("acme", "beta").add("coda", at=2)
    digests = [group["digest"] for group in fleet.as_json(MOMENT, "--plan")["groups"]]
    refused = fleet.roll_back(MOMENT, "--expect", digests[0])
    assert refused.returncode == 3
    assert "the plan of coda is not one that was approved" in Text(refused.stderr)
    assert fleet.states_or_none() is None
    assert fleet.roll_back(MOMENT, "--expect", digests[0], "--expect", digests[1]).returncode == 0


def test_one_blocked_member_refuses_all_unless_it_is_left_out(fleet: Fleet) -> None:
    fleet.add("acme", "beta", "shared")
    fleet.execute("beta", "INSERT INTO shop_item (name, price) VALUES (NULL, 1)")
    refused = fleet.roll_back()
    assert refused.returncode == 3
    assert "BLOCKED: beta." in refused.stdout
    assert "add --skip-blocked" in Text(refused.stderr)
    assert fleet.applied("acme") == ["0001_initial", "0002_price", "0003_name"]
    group = fleet.as_json(MOMENT, "--plan")["groups"][0]
    assert group["blocked"][0]["name"] == "beta"

    done = fleet.roll_back(MOMENT, "--skip-blocked")
    assert done.returncode == 1  # since the shared one could not be taken back
    assert fleet.states() == {"acme": "done", "beta": "skipped", "shared": "waiting"}
    status = fleet.roll_back("--status")
    assert "It ended" in Text(status.stdout)
    assert "shared was left as it is" in Text(status.stdout)
    assert "shared was left as it is, since members that are not done need it." in Text(done.stdout)
    assert "PASSED OVER beta:" in done.stdout
    assert fleet.applied("beta") == ["0001_initial", "0002_price", "0003_name"]

    fleet.execute("beta", "DELETE FROM shop_item WHERE name IS NULL")
    again = fleet.roll_back("--resume")
    assert again.returncode == 0, again.stderr
    assert set(fleet.states().values()) == {"done"}
    assert fleet.applied("shared") == ["0001_initial"]


def test_what_others_need_waits_for_those_that_are_blocked(fleet: Fleet) -> None:
    """It comes first only where no other is left."""
    fleet.add("acme", "beta", "shared")
    refused = fleet.roll_back(MOMENT, "--canary", "shared")
    assert refused.returncode == 3
    assert "'shared' cannot be the canary: it has nothing to undo, is blocked, or is needed" in Text(refused.stderr)
    fleet.execute("beta", "INSERT INTO shop_item (name, price) VALUES (NULL, 1)")
    planned = fleet.roll_back(MOMENT, "--skip-blocked", "--plan")
    assert "acme first, alone, and shared, which the others need, if no other is left then." in Text(planned.stdout)
    for words in (["--only", "beta"], ["--only", "beta", "--only", "shared"]):
        refused = fleet.roll_back(MOMENT, *words, "--skip-blocked")
        assert refused.returncode == 3
        assert "no member can be rolled back now" in Text(refused.stderr)
    assert fleet.states_or_none() is None
    assert fleet.roll_back(MOMENT, "--only", "shared").returncode == 0


def test_programs_are_told_of_members_that_were_not_begun(fleet: Fleet) -> None:
    fleet.add("acme", "beta", "shared")
    fleet.execute("beta", "INSERT INTO shop_item (name, price) VALUES (NULL, 1)")
    found = fleet.as_json(MOMENT, "--skip-blocked")
    assert (found["outcome"], found["error"]["status"]) == ("stopped", 1)
    assert [each["state"] for each in found["members"]] == ["done", "skipped", "waiting"]


def test_lost_data_needs_consent(fleet: Fleet) -> None:
    fleet.add("acme", "beta")
    refused = fleet.roll_back(MOMENT, "--no-keep")
    assert refused.returncode == 3
    assert "this would destroy data of acme, beta" in Text(refused.stderr)
    assert "DESTROYS data of 2 members." in Text(refused.stdout)
    assert fleet.as_json(MOMENT, "--no-keep", "--plan")["groups"][0]["lost"] == ["acme", "beta"]
    done = fleet.roll_back(MOMENT, "--no-keep", "--destroy-data")
    assert done.returncode == 0


def test_a_member_that_fails_stops_the_others_within_the_budget(fleet: Fleet) -> None:
    names = [f"c{number}" for number in range(6)]
    fleet.add(*names)
    for name in ("c1", "c2"):
        fleet.fail(name)
    done = fleet.roll_back(MOMENT, "--canary", "c0")
    assert done.returncode == 1
    states = fleet.states()
    assert list(states.values()).count("failed") == 1
    assert "FAILED c" in done.stdout
    assert "Fix the problem named above, then go on with --resume." in done.stdout
    assert "python manage.py rollbackfleet --resume" in done.stdout
    for name, state in states.items():
        assert (fleet.applied(name) == ["0001_initial"]) is (state == "done")

    again = fleet.roll_back("--resume", "--max-failures", "1")
    assert again.returncode == 1
    for name in ("c1", "c2"):
        fleet.repair(name)
    before = fleet.states()
    planned = fleet.roll_back("--resume", "--plan")
    assert planned.returncode == 0
    assert "python manage.py rollbackfleet --resume" in planned.stdout
    assert fleet.states() == before
    assert fleet.roll_back("--resume").returncode == 0
    assert [fleet.runs(name).count("finished") for name in names] == [1] * 6


def test_the_failures_that_are_allowed_stop_nobody(fleet: Fleet) -> None:
    fleet.add("acme", "beta", "coda")
    fleet.fail("beta")
    done = fleet.roll_back(MOMENT, "--max-failures", "1", "--canary", "acme")
    assert done.returncode == 1
    assert fleet.states() == {"acme": "done", "beta": "failed", "coda": "done"}
    assert "2 of 3 members done, 1 failed" in done.stdout
    found = fleet.as_json("--status")
    assert found["outcome"] == "failed"
    assert "sabotaged" in found["members"][1]["error"]


def test_a_canary_that_fails_stops_all_others(fleet: Fleet) -> None:
    fleet.add("acme", "beta", "coda")
    fleet.fail("beta")
    found = fleet.as_json(MOMENT, "--canary", "beta", "--max-failures", "3")
    assert found["outcome"] == "failed"
    assert fleet.states() == {"beta": "failed", "acme": "waiting", "coda": "waiting"}
    fleet.repair("beta")
    assert fleet.as_json("--resume")["outcome"] == "done"


def test_a_canary_that_can_be_none(fleet: Fleet) -> None:
    fleet.add("acme").add("beta", at=1)
    refused = fleet.roll_back(MOMENT, "--canary", "beta")
    assert refused.returncode == 3
    assert "'beta' cannot be the canary" in Text(refused.stderr)


def test_only_and_except_with_wildcards(fleet: Fleet) -> None:
    fleet.add("eu-acme", "eu-beta", "us-acme")
    assert fleet.roll_back(MOMENT, "--only", "eu-*", "--except", "*beta").returncode == 0
    assert fleet.states() == {"eu-acme": "done"}
    for words, message in (
        (["--only", "asia-*"], "No member of the fleet is called 'asia-*'."),
        (["--except", "nobody"], "No member of the fleet is called 'nobody'."),
        (["--only", "eu-*", "--except", "eu-*"], "No member of the fleet is left."),
    ):
        refused = fleet.roll_back(MOMENT, *words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert message in Text(refused.stderr)


def test_what_is_to_be_typed_names_the_shard(fleet: Fleet) -> None:
    fleet.add("acme", "beta")
    fleet.fail("beta")
    done = fleet.roll_back(MOMENT, "--shard", "1/1", "--canary", "acme")
    assert done.returncode == 1
    assert "  python manage.py rollbackfleet --resume --shard 1/1\n" in done.stdout
    assert "  python manage.py rollbackfleet --status --shard 1/1\n" in done.stderr
    fleet.repair("beta")
    assert fleet.shell("python manage.py rollbackfleet --resume --shard 1/1").returncode == 0


def test_shards_are_the_whole_but_for_what_is_shared_and_may_run_at_once(fleet: Fleet) -> None:
    names = [f"c{number}" for number in range(8)]
    fleet.add(*names, "shared")
    assert fleet.roll_back(MOMENT, "--shard", "1/2").returncode == 0
    first = set(fleet.states())
    fleet.home("UPDATE rollback_app_fleetrun SET ended = '', lease = '2999-01-01T00:00:00+00:00'")  # as if it still ran
    for words in ([MOMENT], [MOMENT, "--shard", "1/1"]):
        assert fleet.roll_back(*words).returncode == 4
    assert fleet.roll_back(MOMENT, "--shard", "2/2").returncode == 0
    second = set(fleet.states())
    assert first | second == set(names)
    assert not first & second
    assert fleet.applied("shared") == ["0001_initial", "0002_price", "0003_name"]
    assert fleet.as_json("--status", "--shard", "1/2")["number"] == 1
    assert fleet.as_json("--status")["number"] == 2
    planned = fleet.roll_back(FORWARD, "--shard", "2/2", "--plan")
    assert planned.returncode == 0
    for wrong in ("0/2", "3/2", "2", "a/b", "1/"):
        refused = fleet.roll_back(MOMENT, "--shard", wrong)
        assert refused.returncode == 2
        assert "Give one such as 3/10" in Text(refused.stderr)


def test_last_is_for_each_member_what_it_was_when_it_was_looked_at(fleet: Fleet) -> None:
    """After a run that broke off, "last" is another deployment of the members that are done."""
    fleet.add("acme", "beta")
    fleet.fail("beta")
    assert fleet.roll_back("last", "--canary", "acme").returncode == 1
    fleet.repair("beta")
    assert fleet.roll_back("--resume").returncode == 0
    assert fleet.applied("acme") == fleet.applied("beta") == ["0001_initial"]


def test_a_manifest_is_read_once(fleet: Fleet) -> None:
    fleet.add("acme", "beta", "coda")
    (fleet.folder / "older.csv").write_text("id,app,name,applied\n1,shop,0001_initial,2024-01-01\n")
    assert fleet.roll_back("manifest:older.csv").returncode == 0
    assert fleet.applied("acme") == fleet.applied("coda") == ["0001_initial"]


def test_several_processes_work_at_once(fleet: Fleet) -> None:
    names = [f"c{number:02}" for number in range(12)]
    fleet.add(*names)
    done = fleet.roll_back(MOMENT, workers=2)
    assert done.returncode == 0, done.stderr
    assert set(fleet.states().values()) == {"done"}
    assert [fleet.runs(name) for name in names] == [["finished"]] * 12
    assert len(fleet.workers()) == 2


def test_the_status_of_no_fleet(fleet: Fleet) -> None:
    for option in ("--status", "--stop", "--resume"):
        refused = fleet.roll_back(option)
        assert refused.returncode == 2
        assert "There was no rollback of a fleet here." in refused.stderr


def test_resume_of_a_fleet_that_is_done(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.roll_back()
    refused = fleet.roll_back("--resume")
    assert refused.returncode == 2
    assert "All members of that fleet are done." in refused.stderr


def test_members_that_appear_meanwhile_are_told(fleet: Fleet) -> None:
    fleet.add("acme")
    code = (
        "import shutil, sys, django; django.setup()\n"
        "from rollback_app.signals import rollback_finished\n"
        "rollback_finished.connect(lambda **rest: shutil.copy('at-3.sqlite3', 'customers/new.sqlite3'), weak=False)\n"
        f"from django.core.management import call_command; call_command('rollbackfleet', '{MOMENT}', workers=1)"
    )
    done = fleet.python(code)
    assert done.returncode == 0, done.stderr
    assert "Appeared meanwhile, and not looked at: new." in Text(done.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], 'lists them. For example: python manage.py rollbackfleet "2024-05-01 10:00" --plan'),
        ([MOMENT, "--status"], "A fleet that was begun has its moment already."),
        ([MOMENT, "--database", "default", "--all-databases"], "do not go together"),
        ([MOMENT, "--only", ""], "--only is empty"),
        (["yesterdya"], "yesterdya"),
        ([MOMENT, "--timezone", "Mars/Olympus"], "Mars/Olympus"),
        (["manifest:nothing.json"], "nothing.json"),
        ([MOMENT, "--workers", "0"], "'0' is not a whole number"),
        ([MOMENT, "--database", "nowhere"], "nowhere"),
    ],
)
def test_wrong_usage(fleet: Fleet, words: list[str], message: str) -> None:
    fleet.add("acme")
    refused = fleet.manage("rollbackfleet", *words)
    assert refused.returncode == 2, refused.stderr
    assert message in Text(refused.stderr)
    assert "Traceback" not in refused.stderr
    assert fleet.applied("acme") == ["0001_initial", "0002_price", "0003_name"]


def test_a_database_that_cannot_be_read_is_within_the_budget_or_refuses_all(fleet: Fleet) -> None:
    fleet.add("acme", "beta")
    fleet.file("zeta").write_bytes(b"no database" * 100)
    fleet.file("void").touch()  # without django_migrations
    refused = fleet.roll_back()
    assert refused.returncode == 3
    assert "NO PLAN: void, zeta." in refused.stdout
    assert "--max-failures 2" in Text(refused.stderr)
    done = fleet.roll_back(MOMENT, "--max-failures", "2")
    assert done.returncode == 1
    assert fleet.states() == {"acme": "done", "beta": "done", "void": "failed", "zeta": "failed"}


def test_a_fleet_in_which_nobody_can_be_read(fleet: Fleet) -> None:
    fleet.file("void").touch()
    refused = fleet.roll_back()
    assert refused.returncode == 1
    assert "django_migrations" in refused.stderr


def test_databases_of_the_settings(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.settings(
        'ROLLBACK = {}\nDATABASES["acme"] = {**DATABASES["default"], "NAME": BASE / "customers/acme.sqlite3"}'
    )
    refused = fleet.roll_back()
    assert refused.returncode == 2
    assert "this project has no tenants in schemas" in Text(refused.stderr)
    assert fleet.roll_back(MOMENT, "--database", "acme").returncode == 0
    assert fleet.states() == {"acme": "done"}
    assert fleet.roll_back(MOMENT, "--all-databases").returncode == 0
    assert fleet.states() == {"acme": "done", "default": "done"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('"fleet.nobody"', "ROLLBACK['FLEET'] fails: ImportError"),
        ("3", "ROLLBACK['FLEET'] must be a callable or its dotted path, not int."),
        ("lambda: [1 / 0]", "ROLLBACK['FLEET'] fails: ZeroDivisionError"),
        ("lambda: ['acme']", "ROLLBACK['FLEET'] must yield members, not str."),
    ],
)
def test_a_function_of_the_settings_that_is_none(fleet: Fleet, setting: str, message: str) -> None:
    fleet.settings(f"ROLLBACK = {{'FLEET': {setting}}}")
    refused = fleet.roll_back()
    assert refused.returncode == 1
    assert message in Text(refused.stderr)


def test_two_members_of_one_name(fleet: Fleet) -> None:
    fleet.settings('def twice():\n    from rollback_app.fleets import Member\n    return [Member("a"), Member("a")]\n')
    fleet.settings("ROLLBACK = {'FLEET': twice}")
    refused = fleet.roll_back()
    assert refused.returncode == 2
    assert "Two members of the fleet are called a." in refused.stderr


def test_a_schema_in_a_database_that_has_none(fleet: Fleet) -> None:
    fleet.settings('def one():\n    from rollback_app.fleets import Member\n    return [Member("a", schema="a")]\n')
    fleet.settings("ROLLBACK = {'FLEET': one}")
    refused = fleet.roll_back()
    assert refused.returncode == 2
    assert "sqlite has no schemas" in refused.stderr
