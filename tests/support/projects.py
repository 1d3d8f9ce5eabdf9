"""Projects made of migration files: the apps a, b and c get what migrations a test wants, in a new package each time.

A new package, because Python and Django keep modules, and migrations that have run may have changed their operations
(K30): a second call is a deployment of newer or older code, as a new process would read it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

SCENARIOS = Path(__file__).parent.parent / "scenarios"
APPS = ("a", "b", "c")
CONTRIB = ("contenttypes", "auth")
# Not None: an app without migrations has its models in every state, and then post_migrate wants their tables.
NO_MIGRATIONS = "tests.apps.empty"


def migration(
    operations: str = "", dependencies: Sequence[tuple[str, str]] = (), *, before: str = "", **attributes: Any
) -> str:
    """The text of a migration file; `before` is code for its top level, `attributes` are those of the class."""
    lines = [f"    {name} = {value!r}\n" for name, value in {"dependencies": list(dependencies), **attributes}.items()]
    return (
        f"from django.db import migrations, models\n\n{before}\n\n"
        f"class Migration(migrations.Migration):\n{''.join(lines)}    operations = [{operations}]\n"
    )


class Project:
    """Call it with the migrations of each app, `project(a={"0001_initial": …}, …)`; see the fixture `project`."""

    count = 0  # of packages made in this process, so that no name is used twice

    def __init__(self, root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.settings, self.monkeypatch = root, settings, monkeypatch
        self.apps: dict[str, Mapping[str, str]] = {}
        self.packages: list[str] = []
        self.monkeypatch.syspath_prepend(str(root))
        inherited = os.environ.get("PYTHONPATH")
        self.monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(root), inherited])))

    def __call__(self, *, with_contrib: bool = False, **apps: Mapping[str, str]) -> Path:
        """Each text is a whole file (see `migration`), or only operations: then it depends on the one before it."""
        self.apps = apps
        package = self._new_package()
        for app, migrations in apps.items():
            (package / app).mkdir()
            previous: list[tuple[str, str]] = []
            for name, text in migrations.items():
                source = text if "class Migration" in text else migration(text, previous)
                (package / app / f"{name}.py").write_text(source)
                previous = [(app, name)]
        return self._use(package, with_contrib=with_contrib)

    def replace(self, *, with_contrib: bool = False, **apps: Mapping[str, str]) -> Path:
        """Newer or older code of these apps; the others stay as the last call left them."""
        return self(with_contrib=with_contrib, **{**self.apps, **apps})

    def scenario(self, name: str, *, with_contrib: bool = False) -> Path:
        """The files under tests/scenarios/NAME: a folder for each app; NAME may be a path such as "k01/newer"."""
        package = self._new_package()
        # A scenario's folder holds apps, or variants of itself ("newer", "older"), which are no part of it.
        for folder in (SCENARIOS / name).iterdir():
            if folder.name in APPS:
                shutil.copytree(folder, package / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
        if not any(package.glob("*/*.py")):
            raise FileNotFoundError(f"no migrations in {SCENARIOS / name}/[{''.join(APPS)}]")
        return self._use(package, with_contrib=with_contrib)

    def _new_package(self) -> Path:
        Project.count += 1
        package = self.root / f"project_{Project.count}"
        package.mkdir()
        self.packages.append(package.name)
        return package

    def _use(self, package: Path, *, with_contrib: bool) -> Path:
        modules = dict.fromkeys(APPS + (() if with_contrib else CONTRIB), NO_MIGRATIONS)
        for folder in [package, *package.iterdir()]:
            (folder / "__init__.py").touch()
        modules.update({app: f"{package.name}.{app}" for app in APPS if (package / app).is_dir()})
        self.settings.MIGRATION_MODULES = modules
        self.monkeypatch.setenv("TEST_MIGRATION_MODULES", json.dumps(modules))
        return package

    def forget(self) -> None:
        for module in [name for name in sys.modules if name.split(".")[0] in self.packages]:
            del sys.modules[module]
