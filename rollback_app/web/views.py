"""The two pages: a database, and the plan of a rollback to before one of its deployments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

import rollback_app
from rollback_app import conf, reports, workflow
from rollback_app.database import Timeouts, kind_of, spelling
from rollback_app.errors import RollbackError, UsageError, database_option
from rollback_app.reports import Report
from rollback_app.safety import Level
from rollback_app.tenants import spelled

from .access import only_looking, within

PAGE = 20  # deployments
NEWEST = 10  # rollbacks
SECONDS = 10.0  # for a page; and for a single statement, where the database has such a limit
TIMEOUTS = Timeouts(statement=SECONDS)


@only_looking
def overview(request: HttpRequest, alias: str = DEFAULT_DB_ALIAS) -> HttpResponse:
    """Deployments in pages (?page=2), then what the commands that only look would print."""
    _check(alias)
    number = _page(request)
    found: dict[str, Any] = {"alias": alias, "title": f"Rollbacks of {alias}", "databases": _databases(alias)}
    try:
        with within(alias, SECONDS):
            listing = workflow.deployments(alias, limit=PAGE, skip=PAGE * (number - 1), judged=False)
            links = {each.number: _plan_of(alias, each.start.astimezone(listing.zone)) for each in listing.listed}
            found["deployments"] = reports.as_html_part(reports.of_timeline(listing, links))
            found["sections"] = list(_sections(alias))
    except RollbackError as error:
        return _failed(request, error, found)
    pages = max(1, -(-listing.total // PAGE))
    if number > pages:
        raise Http404
    found |= {"engine": listing.title, "number": number, "pages": pages}
    found |= {"newer": number - 1, "older": number + 1 if number < pages else 0}
    return _answer(request, "overview", found)


def _sections(alias: str) -> Iterator[tuple[str, str, SafeString]]:
    """What each is about, the command, and its report; or why there is none: the others are worth a look all the same."""

    def rollbacks() -> Report:
        title, records = workflow.rollbacks(alias)
        return reports.of_records(alias, title, records[:NEWEST])

    def schema() -> Report:
        found = workflow.check_schema(alias)
        return reports.of_schema_check(alias, found.title, found.verdict)

    def hold() -> Report:
        found = workflow.holds(alias)
        return reports.of_holds(alias, found.title, found.holds)

    def kept() -> Report:
        return reports.of_kept_data(workflow.kept_data(alias), puts_back=conf.puts_back())

    option, spell = database_option(alias), spelling([alias])
    for title, command, make in [
        ("Does this code fit this database?", "checkschema", schema),
        ("Is migrate held?", "migratehold", hold),
        ("Rollbacks", "showrollbacks", rollbacks),
        ("Kept data", "showkept", kept),
    ]:
        yield title, spell(f"python manage.py {command}{option}"), _told(make, spell)


def _told(make: Callable[[], Report], spell: Callable[[str], str]) -> SafeString:
    try:
        report = make()
    except RollbackError as error:
        report = Report(tuple(reports.said(spell(str(error)), "ERROR")))
    return reports.as_html_lines(spelled(report, spell))


@only_looking
def plan(request: HttpRequest, alias: str) -> HttpResponse:
    """Of a rollback to a moment (?before=…), as a document."""
    _check(alias)
    found: dict[str, Any] = {"alias": alias, "title": f"Plan for {alias}"}
    try:
        moment = _moment(request.GET.get("before", ""))
        line = f'python manage.py rollbackmigrationsafter "{moment}"{database_option(alias)}'
        with within(alias, SECONDS):
            (preview,) = workflow.preview(moment, using=[alias], timeouts=TIMEOUTS)
    except RollbackError as error:
        return _failed(request, error, found)
    consent = " --destroy-data" if preview.of_level(Level.LOSS) else ""
    made_with = f"rollback_app {rollback_app.__version__}"
    report = reports.of_document(preview, f"{line}{consent}", made_with, holds=conf.holds())
    return _answer(request, "plan", {**found, "document": reports.as_html_part(spelled(report, spelling([alias])))})


def _moment(given: str) -> str:
    """A date and time with its offset, as the links have it. No other kind: these may read files. Errors: UsageError."""
    at = None
    with suppress(ValueError):
        at = datetime.fromisoformat(given)
    if at is None or at.tzinfo is None:
        raise UsageError("This is no moment to go back to.", hint="Take a link of the page with the deployments.")
    return at.isoformat(sep=" ")


def _check(alias: str) -> None:
    if alias not in connections or kind_of(connections[alias]) is None:
        raise Http404


def _page(request: HttpRequest) -> int:
    given = request.GET.get("page", "1")[:6]
    return max(1, int(given)) if given.isascii() and given.isdigit() else 1


def _databases(alias: str) -> list[tuple[str, str, bool]]:
    """(alias, address, is it the one that is shown?) of all, if there are several."""
    known = [each for each in connections if kind_of(connections[each])]
    return [(each, reverse("rollback_app:database", args=[each]), each == alias) for each in known if len(known) > 1]


def _plan_of(alias: str, moment: datetime) -> str:
    return f"{reverse('rollback_app:plan', args=[alias])}?{urlencode({'before': moment.isoformat()})}"


def _failed(request: HttpRequest, error: RollbackError, found: dict[str, Any]) -> HttpResponse:
    status = 400 if isinstance(error, UsageError) else 503
    return _answer(request, "failed", {**found, "error": error}, status)


def _answer(request: HttpRequest, name: str, found: dict[str, Any], status: int = 200) -> HttpResponse:
    context = {**admin.site.each_context(request), **found}
    return TemplateResponse(request, f"rollback_app/{name}.html", context, status=status)
