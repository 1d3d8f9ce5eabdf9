"""--format sql where nothing is run to make it: on MariaDB, and with --no-run."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from rollback_app.database import dialect, get
from tests.support.commands import call, roll_back
from tests.support.databases import Database, ask
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration
from tests.support.schema import difference, everything, snapshot
from tests.support.scripts import copied, end, made, run

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.CharField(max_length=9))])'
U = T.replace('"T"', '"U"')
KEY = 'migrations.AddField("T", "u", models.ForeignKey("a.U", models.CASCADE, null=True))'
LATE = {
    "0002_x": 'migrations.AddField("T", "x", models.IntegerField(null=True))',
    "0003_key": KEY,
    "0004_wide": 'migrations.AlterField("T", "n", models.CharField(max_length=20, default="it\'s"))',
    "0005_v": T.replace('"T"', '"V"'),
    "0006_index": 'migrations.AddIndex("T", models.Index(fields=["n"], name="by_n"))',
    "0007_sql": """migrations.RunSQL("SELECT 1", ["UPDATE a_u SET n = 'a;b'", "UPDATE a_u SET n = 'it''s' WHERE n = 'x'"])""",
}


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    project(a={"0001_t": f"{T}, {U}"})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": f"{T}, {U}", **LATE})
    deploy(database.alias, DAY_2)
    ask(
        database,
        "INSERT INTO a_u (id, n) VALUES (1, 'u')",
        "INSERT INTO a_t (n, x, u_id) VALUES ('kept', 7, 1), ('b', NULL, NULL)",
    )
    ask(database, "INSERT INTO a_v (n) VALUES ('a'), ('b')")
    return database


def replayed(database: Database, other: Database, script: str) -> None:
    before = everything(database.connection, ())
    copied(database, other)
    done = run(other, script)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().splitlines()[-1].startswith("Done: ")
    assert everything(database.connection, ()) == before
    assert roll_back(database, DAY_2).status == 0
    assert end(other, collected=True) == end(database, collected=True)


def test_it_does_what_the_command_does(shop: Database, other_database: Database) -> None:
    before = everything(shop.connection, ())
    said = made(shop, DAY_2, run=False)
    assert said.status == 0, said.error
    assert everything(shop.connection, ()) == before
    assert "Nothing was run to make this." in said.out
    replayed(shop, other_database, said.out)
    assert keys(other_database.alias) == [("a", "0001_t")]


@pytest.mark.databases("mariadb")
def test_mariadb_needs_no_option_for_it(shop: Database) -> None:
    said = made(shop, DAY_2)
    assert said.status == 0
    assert "-- No transaction: each statement is committed by itself." in said.out
    assert "Nothing is verified. Afterwards, start the older release" in said.out


def test_with_a_hold_and_without_a_journal(shop: Database, other_database: Database, settings: Any) -> None:
    settings.ROLLBACK = {"HOLD": True}
    script = made(shop, DAY_2, journal=False, run=False, reason="it's; slow")
    copied(shop, other_database)
    done = run(other_database, script.out)
    assert done.returncode == 0, done.stderr
    ask(
        other_database,
        "INSERT INTO rollback_app_hold (since, operator, host, source, reason, migrations, lifted)"
        " VALUES ('2024-05-01T00:00:00+00:00', '', '', 'command', '', '[]', 'x')",
    )  # the next number is free
    held = call("migratehold", database=other_database.alias)
    assert "it's; slow" in held.out
    tables = ask(other_database, "SELECT count(*) FROM rollback_app_hold")
    assert tables == [(2,)]
    assert "No rollback was noted here." in call("showrollbacks", database=other_database.alias).out


def stopped(database: Database, other: Database, script: str, words: str, *changes: str) -> None:
    copied(database, other)
    ask(other, *changes)
    before = everything(other.connection, ())
    done = run(other, script)
    assert done.returncode != 0
    assert words in done.stderr
    assert everything(other.connection, ()) == before


def test_it_stops_for_other_records_and_for_values_that_it_would_not_keep(
    shop: Database, other_database: Database
) -> None:
    ask(shop, "DELETE FROM a_v")
    script = made(shop, DAY_2, run=False).out
    record = "INSERT INTO django_migrations (app, name, applied) VALUES ('a', '0008_w', '2024-05-03 08:00')"
    stopped(shop, other_database, script, "not those that this script was made from", record)
    stopped(shop, other_database, script, "a_v has got values since", "INSERT INTO a_v (n) VALUES ('late')")
    replayed(shop, other_database, script)


@pytest.mark.databases("mariadb")
def test_it_stops_while_somebody_else_rolls_back(shop: Database, other_database: Database) -> None:
    script = made(shop, DAY_2, lock_timeout=0.1).out
    copied(shop, other_database)
    name = shop.connection.settings_dict["NAME"]
    script = script.replace(f"rollback_app.{name}", "rollback_app.held")
    with shop.connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('rollback_app.held', 1)")
        done = run(other_database, script)
        cursor.execute("DO RELEASE_LOCK('rollback_app.held')")
    assert "somebody else is rolling this database back" in done.stderr
    assert done.returncode == 1


@pytest.mark.databases("mariadb")
def test_it_stops_where_somebody_wrote_after_the_copy(shop: Database, other_database: Database) -> None:
    """The steps before are done, and the command goes on behind them."""
    script = made(shop, DAY_2).out
    late = "-- Step 3 of 6"
    script = script.replace(late, f"INSERT INTO a_v (n) VALUES ('late');\n{late}")
    copied(shop, other_database)
    done = run(other_database, script)
    assert "somebody wrote to a_v after it was copied" in done.stderr
    assert keys(other_database.alias)[-1] == ("a", "0005_v")
    assert roll_back(other_database, DAY_2).status == 0
    assert keys(other_database.alias) == [("a", "0001_t")]
    call("migrate", database=other_database.alias, verbosity=0)
    assert ask(other_database, "SELECT n FROM a_v ORDER BY n") == [("a",), ("b",), ("late",)]


@pytest.mark.databases("mariadb")
def test_the_command_goes_on_inside_a_step(shop: Database, other_database: Database) -> None:
    script = made(shop, DAY_2).out
    broken = "ALTER TABLE `a_t` DROP COLUMN `u_id`;\nUPDATE"
    assert broken in script
    copied(shop, other_database)
    done = run(other_database, script.replace(broken, "SELECT not_there;\nUPDATE"))
    assert "not_there" in done.stderr
    assert roll_back(shop, DAY_2).status == 0
    history = get(other_database.alias).made("django_migrations")  # this copy was made when it was made
    ask(other_database, f"UPDATE rollback_app_run SET history = '{history}'")
    said = roll_back(other_database, DAY_2)
    assert said.status == 0, said.error
    assert difference(snapshot(shop.connection), snapshot(other_database.connection)) == []


CODE = "def backwards(apps, editor):\n    apps.get_model('a', 'T').objects.using(editor.connection.alias).update(n='code')\n"


@pytest.mark.databases("mariadb")
def test_it_stops_before_code(database: Database, other_database: Database, project: Project, capsys: Any) -> None:
    code = migration("migrations.RunPython(migrations.RunPython.noop, backwards)", [("a", "0001_t")], before=CODE)
    table = migration(U, [("a", "0002_code")])
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_code": code, "0003_u": table})
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO a_t (n) VALUES ('a')", "INSERT INTO a_u (n) VALUES ('b')")
    script = made(database, DAY_2)
    assert script.status == 0
    assert "Then go on with this command itself." in " ".join(capsys.readouterr().err.split())
    copied(database, other_database)
    done = run(other_database, script.out)
    assert "step 2 is no SQL: go on with rollbackmigrationsafter" in done.stderr
    assert keys(other_database.alias)[-1] == ("a", "0002_code")
    assert roll_back(other_database, DAY_2).status == 0
    assert roll_back(database, DAY_2).status == 0
    assert difference(snapshot(database.connection), snapshot(other_database.connection)) == []
    assert ask(other_database, "SELECT n FROM a_t") == [("code",)]
    call("migrate", database=other_database.alias, verbosity=0)
    assert ask(other_database, "SELECT n FROM a_u") == [("b",)]


def refused(database: Database, words: str, **options: Any) -> None:
    before = everything(database.connection, ())
    said = made(database, DAY_2, run=False, **options)
    assert (said.status, said.out) == (3, "")
    assert words in said.error
    assert everything(database.connection, ()) == before


def test_a_plan_of_code_is_refused(database: Database, project: Project) -> None:
    code = migration("migrations.RunPython(migrations.RunPython.noop, backwards)", [("a", "0001_t")], before=CODE)
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_code": code})
    deploy(database.alias, DAY_2)
    refused(database, "undoing a.0002_code: running ")
    what_to_do = "Use this command itself" if database.vendor == "mariadb" else "Leave out --no-run."
    refused(database, f"may send anything. Nothing was changed.\n{what_to_do}")


@pytest.mark.databases("postgresql")
def test_values_that_are_cut_are_refused(database: Database, project: Project) -> None:
    wide = 'migrations.AlterField("T", "n", models.CharField(max_length=20))'
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_wide": wide})
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO a_t (n) VALUES ('short     ')")
    refused(database, "a.0002_wide cuts or rounds values of a_t.n, which are kept by comparing them afterwards")
    assert made(database, DAY_2, run=False, keep=False).status == 0


@pytest.mark.databases("postgresql")
def test_what_is_done_concurrently_is_refused(database: Database, project: Project) -> None:
    index = 'AddIndexConcurrently("T", models.Index(fields=["n"], name="by_n"))'
    head = "from django.contrib.postgres.operations import AddIndexConcurrently"
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_index": migration(index, [("a", "0001_t")], before=head, atomic=False)})
    deploy(database.alias, DAY_2)
    refused(database, "cannot be part of a transaction")


def test_what_comes_back_row_by_row_is_refused(database: Database, project: Project, settings: Any) -> None:
    settings.ROLLBACK = {"KEEP_DROPPED": True}
    project(a={"0001_t": f"{T}, {U}"})
    deploy(database.alias, DAY_1)
    ask(database, "INSERT INTO a_u (n) VALUES ('kept')")
    project(a={"0001_t": f"{T}, {U}", "0002_no_u": 'migrations.DeleteModel("U")'})
    deploy(database.alias, DAY_2)
    refused(database, "what a migrate had kept is put back, row by row")


def test_no_run_is_about_scripts(shop: Database) -> None:
    said = roll_back(shop, DAY_2, run=False)
    assert said.status == 2
    assert "--no-run is about scripts." in said.error


def test_what_is_kept_by_hand_and_what_is_faked(shop: Database, other_database: Database) -> None:
    script = made(shop, DAY_2, run=False, keep_table=["a_u"], fake=["a.0007_sql"])
    assert script.status == 0, script.error
    copied(shop, other_database)
    done = run(other_database, script.out)
    assert done.returncode == 0, done.stderr
    assert roll_back(shop, DAY_2, keep_table=["a_u"], fake=["a.0007_sql"]).status == 0
    assert end(other_database, collected=True) == end(shop, collected=True)


def there_and_stopped(database: Database, other: Database, project: Project, first: str, **late: str) -> str:
    """Goes back by a script, and with the command where that stops. Why it stops, or is refused; empty if it does not."""
    project(a={"0001_t": first})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": first, **late})
    deploy(database.alias, DAY_2)
    script = made(database, DAY_2, run=False)
    if script.status:
        assert script.status == 3
        return script.error
    copied(database, other)
    done = run(other, script.out)
    stops = [line for line in script.out.splitlines() if "stops here" in line]
    assert bool(stops) == bool(done.returncode), done.stderr
    if stops:
        assert roll_back(other, DAY_2).status == 0
    assert roll_back(database, DAY_2).status == 0
    assert difference(snapshot(database.connection), snapshot(other.connection)) == []
    return "".join(stops)


def test_tables_that_earlier_statements_rename(database: Database, other_database: Database, project: Project) -> None:
    late = {
        "0002_rename": 'migrations.RenameModel("T", "W")',
        "0003_key": KEY.replace('"T", "u"', '"W", "v"'),
        "0004_both": 'migrations.AlterUniqueTogether("W", {("n", "v")})',
        "0005_index": 'migrations.AddIndex("W", models.Index(fields=["n", "v"], name="by_both"))',
        "0006_key": KEY.replace('"T", "u"', '"W", "z"'),
    }
    why = there_and_stopped(database, other_database, project, f"{T}, {U}", **late)
    # SQLite makes the whole table anew with each step, and its indexes.
    assert why == "" if database.vendor != "sqlite" else "leave of table a_w" in why


def test_columns_that_come_back(database: Database, other_database: Database, project: Project) -> None:
    first = f'{T}, {U}, {KEY}, migrations.AddField("T", "m", models.IntegerField(db_index=True, null=True))'
    late = {"0002_gone": 'migrations.RemoveField("T", "m")', "0003_no_key": 'migrations.RemoveField("T", "u")'}
    assert there_and_stopped(database, other_database, project, first, **late) == ""


def test_constraints_that_earlier_statements_make(
    database: Database, other_database: Database, project: Project
) -> None:
    unique = 'migrations.AlterField("T", "n", models.CharField(max_length=9, unique={}))'
    late = {"0002_unique": unique.format(True), "0003_not": unique.format(False)}
    why = there_and_stopped(database, other_database, project, T, **late)
    # SQLite makes the whole table anew, and asks for nothing.
    assert ("depends on what the statements before it leave of table a_t" in why) == (database.vendor != "sqlite")


def test_after_sql_that_may_do_anything(database: Database, other_database: Database, project: Project) -> None:
    unique = 'migrations.AlterField("T", "n", models.CharField(max_length=9, unique=True))'
    sql = 'migrations.RunSQL("SELECT 1", "CREATE INDEX by_hand ON a_t (n)")'
    why = there_and_stopped(database, other_database, project, T, **{"0002_unique": unique, "0003_sql": sql})
    assert ("depends on what the statements before it leave of table a_t" in why) == (database.vendor != "sqlite")


@pytest.mark.databases("postgresql")
def test_a_key_that_is_no_longer_numbered(database: Database, other_database: Database, project: Project) -> None:
    first = T.replace("BigAutoField", "IntegerField")
    late = {"0002_id": 'migrations.AlterField("T", "id", models.AutoField(primary_key=True))'}
    assert there_and_stopped(database, other_database, project, first, **late) == ""


@pytest.mark.databases("postgresql", "mariadb")
def test_a_database_that_is_not_what_the_migrations_say(
    database: Database, other_database: Database, project: Project
) -> None:
    wide = T.replace("])", ', ("m", models.IntegerField(null=True))])')
    both = 'migrations.AlterUniqueTogether("T", {("n", "m")})'
    drop = "ALTER TABLE a_t DROP INDEX %s" if database.vendor == "mariadb" else "ALTER TABLE a_t DROP CONSTRAINT %s"
    project(a={"0001_t": wide})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": wide, "0002_both": both})
    deploy(database.alias, DAY_2)
    with database.connection.cursor() as cursor:
        found = database.connection.introspection.get_constraints(cursor, "a_t")
        (name,) = (name for name, facts in found.items() if facts["columns"] == ["n", "m"])
        cursor.execute(drop % name)
    refused(database, "fails: ValueError: Found wrong number (0) of constraints for a_t(n, m)")


@pytest.mark.databases("sqlite")
def test_what_only_django_can_do(database: Database, project: Project) -> None:
    sql = """migrations.RunSQL("SELECT 1", "UPDATE a_t SET n = django_date_extract('year', '2024-05-01')")"""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_sql": sql})
    deploy(database.alias, DAY_2)
    refused(database, "Undoing a.0002_sql uses django_date_extract()")


@pytest.mark.databases("mariadb")
def test_bodies_with_semicolons_and_bytes(database: Database, other_database: Database, project: Project) -> None:
    """The program would end a statement at each semicolon. The journal takes a reason with anything in it."""
    body = "CREATE TRIGGER up BEFORE INSERT ON a_t FOR EACH ROW BEGIN SET NEW.n = 'a//'; SET NEW.n = 'b'; END"
    sql = f'migrations.RunSQL("SELECT 1", [({body!r}, None)])'
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_sql": sql})
    deploy(database.alias, DAY_2)
    reason = 'it\'s; a "word" \\ back\r\nslash ä 🐘 %s //'
    script = made(database, DAY_2, reason=reason)
    copied(database, other_database)
    done = run(other_database, script.out)
    assert done.returncode == 0, done.stderr
    ask(other_database, "INSERT INTO a_t (n) VALUES ('x')")
    assert ask(other_database, "SELECT n FROM a_t") == [("b",)]
    assert ask(other_database, "SELECT reason FROM rollback_app_run") == [(reason,)]
    assert dialect(get(database.alias)).literal(b"\x00'\xff") == "X'0027ff'"


@pytest.mark.databases("sqlite")
def test_objects_that_are_brought_back_are_refused(database: Database, project: Project, settings: Any) -> None:
    settings.ROLLBACK = {"OBJECTS": True}
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_x": LATE["0002_x"]})
    deploy(database.alias, DAY_2)
    ask(database, "CREATE VIEW newer AS SELECT n FROM a_t")
    refused(database, "views, functions or triggers are brought back")
