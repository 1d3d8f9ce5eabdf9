"""--format sql: the script that does what the run does, run by psql and sqlite3 on a copy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db.models.signals import post_migrate

from rollback_app import workflow
from rollback_app.executor import StepFailed
from tests.support.commands import Said, call, roll_back
from tests.support.databases import Database, ask
from tests.support.history import deploy, keys
from tests.support.kept import making_no_tables
from tests.support.projects import Project, migration
from tests.support.schema import everything
from tests.support.scripts import copied, end, made, run
from tests.support.two_days import DAY_1, DAY_2, T, U, deploy_twice

transactional = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """Rows in T, none in U; then a column with a value, code that writes, and a table with rows."""
    return deploy_twice(
        database,
        project,
        "INSERT INTO a_t (n, x) VALUES ('kept', 7), ('too', NULL)",
        "INSERT INTO a_v (n) VALUES ('a'), ('b')",
    )


def replayed(database: Database, other: Database, script: str) -> None:
    """The script on a copy gives what the command gives, and says that it is done."""
    before = everything(database.connection)
    copied(database, other)
    done = run(other, script)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith("Done: ")
    assert everything(database.connection) == before
    assert roll_back(database, DAY_2).status == 0
    assert end(other) == end(database)


@transactional
def test_it_does_what_the_command_does(shop: Database, other_database: Database) -> None:
    before = everything(shop.connection)
    said = made(shop, DAY_2)
    assert (said.status, said.error) == (0, "")
    assert everything(shop.connection) == before
    replayed(shop, other_database, said.out)
    assert [key for key in keys(other_database.alias) if key[0] == "a"] == [("a", "0001_t")]


def text_of(said: Said) -> str:
    """The comments of a script as one line."""
    return " ".join(line.removeprefix("-- ").strip() for line in said.out.splitlines() if line.startswith("--"))


@transactional
def test_what_it_says(shop: Database) -> None:
    said = made(shop, DAY_2, reason="two\nlines; DROP TABLE a_t; --")
    words = text_of(said)
    assert f"Rollback of {shop.alias}: " in words
    assert "Digest " in words
    assert "with rollback_app 0." in words
    assert "Made by python manage.py rollbackmigrationsafter 2024-05-02T08:00:00+00:00" in " ".join(words.split())
    assert "Undoes 3 migrations of 1 app. Keeps 1 table and 1 column (3 rows" in words
    assert "Step 1 of 3: a.0004_v, applied 2024-05-02 08:00:02 UTC undoing 'Create model V'" in words
    assert "0003_code.backwards What this code has sent is data of this very database, as it was then." in words
    assert "Verified: 2 tables are as the migrations at the target say." in words
    assert "\n-- lines; DROP TABLE a_t; --\n" in said.out
    assert max(len(line) for line in said.out.splitlines() if line.startswith("-- ") and "python" not in line) < 120


@transactional
def test_the_journal_has_when_and_by_whom_it_was_run(shop: Database, other_database: Database) -> None:
    script = made(shop, DAY_2, reason="it's slow")
    copied(shop, other_database)
    assert run(other_database, script.out).returncode == 0
    said = call("showrollbacks", database=other_database.alias)
    assert "done, 3 of 3 steps unapplied" in said.out
    assert "--format sql" in said.out
    assert "it's slow" in said.out
    ((operator, seconds),) = ask(other_database, "SELECT operator, seconds FROM rollback_app_run")
    if shop.vendor == "postgresql":
        assert operator == "postgres"
        assert 0 < seconds < 60
    assert "3 migrations" in roll_back(shop, DAY_2).out
    assert "Nothing to do" in roll_back(other_database, DAY_2).out


@transactional
def test_what_it_keeps_comes_back(shop: Database, other_database: Database) -> None:
    script = made(shop, DAY_2)
    copied(shop, other_database)
    ask(other_database, "UPDATE a_t SET x = 8 WHERE n = 'too'")  # what is kept is what is there when it is run
    assert run(other_database, script.out).returncode == 0
    assert ask(other_database, 'SELECT rows, "left" FROM rollback_app_kept ORDER BY id') == [(2, 2), (2, 2)]
    call("migrate", database=other_database.alias, verbosity=0)
    assert ask(other_database, "SELECT x FROM a_t WHERE n IN ('kept', 'too') ORDER BY x") == [(7,), (8,)]
    assert ask(other_database, "SELECT n FROM a_v ORDER BY n") == [("a",), ("b",)]


@transactional
def test_views_are_brought_back(database: Database, other_database: Database, project: Project, settings: Any) -> None:
    settings.ROLLBACK = {"OBJECTS": True}
    project(a={"0001_t": f"""{T}, migrations.RunSQL("CREATE VIEW then_and_now AS SELECT n FROM a_t")"""})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_x": 'migrations.AddField("T", "x", models.IntegerField(null=True))'})
    deploy(database.alias, DAY_2)
    ask(
        database,
        "DROP VIEW then_and_now",
        "CREATE VIEW then_and_now AS SELECT n, x FROM a_t",
        "CREATE VIEW newer AS SELECT x FROM a_t",
    )
    script = made(database, DAY_2)
    assert script.status == 0, script.error
    replayed(database, other_database, script.out)
    assert ask(other_database, "SELECT * FROM then_and_now") == []


@transactional
def test_with_a_hold_and_without_a_journal(shop: Database, other_database: Database, settings: Any) -> None:
    settings.ROLLBACK = {"HOLD": True}
    script = made(shop, DAY_2, journal=False, verify=False)
    assert "Nothing was verified when this was made (--no-verify)." in text_of(script)
    copied(shop, other_database)
    assert run(other_database, script.out).returncode == 0
    assert "Nothing" not in call("migratehold", database=other_database.alias).out
    ((since,),) = ask(other_database, "SELECT since FROM rollback_app_hold")
    assert datetime.now(timezone.utc).isoformat()[:13] == since[:13]
    with other_database.connection.cursor() as cursor:
        assert "rollback_app_run" not in other_database.connection.introspection.table_names(cursor)


# It stops unless the database is what it was made from


def stopped(database: Database, other: Database, script: Said, words: str, *changes: str) -> None:
    copied(database, other)
    ask(other, *changes)
    before = everything(other.connection, ())
    done = run(other, script.out)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Done" not in done.stdout
    assert everything(other.connection, ()) == before


RECORD = "INSERT INTO django_migrations (app, name, applied) VALUES ('a', '0005_w', '2024-05-03 08:00')"


@transactional
@pytest.mark.parametrize(
    "change", [RECORD, "DELETE FROM django_migrations WHERE app = 'auth'", "UPDATE django_migrations SET app = 'b'"]
)
def test_it_stops_for_other_records(shop: Database, other_database: Database, change: str) -> None:
    words = "the records of django_migrations are not those that this script was made from. Make the script anew"
    stopped(shop, other_database, made(shop, DAY_2), words, change)


@transactional
def test_it_stops_for_values_that_it_would_not_keep(shop: Database, other_database: Database) -> None:
    ask(shop, "UPDATE a_t SET x = NULL", "DELETE FROM a_v")
    script = made(shop, DAY_2)
    words = "{} has got values since this script was made, which it would not keep. Make the script anew"
    stopped(shop, other_database, script, words.format("a_t.x"), "UPDATE a_t SET x = 9")
    stopped(shop, other_database, script, words.format("a_v"), "INSERT INTO a_v (n) VALUES ('late')")
    replayed(shop, other_database, script.out)


@transactional
def test_it_stops_for_numbers_that_somebody_has_taken(shop: Database, other_database: Database) -> None:
    """Code may have put a number that it was given into another table."""
    words = "were numbered since this script was made. Make the script anew"
    stopped(shop, other_database, made(shop, DAY_2), words, "INSERT INTO a_t (n) VALUES ('late')")


@transactional
def test_it_runs_again_after_it_has_failed_half_way(shop: Database, other_database: Database) -> None:
    """A sequence is no part of a transaction."""
    script = made(shop, DAY_2)
    blocked = "CREATE TABLE rollback_kept_2 (id integer)"
    stopped(shop, other_database, script, "rollback_kept_2", blocked)
    ask(other_database, "DROP TABLE rollback_kept_2")
    assert run(other_database, script.out).returncode == 0
    assert roll_back(shop, DAY_2).status == 0
    assert end(other_database) == end(shop)


@pytest.mark.databases("sqlite")
def test_rows_that_would_point_nowhere_stop_it(database: Database, other_database: Database, project: Project) -> None:
    key = 'migrations.AddField("T", "u", models.ForeignKey("a.U", models.CASCADE, null=True))'
    clear = 'migrations.RunSQL("SELECT 1", "DELETE FROM a_u WHERE n = \'gone\'")'
    project(a={"0001_t": f"{T}, {U}, {key}"})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": f"{T}, {U}, {key}", "0002_sql": clear})
    deploy(database.alias, DAY_2)
    ask(database, "INSERT INTO a_u (id, n) VALUES (1, 'gone')", "INSERT INTO a_t (n) VALUES ('t')")
    script = made(database, DAY_2)
    change = ("PRAGMA foreign_keys = OFF", "UPDATE a_t SET u_id = 1")
    stopped(database, other_database, script, "rows would point to rows that do not exist", *change)
    replayed(database, other_database, script.out)


# Values and names


ODD = [
    "it's",
    'a "word"',
    "back\\slash\\",
    "two\nlines",
    "car\r\nriage",
    "%s %% %(x)s",
    ":name ::int",
    "ä € 🐘",
    "-- no",
    "$$",
    "",
    ";",
]
VALUES = """
import datetime, decimal, uuid
ODD = {odd!r}
def backwards(apps, schema_editor):
    rows = apps.get_model("a", "V").objects.using(schema_editor.connection.alias)
    utc = datetime.timezone.utc
    for number, text in enumerate(ODD):
        rows.create(
            text=text, bytes=text.encode() + bytes(range(0, 256, 3)), json={{text: [None, 1.5, True, text]}},
            flag=number % 2 == 0,
            number=-(10 ** number), amount=decimal.Decimal("-1234567.89"), real=1 / (number + 3), day=datetime.date(2024, 2, 29),
            at=datetime.datetime(2024, 2, 29, 23, 59, 59, 999999, utc), time=datetime.time(1, 2, 3, 4),
            long=datetime.timedelta(days=-1, microseconds=1), name=uuid.UUID(int=number),
        )
    rows.create()
    with schema_editor.connection.cursor() as cursor:
        cursor.executemany("INSERT INTO a_v (text, real) VALUES (%s, %s)", [["many", 1e300], ["it's", 1e-300], ["%", None]])
        {besides}
