"""Any result -> one Report; a Report -> text, JSON, or commands.

A result knows only how to become a Report, a format sees only a Report: M formats and N results cost M + N functions.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import (
    Line,
    Paint,
    Report,
    as_commands,
    as_json,
    as_message,
    as_text,
    forward_command,
    joined,
    number_of,
    of_error,
    said,
    seconds,
)
from .checking import as_github, as_sarif, of_check, of_finding
from .compatibility import of_schema_check
from .deployments import of_listing, of_timeline
from .document import of_document
from .fleets import of_fleet, of_fleet_end, of_fleet_plan, of_fleet_progress
from .holds import of_holds, refusal
from .html import as_html, as_html_lines, as_html_part
from .kept import of_dropped, of_kept_data, of_put_back, still_kept
from .markdown import as_markdown
from .plan import of_commands, of_findings, of_preview
from .runs import of_record, of_records, of_rehearsal, of_result, of_verdict
from .script import Statement, as_sql, of_no_script, of_script
from .standing import of_schema_checks, of_standings
from .steps import SHOWN_STEPS

FORMATS: dict[str, Callable[[Report, Paint], str]] = {
    "text": as_text,
    "json": as_json,
    "commands": as_commands,
    "markdown": as_markdown,
    "html": as_html,
    "sql": as_sql,
    "github": as_github,
    "sarif": as_sarif,
}
DOCUMENTS = ("markdown", "html")  # formats of what `of_document` makes
PLAN_FORMATS = ("commands", "html", "json", "markdown", "sql", "text")
CHECK_FORMATS = ("github", "json", "sarif", "text")

__all__ = [
    "CHECK_FORMATS",
    "DOCUMENTS",
    "FORMATS",
    "PLAN_FORMATS",
    "SHOWN_STEPS",
    "Line",
    "Paint",
    "Report",
    "Statement",
    "as_html_lines",
    "as_html_part",
    "as_message",
    "as_text",
    "forward_command",
    "joined",
    "number_of",
    "of_check",
    "of_commands",
    "of_document",
    "of_dropped",
    "of_error",
    "of_finding",
    "of_findings",
    "of_fleet",
    "of_fleet_end",
    "of_fleet_plan",
    "of_fleet_progress",
    "of_holds",
    "of_kept_data",
    "of_listing",
    "of_no_script",
    "of_preview",
    "of_put_back",
    "of_record",
    "of_records",
    "of_rehearsal",
    "of_result",
    "of_schema_check",
    "of_schema_checks",
    "of_script",
    "of_standings",
    "of_timeline",
    "of_verdict",
    "refusal",
    "said",
    "seconds",
    "still_kept",
]
