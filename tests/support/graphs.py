"""Generated projects: migrations over several apps, with branches, merges, and operations that fit each other.

Whatever order the dependencies allow gives the same schema: a migration depends on all earlier ones that touched, or
pointed to, a model that it touches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.support.projects import APPS, migration

Draw = Callable[[st.SearchStrategy[object]], object]
Key = tuple[str, str]

PLAIN = {
    "integer": "models.IntegerField(null=True)",
    "indexed": "models.IntegerField(null=True, db_index=True)",
    "text": 'models.CharField(max_length=20, default="")',
    "unique": "models.IntegerField(null=True, unique=True)",
}
# Of all other types.
MORE = {
    **PLAIN,
    "bool": "models.BooleanField(default=False)",
    "binary": "models.BinaryField(null=True)",
    "date": "models.DateField(null=True)",
    "datetime": "models.DateTimeField(null=True)",
    "decimal": "models.DecimalField(max_digits=9, decimal_places=2, null=True)",
    "duration": "models.DurationField(null=True)",
    "float": "models.FloatField(null=True)",
    "json": "models.JSONField(default=dict)",
    "long": 'models.TextField(default="none", db_default="none")',
    "positive": "models.PositiveIntegerField(default=3)",
    "time": "models.TimeField(null=True)",
    "uuid": "models.UUIDField(null=True)",
}
ALTERED = {
    "decimal": "models.DecimalField(max_digits=12, decimal_places=4, null=True)",
    "date": "models.DateTimeField(null=True)",
    "integer": "models.BigIntegerField(null=True)",
    "indexed": "models.BigIntegerField(null=True)",
    "text": 'models.CharField(max_length=30, default="x")',
    "unique": "models.IntegerField(null=True)",
}


@dataclass
class Model:
    """A model as it is now: its fields by name with their kinds, its indexes, the models that its relations point to."""

    app: str
    name: str
    fields: dict[str, str] = field(default_factory=dict)
    indexes: list[str] = field(default_factory=list)
    points_to: dict[str, Model] = field(default_factory=dict)
    touched_by: list[Key] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{self.app}.{self.name}"


@dataclass(frozen=True)
class Written:
    """A migration file: text for `Project`."""

    key: Key
    depends: tuple[Key, ...]
    text: str


@dataclass
class Generator:
    draw: Draw
    models: list[Model] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    count: int = 0
    # What the migration under way has touched. It does not rename or drop that again: Django puts indexes off to the end of a
    # migration, and then makes them on a name that is gone, or drops them before they are made; its own `migrate` fails too.
    fresh: set[str] = field(default_factory=set)
    plain: dict[str, str] = field(default_factory=lambda: PLAIN)

    def pick(self, values: list[object]) -> object:
        return self.draw(st.sampled_from(values))

    def new(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def add(self, app: str) -> None:
        """A migration with one to three operations."""
        self.fresh.clear()
        operations, touched = [], []
        for _ in range(self.draw(st.integers(1, 3))):  # type: ignore[call-overload]
            text, models = self.operation(app)
            self.fresh.update(model.label for model in models)
            operations.append(text)
            touched += models
        self.write(app, operations, touched)

    def write(self, app: str, operations: list[str], touched: list[Model]) -> None:
        key = (app, f"{len(self.written):04}_m")
        needed = {toucher for model in touched for toucher in model.touched_by if toucher != key}
        own = [found.key for found in self.written if found.key[0] == app]
        # Mostly behind the newest of its app; now and then behind an older one, which makes a branch.
        parent = [self.pick([*own[-1:] * 3, *own])] if own else []
        depends = tuple(sorted({*needed, *parent}))  # type: ignore[type-var]
        for model in touched:
            model.touched_by.append(key)
        self.written.append(Written(key, depends, migration(", ".join(operations), depends)))

    def merge(self) -> None:
        """Join the branches of each app, as `makemigrations --merge` does."""
        for app in APPS:
            own = [found for found in self.written if found.key[0] == app]
            parents = {parent for found in own for parent in found.depends}
            leaves = [found.key for found in own if found.key not in parents]
            if len(leaves) > 1:
                key = (app, f"{len(self.written):04}_merge")
                self.written.append(Written(key, tuple(leaves), migration("", leaves)))

    def free(self, model: Model) -> list[str]:
        """The fields that may be renamed or removed."""
        return [name for name, kind in model.fields.items() if kind not in ("id", "checked") and name not in self.fresh]

    def operation(self, app: str) -> tuple[str, list[Model]]:
        """The text of an operation on a model of the app, and the models that it touches or points to."""
        own = [model for model in self.models if model.app == app]
        if not own:
            return self.create(app)
        model = self.pick(own)
        assert isinstance(model, Model)
        kind = self.pick([self.add_plain, *self.kinds()])
        return kind(model)  # type: ignore[operator]

    def kinds(self) -> list[object]:
        return [
            lambda model: self.create(model.app),
            *(self.add_plain, self.add_relation, self.add_index, self.add_check),
            *(self.alter, self.rename_field, self.rename_model, self.options),
            *(self.remove, self.remove_index, self.delete, self.code, self.nested),
        ]

    def create(self, app: str) -> tuple[str, list[Model]]:
        model = Model(app, self.new("M"))
        self.models.append(model)
        model.fields["id"] = "id"
        text = f'migrations.CreateModel("{model.name}", [("id", models.BigAutoField(primary_key=True))])'
        return text, [model]

    def add_plain(self, model: Model) -> tuple[str, list[Model]]:
        name, kind = self.new("f"), self.pick(list(self.plain))
        model.fields[name] = str(kind)
        self.fresh.add(name)
        return f'migrations.AddField("{model.name}", "{name}", {self.plain[str(kind)]})', [model]

    def add_relation(self, model: Model) -> tuple[str, list[Model]]:
        target, name = self.pick(list(self.models)), self.new("r")
        assert isinstance(target, Model)
        one = f'models.ForeignKey("{target.label}", models.CASCADE, null=True, related_name="+")'
        many = f'models.ManyToManyField("{target.label}", related_name="+")'
        model.fields[name] = "relation"
        model.points_to[name] = target
        return f'migrations.AddField("{model.name}", "{name}", {self.pick([one, many])})', [model, target]

    def alter(self, model: Model) -> tuple[str, list[Model]]:
        plain = [name for name, kind in model.fields.items() if kind in ALTERED and name not in self.fresh]
        if not plain:
            return self.add_plain(model)
        name = str(self.pick(list(plain)))
        kind, model.fields[name] = model.fields[name], "altered"
        self.fresh.add(name)
        return f'migrations.AlterField("{model.name}", "{name}", {ALTERED[kind]})', [model]

    def rename_field(self, model: Model) -> tuple[str, list[Model]]:
        old = self.free(model)
        if not old:
            return self.add_plain(model)
        name, new = str(self.pick(list(old))), self.new("f")
        model.fields = {new if found == name else found: kind for found, kind in model.fields.items()}
        model.points_to = {new if found == name else found: target for found, target in model.points_to.items()}
        target = [model.points_to[new]] if new in model.points_to else []
        return f'migrations.RenameField("{model.name}", "{name}", "{new}")', [model, *target]

    def remove(self, model: Model) -> tuple[str, list[Model]]:
        free = self.free(model)
        if not free:
            return self.add_plain(model)
        name = str(self.pick(list(free)))
        del model.fields[name]
        target = model.points_to.pop(name, model)
        return f'migrations.RemoveField("{model.name}", "{name}")', [model, target]

    def rename_model(self, model: Model) -> tuple[str, list[Model]]:
        old, model.name = model.name, self.new("M")
        pointing = [other for other in self.models if model in other.points_to.values()]
        return f'migrations.RenameModel("{old}", "{model.name}")', [model, *pointing, *model.points_to.values()]

    def delete(self, model: Model) -> tuple[str, list[Model]]:
        if model.label in self.fresh or any(model in other.points_to.values() for other in self.models):
            return self.add_plain(model)
        self.models.remove(model)
        return f'migrations.DeleteModel("{model.name}")', [model, *model.points_to.values()]

    def add_index(self, model: Model) -> tuple[str, list[Model]]:
        name = self.new("i")
        self.fresh.add(name)
        model.indexes.append(name)
        index = f'models.Index(fields=["id"], name="{name}")'
        return f'migrations.AddIndex("{model.name}", {index})', [model]

    def add_check(self, model: Model) -> tuple[str, list[Model]]:
        """With a column of its own, which is then left alone."""
        name = self.new("f")
        model.fields[name] = "checked"
        check = f'models.CheckConstraint(condition=models.Q({name}__gt=0), name="{name}_check")'
        return (
            f'migrations.AddField("{model.name}", "{name}", {PLAIN["integer"]}), '
            f'migrations.AddConstraint("{model.name}", {check})'
        ), [model]

    def remove_index(self, model: Model) -> tuple[str, list[Model]]:
        old = [name for name in model.indexes if name not in self.fresh]
        if not old:
            return self.add_index(model)
        model.indexes.remove(old[0])
        return f'migrations.RemoveIndex("{model.name}", "{old[0]}")', [model]

    def options(self, model: Model) -> tuple[str, list[Model]]:
        return f'migrations.AlterModelTable("{model.name}", "{self.new("table_")}")', [model, *model.points_to.values()]

    def code(self, model: Model) -> tuple[str, list[Model]]:
        rows = f'apps.get_model("{model.app}", "{model.name}").objects.using(editor.connection.alias)'
        look = f"lambda apps, editor: {rows}.count()"
        return f"migrations.RunPython({look}, {look})", [model]

    def nested(self, model: Model) -> tuple[str, list[Model]]:
        text, touched = self.add_plain(model)
        return f"migrations.SeparateDatabaseAndState(database_operations=[{text}], state_operations=[{text}])", touched


STRICT = {
    "number": "models.IntegerField()",
    "once": "models.IntegerField(unique=True)",
    "above": "models.PositiveSmallIntegerField()",
    "word": "models.CharField(max_length=20)",
    "amount": "models.DecimalField(max_digits=12, decimal_places=4)",
}
NARROWER = {
    "amount": "models.DecimalField(max_digits=12, decimal_places=1)",
    "datetime": "models.DateField(null=True)",
    "number": "models.IntegerField(null=True)",
    "once": "models.IntegerField(null=True)",
}


@dataclass
class Destroying(Generator):
    """Makes models with fields of all types, also such as take no nulls; once `late`, takes things away."""

    late: bool = False

    def kinds(self) -> list[object]:
        if not self.late:
            return [lambda model: self.create(model.app), self.add_relation, self.add_relation]
        return [self.remove, self.remove, self.remove, self.delete, self.narrow, self.rename_field, self.rename_model]

    def create(self, app: str) -> tuple[str, list[Model]]:
        text, (model,) = super().create(app)
        kinds = {**STRICT, **self.plain}
        fields = {self.new("f"): str(self.pick(list(kinds))) for _ in range(4)}
        model.fields.update(fields)
        listed = "".join(f', ("{name}", {kinds[kind]})' for name, kind in fields.items())
        return f"{text.removesuffix('])')}{listed}])", [model]

    def narrow(self, model: Model) -> tuple[str, list[Model]]:
        wide = [name for name, kind in model.fields.items() if kind in NARROWER and name not in self.fresh]
        if not wide:
            return self.remove(model)
        name = str(self.pick(list(wide)))
        kind, model.fields[name] = model.fields[name], "narrow"
        self.fresh.add(name)
        return f'migrations.AlterField("{model.name}", "{name}", {NARROWER[kind]})', [model]


@st.composite
def destroying_projects(draw: Draw) -> list[list[Written]]:
    """Two deployments: one that makes things, and one that takes some away."""
    generator = Destroying(draw, plain=MORE)
    for _ in range(draw(st.integers(2, 4))):  # type: ignore[call-overload]
        generator.add(str(generator.pick(list(APPS))))
    generator.merge()
    middle, generator.late = len(generator.written), True
    for _ in range(draw(st.integers(1, 4))):  # type: ignore[call-overload]
        generator.add(str(generator.pick([model.app for model in generator.models])))
    generator.merge()
    return [generator.written[:middle], generator.written[middle:]]


@st.composite
def projects(draw: Draw, plain: dict[str, str] = PLAIN) -> list[list[Written]]:
    """Two or three deployments, oldest first, each the migrations that are new in it. plain: the kinds of fields, by name."""
    generator = Generator(draw, plain=plain)
    deployments: list[list[Written]] = []
    for _ in range(draw(st.integers(2, 3))):  # type: ignore[call-overload]
        start = len(generator.written)
        for _ in range(draw(st.integers(1, 6))):  # type: ignore[call-overload]
            generator.add(str(generator.pick(list(APPS))))
        generator.merge()
        deployments.append(generator.written[start:])
    return deployments


def files(written: list[Written]) -> dict[str, dict[str, str]]:
    """As `Project` wants them."""
    return {app: {found.key[1]: found.text for found in written if found.key[0] == app} for app in APPS}
