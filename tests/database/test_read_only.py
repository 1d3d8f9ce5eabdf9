"""A database that cannot be written to is known before the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import DatabaseError, connections

from rollback_app import database as databases
from rollback_app import workflow
from rollback_app.errors import RollbackError
from tests.database.test_in_the_way import DAY_2, deploy, execute, found
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.projects import Project

NOBODY = 65534
CAN_BE_UNDONE = 'migrations.CreateModel("T", [("id", models.AutoField(primary_key=True))])'


def refused(database: Database) -> str:
    (finding,) = [finding for finding in found(database) if finding.id == "rollback.E017"]
    assert roll_back(database, DAY_2).status == 3
    return finding.text.removeprefix("Nothing can be written to this database. ")


@pytest.fixture
def deployed(database: Database, project: Project) -> Database:
    project(a={"0001_t": CAN_BE_UNDONE})
    deploy(database.alias, DAY_2)
    return database


@pytest.mark.databases("postgresql")
def test_a_user_who_only_reads(deployed: Database, database: Database) -> None:
    execute(database, "SET default_transaction_read_only = on")
    assert refused(database).startswith("default_transaction_read_only is on for ")
    execute(database, "SET default_transaction_read_only = off")
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("mariadb")
def test_a_server_that_is_set_to_read_only(
    deployed: Database, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, user = database.connection, f"{database.connection.settings_dict['NAME']}_reader"
    execute(database, "SET GLOBAL read_only = 1")
    try:
        assert not [
            finding for finding in found(database) if finding.id == "rollback.E017"
        ]  # an administrator may write
        execute(database, f"CREATE USER {user}")
        execute(database, f"GRANT ALL ON {connection.settings_dict['NAME']}.* TO {user}")
        connection.close()
        with monkeypatch.context() as as_user:
            as_user.setitem(connection.settings_dict, "USER", user)
            as_user.setitem(connection.settings_dict, "PASSWORD", "")
            assert refused(database) == "read_only is on."
            connection.close()
    finally:
        execute(database, "SET GLOBAL read_only = 0")
        execute(database, f"DROP USER {user}")
    execute(database, "SET SESSION TRANSACTION READ ONLY")
    assert refused(database) in ("tx_read_only is on.", "transaction_read_only is on.")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, who may write to everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_file_that_may_not_be_written_to(deployed: Database, database: Database, which: str) -> None:
    file = Path(database.connection.settings_dict["NAME"])
    place, mode = (file, 0o644) if which == "file" else (file.parent, 0o755)
    file.chmod(0o666)
    place.chmod(0o555)
    try:
        with as_nobody():
            assert databases.get(database.alias).read_only() == f"{place} is read-only for this user."
    finally:
        place.chmod(mode)
    assert roll_back(database, DAY_2).status == 0


@pytest.mark.databases("sqlite")
def test_a_connection_that_only_reads(deployed: Database, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(database, "PRAGMA query_only = on")
    assert refused(database) == "PRAGMA query_only is on."
    connection = connections[database.alias]
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "NAME", f"file:{connection.settings_dict['NAME']}?mode=ro")
    assert refused(database) == "It was opened with mode=ro or immutable=1."
    preview = workflow.preview(DAY_2.isoformat(), using=[database.alias], count=False)
    with pytest.raises((RollbackError, DatabaseError)):
        workflow.roll_back(preview, destroy_data=True)
    connection.close()


def test_nothing_to_do_needs_nothing(deployed: Database, database: Database) -> None:
    assert not [finding for finding in found(database) if finding.id == "rollback.E017"]
