"""What undoing each operation does, in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from rollback_app.planner import Effect, Kind, Names, is_concurrent, name_of_code
from rollback_app.planner.effects import effects
from rollback_app.states import States
from tests.support.plain import made

ID = ("id", models.BigAutoField(primary_key=True))
BOOK = migrations.CreateModel(
    "Book",
    [ID, ("title", models.CharField(max_length=9, db_column="name")), ("tags", models.ManyToManyField("a.Tag"))],
)
TAG = migrations.CreateModel("Tag", [ID])
GROUND = (TAG, BOOK)
SHORT = models.Index(fields=["title"], name="short")
CHECK = models.CheckConstraint(condition=models.Q(id__gt=0), name="positive")


def undone(*operations: Operation, ground: Sequence[Operation] = GROUND, names: Names | None = None) -> list[Effect]:
    """The effects of undoing the operations, last first, on top of the ground."""
    states = States([made("a.1", operations=ground)], [made("a.2", "a.1", operations=operations)], [])
    ((_, undos),) = states.backwards()
    return [effect for undo in undos for effect in effects(undo, "a", names or Names())]


def words(*operations: Operation, **options: Any) -> list[str]:
    return [effect.words for effect in undone(*operations, **options)]


PROXY = migrations.CreateModel("Proxy", [], bases=("a.tag",), options={"proxy": True})
UNMANAGED = migrations.CreateModel("View", [ID, ("x", models.IntegerField())], options={"managed": False})
SWAPPED = migrations.CreateModel("User", [ID], options={"swappable": "AUTH_USER_MODEL"})


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([migrations.CreateModel("New", [ID])], ["drops table a_new"]),
        (
            [migrations.CreateModel("New", [ID, ("tags", models.ManyToManyField("a.Tag"))])],
            ["drops table a_new_tags", "drops table a_new"],
        ),
        ([PROXY], ["nothing in the database: Create proxy model Proxy"]),
        ([UNMANAGED], ["nothing in the database: Create model View"]),
        (
            [migrations.DeleteModel("Book")],
            ["makes table a_book again, empty", "makes table a_book_tags again, empty"],
        ),
        (
            [migrations.RenameModel("Book", "Novel")],
            ["renames table a_novel back to a_book", "renames table a_novel_tags back to a_book_tags"],
        ),
        (
            [migrations.AlterModelTable("Book", "books")],
            ["renames table books back to a_book", "renames table books_tags back to a_book_tags"],
        ),
        ([migrations.AlterModelTable("Tag", "a_tag")], ["nothing in the database: Rename table for Tag to a_tag"]),
        ([migrations.AddField("Book", "x", models.IntegerField(null=True))], ["drops column a_book.x"]),
        (
            [migrations.AddField("Book", "of", models.ForeignKey("a.Tag", models.CASCADE))],
            ["drops column a_book.of_id"],
        ),
        ([migrations.AddField("Book", "more", models.ManyToManyField("a.Tag"))], ["drops table a_book_more"]),
        (
            [migrations.AddField("Book", "by", models.ManyToManyField("a.Tag", through="a.Other", related_name="+"))],
            ["nothing in the database: Add field by to Book"],
        ),
        (
            [
                migrations.AddField("Book", "more", models.ManyToManyField("a.Tag", db_table="joined")),
                migrations.RenameField("Book", "more", "others"),
            ],
            ["nothing in the database: Rename field more on Book to others", "drops table joined"],
        ),
        ([migrations.RemoveField("Book", "title")], ["adds column a_book.name again, without its values"]),
        ([migrations.RemoveField("Book", "tags")], ["makes table a_book_tags again, empty"]),
        (
            [migrations.AlterField("Book", "title", models.CharField(max_length=20))],
            ["changes column a_book.name back"],
        ),
        (
            [migrations.AlterField("Book", "tags", models.ManyToManyField("a.Tag", db_table="joined"))],
            ["renames table joined back to a_book_tags"],
        ),
        (
            [migrations.AlterField("Book", "tags", models.ManyToManyField("a.Tag", blank=True))],
            ["nothing in the database: Alter field tags on Book"],
        ),
        (
            [
                migrations.AlterField(
                    "Book", "title", models.CharField("label", max_length=9, db_column="name", help_text="x")
                )
            ],
            ["nothing in the database: Alter field title on Book"],
        ),
        ([migrations.RenameField("Tag", "id", "key")], ["renames column a_tag.key back to id"]),
        (
            [migrations.RenameField("Book", "title", "heading")],
            ["nothing in the database: Rename field title on Book to heading"],
        ),
        (
            [migrations.AlterOrderWithRespectTo("Tag", None)],
            ["nothing in the database: Set order_with_respect_to on Tag to None"],
        ),
        ([migrations.AddIndex("Book", SHORT)], ["drops index short of a_book"]),
        (
            [migrations.AddIndex("Book", SHORT), migrations.RemoveIndex("Book", "short")],
            ["makes index short of a_book again", "drops index short of a_book"],
        ),
        (
            [migrations.AddIndex("Book", SHORT), migrations.RenameIndex("Book", "long", old_name="short")],
            ["renames index long of a_book back", "drops index short of a_book"],
        ),
        ([migrations.AddConstraint("Book", CHECK)], ["drops constraint positive of a_book"]),
        (
            [migrations.AddConstraint("Book", CHECK), migrations.RemoveConstraint("Book", "positive")],
            ["makes constraint positive of a_book again", "drops constraint positive of a_book"],
        ),
        ([migrations.AlterUniqueTogether("Book", {("title", "id")})], ["sets unique_together of a_book back"]),
        ([migrations.AlterModelTableComment("Book", "all of them")], ["sets the comment of a_book back"]),
        (
            [migrations.AlterModelOptions("Book", {"verbose_name": "b"})],
            ["nothing in the database: Change Meta options on Book"],
        ),
        ([migrations.AlterModelManagers("Book", [])], ["nothing in the database: Change managers on Book"]),
        ([migrations.RunSQL("SELECT 1", "")], ["reverses nothing: what its SQL did stays"]),
        ([migrations.RunSQL("SELECT 1", migrations.RunSQL.noop)], ["reverses nothing: what its SQL did stays"]),
        ([migrations.RunSQL("SELECT 1", "SELECT 2")], ["runs SQL of its own: SELECT 2"]),
        ([migrations.RunSQL("SELECT 1")], ["cannot be undone: its SQL has no reverse"]),
        (
            [migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)],
            ["reverses nothing: what django.db.migrations.operations.special.RunPython.noop did to the data stays"],
        ),
        ([migrations.RunPython(migrations.RunPython.noop, print)], ["runs code: builtins.print"]),
        ([migrations.RunPython(print)], ["cannot be undone: its code builtins.print has no reverse"]),
    ],
)
def test_words(operations: list[Operation], expected: list[str]) -> None:
    assert words(*operations) == expected


def test_order_with_respect_to() -> None:
    field = migrations.AddField("Book", "of", models.ForeignKey("a.Tag", models.CASCADE))
    order = migrations.AlterOrderWithRespectTo("Book", "of")
    assert words(order, ground=[*GROUND, field]) == ["drops column a_book._order"]
    back = migrations.AlterOrderWithRespectTo("Book", None)
    assert words(back, ground=[*GROUND, field, order]) == ["adds column a_book._order again, without its values"]


@pytest.mark.parametrize(
    "operations",
    [
        [migrations.DeleteModel("View")],
        [migrations.AddField("View", "y", models.IntegerField())],
        [migrations.RemoveField("View", "x")],
        [migrations.AlterField("View", "x", models.TextField())],
        [migrations.RenameField("View", "x", "y")],
        [migrations.RenameModel("View", "Look")],
        [migrations.AddIndex("View", models.Index(fields=["x"], name="x"))],
        [migrations.AlterOrderWithRespectTo("View", "x")],
    ],
    ids=lambda operations: type(operations[0]).__name__,
)
def test_what_has_no_table_is_left_alone(operations: list[Operation]) -> None:
    (effect,) = undone(*operations, ground=[UNMANAGED])
    assert effect.kind is Kind.NO_EFFECT


def test_a_swapped_model_has_a_table_only_where_the_setting_says_so() -> None:
    assert words(SWAPPED) == ["drops table a_user"]
    for setting, expected in [
        ("a.User", "drops table a_user"),
        ("b.Account", "nothing in the database: Create model User"),
    ]:
        names = Names(swapped={"AUTH_USER_MODEL": setting}.get)
        assert words(SWAPPED, names=names) == [expected]


def test_a_router_may_keep_a_model_out_of_this_database() -> None:
    assert undone(migrations.CreateModel("New", [ID]), names=Names(allowed=lambda app, hints: False))[0].kind is (
        Kind.NO_EFFECT
    )


def test_names_are_shortened_as_the_database_does() -> None:
    (effect,) = undone(migrations.CreateModel("New", [ID]), names=Names(shorten=lambda name: name[:3]))
    assert effect.table == "a_n"


def test_an_operation_inside_others() -> None:
    inner = migrations.SeparateDatabaseAndState(
        database_operations=[migrations.AddField("Book", "x", models.IntegerField(null=True))]
    )
    outer = migrations.SeparateDatabaseAndState(database_operations=[inner, migrations.RunSQL("SELECT 1", "")])
    assert words(outer) == ["reverses nothing: what its SQL did stays", "drops column a_book.x"]


def test_what_cannot_be_undone_inside_others_is_named_itself() -> None:
    inner = migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL("SELECT 1")])
    outer = migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL("SELECT 1", "SELECT 1"), inner])
    assert [(effect.kind, effect.words) for effect in undone(outer)] == [
        (Kind.IRREVERSIBLE, "cannot be undone: its SQL has no reverse"),
        (Kind.RUNS_SQL, "runs SQL of its own: SELECT 1"),
    ]


class Bare(Operation):
    """An operation of somebody else's that claims to be reversible, and has no reverse."""

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def describe(self) -> str:
        return "Do something"


