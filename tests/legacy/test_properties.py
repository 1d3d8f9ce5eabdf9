"""Over generated histories: right, or silent with the reason. Each command is run by Django itself."""

from __future__ import annotations

import shlex
from datetime import timezone

from django.core.management import call_command
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from hypothesis import HealthCheck, event, given, note, settings

from rollback_app import planner
from rollback_app.history import Code, Cut, Record
from rollback_app.history import Key as CodeKey
from rollback_app.legacy import standalone
from rollback_app.moments import Moment
from tests.legacy.histories import History, described, histories
from tests.legacy.rows import ask
from tests.support.databases import Database
from tests.support.history import Key
from tests.support.projects import Project

PROPERTY = settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def run(database: Database, app: str, target: str) -> None:
    call_command("migrate", app, target, database=database.alias, verbosity=0, interactive=False)


def set_up(history: History, project: Project, database: Database) -> None:
    for line in described(history):
        note(line)
    history.set_up(project, database)


@PROPERTY
@given(history=histories())
def test_the_statement_is_right_or_silent(database: Database, project: Project, history: History) -> None:
    set_up(history, project, database)
    lines = ask(database, Moment("", history.moment, timezone.utc, "UTC"))
    for line in lines:
        note(line)
    given_up = {line[2:].split(":")[0] for line in lines if line.startswith("#")}
    early, late = history.early(), history.late()
    ready = [shlex.split(line)[3:5] for line in lines if not line.startswith("#")]

    for app, target in ready:
        run(database, app, target)

    left = history.left(database)
    assert left >= early, "never something older, and never forwards"
    assert left <= early | {key for key in late if key[0] in given_up}
    assert {app for app, _ in ready} | given_up >= {app for app, _ in late}
    assert not given_up & history.linear, "not silent about what is numbered in a line"
    event(f"{len(ready)} commands, {len(given_up)} comments")


@PROPERTY
@given(history=histories())
def test_the_standalone_file_is_exact(database: Database, project: Project, history: History) -> None:
    set_up(history, project, database)
    found = standalone.Project(database.connection, history.moment)
    commands = found.commands()
    for line in [*map(str, commands), *found.remarks]:
        note(line)

    for app, target in commands:
        run(database, app, target)

    told = {tuple(remark.split(":")[0].split(".")) for remark in found.remarks}
    left, early = history.left(database), history.early()
    assert left >= early
    whole = {key for key in left - early if key in told}
    in_squashes = {app for app, name in told & history.notes}
    assert all(key in whole or key[0] in in_squashes for key in left - early)
    if not told:
        assert left == early


@PROPERTY
@given(history=histories())
def test_the_commands_of_a_plan_are_what_django_does(database: Database, project: Project, history: History) -> None:
    """--format commands: simulated with Django's own executor, one command after the other."""
    set_up(history, project, database)
    rows = [Record(number, CodeKey(*key), applied) for number, (key, applied) in enumerate(history.rows, 1)]
    loader = MigrationLoader(None, load=False, replace_migrations=False)
    loader.load_disk()
    plan = planner.plan(Code.of(loader.disk_migrations.values(), loader.unmigrated_apps), rows, Cut(history.moment))
    commands = planner.migrate_commands(plan)
    note(repr(commands))
    wanted = [tuple(step.key) for step in plan.steps]
    if commands.why_not:
        assert commands.targets == ()
        event("no commands")
    else:
        undone = simulated(database, commands.targets)
        assert sorted(undone) == sorted(wanted)
        event(f"{len(commands.targets)} commands")


def simulated(database: Database, commands: tuple[tuple[str, str], ...]) -> list[Key]:
    """What Django would undo for these, in order."""
    undone: list[Key] = []
    for app, target in commands:
        executor = MigrationExecutor(database.connection)
        for key in undone:
            del executor.loader.applied_migrations[key]
        for migration, backwards in executor.migration_plan([(app, None if target == "zero" else target)]):
            assert backwards
            undone.append((migration.app_label, migration.name))
    return undone
