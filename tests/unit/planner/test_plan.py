"""Which migrations go, in which order, and why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import models
from django.db.migrations.operations import AddField, AlterField, CreateModel, RunPython
from hypothesis import given
from hypothesis import strategies as st

from rollback_app.errors import UsageError
from rollback_app.history import Cut, Record
from rollback_app.planner import Choices, Plan, migrate_commands, plan
from tests.support.plain import CUT, NOON, code, key, made, recorded


def steps(found: Plan) -> list[str]:
    return [str(step.key) for step in found.steps]


CHAIN = (made("a.1"), made("a.2", "a.1"), made("b.1", "a.1"), made("b.2", "b.1", "a.2"), made("c.1", "b.2"))


def test_what_is_late_goes_over_all_apps_dependants_first() -> None:
    found = plan(code(*CHAIN), recorded("a.1", "b.1", late=["a.2", "b.2", "c.1"]), CUT)
    assert steps(found) == ["c.1", "b.2", "a.2"]
    assert [str(m) for m in found.stays.migrations] == ["a.1", "b.1"]
    assert {app: [str(k) for k in names] for app, names in found.stays.targets.items()} == {
        "a": ["a.1"],
        "b": ["b.1"],
        "c": [],
    }
    assert not found.empty
    assert not found.nothing_left
    assert [step.because for step in found.steps] == [(), (), ()]
    assert [str(m) for m in found.undone_oldest_first] == ["a.2", "b.2", "c.1"]


def test_later_recorded_goes_first_where_the_dependencies_leave_a_choice() -> None:
    graph = code(made("a.1"), made("b.1"), made("c.1"))
    assert steps(plan(graph, recorded(late=["b.1", "a.1", "c.1"]), CUT)) == ["c.1", "a.1", "b.1"]


def test_a_clock_that_was_set_back_does_not_change_the_order() -> None:
    rows = [Record(1, key("a.1"), NOON + timedelta(hours=2)), Record(2, key("b.1"), NOON)]
    assert steps(plan(code(made("a.1"), made("b.1")), rows, CUT)) == ["b.1", "a.1"]


def test_targets_of_an_app_with_branches() -> None:
    graph = code(made("a.1"), made("a.2a", "a.1"), made("a.2b", "a.1"), made("a.3", "a.2a", "a.2b"))
    found = plan(graph, recorded("a.1", "a.2a", "a.2b", late=["a.3"]), CUT)
    assert [k.name for k in found.stays.targets["a"]] == ["2a", "2b"]


def test_early_dependants_block_and_cascade_takes_them_along() -> None:
    rows = recorded("b.1", "c.1", late=["a.1"])
    graph = code(made("a.1"), made("b.1", "a.1"), made("c.1", "b.1"))
    found = plan(graph, rows, CUT)
    assert steps(found) == ["a.1"]
    assert [[str(k) for k in pull.path] for pull in found.obstacles.dependants] == [
        ["a.1", "b.1"],
        ["a.1", "b.1", "c.1"],
    ]

    with_them = plan(graph, rows, CUT, Choices(cascade=True))
    assert with_them.obstacles.dependants == ()
    assert steps(with_them) == ["c.1", "b.1", "a.1"]
    assert [[str(k) for k in step.because] for step in with_them.steps] == [["a.1", "b.1", "c.1"], ["a.1", "b.1"], []]


def test_exclude_keeps_apps_and_migrations() -> None:
    rows = recorded("a.1", late=["a.2", "b.1", "b.2", "c.1"])
    assert steps(plan(code(*CHAIN), rows, CUT, Choices(exclude=("c",)))) == ["b.2", "b.1", "a.2"]
    found = plan(code(*CHAIN), rows, CUT, Choices(exclude=("c.1",)))
    assert [str(pull.key) for pull in found.obstacles.excluded] == ["c.1"]
    assert not plan(code(*CHAIN), rows, CUT, Choices(exclude=("a", "b", "c"))).obstacles.excluded


def test_exclude_leaves_a_late_ghost_alone() -> None:
    rows = recorded("a.1", "a.old", late=["a.gone"])
    found = plan(code(made("a.1")), rows, CUT)
    assert [str(row.key) for row in found.obstacles.ghosts] == ["a.gone"]
    assert [str(row.key) for row in found.early_ghosts] == ["a.old"]
    assert plan(code(made("a.1")), rows, CUT, Choices(exclude=("a.gone",))).obstacles.ghosts == ()


def test_unknown_names_are_wrong_usage() -> None:
    rows = recorded("a.1", late=["a.2"])
    graph = code(made("a.1"), made("a.2", "a.1"))
    with pytest.raises(UsageError, match="--exclude a.3: there is no such app or migration") as caught:
        plan(graph, rows, CUT, Choices(exclude=("a.3",)))
    assert "Did you mean" in caught.value.hint
    with pytest.raises(UsageError, match="--fake a.1: is not among the steps of this plan"):
        plan(graph, rows, CUT, Choices(fake=("a.1",)))
    with pytest.raises(UsageError, match="--fake zzzz: there is no such migration") as caught:
        plan(graph, rows, CUT, Choices(fake=("zzzz",)))
    assert "--plan" in caught.value.hint


def test_a_deployment_cut_in_two() -> None:
    rows = [Record(1, key("a.1"), NOON - timedelta(minutes=1)), Record(2, key("a.2"), NOON)]
    graph = code(made("a.1"), made("a.2", "a.1"))
    found = plan(graph, rows, CUT)
    assert found.obstacles.split
    assert found.obstacles.split.records == tuple(rows)
    assert plan(graph, rows, CUT, Choices(split_deployment=True)).obstacles.split is None
    assert plan(graph, rows, CUT, Choices(gap=timedelta(seconds=30))).obstacles.split is None


def test_bookkeeping_of_squashes_is_deleted_with_the_run() -> None:
    graph = code(made("a.1"), made("a.2", "a.1"), made("a.sq", replaces=["a.1", "a.2"]))
    found = plan(graph, recorded("a.1", "a.2", late=["a.sq"]), CUT)
    assert found.steps == ()
    assert [str(row.key) for row in found.squashes] == ["a.sq"]
    assert not found.empty
    assert plan(graph, recorded("a.1", "a.2", late=["a.sq"]), CUT, Choices(exclude=("a.sq",))).empty
    # Early ones stay; and one whose originals all go, goes with them.
    assert plan(graph, recorded("a.1", "a.2", "a.sq"), CUT).empty
    whole = plan(graph, recorded(late=["a.1", "a.2", "a.sq"]), CUT)
    assert steps(whole) == ["a.sq"]
    assert [str(row.key) for row in whole.steps[0].records] == ["a.1", "a.2", "a.sq"]
    assert whole.squashes == ()


def test_nothing_recorded_and_nothing_left() -> None:
    empty = plan(code(made("a.1")), [], CUT)
    assert empty.empty
    assert empty.newest is None
    assert not empty.nothing_left
    everything = plan(code(made("a.1")), recorded(late=["a.1"]), CUT)
    assert everything.nothing_left
    assert everything.newest
    assert str(everything.newest.key) == "a.1"


def test_the_digest_is_of_what_the_plan_rests_on() -> None:
    graph, rows = code(*CHAIN), recorded("a.1", "b.1", late=["a.2", "b.2", "c.1"])
    found = plan(graph, rows, CUT)
    assert found.digest == plan(graph, reversed(rows), CUT).digest
    assert len(found.digest) == 12
    others = [
        plan(graph, rows[:-1], CUT),
        plan(graph, [*rows[:-1], Record(9, key("c.1"), rows[-1].applied)], CUT),
        plan(graph, rows, CUT, Choices(exclude=("c.1",))),
        plan(graph, rows, CUT, Choices(fake=("c.1",))),
    ]
    assert found.digest not in {other.digest for other in others}


def test_states_that_cannot_be_worked_out_are_no_crash_where_the_history_explains_it() -> None:
    graph = code(
        made("a.1", operations=[CreateModel("T", [("id", models.AutoField(primary_key=True))])]),
        made("a.2", "a.1", operations=[AddField("T", "x", models.IntegerField(null=True))]),
    )
    rows = recorded(late=["a.2"])  # a.1 is not recorded
    found = plan(graph, rows, CUT)
    assert "KeyError" in found.obstacles.unclear
    assert [(str(key), str(parent)) for key, parent in found.obstacles.inconsistent] == [("a.2", "a.1")]


def test_a_migration_that_never_fitted_is_a_bug_that_shows() -> None:
    graph = code(made("a.1", operations=[AlterField("Missing", "x", models.IntegerField())]))
    with pytest.raises(KeyError):
        plan(graph, recorded(late=["a.1"]), CUT)


def test_rows_within_the_precision_are_near() -> None:
    cut = type(CUT)(NOON, precision=timedelta(seconds=1))
    rows = [Record(1, key("a.1"), NOON - timedelta(milliseconds=500))]
    found = plan(code(made("a.1")), rows, cut)
    assert steps(found) == ["a.1"]
    assert found.near == tuple(rows)


def commands(*rows: Record, graph: object = None, choices: Choices | None = None) -> tuple[list[tuple[str, str]], str]:
    found = migrate_commands(plan(graph or code(*CHAIN), rows, CUT, choices or Choices()))  # type: ignore[arg-type]
    return list(found.targets), found.why_not


def test_commands_undo_exactly_the_plan() -> None:
    rows = recorded("a.1", "b.1", late=["a.2", "b.2", "c.1"])
    assert commands(*rows) == ([("a", "1")], "")  # what depends on a.2 goes with it
    assert commands(*recorded("a.1", "b.1")) == ([], "")


def test_commands_use_what_one_command_takes_along() -> None:
    graph = code(made("a.1"), made("a.2", "a.1"), made("b.1", "a.2"))
    found, why_not = commands(*recorded("a.1", late=["a.2", "b.1"]), graph=graph)
    assert why_not == ""
    assert found in ([("b", "zero"), ("a", "1")], [("a", "1")])


def test_commands_say_what_they_cannot() -> None:
    branches = code(made("a.1"), made("a.2a", "a.1"), made("a.2b", "a.1"))
    found, why_not = commands(*recorded("a.1", "a.2a", late=["a.2b"]), graph=branches)
    assert not found
    assert why_not == "no migrate command unapplies a.2b without other migrations"

    chain = code(made("a.1"), made("a.2", "a.1"))
    found, why_not = commands(*recorded("a.1", late=["a.2"]), graph=chain, choices=Choices(fake=("a.2",)))
    assert not found
    assert why_not == "no migrate command unapplies some migrations and fakes a.2"

    squashed = code(made("a.1"), made("a.2", "a.1"), made("a.sq", replaces=["a.1", "a.2"]))
    found, why_not = commands(*recorded("a.1", late=["a.2"]), graph=squashed)
    assert not found
    assert why_not == "migrate cannot stop between the migrations that a.sq replaces"


def test_a_name_that_begins_another_is_no_command() -> None:
    graph = code(made("a.1_x"), made("a.1_x_more", "a.1_x"))
    found, why_not = commands(*recorded("a.1_x", late=["a.1_x_more"]), graph=graph)
    assert not found
    assert "no migrate command unapplies a.1_x_more" in why_not


def test_effects_of_what_only_pulls_are_left_out_of_the_steps() -> None:
    graph = code(
        made("a.1", operations=[CreateModel("T", [("id", models.AutoField(primary_key=True))])]),
        made("b.1", "a.1", operations=[RunPython(RunPython.noop, RunPython.noop)]),
    )
    found = plan(graph, recorded("b.1", late=["a.1"]), CUT)
    assert [effect.words for effect in found.steps[0].effects] == ["drops table a_t"]


def test_only_the_newest_steps() -> None:
    graph, rows = code(*CHAIN), recorded("a.1", late=["b.1", "a.2", "b.2", "c.1"])
    found = plan(graph, rows, CUT, Choices(steps=2))
    assert steps(found) == ["c.1", "b.2"]
    assert {app: [str(k) for k in names] for app, names in found.stays.targets.items()} == {"c": [], "b": ["b.1"]}
    assert [row.id for row in rows if found.takes(row)] == [4, 5]
    for number in (4, 9):
        assert steps(plan(graph, rows, CUT, Choices(steps=number))) == steps(plan(graph, rows, CUT))


def test_only_what_goes_counts_as_pulling_others_in() -> None:
    """a.1 would pull in b.1; of the newest two, only c.1 is one that nothing depends on."""
    graph = code(made("a.1"), made("b.1", "a.1"), made("c.1"), made("c.2", "c.1"))
    rows = recorded("b.1", late=["a.1", "c.1", "c.2"])
    assert [str(pull.key) for pull in plan(graph, rows, CUT).obstacles.dependants] == ["b.1"]
    assert plan(graph, rows, CUT, Choices(steps=2)).obstacles.dependants == ()
    assert steps(plan(graph, rows, CUT, Choices(steps=3, cascade=True))) == ["c.2", "c.1", "b.1"]


def test_a_number_of_steps_may_cut_a_deployment_and_leaves_something() -> None:
    graph, rows = code(made("a.1"), made("a.2", "a.1")), recorded(late=["a.1", "a.2"])
    found = plan(graph, rows, CUT, Choices(steps=1))
    assert steps(found) == ["a.2"]
    assert found.obstacles.split is None
    assert not found.nothing_left
    assert plan(graph, rows, CUT, Choices(steps=2)).nothing_left


def test_notes_of_squashes_go_only_with_the_whole() -> None:
    graph = code(made("a.1"), made("a.2", "a.1"), made("a.1_2", replaces=["a.1", "a.2"]), made("b.1"), made("b.2"))
    rows = recorded("a.1", "a.2", late=["b.1", "b.2", "a.1_2"])
    assert [str(row.key) for row in plan(graph, rows, CUT).squashes] == ["a.1_2"]
    assert plan(graph, rows, CUT, Choices(steps=1)).squashes == ()


def test_a_set_keeps_exactly_what_it_lists() -> None:
    cut = Cut(NOON, kept=frozenset({key("a.1"), key("b.1")}))
    rows = recorded("a.1", "a.2", late=["b.1", "b.2", "c.1"])
    found = plan(code(*CHAIN), rows, cut)
    assert steps(found) == ["c.1", "b.2", "a.2"]
    assert found.obstacles.split is None  # though each deployment is cut in two
    assert found.near == ()
    blocked = plan(code(*CHAIN), rows, Cut(NOON, kept=frozenset({key("a.1"), key("b.1"), key("b.2"), key("c.1")})))
    assert [str(pull.key) for pull in blocked.obstacles.dependants] == ["b.2", "c.1"]


@given(st.data())
def test_one_at_a_time_is_the_same_as_all_at_once(data: st.DataObject) -> None:
    names = [f"{data.draw(st.sampled_from('abc'))}.{number}" for number in range(data.draw(st.integers(1, 8)))]
    graph = code(
        *(
            made(name, *data.draw(st.sets(st.sampled_from(names[:index]), max_size=2) if index else st.just(set())))
            for index, name in enumerate(names)
        )
    )
    order = data.draw(st.permutations(names))
    rows = [Record(number, key(name), NOON + timedelta(minutes=number)) for number, name in enumerate(order)]
    at_once = steps(plan(graph, rows, CUT))
    one_by_one = []
    while found := steps(plan(graph, rows, CUT, Choices(steps=1))):
        one_by_one += found
        rows = [row for row in rows if str(row.key) not in found]
    assert one_by_one == at_once
    assert sorted(at_once) == sorted(names)


def test_the_release_is_what_the_migrations_declare_if_none_was_recorded() -> None:
    newer, older = made("a.2", "a.1"), made("a.1")
    vars(newer)["release"], vars(older)["release"] = "2.1", "2.0"
    assert plan(code(older, newer), recorded(late=["a.1", "a.2"]), CUT).release == "2.1"
    assert plan(code(older, newer), recorded("a.2", late=["a.1"]), CUT).release == "2.0"
