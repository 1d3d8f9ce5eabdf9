"""A small shop. SQLite, unless EXAMPLE_DATABASE_URL names a server, as postgresql://user:password@host:5432/shop."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent
ENGINES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"}

SECRET_KEY = "only an example"
DEBUG = False
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "example_project.accounts",
    "example_project.catalog",
    "example_project.orders",
    "rollback_app",
]


def database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path}
    return {
        "ENGINE": f"django.db.backends.{ENGINES[parts.scheme]}",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }


if ENGINES.get(urlsplit(os.environ.get("EXAMPLE_DATABASE_URL", "")).scheme) == "mysql":
    import pymysql

    pymysql.install_as_MySQLdb()

DATABASES = {"default": database(os.environ.get("EXAMPLE_DATABASE_URL") or f"sqlite://{HERE / 'demo.sqlite3'}")}
