"""Findings, as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rollback_app.safety import Finding, Level

from .base import Line, said

_BADGES = {
    Level.BLOCKER: ("BLOCKED", "ERROR"),
    Level.LOSS: ("LOST", "WARNING"),
    Level.REMARK: ("Note", ""),
}
CONSENT = {"rollback.W002", "rollback.W003", "rollback.W004"}  # nothing is lost, and yet it needs consent
SHOWN = 3  # of one kind
PAGES = "https://github.com/rollback-app/rollback-app/blob/main/docs/reference/findings"


def badge(finding: Finding) -> tuple[str, str]:
    """(the word in front of it, its style)."""
    return ("CONSENT", "WARNING") if finding.id in CONSENT else _BADGES[finding.level]


def findings(found: Iterable[Finding], *, in_full: bool) -> Iterator[Line]:
    """By kind, each with what to do about it; of a kind with many only the first, unless in_full."""
    kinds: dict[str, list[Finding]] = {}
    for finding in found:
        kinds.setdefault(finding.id, []).append(finding)
    hints: set[str] = set()
    for id, alike in kinds.items():
        word, style = badge(alike[0])
        shown = alike if in_full or len(alike) <= SHOWN + 1 else alike[:SHOWN]
        for finding in shown:
            yield Line(f"{word} {_text(finding)} [{id}]", style, 4)
            if finding.hint not in hints:
                yield from said(finding.hint, indent=4)
                hints.add(finding.hint)
        if len(shown) < len(alike):
            yield Line(f"{word} ... and {len(alike) - len(shown)} more of this kind, see -v 2 [{id}]", style, 4)


def page_of(ids: Iterable[str]) -> Iterator[Line]:
    """Where findings of these ids are explained."""
    names = {id.removeprefix("rollback.") for id in ids}
    if names:
        yield Line(f"What {'it means' if len(names) == 1 else 'they mean'}, and what to do:")
        yield Line(f"  {PAGES}/{names.pop() if len(names) == 1 else 'index'}.md", whole=True)


def _text(finding: Finding) -> str:
    """The sentence, with the migration that it is about."""
    return finding.text if finding.about in finding.text else f"{finding.about}: {finding.text}"
