"""Which steps of earlier rollbacks were applied again since."""

from __future__ import annotations

from datetime import datetime, timedelta

from rollback_app.history import Outcome, Record, Run, with_applied_again
from tests.support.plain import NOON, key, keys

SECOND = timedelta(seconds=1)


def run(started: datetime, *unapplied: str, done: int | None = None) -> Run:
    """A run that unapplied these, or only the first of them."""
    return Run(
        number=1,
        outcome=Outcome.FINISHED,
        started=started,
        finished=started,
        operator="",
        host="",
        command="",
        moment=None,
        digest="",
        release="",
        steps=tuple((name, NOON - timedelta(days=9)) for name in keys(*unapplied)),
        steps_done=len(unapplied) if done is None else done,
        one_transaction=True,
        seconds=0.0,
        error="",
    )


def again(runs: list[Run], *records: tuple[str, datetime], precision: timedelta = timedelta()) -> list[list[str]]:
    """For each run, newest first."""
    rows = [Record(number, key(name), applied) for number, (name, applied) in enumerate(records)]
    return [sorted(map(str, each.again)) for each in with_applied_again(runs, rows, precision)]


def test_what_has_a_record_newer_than_the_run_was_applied_again() -> None:
    undid = run(NOON, "a.2", "a.1")
    assert again([undid], ("a.1", NOON + SECOND)) == [["a.1"]]
    assert again([undid], ("a.1", NOON + SECOND), ("a.2", NOON + SECOND), ("b.1", NOON + SECOND)) == [["a.1", "a.2"]]


def test_what_was_not_applied_again_or_is_older_was_not() -> None:
    undid = run(NOON, "a.2", "a.1")
    assert again([undid]) == [[]]
    assert again([undid], ("a.1", NOON - SECOND)) == [[]]  # kept by a backup that was restored
    assert again([undid], ("a.1", NOON)) == [[]]


def test_times_that_are_stored_in_whole_seconds() -> None:
    undid = run(NOON + timedelta(milliseconds=400), "a.1")
    assert again([undid], ("a.1", NOON)) == [[]]
    assert again([undid], ("a.1", NOON), precision=SECOND) == [["a.1"]]


def test_a_step_that_was_not_done_cannot_be_applied_again() -> None:
    assert again([run(NOON, "a.2", "a.1", done=1)], ("a.1", NOON + SECOND), ("a.2", NOON + SECOND)) == [["a.2"]]
    assert again([run(NOON, "a.1", done=0)], ("a.1", NOON + SECOND)) == [[]]


def test_what_a_later_run_has_unapplied_once_more_had_been_applied_again() -> None:
    newest, middle, oldest = run(NOON + 2 * SECOND, "a.2"), run(NOON + SECOND, "a.3"), run(NOON, "a.3", "a.2", "a.1")
    assert again([newest, middle, oldest]) == [[], [], ["a.2", "a.3"]]


def test_none() -> None:
    assert again([]) == []
