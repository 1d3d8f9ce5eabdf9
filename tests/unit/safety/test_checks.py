"""Each finding: when it is made, what it says, and what to do next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import models
from django.db.migrations import Migration
from django.db.migrations.operations import (
    AddField,
    AlterField,
    AlterModelTable,
    CreateModel,
    DeleteModel,
    RemoveField,
    RemoveIndex,
    RenameField,
    RenameModel,
    RunPython,
    RunSQL,
)
from django.db.migrations.operations.base import Operation

from rollback_app import safety
from rollback_app.history import Cut, Record
from rollback_app.planner import Choices, Known, Names, Need, Requirement, Right, TableChange, plan
from rollback_app.safety import Count, Fate, Finding, Level, Object, Violations, judge
from tests.support.plain import CUT, NOON, code, key, made, recorded

ID = ("id", models.BigAutoField(primary_key=True))
T = CreateModel("T", [ID])
X = AddField("T", "x", models.IntegerField(null=True))


@dataclass
class Facts:
    """A database of which the checks are told these facts: rows of tables, values of (table, column)."""

    rows: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[tuple[str, str], Count] = field(default_factory=dict)
    can_undo_ddl: bool = True
    vendor_name: str = "MariaDB"
    setting: str = ""
    in_the_way: Mapping[Need, Violations] = field(default_factory=dict)
    lacking: Sequence[str] = ()
    elsewhere: Sequence[str] = ()
    why_read_only: str = ""
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    demanded: list[Requirement] = field(default_factory=list)
    needed: set[tuple[str, Right]] = field(default_factory=set)
    hanging: Mapping[str, Object] = field(default_factory=dict)

    def count(self, table: str, columns: Mapping[str, Any]) -> tuple[Count, dict[str, Count]] | None:
        self.asked.append((table, sorted(columns)))
        if table not in self.rows:
            return None
        return Count(self.rows[table]), {
            name: self.values[table, name] for name in columns if (table, name) in self.values
        }

    def violations(self, requirement: Requirement) -> Violations | None:
        self.demanded.append(requirement)
        return self.in_the_way.get(requirement.need)

    def names(self) -> Names:
        return Names()

    def objects(self, changes: Sequence[TableChange], known: Known) -> Sequence[tuple[TableChange, Object]]:
        return [(change, self.hanging[change.about]) for change in changes if change.about in self.hanging]

    def read_only(self) -> str:
        return self.why_read_only

    def missing_rights(self, needed: Collection[tuple[str, Right]]) -> Sequence[str]:
        self.needed.update(needed)
        return self.lacking

    def of_other_schemas(self, tables: Collection[str]) -> Sequence[str]:
        return self.elsewhere


def found(
    migrations: Sequence[Migration],
    rows: Sequence[Record],
    facts: Facts | None = None,
    choices: Choices | None = None,
    *,
    cut: Cut = CUT,
    one_transaction: bool = True,
    count: bool = True,
) -> list[Finding]:
    made_plan = plan(code(*migrations), rows, cut, choices or Choices())
    findings, _, _ = judge(made_plan, facts or Facts(), one_transaction=one_transaction, count=count)
    return list(findings)


def of(id: str, findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.id == f"rollback.{id}"]


def undoing(*operations: Operation, facts: Facts | None = None, **options: Any) -> list[Finding]:
    """What is found about undoing these in a.2, on top of the table a_t."""
    migrations = [made("a.1", operations=[T]), made("a.2", "a.1", operations=operations)]
    return found(migrations, recorded("a.1", late=["a.2"]), facts, **options)


def test_blockers_come_first_then_losses_then_remarks() -> None:
    levels = [finding.level for finding in undoing(RunSQL("x"), X, RunSQL("x", ""))]
    assert levels == [Level.BLOCKER, Level.LOSS, Level.REMARK]


def test_irreversible() -> None:
    (finding,) = undoing(RunSQL("SELECT 1"))
    assert finding.id == "rollback.E001"
    assert finding.about == "a.2"
    assert finding.text == "a.2 cannot be undone: its SQL has no reverse."
    assert finding.hint == "Choose a later moment, or restore a backup. To leave a.2 applied, add --exclude a.2"
    assert finding.facts == {"operation": 0}


def test_ghosts() -> None:
    rows = recorded("a.1", "a.old", late=["a.gone"])
    findings = found([made("a.1")], rows)
    assert of("E002", findings) == ["a.gone was applied at or after the moment, but this code has no such migration."]
    assert of("I005", findings) == [
        "a.old was applied before the moment and stays applied. This code has no such migration."
    ]


def test_dependants_and_held() -> None:
    migrations = [made("a.1"), made("b.1", "a.1"), made("c.1", "b.1")]
    findings = found(migrations, recorded("b.1", "c.1", late=["a.1"]), choices=Choices(exclude=("c",)))
    assert of("E003", findings) == [
        "b.1 was applied before the moment, but depends on a migration that would be unapplied: a.1 <- b.1."
    ]
    assert of("E005", findings) == [
        "c.1 is excluded, but depends on a migration that would be unapplied: a.1 <- b.1 <- c.1."
    ]
    assert [finding.hint for finding in findings if finding.id == "rollback.E005"] == [
        "Add --exclude a.1 too, or remove the --exclude for c.1."
    ]


def test_a_deployment_cut_in_two_names_clean_moments() -> None:
    rows = [Record(1, key("a.1"), NOON - timedelta(minutes=1)), Record(2, key("a.2"), NOON)]
    findings = found([made("a.1"), made("a.2", "a.1")], rows)
    (finding,) = [finding for finding in findings if finding.id == "rollback.E004"]
    assert finding.text == "The moment splits a deployment: 1 of its 2 migrations would be unapplied."
    assert '"2024-05-01 11:59:00+00:00"' in finding.hint
    assert '"2024-05-01 12:00:01+00:00"' in finding.hint
    soon = [*rows, Record(3, key("b.1"), NOON + timedelta(microseconds=1500))]
    choices = Choices(gap=timedelta(microseconds=5))
    rows[0] = Record(1, key("a.1"), NOON - timedelta(microseconds=1))
    hints = [
        each.hint for each in found([made("a.1"), made("a.2", "a.1"), made("b.1")], [*rows, soon[2]], choices=choices)
    ]
    assert hints[0].startswith(
        'To undo the whole deployment: "2024-05-01 11:59:59+00:00". To keep it: "2024-05-01 12:00:00.000001+00:00".'
    )
    assert of("E004", found([made("a.1"), made("a.2", "a.1")], rows, choices=Choices(split_deployment=True))) == []


def test_torn_squash() -> None:
    squash = made("a.sq", replaces=["a.1", "a.2"])
    findings = found([squash], recorded("a.1", late=["a.2"]))
    assert of("E006", findings) == [
        (
            "Only some of the migrations that a.sq replaces would be unapplied, and this code no longer has their files: "
            "a.1, a.2."
        )
    ]


def test_unclear_history() -> None:
    findings = found([made("a.1", operations=[T]), made("a.2", "a.1", operations=[X])], recorded(late=["a.2"]))
    (text,) = of("E007", findings)
    assert "because migrations are recorded without the ones they depend on: a.2 without a.1 (KeyError" in text
    # Not because of the history, but because the state lacks what was only faked.
    faked = found(
        [made("a.1", operations=[T]), made("a.2", "a.1", operations=[X])],
        recorded(late=["a.1", "a.2"]),
        choices=Choices(fake=("a.1",)),
    )
    (text,) = of("E007", faked)
    assert "recorded without" not in text


def test_inconsistent_history_is_a_remark_where_it_does_no_harm() -> None:
    findings = found([made("a.1"), made("a.2", "a.1")], recorded(late=["a.2"]))
    assert of("I009", findings) == ["a.2 is recorded as applied, but a.1, which it depends on, is not."]


def test_loss_is_counted_once_a_table() -> None:
    facts = Facts({"a_t": 5}, {("a_t", "x"): Count(2), ("a_t", "y"): Count(1)})
    findings = undoing(X, AddField("T", "y", models.IntegerField(null=True)), facts=facts)
    assert of("W001", findings) == [
        "drops column a_t.y: 1 row has a value.",
        "drops column a_t.x: 2 rows have a value.",
    ]
    assert facts.asked == [("a_t", ["x", "y"])]
    assert findings[0].facts == {
        "table": "a_t",
        "column": "y",
        "rows": 1,
        "exact": True,
        "effect": "drops column a_t.y",
    }


def test_what_is_empty_is_no_loss() -> None:
    assert of("W001", undoing(X, facts=Facts({"a_t": 5}, {("a_t", "x"): Count(0)}))) == []
    assert of("W001", undoing(CreateModel("U", [ID]), facts=Facts({"a_u": 0}))) == []


def test_the_words_of_a_loss() -> None:
    def text(count: Count) -> str:
        (found,) = of("W001", undoing(X, facts=Facts({"a_t": 5}, {("a_t", "x"): count})))
        return found.removeprefix("drops column a_t.x")

    assert text(Count(1_000_000, more=True)) == ": at least 1 000 000 rows have a value."
    assert text(Count(0, more=True)) == ": too large to count, so treated as lost."
    assert of("W001", undoing(CreateModel("U", [ID]), facts=Facts({"a_u": 1204}))) == ["drops table a_u: 1 204 rows."]
    assert of("W001", undoing(X)) == ["drops column a_t.x, which does not exist; this migration may never have run."]
    assert of("W001", undoing(X, count=False)) == ["drops column a_t.x: not counted, so treated as lost."]


def test_a_column_of_a_table_that_goes_is_not_told_twice() -> None:
    migrations = [made("a.1", operations=[T]), made("a.2", "a.1", operations=[X])]
    facts = Facts({"a_t": 3})
    assert of("W001", found(migrations, recorded(late=["a.1", "a.2"]), facts)) == ["drops table a_t: 3 rows."]
    assert facts.asked == [("a_t", [])]


def test_loss_is_looked_for_under_the_names_of_today() -> None:
    facts = Facts({"renamed": 3}, {("renamed", "y"): Count(3)})
    findings = undoing(X, RenameField("T", "x", "y"), AlterModelTable("T", "renamed"), facts=facts)
    assert facts.asked == [("renamed", ["y"])]
    assert of("W001", findings) == ["drops column a_t.x: 3 rows have a value."]

    other_order = Facts({"renamed": 3}, {("renamed", "y"): Count(3)})
    undoing(X, AlterModelTable("T", "renamed"), RenameField("T", "x", "y"), facts=other_order)
    assert other_order.asked == [("renamed", ["y"])]


def test_what_the_run_itself_makes_again_is_no_loss() -> None:
    operations = [CreateModel("U", [ID, ("x", models.IntegerField())]), RemoveField("U", "x"), DeleteModel("U")]
    facts = Facts()
    assert of("W001", undoing(*operations, facts=facts)) == []
    assert facts.asked == []


def test_the_floor() -> None:
    graph = [made("a.1"), made("a.2", "a.1")]
    below = found(graph, recorded(late=["a.1", "a.2"]), choices=Choices(floor=("a.1", "b.1")))
    assert of("W004", below) == [
        "a.1 would be unapplied, and below it no rollback is promised: ROLLBACK['FLOOR'] says so."
    ]
    assert of("W004", found(graph, recorded("a.1", late=["a.2"]), choices=Choices(floor=("a.1",)))) == []


def test_nothing_left() -> None:
    findings = found([made("a.1")], recorded(late=["a.1"]))
    assert len(of("W002", findings)) == 1
    assert of("I001", findings) == ["a goes back to zero: none of its migrations stays applied."]
    kept = found([made("a.1")], recorded("a.1"), cut=Cut(NOON, kept=frozenset([key("b.1")])))
    assert of("W002", kept) == [
        "Nothing that is applied here would be kept: every migration of this database would be unapplied."
    ]
    # A late note of a squash is no reason: it has no step.
    assert of("W002", found([made("a.1")], recorded("a.1"))) == []


def test_to_zero_needs_consent_even_without_a_row() -> None:
    graph, rows = [made("a.1"), made("b.1")], recorded("a.1", "b.1")
    everything = found(graph, rows, cut=Cut(NOON, kept=frozenset(), zero=True))
    assert of("W003", everything) == ["You asked to unapply every migration of a, b."]
    assert of("W002", everything) == []
    cut = Cut(NOON, kept=frozenset([key("a.1")]), zero=True)
    assert of("W003", found(graph, rows, cut=cut)) == ["You asked to unapply every migration of b."]
    assert of("W003", found(graph, rows, choices=Choices(exclude=("b",)), cut=cut)) == []


def test_a_set_is_named_as_such() -> None:
    cut = Cut(NOON, kept=frozenset([key("b.1")]))
    (blocker,) = found([made("a.1"), made("b.1", "a.1")], recorded("a.1", "b.1"), cut=cut)[:1]
    assert blocker.text == "b.1 is among what is kept, but depends on a migration that would be unapplied: a.1 <- b.1."
    findings = found([made("b.1")], recorded("b.1", "x.1"), cut=cut)
    assert of("E002", findings) == ["x.1 is not among what is kept, but this code has no such migration."]
    ghost = found([made("a.1")], recorded("b.1", "a.1"), cut=cut)
    assert of("I005", ghost) == ["b.1 is among what is kept and stays applied. This code has no such migration."]


def test_reverses_that_do_nothing_or_cannot_be_judged() -> None:
    findings = undoing(RunPython(print, RunPython.noop), RunPython(print, print), RunSQL("x", "y"))
    assert of("I002", findings) == ["a.2 reverses nothing: what builtins.print did to the data stays."]
    assert of("I003", findings) == [
        "a.2 runs code: builtins.print. Its effect on the data cannot be predicted.",
        "a.2 runs SQL of its own: y. Its effect on the data cannot be predicted.",
    ]


def test_not_all_or_nothing_is_said_before() -> None:
    step_by_step = undoing(one_transaction=False)
    assert of("I004", step_by_step) == [
        "With --step-by-step, each migration is a transaction of its own. If a step fails, the steps before it stay undone."
    ]
    unable = undoing(one_transaction=False, facts=Facts(can_undo_ddl=False))
    assert of("I004", unable) == ["MariaDB cannot undo DDL. If a step fails, the steps before it stay undone."]
    assert of("I004", undoing()) == []
    assert of("I004", found([made("a.1")], recorded("a.1"), one_transaction=False)) == []


def test_plain_twins_name_what_they_lock() -> None:
    index = AddIndexConcurrently("T", models.Index(fields=["id"], name="i"))
    assert of("I006", undoing(index)) == [
        "a.2 drops index i of a_t without CONCURRENTLY: reads and writes of a_t wait meanwhile."
    ]
    assert of("I006", undoing(index, one_transaction=False)) == []


def test_rows_that_only_the_precision_makes_late() -> None:
    rows = [Record(1, key("a.1"), NOON - timedelta(milliseconds=999))]
    cut = Cut(NOON, precision=timedelta(seconds=1))
    assert of("I007", found([made("a.1")], rows, cut=cut)) == [
        "a.1 was recorded at 11:59:59, to the second only, and counts as at the moment."
    ]


def test_faked_steps_are_loud() -> None:
    assert of("I008", undoing(X, choices=Choices(fake=("a.2",)))) == [
        "a.2 is NOT undone: only its record is deleted (--fake). What it did to the database stays."
    ]


@pytest.mark.parametrize(
    ("operation", "need", "id", "text"),
    [
        (
            RemoveField("T", "x"),
            Need.FEW_ROWS,
            "E010",
            "adds column a_t.x again, NOT NULL and without a default: 7 rows are in the table.",
        ),
        (
            AlterField("T", "x", models.IntegerField(null=True)),
            Need.NO_NULLS,
            "E010",
            "makes column a_t.x NOT NULL again: 7 rows hold NULL.",
        ),
        (
            AlterField("T", "u", models.IntegerField()),
            Need.UNIQUE,
            "E011",
            "makes column a_t.u unique again: 7 rows share their values with others.",
        ),
        (
            AlterField("T", "x", models.BigIntegerField()),
            Need.FITS,
            "E012",
            "makes column a_t.x an IntegerField again: 7 rows hold values that do not fit.",
        ),
        (
            AlterField("T", "x", models.BigIntegerField()),
            Need.CHECK,
            "E014",
            "makes column a_t.x an IntegerField again: 7 rows violate its condition.",
        ),
        (
            AlterField("T", "f", models.ForeignKey("a.T", models.CASCADE, db_constraint=False)),
            Need.POINTS,
            "E013",
            "makes column a_t.f_id a foreign key to a_t again: 7 rows point to rows that do not exist.",
        ),
        (
            RenameModel("T", "S"),
            Need.FREE_TABLE,
            "E015",
            "takes the name of table a_t back, but that name is taken.",
        ),
        (
            RenameField("T", "x", "y"),
            Need.FREE_COLUMN,
            "E015",
            "takes the name of column a_t.x back, but that name is taken.",
        ),
        (
            RemoveIndex("T", "i"),
            Need.FREE_INDEX,
            "E015",
            "takes the name i of an index or constraint of a_t back, but that name is taken.",
        ),
    ],
)
def test_what_is_in_the_way_blocks(operation: Operation, need: Need, id: str, text: str) -> None:
    fields = [ID, ("x", models.IntegerField()), ("u", models.IntegerField(unique=True))]
    fields.append(("f", models.ForeignKey("a.T", models.CASCADE)))
    early = CreateModel("T", fields, {"indexes": [models.Index(fields=["x"], name="i")]})
    migrations = [made("a.1", operations=[early]), made("a.2", "a.1", operations=[operation])]
    facts = Facts(in_the_way={need: Violations(Count(7), "SELECT them")})
    findings = found(migrations, recorded("a.1", late=["a.2"]), facts)
    (finding,) = [finding for finding in findings if finding.level is Level.BLOCKER]
    assert (finding.id, finding.text) == (f"rollback.{id}", f"a.2 {text}")
    assert finding.facts["rows"] == 7
    assert ("SELECT them" in finding.hint) == (id != "E015")
    assert facts.asked == []
    uncounted = found(migrations, recorded("a.1", late=["a.2"]), facts, count=False)
    assert {finding.id for finding in uncounted} <= {"rollback.I011"}


def narrowing(
    number: int, *, more: bool = False, need: Need = Need.NO_NULLS, before: Sequence[Operation] = ()
) -> Finding:
    """What is found about column x of a_t, which becomes NOT NULL and smaller again, with rows in the way."""
    early = CreateModel("T", [ID, ("x", models.IntegerField())])
    late = [AlterField("T", "x", models.BigIntegerField(null=True)), *before]
    migrations = [made("a.1", operations=[early]), made("a.2", "a.1", operations=late)]
    facts = Facts(in_the_way={need: Violations(Count(number, more), "SELECT them")})
    findings = found(migrations, recorded("a.1", late=["a.2"]), facts)
    (finding,) = [finding for finding in findings if finding.id != "rollback.I003"]
    return finding


def test_the_words_of_what_is_in_the_way() -> None:
    assert narrowing(1).text == "a.2 makes column a_t.x NOT NULL again: 1 row holds NULL."
    assert narrowing(1, more=True).text == "a.2 makes column a_t.x NOT NULL again: at least 1 rows hold NULL."
    assert narrowing(1).hint == "Fix these rows, then run the same command again. To list them: SELECT them"


def test_what_could_not_be_looked_through_is_a_remark() -> None:
    finding = narrowing(0, more=True)
    assert (finding.id, finding.level) == ("rollback.I020", Level.REMARK)
    assert finding.text.endswith("too large to check completely, so this may fail.")


def test_values_that_are_cut_need_consent() -> None:
    finding = narrowing(2, need=Need.KEPT)
    assert (finding.id, finding.level) == ("rollback.W010", Level.LOSS)
    assert finding.text == "a.2 makes column a_t.x an IntegerField again: 2 rows hold values that will be changed."


def test_what_code_may_mend_is_a_remark() -> None:
    finding = narrowing(2, before=[RunSQL("x", "y")])
    assert (finding.id, finding.level) == ("rollback.I020", Level.REMARK)
    assert finding.text.endswith("2 rows hold NULL. The run fails unless code that runs before this fixes it.")


def test_a_database_that_cannot_be_written_to() -> None:
    facts = Facts(why_read_only="The server is a standby.")
    text = "Nothing can be written to this database. The server is a standby."
    assert of("E017", undoing(X, facts=facts)) == [text]
    assert of("E017", undoing(X, facts=facts, count=False)) == [text]


def test_missing_rights() -> None:
    facts = Facts(lacking=["bob does not own a_t."])
    findings = undoing(X, facts=facts)
    assert of("E016", findings) == ["bob does not own a_t."]
    assert facts.needed == {("a_t", Right.ALTER)}
    assert of("E016", undoing(X, facts=facts, count=False)) == []
    nothing = Facts(lacking=["bob does not own a_t."])
    assert of("E016", undoing(RunSQL("", ""), facts=nothing)) == []


def test_a_table_that_only_another_schema_has() -> None:
    facts = Facts(elsewhere=["Table a_t is not in schema t7: the run would change the one of schema public."])
    assert of("E019", undoing(X, facts=facts)) == facts.elsewhere
    assert of("E019", undoing(X, facts=facts, count=False)) == facts.elsewhere
    assert of("E019", undoing(RunSQL("", ""), facts=facts)) == []


def test_the_estimate_of_a_large_table() -> None:
    assert str(Count(1_000_000, more=True)) == "more than 1 000 000"
    assert Count(1_000_000, more=True).found == "at least 1 000 000"


def test_every_check_is_listed_once() -> None:
    assert len(set(safety.CHECKS)) == len(safety.CHECKS)


def test_refused_carries_what_it_found() -> None:
    (finding,) = undoing(RunSQL("SELECT 1"))
    refused = safety.Refused("No.", hint="Do something else.", findings=[finding])
    assert (refused.returncode, refused.brief, refused.findings) == (3, "No.", (finding,))
    assert str(refused) == f"No. {finding.text}\nDo something else."


def test_sql_that_ends_or_refuses_a_transaction() -> None:
    ends, refuses = RunSQL("", "DELETE FROM t; COMMIT"), RunSQL("", "VACUUM")
    assert of("E030", undoing(ends)) == [
        "a.2 runs SQL with COMMIT, which would end the transaction of the run half-way."
    ]
    assert of("E030", undoing(ends, one_transaction=False)) == []
    assert of("E031", undoing(refuses)) == ["a.2 runs SQL with VACUUM, which cannot run inside a transaction."]
    # Its migration has not set atomic = False: then it fails step by step too.
    assert of("E031", undoing(refuses, one_transaction=False)) == of("E031", undoing(refuses))
    assert of("E031", undoing(refuses, one_transaction=False, facts=Facts(can_undo_ddl=False))) == []


def test_objects_that_hang_on_what_goes() -> None:
    view = Object("view", "s.v", Fate.GOES, "SELECT x FROM a_t")
    (finding,) = [each for each in undoing(X, facts=Facts(hanging={"a_t.x": view})) if each.id == "rollback.W020"]
    assert finding.text == "a.2 drops column a_t.x: view s.v goes along."
    assert finding.level is Level.LOSS
    assert finding.facts == {
        "kind": "view",
        "name": "s.v",
        "on": "a_t.x",
        "definition": "SELECT x FROM a_t",
        "rows": None,
    }


@pytest.mark.parametrize(
    ("object", "words"),
    [
        (Object("partition", "p", Fate.GOES, rows=1), "W020 partition p goes along, with its 1 row."),
        (Object("partition", "p", Fate.GOES, rows=1200), "W020 partition p goes along, with its 1 200 rows."),
        (Object("view", "v", Fate.BREAKS), "W021 view v stays, but is broken."),
        (Object("index", "i", Fate.GOES, what="it uses y"), "W020 index i goes along: it uses y."),
    ],
)
def test_what_happens_to_objects(object: Object, words: str) -> None:
    findings = undoing(X, facts=Facts(hanging={"a_t.x": object}))
    id, text = words.split(" ", 1)
    assert of(id, findings) == [f"a.2 drops column a_t.x: {text}"]


def test_an_object_that_would_make_a_step_fail_blocks_and_is_told_once() -> None:
    goes, stops = Object("view", "v", Fate.GOES), Object("view", "v", Fate.STOPS, what="it is in the way")
    facts = Facts(hanging={"a_t.x": stops, "a_t.y": goes})
    findings = undoing(X, AddField("T", "y", models.IntegerField(null=True)), facts=facts)
    assert of("W020", findings) == []
    assert of("E020", findings) == ["a.2 drops column a_t.x, which view v prevents: it is in the way."]


def test_objects_are_not_looked_for_where_the_states_cannot_be_known() -> None:
    facts = Facts(hanging={"a_t.x": Object("view", "v", Fate.GOES)})
    findings = found([made("a.1", operations=[T]), made("a.2", "a.1", operations=[X])], recorded(late=["a.2"]), facts)
    assert len(of("E007", findings)) == 1
    assert of("W020", findings) == []


def test_what_several_operations_give_alike_is_one_finding() -> None:
    one_way = undoing(RunSQL("SELECT 1"), RunSQL("SELECT 2"), RunSQL("SELECT 3"))
    assert of("E001", one_way) == ["a.2 cannot be undone: its SQL has no reverse."]
    assert one_way[0].facts == {"operation": 2}
    noop = undoing(RunSQL("SELECT 1", ""), RunSQL("SELECT 2", ""), RunPython(print, RunPython.noop))
    assert len(of("I002", noop)) == 2
    same = undoing(RunSQL("", "UPDATE a_t SET x = 1"), RunSQL("", "UPDATE a_t SET x = 1"))
    assert len(of("I003", same)) == 1


WITHOUT = {"Choose a later moment, or restore a backup."}


def next_that_works(time: str) -> set[str]:
    return {f'Choose a later moment: the next that works is "2024-05-01 {time}+00:00". Or restore a backup.'}


def hints(
    late: Mapping[str, str],
    *irreversible: str,
    graph: Sequence[Migration] = (),
    ghosts: Sequence[str] = (),
    **options: Any,
) -> set[str]:
    """late: migration -> when it was applied. The others of the graph were applied before the moment."""
    graph = graph or [made("a.1"), made("b.1", "a.1"), made("b.2", "b.1"), made("b.3", "b.2")]
    for migration in graph:
        if str(migration) in irreversible:
            migration.operations = [*migration.operations, RunSQL("SELECT 1")]
    early = [str(migration) for migration in graph if str(migration) not in late]
    rows = [Record(number, key(name), NOON - timedelta(hours=9 - number)) for number, name in enumerate(early)]
    for number, (name, time) in enumerate(late.items(), len(rows)):
        rows.append(Record(number, key(name), datetime.fromisoformat(f"2024-05-01T{time}+00:00")))
    found_here = found(graph, rows, **options)
    return {each.hint.split(" To leave")[0] for each in found_here if each.id == "rollback.E001"}


B = {"b.1": "12:00:00", "b.2": "13:00:00", "b.3": "14:00:00"}


def test_the_next_moment_that_works_is_named_as_one_would_type_it() -> None:
    assert hints(B, "b.2") == next_that_works("14:00:00")
    assert hints(B, "b.1", "b.2") == next_that_works("14:00:00")
    assert hints(B, "b.1") == next_that_works("13:00:00")
    assert hints({**B, "b.3": "14:00:00.750000"}, "b.2") == next_that_works("14:00:00")
    close = {**B, "b.2": "14:00:00.250000", "b.3": "14:00:00.750000"}
    assert hints(close, "b.2", choices=Choices(gap=timedelta(0))) == next_that_works("14:00:00.750000")


def test_where_no_moment_works_none_is_named() -> None:
    assert hints(B, "b.3") == WITHOUT
    assert hints(B, "b.2", cut=Cut(NOON, kept=frozenset([key("a.1")]))) == WITHOUT
    assert hints(B, "b.2", facts=Facts(why_read_only="It is a standby.")) == WITHOUT
    assert hints({**B, "c.9": "15:00:00"}, "b.1") == WITHOUT  # which this code does not have


def test_the_next_moment_is_not_one_that_something_else_blocks() -> None:
    y = AddField("T", "y", models.IntegerField(null=True))
    view = Object("view", "v", Fate.STOPS)
    for column, expected in [("b_t.y", WITHOUT), ("b_t.x", next_that_works("14:00:00"))]:
        graph = [made("b.1", operations=[T]), made("b.2", "b.1", operations=[X]), made("b.3", "b.2", operations=[y])]
        assert hints(B, "b.1", graph=graph, facts=Facts(hanging={column: view})) == expected


def test_the_next_moment_leaves_nothing_that_needs_what_is_undone() -> None:
    # b.3 was applied before b.2, and could not stay without it.
    late = {"b.1": "12:00:00", "b.3": "13:00:00", "b.2": "14:00:00"}
    assert hints(late, "b.1") == next_that_works("13:00:00")
    assert hints(late, "b.1", choices=Choices(cascade=True)) == next_that_works("13:00:00")
    late = {"a.2": "12:00:00", "b.3": "13:00:00", "b.2": "14:00:00"}
    graph = [made("a.1"), made("a.2", "a.1"), made("b.2", "a.1"), made("b.3", "b.2")]
    assert hints(late, "a.2", "b.3", graph=graph) == WITHOUT
    # b.1 is undone only because a.1 is, which was applied again.
    again = {"a.1": "12:00:00", "b.3": "13:00:00"}
    assert hints(again, "b.1", choices=Choices(cascade=True)) == next_that_works("13:00:00")
    pulls = {"b.1": "12:00:00", "a.1": "13:00:00"}
    assert hints(pulls, "b.1", choices=Choices(cascade=True)) == WITHOUT


def test_what_comes_back_empty() -> None:
    operations = [
        CreateModel("U", [ID, ("x", models.IntegerField(null=True))]),
        RemoveField("U", "x"),
        DeleteModel("T"),
    ]
    findings = undoing(*operations)
    assert of("I011", findings) == [
        "a.2 makes table a_t again, empty.",
        "a.2 adds column a_u.x again, without its values.",
    ]


def test_many_ghosts_are_one_finding() -> None:
    rows = recorded("a.1", late=[f"x.{number}" for number in range(12)])
    (finding,) = [each for each in found([made("a.1")], rows) if each.id == "rollback.E002"]
    assert finding.text == "12 late records are not in this code: x.0, x.1, x.2 and 9 more."
    assert finding.hint.startswith("This is probably the older release: run it from the newer one")
    assert (finding.about, len(finding.facts["migrations"])) == ("", 12)
    few = recorded("a.1", late=["x.1", "y.1"])
    assert of("E002", found([made("a.1")], few)) == ["2 late records are not in this code: x.1, y.1."]


def test_advice_about_a_history_with_gaps() -> None:
    graph = [made("a.1", operations=[T]), made("a.2", "a.1", operations=[X])]

    def hint(rows: Sequence[Record], **options: Any) -> str:
        (found_here,) = [each for each in found(graph, rows, **options) if each.id == "rollback.E007"]
        return found_here.hint

    assert hint(recorded(late=["a.2"])).startswith(
        "If a.1 is really in the database, add its record: INSERT INTO django_migrations (app, name, applied) "
        "SELECT 'a', '1', MIN(applied) FROM django_migrations;"
    )
    assert hint(recorded("old.1", late=["a.2"])).startswith(
        "If a.1 was recorded as old: UPDATE django_migrations SET app = 'a' WHERE app = 'old' AND name = '1';"
    )
    faked = hint(recorded(late=["a.1", "a.2"]), choices=Choices(fake=("a.1",)))
    assert faked == "Run this without --fake, or from the release that has all files."
