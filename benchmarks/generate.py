"""Writes a synthetic project: apps that depend on each other, each with a chain of migrations of the usual kinds.

Its models are what its migrations make, so that Django has nothing to complain about, and `manage.py check` loads what
it would load in a real project of this size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SETTINGS = """
import os
from urllib.parse import urlsplit

url = urlsplit(os.environ["BENCHMARK_DATABASE"])
if url.scheme == "sqlite":
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": url.path}}
else:
    DATABASES = {"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username,
        "PASSWORD": url.password or "", "HOST": url.hostname, "PORT": url.port,
    }}
SECRET_KEY = "only a benchmark"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", *APPS, "rollback_app"]
"""

MANAGE = """
import os
import sys

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""

HEAD = "from django.db import migrations, models\n\n\n"
# What packages of others bring: operations that pass through to Django's, and one of its own that makes a trigger.
OTHERS = """
from django.db import migrations
from django.db.migrations.operations.base import Operation


class AddField(migrations.AddField):
    pass


class AddIndex(migrations.AddIndex):
    pass


class AddConstraint(migrations.AddConstraint):
    pass


class AlterField(migrations.AlterField):
    pass


class AddTrigger(Operation):
    def __init__(self, model, name):
        self.model, self.name = model, name

    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        table = to_state.apps.get_model(app_label, self.model)._meta.db_table
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(
                f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {self.name} AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {self.name}()"
            )
        else:
            schema_editor.execute(f"CREATE TRIGGER {self.name} AFTER INSERT ON {table} BEGIN SELECT 1; END")

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        table = to_state.apps.get_model(app_label, self.model)._meta.db_table
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP TRIGGER {self.name} ON {table}")
            schema_editor.execute(f"DROP FUNCTION {self.name}()")
        else:
            schema_editor.execute(f"DROP TRIGGER {self.name}")

    def describe(self):
        return f"Add trigger {self.name}"
"""
CODE = """def forwards(apps, schema_editor):
    apps.get_model({app!r}, "Item").objects.using(schema_editor.connection.alias).filter(number=1).update(number=2)


def backwards(apps, schema_editor):
    apps.get_model({app!r}, "Item").objects.using(schema_editor.connection.alias).filter(number=2).update(number=1)


"""


@dataclass(frozen=True)
class Size:
    """A project of so many apps with so many migrations each. others: are its operations those of other packages?"""

    apps: int
    migrations: int
    others: bool = False

    @classmethod
    def parse(cls, text: str) -> Size:
        """`50x20`, or `50x20others`."""
        apps, migrations = text.removesuffix("others").split("x")
        return cls(int(apps), int(migrations), text.endswith("others"))

    @property
    def all(self) -> int:
        return self.apps * self.migrations

    @property
    def kept(self) -> int:
        """How many migrations of each app stay: half of them."""
        return self.migrations // 2

    @property
    def undone(self) -> int:
        return self.apps * (self.migrations - self.kept)

    def __str__(self) -> str:
        return f"{self.apps}x{self.migrations}{'others' if self.others else ''}"

    def labels(self) -> list[str]:
        return [f"app{number:03}" for number in range(self.apps)]


@dataclass
class _Model:
    fields: dict[str, str]
    indexes: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)


@dataclass
class _App:
    """An app while its migrations are written; models: what they have made so far."""

    label: str
    previous: str  # the app that its foreign keys point to: itself, for the first one
    others: bool = False
    models: dict[str, _Model] = field(default_factory=dict)

    def create(self, model: str, fields: dict[str, str]) -> str:
        fields = {"id": "models.BigAutoField(primary_key=True)", **fields}
        self.models[model] = _Model(fields)
        listed = "".join(f"\n            ({key!r}, {value})," for key, value in fields.items())
        return f"migrations.CreateModel({model!r}, [{listed}\n        ])"

    @property
    def operations(self) -> str:
        """The module of its operations."""
        return "others" if self.others else "migrations"

    def add(self, name: str, definition: str) -> str:
        self.models["Item"].fields[name] = definition
        return f'{self.operations}.AddField("item", {name!r}, {definition})'


def _first(app: _App, number: int) -> list[str]:
    return [
        app.create(
            "Item",
            {
                "name": 'models.CharField(max_length=50, default="")',
                "number": "models.IntegerField(default=1)",
                "made": "models.DateTimeField(null=True)",
                "parent": _foreign_key(f"{app.previous}.Item"),
            },
        ),
        app.create("Tag", {"name": "models.CharField(max_length=20, unique=True)"}),
    ]


def _foreign_key(to: str) -> str:
    return f'models.ForeignKey({to!r}, models.CASCADE, null=True, related_name="+")'


def _add_column(app: _App, number: int) -> list[str]:
    return [app.add(f"text{number}", "models.CharField(max_length=30, null=True)")]


def _add_index(app: _App, number: int) -> list[str]:
    index = f'models.Index(fields=["name", "made"], name="{app.label}_index{number}")'
    app.models["Item"].indexes.append(index)
    return [f'{app.operations}.AddIndex("item", {index})']


