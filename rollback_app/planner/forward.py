"""What runs when the migrations of a plan are applied again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.migrations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.special import SeparateDatabaseAndState

from rollback_app.states import acts_as

from .current_names import Reach
from .plan import Step
from .sql_statements import texts


def code_on_the_way(steps: Iterable[Step]) -> list[Reach]:
    """What code and SQL of these migrations may fill, going forward."""
    return [reach for step in steps for reach in _code(step, step.migration.operations)]


def _code(step: Step, operations: Iterable[Operation]) -> Iterator[Reach]:
    apps = {step.key.app, *(app for app, _ in step.migration.dependencies)}
    operation: Any
    for operation in operations:
        kind = acts_as(operation)
        if kind is SeparateDatabaseAndState:
            yield from _code(step, operation.database_operations)
        elif kind is RunSQL:
            if sql := " ".join(texts(operation.sql)).strip():
                yield Reach(apps, sql)
        elif kind is None or (kind is RunPython and operation.code is not RunPython.noop):
            yield Reach(apps, "")
