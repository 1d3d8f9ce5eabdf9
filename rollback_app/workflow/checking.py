"""Can each new migration be rolled back? What is new, and what the checks find."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from django.apps import apps as installed
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS
from django.db.migrations import Migration

from rollback_app import checking, conf, git, project, trials
from rollback_app import database as databases
from rollback_app.checking import Finding, Looked, Severity, Source
from rollback_app.compatibility import Answer, Does
from rollback_app.database import Database, first_line
from rollback_app.errors import CodeUnusable, DatabaseUnusable, RollbackError, UsageError, shown
from rollback_app.history import Code, Key
from rollback_app.moments import manifest
from rollback_app.planner import Names, Plan
from rollback_app.processes import in_processes
from rollback_app.trials import Seeder, Trials

from .reading import code as code_for
from .reading import reading
from .verdict import verdict_of


@dataclass(frozen=True)
class Trial:
    """How migrations are tried. keepdb: use the test database that is there, and leave it there. worker: a name for the process,
    if several do so at once. compatible: is it demanded that the older release can run on the newer schema? processes: how many
    try them at once, each on a test database of its own."""

    keepdb: bool = False
    compatible: bool = False
    worker: str = ""
    processes: int = 1


@dataclass(frozen=True)
class _Part:
    """Which of the chosen migrations a process tries; that of the last ones also looks at the older release. Not what is known of
    them, which cannot be sent to it."""

    keys: Collection[Key]
    is_last: bool
    known: Collection[Key]
    chosen: Collection[Key]
    using: str
    trial: Trial


@dataclass(frozen=True)
class Checked:
    """What a check found. new_to: what the migrations are new to, in words that end a sentence; empty, if all were checked.
    checked: their names, in the order in which they are applied. findings: by migration, in the same order. accepted: how many
    findings the baseline knows."""

    new_to: str
    checked: tuple[str, ...]
    findings: tuple[Finding, ...]
    accepted: int = 0


def check_rollback(
    apps: Collection[str] = (),
    *,
    since: str | None = None,
    base: str | None = None,
    everything: bool = False,
    baseline: str | None = None,
    trial: Trial | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Checked:
    """Read the migrations that are new, and tell what would keep a rollback from undoing them, or what it would lose.

    apps: only those of these apps, and these migrations, as `app.name`. New is what the manifest of an older release lacks
    (since: `manifest:FILE`), what git has added since a commit (base), all (everything), or else what is not applied to the
    database; all, if there is none. baseline: a file with the findings that are known. trial: also try them, on a test
    database.

    Errors: UsageError, CodeUnusable; with a trial also DatabaseUnusable, CannotApply, ProcessEnded.
    """
    accepted = checking.read_baseline(project.text_of(baseline), baseline) if baseline else None
    database = databases.get(using)
    code = code_for(database)
    _check_named(apps, code)
    known, new_to = _known(code, database, since=since, base=base, everything=everything)
    names = _names(database)
    plan = _plan(code, known, names)
    chosen = {
        step.key
        for step in plan.steps
        if step.key not in known and (not apps or {step.key.app, str(step.key)} & {*apps})
    }
    looked = _looked(plan, chosen, names)
    tried = _tried(plan, looked, known, using, trial) if trial and looked else {}
    found = [finding for each in looked for finding in (*checking.read_through(each), *tried.get(each.step.key, ()))]
    left = found if accepted is None else checking.without(found, accepted)
    return Checked(new_to, tuple(str(each.step.key) for each in looked), tuple(left), len(found) - len(left))


def _tried(
    plan: Plan, looked: list[Looked], known: Collection[Key], using: str, trial: Trial
) -> dict[Key, list[Finding]]:
    """Errors: DatabaseUnusable, CannotApply, CodeUnusable, ProcessEnded."""
    keys = [each.step.key for each in looked]
    parts = trials.parts(keys, min(trial.processes, len(keys)))
    if len(parts) == 1:
        return _tried_part(plan, looked, _Part(keys, True, known, keys, using, trial))
    work = [
        _Part(part, part is parts[-1], known, keys, using, replace(trial, worker=f"{trial.worker}_{number}"))
        for number, part in enumerate(parts, 1)
    ]
    found: dict[Key, list[Finding]] = {}
    with trials.for_processes(using, [part.trial.worker for part in work], keepdb=trial.keepdb):
        for each in in_processes(_in_process, work):
            for key, findings in each.items():
                found.setdefault(key, []).extend(findings)
    return found


def _in_process(part: _Part) -> dict[Key, list[Finding]]:
    """Reads all again."""
    database = databases.get(part.using)
    names = _names(database)
    plan = _plan(code_for(database), part.known, names)
    looked = _looked(plan, part.chosen, names)
    return _tried_part(plan, looked, replace(part, trial=replace(part.trial, keepdb=True)))


def _tried_part(plan: Plan, looked: list[Looked], part: _Part) -> dict[Key, list[Finding]]:
    """Errors: DatabaseUnusable, CannotApply, CodeUnusable."""
    trial, using = part.trial, part.using
    try:
        seeder = Seeder(using, conf.seed())
    except ImproperlyConfigured as error:
        raise CodeUnusable(str(error), hint="Fix it in the settings.") from error
    mine = [each for each in looked if each.step.key in part.keys]
    with trials.on_test_database(using, keepdb=trial.keepdb, worker=trial.worker):
        database = databases.get(using)
        with Trials(database, plan, mine, seeder).started(kept=trial.keepdb) as tried:
            if not part.is_last:
                return dict(islice(tried, len(mine)))  # what comes after them is not applied
            found = dict(tried)
            if plan.stays.migrations:
                for key, finding in _of_older(plan, looked, database, demanded=trial.compatible):
                    found.setdefault(key, []).append(finding)
            return found


def _of_older(plan: Plan, looked: list[Looked], database: Database, *, demanded: bool) -> Iterator[tuple[Key, Finding]]:
    """Could the older release run on the newer schema, as it does during a deploy, and after a rollback of the code alone?"""
    verdict = verdict_of(plan, database)
    for table in verdict.tables if verdict else ():
        if table.worst is Answer.NO:
            about = [each for each in looked if _touches(each, table.table)] or looked
            fails = ", ".join(does.value for does in Does if table.answer(does) is Answer.NO)
            text = (
                f"{about[-1].step.key}: the older release cannot run beside it, as it has to during the deploy: {table.table}: "
                f"{fails} fail. {' '.join(table.because)}"
            )
            bridge = "".join(f" Or run by hand: {sql}" for sql in table.bridge)
            hint = f"Make it in two releases: first what both can live with, then the rest.{bridge}"
            wanted = demanded or about[-1].declared.get("breaking") is False
            severity = Severity.ERROR if wanted else Severity.WARNING
            yield about[-1].step.key, replace(about[-1].finding("rollback.C020", text, hint), severity=severity)


def _touches(looked: Looked, table: str) -> bool:
    return any(table in (effect.table, effect.touches, effect.renamed_to) for effect in looked.step.effects)


def _check_named(names: Collection[str], code: Code) -> None:
    labels = [config.label for config in installed.get_app_configs()]
    migrations = list(map(str, code.migrations))
    for name in names:
        known, what = (migrations, "migration") if "." in name else (labels, "app")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
            hint = f"Did you mean {' or '.join(near)}?" if near else "Give the label of an app in INSTALLED_APPS."
            raise UsageError(f"There is no {what} '{shown(name)}'.", hint=hint)


def _known(
    code: Code, database: Database, *, since: str | None, base: str | None, everything: bool
) -> tuple[Collection[Key], str]:
    """(what the older release has, what to call it)."""
    if since is not None:
        kind, _, name = since.partition(":")
        if kind != "manifest" or not name:
            raise UsageError(
                f"'{shown(since)}' does not name an older release.",
                hint="Give manifest:FILE, with what `migrationmanifest` prints there.",
            )
        return manifest.read(project.text_of(name), f"'{shown(name)}'"), f"the release of {shown(name)}"
    if base is not None:
        new = git.new_files(base)
        keys = [key for key, migration in code.migrations.items() if project.file_of(migration) not in new]
        return frozenset(keys), shown(base)
    if not everything:
        try:
            with reading(database):
                return frozenset(record.key for record in database.records()), database.title
        except DatabaseUnusable:
            pass  # there is none yet, as in most jobs of a CI
    return frozenset(), ""


def _names(database: Database) -> Names:
    """How things are named there, as far as the settings tell: nothing is asked of the database."""
    return replace(database.names(), canonical=lambda name: name.strip('"`'))


def _plan(code: Code, known: Collection[Key], names: Names) -> Plan:
    with _errors_of_code():
        found = checking.plan_of(code, known, names)
    for torn in found.obstacles.torn:
        raise CodeUnusable(
            f"Of what the squash migration {torn.squash} replaces some is new, and the file of {torn.missing[0]} is gone.",
            hint="Restore that file, or give --all.",
        )
    return found


def _looked(plan: Plan, chosen: Collection[Key], names: Names) -> list[Looked]:
    kept, required = conf.keeps_dropped(), conf.required()
    with _errors_of_code():
        found = checking.looked_at(plan, chosen, names, _source_of, kept=kept, required=required)
        return list(found)


def _source_of(migration: Migration) -> Source:
    return Source(*project.source_of(migration))


@contextmanager
def _errors_of_code() -> Iterator[None]:
    """Errors: CodeUnusable, for what an operation raises that does not fit the models before it; it may be anything."""
    try:
        yield
    except RollbackError:
        raise
    except Exception as error:
        raise CodeUnusable(
            f"The migrations cannot be read one after the other: {type(error).__name__}: {first_line(error)}",
            hint="Make 'python manage.py migrate' work on an empty database first.",
        ) from error
