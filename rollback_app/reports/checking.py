"""What checks of migrations have found: as text, as annotations of GitHub, and as SARIF."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from rollback_app.checking import Finding, Severity

from .base import Line, Paint, Report, number_of
from .findings import PAGES, page_of

_STYLES = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING"}


def of_check(checked: Sequence[str], findings: Sequence[Finding], new_to: str, accepted: int = 0) -> Report:
    """checked: the migrations. new_to: what they are new to; empty for all. accepted: findings that a baseline knows."""
    lines = [Line(_summary(checked, findings, new_to, accepted), indent=0)]
    place = ""
    for finding in findings:
        if place != (place := f"{finding.file}:{finding.line}"):
            lines += [Line(), Line(place, whole=True)]
        lines += of_finding(finding)
    if findings:
        lines += [Line(), *page_of(finding.id for finding in findings)]
    data = {
        "checked": list(checked),
        "new_to": new_to,
        "accepted": accepted,
        "findings": [{**asdict(finding), "severity": finding.severity.value} for finding in findings],
    }
    return Report(tuple(lines), data)


def _summary(checked: Sequence[str], findings: Sequence[Finding], new_to: str, accepted: int) -> str:
    apps = len({name.partition(".")[0] for name in checked})
    known = f", and {accepted} more that the baseline knows" if accepted else ""
    if not checked:
        return f"Nothing to check: no migration is new to {new_to}." if new_to else "Nothing to check: no migrations."
    what = f"new to {new_to}" if new_to else "all that there are"
    found = number_of(len(findings), "finding") if findings else "nothing found"
    return f"Checked {number_of(len(checked), 'migration')} of {number_of(apps, 'app')} ({what}): {found}{known}."


def of_finding(finding: Finding) -> Iterator[Line]:
    word = f"{finding.severity.value.upper()} " if finding.severity is Severity.WARNING else ""
    yield Line(f"    {word}{finding.text} [{finding.id}]", _STYLES[finding.severity], 4)
    yield Line(f"    {finding.hint}", indent=4)


def as_github(report: Report, paint: Paint) -> str:
    """Workflow commands: GitHub shows each at its line of the pull request."""
    return "\n".join(
        f"::{found['severity']} file={_property(found['file'])},line={found['line']},title={_property(found['id'])}::"
        f"{_escaped(found['text'] + chr(10) + found['hint'])}"
        for found in report.data["findings"]
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(report: Report, paint: Paint) -> str:
    """SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html"""
    findings = report.data["findings"]
    rules = sorted({found["id"] for found in findings})
    driver = {
        "name": "checkrollback",
        "informationUri": "https://github.com/rollback-app/rollback-app",
        "rules": [{"id": id, "helpUri": f"{PAGES}/{id.removeprefix('rollback.')}.md"} for id in rules],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": list(map(_result, findings))}
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _result(found: dict[str, Any]) -> dict[str, Any]:
    location = {"artifactLocation": _artifact(found["file"]), "region": {"startLine": found["line"]}}
    return {
        "ruleId": found["id"],
        "level": found["severity"],
        "message": {"text": f"{found['text']} {found['hint']}"},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"operation/v1": f"{found['id']} {found['migration']} {found['operation']}"},
    }


def _artifact(file: str) -> dict[str, str]:
    """A file inside the current folder, which in a CI is that of the repository; or any other."""
    if file.startswith("/"):
        return {"uri": f"file://{quote(file)}"}
    return {"uri": quote(file), "uriBaseId": "%SRCROOT%"}
