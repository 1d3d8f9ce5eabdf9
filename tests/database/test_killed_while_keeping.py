"""A run that keeps data and is killed, and the same command again."""

from __future__ import annotations

import pytest

from tests.kept.test_unfinished import TAKES, WHOLE, filled, go, rows, with_code
from tests.support.databases import Database, empty, wait_until_alone
from tests.support.kept import besides, open_copies
from tests.support.killed import forked
from tests.support.projects import Project


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_killed_at_each_statement(database: Database, project: Project) -> None:
    """The same command again ends well, and what was there before the run is kept, once. Where it was killed right behind the
    code of the run, what that has left is kept besides."""
    project(a=with_code(TAKES))

    def afresh() -> None:
        empty(database)
        filled(database)

    afresh()
    assert go(database).status == 0
    undisturbed = besides(database)
    number, besides_kept, status = 0, 0, -9
    while status == -9:
        number += 1
        afresh()
        status = forked(database.alias, number, lambda: go(database), changes=True)
        wait_until_alone(database)
        said = go(database)
        assert said.status == 0, said.all
        assert besides(database) == undisturbed, number
        found = open_copies(database)
        assert {entry.source: rows(database, entry) for entry in found if entry.put_back} == WHOLE, number
        assert len([entry for entry in found if entry.put_back]) == 2, number
        besides_kept += any(not entry.put_back for entry in found)
    assert number > 20
    assert besides_kept <= 6 if database.vendor == "mariadb" else not besides_kept
