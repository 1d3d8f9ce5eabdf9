"""Receivers of pre_migrate and post_migrate are others' code in the middle of a run: what one breaks stays its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connections, transaction
from django.db.models.signals import post_migrate, pre_migrate

from rollback_app import workflow
from rollback_app.executor import Progress, StepFailed
from tests.support.databases import Database
from tests.support.history import deploy, keys
from tests.support.projects import Project
from tests.support.schema import everything

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.CharField(max_length=9))])'
LATE = 'migrations.AddField("T", "note", models.IntegerField(null=True))'
THEN = "The older release's next migrate runs its own."

transactional = pytest.mark.databases("sqlite", "postgresql")
modes = pytest.mark.parametrize("step_by_step", [False, True])


@pytest.fixture
def shop(database: Database, project: Project) -> Database:
    """A column that goes, which receivers ask for."""
    project(a={"0001_t": T}, with_contrib=True)
    deploy(database.alias, DAY_1)
    project(a={"0001_t": T, "0002_note": LATE}, with_contrib=True)
    deploy(database.alias, DAY_2)
    return database


class Warned(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def warned(self, text: str) -> None:
        self.texts.append(text)


@contextmanager
def connected(signal: Any, *receivers: Callable[..., Any]) -> Iterator[None]:
    """For one app, as most projects do it."""
    sender = apps.get_app_config("a")
    for receiver in receivers:
        signal.connect(receiver, sender=sender)
    try:
        yield
    finally:
        for receiver in receivers:
            signal.disconnect(receiver, sender=sender)


def run(database: Database, *, step_by_step: bool = False, **options: Any) -> list[str]:
    """The warnings of a run."""
    warned = Warned()
    previews = workflow.preview(DAY_2.isoformat(), using=[database.alias], step_by_step=step_by_step)
    workflow.roll_back(previews, destroy_data=True, progress=warned, **options)
    assert ("a", "0002_note") not in keys(database.alias)
    return warned.texts


def execute(alias: str, sql: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


def count(database: Database, model: str) -> int:
    return ContentType.objects.using(database.alias).filter(model=model).count()


# What others have written


def newer_models(using: str, **signal: Any) -> None:
    """With a column of today's models, after something of its own."""
    ContentType.objects.using(using).create(app_label="a", model="half")
    execute(using, "SELECT note FROM a_t")


def catches_its_error(using: str, **signal: Any) -> None:
    ContentType.objects.using(using).create(app_label="a", model="half")
    with suppress(DatabaseError):
        execute(using, "SELECT note FROM a_t")


def swallows_in_a_savepoint(using: str, **signal: Any) -> None:
    """Which leaves the transaction as it was: nothing is wrong with it."""
    try:
        with transaction.atomic(using=using):
            execute(using, "SELECT note FROM a_t")
    except DatabaseError:
        ContentType.objects.using(using).create(app_label="a", model="whole")


def spoils(using: str, **signal: Any) -> None:
    if connections[using].in_atomic_block:
        transaction.set_rollback(True, using=using)


def raises_its_own(**signal: Any) -> None:
    raise LookupError("no shop")


async def waits(using: str, **signal: Any) -> None:
    raise LookupError("no shop, awaited")


class Caller:
    def __call__(self, **signal: Any) -> None:
        raise LookupError("no caller")


def looks_last(using: str, **signal: Any) -> None:
    ContentType.objects.using(using).create(app_label="a", model="last")


@modes
@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        (newer_models, "newer_models (app a), a receiver of post_migrate, failed: "),
        (raises_its_own, "raises_its_own (app a), a receiver of post_migrate, failed: LookupError: no shop."),
        (waits, "waits (app a), a receiver of post_migrate, failed: LookupError: no shop, awaited."),
        (Caller(), "Caller (app a), a receiver of post_migrate, failed: LookupError: no caller."),
    ],
    ids=["newer models", "its own error", "asynchronous", "an object"],
)
def test_one_that_raises_is_a_warning(
    shop: Database, receiver: Callable[..., Any], words: str, step_by_step: bool
) -> None:
    """And those after it run."""
    with connected(post_migrate, receiver, looks_last):
        (warning,) = run(shop, step_by_step=step_by_step)
    assert warning.startswith(f"tests.database.test_receivers.{words}")
    assert warning.endswith(f"run goes on. {THEN}")
    assert count(shop, "last") == 1
    together = shop.vendor != "mariadb" and not step_by_step
    assert ("Its changes were rolled back" in warning) is together
    assert count(shop, "half") == (0 if together or receiver is not newer_models else 1)  # as after migrate


@modes
def test_one_that_catches_its_error(shop: Database, step_by_step: bool) -> None:
    """PostgreSQL's transaction takes no more statements then; elsewhere nothing is wrong."""
    with connected(post_migrate, catches_its_error, looks_last):
        warnings = run(shop, step_by_step=step_by_step)
    assert count(shop, "last") == 1
    if shop.vendor == "postgresql" and not step_by_step:
        assert len(warnings) == 1
        assert 'left the transaction broken (column "note" does not exist)' in warnings[0]
        assert count(shop, "half") == 0
    else:
        assert warnings == []
        assert count(shop, "half") == 1