"""
V = """migrations.CreateModel("V", [
    ("id", models.BigAutoField(primary_key=True)), ("text", models.TextField(null=True)),
    ("bytes", models.BinaryField(null=True)), ("json", models.JSONField(null=True)), ("flag", models.BooleanField(null=True)),
    ("number", models.BigIntegerField(null=True)), ("amount", models.DecimalField(max_digits=9, decimal_places=2, null=True)),
    ("real", models.FloatField(null=True)), ("day", models.DateField(null=True)), ("at", models.DateTimeField(null=True)),
    ("time", models.TimeField(null=True)), ("long", models.DurationField(null=True)), ("name", models.UUIDField(null=True)),
])"""


@transactional
def test_odd_values(database: Database, other_database: Database, project: Project) -> None:
    named = "cursor.execute('INSERT INTO a_v (text, real) VALUES (%(x)s, %(y)s)', {'x': 'na\\0me', 'y': float('-inf')})"
    named += "; cursor.execute('INSERT INTO a_v (real) VALUES (%s)', [float('inf')])"
    if database.vendor == "postgresql":
        named = named.replace("\\0", "")
    code = VALUES.format(odd=ODD, besides=named)
    late = migration("migrations.RunPython(migrations.RunPython.noop, backwards)", [("a", "0001_v")], before=code)
    project(a={"0001_v": V})
    deploy(database.alias, DAY_1)
    project(a={"0001_v": V, "0002_code": late})
    deploy(database.alias, DAY_2)
    replayed(database, other_database, made(database, DAY_2).out)
    assert len(ask(other_database, "SELECT * FROM a_v")) > len(ODD)


@transactional
def test_names_with_quotes(database: Database, other_database: Database, project: Project) -> None:
    table = "it's; a t$rollback_app$"
    model = T[:-1] + f", options={{'db_table': {table!r}}})"
    column = 'migrations.AddField("T", "x", models.IntegerField(null=True, db_column="it\'s; 100"))'
    project(a={"0001_t": model})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": model, "0002_x": column})
    deploy(database.alias, DAY_2)
    script = made(database, DAY_2)
    assert script.status == 0, script.error
    replayed(database, other_database, script.out)


# What is sent by hand


@transactional
def test_sql_of_a_migration(database: Database, other_database: Database, project: Project) -> None:
    """Also where it ends in a comment, and where a function that it calls writes."""
    statements = ["INSERT INTO a_t (n) VALUES ('a;b') -- it's one", "-- no more\nUPDATE a_t SET n = 'c' WHERE n = 'b';"]
    if database.vendor == "postgresql":
        statements.append("SELECT note(n) FROM (VALUES ('d')) v (n); INSERT INTO a_t (n) VALUES ('e')")
        statements.append("DO $$ BEGIN INSERT INTO a_t (n) VALUES ('f;'); END $$")
    else:
        statements.append("CREATE TRIGGER up AFTER INSERT ON a_t BEGIN SELECT 1; UPDATE a_t SET n = 'g'; END")
        statements.append("PRAGMA user_version = 7")
    function = "CREATE FUNCTION note(n text) RETURNS void LANGUAGE sql AS $$ INSERT INTO a_t (n) VALUES (n) $$"
    first = f"{T}, migrations.RunSQL({function!r})" if database.vendor == "postgresql" else T
    project(a={"0001_t": first})
    deploy(database.alias, DAY_1)
    sql = f"migrations.RunSQL({[(each, None) for each in statements]!r}, {[(each, None) for each in statements]!r})"
    project(a={"0001_t": first, "0002_sql": sql})
    deploy(database.alias, DAY_2)
    if database.vendor == "sqlite":
        ask(database, "DROP TRIGGER up")
    script = made(database, DAY_2)
    replayed(database, other_database, script.out)
    if database.vendor == "sqlite":
        assert ask(other_database, "PRAGMA user_version") == [(7,)]


@pytest.mark.databases("postgresql")
def test_a_function_that_code_calls(database: Database, other_database: Database, project: Project) -> None:
    function = "CREATE FUNCTION note(n text) RETURNS void LANGUAGE sql AS $$ INSERT INTO a_t (n) VALUES (n) $$"
    calls = "def backwards(apps, editor):\n    editor.connection.cursor().execute('SELECT note(%s)', ['by code'])\n"
    calls += "    apps.get_model('a', 'T').objects.using(editor.connection.alias).count()\n"
    first = f"{T}, migrations.RunSQL({function!r})"
    project(a={"0001_t": first})
    deploy(database.alias, DAY_1)
    late = migration("migrations.RunPython(migrations.RunPython.noop, backwards)", [("a", "0001_t")], before=calls)
    project(a={"0001_t": first, "0002_code": late})
    deploy(database.alias, DAY_2)
    script = made(database, DAY_2)
    assert "\nSELECT note('by code');\n" in script.out
    assert 'COUNT(*) AS "__count"' not in script.out
    replayed(database, other_database, script.out)


@contextmanager
def receiving(receiver: Callable[..., None]) -> Iterator[None]:
    sender = apps.get_app_config("a")
    post_migrate.connect(receiver, sender=sender)
    try:
        yield
    finally:
        post_migrate.disconnect(receiver, sender=sender)


@transactional
def test_what_is_taken_back_is_not_in_it(shop: Database, other_database: Database) -> None:
    """Of a receiver that fails, and of one that goes back to a savepoint of its own."""

    def failing(**signal: Any) -> None:
        ask(shop, "INSERT INTO a_t (n) VALUES ('failed')")
        raise LookupError("receiver")

    def going_back(**signal: Any) -> None:
        shop.connection.connection.cursor().execute("SAVEPOINT unseen")
        ask(shop, "RELEASE SAVEPOINT unseen")
        ask(
            shop,
            "INSERT INTO a_t (n) VALUES ('stays')",
            "SAVEPOINT mine",
            "INSERT INTO a_t (n) VALUES ('gone')",
            "ROLLBACK TO SAVEPOINT mine",
            "RELEASE SAVEPOINT mine",
            "INSERT INTO a_t (n) VALUES ('too')",
        )

    with receiving(failing), receiving(going_back):
        script = made(shop, DAY_2)
        replayed(shop, other_database, script.out)
    assert "'failed'" not in script.out
    assert "'gone'" not in script.out
    assert "-- Receivers of the signals, after the last step\n--   What this code has sent is" in script.out


# What cannot be


@transactional
def test_a_blocked_plan_is_no_script(database: Database, project: Project, tmp_path: Path) -> None:
    project(a={"0001_t": T, "0002_code": "migrations.RunPython(lambda apps, editor: None)"})
    deploy(database.alias, DAY_2)
    said = made(database, DAY_2)
    assert (said.status, said.out) == (3, "")
    unwritable = made(database, DAY_2, output=str(tmp_path / "none" / "x.sql"))
    assert (unwritable.status, unwritable.out) == (2, "")
    assert "cannot be written" in unwritable.error


@transactional
def test_nothing_to_do(database: Database, project: Project, other_database: Database) -> None:
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    said = made(database, DAY_2)
    assert said.status == 0
    assert said.out.splitlines()[1] == "-- Nothing to do: there is no migration to unapply."
    copied(database, other_database)
    assert run(other_database, said.out).returncode == 0


@transactional
def test_options_that_do_not_go_with_it(shop: Database) -> None:
    assert "A script is one transaction." in made(shop, DAY_2, step_by_step=True).error
    said = call("rollbackmigrationsafter", "2024-05-02", format="sql", database=["default", "other"])
    assert (said.status, said.out) == (2, "")
    assert "A script is for one database." in said.error
    assert made(shop, DAY_2, rehearse=True).status == 2
    assert "A script takes no backup." in made(shop, DAY_2, backup=True).error


@transactional
def test_the_backup_that_a_run_would_take_is_no_part_of_it(shop: Database, settings: Any) -> None:
    settings.ROLLBACK = {**settings.ROLLBACK, "BACKUP": ["false"]}
    said = made(shop, DAY_2)
    assert said.status == 0, said.all
    assert "Takes a backup" not in said.out


@transactional
def test_a_run_that_fails_is_no_script(database: Database, project: Project, tmp_path: Path) -> None:
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_sql": 'migrations.RunSQL("SELECT 1", "DELETE FROM not_there")'})
    deploy(database.alias, DAY_2)
    before = everything(database.connection)
    said = made(database, DAY_2, output=str(tmp_path / "x.sql"))
    assert (said.status, said.out) == (1, "")
    assert "not_there" in said.error
    assert (tmp_path / "x.sql").read_text() == ""
    assert everything(database.connection) == before
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[database.alias])
    with pytest.raises(StepFailed):
        workflow.script(preview, file="x.sql")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "UPDATE a_t SET n = django_date_extract('year', n)",
            "uses django_date_extract(), a function that only Django",
        ),
        ("UPDATE a_t SET n = 'a\r\nb'", "uses a carriage return in its SQL, which sqlite3 may drop."),
    ],
)
def test_what_only_django_can_do(database: Database, project: Project, sql: str, words: str) -> None:
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_sql": f'migrations.RunSQL("SELECT 1", [({sql!r}, None)])'})
    deploy(database.alias, DAY_2)
    said = made(database, DAY_2)
    assert (said.status, said.out) == (3, "")
    assert "No script can do this: Undoing a.0002_sql" in said.error
    assert words in said.error


@pytest.mark.databases("sqlite")
def test_of_a_receiver_too(shop: Database) -> None:
    def receiver(**signal: Any) -> None:
        ask(shop, "UPDATE a_t SET n = django_date_extract('year', '2024-05-01')")

    with receiving(receiver):
        assert "Receivers of the signals uses django_date_extract()" in made(shop, DAY_2).error


@pytest.mark.databases("postgresql")
def test_who_may_not_make_the_journal_gets_a_script_without(shop: Database, capsys: Any) -> None:
    ask(shop, "DELETE FROM a_v", "UPDATE a_t SET x = NULL")
    with making_no_tables(shop, "a_t", "a_u", "a_v"):
        said = made(shop, DAY_2)
    assert said.status == 0
    assert "rollback_app_run" not in said.out
    assert "The script does not note the run." in " ".join(capsys.readouterr().err.split())


@pytest.mark.databases("postgresql")
def test_a_role_that_is_taken_on_is_taken_on_by_the_script(shop: Database, other_database: Database) -> None:
    settings = shop.connection.settings_dict
    taken, name = settings["OPTIONS"], settings["NAME"]
    ask(shop, 'CREATE ROLE "the owner"', 'GRANT ALL ON SCHEMA public TO "the owner"')
    try:
        ask(
            shop,
            """
            DO $$ DECLARE name text; BEGIN FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('ALTER TABLE %I OWNER TO "the owner"', name); END LOOP; END $$
        """,
        )
        shop.connection.close()
        settings["OPTIONS"] = {**taken, "assume_role": "the owner"}
        script = made(shop, DAY_2)
        assert 'SET LOCAL ROLE "the owner";' in script.out
        shop.connection.close()
        settings["OPTIONS"] = taken
        copied(shop, other_database)
        assert run(other_database, script.out).stderr == ""
        owners = ask(other_database, "SELECT tableowner FROM pg_tables WHERE tablename = 'rollback_kept_1'")
        assert owners == [("the owner",)]
    finally:
        shop.connection.close()
        settings["OPTIONS"] = taken
        for database in (shop, other_database):
            ask(database, 'REASSIGN OWNED BY "the owner" TO postgres', 'DROP OWNED BY "the owner"')
        ask(shop, 'DROP ROLE "the owner"')
    assert name == settings["NAME"]


@pytest.mark.databases("sqlite")
def test_where_nothing_numbers_rows(database: Database, other_database: Database, project: Project) -> None:
    """With a table of records that somebody made by hand."""
    table = "CREATE TABLE django_migrations (id integer PRIMARY KEY, app text, name text, applied datetime)"
    ask(database, table)
    project(a={"0001_t": 'migrations.RunSQL("CREATE TABLE a_t (n integer)", "DROP TABLE a_t")'})
    deploy(database.alias, DAY_2)
    replayed(database, other_database, made(database, DAY_2).out)


@transactional
def test_a_stream_that_is_not_utf8(database: Database, project: Project, monkeypatch: Any, tmp_path: Path) -> None:
    sql = """migrations.RunSQL("SELECT 1", "UPDATE a_t SET n = 'ä'")"""
    project(a={"0001_t": T})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_sql": sql})
    deploy(database.alias, DAY_2)
    from django.core.management import CommandError, call_command

    ascii_only = TextIOWrapper(BytesIO(), encoding="ascii")
    words = [DAY_2.isoformat(), "--database", database.alias, "--format", "sql"]
    with pytest.raises(CommandError, match="stdout is ascii") as failure:
        call_command("rollbackmigrationsafter", *words, stdout=ascii_only, stderr=sys.stderr)
    assert failure.value.returncode == 2
    assert "--output rollback.sql" in str(failure.value)
    file = tmp_path / "rollback.sql"
    call_command("rollbackmigrationsafter", *words, "--output", str(file), stdout=ascii_only)
    assert "'ä'" in file.read_text(encoding="utf-8")
    assert f"-f {file}" in file.read_text(encoding="utf-8") or f"< {file}" in file.read_text(encoding="utf-8")
