"""Names of today: what a plan speaks of, under the names that it has before the run; and what the run itself sees to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import models
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterModelTable,
    AlterOrderWithRespectTo,
    AlterUniqueTogether,
    CreateModel,
    DeleteModel,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
    RenameField,
    RenameIndex,
    RenameModel,
    RunPython,
    RunSQL,
)
from django.db.migrations.operations.base import Operation

from rollback_app.history import Position
from rollback_app.planner import Help, Need, Requirement, Right, all_requirements, plan, rights
from tests.support.plain import CUT, code, key, made, recorded

ID = ("id", models.BigAutoField(primary_key=True))
X = ("x", models.IntegerField(db_index=True))
T = CreateModel("T", [ID, X])
NULL = AlterField("T", "x", models.IntegerField(null=True))
GENERATED = models.GeneratedField(expression=models.F("id") + 1, output_field=models.IntegerField(), db_persist=True)
BY_X = models.Index(fields=["x"], name="by_x")
SMALL = models.CheckConstraint(condition=models.Q(x__lt=5), name="small")


def demanded(*operations: Operation, early: Sequence[Operation] = (T,)) -> list[Requirement]:
    """What undoing these in a.2 demands, on top of the early ones in a.1."""
    return [requirement for requirement, _ in demanded_with_help(*operations, early=early)]


def demanded_with_help(
    *operations: Operation, early: Sequence[Operation] = (T,), position: Position | None = None
) -> list[tuple[Requirement, Help]]:
    migrations = [made("a.1", operations=early), made("a.2", "a.1", operations=operations)]
    found = plan(code(*migrations), recorded("a.1", late=["a.2"]), CUT, position=position)
    return [(requirement, help) for _, requirement, help in all_requirements(found.steps, found.earlier.resumes)]


def short(requirements: Sequence[Requirement]) -> list[tuple[Need, str, tuple[str, ...]]]:
    return [(requirement.need, requirement.today, requirement.columns) for requirement in requirements]


def test_names_of_today() -> None:
    (requirement,) = [
        requirement
        for requirement in demanded(NULL, RenameField("T", "x", "y"), AlterModelTable("T", "other"))
        if requirement.need is Need.NO_NULLS
    ]
    assert (requirement.table, requirement.today, requirement.columns, requirement.renamed) == (
        "a_t",
        "other",
        ("x",),
        (("x", "y"),),
    )


def test_a_column_that_is_called_otherwise_in_the_database() -> None:
    """The column's name changes with the field; nobody has to be renamed."""
    (requirement,) = demanded(AlterField("T", "x", models.IntegerField(db_column="y")))
    assert (requirement.need, requirement.today, requirement.columns) == (Need.FREE_COLUMN, "a_t", ("x",))
    narrowing, taken = demanded(NULL, AlterField("T", "x", models.IntegerField(null=True, db_column="y")))[::-1]
    assert (narrowing.need, narrowing.renamed, taken.need) == (Need.NO_NULLS, (("x", "y"),), Need.FREE_COLUMN)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([DeleteModel("T")], [(Need.FREE_TABLE, "a_t", ("a_t",))]),
        ([RenameModel("T", "S")], [(Need.FREE_TABLE, "a_t", ("a_t",))]),
        ([AlterModelTable("T", "other")], [(Need.FREE_TABLE, "a_t", ("a_t",))]),
        ([AlterModelTable("T", "a_t")], []),
        ([RenameField("T", "x", "y")], [(Need.FREE_COLUMN, "a_t", ("x",))]),
        ([RemoveIndex("T", "by_x")], [(Need.FREE_INDEX, "a_t", ("by_x",))]),
        ([RenameIndex("T", new_name="new", old_name="by_x")], [(Need.FREE_INDEX, "a_t", ("by_x",))]),
        ([AddIndex("T", models.Index(fields=["x"], name="i"))], []),
        ([RemoveField("T", "x")], [(Need.FREE_COLUMN, "a_t", ("x",)), (Need.FEW_ROWS, "a_t", ("x",))]),
    ],
)
def test_names_that_must_be_free(
    operations: Sequence[Operation], expected: list[tuple[Need, str, tuple[str, ...]]]
) -> None:
    assert short(demanded(*operations, early=[T, AddIndex("T", BY_X)])) == expected


