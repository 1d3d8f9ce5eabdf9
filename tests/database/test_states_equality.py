"""Django's expensive way and ours must send the same statements, one by one: states.py may save work, not change it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import models
from django.db.migrations import Migration
from django.db.migrations import operations as o
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.signals import class_prepared
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rollback_app.states import States
from tests.support import history
from tests.support.commands import roll_back
from tests.support.databases import Database
from tests.support.equality import both_ways
from tests.support.projects import Project

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

ROOT = Path(__file__).parent.parent.parent


def chain(*steps: Sequence[Operation] | tuple[str, Sequence[Operation]]) -> list[Migration]:
    """One migration for each step; of app a, unless the step names another."""
    found = []
    for number, step in enumerate(steps, start=1):
        app, operations = step if isinstance(step[0], str) else ("a", step)
        migration = Migration(f"{number:04}_step", app)
        migration.operations = list(operations)  # type: ignore[arg-type]
        found.append(migration)
    return found


def pk() -> tuple[str, Any]:
    return "id", models.BigAutoField(primary_key=True)


def text(**options: Any) -> Any:
    return models.CharField(max_length=20, **{"default": "", **options})


def fk(to: str, **options: Any) -> Any:
    return models.ForeignKey(to, models.CASCADE, **options)


def table(name: str, *fields: tuple[str, Any], **options: Any) -> o.CreateModel:
    return o.CreateModel(name, [pk(), *fields], options=options)


def books() -> list[Operation]:
    """An author, b's publisher, and books that point to both."""
    return [
        table("Author", ("name", text()), ("code", models.IntegerField(unique=True, default=0))),
        table("Shop", ("name", text())),
        table("Book", ("title", text()), ("pages", models.IntegerField(null=True)), ("author", fk("a.Author"))),
        o.AddField("shop", "books", models.ManyToManyField("a.Book")),
    ]


def columns() -> list[Migration]:
    return chain(
        books(),
        [o.AddField("book", "text", text()), o.AddField("book", "seller", fk("a.Shop", null=True))],
        [o.AlterField("book", "title", models.CharField(max_length=50)), o.RemoveField("book", "pages")],
        [o.AlterField("book", "title", text(null=True)), o.AlterField("book", "text", models.TextField(default="x"))],
        [o.RenameField("book", "text", "words"), o.RenameField("book", "author", "writer")],
        [o.AlterField("book", "title", text(db_index=True)), o.AlterField("book", "title", text(db_column="headline"))],
        [o.AddField("book", "sum", models.IntegerField(db_default=3)), o.RemoveField("book", "seller")],
        [o.AlterField("book", "words", text(unique=True)), o.RenameField("book", "words", "text")],
        [o.DeleteModel("Shop")],
    )


def keys() -> list[Migration]:
    """Primary and unique columns that others point to, also with to_field."""
    return chain(
        [
            o.CreateModel("Country", [("code", models.CharField(max_length=2, primary_key=True))]),
            table("City", ("country", fk("a.Country")), ("slug", text(unique=True))),
        ],
        ("b", [table("Street", ("city", fk("a.City", to_field="slug")), ("number", models.IntegerField(default=1)))]),
        ("b", [table("House", ("street", models.OneToOneField("b.Street", models.CASCADE)))]),
        ("b", [table("Door", ("house", fk("b.House", to_field="street")))]),
        [o.AlterField("country", "code", models.CharField(max_length=3, primary_key=True))],
        [o.AlterField("city", "slug", models.CharField(max_length=40, unique=True))],
        [o.AddField("city", "twin", fk("a.City", null=True, to_field="slug", related_name="twins"))],
        ("b", [o.AddField("door", "next", models.OneToOneField("b.Door", models.CASCADE, null=True))]),
        ("b", [o.AlterField("street", "city", fk("a.City", to_field="slug", null=True))]),
        ("b", [o.RenameField("street", "number", "place")]),
        [o.RenameField("city", "slug", "short")],
        ("b", [o.RemoveField("door", "house"), o.DeleteModel("House")]),
    )