class Own(Bare):
    def database_backwards(self, *args: Any) -> None:
        pass


class Contrary(Own):
    reversible = False


def test_operations_of_others() -> None:
    assert [(effect.kind, effect.words) for effect in undone(Bare())] == [
        (Kind.IRREVERSIBLE, "cannot be undone: Do something")
    ]
    assert [(effect.kind, effect.words) for effect in undone(Own())] == [(Kind.UNKNOWN, "undoes: Do something")]
    assert [effect.kind for effect in undone(Contrary())] == [Kind.IRREVERSIBLE]


class Quiet(migrations.AddField):
    """Undoing it is Django's."""

    def state_forwards(self, app_label: str, state: Any) -> None:
        super().state_forwards(app_label, state)


class Loud(migrations.AddField):
    def database_backwards(self, *args: Any) -> None:
        super().database_backwards(*args)


class Wide(migrations.AlterUniqueTogether):
    """Undoing it calls this."""

    def database_forwards(self, *args: Any) -> None:
        super().database_forwards(*args)


class Apart(migrations.SeparateDatabaseAndState):
    def database_backwards(self, *args: Any) -> None:
        super().database_backwards(*args)


class OwnSQL(migrations.RunSQL):
    def _run_sql(self, *args: Any) -> None:
        """What it does instead."""