@modes
def test_one_that_catches_its_error_in_a_savepoint_is_fine(shop: Database, step_by_step: bool) -> None:
    with connected(post_migrate, swallows_in_a_savepoint):
        assert run(shop, step_by_step=step_by_step) == []
    assert count(shop, "whole") == 1


@transactional
@pytest.mark.parametrize("signal", [pre_migrate, post_migrate], ids=["pre_migrate", "post_migrate"])
def test_one_after_which_all_can_only_be_undone(shop: Database, signal: Any) -> None:
    with connected(signal, spoils, looks_last):
        (warning,) = run(shop)
    assert "spoils (app a), a receiver of" in warning
    assert "left the transaction broken. Its changes were rolled back" in warning
    assert count(shop, "last") == 1


@pytest.mark.databases("postgresql")
def test_one_of_pre_migrate_that_catches_its_error(shop: Database) -> None:
    def catches(using: str, **signal: Any) -> None:
        with suppress(DatabaseError):
            execute(using, "SELECT nothing FROM a_t")

    with connected(pre_migrate, catches):
        (warning,) = run(shop)
    assert "a receiver of pre_migrate, left the transaction broken" in warning


@modes
def test_one_of_pre_migrate_that_raises_stops_the_run(shop: Database, step_by_step: bool) -> None:
    before = everything(shop.connection, ["rollback_app_run"])
    with connected(pre_migrate, raises_its_own), pytest.raises(StepFailed) as failure:
        run(shop, step_by_step=step_by_step)
    name = "tests.database.test_receivers.raises_its_own (app a), a receiver of pre_migrate"
    assert f"The rollback failed, in {name}: LookupError: no shop" in failure.value.message
    assert everything(shop.connection, ["rollback_app_run"]) == before


@transactional
def test_in_a_rehearsal(shop: Database) -> None:
    before = everything(shop.connection)
    warned = Warned()
    with connected(post_migrate, newer_models):
        ((_, rehearsal),) = workflow.rehearse(workflow.preview(DAY_2.isoformat(), using=[shop.alias]), progress=warned)
    assert len(rehearsal.steps) == 1
    assert "newer_models (app a), a receiver of post_migrate, failed" in warned.texts[0]
    assert everything(shop.connection) == before


def test_for_each_app_as_django_sends_it(shop: Database) -> None:
    """A receiver without a sender is called for each app with models, with what migrate gives it."""
    seen: list[tuple[str, bool, int, str]] = []

    def receiver(app_config: Any, sender: Any, interactive: bool, verbosity: int, using: str, **rest: Any) -> None:
        assert sender is app_config
        rest["stdout"].write("this goes nowhere")
        assert [(str(migration), backwards) for migration, backwards in rest["plan"]] == [("a.0002_note", True)]
        assert rest["apps"].get_model("a", "T")
        seen.append((app_config.label, interactive, verbosity, using))
        if app_config.label == "b":
            raise LookupError("in b alone")

    post_migrate.connect(receiver)
    try:
        (warning,) = run(shop)
    finally:
        post_migrate.disconnect(receiver)
    models = [config.label for config in apps.get_app_configs() if config.models_module]
    assert seen == [(label, False, 0, shop.alias) for label in models]
    assert ".<locals>.receiver (app b)" in warning


@transactional
@pytest.mark.parametrize("raises", [False, True])
def test_one_that_commits_is_not_taken_for_rolled_back(shop: Database, raises: bool) -> None:
    """Its savepoint is gone: the run does not go on as if nothing had happened."""

    def commits(using: str, **signal: Any) -> None:
        execute(using, "COMMIT")
        if raises:
            raise LookupError("and raises")

    with (
        connected(post_migrate, commits),
        pytest.raises(StepFailed, match="commits .app a., a receiver of post_migrate"),
    ):
        run(shop)


@transactional
def test_one_that_closes_the_connection_fails_the_run(shop: Database) -> None:
    before = everything(shop.connection, ["rollback_app_run"])

    def closes(using: str, **signal: Any) -> None:
        connections[using].close()

    with connected(post_migrate, closes), pytest.raises(StepFailed, match="closes .app a., a receiver of post_migrate"):
        run(shop)
    assert everything(shop.connection, ["rollback_app_run"]) == before


@pytest.mark.parametrize("step_by_step", [True])
def test_one_that_switches_autocommit_off(shop: Database, step_by_step: bool) -> None:
    """Its own change is not committed, and what comes after it is."""

    def switches(using: str, **signal: Any) -> None:
        connections[using].set_autocommit(False)
        ContentType.objects.using(using).create(app_label="a", model="half")

    with connected(post_migrate, switches, looks_last):
        assert run(shop, step_by_step=step_by_step) == []
    shop.connection.close()
    assert (count(shop, "half"), count(shop, "last")) == (0, 1)


@transactional
def test_what_waits_for_the_commit_is_called_after_it(shop: Database) -> None:
    called: list[str] = []

    def good(using: str, **signal: Any) -> None:
        transaction.on_commit(
            lambda: called.append("good" if not connections[using].in_atomic_block else "early"), using
        )

    def bad(using: str, **signal: Any) -> None:
        transaction.on_commit(lambda: called.append("bad"), using)
        raise LookupError

    with connected(post_migrate, good, bad):
        run(shop)
    assert called == ["good"]
