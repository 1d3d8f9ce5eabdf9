"""Looking at what could be done, without doing it: a rollback, and the deployments to go back to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from django.db import DEFAULT_DB_ALIAS

from rollback_app import conf, kept, moments, planner, project, safety
from rollback_app import database as databases
from rollback_app.bookkeeping import (
    Journal,
    recorded_deployments,
)
from rollback_app.database import Timeouts
from rollback_app.executor import old_objects_aside
from rollback_app.history import Cut
from rollback_app.history import deployments as grouped
from rollback_app.moments import Moment
from rollback_app.packages import Package
from rollback_app.planner import Choices
from rollback_app.safety import Keeping, Listed, Listing, Preview, marks, rolled_back

from .backup import planned, way_of
from .objects import Recorded
from .once import Once
from .reading import code as read_code
from .reading import finder, plan_for, reading, zone_name
from .verdict import verdict_of

KEEPING = Keeping()


@old_objects_aside()
def preview(
    moment: str | Moment,
    *,
    using: Sequence[str] = (DEFAULT_DB_ALIAS,),
    zone: str | None = None,
    choices: Choices = planner.NO_CHOICES,
    step_by_step: bool = False,
    count: bool = True,
    timeouts: Timeouts | None = None,
    keeping: Keeping = KEEPING,
    puts_back: bool = True,
    reason: str = "",
    package: Package | None = None,
    backup: bool | None = None,
    text_of: Callable[[str], str] = project.text_of,
    once: Once | None = None,
) -> list[Preview]:
    """What going back to the moment would do to each database; changes nothing.

    moment: as `moments.parse` reads it, in `zone` (an IANA name; the project's TIME_ZONE without one) if it has no offset; or
    another kind of moment, as `kinds.KINDS` has them, looked up in each database by itself.
    count: look at live rows to tell what would be lost; without it every drop counts as a loss, unless it is kept. keeping:
    what the run keeps of what it drops. puts_back: will it put back what a `migrate` has kept?
    reason: why it is done, for whom it concerns later. package: what to load the late migrations from that this code lacks.
    backup: does the run take a backup first? None, if the settings decide. text_of: gives what the file of a manifest holds.

    Errors: UsageError, DatabaseUnusable, CodeUnusable.
    """
    now = datetime.now(timezone.utc)
    find, way = finder(moment, zone, now, choices.gap, text_of), way_of(wanted=backup)
    found = []
    for alias in dict.fromkeys(using):
        database = databases.get(alias, timeouts or Timeouts())
        one_transaction = database.can_undo_ddl and not step_by_step
        with reading(database):
            code = read_code(database, package, once)
            here = find(database, code)
            plan = plan_for(database, code, here, replace(choices, floor=conf.floor()), once)
            waiting = kept.waiting(database) if puts_back and conf.puts_back() else []
            backs = tuple(safety.backs(plan.steps, waiting))
            findings, things, recorded = safety.judge(
                plan,
                database,
                one_transaction=one_transaction,
                count=count,
                keeping=keeping,
                recorded=Recorded(database).for_plan(plan),
                backs=backs,
            )
            verdict, first = verdict_of(plan, database), planned(database, way, plan)
        findings = (*safety.cannot_back_up(first), *findings)
        looked_at = Preview(alias, database.title, here, plan, findings, one_transaction, now, things, verdict, reason)
        looked_at = replace(looked_at, recorded=recorded, backs=backs, backup=first, backup_line=database.backup_line())
        found.append(looked_at)
    return found


def deployments(
    alias: str = DEFAULT_DB_ALIAS,
    *,
    gap: timedelta = planner.DEFAULT_GAP,
    zone: str | None = None,
    limit: int | None = None,
    since: str | None = None,
    count: bool = True,
    skip: int = 0,
    judged: bool = True,
) -> Listing:
    """The deployments of a database, newest first, each with the blockers of a rollback to before it; changes nothing.

    limit: so many of the newest, after the first `skip`. since: those that ended at or after it, as `moments.parse` reads it.
    count: look at live rows, as a plan does. judged: without it no plan is made, so that there are no blockers and no marks.

    Errors: UsageError, DatabaseUnusable, CodeUnusable.
    """
    now = datetime.now(timezone.utc)
    local = moments.zone_named(zone_name(zone))
    after = moments.parse(since, default_zone=zone_name(zone), now=now).at if since is not None else None
    database = databases.get(alias)
    with reading(database):
        code = read_code(database)
        rows, recorded, precision = database.records(), recorded_deployments(database), database.precision()
        groups, position = grouped(rows, gap, recorded, precision), Journal(database).position()
        objects = Recorded(database)
        chosen = [group for group in reversed(groups) if after is None or group.end >= after][skip:][:limit]
        found = []
        for number, group in enumerate(chosen, skip + 1):
            cut, choices = Cut(group.start, precision), Choices(gap=gap)
            if not judged:
                found.append(Listed(number, cut.to_paste(rows), group, (), ()))
                continue
            plan = planner.plan(code, rows, cut, choices, database.names(), position, recorded)
            blockers = safety.blockers(
                plan,
                database,
                one_transaction=database.can_undo_ddl,
                count=count,
                recorded=objects.for_plan(plan),
            )
            found.append(Listed(number, cut.to_paste(rows), group, marks(group, plan), blockers))
        gone = rolled_back(Journal(database).records(), rows, gap, recorded, precision)
    oldest = after if after or not chosen or chosen[-1] is groups[0] else chosen[-1].start
    shown = tuple(each for each in gone if oldest is None or each.deployment.start >= oldest)
    return Listing(alias, database.title, local, gap, tuple(found), shown, len(groups), now)
