"""What the members of a fleet share, and what is given back after many."""

from __future__ import annotations

import gc
import pickle
import weakref
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.operations import RunSQL

from rollback_app.fleets import Orders, places
from rollback_app.fleets.survey import look
from rollback_app.history import Member
from rollback_app.workflow import Once
from tests.support.databases import Database
from tests.support.history import deploy
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
MADE = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
LATE = 'migrations.AddField("T", "y", models.IntegerField(null=True))'
ORDERS = Orders(DAY_2.isoformat(), "UTC")


def deployed(database: Database, project: Project) -> Member:
    project(a={"0001_t": migration(MADE)})
    deploy(database.alias, DAY_1)
    project(a={"0001_t": migration(MADE), "0002_y": LATE})
    deploy(database.alias, DAY_2)
    return Member("one", database.alias)


def test_code_and_states_are_made_once(database: Database, project: Project) -> None:
    member, once = deployed(database, project), Once()
    first, second = (look(member, None, ORDERS, once).plan for _ in range(2))
    assert first.states() is second.states()
    assert first.steps[0].migration is second.steps[0].migration
    assert look(member, None, ORDERS, pickle.loads(pickle.dumps(once))).plan.states() is not first.states()
    # Another moment undoes other migrations of the same code.
    other = look(member, None, Orders(DAY_1.isoformat(), "UTC"), once).plan
    assert [step.key.name for step in other.steps] == ["0002_y", "0001_t"]
    assert [migration.name for migration, _ in other.states().backwards()] == ["0002_y", "0001_t"]
    assert [migration.name for migration, _ in second.states().backwards()] == ["0002_y"]


def test_they_are_made_anew_after_a_receiver_has_added_an_operation(database: Database, project: Project) -> None:
    member, once = deployed(database, project), Once()
    first = look(member, None, ORDERS, once).plan
    changed: Any = first.steps[0].migration
    changed.operations.append(RunSQL("SELECT 1", "SELECT 1"))
    second = look(member, None, ORDERS, once).plan
    assert second.steps[0].migration is not first.steps[0].migration
    assert [len(undos) for _, undos in second.states().backwards()] == [1]


@pytest.mark.parametrize("operations", [[], [RunSQL("SELECT 1")]])
def test_states_whose_migrations_have_changed_are_not_given_again(operations: list[Any], project: Project) -> None:
    project(a={"0001_t": migration(MADE)})
    once = Once()
    undone: list[Any] = [migration for key, migration in once.code().migrations.items() if key.app == "a"]
    first = once.states([], undone, [])
    undone[0].operations += operations
    assert (once.states([], undone, []) is first) is (not operations)
    assert once.states(undone, [], []) is not first


def test_after_many_visits_memory_is_given_back(database: Database) -> None:
    class Ring:
        me: Ring

    ring = Ring()
    ring.me = ring
    lost = weakref.ref(ring)
    del ring
    gc.disable()
    try:
        for _ in range(places.MANY):
            with places.place_of(Member("one", database.alias)):
                database.connection.ensure_connection()
    finally:
        gc.enable()
    assert lost() is None


def test_no_connection_to_a_database_is_left_open(database: Database) -> None:
    with places.place_of(Member("one", database.alias)):
        connections[database.alias].ensure_connection()
    is_kept = database.alias == "default"
    assert (connections[database.alias].connection is not None) is is_kept
