"""Is a plan the one that was approved?"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from rollback_app.errors import UsageError, shown

from .findings import Preview, Refused

_DIGEST = re.compile("[0-9a-f]{12}")
_SHOWN = 20  # lines that differ


@dataclass(frozen=True)
class Approved:
    """digests: of plans that may run. lines: by digest what such a plan does and keeps, a line for each thing, where a plan was
    given, and not its digest alone."""

    digests: frozenset[str]
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def is_digest(text: str) -> bool:
    return bool(_DIGEST.fullmatch(text))


def approved_in(text: str, name: str) -> Approved:
    """The plans in what `--format json --plan` has printed. name: of the file. Errors: UsageError."""
    try:
        found = json.loads(text)
        if "groups" in found:  # of a fleet
            return Approved(frozenset(_digest_of(group) for group in found["groups"]))
        lines = {plan["digest"]: tuple(_lines_of(plan)) for plan in found["plans"]}
        ours = bool(lines) and all(map(is_digest, lines))
    except (ValueError, LookupError, TypeError):
        ours = False
    if not ours:
        raise UsageError(
            f"'{shown(name)}' is neither a digest nor a plan.",
            hint="Give --expect the 12 characters of a digest, or a file that --format json --plan has printed.",
        )
    return Approved(frozenset(lines), lines)


def _digest_of(group: Mapping[str, Any]) -> str:
    """Errors: ValueError, TypeError, LookupError."""
    if not is_digest(group["digest"]):
        raise ValueError
    return str(group["digest"])


def check_approved(previews: Sequence[Preview], approved: Approved) -> None:
    """Errors: Refused, with the first plan that is not among those approved. One that has nothing to do needs no approval."""
    for preview in previews:
        digest = preview.plan.digest
        if not preview.plan.empty and digest not in approved.digests:
            wanted = " or ".join(sorted(approved.digests))
            changes = "".join(f"\n  {line}" for line in _changes(preview, approved))
            raise Refused(
                f"Refused: this is not the plan that was approved. Its digest is {digest}, not {wanted}. "
                f"Nothing was changed.{changes}",
                hint="Have the new plan approved, and give its digest to --expect.",
            )


def _changes(preview: Preview, approved: Approved) -> Iterator[str]:
    """The lines that differ from the approved plan that is most like this one."""
    if not approved.lines:
        return
    now = list(_lines(preview))
    then = max(approved.lines.values(), key=lambda lines: len(set(lines) & set(now)))
    words = {"-": "approved", "+": "now     "}
    differing = [*difflib.unified_diff(then, now, n=0, lineterm="")][2:]  # without the names of files
    found = [f"{words[line[0]]}  {line[1:]}" for line in differing if line[0] in words]
    yield from found[:_SHOWN]
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more lines that differ"
    if not found:
        yield "The steps are the same, but other records of django_migrations have changed."


def _lines(preview: Preview) -> Iterator[str]:
    """What the digest is about, for people: the steps, the squashes that are forgotten, the records that stay."""
    plan = preview.plan
    return _told(
        [(str(step.key), step.applied, step.fake) for step in plan.steps],
        [(str(record.key), record.applied) for record in plan.squashes],
        [(group.start, [str(record.key) for record in group.records]) for group in plan.basis.deployments],
    )


def _lines_of(plan: Mapping[str, Any]) -> Iterator[str]:
    """The same of what `--format json` has printed. Errors: LookupError, TypeError, ValueError."""
    at = datetime.fromisoformat
    return _told(
        [(step["migration"], at(step["applied"]), step["fake"]) for step in plan["steps"]],
        [(record["migration"], at(record["applied"])) for record in plan["deleted_rows"]],
        [(at(group["start"]), group["migrations"]) for group in plan["deployments"]],
    )


def _told(
    steps: Sequence[tuple[str, datetime, bool]],
    squashes: Sequence[tuple[str, datetime]],
    groups: Sequence[tuple[datetime, Sequence[str]]],
) -> Iterator[str]:
    for name, applied, fake in steps:
        yield f"{'fake' if fake else 'undo'} {name}, applied {_utc(applied)}"
    for name, applied in squashes:
        yield f"forget the squash {name}, applied {_utc(applied)}"
    deleted = {name for name, *_ in [*steps, *squashes]}
    for start, names in groups:
        yield from (f"keep {name}, deployed {_utc(start)}" for name in names if name not in deleted)


def _utc(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc).replace(tzinfo=None).isoformat(sep=' ')} UTC"
