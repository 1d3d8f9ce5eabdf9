"""Stands before `migrate`, records each deployment, keeps what it destroys, and puts back what rollbacks have kept.

Imported when the apps are ready, because it has a model.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import connections
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_migrate, pre_migrate
from django.db.utils import DatabaseError, InterfaceError

from . import conf, packages, project
from .bookkeeping import Recorder, add_package, holds
from .database import Timeouts, kind_of, spelling
from .errors import CodeUnusable
from .history import Hold, HoldSource, held
from .kept import AfterMigrate, BeforeDrops
from .safety import Keeping, Size

_RECORDER = Recorder()
_AFTER_MIGRATE, _BEFORE_DROPS = AfterMigrate(), BeforeDrops()
_LOGGER = logging.getLogger(__name__)


def gate(app_config: Any, using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    """Refuses a `migrate` that would apply what is held. Errors: CommandError."""
    if not (_is_first(app_config) and _goes_forwards(plan)) or _is_of_tests(using):
        return
    if found := held(_holds(using), plan):
        from .reports import refusal  # noqa: PLC0415  # which every start of Django would have to wait for

        raise CommandError(spelling([using])(refusal(using, *found)))


def _holds(using: str) -> list[Hold]:
    """Book-keeping that cannot be read never stands in the way.

    Errors: CommandError, if a rollback is under way whose lock does not make this `migrate` wait.
    """
    switch = conf.switched_off()
    if switch:
        return [Hold(HoldSource(switch))]
    kind = kind_of(connections[using])
    if kind is None:
        return []
    database = kind(connections[using], Timeouts())
    try:
        if not database.locks_out_migrate and database.rollback_under_way() is not None:
            raise CommandError(
                f"{database.held(by_rollback=True).message}\nNothing was applied. Migrate when it is done."
            )
        return holds(database)
    except (DatabaseError, InterfaceError) as error:
        _LOGGER.warning("Whether migrate is held on %s could not be read: %s", using, error)
        return []


def _is_of_tests(using: str) -> bool:
    """Is this a database that the test runner has made?"""
    connection = connections[using]
    tests = getattr(
        sys.modules.get("django.test.utils"), "_TestState", None
    )  # loaded by who runs tests, and nobody else
    if not hasattr(tests, "saved_data"):
        return False
    name = str(connection.settings_dict["NAME"])
    made = getattr(connection.creation, "is_in_memory_db", lambda name: False)
    return name.startswith(TEST_DATABASE_PREFIX) or name == connection.settings_dict["TEST"]["NAME"] or made(name)


def began(using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    if conf.records():
        _RECORDER.begin(using, plan, _release)


def store(app_config: Any, using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    """Keeps, before anything is applied, what an older release will lack. Nothing that is wrong with it stops `migrate`."""
    kind = kind_of(connections[using])
    wanted = conf.packages() and _is_first(app_config) and _goes_forwards(plan)
    if kind is None or not wanted or _is_of_tests(using):
        return
    try:
        code = project.code()
        lacking = code.migrations.keys() - MigrationRecorder(connections[using]).applied_migrations().keys()
        add_package(kind(connections[using], Timeouts()), packages.make(code, lacking, _release()))
    except (DatabaseError, InterfaceError, CodeUnusable, OSError, UnicodeDecodeError) as error:
        _LOGGER.warning("The migrations were not stored on %s: %s", using, error)


def _is_first(app_config: Any) -> bool:
    """The signal comes once for each app: the first one counts."""
    return app_config is next(config for config in apps.get_app_configs() if config.models_module is not None)


def _goes_forwards(plan: Sequence[Any]) -> bool:
    return any(not backwards for _, backwards in plan)


def _release() -> str:
    """A wrong name never stops `migrate`."""
    try:
        return conf.release()
    except ImproperlyConfigured as error:
        _LOGGER.warning("The deployment is recorded without its release. %s", error)
        return ""


def ended(using: str, **kwargs: Any) -> None:
    _RECORDER.end(using)


def will_keep(using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    if conf.keeps_dropped() and not _is_of_tests(using):
        _BEFORE_DROPS.begin(using, plan, _keeping())


def _keeping() -> Keeping:
    """A wrong size never stops `migrate`."""
    size = conf.keep_at_most()
    try:
        return Keeping() if size is None else Keeping(at_most=Size.parse(size).bytes)
    except ValueError as error:
        _LOGGER.warning("ROLLBACK['KEEP_AT_MOST'] is wrong: %s", error)
        return Keeping()


def will_put_back(using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    # Behind all that others have connected by now: rows may point to what their receivers make.
    if _AFTER_MIGRATE.begin(using, plan):
        _connect_last(put_back, "rollback_app.put_back")
    if conf.records_objects():
        _connect_last(objects_are_there, "rollback_app.objects_are_there")


def _connect_last(receiver: Any, uid: str) -> None:
    post_migrate.disconnect(dispatch_uid=uid)
    post_migrate.connect(receiver, dispatch_uid=uid)


def put_back(sender: Any, using: str, **kwargs: Any) -> None:
    if _is_last(sender):
        tell = kwargs["stdout"].write if kwargs.get("stdout") and kwargs.get("verbosity") else lambda line: None
        _BEFORE_DROPS.end(using, tell)
        _AFTER_MIGRATE.end(using, kwargs.get("apps", apps), tell, wanted=conf.puts_back())


def objects_are_there(sender: Any, using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    """Also of a `migrate` that had nothing to apply: it may have made a view anew."""
    if _is_last(sender) and conf.records_objects() and not any(backwards for _, backwards in plan):
        from .workflow import record_objects  # noqa: PLC0415  # which every start of Django would have to wait for

        record_objects(using)


def _is_last(sender: Any) -> bool:
    """The signal comes once for each app: the last one counts."""
    return bool(sender is [each for each in apps.get_app_configs() if each.models_module is not None][-1])


def connect() -> None:
    pre_migrate.connect(gate, dispatch_uid="rollback_app.gate")
    pre_migrate.connect(store, dispatch_uid="rollback_app.store")
    pre_migrate.connect(began, dispatch_uid="rollback_app.began")
    post_migrate.connect(ended, dispatch_uid="rollback_app.ended")
    pre_migrate.connect(will_keep, dispatch_uid="rollback_app.will_keep")
    pre_migrate.connect(will_put_back, dispatch_uid="rollback_app.will_put_back")
    post_migrate.connect(put_back, dispatch_uid="rollback_app.put_back")
    post_migrate.connect(objects_are_there, dispatch_uid="rollback_app.objects_are_there")
