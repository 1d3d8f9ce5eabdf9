"""A plugin of pytest: an item for each new migration and check, `orders/migrations/0007_invoices.py::up_down_up`.

Nothing happens without `--check-rollback`, or `rollback_check = true` in the configuration. Run all of them with
`pytest --check-rollback -k "up_down_up or rows_survive"`, and so on.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .asserting import checked, in_words, unblock

if TYPE_CHECKING:
    from rollback_app.checking import Finding

# The checks, and which of them a finding belongs to; all others to the first.
CHECKS = ("reversible", "leaves_no_trace", "rows_survive", "up_down_up")
_OF = {
    **dict.fromkeys(("C005", "C011"), "leaves_no_trace"),
    **dict.fromkeys(("C002", "C003", "C004", "C012"), "rows_survive"),
    "C013": "up_down_up",
}
_OPTIONS = {
    "rollback_since": "new is what an older release lacks: manifest:FILE",
    "rollback_base": "new is what git has added since this commit",
    "rollback_baseline": "a file with the findings that are known, written by checkrollback --write-baseline",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rollback", "migrations that can be rolled back")
    group.addoption("--check-rollback", action="store_true", help="Check that new migrations can be rolled back.")
    parser.addini("rollback_check", "check that new migrations can be rolled back", "bool", default=False)
    for name, text in _OPTIONS.items():
        group.addoption(f"--{name.replace('_', '-')}", default=None, metavar="NAME", help=f"{text}.")
        parser.addini(name, text, default="")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rollback: a check that a new migration can be rolled back")
    if config.pluginmanager.hasplugin("django"):
        from pytest_django.plugin import blocking_manager_key  # noqa: PLC0415  # optional

        unblock.append(config.stash[blocking_manager_key].unblock)


def pytest_unconfigure(config: pytest.Config) -> None:
    unblock.clear()


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose among the items
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.check_rollback or config.getini("rollback_check"):
        checks = _Checks(config)
        for name, file in checks.migrations:
            items.extend(_File.from_parent(session, path=file, migration=name, checks=checks).collect())


class _Checks:
    """All checks of a session. Made once, when the first item wants to know."""

    def __init__(self, config: pytest.Config) -> None:
        given = {name: getattr(config.option, name) or config.getini(name) or None for name in _OPTIONS}
        new = {"since": given["rollback_since"], "base": given["rollback_base"]}
        self._options: dict[str, Any] = {
            **new,
            "baseline": given["rollback_baseline"],
            "everything": not any(new.values()),
        }

    @cached_property
    def migrations(self) -> list[tuple[str, Path]]:
        """The names and files of the new migrations, read and not tried."""
        import django  # noqa: PLC0415  # pytest loads its plugins before there are settings

        django.setup()
        from rollback_app import project, workflow  # noqa: PLC0415
        from rollback_app.errors import RollbackError  # noqa: PLC0415
        from rollback_app.history import Key  # noqa: PLC0415

        try:
            found = workflow.check_rollback(**self._options).checked
            code = project.code().migrations
        except RollbackError as error:
            raise pytest.UsageError(str(error)) from error
        return [(name, project.file_of(code[Key(*name.split("."))])) for name in found]

    def of(self, migration: str, check: str) -> list[Finding]:
        """Errors: RollbackError, each time anew, if they cannot be made."""
        if isinstance(self._found, Exception):
            raise self._found
        return [each for each in self._found if (each.migration, _check(each)) == (migration, check)]

    @cached_property
    def _found(self) -> list[Finding] | Exception:
        from rollback_app.errors import RollbackError  # noqa: PLC0415

        try:
            return [each for each in checked(**self._options).findings if each.severity.value == "error"]
        except RollbackError as error:
            return error


def _check(finding: Finding) -> str:
    return _OF.get(finding.id.removeprefix("rollback."), CHECKS[0])


class _File(pytest.File):
    """The file of a migration."""

    def __init__(self, *, migration: str, checks: _Checks, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._migration, self._checks = migration, checks

    def collect(self) -> list[pytest.Item]:
        return [_Item.from_parent(self, name=check, migration=self._migration, checks=self._checks) for check in CHECKS]


class _Found(Exception):
    """What a check has found, as a text."""


class _Item(pytest.Item):
    def __init__(self, *, migration: str, checks: _Checks, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._migration, self._checks = migration, checks
        self.add_marker("rollback")
        if self.config.pluginmanager.hasplugin("xdist"):  # one worker tries them all, with --dist loadgroup
            self.add_marker(pytest.mark.xdist_group("rollback"))

    def runtest(self) -> None:
        if found := self._checks.of(self._migration, self.name):
            raise _Found("\n".join(map(in_words, found)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from rollback_app.errors import RollbackError  # noqa: PLC0415

        if isinstance(excinfo.value, (_Found, RollbackError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self._migration} {self.name}"
