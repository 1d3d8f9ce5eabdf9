"""A run that breaks off inside a migration, which is not one transaction, and the same command again."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from django.db.utils import OperationalError

from tests.support.commands import Said, roll_back
from tests.support.databases import Database, empty
from tests.support.history import keys, migrate, set_applied
from tests.support.kept import besides, open_copies
from tests.support.killed import forked
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.CharField(max_length=9))])'
U = (
    'migrations.CreateModel("U", [("id", models.BigAutoField(primary_key=True)),'
    ' ("t", models.ForeignKey("a.T", models.CASCADE)), ("m", models.ManyToManyField("a.T", related_name="+"))])'
)
R = """
migrations.CreateModel("R", [
    ("id", models.BigAutoField(primary_key=True)),
    ("t", models.ForeignKey("a.T", models.CASCADE, null=True)),
    ("u", models.ForeignKey("a.T", models.CASCADE, null=True, related_name="+")),
], {"unique_together": {("t", "u")}, "indexes": [models.Index(fields=["u", "id"], name="a_r_ui")]}),
"""
CODE = """
def add(apps, schema_editor):
    T = apps.get_model("a", "T")
    for row in T.objects.using(schema_editor.connection.alias):
        row.n += "+"
        row.save()

def take(apps, schema_editor):
    T = apps.get_model("a", "T")
    for row in T.objects.using(schema_editor.connection.alias):
        row.n = row.n[:-1] if ATOMIC else row.n.replace("+", "")
        row.save()

SHORTER = ["UPDATE a_t SET n = SUBSTR(n, 1, LENGTH(n) - 1)"] * 2
if not ATOMIC:
    SHORTER = ["UPDATE a_t SET n = REPLACE(n, '?', '')", "UPDATE a_t SET n = REPLACE(n, '!', '')"]

if FAILS:
    def take(apps, schema_editor):
        raise ValueError("on purpose")
