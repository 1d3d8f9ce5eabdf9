"""Results as people read them: wrapped, folded, and with the numbers right."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import models
from django.db.migrations.operations import AddField, AlterField, AlterModelOptions, CreateModel, RunSQL
from django.db.migrations.operations.base import Operation

from rollback_app import reports
from rollback_app.history import Cut
from rollback_app.moments import Moment
from rollback_app.planner import Choices, plan
from rollback_app.reports import Line, Report, as_message, as_text, said
from rollback_app.safety import Comparison, Difference, Finding, Level, Preview
from tests.support.commands import unwrapped
from tests.support.plain import NOON, code, made, recorded

ID = ("id", models.BigAutoField(primary_key=True))
T = CreateModel("T", [ID])


def text(*lines: Line) -> str:
    return as_text(Report(lines), lambda style, painted: f"<{painted}>")


def preview(
    *late: Sequence[Operation], findings: Sequence[Finding] = (), one_transaction: bool = True, **choices: Any
) -> Preview:
    """Of a plan that unapplies a.2, a.3, ... with these operations, after a.1 with the table a_t."""
    names = [f"a.{number}" for number in range(1, len(late) + 2)]
    made_ones = [made(names[0], operations=[T])]
    made_ones += [made(name, names[at], operations=list(late[at])) for at, name in enumerate(names[1:])]
    found = plan(code(*made_ones), recorded(names[0], late=names[1:]), Cut(NOON), Choices(**choices))
    moment = Moment("12:00", NOON, NOON.tzinfo or NOON.astimezone().tzinfo, "UTC")  # type: ignore[arg-type]
    return Preview("default", "default: SQLite, shop", moment, found, tuple(findings), one_transaction, NOON)


def shown(looked_at: Preview, *, all_steps: bool = False) -> str:
    return as_text(reports.of_preview(looked_at, all_steps=all_steps), lambda style, painted: painted)


def lost(about: str, column: str, rows: int | None, *, exact: bool = True) -> Finding:
    words = f"drops column a_t.{column}" if column else "drops table a_u"
    facts = {"table": "a_t", "column": column, "rows": rows, "exact": exact, "effect": words}
    return Finding("rollback.W001", Level.LOSS, about, f"{words}: {rows} rows.", "", facts)


def loss(id: str, about: str = "a.2") -> Finding:
    return Finding(id, Level.LOSS, about, f"{about} does something to data.", "Look at it.")


def add(name: str) -> AddField:
    return AddField("T", name, models.IntegerField(null=True))


# Lines


def test_a_line_wraps_below_its_first_sign_or_where_it_says() -> None:
    words = " ".join(["word"] * 20)
    first, rest = " ".join(["word"] * 15), " ".join(["word"] * 5)
    assert text(Line(f"  {words}")) == f"  {first}\n  {rest}"
    assert text(Line(f"  {words}", "ERROR", 9)) == f"<  {first}>\n<{' ' * 9}{rest}>"
    assert text(Line(f"  {words}", whole=True)) == f"  {words}"
    assert text(Line("x" * 90)) == "x" * 90
    assert text(Line("", "ERROR")) == ""


@pytest.mark.parametrize(
    "whole", ['"2024-05-01 10:00"', "`two words`", "'python manage.py x'", "--fake a.0001_x", "900 days 1 h ago"]
)
def test_what_may_be_pasted_stays_on_one_line(whole: str) -> None:
    for length in range(55, 80):
        assert whole in text(Line(f"{'x' * length} {whole} and more words"))


def test_a_command_or_statement_that_ends_a_sentence_stands_by_itself() -> None:
    command = "python manage.py rollbackmigrationsafter " + "--exclude x " * 8
    statement = "SELECT * FROM x WHERE " + "y AND " * 15
    assert as_message(f"Type: {command}") == f"Type:\n  {command}"
    assert as_message(f"The statement was: {statement}\nNo.") == f"The statement was:\n  {statement}\nNo."
    assert as_message(f"It was:\n  {statement}") == f"It was:\n  {statement}"
    assert text(*said("See: SELECT 1", indent=4)) == "    See:\n      SELECT 1"


# The summary


def summary(looked_at: Preview) -> str:
    return " ".join(shown(looked_at).split("\n\n")[1].split())


def test_the_summary_counts() -> None:
    steps = [[add("x"), add("y")], [add("z")]]
    assert summary(preview(*steps)) == "Undoes 2 migrations of 1 app. Nothing is lost. Nothing blocks."
    findings = [lost("a.2", "x", 1204), lost("a.2", "y", 2), lost("a.3", "", 1)]
    assert summary(preview(*steps, findings=findings)) == (
        "Undoes 2 migrations of 1 app. Destroys 1 table and 2 columns (1 207 rows). Needs your consent. Nothing blocks."
    )
    more = [lost("a.2", "x", 5, exact=False), lost("a.3", "z", None, exact=False)]
    assert "Destroys 2 columns (at least 5 rows)." in summary(preview(*steps, findings=more))
    assert "Destroys 1 column (rows not counted)." in summary(preview(*steps, findings=more[1:]))


def test_the_summary_tells_other_losses_and_blockers() -> None:
    findings = [loss("rollback.W010"), loss("rollback.W099"), loss("rollback.W098"), loss("rollback.W003")]
    blocker = Finding("rollback.E001", Level.BLOCKER, "a.2", "a.2 cannot be undone.")
    assert summary(preview([add("x")], findings=[*findings, blocker])) == (
        "Undoes 1 migration of 1 app. Cuts or rounds values in 1 place. Loses 2 other things, listed below. "
        "Needs your consent. BLOCKED by 1 finding, listed below."
    )
    only = summary(preview([add("x")], findings=[loss("rollback.W002")]))
    assert only == "Undoes 1 migration of 1 app. Needs your consent. Nothing blocks."
    assert "CONSENT a.2 does something to data. [rollback.W003]" in shown(preview([add("x")], findings=findings))


def test_the_summary_tells_of_sql_that_removes_something() -> None:
    def by_sql(sql: str) -> RunSQL:
        return RunSQL("SELECT 1", sql)

    assert "Nothing is lost." in summary(preview([by_sql("DROP VIEW v; UPDATE a_t SET x = 1")]))
    words = "drops or deletes something. Only --keep-table NAME keeps that."
    assert f"1 app. SQL of 1 migration {words} Nothing blocks." in summary(preview([by_sql("DROP TABLE a_w")]))
    found = summary(
        preview([by_sql("DELETE FROM a_w")], [add("z"), by_sql("TRUNCATE a_w")], findings=[lost("a.3", "z", 1)])
    )
    assert f"Destroys 1 column (1 row). SQL of 2 migrations {words} Needs your consent." in found


# The steps


def test_what_a_finding_says_about_a_step_stands_with_it() -> None:
    remark = Finding("rollback.I003", Level.REMARK, "a.2", "a.2 runs SQL of its own: SELECT 2. Look at it.", "A hint.")
    other = Finding("rollback.I006", Level.REMARK, "a.3", "a.3 waits.", "A hint.")
    looked_at = preview(
        [RunSQL("SELECT 1", "SELECT 2"), add("xy")], [add("x")], findings=[lost("a.3", "x", 1), remark, other]
    )
    assert """
  1. a.3, applied 2024-05-01 12:01:00
       LOST drops column a_t.x: 1 rows [rollback.W001]
       Note waits [rollback.I006]
         A hint.
  2. a.2, applied 2024-05-01 12:00:00
       drops column a_t.xy
       Note runs SQL of its own: SELECT 2. Look at it [rollback.I003]