def look_behind_proxy(apps: Any, editor: Any) -> None:
    assert apps.get_model("a", "Bar").regulars.rel.related_model._meta.label == "b.Guest"


def inheritance() -> list[Migration]:
    link = {"auto_created": True, "parent_link": True, "primary_key": True, "serialize": False}
    place = [table("Place", ("name", text())), table("Owner", ("name", text()))]
    bar = models.OneToOneField("a.Place", models.CASCADE, **link)
    pub = models.OneToOneField("a.Bar", models.CASCADE, **link)
    return chain(
        place,
        [o.CreateModel("Bar", [("place_ptr", bar), ("beers", models.IntegerField(default=1))], bases=("a.place",))],
        ("b", [o.CreateModel("Pub", [("bar_ptr", pub), ("owner", fk("a.Owner"))], bases=("a.bar",))]),
        [o.CreateModel("Proxy", [], options={"proxy": True}, bases=("a.bar",))],
        ("b", [table("Guest", ("pub", fk("b.Pub")), ("bar", fk("a.Proxy", related_name="regulars")))]),
        [o.AddField("bar", "food", text()), o.AlterField("place", "name", text(null=True))],
        ("b", [o.AddField("pub", "guests", models.ManyToManyField("b.Guest", related_name="+"))]),
        [o.RenameField("place", "name", "label")],
        [o.AddIndex("bar", models.Index(fields=["beers"], name="by_beers"))],
        ("b", [o.RemoveField("pub", "guests"), o.AlterField("pub", "owner", fk("a.Owner", null=True))]),
        [o.RunPython(nothing, look_behind_proxy)],
    )


def many_to_many() -> list[Migration]:
    through = models.ManyToManyField("a.Book", through="b.Stock", related_name="stocks")
    return chain(
        books(),
        (
            "b",
            [table("Stock", ("shop", fk("a.Shop")), ("book", fk("a.Book")), ("count", models.IntegerField(default=0)))],
        ),
        [o.AddField("shop", "stock", through)],
        [
            o.AddField("book", "similar", models.ManyToManyField("self")),
            o.AddField("author", "b", models.ManyToManyField("a.Book")),
        ],
        [o.AlterField("shop", "books", models.ManyToManyField("a.Book", db_table="sold"))],
        [o.RenameField("author", "b", "works"), o.RenameModel("Book", "Volume")],
        [o.AlterField("shop", "books", models.ManyToManyField("a.Author"))],
        [o.AlterModelTable("volume", "volumes"), o.RemoveField("volume", "similar")],
        ("b", [o.RenameModel("Stock", "Store"), o.RenameField("store", "book", "volume")]),
        [o.RemoveField("shop", "books")],
    )


def renames() -> list[Migration]:
    return chain(
        books(),
        ("b", [table("Note", ("book", fk("a.Book", related_name="notes")), ("about", fk("a.Author", null=True)))]),
        [o.RenameModel("Book", "Volume")],
        [table("Folder", ("up", fk("self", null=True)), ("volume", fk("a.Volume")))],
        [o.RenameModel("Folder", "Drawer"), o.RenameModel("Author", "Writer")],
        ("b", [o.RenameField("note", "book", "volume"), o.RenameModel("Note", "Remark")]),
        [o.RenameField("volume", "title", "headline"), o.RenameModel("Drawer", "Box")],
        [o.AlterModelTable("writer", "people"), o.RenameModel("Volume", "Tome")],
    )


