"""How often, after which errors, and after what pauses something is tried again."""

from __future__ import annotations

import pytest

from rollback_app.errors import DatabaseUnusable, Locked, RollbackError
from rollback_app.executor import Retries, StepFailed


class Attempts:
    """Fails with these errors, one after the other, and then returns how often it was called."""

    def __init__(self, *errors: RollbackError) -> None:
        self.errors, self.count = list(errors), 0

    def __call__(self) -> int:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.count


def locked(number: int) -> Attempts:
    return Attempts(*(Locked("Somebody is at it.\nMore.") for _ in range(number)))


def test_without_retries_the_error_is_that_of_the_only_attempt() -> None:
    attempts = locked(1)
    with pytest.raises(Locked):
        Retries().run(attempts)
    assert attempts.count == 1


def test_the_pauses_grow_to_a_bound_and_each_is_told() -> None:
    pauses: list[float] = []
    told: list[str] = []
    assert Retries(7, pauses.append, told.append).run(locked(7)) == 8
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert told[0] == "Somebody is at it.\nThis attempt changed nothing. Trying again in 1 s (1 of 7)."
    assert told[-1] == "Somebody is at it.\nThis attempt changed nothing. Trying again in 30 s (7 of 7)."


def test_the_error_of_the_last_attempt_is_raised() -> None:
    pauses: list[float] = []
    attempts = locked(9)
    with pytest.raises(Locked):
        Retries(2, pauses.append).run(attempts)
    assert attempts.count == 3
    assert pauses == [1, 2]


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (DatabaseUnusable("gone"), (Locked,)),
        (StepFailed(None, "at it", "constraint"), (Locked, StepFailed)),
        (StepFailed(None, "at it", "waited in vain", locked=True), (Locked,)),  # some steps may be committed
    ],
    ids=["another kind", "not of a lock", "not asked for"],
)
def test_what_is_not_tried_again(error: RollbackError, kinds: tuple[type[RollbackError], ...]) -> None:
    attempts = Attempts(error)
    with pytest.raises(type(error)):
        Retries(3, lambda seconds: None).run(attempts, again_after=kinds)
    assert attempts.count == 1


def test_a_step_that_waited_for_a_lock_in_vain_is_tried_again_where_asked_for() -> None:
    error = StepFailed(None, "at it", "waited in vain", locked=True)
    error.settle("Nothing was changed.", "Try again.")
    told: list[str] = []
    assert Retries(1, lambda seconds: None, told.append).run(Attempts(error), again_after=(Locked, StepFailed)) == 2
    assert told == [
        "The rollback failed, at it: waited in vain\nThis attempt changed nothing. Trying again in 1 s (1 of 1)."
    ]
