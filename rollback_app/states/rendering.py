"""States that are rendered into model classes, by Django: whole, or as far as code asks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from django.core.checks.model_checks import _check_lazy_references  # type: ignore[attr-defined]
from django.db.migrations.state import AppConfigStub, ModelState, ProjectState, StateApps
from django.db.migrations.utils import resolve_relation
from django.utils.functional import cached_property

from .relations import Model, Relations, bases_of, key_of, seen_from


class Apps(StateApps):
    """Keeps its caches to itself. Django's registries share theirs, and each model that is rendered empties them for all: then
    every foreign key goes through all models of the project again, to see whether it points to a swappable one."""

    whole = False  # does it hold all models of its state?
    get_models: Any = cache(StateApps.get_models.__wrapped__)  # type: ignore[attr-defined]
    get_swappable_settings_name: Any = cache(StateApps.get_swappable_settings_name.__wrapped__)  # type: ignore[attr-defined]


class State(ProjectState):
    """A state that is rendered whole, by Django itself, when somebody looks at its models."""

    def __init__(self, models: dict[Model, ModelState], real_apps: set[str], relations: Relations) -> None:
        super().__init__(real_apps=real_apps)
        self.models = models
        self.known = relations

    def anew(self, kind: type[State]) -> State:
        """The same, not rendered yet."""
        return kind(self.models, self.real_apps, self.known)

    @cached_property
    def asked(self) -> StateApps:
        """Its models for who wants to look at some of them, whatever else is rendered."""
        return self.anew(Asked).apps


def is_whole(state: ProjectState) -> bool:
    apps = vars(state).get("apps")
    return apps is not None and getattr(apps, "whole", True)


class Asked(State):
    """A state of which only what code asks for is rendered."""

    @cached_property
    def apps(self) -> StateApps:
        return _AskedApps(self.models, self.real_apps, self.known)


class _AskedApps(Apps):
    """Renders a model when it is asked for, with all that it points to; and the rest as soon as somebody looks back.

    What points to a model is seen through its reverse accessors, which are stand-ins until then, and through the list of
    all models, from which Django works out everything else that it knows about relations.
    """

    whole = True  # while Django sets up the empty registry

    def __init__(self, models: Mapping[Model, ModelState], real_apps: set[str], relations: Relations) -> None:
        super().__init__([], {})
        self.states = models
        self.real_apps = real_apps
        self.relations = relations
        self.waiting = dict(models)
        self.whole = False
        for label in sorted({*real_apps, *(key[0] for key in models)}):
            self.app_configs[label] = stub = AppConfigStub(label)
            stub.apps = self
            stub.import_models()

    def get_model(self, app_label: str, model_name: str | None = None, require_ready: bool = True) -> Any:
        label, name = app_label.split(".") if model_name is None else (app_label, model_name)
        self._want((label, name.lower()))
        return self.all_models[label].get(name.lower()) or super().get_model(label, name, require_ready)

    @cache  # noqa: B019 - as in the class above, which empties the cache by this name
    def get_models(self, include_auto_created: bool = False, include_swapped: bool = False) -> Any:
        self.complete()
        return super().get_models.__wrapped__(self, include_auto_created, include_swapped)

    def get_app_config(self, app_label: str) -> Any:
        self.complete()
        return super().get_app_config(app_label)

    def get_app_configs(self) -> Any:
        self.complete()
        return super().get_app_configs()

    def _want(self, key: Model) -> None:
        """Render a model and all that can be reached from it along its own relations and bases."""
        if key in self.waiting and self.relations.well_known:
            found, todo = set[Model](), [key]
            while todo:
                name = todo.pop()
                if name in self.waiting and name not in found:
                    found.add(name)
                    todo += seen_from(self.states[name])
                elif name not in self.states:
                    break  # a state that is not consistent; Django says so when it renders all of it
            else:
                self.render_multiple([self.waiting.pop(name) for name in self._in_order(found)])
                self._put_stand_ins(found)
                return
        if key not in self.states or key in self.waiting:
            self.complete()

    def _in_order(self, keys: Collection[Model]) -> list[Model]:
        return [key for key in self.waiting if key in keys]

    def _put_stand_ins(self, rendered: Iterable[Model]) -> None:
        """In the place of each reverse accessor that a model not rendered yet would have put on these."""
        referring, followed, todo = set[Model](), set(rendered), list(rendered)
        while todo:
            seen = todo.pop()
            users = self.relations.may_refer_to(seen) & self.states.keys()
            referring |= users
            # What refers to an heir puts its accessor on the parents too.
            heirs = {key for key in users if seen in bases_of(self.states[key])} - followed
            followed |= heirs
            todo += heirs
        for key in self._in_order(referring):
            for target, name in _accessors(self.waiting[key], self.states):
                there = self.all_models[target[0]].get(target[1])
                if there is not None and name not in vars(there):
                    setattr(there, name, _StandIn(name, self))

    def complete(self) -> None:
        """Render what is left, and bring all into the order that it would have if it had been rendered at once."""
        if self.whole:
            return
        self.whole = True
        for models in self.all_models.values():
            for model in models.values():
                for name in [name for name, value in vars(model).items() if isinstance(value, _StandIn)]:
                    delattr(model, name)
        self.real_models = StateApps(sorted(self.real_apps), {}).real_models
        rest = [*self.waiting.values(), *self.real_models]
        self.waiting.clear()
        self.render_multiple(rest)
        order = {key: place for place, key in enumerate(self.states)}
        for models in self.all_models.values():
            ordered = sorted(models.items(), key=lambda item: order.get(_owner(item[1]), len(order)))
            models.clear()
            models.update(ordered)
        self.clear_cache()
        if errors := _check_lazy_references(self, ignore=set()):  # as StateApps does
            raise ValueError("\n".join(error.msg for error in errors))


class _StandIn:
    """Stands where a reverse accessor will be, and makes way for it when it is looked at."""

    def __init__(self, name: str, apps: _AskedApps) -> None:
        self.name, self.apps = name, apps

    def __get__(self, instance: Any, owner: type) -> Any:
        self.apps.complete()
        return getattr(owner if instance is None else instance, self.name)

    def __set__(self, instance: Any, value: Any) -> None:
        self.apps.complete()
        setattr(instance, self.name, value)


def _owner(model: Any) -> Model:
    """The model itself, or the one whose many-to-many field made it."""
    options = (model._meta.auto_created or model)._meta
    return options.app_label, options.model_name


def _accessors(model: ModelState, states: Mapping[Model, ModelState]) -> Iterator[tuple[Model, str]]:
    """(model, name) of each attribute that this model puts on the models that it points to. Some that it does not: a
    stand-in too many only makes way for nothing."""
    words = {"class": model.name_lower, "model_name": model.name_lower, "app_label": model.app_label}
    ordered = {f"get_{model.name_lower}_order", f"set_{model.name_lower}_order"}
    for target in bases_of(model):
        yield target, model.name_lower
    fields: Iterable[Any] = model.fields.values()
    for field in fields:
        if field.is_relation:
            related_name = field.remote_field.related_name or model.options.get("default_related_name")
            names = {related_name % words} if related_name else {model.name_lower, f"{model.name_lower}_set"}
            for target in _lineage(resolve_relation(field.remote_field.model, *key_of(model)), states):
                yield from ((target, name) for name in names | ordered)


def _lineage(key: Model, states: Mapping[Model, ModelState]) -> Iterator[Model]:
    """A model and what it inherits from: accessors of a proxy are on the model behind it."""
    yield key
    for base in bases_of(states[key]) if key in states else ():  # not there: of an app without migrations
        yield from _lineage(base, states)
