"""The findings that are known and accepted, in a file: by the id, the migration and the operation, since these never change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rollback_app.errors import UsageError, shown

from .findings import Finding

_Known = tuple[str, str, "int | None"]
_SCHEMA = 1


def written(findings: Iterable[Finding], known: Iterable[_Known] = ()) -> str:
    """The text of a baseline with these findings, and those that another one knows."""
    entries = [
        {"id": id, "migration": migration, "operation": operation}
        for id, migration, operation in sorted([*known, *map(_known, findings)], key=str)
    ]
    return json.dumps({"schema": _SCHEMA, "findings": entries}, indent=2) + "\n"


def read(text: str, name: str) -> Counter[_Known]:
    """What a baseline holds. name: of the file, for messages. Errors: UsageError."""
    try:
        entries = json.loads(text)["findings"]
        return Counter(_entry(entry) for entry in entries)
    # RecursionError: brackets in brackets in brackets.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"The baseline '{shown(name)}' is not understood: {type(error).__name__}: {shown(str(error))}",
            hint=f"Make it again: python manage.py checkrollback --all --write-baseline {shown(name)}",
        ) from error


def _entry(entry: Any) -> _Known:
    operation = entry["operation"]
    return str(entry["id"]), str(entry["migration"]), None if operation is None else int(operation)


def without(findings: Iterable[Finding], baseline: Counter[_Known]) -> Sequence[Finding]:
    """The findings that the baseline does not know."""
    left, new = Counter(baseline), []
    for finding in findings:
        if left[_known(finding)]:
            left[_known(finding)] -= 1
        else:
            new.append(finding)
    return new


def _known(finding: Finding) -> _Known:
    return finding.id, finding.migration, finding.operation
