"""Models and a schema as plain data -> the answers; what no database is needed for."""

from __future__ import annotations

import pytest

from rollback_app.compatibility import (
    Answer,
    Column,
    Does,
    Fills,
    ForeignKey,
    ModelTable,
    Outcome,
    Relation,
    Schema,
    Verdict,
    Wanted,
    judge,
    of_words,
)
from tests.support.verdicts import answers

ID = of_words("bigint")


def model(
    table: str, *columns: Wanted, managed: bool = True, parents: tuple[str, ...] = (), problem: str = ""
) -> ModelTable:
    return ModelTable(
        f"a.{table}", table, (Wanted("id", ID), *columns), parents=parents, managed=managed, problem=problem
    )


def table(name: str, *columns: Column, kind: str = "table") -> Relation:
    return Relation(name, kind, columns={each.name: each for each in (Column("id", ID, null=False), *columns)})


def schema(*relations: Relation, keys: tuple[ForeignKey, ...] = (), vendor: str = "postgresql") -> Schema:
    return Schema(vendor, {each.name: each for each in relations}, keys)


def test_a_model_that_cannot_be_made_may_do_everything() -> None:
    (found,) = judge([model("t", problem="TypeError: no")], schema(table("t")))
    assert answers(found) == "reads maybe, inserts maybe, updates maybe, deletes maybe"
    assert found.because == ("The model a.t cannot be made: TypeError: no",)


def test_of_a_model_that_is_not_managed_nothing_is_sure() -> None:
    (found,) = judge([model("t", managed=False)], schema())
    assert answers(found) == "reads maybe, inserts maybe, updates maybe, deletes maybe"
    (found,) = judge([model("t", managed=False)], schema(table("t", kind="view")))
    assert answers(found) == ""


@pytest.mark.parametrize("name", ['s"."t', "s`.`t"])
def test_a_table_of_another_schema_is_not_taken_for_missing(name: str) -> None:
    pointing = Wanted("u_id", ID, points_to="u", constraint=True, on_delete="DJANGO")
    found, other = judge([model(name, pointing), model("u")], schema(table("u")))
    assert answers(other) == ""
    assert answers(found) == "reads maybe, inserts maybe, updates maybe, deletes maybe"
    assert found.because == ("Its table is in a schema of its own, s, which is not looked at.",)


def test_a_part_of_the_rows_is_in_the_table_of_a_parent() -> None:
    new = Column("new", ID, null=False)
    heir, parent = judge(
        [model("heir", parents=("parent",)), model("parent")], schema(table("heir"), table("parent", new))
    )
    assert (answers(heir), answers(parent)) == ("inserts no", "inserts no")
    assert heir.because == ("Its rows have a part in parent.",)


@pytest.mark.parametrize(
    ("on_delete", "here", "says"),
    [("DATABASE", "CASCADE", ""), ("DATABASE", "", "deletes maybe"), ("DJANGO", "", ""), ("NOBODY", "", "")],
)
def test_who_deletes_what_points_here(on_delete: str, here: str, says: str) -> None:
    """DATABASE: the older code's models.DB_CASCADE, of Django 6.1 and later."""
    pointing = Wanted("t_id", ID, points_to="t", constraint=True, on_delete=on_delete)
    there = schema(table("t"), table("u", Column("t_id", ID, null=True)), keys=(ForeignKey("u", ("t_id",), "t", here),))
    found = judge([model("t"), model("u", pointing)], there)
    assert [answers(each) for each in found] == [says, ""]


def test_what_is_deleted_along_in_a_circle() -> None:
    def pointing(at: str) -> Wanted:
        return Wanted(f"{at}_id", ID, points_to=at, constraint=True, on_delete="CASCADE")

    def columns(*at: str) -> list[Column]:
        return [Column(f"{each}_id", ID, null=True) for each in at]

    models = [
        model("a", pointing("b")),
        model("b", pointing("a")),
        model("c", pointing("c")),
        model("d", pointing("c")),
    ]
    tables = [
        table("a", *columns("b")),
        table("b", *columns("a")),
        table("c", *columns("c")),
        table("d", *columns("c")),
    ]
    new = ForeignKey("new", ("a_id",), "a")
    found = judge([*models, ModelTable("e", "e", problem="ValueError: x")], schema(*tables, keys=(new,)))
    assert {each.table: answers(each) for each in found if each.table in "abc"} == {
        "a": "deletes maybe",
        "b": "deletes maybe",
        "c": "",
    }
    assert found[1].because == (
        "To delete a row, this code also deletes the rows of a that point to it, which may fail.",
    )


def test_a_column_of_a_kind_that_is_not_known() -> None:
    wanted, column = Wanted("place", of_words("geometry(POINT,4326)")), Column("place", of_words("point"), null=False)
    (found,) = judge([model("t", wanted)], schema(table("t", column)))
    assert answers(found) == "reads maybe, inserts maybe, updates maybe"
    assert found.because == (
        "Column place holds point; this code expects geometry(point,4326) (geometry(POINT,4326)).",
    )


@pytest.mark.parametrize(
    ("words", "other", "narrower"),
    [
        ("varchar(20)", "varchar(50)", True),
        ("character varying(20)", "varchar(20)", False),
        ("text", "varchar(20)", False),
        ("varchar(20)", "text", True),
        ("smallint", "integer", True),
        ("bigint(20)", "integer", False),
        ("int(10) unsigned", "int(11)", True),
        ("int(11)", "int(10) unsigned", True),
        ("bigint(20)", "int(10) unsigned", False),
        ("numeric(8,2)", "numeric(10, 2)", True),
        ("numeric(10,2)", "numeric(10, 4)", True),
        ("numeric(10,4)", "numeric(8, 4)", False),
        ("numeric", "numeric(8, 4)", False),
        ("decimal(8)", "decimal(8,0)", False),
    ],
)
def test_narrower_types(words: str, other: str, narrower: bool) -> None:
    assert of_words(words).family == of_words(other).family
    assert of_words(words).narrower(of_words(other)) is narrower


def test_the_outcome() -> None:
    new = Column("new", ID, null=False)
    fails = judge([model("t")], schema(table("t", new)))
    runs = judge([model("t")], schema(table("t", Column("new", ID, null=False, fills=Fills.DEFAULT))))
    assert Verdict(fails).outcome is Outcome.FAILS
    assert Verdict(runs).outcome is Outcome.RUNS
    assert Verdict().outcome is Outcome.RUNS
    assert Verdict(unclear="KeyError: 'x'").outcome is Outcome.WITH_CARE
    assert fails[0].answer(Does.INSERTS) is Answer.NO
