"""A test database that is kept: it stays as the older release has it, so that the next run need not apply what that one has."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import django
from django.apps import apps

from rollback_app import project
from rollback_app.database import Database
from rollback_app.planner import Plan

_TABLE = "rollback_app_trial"


class Kept:
    """The state of the older release in a test database, known by a table that only this makes."""

    def __init__(self, database: Database, plan: Plan) -> None:
        self._connection = database.connection
        self._name = sha256("\0".join(_made_of(plan)).encode()).hexdigest()

    def is_there(self) -> bool:
        if _TABLE not in self._connection.introspection.table_names():
            return False
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT name FROM {_TABLE}")
            return bool(cursor.fetchall() == [(self._name,)])

    def note(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {_TABLE} (name varchar(64))")
            cursor.execute(f"INSERT INTO {_TABLE} VALUES (%s)", [self._name])


def _made_of(plan: Plan) -> Iterator[str]:
    """All that the tables depend on: the files of the migrations, in their order, and the models of apps without any."""
    yield django.__version__
    for migration in plan.stays.migrations:
        yield from (str(migration), project.source_of(migration)[1])
    for label in sorted(plan.basis.code.unmigrated):
        for model in apps.get_app_config(label).get_models():
            yield from (model._meta.db_table, *(repr(field.deconstruct()) for field in model._meta.local_fields))
