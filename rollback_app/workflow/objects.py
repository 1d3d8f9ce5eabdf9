"""Views, functions and triggers: recorded at each `migrate`, and looked up for a plan."""

from __future__ import annotations

import logging
from functools import cached_property

from django.db import connections
from django.db.utils import DatabaseError, InterfaceError

from rollback_app import conf, project
from rollback_app.bookkeeping import record_objects, recorded_objects
from rollback_app.database import Database, Timeouts, first_line, kind_of
from rollback_app.errors import RollbackError
from rollback_app.planner import Plan
from rollback_app.safety import Defined, RecordedObjects

_LOGGER = logging.getLogger("rollback_app.objects")


class Recorded:
    """Of one database, for one look at it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def for_plan(self, plan: Plan) -> RecordedObjects | None:
        """What a run of this plan brings back; None, if the settings do not want that. What counts is what was recorded when just
        those migrations were applied that stay."""
        if not (conf.records_objects() and plan.steps):
            return None
        stay = {record.key for record in plan.basis.records if record not in plan.deleted}
        found = recorded_objects(self._database, stay)
        return RecordedObjects(*found, self._now) if found else RecordedObjects()

    @cached_property
    def _now(self) -> tuple[Defined, ...]:
        return tuple(self._database.defined())


def record(alias: str) -> None:
    """Record what there is, if all migrations of this code are applied. A `migrate` of a part leaves what belongs to no release.

    No error gets out: the `migrate` itself went well.
    """
    kind = kind_of(connections[alias])
    if kind is None:
        return
    database = kind(connections[alias], Timeouts())
    try:
        applied = {row.key for row in database.records()}
        _, pending = project.differences(applied)
        if not pending:
            record_objects(database, applied, database.defined())
    except (DatabaseError, InterfaceError, RollbackError) as error:
        _LOGGER.warning("Views, functions and triggers of %s were not recorded: %s", alias, first_line(error))