def indexes() -> list[Migration]:
    check = models.CheckConstraint(condition=models.Q(pages__gte=0), name="positive")
    unique = models.UniqueConstraint(fields=["title", "author"], name="once")
    return chain(
        books(),
        [o.AddIndex("book", models.Index(fields=["title", "-pages"], name="by_title")), o.AddConstraint("book", check)],
        [o.AddConstraint("book", unique), o.AlterUniqueTogether("book", {("title", "pages")})],
        [o.RenameIndex("book", "by_heading", old_name="by_title"), o.RemoveConstraint("book", "once")],
        [o.AddIndex("author", models.Index(models.F("name").desc(), name="expression"))],
        [o.AlterModelTableComment("book", "Books"), o.AlterOrderWithRespectTo("book", "author")],
        [
            o.RemoveIndex("book", "by_heading"),
            o.AlterUniqueTogether("book", set()),
            o.RemoveConstraint("book", "positive"),
        ],
        [o.AlterModelOptions("book", {"ordering": ["title"]}), o.AlterOrderWithRespectTo("book", None)],
    )


def composite() -> list[Migration]:
    two = models.CompositePrimaryKey("tenant_id", "number")
    return chain(
        [table("Tenant", ("name", text()))],
        [o.CreateModel("Bill", [("pk", two), ("tenant", fk("a.Tenant")), ("number", models.IntegerField())])],
        [o.AddField("bill", "sum", models.IntegerField(default=0))],
        [o.AlterField("bill", "sum", models.BigIntegerField(default=0)), o.RenameField("bill", "sum", "total")],
        [o.AlterField("tenant", "name", text(unique=True)), o.RenameModel("Tenant", "Client")],
        [o.RemoveField("bill", "total")],
    )


def write_books(apps: Any, editor: Any) -> None:
    alias = editor.connection.alias
    author = apps.get_model("a", "Author").objects.using(alias).create(name="Ada", code=1)
    book = author.book_set.create(title="One", pages=1)
    apps.get_model("b", "Note").objects.using(alias).create(book=book, text="n", signer=author)
    shop = apps.get_model("a.Shop").objects.using(alias).create(name="Shop")
    shop.books.add(book)


def read_backwards(apps: Any, editor: Any) -> None:
    """All the ways on which code gets from one model to another."""
    alias = editor.connection.alias
    author = apps.get_model("a", "Author").objects.using(alias).get(code=1)
    author.book_set.filter(pages=1).update(pages=2)
    book = author.book_set.get()
    assert [note.text for note in book.notes.all()] == ["n"]
    assert not hasattr(book, "note_set")
    assert [shop.name for shop in book.shop_set.all()] == ["Shop"]
    assert author.signed.text == "n"


def query_backwards(apps: Any, editor: Any) -> None:
    author = apps.get_model("a", "author").objects.using(editor.connection.alias)
    assert author.filter(book__notes__text="n", book__shop__name="Shop").count() == 1
    names = [model._meta.label for model in apps.get_models(include_auto_created=True)]
    editor.execute("SELECT %s", [" ".join(names)])  # the order is compared with the statements
    assert [model._meta.label for model in apps.get_app_config("b").get_models()] == ["b.Note"]
    assert {"a", "auth", "b"} <= {config.label for config in apps.get_app_configs()}
    assert apps.get_model("auth", "User")._meta.db_table == "auth_user"
    with pytest.raises(LookupError):
        apps.get_model("a", "Nothing")


def first_look(apps: Any, editor: Any) -> None:
    """The first thing that is asked of these models is what is not there yet."""
    alias = editor.connection.alias
    author = apps.get_model("a", "Author")
    author.shelf = 1
    assert author.objects.using(alias).get().book_set.get().notes.get().text == "n"


def attribute_first(apps: Any, editor: Any) -> None:
    """Code may call its own attributes as accessors might be called: here a number in the place of the note."""
    book = apps.get_model("a", "Book").objects.using(editor.connection.alias).get()
    book.shop = 3
    assert book.shop == 3
    author = apps.get_model("a", "Author")
    assert author.signed.related.related_model._meta.label == "b.Note"


def delete_backwards(apps: Any, editor: Any) -> None:
    apps.get_model("a", "Author").objects.using(editor.connection.alias).all().delete()


def only_column(apps: Any, editor: Any) -> None:
    apps.get_model("a", "Book").objects.using(editor.connection.alias).filter(pages=9).update(pages=8)


def nothing(apps: Any, editor: Any) -> None:
    pass


