"""The signals of a run, for pagers and chats."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from django.dispatch import Signal

from rollback_app import signals, workflow
from rollback_app.errors import RollbackError
from rollback_app.executor import Progress
from rollback_app.signals import Rollback
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project, migration

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))])'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
NAMES = ("rollback_started", "rollback_finished", "rollback_failed")


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What was sent: (name of the signal, its arguments)."""
    found: list[tuple[str, dict[str, Any]]] = []
    kept = []
    for name in NAMES:

        def hear(sender: Any, signal: Signal, name: str = name, **named: Any) -> None:
            found.append((name, named))

        getattr(signals, name).connect(hear)
        kept.append((getattr(signals, name), hear))
    yield found
    for signal, receiver in kept:
        signal.disconnect(receiver)


def shop(database: Database, project: Project) -> None:
    project(a={"0001_t": T, "0002_x": X})
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)


def test_a_run_tells_that_it_begins_and_ends(
    database: Database, project: Project, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    shop(database, project)
    roll_back(database, DAY_2, plan=True)
    if database.vendor != "mariadb":
        roll_back(database, DAY_2, rehearse=True)
    assert heard == []
    roll_back(database, DAY_2, reason="Checkout fails")
    (started, first), (finished, second) = heard
    assert (started, finished) == NAMES[:2]
    rollback = first["rollback"]
    assert isinstance(rollback, Rollback)
    assert (rollback.alias, rollback.migrations, rollback.reason) == (database.alias, ("a.0002_x",), "Checkout fails")
    assert rollback.command.startswith("python manage.py rollbackmigrationsafter ")
    assert second["rollback"] == rollback
    assert second["seconds"] > 0
    roll_back(database, DAY_2)  # nothing to do
    workflow.roll_back(workflow.preview(DAY_2.isoformat(), using=[database.alias]))
    assert len(heard) == 2


def test_each_of_several_databases(
    database: Database, other_database: Database, project: Project, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    shop(database, project)
    shop(other_database, project)
    aliases = [database.alias, other_database.alias]
    roll_back(database, DAY_2, database=aliases)
    assert [(name, named["rollback"].alias) for name, named in heard] == [
        (name, alias) for alias in aliases for name in NAMES[:2]
    ]


def test_a_failure(database: Database, project: Project, heard: list[tuple[str, dict[str, Any]]]) -> None:
    shop(database, project)
    code = "def fail(apps, schema_editor):\n    raise ValueError('on purpose')\n"
    fails = migration("migrations.RunPython(migrations.RunPython.noop, fail)", [("a", "0001_t")], before=code)
    project(a={"0001_t": T, "0002_x": fails})
    assert roll_back(database, DAY_2).status == 1
    assert [name for name, _ in heard] == ["rollback_started", "rollback_failed"]
    error = heard[1][1]["error"]
    assert isinstance(error, RollbackError)
    assert "on purpose" in error.message


def test_a_receiver_that_raises_is_a_warning(database: Database, project: Project) -> None:
    shop(database, project)
    warnings: list[str] = []

    class Warned(Progress):
        def warned(self, text: str) -> None:
            warnings.append(text)

    def breaks(**named: Any) -> None:
        raise ValueError("no chat")

    signals.rollback_started.connect(breaks)
    try:
        workflow.roll_back(
            workflow.preview(DAY_2.isoformat(), using=[database.alias]), destroy_data=True, progress=Warned()
        )
    finally:
        signals.rollback_started.disconnect(breaks)
    assert keys(database.alias) == [("a", "0001_t")]
    (warning,) = warnings
    assert "breaks, a receiver of a signal of rollback_app, failed: ValueError: no chat. The run goes on." in warning
