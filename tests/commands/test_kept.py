"""The commands about kept data: what they say, to the letter, and how they end."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import pytest

from rollback_app.bookkeeping import Catalogue, table_of
from rollback_app.database import get
from rollback_app.history import Key
from rollback_app.safety import KeptKind, KeptState
from tests.support.commands import Said, call, roll_back
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.projects import Project
from tests.support.schema import everything

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
EARLY = 'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True))])'
LATE = (
    'migrations.AddField("T", "x", models.IntegerField(null=True)),'
    'migrations.CreateModel("N", [("id", models.AutoField(primary_key=True)), ("t", models.ForeignKey("a.T", models.CASCADE))]),'
)


def execute(database: Database, sql: str) -> None:
    with database.connection.cursor() as cursor:
        cursor.execute(sql)


def tables(database: Database) -> list[str]:
    with database.connection.cursor() as cursor:
        names = database.connection.introspection.table_names(cursor)
    return sorted(name for name in names if name.startswith("rollback_kept_"))


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """Rolled back once: table a_n is kept as 1, column a_t.x as 2."""
    project(a={"0001_early": EARLY, "0002_late": LATE})
    deploy(database.alias, DAY_1, [Key("a", "0001_early")])
    execute(database, "INSERT INTO a_t (id) VALUES (1), (2)")
    deploy(database.alias, DAY_2, [Key("a", "0002_late")])
    execute(database, "UPDATE a_t SET x = 7 WHERE id = 2")
    execute(database, "INSERT INTO a_n (t_id) VALUES (1), (2), (2)")
    assert roll_back(database, DAY_2, destroy_data=False).status == 0
    return database


def show(database: Database, *words: str, **options: object) -> Said:
    return call("showkept", *words, database=database.alias, **options)


def drop(database: Database, *words: str, **options: object) -> Said:
    return call("dropkept", *words, **{"database": database.alias, "interactive": False, **options})


def here(database: Database) -> str:
    return "" if database.alias == "default" else f" --database {database.alias}"


def plain(said: Said) -> list[str]:
    """Its lines, without what differs from run to run."""
    text = re.sub(r", [0-9.]+ k?B$", "", said.out, flags=re.MULTILINE)
    text = re.sub(r"kept \d+ s ago, on \S+ \S+ UTC", "kept …", text)
    return text.splitlines()[1:]


def test_nothing_is_kept(database: Database, project: Project) -> None:
    project(a={"0001_early": EARLY})
    deploy(database.alias, DAY_1)
    before = everything(database.connection, exclude=())
    said = show(database)
    assert said.status == 0
    assert said.out.splitlines()[0].startswith(f"Database {database.alias}: ")
    assert said.out.splitlines()[1:] == ["Nothing is kept here."]
    assert drop(database, all=True).out == "There is nothing to drop.\n"
    assert everything(database.connection, exclude=()) == before


def test_what_is_kept(shop: Database) -> None:
    said = show(shop)
    assert plain(said) == [
        "",
        "2. column a_t.x: 1 row kept",
        "   kept …, by rollback 1",
        "   The next migrate that makes it again puts this back.",
        "",
        "1. table a_n: 3 rows kept",
        "   kept …, by rollback 1",
        "   The next migrate that makes it again puts this back.",
    ]
    assert max(map(len, said.out.splitlines()[1:])) <= 80


def test_one_of_them_in_full(shop: Database) -> None:
    before = everything(shop.connection, exclude=())
    key = Catalogue(get(shop.alias)).entries()[0].columns
    assert [name for name, _ in key] == ["id", "x"]
    assert plain(show(shop, "2")) == [
        "",
        "2. column a_t.x: 1 row kept",
        "   kept …, by rollback 1",
        "   The next migrate that makes it again puts this back.",
        f"   columns  id ({key[0][1]}), x ({key[1][1]})",
        "   key      id",
        "   to look at the rows:",
        "     SELECT * FROM rollback_kept_2;",
        "   to put it back now:",
        f"     python manage.py putback 2{here(shop)}",
        "   to drop it for good:",
        f"     python manage.py dropkept 2{here(shop)}",
    ]
    assert everything(shop.connection, exclude=()) == before


def test_for_a_program(shop: Database) -> None:
    data = show(shop, format="json").json
    column, table = Catalogue(get(shop.alias)).entries()
    assert data == {
        "schema": 1,
        "database": shop.alias,
        "kept": [
            {
                "number": 2,
                "run": 1,
                "kind": "column",
                "source": "a_t.x",
                "columns": ["id", "x"],
                "key": ["id"],
                "rows": 1,
                "bytes": column.bytes,
                "made": column.made.isoformat(),
                "state": "kept",
                "left": 1,
                "why": [],
                "by": "rollback",
            },
            {
                "number": 1,
                "run": 1,
                "kind": "table",
                "source": "a_n",
                "columns": ["id", "t_id"],
                "key": ["id"],
                "rows": 3,
                "bytes": table.bytes,
                "made": table.made.isoformat(),
                "state": "kept",
                "left": 3,
                "why": [],
                "by": "rollback",
            },
        ],
        "without_entry": [],
    }
    assert [each["number"] for each in show(shop, "1", format="json").json["kept"]] == [1]


def test_states(shop: Database) -> None:
    catalogue = Catalogue(get(shop.alias))
    catalogue.change(
        2, state=KeptState.PARTLY, left=1, rows=2500, why=[(1, "there is no row with its key")], tried=True
    )
    catalogue.change(1, state=KeptState.PUT_BACK, left=0)
    assert plain(show(shop)) == [
        "",
        "2. column a_t.x: 1 of 2 500 rows still kept",
        "   kept …, by rollback 1",
        "   1 row: there is no row with its key",
        "   Only `putback 2` puts it back.",
        "",
        "1. table a_n: 3 rows put back",
        "   kept …, by rollback 1",
    ]
    assert plain(show(shop, "1")) == ["", "1. table a_n: 3 rows put back", "   kept …, by rollback 1"]
    (found,) = show(shop, "2", format="json").json["kept"]
    assert (found["state"], found["why"]) == ("partly", [{"rows": 1, "reason": "there is no row with its key"}])


def test_a_copy_of_a_run_that_broke_off(shop: Database) -> None:
    """It counts as kept once its source is gone."""
    catalogue = Catalogue(get(shop.alias))
    for number in (1, 2):
        catalogue.change(number, state=KeptState.COPIED)
    assert [each["state"] for each in show(shop, format="json").json["kept"]] == ["kept", "kept"]
    execute(shop, "CREATE TABLE a_n (id integer)")
    execute(shop, "ALTER TABLE a_t ADD COLUMN x integer")
    assert [each["state"] for each in show(shop, format="json").json["kept"]] == ["copied", "copied"]
    assert plain(show(shop))[1:4] == [
        "2. column a_t.x: 1 row copied",
        "   kept …, by rollback 1",
        "   The rollback that made this copy broke off, or is still under way.",
    ]


def test_dropped(shop: Database) -> None:
    said = drop(shop, "2", "2")
    assert (said.status, said.out) == (0, "Dropped 1 copy.\n")
    assert tables(shop) == [table_of(1)]
    assert [each["state"] for each in show(shop, format="json").json["kept"]] == ["dropped", "kept"]
    assert "2. column a_t.x: 1 row dropped\n" in show(shop).out
    assert drop(shop, "2").out == "There is nothing to drop.\n"
    assert drop(shop, "1", "2", format="json").json == {"schema": 1, "database": shop.alias, "dropped": [1]}
    assert tables(shop) == []


def test_what_is_older_is_dropped(shop: Database) -> None:
    old = (datetime.now(timezone.utc) - timedelta(days=10, hours=1)).isoformat()
    execute(shop, f"UPDATE rollback_app_kept SET made = '{old}' WHERE id = 1")
    for days in ("11", "999999999"):
        assert drop(shop, "--older-than", days).out == "There is nothing to drop.\n"
    assert drop(shop, "--older-than", "10").out == "Dropped 1 copy.\n"
    assert tables(shop) == [table_of(2)]
    assert "1. table a_n: 3 rows dropped\n   kept 10 days 1 h ago" in show(shop).out


def test_all_of_them_are_dropped(shop: Database) -> None:
    assert drop(shop, all=True).out == "Dropped 2 copies.\n"
    assert tables(shop) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("YES\n", 0), ("n\n", 3), ("\n", 3), ("", 3)])
def test_it_asks(
    shop: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, status: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    said = drop(shop, "1", interactive=True)
    assert said.status == status
    shown = capsys.readouterr()
    assert "1. table a_n: 3 rows kept" in shown.err
    assert shown.out == "Drop this for good? [y/N] "
    assert tables(shop) == [table_of(number) for number in ([2] if status == 0 else [1, 2])]
    if status:
        assert said.error == "Cancelled. Nothing was dropped.\nRun the same command again to go on."


def test_where_nobody_can_be_asked_it_needs_consent(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    said = drop(shop, "1", interactive=True)
    assert said.status == 3
    assert said.error == (
        "What is kept is dropped for good, and nobody can be asked here. Nothing was dropped.\n"
        "Add --no-input to drop it without a question."
    )
    assert tables(shop) == [table_of(1), table_of(2)]


# What somebody did by hand


def test_a_table_that_somebody_dropped(shop: Database) -> None:
    execute(shop, "DROP TABLE rollback_kept_1")
    assert plain(show(shop, "1")) == [
        "",
        "1. table a_n: 3 rows dropped",
        "   kept …, by rollback 1",
        "   Its table rollback_kept_1 is gone: somebody dropped it.",
    ]
    (found,) = show(shop, "1", format="json").json["kept"]
    assert (found["state"], found["left"]) == ("dropped", 0)
    assert drop(shop, all=True).out == "Dropped 2 copies.\n"
    assert "is gone" not in show(shop, "1").out


def test_a_table_without_an_entry(shop: Database) -> None:
    execute(shop, "CREATE TABLE rollback_kept_7 (id integer)")
    execute(shop, "CREATE TABLE rollback_kept_x (id integer)")
    execute(shop, "DELETE FROM rollback_app_kept")
    assert plain(show(shop))[8:] == [
        "",
        "7. table rollback_kept_7, of which the catalogue knows nothing",
        "   to drop it for good:",
        f"     python manage.py dropkept 7{here(shop)}",
    ]
    assert show(shop, format="json").json["without_entry"] == [1, 2, 7]
    assert drop(shop, "7").out == "Dropped 1 copy.\n"
    assert drop(shop, "--older-than", "0").out == "There is nothing to drop.\n"
    assert drop(shop, all=True).out == "Dropped 2 copies.\n"
    assert tables(shop) == ["rollback_kept_x"]


def test_tables_without_a_catalogue(shop: Database, project: Project) -> None:
    """Their numbers are not used again while they are there."""
    execute(shop, "DROP TABLE rollback_app_kept")
    assert show(shop, format="json").json["without_entry"] == [1, 2]
    deploy(shop.alias, DAY_2)
    execute(shop, "INSERT INTO a_n (t_id) VALUES (1)")
    assert roll_back(shop, DAY_2, destroy_data=False).status == 0
    assert [each["number"] for each in show(shop, format="json").json["kept"]] == [3]
    assert tables(shop) == [table_of(number) for number in (1, 2, 3)]


@pytest.mark.parametrize("command", ["showkept", "dropkept"])
def test_a_catalogue_of_another_shape(shop: Database, command: str, capfd: pytest.CaptureFixture[str]) -> None:
    execute(shop, "DROP TABLE rollback_app_kept")
    execute(shop, "CREATE TABLE rollback_app_kept (id integer)")
    capfd.readouterr()
    said = call(command, "1", database=shop.alias)
    assert said.status == 1
    assert said.error.startswith(f"The catalogue of kept data, rollback_app_kept, of {shop.alias}: ")
    assert "cannot be read: it has another shape: there is no column kind\n" in said.error
    assert capfd.readouterr().err == ""


def test_a_catalogue_of_strange_values(shop: Database) -> None:
    execute(shop, "UPDATE rollback_app_kept SET made = 'long ago' WHERE id = 1")
    assert show(shop).status == 1


# putback


def put_back(database: Database, *words: str, **options: object) -> Said:
    return call("putback", *words, **{"database": database.alias, **options})


def test_what_cannot_be_put_back_stays(shop: Database) -> None:
    """Nobody has made the table again."""
    said = put_back(shop, "1")
    assert said.status == 3
    assert said.out.startswith("1. table a_n: 3 rows kept")
    assert said.error.startswith("3 rows could not be put back and are still kept.\n`showkept 1")
    data = put_back(shop, "1", format="json").json
    assert [(each["number"], each["left"]) for each in data["kept"]] == [(1, 3)]
    assert (data["schema"], data["outcome"], data["error"]["status"]) == (1, "refused", 3)
    assert tables(shop) == [table_of(1), table_of(2)]


def test_what_is_put_back_already(shop: Database) -> None:
    for number in (1, 2):
        Catalogue(get(shop.alias)).change(number, state=KeptState.PUT_BACK, left=0)
    said = put_back(shop, "1")
    assert (said.status, said.out) == (0, "1. table a_n: 3 rows put back\n")
    said = put_back(shop, all=True)
    assert (said.status, said.out) == (0, "There is nothing to put back.\n")
    assert put_back(shop, "2", format="json").json["kept"][0]["state"] == "put back"


def test_what_cannot_be_put_back_at_all(shop: Database) -> None:
    execute(shop, "CREATE TABLE rollback_kept_7 (id integer)")
    said = put_back(shop, "7")
    assert said.status == 2
    assert said.error == (
        "The catalogue knows nothing of table rollback_kept_7, so nobody knows where its rows belong.\n"
        "Copy them by SQL of your own, or drop them: python manage.py dropkept 7"
        f"{here(shop)}"
    )
    execute(shop, "DROP TABLE rollback_kept_1")
    said = put_back(shop, "1")
    assert said.status == 2
    assert said.error.startswith("Nothing is left of 1, a_n: somebody dropped its table rollback_kept_1.\n")
    drop(shop, "2")
    said = put_back(shop, "1", "2")
    assert said.status == 2
    assert said.error.startswith("Nothing is left of 2, a_t.x: it was dropped.\n")
    assert put_back(shop, all=True).out == "There is nothing to put back.\n"


def test_a_copy_of_what_is_still_there_is_not_put_back(shop: Database) -> None:
    Catalogue(get(shop.alias)).change(2, state=KeptState.COPIED)
    Catalogue(get(shop.alias)).change(1, state=KeptState.DROPPED)
    execute(shop, "ALTER TABLE a_t ADD COLUMN x integer")
    said = put_back(shop, "2")
    assert said.status == 3
    assert said.error == (
        "2 is a copy of a_t.x, which is still there: the rollback broke off before it dropped that.\n"
        "Finish that rollback first: run the same command again. Or drop the copy: python manage.py dropkept 2"
        f"{here(shop)}"
    )
    assert put_back(shop, all=True).out == "There is nothing to put back.\n"


@pytest.mark.parametrize(("answer", "question"), [("n\n", True), ("y\n", True), ("y\n", False)])
def test_to_overwrite_it_asks(
    shop: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, question: bool
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    said = put_back(shop, "1", overwrite=True, interactive=question)
    assert capsys.readouterr().out == ("Overwrite what these rows hold meanwhile? [y/N] " if question else "")
    assert said.status == 3
    assert ("Cancelled. Nothing was changed." in said.error) == (answer == "n\n")


# The rights of the user


def test_a_user_who_may_not_drop(shop: Database, few_rights: Callable[[], None]) -> None:
    few_rights()
    before = tables(shop)
    assert show(shop).status == 0
    said = drop(shop, "1")
    assert said.status == 1
    assert said.error.startswith(f"{shop.alias}: ")
    assert " cannot be written to: " in said.error
    assert tables(shop) == before


@pytest.fixture
def few_rights(shop: Database) -> Iterator[Callable[[], None]]:
    """Lets the user of the database look at everything from then on, and write nothing."""
    settings = shop.connection.settings_dict
    before = dict(settings)
    name, user, password = settings["NAME"], "few_rights_kept", "few"
    give, take = {
        "postgresql": (
            f"""CREATE ROLE {user} LOGIN PASSWORD '{password}'; GRANT USAGE ON SCHEMA public TO {user};
            GRANT ALL ON django_migrations TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}""",
            f"DROP OWNED BY {user}; DROP ROLE {user}",
        ),
        "mariadb": (f"GRANT SELECT ON {name}.* TO {user} IDENTIFIED BY '{password}'", f"DROP USER {user}"),
        "sqlite": ("", ""),
    }[shop.vendor]

    def begin() -> None:
        if shop.vendor == "sqlite":
            settings["NAME"] = f"file:{name}?mode=ro"
            settings["OPTIONS"] = {**settings["OPTIONS"], "uri": True}
        else:
            execute(shop, give)
            settings.update(USER=user, PASSWORD=password)
        shop.connection.close()

    yield begin
    shop.connection.close()
    settings.update(before)
    if take:
        execute(shop, take)


# Others who are at work


@pytest.mark.parametrize("command", ["dropkept", "putback"])
def test_a_rollback_is_under_way(shop: Database, command: str) -> None:
    other = shop.connection.copy()
    lock = {
        "postgresql": "LOCK TABLE django_migrations",
        "mariadb": f"SELECT GET_LOCK('rollback_app.{shop.connection.settings_dict['NAME']}', 0)",
        "sqlite": "DELETE FROM django_migrations WHERE 0",
    }[shop.vendor]
    before = tables(shop)
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(lock)
            said = call(command, "1", database=shop.alias, interactive=False)
    finally:
        other.close()
    if command == "dropkept" or shop.vendor != "sqlite":  # where readers go on
        assert said.status == 4
        assert f" is working on {shop.alias}" in said.error or f" is running on {shop.alias}" in said.error
    assert tables(shop) == before


@pytest.mark.databases("postgresql", "mariadb")
def test_somebody_reads_what_is_to_be_dropped(shop: Database) -> None:
    other = shop.connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT * FROM rollback_kept_1")
            said = drop(shop, "1")
    finally:
        other.close()
    assert said.status == 4
    assert said.error.startswith(f"Somebody else is working on {shop.alias}")
    assert said.error.endswith("Nothing was changed. Wait until they are done and run the same command again.")
    assert tables(shop) == [table_of(1), table_of(2)]


# Definitions


def test_a_definition(shop: Database) -> None:
    catalogue = Catalogue(get(shop.alias))
    for number in (1, 2):
        catalogue.change(number, state=KeptState.PUT_BACK, left=0)
    definition = "CREATE VIEW v AS\nSELEC 1"
    catalogue.add(run=1, kind=KeptKind.OBJECT, table="a_n", name="view v", definition=definition, state=KeptState.KEPT)
    assert plain(show(shop, "3")) == [
        "",
        "3. definition view v: kept",
        "   kept …, by rollback 1",
        "   The next migrate that makes it again puts this back.",
        "   its definition:",
        "     CREATE VIEW v AS",
        "     SELEC 1",
        "   to put it back now:",
        f"     python manage.py putback 3{here(shop)}",
        "   to drop it for good:",
        f"     python manage.py dropkept 3{here(shop)}",
    ]
    said = put_back(shop, "3")  # which no server understands
    assert said.status == 3
    assert said.error.startswith("1 definition could not be put back and is still kept.\n")
    assert drop(shop, "3").out == "Dropped 1 copy.\n"
    assert "3. definition view v: dropped" in show(shop).out
