"""Rows, deployments, and the graph that rows and code give together."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rollback_app.errors import CodeUnusable
from rollback_app.history import Cut, History, Key, Record, RecordedDeployment, deployments, read
from tests.support.plain import CUT, NOON, code, key, keys, made, recorded

SECOND = timedelta(seconds=1)


def parents(history: History, name: str) -> set[str]:
    return {str(found) for found in history.parents[key(name)]}


def test_at_or_after_is_late() -> None:
    def row(applied: timedelta) -> Record:
        return Record(1, key("a.1"), NOON + applied)

    assert Cut(NOON).is_late(row(timedelta(0)))
    assert not Cut(NOON).is_late(row(timedelta(microseconds=-1)))
    # Stored to the second, 11:59:59 may have been 11:59:59.9; stored at 11:59:58 it was before.
    assert Cut(NOON, precision=SECOND).is_late(row(timedelta(microseconds=-500_000)))
    assert not Cut(NOON, precision=SECOND).is_late(row(-SECOND))


def test_deployments_are_divided_by_pauses() -> None:
    rows = [
        Record(3, key("a.3"), NOON + timedelta(minutes=10)),
        Record(1, key("a.1"), NOON),
        Record(2, key("a.2"), NOON + timedelta(minutes=5)),
        Record(4, key("a.4"), NOON + timedelta(minutes=15, seconds=1)),
    ]
    found = deployments(rows, gap=timedelta(minutes=5))
    assert [[row.id for row in group.records] for group in found] == [[1, 2, 3], [4]]
    assert found[0].start == NOON
    assert found[0].end == NOON + timedelta(minutes=10)
    assert deployments([], gap=SECOND) == []


def test_order_respects_dependencies_and_then_the_rank() -> None:
    history = read(code(made("a.1"), made("a.2", "a.1"), made("b.1", "a.1"), made("c.1")), [], CUT)
    ranks = {key("b.1"): 5, key("c.1"): 3, key("a.2"): 4, key("a.1"): 9}
    assert history.order(ranks.__getitem__) == keys("b.1", "a.2", "a.1", "c.1")


def test_a_circle_is_refused() -> None:
    history = read(code(made("a.1", "b.1"), made("b.1", "a.1")), [], CUT)
    with pytest.raises(CodeUnusable, match="in a circle: a.1, b.1") as caught:
        history.order(lambda key: 0)
    assert caught.value.hint


def test_a_missing_dependency_is_refused() -> None:
    with pytest.raises(CodeUnusable, match="a.2 depends on a.1, which is not in this code"):
        read(code(made("a.2", "a.1")), [], CUT)


def test_first_latest_and_run_before() -> None:
    history = read(
        code(
            made("a.1"),
            made("a.2", "a.1", "a.__first__"),
            made("b.1", "a.__latest__"),
            made("b.2", "b.1", "a.__first__", "plain.__first__"),
            made("c.1", run_before=["b.2"]),
            unmigrated=["plain"],
        ),
        [],
        CUT,
    )
    assert parents(history, "a.2") == {"a.1"}
    assert parents(history, "b.1") == {"a.2"}
    assert parents(history, "b.2") == {"b.1", "a.1", "c.1"}
    assert history.children[key("c.1")] == {key("b.2")}


def test_run_before_an_app_without_migrations_is_nothing() -> None:
    history = read(code(made("a.1", run_before=["plain.__first__"]), unmigrated=["plain"]), [], CUT)
    assert history.children[key("a.1")] == frozenset()


def test_first_of_an_app_that_is_not_installed() -> None:
    with pytest.raises(CodeUnusable, match="depends on the app b, which is not installed"):
        read(code(made("a.1", "b.__first__")), [], CUT)


def test_ghosts_and_rows_recorded_twice() -> None:
    rows = [
        Record(1, key("a.1"), NOON - SECOND),
        Record(2, key("a.gone"), NOON - SECOND),
        Record(3, key("a.1"), NOON + SECOND),  # a second `migrate` at the same time
    ]
    history = read(code(made("a.1")), rows, CUT)
    assert [row.id for row in history.ghosts] == [2]
    assert [row.id for row in history.decisive[key("a.1")]] == [1]
    assert [row.id for row in history.records_of[key("a.1")]] == [1, 3]
    assert history.recorded(key("a.1")) == 1


ORIGINALS = (made("a.1"), made("a.2", "a.1"))
SQUASH = made("a.sq", replaces=["a.1", "a.2"])
CHILD = made("b.1", "a.2")
NEWER_CHILD = made("b.2", "b.1", "a.sq")


def test_a_squash_of_applied_originals_stands_in_for_them() -> None:
    history = read(
        code(*ORIGINALS, SQUASH, CHILD, NEWER_CHILD), recorded("a.1", "a.2", "b.1", late=["a.sq", "b.2"]), CUT
    )
    assert set(history.parents) == {key("a.sq"), key("b.1"), key("b.2")}
    assert parents(history, "b.1") == {"a.sq"}
    assert [str(row.key) for row in history.decisive[key("a.sq")]] == ["a.1", "a.2"]
    assert [str(row.key) for row in history.bookkeeping] == ["a.sq"]


def test_the_row_of_a_squash_alone_counts() -> None:
    history = read(code(*ORIGINALS, SQUASH, CHILD), recorded("a.sq"), CUT)
    assert [str(row.key) for row in history.decisive[key("a.sq")]] == ["a.sq"]
    assert history.bookkeeping == ()
    assert key("b.1") not in history.decisive


def test_a_squash_of_nothing_applied_is_a_migration_like_any_other() -> None:
    history = read(code(*ORIGINALS, SQUASH, CHILD), [], CUT)
    assert set(history.parents) == {key("a.sq"), key("b.1")}
    assert history.decisive == {}


def test_originals_on_both_sides_of_the_moment_stay_apart() -> None:
    history = read(code(*ORIGINALS, SQUASH, CHILD), recorded("a.1", late=["a.2", "b.1", "a.sq"]), CUT)
    assert set(history.parents) == {key("a.1"), key("a.2"), key("b.1")}
    assert parents(history, "a.2") == {"a.1"}
    assert parents(history, "b.1") == {"a.2"}
    assert history.apart == {key("a.sq")}
    assert history.torn == ()


def test_the_dependencies_of_a_squash_that_is_apart_are_its_originals() -> None:
    squash = made("a.sq", "b.0", replaces=["a.1", "a.2"])
    history = read(code(*ORIGINALS, squash, made("b.0")), recorded("a.1", late=["a.2"]), CUT)
    assert parents(history, "a.1") == set()


def test_a_squash_half_applied_stays_apart() -> None:
    history = read(code(*ORIGINALS, SQUASH), recorded("a.1"), CUT)
    assert history.apart == {key("a.sq")}


def test_a_dependency_on_a_squash_that_is_apart_leads_to_its_originals() -> None:
    history = read(code(*ORIGINALS, SQUASH, made("b.1", "a.sq")), recorded("a.1", late=["a.2", "b.1"]), CUT)
    assert parents(history, "b.1") == {"a.1", "a.2"}


def test_originals_without_files_that_are_needed_are_torn() -> None:
    history = read(code(SQUASH, made("b.1", "a.sq")), recorded("a.1", late=["a.2", "b.1"]), CUT)
    (torn,) = history.torn
    assert torn.squash == key("a.sq")
    assert torn.missing == (key("a.1"), key("a.2"))
    assert history.ghosts == ()


def test_originals_without_files_on_one_side_are_no_matter() -> None:
    history = read(code(SQUASH, CHILD), recorded(late=["a.1", "a.2", "b.1"]), CUT)
    assert history.torn == ()
    assert history.ghosts == ()
    assert parents(history, "b.1") == {"a.sq"}


NESTED = (
    *ORIGINALS,
    made("a.3", "a.2"),
    SQUASH,
    made("a.big", replaces=["a.sq", "a.3"]),
)


def test_a_squash_of_a_squash() -> None:
    whole = read(code(*NESTED), recorded("a.1", "a.2", "a.3"), CUT)
    assert set(whole.parents) == {key("a.big")}
    assert {str(row.key) for row in whole.decisive[key("a.big")]} == {"a.1", "a.2", "a.3"}

    inner = read(code(*NESTED), recorded("a.1", "a.2", late=["a.3"]), CUT)
    assert set(inner.parents) == {key("a.sq"), key("a.3")}
    assert parents(inner, "a.3") == {"a.sq"}

    nothing = read(code(*NESTED), recorded("a.1", late=["a.2", "a.3"]), CUT)
    assert set(nothing.parents) == {key("a.1"), key("a.2"), key("a.3")}


def test_squashes_that_share_an_original() -> None:
    """Two squashes may name the same original; what one has taken the other cannot stand in for."""
    overlap = made("a.wide", replaces=["a.1", "a.2", "a.3"])
    history = read(
        code(made("a.1"), made("a.2", "a.1"), made("a.3", "a.2"), overlap, made("a.small", replaces=["a.2", "a.3"])),
        recorded("a.1", "a.2", "a.3"),
        CUT,
    )
    assert set(history.parents) == {key("a.wide")}


def test_a_squash_that_replaces_itself() -> None:
    loop = (made("a.x", replaces=["a.y"]), made("a.y", replaces=["a.x"]))
    with pytest.raises(CodeUnusable, match="replaces itself"):
        read(code(*loop), [], CUT)


def test_a_key_reads_as_people_write_it() -> None:
    assert str(Key("a", "0001_initial")) == "a.0001_initial"


def recorded_run(release: str, start: timedelta, end: timedelta) -> RecordedDeployment:
    return RecordedDeployment(release, NOON + start, NOON + end)


def grouped(
    rows: list[Record], known: list[RecordedDeployment], precision: timedelta = SECOND
) -> list[tuple[list[int], bool]]:
    found = deployments(rows, timedelta(minutes=5), known, precision)
    return [([row.id for row in group.records], group.guessed) for group in found]


def test_recorded_runs_are_exact_and_the_rest_is_guessed() -> None:
    minutes = [0, 1, 2, 3, 30, 31, 60]
    rows = [Record(number, key(f"a.{number}"), NOON + timedelta(minutes=at)) for number, at in enumerate(minutes, 1)]
    runs = [
        recorded_run("2.0", timedelta(minutes=1), timedelta(minutes=2)),  # apart from its neighbours without a pause
        recorded_run("2.1", timedelta(minutes=29), timedelta(minutes=61)),  # together over a long pause
    ]
    assert grouped(rows, runs) == [([1], True), ([2, 3], False), ([4], True), ([5, 6, 7], False)]
    assert [group.releases for group in deployments(rows, SECOND, runs)] == [(), ("2.0",), (), ("2.1",)]


def test_a_time_that_is_stored_to_the_second_still_belongs_to_its_run() -> None:
    half = timedelta(milliseconds=500)
    rows = [Record(1, key("a.1"), NOON), Record(2, key("a.2"), NOON + SECOND)]
    run = recorded_run("", half, half + timedelta(milliseconds=100))
    assert grouped(rows, [run]) == [([1, 2], False)]
    assert grouped(rows, [run], timedelta(microseconds=1)) == [([1, 2], True)]


def test_a_mark_names_the_deployment_of_its_row() -> None:
    rows = [Record(1, key("a.1"), NOON), Record(2, key("a.2"), NOON + timedelta(hours=1))]
    marks = [
        recorded_run("1.0", timedelta(), timedelta()),
        recorded_run("1.0", timedelta(), timedelta()),
        recorded_run("one", timedelta(), timedelta()),
        recorded_run("gone", SECOND, SECOND),
    ]
    found = deployments(rows, SECOND, marks)
    assert [(group.releases, group.guessed) for group in found] == [(("1.0", "one"), True), ((), True)]


def test_a_set_decides_whatever_the_time() -> None:
    cut = Cut(NOON, kept=frozenset(keys("a.1")))
    assert not cut.is_late(Record(1, key("a.1"), NOON + SECOND))
    assert cut.is_late(Record(2, key("a.2"), NOON - SECOND))