def code() -> list[Migration]:
    signer = models.OneToOneField("a.Author", models.CASCADE, related_name="signed")
    owner = fk(
        "auth.User", null=True, db_constraint=False, related_name="%(model_name)ss"
    )  # of an app without migrations
    note = [("text", text()), ("book", fk("a.Book", related_name="notes")), ("signer", signer), ("owner", owner)]
    return chain(
        books(),
        ("b", [table("Note", *note)]),
        [o.RunPython(write_books, delete_backwards)],
        [o.RunPython(nothing, only_column), o.AddField("shop", "size", models.IntegerField(null=True))],
        [o.RunPython(nothing, query_backwards), o.RunPython(nothing, read_backwards)],
        [o.RunPython(nothing, first_look), o.RunPython(nothing, attribute_first)],
        [o.RunSQL("UPDATE a_book SET pages = 3", "UPDATE a_book SET pages = 1")],
        [o.RunPython(nothing, o.RunPython.noop), o.RunSQL("SELECT 1", o.RunSQL.noop)],
    )


class Forget(o.AddField):
    """A third party's operation, which looks at what points to its model, and does not say so."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        related = from_state.apps.get_model(app_label, self.model_name)._meta.related_objects
        for name in [relation.related_model._meta.db_table for relation in related]:
            schema_editor.execute(f"UPDATE {schema_editor.quote_name(name)} SET id = id")
        super().database_backwards(app_label, schema_editor, from_state, to_state)


class LabelKey(models.ForeignKey):
    """A third party's relation: nobody knows what it does to what it points to."""


class Marked:
    """What must be inherited to be pointed to by MarkedKey, as tags of a reusable app must be tags."""


class MarkedKey(models.ForeignKey):
    """A third party's relation that insists on the class of its target."""

    def contribute_to_related_class(self: Any, cls: Any, related: Any) -> None:
        models.ForeignKey.contribute_to_related_class(self, cls, related)
        assert issubclass(cls, Marked)


class MarkedOne(models.OneToOneField):
    """The same, as a key."""

    contribute_to_related_class = MarkedKey.contribute_to_related_class


class Plainer(models.ForeignKey):
    """A third party's relation that only looks different in a form."""

    def formfield(self, **kwargs: Any) -> None:
        """None at all."""


class Slug(models.CharField):
    """A third party's field that insists on others of its model."""

    def contribute_to_class(self, cls: Any, name: str, **options: Any) -> None:
        super().contribute_to_class(cls, name, **options)
        class_prepared.connect(self.check_neighbours, sender=cls)

    def check_neighbours(self, sender: Any, **signal: Any) -> None:
        sender._meta.get_field("title")


class Quietly(o.AddField):
    """A third party's operation of which undoing it is Django's."""

    def describe(self) -> str:
        return "Quietly add"

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        super().database_forwards(app_label, schema_editor, from_state, to_state)


class Rewrite(o.AlterField):
    """A third party's operation that does something first."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table_name = schema_editor.quote_name(f"{app_label}_{self.model_name_lower}")
        schema_editor.execute(f"UPDATE {table_name} SET id = id")
        super().database_backwards(app_label, schema_editor, from_state, to_state)


class Only(o.SeparateDatabaseAndState):
    """A third party's operation that leaves it to others what it does, and does something itself."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute("UPDATE a_book SET id = id")
        super().database_backwards(app_label, schema_editor, from_state, to_state)


class Hidden(o.AlterField):
    """A third party's operation that changes its column in the database alone, the first time that it is about it."""

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing."""


class Retire(o.DeleteModel):
    """A third party's operation that goes its own ways through the state."""

    def state_forwards(self, app_label: str, state: Any) -> None:
        models = state.models
        assert models.pop((app_label, "nothing"), None) is None
        assert models.get((app_label, "nothing")) is None
        assert models.get((app_label, "book")) in list(models.values())
        models.pop((app_label, self.name_lower))


