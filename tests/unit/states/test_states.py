"""The states of a plan: right for its very order, and no more rendered than is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from rollback_app.states import States, database_operations
from tests.support.plain import made

ID = ("id", models.BigAutoField(primary_key=True))
TAG = migrations.CreateModel("Tag", [ID, ("code", models.CharField(max_length=5, unique=True))])
BOOK = migrations.CreateModel("Book", [ID, ("tag", models.ForeignKey("a.Tag", models.CASCADE))])
GROUND = (TAG, BOOK)


def as_django(*operations: Operation) -> ProjectState:
    state = ProjectState()
    for operation in operations:
        operation.state_forwards("a", state)
    return state


def same(state: ProjectState, expected: ProjectState) -> bool:
    def plain(model: ModelState) -> Any:
        fields = [(name, field.deconstruct()[1:]) for name, field in model.fields.items()]
        return model.app_label, model.name, repr(fields), repr(sorted(model.options.items())), model.bases

    return {key: plain(model) for key, model in state.models.items()} == {
        key: plain(model) for key, model in expected.models.items()
    }


class Foreign(Operation):
    """An operation of somebody else's: what it changes is not known to us."""

    def __init__(self, change: Callable[[ProjectState], None]) -> None:
        self.change = change

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        self.change(state)

    def describe(self) -> str:
        return "Foreign"


def _in_place(state: ProjectState) -> None:
    """Changes models and fields where they are, looked up in every way there is."""
    state.models["a", "tag"].options["verbose_name"] = "changed"
    state.models.get(("a", "book")).options["verbose_name"] = "changed"  # type: ignore[union-attr]
    assert state.models.get(("a", "nothing")) is None
    for model in state.models.values():
        for field in model.fields.values():
            field.help_text = "changed"
    moved = state.models.pop(("a", "tag"))
    state.models["a", "tag"] = moved
    assert state.models.pop(("a", "nothing"), None) is None
    with pytest.raises(KeyError):
        state.models.pop(("a", "nothing"))
    state.models["a", "extra"] = ModelState("a", "Extra", [("id", models.AutoField(primary_key=True))])
    del state.models["a", "extra"]


CHANGES: list[Sequence[Operation]] = [
    [migrations.AddField("Book", "x", models.IntegerField(null=True))],
    [migrations.RemoveField("Book", "tag")],
    [migrations.AlterField("Tag", "code", models.CharField(max_length=9))],
    [migrations.RenameField("Tag", "code", "key")],
    [migrations.RenameField("Tag", "id", "number")],
    [migrations.RenameModel("Tag", "Label")],
    [migrations.DeleteModel("Book"), migrations.DeleteModel("Tag")],
    [migrations.CreateModel("Author", [ID, ("book", models.ForeignKey("a.Book", models.CASCADE))])],
    [migrations.AlterModelOptions("Tag", {"verbose_name": "t"}), migrations.AlterModelTable("Tag", "tags")],
    [migrations.AlterUniqueTogether("Book", {("id", "tag")})],
    [migrations.AddIndex("Tag", models.Index(fields=["code"], name="i")), migrations.RemoveIndex("Tag", "i")],
    [migrations.AlterOrderWithRespectTo("Book", "tag")],
    [migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)],
    [migrations.RunSQL("x", "y", state_operations=[migrations.AddField("Tag", "z", models.IntegerField())])],
    [migrations.SeparateDatabaseAndState(state_operations=[migrations.RenameModel("Tag", "Label")])],
    [Foreign(_in_place)],
]


@pytest.mark.parametrize("operations", CHANGES, ids=range(len(CHANGES)))
def test_each_state_is_what_django_makes_going_forward(operations: Sequence[Operation]) -> None:
    states = States([made("a.1", operations=GROUND)], [made("a.2", "a.1", operations=operations)], [])
    ((_, undos),) = states.backwards()

    assert [undo.index for undo in undos] == list(reversed(range(len(operations))))
    for undo in undos:
        assert same(undo.from_state, as_django(*GROUND, *operations[: undo.index + 1]))
        assert same(undo.to_state, as_django(*GROUND, *operations[: undo.index]))
    assert same(states.start(), as_django(*GROUND, *operations))
    assert same(states.end(), as_django(*GROUND))


@pytest.mark.parametrize("operations", CHANGES, ids=range(len(CHANGES)))
def test_whole_states_render_like_djangos(operations: Sequence[Operation]) -> None:
    """Each starting from the one rendered before, forward or backward."""
    states = States([made("a.1", operations=GROUND)], [made("a.2", "a.1", operations=operations)], [])
    ((_, undos),) = states.backwards()
    for state in [states.start(), *(undo.to_state for undo in undos), states.end(), states.start()]:
        expected = {
            (model._meta.db_table, tuple(field.column for field in model._meta.local_concrete_fields))
            for model in ProjectState(dict(state.models)).apps.get_models()
        }
        found = {
            (model._meta.db_table, tuple(field.column for field in model._meta.local_concrete_fields))
            for model in state.apps.get_models()
        }
        assert found == expected


