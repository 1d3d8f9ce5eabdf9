"""A document as HTML with pictures: one page that loads nothing and needs no script, or a part of another page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from .base import Line, Paint, Report, number_of
from .blocks import Block, Deployments, Heading, Listing, Name, Paragraph, Shell, StepBlock, Steps, Table, Text
from .pictures import graph, timeline
from .steps import SHOWN_STEPS

# Of our own, so that neither the settings nor the templates of a project have a say.
_ENGINE = Engine(dirs=[str(Path(__file__).parent / "templates")], autoescape=True)
_STYLES = Path(__file__).parents[1] / "static/rollback_app/document.css"
_NUMBERED = re.compile(r"\d+\. ")
_STYLES_OF_LINES = {"MIGRATE_LABEL": "label", "ERROR": "bad", "WARNING": "care", "SUCCESS": "good"}
_MARKS = {"blocked": "blocks", "lost": "loses data", "kept": "keeps data", "code": "runs code", "plain": ""}


def as_html(report: Report, paint: Paint) -> str:
    title = next((_plain(block.text) for block in report.document if isinstance(block, Heading)), "Rollback")
    # Our own file, in which no word is anybody else's.
    styles = mark_safe(_STYLES.read_text(encoding="utf-8"))  # noqa: S308
    return _rendered("page", {"title": title, "styles": styles, "document": as_html_part(report)}).rstrip()


def as_html_part(report: Report) -> SafeString:
    """The document for a page that has the styles of `static/rollback_app/document.css`."""
    return _rendered("document", {"parts": list(_parts(report.document))})


def as_html_lines(report: Report) -> SafeString:
    """What is said in lines, for the same page; without its first one, which names the database."""
    parts = [_line(line) for line in report.lines if line.text and line.style != "MIGRATE_HEADING"]
    return format_html('<div class="said">{}</div>', format_html_join("\n", "{}", ((part,) for part in parts)))


def _line(line: Line) -> SafeString:
    text = line.text.strip()
    if line.whole and text.startswith("python"):
        return _shell(Shell([text]))
    style = _STYLES_OF_LINES.get(line.style, "")
    place = "inner" if line.text.startswith(" ") else "label" if _NUMBERED.match(text) else ""
    return format_html('<p class="{}">{}</p>', f"{style} {place}".strip(), text)


def _rendered(name: str, values: Mapping[str, Any]) -> SafeString:
    return _ENGINE.get_template(f"{name}.html").render(Context(dict(values), use_l10n=False, use_tz=False))


def _parts(document: Sequence[Block]) -> Iterator[SafeString]:
    plan = 0  # so that what belongs to the plans of several databases has names of its own
    lead = False
    for block in document:
        if isinstance(block, Heading):
            plan += block.level == 1
            lead = block.level == 1
            yield format_html("<h{}>{}</h{}>", block.level, _text(block.text), block.level)
        elif isinstance(block, Paragraph):
            yield format_html('<p class="{}">{}</p>', "lead" if lead else "", _text(block.text))
            lead = False
        elif isinstance(block, Listing):
            yield _rendered("listing", {"items": list(map(_text, block.items)), "to_tick": block.to_tick})
        elif isinstance(block, Table):
            yield _rendered("facts" if not any(block.titles) else "table", _table(block))
        elif isinstance(block, Deployments):
            releases = any(row.release for row in block.shown)
            rows = block.shown if block.cut else block.shown[::-1]
            found = {"block": block, "rows": rows, "picture": timeline(block), "releases": releases}
            yield _rendered("deployments", {**found, "plans": any(row.plan for row in rows)})
        elif isinstance(block, Steps):
            yield _rendered("steps", _steps(block, plan))
        else:
            yield _shell(block)


def _text(text: Text) -> SafeString:
    return format_html_join("", "{}", ((_name(part) if isinstance(part, Name) else part,) for part in text))


def _name(name: Name) -> SafeString:
    return format_html("<code>{}</code>", name.text)


def _plain(text: Text) -> str:
    return "".join(part.text if isinstance(part, Name) else part for part in text)


def _table(table: Table) -> dict[str, Any]:
    many = len(table.rows) if len(table.rows) > SHOWN_STEPS else 0
    return {"titles": table.titles, "rows": [list(map(_text, row)) for row in table.rows], "many": many}


def _shell(block: Shell) -> SafeString:
    lines = format_html_join("\n", '<span class="line">{}</span>', ((line,) for line in block.lines))
    return format_html('<pre class="{}" tabindex="0"><code>{}</code></pre>', block.language, lines)


def _steps(block: Steps, plan: int) -> dict[str, Any]:
    """Many steps are in groups by app."""
    many = len(block.shown) > SHOWN_STEPS
    apps = dict.fromkeys(step.app for step in block.shown) if many else {"": None}
    groups = [_group(app, [step for step in block.shown if app in ("", step.app)]) for app in apps]
    found = {step.mark for step in block.shown}
    legend = [(mark, words or "other") for mark, words in _MARKS.items() if mark in found]
    return {"groups": groups, "picture": graph(block.shown), "legend": legend, "plan": plan}


def _group(app: str, steps: Sequence[StepBlock]) -> dict[str, Any]:
    """app: empty for a plan that is short enough without groups."""
    blocked, lost = (sum(step.mark == mark for step in steps) for mark in ("blocked", "lost"))
    worst = [f"{count} {words}" for count, words in ((blocked, "blocked"), (lost, "with loss")) if count]
    return {
        "app": app,
        "count": number_of(len(steps), "step"),
        "worst": ", ".join(worst),
        "steps": [(step, _MARKS[step.mark]) for step in steps],
    }