def test_operations_of_others_that_inherit_djangos() -> None:
    """They are judged as Django's; and if they bring code of their own, so it is said."""
    number = models.IntegerField(null=True)
    drops = (Kind.DROPS_COLUMN, "drops column a_book.x")

    def own(name: str, doing: str) -> tuple[Kind, str]:
        return Kind.UNKNOWN, f"undoes '{doing}' with code of its own: {__name__}.{name}"

    for operation, expected in [
        (Quiet("Book", "x", number), [drops]),
        (Loud("Book", "x", number), [drops, own("Loud", "Add field x to Book")]),
        (Apart([Quiet("Book", "x", number)]), [drops, own("Apart", "Custom state/database change combination")]),
        (
            OwnSQL("SELECT 1", ""),
            [(Kind.NOOP, "reverses nothing: what its SQL did stays"), own("OwnSQL", "Raw SQL operation")],
        ),
    ]:
        assert [(effect.kind, effect.words) for effect in undone(operation)] == expected
    assert [effect.kind for effect in undone(Wide("Book", {("id",)}))] == [Kind.CHANGES, Kind.UNKNOWN]


def test_what_others_do_instead_of_djangos_code_is_not_kept_away() -> None:
    """A router is asked by Django's code, which they may not run."""
    names = Names(allowed=lambda app, hints: False)
    assert [effect.kind for effect in undone(migrations.RunSQL("SELECT 1", ""), names=names)] == [Kind.NO_EFFECT]
    assert [effect.kind for effect in undone(OwnSQL("SELECT 1", ""), names=names)] == [Kind.NOOP, Kind.UNKNOWN]


