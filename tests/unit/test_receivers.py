"""What Django's signals around `migrate` lead to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from django.db.migrations import Migration
from django.db.models.signals import post_migrate, pre_migrate

from rollback_app import receivers

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

FORWARD: list[tuple[Migration, bool]] = [(Migration("0001_t", "a"), False)]
BACKWARD = [(Migration("0001_t", "a"), True)]


class Remembering(receivers.Recorder):
    """Keeps what would be written to the database."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[tuple[str, str]] = []

    def end(self, alias: str) -> None:
        if alias in self.begun:
            self.ended.append((alias, self.begun.pop(alias)[1]))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Remembering:
    settings.ROLLBACK = {"RELEASE": "2.1"}
    found = Remembering()
    monkeypatch.setattr(receivers, "_RECORDER", found)
    return found


def migrates(plan: list[Any], *, apps: int = 3, using: str = "default") -> None:
    """As Django sends them: once for each app, the plan the same object."""
    for _ in range(apps):
        receivers.began(using=using, plan=plan)
    for _ in range(apps):
        receivers.ended(using=using)


def test_a_migrate_is_one_deployment_however_many_apps_there_are(recorder: Remembering) -> None:
    migrates(FORWARD)
    migrates(list(FORWARD), using="other")
    assert recorder.ended == [("default", "2.1"), ("other", "2.1")]


def test_a_rollback_and_nothing_to_do_are_none(recorder: Remembering) -> None:
    migrates(BACKWARD)
    migrates([])
    receivers.ended(using="default")
    assert recorder.ended == []


def test_a_migrate_that_fails_is_forgotten_with_the_next(recorder: Remembering, settings: Settings) -> None:
    receivers.began(using="default", plan=FORWARD)
    settings.ROLLBACK = {"RELEASE": "2.2"}
    migrates(list(FORWARD))
    assert recorder.ended == [("default", "2.2")]
    receivers.began(using="default", plan=list(FORWARD))
    migrates(BACKWARD)
    assert recorder.ended == [("default", "2.2")]


def test_nothing_is_recorded_where_that_is_switched_off(recorder: Remembering, settings: Settings) -> None:
    settings.ROLLBACK = {"RECORD": False}
    migrates(FORWARD)
    assert recorder.ended == []


@pytest.mark.parametrize("release", [5, "a\nb", "x" * 201, lambda: 1 / 0, "no.such.module"])
def test_a_wrong_release_is_a_warning(
    recorder: Remembering, settings: Settings, caplog: pytest.LogCaptureFixture, release: object
) -> None:
    settings.ROLLBACK = {"RELEASE": release}
    with caplog.at_level(logging.WARNING):
        migrates(FORWARD)
    assert recorder.ended == [("default", "")]
    (record,) = caplog.records
    assert record.getMessage().startswith("The deployment is recorded without its release. ")


def test_django_calls_each_once() -> None:
    receivers.connect()  # as when the apps are ready, for the second time
    for signal, name in ((pre_migrate, "rollback_app.began"), (post_migrate, "rollback_app.ended")):
        assert [entry[0][0] for entry in signal.receivers].count(name) == 1
