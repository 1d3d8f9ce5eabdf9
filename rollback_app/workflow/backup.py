"""The backup before a run: by which way, whether it can be taken, and taking it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from django.apps import apps

from rollback_app import backup as backups
from rollback_app import conf
from rollback_app import database as databases
from rollback_app.backup import BackupFailed, Way
from rollback_app.database import Database
from rollback_app.errors import RollbackError, UsageError
from rollback_app.executor import Progress
from rollback_app.history import Backup
from rollback_app.planner import Plan
from rollback_app.safety import BackupFirst, Preview

_HINT = (
    'Name one in the settings, ROLLBACK["BACKUP"], or install django-dbbackup, and add "dbbackup" to INSTALLED_APPS: '
    "pip install rollback-app[backup]"
)


def way_of(*, wanted: bool | None) -> Way | None:
    """The way by which a run takes a backup first, if it does. wanted: None, if the settings alone decide.

    Errors: UsageError, if the settings name none, or one that there is not.
    """
    setting, restore = conf.backup()
    if wanted is False or (wanted is None and setting is None):
        return None
    if setting is None:
        if not apps.is_installed("dbbackup"):
            raise UsageError("--backup: no way to take a backup is named.", hint=_HINT)
        setting = "dbbackup"
    if problem := backups.problem(setting):
        raise UsageError(f"ROLLBACK['BACKUP'] {problem}.", hint="Fix it in the settings, or add --no-backup.")
    return backups.way(setting, restore)


def planned(database: Database, way: Way | None, plan: Plan) -> BackupFirst | None:
    """What a plan says of it."""
    if way is None or plan.empty:
        return None
    if why_not := way.why_not(database):
        return BackupFirst(way.name, why_not=why_not)
    return BackupFirst(way.name, way.size(database), way.free())


def take_all(previews: Sequence[Preview], progress: Progress) -> dict[str, Backup]:
    """Take the backups of all databases, before the first of them is changed. By alias.

    Errors: BackupFailed.
    """
    found: dict[str, Backup] = {}
    for looked_at in previews:
        way = way_of(wanted=True) if looked_at.backup else None
        if way and looked_at.backup:
            progress.backing_up(looked_at.alias, looked_at.backup)
            found[looked_at.alias] = _take(way, looked_at, progress)
            progress.backed_up(found[looked_at.alias])
    return found


def _take(way: Way, looked_at: Preview, progress: Progress) -> Backup:
    plan = looked_at.plan
    newest = max(plan.deleted, key=lambda record: record.applied, default=None)
    try:
        return backups.take(way, databases.get(looked_at.alias), plan.basis.records, newest)
    except BackupFailed:
        progress.broke_off()
        raise


@contextmanager
def with_the_way_back(taken: Mapping[str, Backup]) -> Iterator[None]:
    """Whatever goes wrong inside, the error tells of the backups."""
    try:
        yield
    except RollbackError as error:
        error.hint += "".join(f"\n{line}" for alias, backup in taken.items() for line in _way_back(alias, backup))
        raise


def _way_back(alias: str, backup: Backup) -> Iterator[str]:
    name = f": {backup.name}" if backup.name else ""
    yield f"A backup of {alias} was taken before, by {backup.way}{name}"
    if backup.restore:
        yield "If you need what was there before, this restores it:"
        yield f"  {backup.restore}"
