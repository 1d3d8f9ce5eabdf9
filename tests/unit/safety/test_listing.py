"""What is odd about a deployment's rows."""

from __future__ import annotations

from datetime import timedelta

from rollback_app.history import Code, Cut, Record, deployments
from rollback_app.planner import plan
from rollback_app.safety import marks
from tests.support.plain import CUT, NOON, code, key, made, recorded

HOUR = timedelta(hours=1)


def marked(graph: Code, rows: list[Record], precision: timedelta = CUT.precision) -> list[tuple[str, ...]]:
    found = plan(graph, rows, Cut(NOON, precision))
    return [marks(group, found) for group in deployments(rows, timedelta(minutes=5))]


def test_nothing_odd() -> None:
    assert marked(code(made("a.1"), made("a.2", "a.1")), recorded("a.1", late=["a.2"])) == [(), ()]


def test_rows_of_the_same_time() -> None:
    rows = [
        Record(1, key("a.1"), NOON),
        Record(2, key("a.2"), NOON),
        Record(3, key("a.3"), NOON + timedelta(seconds=1)),
    ]
    graph = code(made("a.1"), made("a.2", "a.1"), made("a.3", "a.2"))
    assert marked(graph, rows) == [("2 records have the same time as another: perhaps restored, or written by hand",)]
    assert marked(graph, rows, timedelta(seconds=1)) == [()]


def test_rows_out_of_the_order_of_the_graph() -> None:
    rows = [Record(1, key("a.2"), NOON), Record(2, key("a.1"), NOON + HOUR)]
    words = "a.2 was recorded before a.1, which it depends on: perhaps faked"
    assert marked(code(made("a.1"), made("a.2", "a.1")), rows) == [(words,), ()]


def test_ghosts_and_notes_of_squashes() -> None:
    graph = code(made("a.1"), made("a.2", "a.1"), made("a.1_2", replaces=["a.1", "a.2"]))
    rows = recorded("a.1", "a.2", "x.1", late=["a.1_2", "y.1", "z.1"])
    assert marked(graph, rows) == [
        ("not in this code: x.1",),
        ("not in this code: y.1, z.1", "squash (a record only): a.1_2"),
    ]


def test_a_squash_of_a_fresh_installation_is_not_unusual() -> None:
    graph = code(made("a.1"), made("a.2", "a.1"), made("a.1_2", replaces=["a.1", "a.2"]))
    assert marked(graph, recorded("a.1", "a.2", "a.1_2")) == [()]
    # Applied one by one, and squashed later.
    assert marked(graph, recorded("a.1", "a.2", late=["a.1_2"])) == [(), ("squash (a record only): a.1_2",)]
