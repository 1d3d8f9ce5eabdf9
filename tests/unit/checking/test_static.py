"""What reading a migration finds, and what it must leave alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from django.db import models
from django.db.migrations.operations import (
    AddField,
    AlterField,
    CreateModel,
    DeleteModel,
    RemoveField,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation

from rollback_app.checking import Finding, Source, looked_at, plan_of
from rollback_app.errors import CodeUnusable
from rollback_app.history import Key
from rollback_app.planner import Names
from tests.support.checking_examples import EXAMPLES, FILE, USES_CUSTOMERS, empty_totals, reading, set_totals
from tests.support.finding_examples import LATE
from tests.support.plain import code, key, keys, made


def ids(findings: Sequence[Finding]) -> list[str]:
    return [finding.id.removeprefix("rollback.") for finding in findings]


@pytest.mark.parametrize("id", EXAMPLES)
def test_a_bad_migration_is_found_under_its_id_and_no_other(id: str) -> None:
    (finding,) = EXAMPLES[id]()
    assert finding.id == f"rollback.{id}"
    assert (finding.migration, finding.file) == (LATE, FILE)
    assert LATE in finding.text
    assert finding.hint


def lines_of_code(apps: Any, schema_editor: Any) -> None:
    apps.get_model("orders", "Order").objects.all().delete()


class Callable:
    def __call__(self, apps: Any, schema_editor: Any) -> None: ...


GOOD: dict[str, list[Operation]] = {
    "a new column": [AddField("Order", "note", models.TextField(default=""))],
    "a new table": [CreateModel("Invoice", [("id", models.BigAutoField(primary_key=True))])],
    "code with a reverse": [RunPython(set_totals, lines_of_code)],
    "code that does nothing": [RunPython(RunPython.noop, RunPython.noop), RunPython(empty_totals, RunPython.noop)],
    "SQL that leaves nothing": [RunSQL("SELECT 1; ANALYZE", RunSQL.noop), RunSQL("", "")],
    "SQL with a reverse": [RunSQL("CREATE TABLE x (y int REFERENCES z ON DELETE CASCADE)", "DROP TABLE x")],
    "a wider column": [AlterField("Order", "number", models.CharField(max_length=50, unique=True))],
    "a sign that is refused": [
        AddField("Order", "x", models.IntegerField(default=0)),
        AlterField("Order", "x", models.PositiveIntegerField()),
    ],
    "the state alone": [SeparateDatabaseAndState([], [RemoveField("Order", "total")])],
    "a reverse that is an object": [RunPython(set_totals, Callable()), RunPython(set_totals, partial(lines_of_code))],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_migration_is_left_alone(name: str) -> None:
    assert reading(*GOOD[name]) == []


def test_what_is_declared_is_no_finding() -> None:
    noop = RunPython(set_totals, RunPython.noop)
    assert ids(reading(noop, reversible_by_design=False)) == ["C002"]
    assert reading(noop, reversible_by_design=True) == []
    assert reading(RunSQL("UPDATE x SET y = 1", RunSQL.noop), reversible_by_design=True) == []
    assert reading(RemoveField("Order", "total"), breaking=True) == []
    assert ids(reading(RunPython(set_totals), breaking=True, reversible_by_design=True)) == ["C001"]


def test_what_migrate_keeps_is_not_lost() -> None:
    assert ids(reading(RemoveField("Order", "total"), DeleteModel("Order"))) == ["C003", "C003"]
    assert reading(RemoveField("Order", "total"), kept=True) == []


def test_a_reverse_that_does_nothing_in_other_words() -> None:
    assert ids(reading(RunPython(set_totals, empty_totals))) == ["C002"]
    assert ids(reading(RunPython(set_totals, lambda apps, schema_editor: None))) == ["C002", "C006"]
    assert ids(reading(RunSQL("CREATE TABLE x (y int)", ""))) == ["C002"]
    assert ids(reading(SeparateDatabaseAndState([RunSQL(["SELECT 1", "UPDATE x SET y = 1"], [])]))) == ["C002"]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("CREATE INDEX CONCURRENTLY x ON y (z)", "CREATE INDEX CONCURRENTLY"),
        ("ALTER TABLE x DETACH PARTITION y CONCURRENTLY", "DETACH PARTITION CONCURRENTLY"),
        ("VACUUM", "VACUUM"),
    ],
)
def test_what_needs_no_transaction(sql: str, words: str) -> None:
    for operation in (RunSQL(sql, "SELECT 1"), RunSQL("SELECT 1", sql)):
        (finding,) = reading(operation)
        assert finding.id == "rollback.C008"
        assert f"and {words} cannot run inside a transaction" in finding.text
        assert reading(operation, atomic=False) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (models.CharField(max_length=20), models.CharField(max_length=10)),
        (models.TextField(), models.CharField(max_length=10)),
        (models.CharField(max_length=20), models.IntegerField()),
        (models.BigIntegerField(), models.IntegerField()),
        (models.DecimalField(max_digits=8, decimal_places=2), models.DecimalField(max_digits=8, decimal_places=1)),
        (models.DecimalField(max_digits=8, decimal_places=2), models.DecimalField(max_digits=8, decimal_places=3)),
        (models.FloatField(), models.IntegerField()),
        (models.DateTimeField(), models.DateField()),
    ],
)
def test_a_narrower_column(before: Any, after: Any) -> None:
    there, back = (
        reading(AddField("Order", "x", one), AlterField("Order", "x", other))
        for one, other in ((before, after), (after, before))
    )
    assert ids(there) == ["C004"]
    assert ids(back) in ([], ["C004"])  # of decimals each has values that the other cannot hold
    assert reading(AddField("Order", "x", before), AlterField("Order", "x", after), kept=True) == []


def test_a_dependency_that_is_used() -> None:
    customers = made("customers.0001_initial")
    (finding,) = reading(text=USES_CUSTOMERS, others=[customers])
    assert finding.line == 5
    assert "uses customers.Customer and depends on no migration of customers" in finding.text
    through = [customers, made("billing.0001_initial", "customers.0001_initial", INITIAL)]
    assert reading(text=USES_CUSTOMERS) == []  # the app is not there at all
    assert ids(reading(text=USES_CUSTOMERS, others=through)) == ["C009"]
    assert reading(text=USES_CUSTOMERS, others=through, dependencies=[key("billing.0001_initial"), key(INITIAL)]) == []
    twice = USES_CUSTOMERS.replace("\n\n\nclass", '\n    apps.get_model("customers.Customer")\n\n\nclass')
    assert len(reading(text=twice, others=[customers])) == 1


INITIAL = "orders.0001_initial"


def test_lines() -> None:
    text = (
        "class Migration(M):\n    dependencies = [1, 2]\n    atomic = False\n    operations: list = [\n"
        "        a,\n        RunPython(b),\n    ]\n"
        "class Other: ...\noperations = [1, 2]\n"
    )
    assert [finding.line for finding in reading(RunSQL("", ""), RunPython(set_totals), text=text)] == [6]
    assert reading(RunPython(set_totals), text=text)[0].line == 1  # another number than is written
    assert reading(RunPython(set_totals), text="x = 1\n\nclass Migration(M):\n    a.b = c = [1]\n")[0].line == 3
    assert reading(RunPython(set_totals))[0].line == 1
    made_here = reading(RunPython(lambda apps, schema_editor: apps.clear(), lines_of_code), text=text)
    assert [finding.line for finding in made_here] == [1]  # it is not in the migration's own file


def models_asked_for(text: str) -> list[tuple[str, str]]:
    return [(app, model) for app, model, _ in Source(FILE, text).models_asked_for()]


def test_models_asked_for() -> None:
    assert models_asked_for("def f(apps, e): apps.get_model('a', 'B'); apps.get_model('a.C')") == [
        ("a", "B"),
        ("a", "C"),
    ]
    assert models_asked_for("def f(registry, e): registry.get_model(model_name='B', app_label='a')") == [("a", "B")]
    assert models_asked_for("f = lambda r, e: r.get_model('a', 'B')") == [("a", "B")]
    assert models_asked_for("def help(name, apps): apps.get_model(name, 'B'); apps.get_model('a', 'B', False)") == [
        ("a", "B")
    ]
    assert (
        models_asked_for("apps.get_model('a', 'B')\ndef f(apps, e): other.get_model('a', 'B'); get_model('a.B')") == []
    )
    assert models_asked_for("def f(apps, e): apps.get_model('nonsense'); apps.get_model(*x)") == []
    caught = "def f(apps, e):\n    try:\n        apps.get_model('a', 'B')\n    except {}:\n        apps.get_model('c', 'D')\n"
    assert models_asked_for(caught.format("LookupError")) == [("c", "D")]
    assert models_asked_for(caught.format("(TypeError, LookupError)")) == [("c", "D")]
    assert models_asked_for(caught.replace(" {}", "")) == [("c", "D")]
    assert models_asked_for(caught.format("ValueError")) == [("a", "B"), ("c", "D")]


# What is new


def steps(plan: Any) -> list[str]:
    return [str(step.key) for step in reversed(plan.steps)]


def test_new_is_what_is_not_known_in_the_order_of_migrate() -> None:
    graph = [
        made("b.0001_i"),
        made("b.0002_x", "b.0001_i"),
        made("a.0001_i", "b.0001_i"),
        made("a.0002_x", "a.0001_i"),
        made("c.0001_i"),
    ]
    assert steps(plan_of(code(*graph), [], Names())) == ["b.0001_i", "a.0001_i", "a.0002_x", "b.0002_x", "c.0001_i"]
    known = keys("a.0001_i", "b.0001_i", "c.0001_i", "gone.0001_i")
    assert steps(plan_of(code(*graph), known, Names())) == ["a.0002_x", "b.0002_x"]


def test_squashes() -> None:
    graph = [
        made("a.0001_i"),
        made("a.0002_x", "a.0001_i"),
        made("a.0001_squashed_0002_x", replaces=["a.0001_i", "a.0002_x"]),
    ]
    squash = "a.0001_squashed_0002_x"
    assert steps(plan_of(code(*graph), [], Names())) == [squash]
    assert steps(plan_of(code(*graph), keys("a.0001_i", "a.0002_x"), Names())) == []
    assert steps(plan_of(code(*graph), keys("a.0001_i"), Names())) == ["a.0002_x"]
    assert steps(plan_of(code(*graph), keys(squash), Names())) == []
    assert steps(plan_of(code(*graph), keys(squash, "a.0001_i"), Names())) == []
    assert steps(plan_of(code(graph[-1]), [], Names())) == [squash]


def test_a_circle_is_told() -> None:
    with pytest.raises(CodeUnusable, match="in a circle"):
        plan_of(code(made("a.0001_i", "b.0001_i"), made("b.0001_i", "a.0001_i")), [], Names())


def test_a_migration_without_operations_is_looked_at() -> None:
    plan = plan_of(code(made("a.0001_i")), [], Names())
    looked = list(looked_at(plan, {Key("a", "0001_i")}, Names(), lambda migration: Source(FILE, "")))
    assert [str(each.step.key) for each in looked] == ["a.0001_i"]
