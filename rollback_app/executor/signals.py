"""What `migrate` does around a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.apps import apps as installed_apps
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db.migrations.state import ModelState, ProjectState
from django.utils.module_loading import module_has_submodule

from rollback_app.database import Database
from rollback_app.planner import Plan
from rollback_app.states import States

from .watch import Watch


@contextmanager
def signals(database: Database, plan: Plan, watch: Watch) -> Iterator[States]:
    """pre_migrate and post_migrate, once for the whole run, as the migrate command sends them."""
    for app_config in installed_apps.get_app_configs():
        if module_has_submodule(app_config.module, "management"):
            import_module(".management", app_config.name)
    sent = [(step.migration, True) for step in plan.steps if not step.fake]
    states = plan.states()
    operations = sum(len(migration.operations) for migration, _ in sent)
    with watch.failures(None, "in a receiver of pre_migrate"):
        emit_pre_migrate_signal(0, False, database.alias, apps=states.start().apps, plan=sent)
    # Receivers may add operations to these migrations: contenttypes does, to rename its rows.
    if operations != sum(len(migration.operations) for migration, _ in sent):
        states = plan.states()
    yield states
    after = _with_relations(states.end())
    with watch.failures(None, "in a receiver of post_migrate"):
        emit_post_migrate_signal(0, False, database.alias, apps=after, plan=sent)


def _with_relations(state: ProjectState) -> Any:
    """The models of a final state; those of apps without migrations are rendered without relations at first."""
    apps: Any = state.apps
    with apps.bulk_update():
        keys = [(model.app_label, model.name_lower) for model in apps.real_models]
        for key in keys:
            apps.unregister_model(*key)
    apps.render_multiple([ModelState.from_model(installed_apps.get_model(*key)) for key in keys])
    return apps