def third_party() -> list[Migration]:
    return chain(
        books(),
        ("b", [table("Label", ("book", LabelKey("a.Book", models.CASCADE, null=True)))]),
        [Forget("book", "extra", text())],
        [o.RunPython(nothing, only_column)],
        [Forget("author", "extra", text()), o.AddField("author", "more", text())],
        [Retire("Shop"), o.AddField("book", "extent", text())],
        [Quietly("book", "quiet", text()), Quietly("author", "quiet", fk("a.Book", null=True, related_name="+"))],
        [Only([o.AddField("book", "only", text())], [o.AddField("book", "only", text())])],
        [Hidden("book", "pages", models.BigIntegerField(null=True))],
    )


def third_party_fields() -> list[Migration]:
    tag = o.CreateModel("Tag", [pk(), ("name", text(unique=True))], bases=(Marked, models.Model))
    note = table("Note", ("title", text()), ("slug", Slug(max_length=20, unique=True)))
    return chain(
        [tag, note, table("Item", ("title", text()))],
        [o.AddField("item", "tag", MarkedKey("a.Tag", models.CASCADE, null=True, related_name="+"))],
        [o.AddField("item", "other", fk("a.Tag", null=True, related_name="+"))],
        [o.AddField("item", "plain", Plainer("a.Note", models.CASCADE, null=True, related_name="+"))],
        [o.AddField("item", "size", models.IntegerField(null=True)), o.AlterField("item", "title", text(null=True))],
        [o.AddField("note", "slim", text()), o.AddIndex("note", models.Index(fields=["slim"], name="by_slim"))],
        ("b", [o.CreateModel("Badge", [("tag", MarkedOne("a.Tag", models.CASCADE, primary_key=True))])]),
        ("b", [table("Pin", ("badge", fk("b.Badge"))), o.AddField("pin", "size", models.IntegerField(null=True))]),
        ("b", [table("Card", ("note", fk("a.Note")), ("size", models.IntegerField(null=True)))]),
        ("b", [o.AddField("card", "extent", text()), o.AlterField("card", "size", models.BigIntegerField(null=True))]),
    )


def unmigrated() -> list[Migration]:
    """auth is an app without migrations here, which makes no tables."""
    link = models.OneToOneField("auth.User", models.CASCADE, primary_key=True, parent_link=True, db_constraint=False)

    def look(apps: Any, editor: Any) -> None:
        assert apps.get_model("a", "Member")._meta.get_field("username").max_length == 150

    return chain(
        [o.CreateModel("Member", [("user_ptr", link), ("note", text())], bases=("auth.user",)), *books()],
        [o.AddField("member", "size", models.IntegerField(default=0))],
        [o.AddField("book", "owner", fk("auth.User", null=True, db_constraint=False)), o.RunPython(nothing, look)],
        [o.AlterField("member", "note", text(null=True)), o.RunPython(nothing, only_column)],
    )


def separate() -> list[Migration]:
    def renamed() -> list[Operation]:
        return [o.RenameModel("Book", "Volume"), o.RenameField("volume", "title", "headline")]

    column = o.AddField("volume", "extra", text())
    nested = o.SeparateDatabaseAndState(
        [o.SeparateDatabaseAndState([column], []), o.RunPython(nothing, nothing)], [column]
    )
    return chain(
        books(),
        ("b", [table("Note", ("book", fk("a.Book")))]),
        [o.SeparateDatabaseAndState(renamed(), renamed())],
        [nested],
        [o.SeparateDatabaseAndState(state_operations=[o.AddField("volume", "ghost", text())])],
        [o.SeparateDatabaseAndState(state_operations=[o.RemoveField("volume", "ghost")])],
        [o.SeparateDatabaseAndState([o.AddIndex("volume", models.Index(fields=["pages"], name="by_pages"))], [])],
    )


