"""Any result -> one Report; a Report -> text, JSON, or commands.

A result knows only how to become a Report, a format sees only a Report: M formats and N results cost M + N functions.
"""

from __future__ import annotations

from .base import FORMATS, Line, Paint, Report, as_message, as_text, joined, number_of, of_error, said, seconds
from .compatibility import of_schema_check
from .deployments import of_listing
from .holds import of_holds, refusal
from .plan import of_commands, of_findings, of_preview
from .runs import of_records, of_rehearsal, of_result, of_verdict
from .steps import SHOWN_STEPS

__all__ = [
    "FORMATS",
    "SHOWN_STEPS",
    "Line",
    "Paint",
    "Report",
    "as_message",
    "as_text",
    "joined",
    "number_of",
    "of_commands",
    "of_error",
    "of_findings",
    "of_holds",
    "of_listing",
    "of_preview",
    "of_records",
    "of_rehearsal",
    "of_result",
    "of_schema_check",
    "of_verdict",
    "refusal",
    "said",
    "seconds",
]