"""
OPERATIONS = """
migrations.AddField("T", "x", models.IntegerField(null=True, db_index=True)),
migrations.AlterField("T", "n", models.CharField(max_length=20, db_index=True)),
migrations.AddConstraint("T", models.UniqueConstraint(fields=["n", "x"], name="a_t_nx")),
migrations.RunPython(add, take),
migrations.SeparateDatabaseAndState([migrations.RenameField("T", "x", "y")], [migrations.RenameField("T", "x", "y")]),
migrations.RunSQL(["UPDATE a_t SET n = REPLACE(n, '+', '+!')", "UPDATE a_t SET n = REPLACE(n, '!', '!?')"], SHORTER),
migrations.RenameModel("T", "V"),
"""
# Undone, these put foreign keys and indexes off, to a table that gets another name meanwhile.
REMADE = """
migrations.RenameModel("T", "V"),
migrations.AlterUniqueTogether("R", set()),
migrations.RemoveField("R", "t"),
migrations.DeleteModel("R"),
"""


def files(
    *, fails: bool = False, operations: str = OPERATIONS, atomic: bool = True, first: str = T
) -> dict[str, dict[str, str]]:
    """On day 1 a.0001_t; on day 2 one large migration of it, and a table that refers to it."""
    large = migration(
        operations,
        [("a", "0001_t"), ("b", "0001_u")],
        before=f"FAILS, ATOMIC = {fails}, {atomic}\n{CODE}",
        atomic=atomic,
    )
    return {"a": {"0001_t": first, "0002_large": large}, "b": {"0001_u": migration(U, [("a", "0001_t")])}}


def deployed(database: Database) -> None:
    """All migrated at once, which is quicker, and then dated."""
    empty(database)
    migrate(database.alias)
    late = [key for key in keys(database.alias) if key[1].startswith("0002")]
    set_applied(database.alias, {key: DAY_2 if key in late else DAY_1 for key in keys(database.alias)})
    with database.connection.cursor() as cursor:
        tables = database.connection.introspection.table_names(cursor)
        cursor.execute(f"INSERT INTO {'a_v' if 'a_v' in tables else 'a_t'} (n) VALUES ('one+!?')")


def go(database: Database, step_by_step: bool) -> Said:
    return roll_back(database, DAY_2, step_by_step=step_by_step)


mariadb = pytest.mark.databases("mariadb")
forks = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@forks
def test_killed_at_each_statement_and_run_again(database: Database, project: Project) -> None:
    """The end is as if it had not been killed: what a statement or code does to rows is done once."""
    project(**files())
    inside = killed_at_each_statement(database)
    assert inside > 10 if database.vendor == "mariadb" else not inside


@forks
@mariadb
def test_killed_at_each_statement_of_tables_that_are_made_again(database: Database, project: Project) -> None:
    project(**files(operations=REMADE, first=f"{T}, {R}"))
    assert killed_at_each_statement(database) > 10


@forks
@pytest.mark.databases("sqlite", "postgresql")
def test_killed_at_each_statement_of_a_migration_that_wants_no_transaction(
    database: Database, project: Project
) -> None:
    """The same, for code that can be run again, as such code has to be."""
    project(**files(atomic=False))
    assert killed_at_each_statement(database) > 10


def killed_at_each_statement(database: Database) -> int:
    """In front of each that changes something; each time all that is dropped is kept, once. Comes back with how often the second
    run found that the first had broken off inside a migration."""
    deployed(database)
    assert go(database, step_by_step=True).status == 0
    undisturbed, kept = besides(database), [(entry.source, entry.rows) for entry in open_copies(database)]
    assert keys(database.alias) == [("a", "0001_t"), ("b", "0001_u")]
    number, inside = 0, 0
    status = -9
    while status == -9:
        number += 1
        deployed(database)
        status = forked(database.alias, number, lambda: go(database, step_by_step=True), changes=True)
        said = go(database, step_by_step=True)
        assert said.status == 0, said.all
        inside += "stopped inside a.0002_" in said.out
        assert besides(database) == undisturbed, number
        assert [(entry.source, entry.rows) for entry in open_copies(database)] == kept, number
    assert number > 15
    return inside


def broken_off(database: Database, project: Project, operations: str = OPERATIONS) -> None:
    """A run that failed inside the large migration, at its code."""
    project(**files(fails=True, operations=operations))
    deployed(database)
    said = go(database, step_by_step=True)
    assert said.status == 1
    assert "RunPython" in said.error or "on purpose" in said.error


EASY = f"migrations.RunPython(add, take), {OPERATIONS.split(chr(10))[1]}"


@mariadb
def test_the_plan_says_that_it_goes_on_and_does_not_count_what_is_gone(database: Database, project: Project) -> None:
    broken_off(database, project, EASY)
    project(**files(operations=EASY))
    said = roll_back(database, DAY_2, plan=True)
    assert (
        "An earlier rollback stopped inside a.0002_large. This run continues there: 1 of its operations are already undone."
    ) in said.out
    assert "drops column a_t.x" not in said.out
    assert roll_back(database, DAY_2).status == 0


@mariadb
def test_statements_that_are_done_are_told_too(database: Database, project: Project) -> None:
    """Lost in the middle of an operation, after its first statements."""
    project(**files(operations="migrations.RunSQL('', ['DROP TABLE IF EXISTS x', 'SELECT 1', 'wrong'])"))
    deployed(database)
    failed = go(database, step_by_step=True)
    assert "The statement was: wrong" in failed.error
    said = roll_back(database, DAY_2, plan=True)
    assert "0 of its operations and 2 of the statements of the next one are already undone." in said.out
    failed = roll_back(database, DAY_2)  # not fixed: it fails at the same place again
    assert failed.status == 1
    said = roll_back(database, DAY_2, plan=True)
    assert "0 of its operations and 2 of the statements of the next one are already undone." in said.out


@mariadb
def test_a_plan_that_leaves_it_half_undone_is_refused(database: Database, project: Project) -> None:
    broken_off(database, project)
    said = roll_back(database, "2024-05-02 08:00:01+00:00", plan=True)
    assert said.status == 3
    assert "An earlier rollback stopped inside a.0002_large, and this plan would leave it half undone." in said.all
    assert (
        "Run that rollback again first, so that it can finish: python manage.py rollbackmigrationsafter 2024-05-02T08:00:00+00:00"
        " --database mariadb --step-by-step"
    ) in said.all
    assert "If you have restored or repaired what a.0002_large made, add --start-over." in said.all


@mariadb
def test_what_was_applied_meanwhile_goes_after_it(database: Database, project: Project) -> None:
    broken_off(database, project)
    project.replace(**files(), c={"0001_v": T})
    migrate(database.alias, "c")
    said = roll_back(database, DAY_2)
    assert said.status == 0
    assert said.out.index("Unapplying a.0002_large") < said.out.index("Unapplying c.0001_v")


@mariadb
def test_what_depends_on_it_and_was_applied_again_blocks(database: Database, project: Project) -> None:
    broken_off(database, project)
    project.replace(**files(), c={"0001_v": migration(T, [("a", "0002_large")])})
    migrate(database.alias, "c")
    said = roll_back(database, DAY_2)
    assert said.status == 3
    assert "stopped inside a.0002_large, and migrations that depend on it have been applied since." in said.out


@mariadb
def test_code_with_fewer_operations_is_refused(database: Database, project: Project) -> None:
    broken_off(database, project)
    project(**files(operations='migrations.AlterModelOptions("T", {})'))
    said = roll_back(database, DAY_2)
    assert said.status == 3
    assert "more of its operations are undone than it has in this code." in said.out


@mariadb
def test_a_restored_history_is_refused_until_it_is_said_to_be_whole(database: Database, project: Project) -> None:
    broken_off(database, project, EASY)
    project(**files(operations=EASY))
    with database.connection.cursor() as cursor:  # what a restored backup does, here of two tables
        cursor.execute("ALTER TABLE a_t ADD COLUMN x integer NULL, ADD INDEX (x)")
        cursor.execute("SELECT SLEEP(1.1)")  # MariaDB knows to the second when a table was made
        cursor.execute("CREATE TABLE copy LIKE django_migrations")
        cursor.execute("INSERT INTO copy SELECT * FROM django_migrations")
        cursor.execute("DROP TABLE django_migrations")
        cursor.execute("RENAME TABLE copy TO django_migrations")
    said = roll_back(database, DAY_2)
    assert said.status == 3
    assert "django_migrations has been created again since, as when a backup is restored." in said.out
    said = roll_back(database, DAY_2, start_over=True)
    assert said.status == 0, said.error
    assert "Unapplying a.0002_large" in said.out


@mariadb
def test_a_step_that_is_faked_is_settled(database: Database, project: Project) -> None:
    broken_off(database, project)
    assert roll_back(database, DAY_2, fake=["a.0002_large"]).status == 0
    assert not [line for line in roll_back(database, DAY_2, plan=True).out.splitlines() if "broke off" in line]


@pytest.mark.databases("postgresql")
def test_another_table_of_the_same_name_is_another(database: Database, project: Project) -> None:
    project(**files(fails=True, atomic=False))
    deployed(database)
    assert go(database, step_by_step=True).status == 1
    with database.connection.cursor() as cursor:
        cursor.execute("CREATE TABLE copy AS TABLE django_migrations")
        cursor.execute("DROP TABLE django_migrations")
        cursor.execute("ALTER TABLE copy RENAME TO django_migrations")
    assert "created again since" in go(database, step_by_step=True).out


@pytest.mark.databases("sqlite", "postgresql")
def test_one_transaction_does_not_go_on_inside_a_step(database: Database, project: Project) -> None:
    """It would undo again what is undone."""
    project(**files(fails=True, operations=EASY, atomic=False))
    deployed(database)
    assert go(database, step_by_step=True).status == 1
    project(**files(operations=EASY, atomic=False))
    said = roll_back(database, DAY_2)
    assert said.status == 3
    assert "Only one that goes step by step can continue there. [rollback.E008]" in said.out
    assert roll_back(database, DAY_2, step_by_step=True).status == 0


CONCURRENT = """
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
"""
INDEXES = (
    'migrations.AddField("T", "x", models.IntegerField(null=True)),'
    ' AddIndexConcurrently("T", models.Index(fields=["x"], name="a_t_x")), RemoveIndexConcurrently("T", "a_t_n")'
)


@pytest.fixture
def indexed(database: Database, project: Project) -> Database:
    """On day 2 one index is made concurrently and another is dropped so."""
    with_index = f'{T}, migrations.AddIndex("T", models.Index(fields=["n"], name="a_t_n"))'
    late = migration(INDEXES, [("a", "0001_t")], before=CONCURRENT, atomic=False)
    project(a={"0001_t": with_index, "0002_indexes": late}, b={"0001_u": migration(U, [("a", "0001_t")])})
    return database


@forks
@pytest.mark.databases("postgresql")
def test_killed_at_each_statement_of_concurrent_indexes(indexed: Database) -> None:
    assert killed_at_each_statement(indexed) > 5


@pytest.mark.databases("postgresql")
def test_an_index_that_was_not_finished_is_made_again(indexed: Database) -> None:
    """A transaction that somebody holds open keeps it from being finished; PostgreSQL then leaves it there, invalid."""

    def valid() -> list[tuple[bool]]:
        with indexed.connection.cursor() as cursor:
            cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('a_t_n')")
            return list(cursor.fetchall())

    deployed(indexed)
    indexed.connection.close()
    options = indexed.connection.settings_dict["OPTIONS"]
    holder = indexed.connection.copy()
    with holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO a_t (n) VALUES ('held')")
        options["options"] = "-c statement_timeout=500"
        said = go(indexed, step_by_step=True)
        del options["options"]
    holder.close()
    assert said.status == 1
    assert "canceling statement due to statement timeout" in said.error
    indexed.connection.close()
    assert valid() == [(False,)]
    said = go(indexed, step_by_step=True)
    assert said.status == 0, said.all
    assert valid() == [(True,)]


@pytest.mark.databases("sqlite", "postgresql")
def test_what_fails_for_another_reason_fails_again(database: Database, project: Project) -> None:
    project(**files(operations="migrations.RunSQL('', 'wrong')", atomic=False))
    deployed(database)
    for _ in range(2):
        said = go(database, step_by_step=True)
        assert said.status == 1
        assert "The statement was: wrong" in said.error


@forks
@pytest.mark.databases("sqlite", "postgresql")
def test_what_is_in_doubt_and_fails_for_another_reason_fails_too(database: Database, project: Project) -> None:
    """Killed in front of each statement, also the wrong one, of which nobody knows then whether it was done."""
    project(**files(operations="migrations.RunSQL('', 'wrong')", atomic=False))
    number, status = 0, -9
    while status == -9:
        number += 1
        deployed(database)
        status = forked(database.alias, number, lambda: go(database, step_by_step=True), changes=True)
        assert "The statement was: wrong" in go(database, step_by_step=True).error
    assert number > 3


@mariadb
@pytest.mark.parametrize(
    "statement",
    ["ALTER TABLE nowhere ADD COLUMN y integer", "ALTER TABLE a_t DROP COLUMN y", "UPDATE nowhere SET n = 1"],
)
def test_what_failed_for_certain_is_not_taken_for_done(database: Database, project: Project, statement: str) -> None:
    """The server has said no; that it says the same again does not mean that the statement was done in between."""
    project(**files(operations=f"migrations.RunSQL('', ['SELECT 1', {statement!r}])"))
    deployed(database)
    for _ in range(3):
        said = go(database, step_by_step=True)
        assert said.status == 1
        assert f"The statement was: {statement}" in said.error


def test_what_was_fixed_meanwhile_is_run_as_it_is_now(database: Database, project: Project) -> None:
    """What is done is not done again; what failed is what the code says now."""
    first, fixed = (f"UPDATE a_t SET n = replace('?{number}', '?', n)" for number in "12")  # which appends it
    project(**files(operations=f"migrations.RunSQL('', [{first!r}, 'wrong', 'SELECT 1'])", atomic=False))
    deployed(database)
    for _ in range(2):
        assert go(database, step_by_step=True).status == 1
    project(**files(operations=f"migrations.RunSQL('', [{fixed!r}])", atomic=False))
    said = go(database, step_by_step=True)
    assert "an earlier run has executed 1 of its statements, and this code has different ones" in said.error
    assert "Restore these statements as they were, change only the later ones, then run the same" in said.error
    project(**files(operations=f"migrations.RunSQL('', [{first!r}, {fixed!r}])", atomic=False))
    assert go(database, step_by_step=True).status == 0
    with database.connection.cursor() as cursor:
        cursor.execute("SELECT n FROM a_t")
        assert [row[0] for row in cursor.fetchall()] == ["one+!?12"]


@forks
@mariadb
def test_a_lock_in_the_way_does_not_settle_what_is_in_doubt(database: Database, project: Project) -> None:
    """Killed in front of each statement; then the next run waits for a table in vain; the third one goes on all the same."""
    project(**files(operations='migrations.AddField("T", "x", models.IntegerField(null=True))'))

    def locked(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("ALTER TABLE"):
            raise OperationalError(1205, "Lock wait timeout exceeded")
        return execute(sql, *args)

    number, status, waited = 0, -9, 0
    while status == -9:
        number += 1
        deployed(database)
        status = forked(database.alias, number, lambda: go(database, step_by_step=True), changes=True)
        with database.connection.execute_wrapper(locked):
            waited += go(database, step_by_step=True).status == 4
        said = go(database, step_by_step=True)
        assert said.status == 0, said.all
        assert keys(database.alias) == [("a", "0001_t"), ("b", "0001_u")]
    assert waited > 3
