"""Settings of the tests, and of every subprocess that they start: all that varies is read from the environment.

TEST_DATABASES says where the suite runs ("sqlite,postgresql,mariadb,pgbouncer,redis"); the servers are started here, because
pytest-django reads the settings before anything else, and xdist's workers and subprocesses inherit the environment.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

from tests import servers

pymysql.install_as_MySQLdb()

TEST_DATABASES = os.environ.get("TEST_DATABASES", "sqlite,postgresql,mariadb,pgbouncer,redis").split(",")
TEST_BROWSER = os.environ.get("TEST_BROWSER", "chromium")  # empty: there is none
servers.start(name for name in TEST_DATABASES if name in servers.URLS)
# One set of databases for each worker of xdist. Names of one length, since the words of messages wrap by it.
SUFFIX = os.environ.get("PYTEST_XDIST_WORKER", "one")


def sqlite(name: str) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": servers.folder() / f"{name}_{SUFFIX}.sqlite3"}


def server(vendor: str, engine: str, name: str) -> dict[str, Any]:
    url = urlsplit(os.environ[servers.URLS[vendor]])
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": f"rollback_tests_{name}_{SUFFIX}",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname,
        "PORT": url.port or "",
    }


DATABASES = {"default": sqlite("default"), "other": sqlite("other")}
if "postgresql" in TEST_DATABASES:
    DATABASES["postgresql"] = server("postgresql", "postgresql", "default")
    DATABASES["postgresql_other"] = server("postgresql", "postgresql", "other")
if "pgbouncer" in TEST_DATABASES:
    # The same database as `postgresql`, through the pool; a cursor on the server would not outlive its transaction.
    DATABASES["pgbouncer"] = server("pgbouncer", "postgresql", "default") | {"DISABLE_SERVER_SIDE_CURSORS": True}
if "mariadb" in TEST_DATABASES:
    DATABASES["mariadb"] = server("mariadb", "mysql", "default")
    DATABASES["mariadb_other"] = server("mariadb", "mysql", "other")

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rollback_app",
    "tests.apps.a",
    "tests.apps.b",
    "tests.apps.c",
]
# Written by the fixture `project`, so that a subprocess sees the same project.
MIGRATION_MODULES = json.loads(os.environ.get("TEST_MIGRATION_MODULES", "{}"))
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Most tests are about what migrations did, and compare all tables. Those of the recording and of the hold switch them on.
ROLLBACK = {"RECORD": False, "HOLD": False}
SECRET_KEY = "not a secret"
USE_TZ = os.environ.get("TEST_USE_TZ", "1") == "1"
TIME_ZONE = "Europe/Berlin"