def test_names_that_the_run_frees_itself() -> None:
    u = CreateModel("U", [ID, ("x", models.IntegerField(default=1))])
    assert short(demanded(RenameModel("T", "S"), CreateModel("T", [ID]))) == []
    assert short(demanded(RenameField("T", "x", "y"), AddField("T", "x", models.IntegerField(null=True)))) == []
    index = models.Index(fields=["x"], name="by_x")
    again = [RemoveIndex("T", "by_x"), AddIndex("T", index)]
    assert short(demanded(*again, early=[T, AddIndex("T", BY_X)])) == []
    constraint = [RemoveConstraint("T", "small"), AddConstraint("T", SMALL)]
    assert Need.FREE_INDEX not in {
        need for need, *_ in short(demanded(*constraint, early=[T, AddConstraint("T", SMALL)]))
    }
    renamed = [RemoveIndex("T", "by_x"), AddIndex("T", models.Index(fields=["x"], name="i"))]
    renamed += [RenameIndex("T", new_name="by_x", old_name="i")]
    assert Need.FREE_INDEX not in {
        need for need, _, columns in short(demanded(*renamed, early=[T, AddIndex("T", BY_X)])) if columns == ("by_x",)
    }
    removed = [RemoveField("U", "x"), DeleteModel("U")]
    assert short(demanded(*removed, early=[T, u])) == [(Need.FREE_TABLE, "a_u", ("a_u",))]
    gone = [RemoveIndex("T", "by_x"), DeleteModel("T")]
    assert short(demanded(*gone, early=[T, AddIndex("T", BY_X)])) == [(Need.FREE_TABLE, "a_t", ("a_t",))]


def test_a_table_that_the_run_makes_is_empty() -> None:
    assert short(demanded(NULL, DeleteModel("T"))) == [(Need.FREE_TABLE, "a_t", ("a_t",))]


def test_a_column_that_the_run_adds_without_a_value_is_all_null() -> None:
    _, requirement = demanded(NULL, RemoveField("T", "x"))
    assert (requirement.need, requirement.columns) == (Need.NO_NULLS, ())
    assert requirement.words == "makes column a_t.x NOT NULL again, which is empty by then"
    with_default = AlterField("T", "x", models.IntegerField(null=True, default=5))
    assert short(demanded(with_default, RemoveField("T", "x"))) == [(Need.FREE_COLUMN, "a_t", ("x",))]
    unique = AlterUniqueTogether("T", set())
    twice = CreateModel("T", [ID, X], {"unique_together": {("id", "x")}})
    added = demanded(unique, RemoveField("T", "x"), early=[twice])
    assert Need.UNIQUE not in {requirement.need for requirement in added}


def test_a_constraint_over_columns_that_the_run_makes_is_not_judged() -> None:
    y = AddField("T", "y", models.IntegerField(null=True))
    kept = demanded(RemoveConstraint("T", "small"), early=[T, y, AddConstraint("T", SMALL)])
    assert [requirement.need for requirement in kept] == [Need.FREE_INDEX, Need.CHECK]
    assert kept[1].model()._meta.db_table == "a_t"
    dropped = demanded(RemoveConstraint("T", "small"), RemoveField("T", "y"), early=[T, y, AddConstraint("T", SMALL)])
    assert Need.CHECK not in {requirement.need for requirement in dropped}


def test_other_constraints_demand_only_their_name() -> None:
    class Special(models.BaseConstraint):
        pass

    special = AddConstraint("T", Special(name="special"))
    assert short(demanded(RemoveConstraint("T", "special"), early=[T, special])) == [
        (Need.FREE_INDEX, "a_t", ("special",))
    ]


def test_columns_that_are_filled_or_computed_demand_nothing_of_the_rows() -> None:
    for field in (models.IntegerField(null=True), models.IntegerField(default=1), GENERATED):
        early = [T, AddField("T", "y", field)]
        assert short(demanded(RemoveField("T", "y"), early=early)) == [(Need.FREE_COLUMN, "a_t", ("y",))]


