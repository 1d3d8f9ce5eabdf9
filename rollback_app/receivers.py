"""What happens when the project migrates: the deployment is recorded. Imported when the apps are ready, for it has a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models.signals import post_migrate, pre_migrate

from . import conf
from .bookkeeping import Recorder

_RECORDER = Recorder()


def began(using: str, plan: Sequence[Any] = (), **kwargs: Any) -> None:
    if conf.records():
        _RECORDER.begin(using, plan, conf.release)


def ended(using: str, **kwargs: Any) -> None:
    _RECORDER.end(using)


def connect() -> None:
    pre_migrate.connect(began, dispatch_uid="rollback_app.began")
    post_migrate.connect(ended, dispatch_uid="rollback_app.ended")