def swapped() -> list[Migration]:
    """a.Thing is swapped for b.Other, see the settings of the test."""
    return chain(
        ("b", [table("Other", ("name", text(unique=True)))]),
        [o.CreateModel("Thing", [pk(), ("name", text())], options={"swappable": "A_THING_MODEL"})],
        [table("Part", ("thing", fk("b.Other")), ("things", models.ManyToManyField("b.Other", related_name="+")))],
        [o.AddField("thing", "size", models.IntegerField(default=0)), o.AlterField("thing", "name", text(null=True))],
        [o.AddField("part", "spare", fk("b.Other", null=True, related_name="spares")), o.RunPython(nothing, nothing)],
        ("b", [o.AlterField("other", "name", text()), o.RenameField("other", "name", "label")]),
        [o.DeleteModel("Thing")],
    )


SCENARIOS: dict[str, Callable[[], list[Migration]]] = {
    made.__name__: made
    for made in (
        columns, keys, inheritance, many_to_many, renames, indexes, composite, code, third_party, third_party_fields,
        unmigrated, separate, swapped,
    )
}  # fmt: skip


@pytest.mark.parametrize("keep", [0, 2])
@pytest.mark.parametrize("name", SCENARIOS)
def test_same_statements(name: str, keep: int, database: Database, settings: Settings) -> None:
    settings.A_THING_MODEL = "b.Other"
    djangos, ours = both_ways(database, SCENARIOS[name], keep, {"auth"})
    assert ours == djangos
    assert len(ours) > 5


def test_a_state_with_holes_is_refused_as_django_does() -> None:
    def made() -> list[Migration]:
        return chain([table("Book", ("author", fk("a.Author"))), table("Shelf", ("book", fk("a.Book")))])

    with pytest.raises(ValueError, match=r"a\.Book\.author was declared with a lazy reference") as djangos:
        assert made()[0].mutate_state(ProjectState()).apps
    apps = States([], made(), set()).start().apps
    with pytest.raises(ValueError, match="lazy reference") as ours:
        apps.get_model("a", "Shelf")
    assert str(ours.value) == str(djangos.value)


def test_every_operation_is_in_a_scenario() -> None:
    seen = {type(found) for make in SCENARIOS.values() for migration in make() for found in migration.operations}
    every = {getattr(o, name) for name in o.__all__}
    # Gone from Django's models, it only lives in old migrations; and managers are nothing to a database.
    assert every - seen <= {o.AlterIndexTogether, o.AlterModelManagers, getattr(o, "AlterConstraint", None)}