def test_concurrent_operations_name_the_table_that_their_twins_lock() -> None:
    assert is_concurrent(AddIndexConcurrently)
    assert not is_concurrent(migrations.AddIndex)
    add, remove = AddIndexConcurrently("Book", SHORT), RemoveIndexConcurrently("Book", "short")
    assert [effect.twin_waits for effect in undone(add, remove)] == ["writes to a_book", "reads and writes of a_book"]
    assert [effect.twin_waits for effect in undone(migrations.AddIndex("Book", SHORT))] == [""]


def test_a_many_to_many_may_have_a_table_of_its_own_name() -> None:
    tags = models.ManyToManyField("a.Tag", db_table="joined")
    assert words(migrations.AddField("Tag", "tags", tags)) == ["drops table joined"]


def test_a_field_without_a_column_of_its_own() -> None:
    pair = migrations.CreateModel("Pair", [("x", models.IntegerField()), ("y", models.IntegerField())])
    through = migrations.AddField("Book", "by", models.ManyToManyField("a.Tag", through="a.Other", related_name="+"))
    assert words(migrations.RemoveField("Book", "by"), ground=[*GROUND, pair, through]) == [
        "nothing in the database: Remove field by from Book"
    ]


def test_a_composite_key_has_no_column() -> None:
    key = models.CompositePrimaryKey("x", "y")
    column = models.IntegerField()
    make = migrations.CreateModel("Pair", [("pk", key), ("x", column), ("y", column.clone())])
    assert words(make) == ["drops table a_pair"]


def test_the_tables_of_a_many_to_many_are_renamed_only_where_they_follow_the_model() -> None:
    through = migrations.AddField("Tag", "other", models.ManyToManyField("a.Tag", through="a.T"))
    assert words(migrations.RenameModel("Tag", "Label"), ground=[TAG, through]) == [
        "renames table a_label back to a_tag"
    ]


def test_naming_an_index_without_a_name_is_not_undone() -> None:
    pair = migrations.CreateModel("Pair", [ID, ("x", models.IntegerField())], {"index_together": {("id", "x")}})
    (effect,) = undone(migrations.RenameIndex("Pair", new_name="pair", old_fields=("id", "x")), ground=[pair])
    assert (effect.kind, effect.frees) == (Kind.NO_EFFECT, "")
    assert effect.words.startswith("nothing in the database: Rename unnamed index")


class Fill:
    def __call__(self, apps: Any, editor: Any) -> None:
        pass

    def method(self, apps: Any, editor: Any) -> None:
        pass


def test_code_has_a_dotted_name_and_no_address() -> None:
    here = "tests.unit.planner.test_effects"
    assert name_of_code(words) == f"{here}.words"
    assert name_of_code(Fill()) == name_of_code(partial(partial(Fill(), 1), 2)) == f"{here}.Fill"
    assert name_of_code(Fill().method) == f"{here}.Fill.method"
    assert name_of_code(partial(words)) == f"{here}.words"
    assert name_of_code(str.upper) == "builtins.str.upper"


def test_sql_is_told_by_its_first_line() -> None:
    def shown(sql: Any) -> str:
        return words(migrations.RunSQL("", sql))[0].removeprefix("runs SQL of its own: ")

    assert shown("-- why\n\n  UPDATE  a_t\n SET x = 1;") == "UPDATE a_t"
    assert shown([("DELETE FROM a_t;", None), "SELECT 1"]) == "DELETE FROM a_t"
    assert shown("SELECT " + "x, " * 30) == "SELECT x, x, x, x, x, x, x, x, x, x, x, x, x, x,…"
    assert shown("-- nothing else") == ""
