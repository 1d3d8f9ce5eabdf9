"""Is a plan the one that was approved?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rollback_app.errors import UsageError, shown

from .findings import Preview, Refused

_DIGEST = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True)
class Approved:
    """digests: of plans that may run. steps: by digest the migrations that such a plan unapplies, where a plan was given, and
    not its digest alone."""

    digests: frozenset[str]
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def is_digest(text: str) -> bool:
    return bool(_DIGEST.fullmatch(text))


def approved_in(text: str, name: str) -> Approved:
    """The plans in what `--format json --plan` has printed. name: of the file. Errors: UsageError."""
    try:
        plans = json.loads(text)["plans"]
        steps = {plan["digest"]: tuple(step["migration"] for step in plan["steps"]) for plan in plans}
        ours = bool(steps) and all(map(is_digest, steps))
    except (ValueError, LookupError, TypeError):
        ours = False
    if not ours:
        raise UsageError(
            f"'{shown(name)}' is neither a digest nor a plan.",
            hint="Give --expect the 12 characters of a digest, or a file that --format json --plan has printed.",
        )
    return Approved(frozenset(steps), steps)


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
    """What differs from the approved plan that is most like this one."""
    now = [str(step.key) for step in preview.plan.steps]
    if not approved.steps:
        return
    then = max(approved.steps.values(), key=lambda steps: len(set(steps) & set(now)))
    yield from (f"approved, and not in this plan: {name}" for name in then if name not in now)
    yield from (f"in this plan, and not approved: {name}" for name in now if name not in then)
    if set(then) == set(now):
        order = "their order, or " if list(then) != now else ""
        yield f"the migrations are the same; {order}other records of django_migrations have changed"
