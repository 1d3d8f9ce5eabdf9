"""A finding of `checkrollback`, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """An error fails the check, a warning is told."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """id: `rollback.C0xx`, never changes. migration: which it is about, `app.name`. file, line: where, from 1. operation: its
    place in the migration, from 0; None, if it is about the whole. hint: what to do."""

    id: str
    migration: str
    file: str
    line: int
    text: str
    hint: str
    operation: int | None = None
    severity: Severity = Severity.ERROR