Runs""" in shown(looked_at)


def test_what_changes_nothing_is_one_line() -> None:
    labels = [AlterModelOptions("T", {"verbose_name": name}) for name in "xyz"]
    help_text = AlterField("T", "x", models.IntegerField(null=True, help_text="?"))
    said = shown(preview([add("x"), *labels[:1]], [*labels, help_text], []))
    assert "2024-05-01 12:02:00\n       nothing in the database: it has no operations\n" in said
    assert "  3. a.2, applied 2024-05-01 12:00:00\n       drops column a_t.x\n       nothing in the database" in said
    assert said.count("nothing in the database") == 3
    assert " and 1 more\n  3. a.2" in said


def test_a_long_list_of_one_kind_is_folded() -> None:
    names = [f"x{number}" for number in range(9)]
    looked_at = preview([add(name) for name in names])
    assert "drops column a_t.x6\n       and 6 more like these on a_t, see -v 2\n" in shown(looked_at)
    assert shown(looked_at, all_steps=True).count("drops column a_t.x") == 9
    nothing_like_it = preview([add(name) for name in names[:4]])
    assert shown(nothing_like_it).count("drops column a_t.x") == 4


def test_a_folded_list_without_a_table_names_none() -> None:
    findings = [Finding("rollback.I006", Level.REMARK, "a.2", f"a.2 waits for {number}.") for number in range(5)]
    assert "       and 2 more like these, see -v 2\n" in shown(preview([add("x")], findings=findings))


def test_a_faked_step_says_only_that() -> None:
    faked = Finding("rollback.I008", Level.REMARK, "a.2", "a.2 is not undone.")
    said = shown(preview([add("x"), AlterModelOptions("T", {})], findings=[faked], fake=("a.2",)))
    assert "  1. a.2, applied 2024-05-01 12:00:00\n       Note is not undone [rollback.I008]\n\n" in said
    assert "1 of them in the records only." in said


def test_a_plan_that_is_not_one_transaction_says_so() -> None:
    assert "Does not run as one transaction: each step is committed by itself." in shown(
        preview([add("x")], one_transaction=False)
    )


# Findings


def test_findings_are_grouped_by_kind_and_hints_given_once() -> None:
    blockers = [Finding("rollback.E010", Level.BLOCKER, f"a.{n}", f"a.{n} fails.", "Fix it.") for n in range(6)]
    remark = Finding("rollback.I020", Level.REMARK, "a.2", "It may fail.")
    looked_at = preview([add("x")], findings=[blockers[0], remark, *blockers[1:]])
    assert """
