"""The ways by which a backup can be taken, as the settings name them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .calls import Function, Program
from .dbbackup import DbBackup
from .restore_point import RestorePoint
from .way import Way

NAMES: dict[str, Callable[[], Way]] = {"dbbackup": DbBackup, "restore point": RestorePoint}
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def problem(setting: Any) -> str:
    """What is wrong with the name of a way: the end of a sentence; empty if it is one."""
    is_program = isinstance(setting, list) and bool(setting) and all(isinstance(word, str) and word for word in setting)
    if is_program:
        secret = [word for word in setting if "{password}" in word]
        return "must not hold {password}: everybody can read a command line. It is in the environment" if secret else ""
    if isinstance(setting, str) and (setting in NAMES or _PATH.fullmatch(setting)):
        return ""
    return f"must be {', '.join(map(repr, NAMES))}, a command as a list of words, or the dotted path of a function"


def way(setting: Any, restore: str = "") -> Way:
    """The way that a setting names, which is right. restore: what to type to restore what a command or function has made."""
    if isinstance(setting, list):
        return Program(tuple(setting), restore)
    kind = NAMES.get(setting)
    return kind() if kind else Function(setting, restore)
