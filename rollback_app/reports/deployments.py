"""The deployments of a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rollback_app.errors import database_option
from rollback_app.history import Deployment, Hold, held_of
from rollback_app.moments import ago
from rollback_app.planner import DEFAULT_GAP
from rollback_app.safety import Listed, Listing, RolledBack

from .base import Line, Report, forward, local, number_of, seconds, stamp
from .blocks import DeploymentBlock, Deployments, Fate, Paragraph
from .holds import hold_lines


def of_listing(listing: Listing, holds: Sequence[Hold] = ()) -> Report:
    """The deployments of a database. holds: what holds `migrate` there."""
    return Report(tuple(_listing(listing, holds)), {**_listing_data(listing), "held": bool(holds)})


def of_timeline(listing: Listing, plans: Mapping[int, str]) -> Report:
    """The same for a page, with the addresses of plans by the numbers of deployments."""
    rows: list[tuple[Deployment, Fate, str]]
    rows = [(each.deployment, "applied", plans.get(each.number, "")) for each in listing.listed]
    rows += [(each.deployment, "rolled back", "") for each in listing.rolled_back if not each.again]
    rows.sort(key=lambda row: row[0].start)
    shown = [_block(group, fate, plan, listing) for group, fate, plan in rows]
    total = Paragraph((f"{number_of(listing.total, 'deployment')}, in {listing.zone.key}.",))
    return Report((), document=(total, Deployments("", shown)) if shown else (total,))


def _block(group: Deployment, fate: Fate, plan: str, listing: Listing) -> DeploymentBlock:
    when, releases = local(group.start, listing.zone), ", ".join(group.releases)
    return DeploymentBlock(fate, when, releases, len(group.records), counts(group), plan)


def _listing(listing: Listing, holds: Sequence[Hold]) -> Iterator[Line]:
    yield Line(f"Database {listing.title}", "MIGRATE_HEADING", whole=True)
    if listing.total:
        shown = len(listing.listed)
        yield Line(f"{number_of(listing.total, 'deployment')}, newest first, in {listing.zone.key}; {shown} shown")
    else:
        yield Line("No migration is applied here.")
    yield from hold_lines(listing.alias, holds)
    gone = list(listing.rolled_back)
    for listed in listing.listed:
        while gone and gone[0].deployment.start > listed.deployment.start:
            yield Line()
            yield from _rolled_back(gone.pop(0), listing, holds)
        yield Line()
        yield from _listed(listed, listing)
    for rolled_back in gone:
        yield Line()
        yield from _rolled_back(rolled_back, listing, holds)


def _listed(listed: Listed, listing: Listing) -> Iterator[Line]:
    guessed = " (not recorded; grouped by pauses)" if listed.deployment.guessed else ""
    yield Line(f"{listed.number}. {_when(listed.deployment, listing)}{guessed}", "MIGRATE_LABEL", 3)
    yield from _what(listed.deployment, listing)
    for mark in listed.marks:
        yield Line(f"   ! {mark}", indent=5)
    if not listed.blockers:
        yield Line("   can be rolled back, together with everything newer")
    for finding in listed.blockers[:3]:
        yield Line(f"   BLOCKED {finding.text} [{finding.id}]", "ERROR", 5)
    if len(listed.blockers) > 3:
        yield Line(f"   and {number_of(len(listed.blockers) - 3, 'more blocker')}")
    yield Line("   to go back before it:")
    yield Line(f"     {_back_before(listed, listing)}", whole=True)


def _rolled_back(rolled_back: RolledBack, listing: Listing, holds: Sequence[Hold]) -> Iterator[Line]:
    run = rolled_back.run
    yield Line(f"-. {_when(rolled_back.deployment, listing)}, ROLLED BACK", "WARNING")
    yield from _what(rolled_back.deployment, listing)
    yield Line(f"   by rollback {run.number} of {local(run.started, listing.zone)}; `showrollbacks` shows more")
    if rolled_back.again:
        yield Line(f"   applied again since: {', '.join(map(str, rolled_back.again))}", indent=5)
    else:
        release = rolled_back.deployment.releases[-1] if rolled_back.deployment.releases else ""
        held = held_of(holds, (record.key for record in rolled_back.deployment.records))
        yield from forward(release, listing.alias, indent=3, held=held)


def _when(group: Deployment, listing: Listing) -> str:
    start, end = (local(at, listing.zone) for at in (group.start, group.end))
    named = f", release {', '.join(group.releases)}" if group.releases else ""
    return f"{start}{'' if start == end else ' to ' + end[11:]}{named}"


def _what(group: Deployment, listing: Listing) -> Iterator[Line]:
    lasted = seconds((group.end - group.start).total_seconds())
    when = ago(listing.now - group.end)
    yield Line(f"   {when}, {number_of(len(group.records), 'migration')} in {lasted}: {counts(group)}", indent=5)


def counts(group: Deployment) -> str:
    """`auth 12, orders 1`."""
    apps = Counter(row.key.app for row in group.records)
    return ", ".join(f"{app} {count}" for app, count in sorted(apps.items()))


def _back_before(listed: Listed, listing: Listing) -> str:
    start = listed.start.astimezone(listing.zone).isoformat(sep=" ")
    suffix = database_option(listing.alias)
    if listing.gap != DEFAULT_GAP:  # by another gap it might seem to be cut in two
        suffix += f" --gap {listing.gap.total_seconds() / 60:g}"
    return f'python manage.py rollbackmigrationsafter "{start}"{suffix} --plan'


def _listing_data(listing: Listing) -> dict[str, Any]:
    return {
        "database": listing.alias,
        "engine": listing.title,
        "zone": listing.zone.key,
        "total": listing.total,
        "deployments": [
            {
                "number": listed.number,
                "start": stamp(listed.deployment.start),
                "end": stamp(listed.deployment.end),
                "in_zone": listed.deployment.start.astimezone(listing.zone).isoformat(),
                "releases": list(listed.deployment.releases),
                "guessed": listed.deployment.guessed,
                "migrations": [str(row.key) for row in listed.deployment.records],
                "marks": list(listed.marks),
                "can_be_rolled_back": not listed.blockers,
                "blockers": [{"id": found.id, "about": found.about, "text": found.text} for found in listed.blockers],
                "command": _back_before(listed, listing),
            }
            for listed in listing.listed
        ],
        "rolled_back": [
            {
                "start": stamp(gone.deployment.start),
                "end": stamp(gone.deployment.end),
                "releases": list(gone.deployment.releases),
                "migrations": [str(row.key) for row in gone.deployment.records],
                "rollback": gone.run.number,
                "applied_again": [str(key) for key in gone.again],
            }
            for gone in listing.rolled_back
        ],
    }