BLOCKED a.0 fails. [rollback.E010]
    Fix it.
BLOCKED a.1 fails. [rollback.E010]
BLOCKED a.2 fails. [rollback.E010]
BLOCKED ... and 3 more of this kind, see -v 2 [rollback.E010]
Note a.2: It may fail. [rollback.I020]
""" in shown(looked_at)
    assert shown(looked_at, all_steps=True).count("fails.") == 6


def test_many_apps_are_folded() -> None:
    names = [f"a{number:02}.1" for number in range(30)]
    found = plan(code(*(made(name) for name in names)), recorded(late=names), Cut(NOON))
    moment = preview([]).moment
    said = shown(Preview("default", "default: SQLite, shop", moment, found, (), True, NOON + timedelta(days=1)))
    assert "  a18: zero\n  and 11 more apps, see -v 2\n" in said
    assert "a00, a01, a02, a03, a04, a05 and 24 more" in " ".join(said.split())


# After a run


DIFFERENCE = Difference("a_t", "index", "on x", missing=True)


@pytest.mark.parametrize(
    ("comparison", "lines"),
    [
        (Comparison(), ["Verified: no table was touched."]),
        (
            Comparison(left_out=("s.t",)),
            ["Not verified:", "  s.t was not compared: its name holds a schema or quotes."],
        ),
        (
            Comparison(1, left_out=("s.t",)),
            [
                "Verified: 1 table is as the migrations at the target say.",
                "  s.t was not compared: its name holds a schema or quotes.",
            ],
        ),
        (Comparison(1), ["Verified: 1 table is as the migrations at the target say."]),
        (
            Comparison(2, known=(DIFFERENCE,)),
            [
                "Verified: 2 tables are as the migrations at the target say, but for the following.",
                "  1 difference was there before the run; -v 2 lists it.",
            ],
        ),
        (
            Comparison(2, left_over=(DIFFERENCE,)),
            [
                "Verified: 2 tables are as the migrations at the target say, but for the following.",
                "  a_t lacks index on x: that is how Django itself undoes it, and harmless.",
            ],
        ),
        (Comparison(2, new=(DIFFERENCE,)), ["Verified: 1 difference from what the migrations say."]),
    ],
)
def test_the_verdict(comparison: Comparison, lines: list[str]) -> None:
    found = [line.text for line in reports.of_verdict(comparison).lines]
    assert found == lines
    in_full = reports.of_verdict(comparison, in_full=True).lines
    assert [line.text for line in in_full][-1:] != ["  1 difference was there before the run; -v 2 lists it."]


def test_an_announcement_begins_a_line_also_when_it_is_unwrapped() -> None:
    long = "CONSTRAINT `lower_case` failed for `a_database_of_`.`orders_order` (error 4025)"
    assert len(long) == 79  # so that no word fits behind it
    statement = "UPDATE `orders_order` SET `status` = 'x'"
    message = as_message(f"{long}\nThe statement was: {statement}\nNothing was changed.")
    assert message.splitlines()[-3:] == ["The statement was:", f"  {statement}", "Nothing was changed."]
    assert unwrapped(message) == f"{long}\nThe statement was:\n  {statement}\nNothing was changed."
