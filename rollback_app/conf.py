"""The settings of this app, `ROLLBACK = {…}`, read when they are used."""

from __future__ import annotations

import os
import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


def _settings() -> dict[str, Any]:
    return getattr(settings, "ROLLBACK", {})


def records() -> bool:
    """Are deployments recorded?"""
    return bool(_settings().get("RECORD", True))


def release() -> str:
    """The name of the release that runs; empty if nobody says.

    RELEASE is a text, or a function that returns one, or its dotted path; without it the environment's ROLLBACK_RELEASE counts.

    Errors: ImproperlyConfigured.
    """
    found = _settings().get("RELEASE", "")
    if callable(found):
        return str(found())
    found = str(found)
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", found):
        return found or os.environ.get("ROLLBACK_RELEASE", "")
    try:
        return str(import_string(found)())
    except ImportError as error:
        raise ImproperlyConfigured(f"ROLLBACK['RELEASE'] is the path of a function: {error}") from error
