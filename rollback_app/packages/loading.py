"""Loads migrations from packages, beside the code on disk and never in its place."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import resolve_name
from types import ModuleType
from typing import Any

import django
from django.db.migrations import Migration
from django.db.migrations.operations import RunPython

from rollback_app import project
from rollback_app.history import Code, Key

from .package import Package, module_of

PREFIX = "packaged"  # in front of the name of a module of a package


class _Unloadable(Exception):
    """Why a migration cannot be loaded: the end of a sentence that begins with its name."""


def with_packages(code: Code, packages: Sequence[Package], recorded: Collection[Key]) -> Code:
    """The code, and from the packages what is recorded and not in it, with what that depends on. The first package that has a
    migration counts."""
    loaders = [_Loader(package) for package in packages]
    found, packaged, unloadable = dict(code.migrations), dict[Key, str](), dict[Key, str]()
    todo = sorted(set(recorded) - found.keys())
    while todo:
        key = todo.pop()
        loader = next((each for each in loaders if key in each.package.migrations), None)
        if loader is None or key in found or key in unloadable:
            continue
        try:
            found[key] = loader.migration(key)
        except _Unloadable as error:
            unloadable[key] = str(error)
            continue
        packaged[key] = loader.package.where
        todo += [Key(*name) for name in (*found[key].dependencies, *found[key].replaces)]
    _drop_dependants(found, packaged, unloadable, code.unmigrated)
    return replace(code, migrations=found, packaged=packaged, unloadable=unloadable)


def _drop_dependants(
    found: dict[Key, Migration], packaged: dict[Key, str], unloadable: dict[Key, str], unmigrated: Collection[str]
) -> None:
    """What depends on something that is not there cannot be loaded either."""
    before = -1
    while before != len(unloadable):
        before = len(unloadable)
        there = {*found, *(Key(*name) for migration in found.values() for name in migration.replaces)}
        apps = {*unmigrated, *(key.app for key in there)}
        for key in list(packaged):
            for name in [Key(*name) for name in found[key].dependencies]:
                if not (name in there or (name.name in ("__first__", "__latest__") and name.app in apps)):
                    unloadable[key] = (
                        f"depends on {name}, which is neither in this code nor can be loaded from a package"
                    )
        for key in unloadable.keys() & packaged.keys():
            del found[key], packaged[key]


class _Loader:
    """Makes modules of a package's files. They are not where Python looks for modules: they find each other, and what this code
    has, by an `import` of their own."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.files = {module_of(file): file for file in package.files}
        self.modules: dict[str, ModuleType] = {}

    def migration(self, key: Key) -> Migration:
        """Errors: _Unloadable."""
        if self.package.spoilt:
            raise _Unloadable(self.package.spoilt)
        if _minor(self.package.django) != _minor(django.get_version()):
            raise _Unloadable(
                f"was written for another Django: its package was made with {self.package.django}, and this is "
                f"{django.get_version()}"
            )
        before = set(self.modules)
        try:
            module = self._module(module_of(self.package.migrations[key]))
            migration: Migration = module.Migration(key.name, key.app)
            project.check(migration)
            for name in self.modules.keys() - before:
                self._check_imports(name, _only_forwards(migration))
        # It is code of another release of the project, and may raise anything.
        except (Exception, SystemExit) as error:
            words = str(error).partition("\n")[0]
            raise _Unloadable(f"cannot be loaded: {type(error).__name__}: {words}") from error
        return migration

    def _module(self, name: str) -> ModuleType:
        if name in self.modules:
            return self.modules[name]
        file = self.files[name]
        source = self.package.files[file]
        module = self.modules[name] = ModuleType(f"{PREFIX}.{name}")
        module.__file__ = f"{self.package.where}/{file}"
        module.__package__ = name if file.endswith("/__init__.py") else name.rpartition(".")[0]
        vars(module).update(__builtins__={**vars(builtins), "__import__": self._import}, __source__=source)
        sys.modules[module.__name__] = module  # some decorators look up there what they are in
        try:
            code = compile(source, module.__file__, "exec", dont_inherit=True)
            exec(code, vars(module))  # noqa: S102  # all of it was checked before
        except BaseException:
            del self.modules[name], sys.modules[module.__name__]
            raise
        return module

    def _import(
        self,
        name: str,
        names: Mapping[str, Any] | None = None,
        local: Any = None,
        some: Sequence[str] | None = None,
        level: int = 0,
    ) -> Any:
        """As `builtins.__import__`. some: the names in `from … import …`."""
        if level:
            name = resolve_name("." * level + name, str((names or {})["__package__"]))
        if name not in self.files:
            return builtins.__import__(name, None, None, some or ())
        module = self._module(name)
        if not some:
            return _outermost(name, module)
        for each in some:
            if f"{name}.{each}" in self.files:
                setattr(module, each, self._module(f"{name}.{each}"))
        return module

    def _check_imports(self, name: str, without: Collection[str]) -> None:
        """Import what functions of a module will import when they run; without: those that will not. Errors: of the imports."""
        module = self.modules[name]
        for statement in _inside_functions(ast.parse(self.package.files[self.files[name]]), without):
            code = compile(ast.Module([statement], []), str(module.__file__), "exec")
            exec(code, dict(vars(module)))  # noqa: S102  # an import, and nothing else


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


class _Around(ModuleType):
    """A package of this code in which one module is the package's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def _outermost(name: str, module: ModuleType) -> ModuleType:
    """What `import a.b.c` gives, which is a."""
    found = module
    while "." in name:
        name, _, inner = name.rpartition(".")
        around = _Around(name)
        setattr(around, inner, found)
        found = around
    return found


def _only_forwards(migration: Migration) -> set[str]:
    """The names of functions that only `migrate` runs."""
    codes = [each for each in _flat(migration.operations) if isinstance(each, RunPython)]
    forwards, back = (
        {getattr(getattr(each, name), "__name__", "") for each in codes} for name in ("code", "reverse_code")
    )
    return forwards - back


def _flat(operations: Iterable[Any]) -> Iterator[Any]:
    for operation in operations:
        yield operation
        yield from _flat(getattr(operation, "database_operations", ()))


def _inside_functions(node: ast.AST, without: Collection[str], *, inside: bool = False) -> Iterator[ast.stmt]:
    """The imports inside functions; not those that expect to fail."""
    for child in ast.iter_child_nodes(node):
        if inside and isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif not isinstance(child, ast.Try) and getattr(child, "name", None) not in without:
            is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from _inside_functions(child, without, inside=inside or is_function)