class Growing:
    """Draws one operation after the other that fits what the ones before have made."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.count = 0
        self.models: dict[tuple[str, str], dict[str, str]] = {}  # of each model its fields: plain, key, many

    def operation(self) -> tuple[str, list[Operation]]:
        makers: list[Callable[[], tuple[str, list[Operation]]]] = [
            self.create,
            self.add,
            self.add,
            self.alter,
            self.rename,
        ]
        makers += [self.remove, self.index, self.point, self.point, self.many, self.rename_model, self.code]
        return self.draw.choice(makers if self.models else [self.create])()

    def name(self, word: str) -> str:
        self.count += 1
        return f"{word}{self.count}"

    def some(self) -> tuple[str, str]:
        return self.draw.choice(sorted(self.models))

    def field(self, key: tuple[str, str], *kinds: str) -> str | None:
        return (
            self.draw.choice(sorted(name for name, kind in self.models[key].items() if kind in kinds) or [""]) or None
        )

    def create(self) -> tuple[str, list[Operation]]:
        app, name = self.draw.choice("abc"), self.name("Model")
        others = [key for key in sorted(self.models) if self.draw.random() < 0.4][:2]
        fields = [
            (f"to_{number}", fk(".".join(other), related_name=f"{name.lower()}_{number}"))
            for number, other in enumerate(others)
        ]
        self.models[app, name] = {"first": "plain", **{field: "key" for field, _ in fields}}
        return app, [table(name, ("first", text()), *fields)]

    def add(self) -> tuple[str, list[Operation]]:
        key, name = self.some(), self.name("text")
        self.models[key][name] = "plain"
        kind = self.draw.choice([o.AddField, Quietly, Forget])
        return key[0], [kind(key[1], name, text(unique=self.draw.random() < 0.2, null=True, default=None))]

    def alter(self) -> tuple[str, list[Operation]]:
        key = self.some()
        if not (name := self.field(key, "plain")):
            return self.add()
        return key[0], [
            self.draw.choice([o.AlterField, Rewrite])(
                key[1], name, text(null=True, db_index=self.draw.random() < 0.5, unique=self.draw.random() < 0.3)
            )
        ]

    def rename(self) -> tuple[str, list[Operation]]:
        key = self.some()
        if not (old := self.field(key, "plain", "key", "many")):
            return self.add()
        new = self.name("renamed")
        self.models[key][new] = self.models[key].pop(old)
        return key[0], [o.RenameField(key[1], old, new)]

    def remove(self) -> tuple[str, list[Operation]]:
        key = self.some()
        if not (name := self.field(key, "plain", "many")):
            return self.add()
        del self.models[key][name]
        return key[0], [o.RemoveField(key[1], name)]

    def index(self) -> tuple[str, list[Operation]]:
        key = self.some()
        return key[0], [o.AddIndex(key[1], models.Index(fields=["id"], name=self.name("index")))]

    def point(self) -> tuple[str, list[Operation]]:
        key, to, name = self.some(), self.some(), self.name("other")
        self.models[key][name] = "key"
        kind = models.OneToOneField if self.draw.random() < 0.3 else models.ForeignKey
        return key[0], [
            o.AddField(key[1], name, kind(".".join(to), models.CASCADE, null=True, related_name=f"back_{name}"))
        ]

    def many(self) -> tuple[str, list[Operation]]:
        key, to, name = self.some(), self.some(), self.name("many")
        self.models[key][name] = "many"
        return key[0], [o.AddField(key[1], name, models.ManyToManyField(".".join(to), related_name=f"back_{name}"))]

    def rename_model(self) -> tuple[str, list[Operation]]:
        key, new = self.some(), self.name("Renamed")
        self.models[key[0], new] = self.models.pop(key)
        return key[0], [o.RenameModel(key[1], new)]

    def code(self) -> tuple[str, list[Operation]]:
        app, name = self.some()

        def look(apps: Any, editor: Any) -> None:
            queryset = apps.get_model(app, name).objects.using(editor.connection.alias)
            queryset.update(id=models.F("id"))
            queryset.all().delete()

        return app, [o.RunPython(nothing, look)]


@given(seed=st.integers(0, 10**6), length=st.integers(3, 14))
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_same_statements_on_generated_graphs(database: Database, seed: int, length: int) -> None:
    def make() -> list[Migration]:
        growing = Growing(random.Random(seed))
        return chain(*(growing.operation() for _ in range(length)))

    djangos, ours = both_ways(database, make, length // 3, set())
    assert ours == djangos


def test_same_statements_on_the_example_project(database: Database) -> None:
    url = {"sqlite": "sqlite://{NAME}", "postgresql": "postgresql://{USER}@{HOST}:{PORT}/{NAME}"}
    pattern = url.get(database.vendor, "mysql://{USER}@{HOST}:{PORT}/{NAME}")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "EXAMPLE_DATABASE_URL": pattern.format(**database.connection.settings_dict),
    }
    command = [sys.executable, "-m", "tests.support.equality", database.vendor]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3


def test_says_where_everything_was_rendered(database: Database, project: Project) -> None:
    first = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])'
    project(
        a={
            "0001_initial": first,
            "0002_rename": 'migrations.RenameModel("T", "U")',
            "0003_column": 'migrations.AddField("u", "m", models.IntegerField(null=True))',
        }
    )
    history.migrate(database.alias)
    lines = roll_back(database, "2001-01-01", verbosity=2).out.splitlines()
    said = lines.index("    rendered all models for 'Rename model T to U'")
    assert "Unapplying a.0002_rename... OK" in lines[said - 1]
    assert sum("rendered all models" in line for line in lines) == 1

    history.migrate(database.alias)
    assert "rendered all models" not in roll_back(database, "2001-01-01", verbosity=1).out
