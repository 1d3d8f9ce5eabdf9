"""Makes a package from the code on disk."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

import django

import rollback_app
from rollback_app.errors import CodeUnusable
from rollback_app.history import Code, Key

from .package import Package


def make(code: Code, keys: Collection[Key], release: str) -> Package:
    """Of these migrations, with the helpers that they import from their own `migrations` packages.

    Errors: CodeUnusable, for a migration that has no source file.
    """
    files: dict[str, bytes] = {}
    migrations = {}
    for key in sorted(keys):
        module = type(code.migrations[key]).__module__
        migrations[key] = _add(files, module, module.rpartition(".")[0])
    return Package(
        release, django.get_version(), rollback_app.__version__, migrations, files, frozenset(code.migrations)
    )


def _add(files: dict[str, bytes], module: str, own: str) -> str:
    """Add the file of a module, and of those that it imports from the package `own`. The name of its file there."""
    spec: Any = find_spec(module)
    path = Path(spec.origin)
    if path.suffix != ".py":
        raise CodeUnusable(
            f"The migration {module} has no source file, only {path.name}.",
            hint="Make the package where the source files are, as in the build of the release.",
        )
    is_package = path.stem == "__init__"
    name = f"{module.replace('.', '/')}{'/__init__' if is_package else ''}.py"
    if name not in files:
        files[name] = path.read_bytes()
        package = module if is_package else module.rpartition(".")[0]
        for imported in _imported(files[name], package):
            if f"{imported}.".startswith(f"{own}.") and _exists(imported):
                _add(files, imported, own)
    return name


def _imported(source: bytes, package: str) -> Iterator[str]:
    """The modules that a source imports, anywhere; some may be no modules, but what is in them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def _exists(module: str) -> bool:
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:  # what it would be in is no package
        return False
    return spec is not None and spec.origin is not None