def rendered(operation: Operation, *ground: Operation) -> set[str] | None:
    """Which models the operation is given to see before and after; None for all."""
    states = States([made("a.1", operations=[*GROUND, *ground])], [made("a.2", "a.1", operations=[operation])], [])
    ((_, (undo,)),) = states.backwards()
    (shown,) = database_operations(undo, "a")
    models = [model for state in (shown.from_state, shown.to_state) for model in state.apps.get_models()]
    return None if shown.rendered_everything else {model.__name__ for model in models}


OTHER = migrations.CreateModel("Other", [ID, ("book", models.ForeignKey("a.Book", models.CASCADE))])


def test_an_operation_sees_its_model_and_what_that_points_to() -> None:
    assert rendered(migrations.AddField("Book", "x", models.IntegerField(null=True)), OTHER) == {"Book", "Tag"}
    assert rendered(migrations.CreateModel("New", [ID]), OTHER) == {"New"}
    assert rendered(migrations.AlterField("Tag", "code", models.TextField()), OTHER) is None  # it was unique
    assert rendered(migrations.RenameModel("Tag", "Label"), OTHER) is None
    assert rendered(migrations.RunPython(print, print), OTHER) is None


def test_parents_and_models_between_belong_to_the_neighbourhood() -> None:
    child = migrations.CreateModel("Novel", [("extra", models.IntegerField(null=True))], bases=("a.book",))
    add = migrations.AddField("Novel", "y", models.IntegerField(null=True))
    assert rendered(add, child, OTHER) == {"Novel", "Book", "Tag"}
    sequel = migrations.AddField("Novel", "of", models.ForeignKey("a.Book", models.CASCADE, related_name="+"))
    assert rendered(add, child, sequel, OTHER) == {"Novel", "Book", "Tag"}
    through = migrations.CreateModel(
        "Shelf",
        [ID, ("of", models.ManyToManyField("a.Tag", through="a.Placed"))],
    )
    placed = migrations.CreateModel(
        "Placed",
        [
            ID,
            ("tag", models.ForeignKey("a.Tag", models.CASCADE)),
            ("shelf", models.ForeignKey("a.Shelf", models.CASCADE)),
        ],
    )
    assert rendered(migrations.AddField("Shelf", "y", models.IntegerField()), through, placed, OTHER) == {"Shelf"}
    of = migrations.AddField("Shelf", "and", models.ManyToManyField("a.Tag", through="a.Placed", related_name="+"))
    assert rendered(of, through, placed, OTHER) == {"Shelf", "Placed", "Tag"}


class Abstract(models.Model):
    class Meta:
        abstract = True
        app_label = "a"


def test_what_is_not_known_is_rendered_whole() -> None:
    column = models.IntegerField(null=True)
    # The base is the class of a model that migrations know nothing of.
    from django.contrib.contenttypes.models import ContentType

    odd = migrations.CreateModel("Odd", [("x", column)], bases=(ContentType,))
    states = States(
        [made("a.1", operations=[odd])],
        [made("a.2", operations=[migrations.AddField("Odd", "y", column)])],
        ["contenttypes"],
    )
    ((_, (undo,)),) = states.backwards()
    (shown,) = database_operations(undo, "a")
    assert {"Odd", "ContentType"} <= {model.__name__ for model in shown.from_state.apps.get_models()}
    assert shown.rendered_everything
    plain = migrations.CreateModel("Plain", [ID], bases=(Abstract, models.Model))
    assert rendered(migrations.AddField("Plain", "y", column), plain) == {"Plain"}
    # A relation to a child, whose key is its parent's.
    child = migrations.CreateModel("Novel", [("extra", column)], bases=("a.book",))
    points = migrations.CreateModel("Points", [ID, ("novel", models.ForeignKey("a.Novel", models.CASCADE))])
    assert rendered(migrations.AddField("Points", "y", column), child, points) is None
    pair = migrations.CreateModel("Pair", [("pk", models.CompositePrimaryKey("x", "y")), ("x", column), ("y", column)])
    to_pair = migrations.CreateModel("ToPair", [ID, ("pairs", models.ForeignKey("a.Pair", models.CASCADE))])
    assert rendered(migrations.AddField("ToPair", "z", column), pair, to_pair) is None


def test_a_rename_among_what_stays() -> None:
    rename = migrations.RenameModel("Tag", "Label")
    states = States([made("a.1", operations=[*GROUND, rename])], [], [])
    assert same(states.end(), as_django(*GROUND, rename))


def test_operations_inside_others_get_states_of_their_own() -> None:
    inner = [
        migrations.AddField("Book", "x", models.IntegerField(null=True)),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RenameField("Book", "x", "y"), migrations.RunSQL("SELECT 1", "SELECT 1")]
        ),
    ]
    operation = migrations.SeparateDatabaseAndState(database_operations=inner)
    states = States([made("a.1", operations=GROUND)], [made("a.2", "a.1", operations=[operation])], [])
    ((_, (undo,)),) = states.backwards()

    found = database_operations(undo, "a")

    assert [type(nested.operation).__name__ for nested in found] == ["RunSQL", "RenameField", "AddField"]
    columns = [
        (set(nested.from_state.models["a", "book"].fields), set(nested.to_state.models["a", "book"].fields))
        for nested in found
    ]
    assert columns == [
        ({"id", "tag", "y"}, {"id", "tag", "y"}),
        ({"id", "tag", "y"}, {"id", "tag", "x"}),
        ({"id", "tag", "x"}, {"id", "tag"}),
    ]