def test_what_does_not_live_here_demands_nothing() -> None:
    unmanaged = CreateModel(
        "T",
        [ID, X],
        {"managed": False, "unique_together": {("id", "x")}, "indexes": [BY_X], "constraints": [SMALL]},
    )
    operations: list[Operation] = [
        RemoveIndex("T", "by_x"),
        RemoveConstraint("T", "small"),
        AlterUniqueTogether("T", set()),
        NULL,
        RenameField("T", "x", "y"),
        RemoveField("T", "y"),
        RenameModel("T", "S"),
        DeleteModel("S"),
    ]
    assert demanded(*operations, early=[unmanaged]) == []
    assert demanded(RenameIndex("T", new_name="i", old_name="by_x"), early=[unmanaged]) == []


def test_many_to_many_tables() -> None:
    ts = models.ManyToManyField("a.T")
    early = [T, CreateModel("U", [ID, ("ts", ts)])]
    assert short(demanded(RemoveField("U", "ts"), early=early)) == [(Need.FREE_TABLE, "a_u_ts", ("a_u_ts",))]
    assert short(demanded(DeleteModel("U"), early=early)) == [
        (Need.FREE_TABLE, "a_u", ("a_u",)),
        (Need.FREE_TABLE, "a_u_ts", ("a_u_ts",)),
    ]
    through = models.ManyToManyField("a.T", through="a.V", blank=True)
    altered = AlterField("U", "ts", models.ManyToManyField("a.T", blank=True))
    assert demanded(altered, early=early) == []
    with_model = [*early[:1], CreateModel("U", [ID]), AddField("U", "ts", through)]
    assert demanded(RemoveField("U", "ts"), early=with_model) == []


def test_relations() -> None:
    u = CreateModel("U", [ID, ("t", models.ForeignKey("a.T", models.CASCADE))])
    loose = AlterField("U", "t", models.ForeignKey("a.T", models.CASCADE, db_constraint=False))
    (requirement,) = demanded(loose, RenameModel("T", "S"), early=[T, u])[1:]
    assert (requirement.need, requirement.today, requirement.columns, requirement.target) == (
        Need.POINTS,
        "a_u",
        ("t_id",),
        ("a_s", "id"),
    )
    same = AlterField("U", "t", models.ForeignKey("a.T", models.PROTECT))
    assert demanded(same, early=[T, u]) == []
    by_x = models.ForeignKey("a.P", models.CASCADE, to_field="x")
    p = CreateModel("P", [ID, ("x", models.IntegerField(unique=True))])
    early = [p, CreateModel("U", [ID, ("t", by_x)])]
    loose = AlterField("U", "t", models.ForeignKey("a.P", models.CASCADE, to_field="x", db_constraint=False))
    (requirement,) = demanded(loose, early=early)
    assert requirement.target == ("a_p", "x")


def test_a_relation_to_an_app_without_migrations() -> None:
    u = CreateModel("U", [ID, ("t", models.ForeignKey("contenttypes.ContentType", models.CASCADE))])
    loose = AlterField("U", "t", models.ForeignKey("contenttypes.ContentType", models.CASCADE, db_constraint=False))
    assert demanded(loose, early=[u]) == []


def test_code_that_runs_before_may_help() -> None:
    sql = RunSQL("x", "y")
    assert [help for _, help in demanded_with_help(sql, NULL)] == [Help.NONE]
    assert [help for _, help in demanded_with_help(NULL, sql)] == [Help.MAY_FIX]
    assert demanded_with_help(NULL, sql, RemoveField("T", "x"))[-1][1] is Help.MAY_FILL
    assert demanded_with_help(NULL, RemoveField("T", "x"), sql)[-1][1] is Help.MAY_FIX
    assert demanded_with_help(NULL, RenameField("T", "x", "y"), sql, RemoveField("T", "y"))[-1][1] is Help.MAY_FILL


