"""Fixtures of the whole suite. Databases come from here and not from pytest-django: ours start without tables."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.conf import settings as django_settings
from django.db import connections
from pytest_django import DjangoDbBlocker

from tests.support import browser as browsers
from tests.support.browser import Browser
from tests.support.databases import ALIASES, OTHER_ALIASES, Database, empty
from tests.support.projects import Project

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings


def pytest_configure(config: pytest.Config) -> None:
    # A shell has what it starts in the background ignore Ctrl-C, and all that this starts: but tests are about that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "browser: drives Chromium, if TEST_BROWSER is not empty")
    config.addinivalue_line(
        "markers", "databases(*names): run on these only, of sqlite, postgresql, mariadb, pgbouncer and redis"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("database", marker.args if marker else tuple(ALIASES), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, rather than skip, what belongs to a database, or a browser, that this run is not about (TEST_DATABASES,
    TEST_BROWSER)."""
    out = [item for item in items if not _wanted(item)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def _wanted(item: pytest.Item) -> bool:
    if item.get_closest_marker("browser") and not django_settings.TEST_BROWSER:
        return False
    marker = item.get_closest_marker("databases")
    if isinstance(item, pytest.Function) and "database" in item.fixturenames:
        names = [item.callspec.params["database"]]
    elif marker:
        names = list(marker.args)
    else:
        return True
    return any(name in django_settings.TEST_DATABASES for name in names)


def _emptied(database: Database, blocker: DjangoDbBlocker) -> Iterator[Database]:
    with blocker.unblock():
        empty(database)
        yield database
        # The default connection too: a model used without an alias has opened it.
        connections.close_all()


@pytest.fixture(scope="session")
def all_databases(django_db_blocker: DjangoDbBlocker) -> None:
    """Every database exists, for a command that runs Django's checks connects to all of them."""
    with django_db_blocker.unblock():
        for vendor in set(django_settings.TEST_DATABASES) & set(ALIASES):
            empty(Database(ALIASES[vendor], vendor))
            empty(Database(OTHER_ALIASES[vendor], vendor))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsers.started() as found:
        yield found


@pytest.fixture
def database(
    request: pytest.FixtureRequest, all_databases: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """An empty database: the test runs once on each vendor, or on those that `@pytest.mark.databases(…)` names."""
    yield from _emptied(Database(ALIASES[request.param], request.param), django_db_blocker)


@pytest.fixture
def other_database(database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[Database]:
    """A second empty database of the same vendor."""
    yield from _emptied(Database(OTHER_ALIASES[database.vendor], database.vendor), django_db_blocker)


@pytest.fixture
def project(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Writes migrations for the apps a, b and c, here and for subprocesses: see tests/support/projects.py."""
    made = Project(tmp_path, settings, monkeypatch)
    made()
    yield made
    made.forget()
