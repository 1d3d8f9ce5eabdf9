"""Records each deployment when the project migrates. Imported when the apps are ready, because it has a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate, pre_migrate

from . import conf
from .bookkeeping import Recorder

_RECORDER = Recorder()
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


def connect() -> None:
    pre_migrate.connect(began, dispatch_uid="rollback_app.began")
    post_migrate.connect(ended, dispatch_uid="rollback_app.ended")