def test_code_reaches_its_app_what_it_depends_on_and_what_its_sql_names() -> None:
    def help(operation: Operation, *depends: str, rename: Sequence[Operation] = ()) -> Help:
        migrations = [
            made("a.1", operations=[T]),
            made("a.2", "a.1", operations=[NULL]),
            made("a.3", "a.2", operations=rename),
            made("b.1", *depends, operations=[operation]),
        ]
        found = plan(code(*migrations), recorded("a.1", late=["a.2", "a.3", "b.1"]), CUT)
        return [help for _, requirement, help in all_requirements(found.steps) if requirement.need is Need.NO_NULLS][-1]

    run = RunPython(RunPython.noop, print)
    assert help(run) is Help.NONE
    assert help(run, "a.1") is Help.MAY_FIX
    assert help(RunSQL("", "UPDATE other SET a_t = 1"), "a.1") is Help.MAY_FIX
    for sql in ("UPDATE a_t SET x = 0", 'UPDATE public."A_T" SET x = 0', ["SELECT 1", ("UPDATE `a_t`", [])]):
        assert help(RunSQL("", sql)) is Help.MAY_FIX
    for sql in ("UPDATE ba_t SET x = 0", "UPDATE a_t_x SET x = 0", "SELECT 1"):
        assert help(RunSQL("", sql)) is Help.NONE
    renamed = [AlterModelTable("T", "other")]
    assert help(RunSQL("", "UPDATE other SET x = 0"), rename=renamed) is Help.MAY_FIX


def test_a_step_that_broke_off_demands_nothing() -> None:
    position = Position(key("a.2"), (2,), 1)
    assert demanded_with_help(NULL, RunSQL("x", "y"), position=position) == []


def test_rights() -> None:
    operations = [CreateModel("U", [ID]), AddIndex("T", BY_X), NULL, RemoveField("T", "x"), DeleteModel("T")]
    migrations = [made("a.1", operations=[T]), made("a.2", "a.1", operations=operations)]
    found = plan(code(*migrations), recorded("a.1", late=["a.2"]), CUT)
    assert rights(found) == {("a_u", Right.DROP), ("a_t", Right.CREATE)}
    migrations = [made("a.1", operations=[T]), made("a.2", "a.1", operations=[RenameModel("T", "S"), RunSQL("", "")])]
    found = plan(code(*migrations), recorded("a.1", late=["a.2"]), CUT)
    assert rights(found) == {("a_s", Right.ALTER), ("a_s", Right.INDEX)}


def test_a_change_that_the_database_does_not_see_needs_no_right() -> None:
    def needed(field: models.Field[int, int]) -> set[tuple[str, Right]]:
        migrations = [made("a.1", operations=[T]), made("a.2", "a.1", operations=[AlterField("T", "x", field)])]
        return rights(plan(code(*migrations), recorded("a.1", late=["a.2"]), CUT))

    assert needed(models.IntegerField(db_index=True, help_text="How many.")) == set()
    assert needed(models.IntegerField()) == {("a_t", Right.ALTER)}


def test_an_order_that_is_added_again() -> None:
    u = CreateModel("U", [ID, ("t", models.ForeignKey("a.T", models.CASCADE))], {"order_with_respect_to": "t"})
    assert demanded(AlterOrderWithRespectTo("U", None), early=[T, u]) == []


def test_a_target_that_no_migration_made_demands_nothing() -> None:
    """As the models of an app without migrations."""
    many = models.ManyToManyField("elsewhere.S")
    t = CreateModel("T", [ID, ("ss", many)])
    u = CreateModel("U", [ID])
    found = demanded(AlterField("T", "ss", models.ManyToManyField("a.U")), early=[t, u])
    assert [requirement for requirement in found if requirement.need is Need.POINTS] == []


def test_keys_that_point_to_themselves_have_no_type() -> None:
    own = models.OneToOneField("a.T", models.CASCADE, primary_key=True)
    t = CreateModel("T", [("t", own)])
    u = CreateModel("U", [ID, ("t", models.ForeignKey("a.T", models.CASCADE, null=True))])
    change = AlterField("U", "t", models.IntegerField(null=True))
    found = demanded(change, early=[t, u])
    assert [requirement for requirement in found if requirement.need is Need.FITS] == []
