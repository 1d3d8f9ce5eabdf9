"""What happens rarely while data is kept or put back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.utils import OperationalError

from rollback_app import workflow
from rollback_app.bookkeeping import Catalogue
from rollback_app.bookkeeping.kept import KeptEntry
from rollback_app.database import get
from rollback_app.errors import DatabaseUnusable
from rollback_app.executor import StepFailed
from rollback_app.kept import AfterMigrate
from rollback_app.safety import KeptKind, KeptState
from tests.kept.test_keep import DAY_2, ask, shop
from tests.kept.test_put_back_rows import ID, N, forward, late, model, whys
from tests.kept.test_unfinished import written
from tests.support.commands import call, roll_back
from tests.support.databases import Database
from tests.support.history import migrate
from tests.support.projects import Project

__all__ = ["shop"]


def test_an_entry_tells_its_number_and_state() -> None:
    assert str(KeptEntry(pk=3, state="kept")) == "3: kept"


@pytest.mark.databases("postgresql")
def test_a_connection_that_is_lost_while_reading(shop: Database) -> None:
    with pytest.raises(DatabaseUnusable, match="cannot be read: terminating connection"), get(shop.alias).reading():
        ask(shop, "SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.databases("sqlite")
def test_a_catalogue_that_cannot_be_written_is_a_warning(shop: Database, caplog: pytest.LogCaptureFixture) -> None:
    Catalogue(get(shop.alias)).add(
        kind=KeptKind.TABLE, table="gone", state=KeptState.COPIED, rows=1, left=1, bytes=9, about="a.0009_gone"
    )
    ask(shop, "CREATE TABLE rollback_kept_1 AS SELECT 1 AS id")
    ask(shop, "PRAGMA query_only = 1")
    try:
        with caplog.at_level(logging.WARNING):
            assert not AfterMigrate().begin(shop.alias, [])
    finally:
        ask(shop, "PRAGMA query_only = 0")
    assert "readonly" in caplog.text


@pytest.mark.databases("mariadb")
def test_a_write_in_the_middle_of_a_copy(shop: Database) -> None:
    when = "CREATE TABLE `rollback_kept_1` AS"
    with written(shop, "INSERT INTO a_n (t_id) VALUES (1)", when=lambda sql: sql.startswith(when)):
        said = roll_back(shop, DAY_2, destroy_data=False)
    assert said.status == 1
    assert "Somebody wrote to a_n while it was copied: 4 rows were copied, and 3 counted" in said.error
    assert Catalogue(get(shop.alias)).entries() == []


@pytest.mark.databases("postgresql")
def test_a_connection_that_is_lost_while_rows_go_back_one_by_one(
    shop: Database, caplog: pytest.LogCaptureFixture
) -> None:
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    workflow.roll_back([preview])
    ask(shop, "DELETE FROM a_t WHERE id = 1")

    def lost(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if "BETWEEN" in sql:
            raise OperationalError("the connection is lost")
        return execute(sql, params, many, context)

    with shop.connection.execute_wrapper(lost), caplog.at_level(logging.WARNING):
        migrate(shop.alias)
    assert "the connection is lost" in caplog.text
    table, _ = reversed(Catalogue(get(shop.alias)).entries())
    assert (table.state, table.left) == (KeptState.KEPT, 3)
    assert workflow.put_back(shop.alias)[0].left == 1


@pytest.mark.databases("sqlite")
def test_a_column_that_somebody_has_dropped_is_not_kept(shop: Database) -> None:
    ask(shop, "ALTER TABLE a_t DROP COLUMN x")
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[shop.alias], count=False)
    with pytest.raises(StepFailed):
        workflow.roll_back([preview])
    assert Catalogue(get(shop.alias)).entries() == []


def test_a_column_that_is_not_made_again_and_held_nothing(database: Database, project: Project) -> None:
    late(database, project, N, rows=("INSERT INTO a_n (id, x) VALUES (1, NULL)",))
    forward(database, project, model("N", ID))
    assert [state for _, state, _ in whys(database)] == [KeptState.PUT_BACK]


@pytest.mark.databases("postgresql", "mariadb")
def test_fewer_digits_than_before(database: Database, project: Project) -> None:
    price = '("price", models.DecimalField(max_digits=9, decimal_places={}, null=True))'
    late(
        database,
        project,
        model("N", ID, price.format(2)),
        rows=("INSERT INTO a_n (id, price) VALUES (1, 1.25), (2, 1.50)",),
    )
    forward(database, project, model("N", ID, price.format(1)))
    assert [(number, str(value)) for number, value in ask(database, "SELECT id, price FROM a_n")] == [(2, "1.5")]  # type: ignore[misc]
    assert [state for _, state, _ in whys(database)] == [KeptState.PARTLY]


@pytest.mark.databases("sqlite")
def test_a_size_in_the_settings_that_is_none(shop: Database, settings: Any) -> None:
    settings.ROLLBACK = {"KEEP_AT_MOST": "much", "HOLD": False}
    said = roll_back(shop, DAY_2)
    assert said.status == 2
    assert "ROLLBACK['KEEP_AT_MOST'] is wrong: 'much' is not a size." in said.error
    settings.ROLLBACK = {"HOLD": False}
    assert "--keep-at-most is wrong: '1' is not a size." in roll_back(shop, DAY_2, keep_at_most="1").error


@pytest.fixture
def hidden(shop: Database) -> Iterator[Database]:
    """Its user owns the tables, and sees only some of their rows."""
    settings = shop.connection.settings_dict
    owner = {name: settings[name] for name in ("USER", "PASSWORD")}
    give = [
        "CREATE ROLE sees_few LOGIN PASSWORD 'few'",
        "GRANT ALL ON SCHEMA public TO sees_few",
        *(f"ALTER TABLE {table} OWNER TO sees_few" for table in ("a_n", "a_t", "django_migrations")),
        "ALTER TABLE a_n ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE a_n FORCE ROW LEVEL SECURITY",
        "CREATE POLICY few ON a_n USING (id > 2)",
    ]
    for statement in give:
        ask(shop, statement)
    shop.connection.close()
    settings.update(USER="sees_few", PASSWORD="few")
    yield shop
    shop.connection.close()
    settings.update(owner)
    for statement in (f"REASSIGN OWNED BY sees_few TO {owner['USER']}", "DROP OWNED BY sees_few", "DROP ROLE sees_few"):
        ask(shop, statement)


@pytest.mark.databases("postgresql")
def test_rows_that_are_hidden_are_not_taken_for_none(hidden: Database) -> None:
    assert len(ask(hidden, "SELECT * FROM a_n")) == 1
    said = roll_back(hidden, DAY_2, destroy_data=False)
    assert said.status == 1
    assert 'query would be affected by row-level security policy for table "a_n"' in said.error
    assert said.error.endswith("Run it as one that sees all of them, as with BYPASSRLS.")

    blind = roll_back(hidden, DAY_2, destroy_data=False, count=False)
    assert blind.status == 1
    assert "keeping what would be lost" in blind.error
    assert 'row-level security policy for table "a_n"' in blind.error
    assert "Nothing was changed" in blind.error
    assert ask(hidden, "SELECT current_setting('row_security')") == [("on",)]
    assert Catalogue(get(hidden.alias)).entries() == []


@pytest.mark.databases("sqlite")
def test_where_migrate_puts_nothing_back_nothing_says_so(shop: Database, settings: Any) -> None:
    settings.ROLLBACK = {"PUT_BACK": False, "HOLD": False}
    said = roll_back(shop, DAY_2, destroy_data=False)
    assert said.out.endswith("To put it back:\n  python manage.py putback 1 2\n")
    assert "The next migrate" not in said.out
    shown = call("showkept", database=shop.alias).out
    assert "Only `putback 1` puts it back." in shown
    assert "The next migrate" not in shown


@pytest.mark.databases("postgresql")
def test_values_that_come_after_the_plan_into_a_table_without_a_key(shop: Database) -> None:
    for statement in ("ALTER TABLE a_t DROP CONSTRAINT a_t_pkey CASCADE", "UPDATE a_t SET x = NULL"):
        ask(shop, statement)
    (preview,) = workflow.preview(DAY_2.isoformat(), using=[shop.alias])
    assert not any(finding.id == "rollback.W001" for finding in preview.findings)
    ask(shop, "UPDATE a_t SET x = 7")
    with pytest.raises(StepFailed, match=r"a_t\.x has got values meanwhile, and cannot be kept without a primary key"):
        workflow.roll_back([preview])
    assert ask(shop, "SELECT id, x FROM a_t ORDER BY id") == [(1, 7), (2, 7)]
    assert Catalogue(get(shop.alias)).entries() == []
