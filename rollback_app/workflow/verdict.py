"""Could a code run on a database as it is? The older code's models, as a plan has them; or those of the code that runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, router

from rollback_app import compatibility, project
from rollback_app import database as databases
from rollback_app.compatibility import ModelTable, TableVerdict, Verdict
from rollback_app.database import Database, first_line, schema
from rollback_app.planner import Plan

from .reading import reading


@dataclass(frozen=True)
class SchemaCheck:
    """alias, title: of the database."""

    alias: str
    title: str
    verdict: Verdict


def check_schema(using: str = DEFAULT_DB_ALIAS) -> SchemaCheck:
    """Can the code that runs here work on this database as it is? Errors: UsageError, DatabaseUnusable, CodeUnusable."""
    database = databases.get(using)
    with reading(database):
        unknown, pending = project.differences(record.key for record in database.records())
        models = {model._meta.label: _itself(model) for model in apps.get_models(include_auto_created=True)}
        tables = _judged(database, _wanted(database, models))
    return SchemaCheck(using, database.title, Verdict(tables, tuple(map(str, unknown)), tuple(map(str, pending))))


def verdict_of(plan: Plan, database: Database) -> Verdict | None:
    """Could the code at the target of a plan run without the rollback? Only what the plan touches is looked at."""
    if plan.empty:
        return None
    unknown = tuple(str(record.key) for record in sorted(plan.deleted, key=lambda record: record.id))
    try:
        states = plan.states()
        end: Any = states.end()
    # A plan that is blocked may have no states: an operation on a model that is not there may raise anything.
    except Exception as error:  # noqa: BLE001
        return Verdict(unknown=unknown, unclear=f"{type(error).__name__}: {first_line(error)}")
    keys = compatibility.touched(plan, states)
    models = {".".join(key): _rendered(end.asked, key) for key in keys}
    added = compatibility.defaults_of(plan)
    defaults = {(table, column): schema.default(database.connection, field) for table, column, field in added}
    others = compatibility.other_tables(keys, states)
    tables = _judged(database, _wanted(database, models), compatibility.names_now(plan), defaults, others)
    return Verdict(tables, unknown, look_at=compatibility.look_at(plan))


def _itself(model: Any) -> Callable[[], Any]:
    return lambda: model


def _rendered(registry: Any, key: tuple[str, str]) -> Callable[[], Any]:
    return lambda: registry.get_model(*key)


def _wanted(database: Database, models: Mapping[str, Callable[[], Any]]) -> list[ModelTable]:
    """What these models ask of this database, and their many-to-many fields; by the table."""
    canonical = database.names().canonical
    found: dict[str, ModelTable] = {}
    for label, make in models.items():
        try:
            model = make()
            for each in schema.with_join_tables([model]):
                if _lives_here(database, each):
                    table = schema.wanted(database.connection, each, canonical)
                    found[table.table] = table
        # A field, a base class or a router is code of the project's, and may raise anything.
        except Exception as error:  # noqa: BLE001
            found[label] = ModelTable(label, label, problem=f"{type(error).__name__}: {first_line(error)}")
    return list(found.values())


def _lives_here(database: Database, model: Any) -> bool:
    meta = model._meta
    here = not (meta.proxy or meta.swapped) and meta.required_db_vendor in (None, database.connection.vendor)
    return here and router.allow_migrate_model(database.alias, model)


def _judged(
    database: Database,
    models: list[ModelTable],
    names: Mapping[tuple[str, str], str] | None = None,
    defaults: Mapping[tuple[str, str], str] | None = None,
    others: Collection[str] = (),
) -> tuple[TableVerdict, ...]:
    live = schema.live(database.connection, [model.table for model in models])
    return compatibility.judge(models, live, names, defaults, others)