def _add_model(app: _App, number: int) -> list[str]:
    fields = {
        "item": _foreign_key(f"{app.label}.Item"),
        "elsewhere": _foreign_key(f"{app.previous}.Item"),
        "text": "models.TextField(db_index=True)",
        "day": "models.DateField()",
    }
    return [app.create(f"Note{number}", fields)]


def _add_check(app: _App, number: int) -> list[str]:
    return _add_constraint(app, f'CheckConstraint(condition=models.Q(number__gte=-{number}), name="{{name}}"', number)


def _add_unique(app: _App, number: int) -> list[str]:
    columns = ("name", "id"), ("id", "name"), ("number", "id"), ("id", "number")  # PostgreSQL merges two that are alike
    return _add_constraint(app, f'UniqueConstraint(fields={columns[number // 10 % 4]}, name="{{name}}"', number)


def _add_constraint(app: _App, text: str, number: int) -> list[str]:
    constraint = f"models.{text.format(name=f'{app.label}_constraint{number}')})"
    app.models["Item"].constraints.append(constraint)
    return [f'{app.operations}.AddConstraint("item", {constraint})']


def _alter_column(app: _App, number: int) -> list[str]:
    definition = f'models.CharField(max_length={50 + number}, default="")'
    app.models["Item"].fields["name"] = definition
    return [f'{app.operations}.AlterField("item", "name", {definition})']


def _add_many_to_many(app: _App, number: int) -> list[str]:
    return [app.add(f"tags{number}", f'models.ManyToManyField("{app.previous}.Tag", related_name="+")')]


def _add_foreign_key(app: _App, number: int) -> list[str]:
    return [app.add(f"other{number}", _foreign_key(f"{app.previous}.Item"))]


def _rename_column(app: _App, number: int) -> list[str]:
    item = app.models["Item"]
    old = next(name for name in item.fields if name.startswith("text"))
    item.fields = {f"renamed{number}" if name == old else name: value for name, value in item.fields.items()}
    return [f'migrations.RenameField("item", {old!r}, "renamed{number}")']


def _run_code(app: _App, number: int) -> list[str]:
    return ["migrations.RunPython(forwards, backwards)"]


def _add_trigger(app: _App, number: int) -> list[str]:
    return [f'others.AddTrigger("Item", "{app.label}_trigger{number}")']


# In this order, again and again: a data migration is one in twenty.
KINDS: tuple[Callable[[_App, int], list[str]], ...] = (
    _add_column,
    _add_index,
    _add_model,
    _add_check,
    _add_many_to_many,
    _alter_column,
    _add_foreign_key,
    _rename_column,
    _add_unique,
    _run_code,
    _add_column,
    _add_index,
    _add_model,
    _add_check,
    _add_many_to_many,
    _alter_column,
    _add_foreign_key,
    _rename_column,
    _add_unique,
    _add_model,
)


def write(folder: Path, size: Size) -> None:
    """Write the project into a new folder."""
    folder.mkdir(parents=True)
    labels = size.labels()
    (folder / "settings.py").write_text(f"APPS = {labels!r}\n{SETTINGS}")
    (folder / "manage.py").write_text(MANAGE)
    (folder / "others.py").write_text(OTHERS)
    for place, label in enumerate(labels):
        app = _App(label, labels[place // 2], size.others)  # a tree: many apps point to few
        migrations = folder / label / "migrations"
        migrations.mkdir(parents=True)
        for package in (folder / label, migrations):
            (package / "__init__.py").touch()
        for number in range(1, size.migrations + 1):
            # Each app starts the circle elsewhere, so that both halves have every kind.
            kind = KINDS[(number + place * 3) % len(KINDS)] if number > 2 else _add_column
            if size.others and kind is _rename_column:
                kind = _add_trigger
            _write_migration(migrations, app, number, _first if number == 1 else kind)
        (folder / label / "models.py").write_text(_models(app))


def name_of(number: int) -> str:
    return f"{number:04}_step"


def _write_migration(folder: Path, app: _App, number: int, kind: Callable[[_App, int], list[str]]) -> None:
    dependencies = [(app.label, name_of(number - 1))] if number > 1 else []
    if app.previous != app.label:
        dependencies.append((app.previous, name_of(number)))
    operations = "".join(f"\n        {operation}," for operation in kind(app, number))
    (folder / f"{name_of(number)}.py").write_text(
        f"{'import others' if app.others else ''}\n{HEAD}{CODE.format(app=app.label) if kind is _run_code else ''}"
        f"class Migration(migrations.Migration):\n    dependencies = {dependencies!r}\n"
        f"    operations = [{operations}\n    ]\n"
    )


def _models(app: _App) -> str:
    text = "from django.db import models\n"
    for name, model in app.models.items():
        fields = "".join(f"    {key} = {value}\n" for key, value in model.fields.items())
        options = "".join(
            f"        {option} = [{', '.join(values)}]\n"
            for option, values in (("indexes", model.indexes), ("constraints", model.constraints))
            if values
        )
        meta = f"\n    class Meta:\n{options}" if options else ""
        text += f"\n\nclass {name}(models.Model):\n{fields}{meta}"
    return text
