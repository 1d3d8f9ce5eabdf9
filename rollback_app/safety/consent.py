"""May these plans run? Refused with all the reasons at once."""

from __future__ import annotations

from collections.abc import Sequence

from .findings import Level, Preview, Refused


def check_can_be_taken_back(previews: Sequence[Preview]) -> None:
    """Errors: Refused, unless each run would be one transaction."""
    names = [preview.title for preview in previews if not preview.one_transaction]
    if names:
        raise Refused(
            f"Refused: a rehearsal cannot be undone on {', '.join(names)}. Nothing was changed.",
            hint="Remove --step-by-step if you gave it. On MariaDB and MySQL, rehearse on a copy of the database.",
        )


def check_nothing_blocks(previews: Sequence[Preview]) -> None:
    """Errors: Refused, with all blockers of all databases."""
    blockers = [finding for preview in previews for finding in preview.of_level(Level.BLOCKER)]
    if blockers:
        raise Refused(
            "Refused. Nothing was changed.",
            hint="Follow the hint below each blocker in the plan, or choose another moment.",
            findings=blockers,
        )


def check_nothing_lost(previews: Sequence[Preview], *, agreed: bool) -> None:
    """Errors: Refused, with all losses of all databases, unless the user consented."""
    losses = [] if agreed else [finding for preview in previews for finding in preview.of_level(Level.LOSS)]
    if losses:
        raise Refused(
            "Refused: this would destroy data. Nothing was changed.",
            hint="Take a backup. Then, if this data may be destroyed, add --destroy-data",
            findings=losses,
        )
