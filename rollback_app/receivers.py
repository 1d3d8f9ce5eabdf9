"""Records each deployment when the project migrates, and puts back what rollbacks have kept.

Imported when the apps are ready, because it has a model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.apps import apps as installed_apps
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate, pre_migrate

from . import conf
from .bookkeeping import Recorder
from .kept import AfterMigrate

_RECORDER = Recorder()
_AFTER_MIGRATE = AfterMigrate()
_LOGGER = logging.getLogger(__name__)


def began(using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    if conf.records():
        _RECORDER.begin(using, plan, _release)


def _release() -> str:
    """A wrong name never stops `migrate`."""
    try:
        return conf.release()
    except ImproperlyConfigured as error:
        _LOGGER.warning("The deployment is recorded without its release. %s", error)
        return ""


def ended(using: str, **kwargs: Any) -> None:
    _RECORDER.end(using)


def will_put_back(using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    if _AFTER_MIGRATE.begin(using, plan):
        # Behind all that others have connected by now: rows may point to what their receivers make.
        post_migrate.disconnect(dispatch_uid="rollback_app.put_back")
        post_migrate.connect(put_back, dispatch_uid="rollback_app.put_back")


def put_back(sender: Any, using: str, **kwargs: Any) -> None:
    """The signal comes once for each app: the last one counts."""
    last = [each for each in installed_apps.get_app_configs() if each.models_module is not None][-1]
    if sender is last:
        tell = kwargs["stdout"].write if kwargs.get("stdout") and kwargs.get("verbosity") else lambda line: None
        _AFTER_MIGRATE.end(using, kwargs.get("apps", installed_apps), tell, wanted=conf.puts_back())


def connect() -> None:
    pre_migrate.connect(began, dispatch_uid="rollback_app.began")
    post_migrate.connect(ended, dispatch_uid="rollback_app.ended")
    pre_migrate.connect(will_put_back, dispatch_uid="rollback_app.will_put_back")
    post_migrate.connect(put_back, dispatch_uid="rollback_app.put_back")
