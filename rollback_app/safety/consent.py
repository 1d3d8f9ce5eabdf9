"""May these plans run? Refused with all the reasons at once."""

from __future__ import annotations

from collections.abc import Sequence

from .findings import Finding, Level, Preview, Refused


def check_can_be_taken_back(previews: Sequence[Preview]) -> None:
    """Errors: Refused, unless each run would be one transaction."""
    names = [preview.title for preview in previews if not preview.one_transaction]
    if names:
        raise Refused(
            f"Refused, nothing was changed: a rehearsal could not be taken back on {', '.join(names)}.",
            hint="Leave out --step-by-step if it is there. On MariaDB and MySQL, rehearse on a copy of the database.",
        )


def check_nothing_blocks(previews: Sequence[Preview]) -> None:
    """Errors: Refused, with all blockers of all databases."""
    blockers = [finding for preview in previews for finding in preview.of_level(Level.BLOCKER)]
    if blockers:
        raise Refused(
            f"Refused, nothing was changed. {_listed(blockers)}",
            hint="Do what the plan says below each blocker, or choose another moment.",
            findings=blockers,
        )


def check_nothing_lost(previews: Sequence[Preview], *, agreed: bool) -> None:
    """Errors: Refused, with all losses of all databases, unless the user agreed to them."""
    losses = [] if agreed else [finding for preview in previews for finding in preview.of_level(Level.LOSS)]
    if losses:
        raise Refused(
            f"Refused, nothing was changed: data would be lost, and nobody agreed to it: {_listed(losses)}",
            hint="Take a backup. Then, if that is what you want, add --destroy-data",
            findings=losses,
        )


def _listed(findings: Sequence[Finding]) -> str:
    more = f" And {len(findings) - 3} more." if len(findings) > 3 else ""
    return " ".join(finding.text for finding in findings[:3]) + more
