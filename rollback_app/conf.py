"""The settings of this app, `ROLLBACK = {…}`, read when they are used."""

from __future__ import annotations

import os
import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

KEYS = (
    "BACKUP",
    "DECLARED",
    "FLEET",
    "FLOOR",
    "HOLD",
    "KEEP_AT_MOST",
    "KEEP_DAYS",
    "KEEP_DROPPED",
    "MIGRATE",
    "OBJECTS",
    "PACKAGE",
    "PUT_BACK",
    "RECORD",
    "RELEASE",
    "REQUIRE",
    "RESTORE",
    "REVERSES",
    "SEED",
)
_SWITCHES = ("HOLD", "KEEP_DROPPED", "MIGRATE", "OBJECTS", "PACKAGE", "PUT_BACK", "RECORD")
_FUNCTIONS = ("FLEET", "SEED")
LONGEST_RELEASE = 200
KEEP_DAYS: float = 30
_MOST_DAYS = 365_000  # which dates can be reckoned with
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


_DIGEST = re.compile("[0-9a-f]{12}")


def _settings() -> dict[str, Any]:
    found = getattr(settings, "ROLLBACK", {})
    return found if isinstance(found, dict) else {}


def problems() -> list[str]:
    """What is wrong with the settings, a sentence for each: unknown keys and wrong types. Runs no code of the project's."""
    found = getattr(settings, "ROLLBACK", {})
    if not isinstance(found, dict):
        return [f"ROLLBACK must be a dict, not {type(found).__name__}."]
    said = [f"ROLLBACK has an unknown key: {key!r:.80}." for key in found if key not in KEYS]
    wrong = [key for key in _SWITCHES if not isinstance(found.get(key, True), bool)]
    said += _reverse_problems(found.get("REVERSES", {}))
    said += _declaration_problems(found)
    said += [f"ROLLBACK['{key}'] must be True or False, not {type(found[key]).__name__}." for key in wrong]
    said += [_no_function(key, found[key]) for key in _FUNCTIONS if not _may_be_function(found.get(key))]
    if not isinstance(found.get("RESTORE", ""), str):
        said.append(f"ROLLBACK['RESTORE'] must be a str, not {type(found['RESTORE']).__name__}.")
    if not _are_days(found.get("KEEP_DAYS", KEEP_DAYS)):
        said.append(f"ROLLBACK['KEEP_DAYS'] must be a number of days from 0 on, not {found['KEEP_DAYS']!r:.80}.")
    return said


def keep_days() -> float:
    """How many days may something be kept before a system check warns of it? The default, if what is set is no such number."""
    days = _settings().get("KEEP_DAYS", KEEP_DAYS)
    return days if _are_days(days) else KEEP_DAYS


def _are_days(days: Any) -> bool:
    return isinstance(days, (int, float)) and not isinstance(days, bool) and 0 <= days <= _MOST_DAYS


def keep_at_most() -> str | None:
    """How much a run keeps at most, as it is typed; None if nobody says."""
    size = _settings().get("KEEP_AT_MOST")
    return None if size is None else str(size)


def backup() -> tuple[Any, str]:
    """(the way by which a run takes a backup first, what to type to restore it); None and empty, if nobody says."""
    return _settings().get("BACKUP") or None, str(_settings().get("RESTORE") or "")


def keeps_dropped() -> bool:
    """Does `migrate` keep what its own operations destroy?"""
    return bool(_settings().get("KEEP_DROPPED", False))


def release_problem() -> str:
    """What is wrong with RELEASE, a sentence; empty if its type is right. Apart, since a release's name never stops `migrate`."""
    release = _settings().get("RELEASE")
    if release is None or isinstance(release, str) or callable(release):
        return ""
    return f"ROLLBACK['RELEASE'] must be a str or a callable, not {type(release).__name__}."


def records() -> bool:
    """Are deployments recorded?"""
    return bool(_settings().get("RECORD", True))


def packages() -> bool:
    """Does `migrate` store its migrations in the database, and does a rollback load what is stored there?"""
    return bool(_settings().get("PACKAGE", False))


def puts_back() -> bool:
    """Does `migrate` put back what rollbacks have kept?"""
    return bool(_settings().get("PUT_BACK", True))


def records_objects() -> bool:
    """Does `migrate` record views, functions and triggers, and a rollback bring them back?"""
    return bool(_settings().get("OBJECTS", False))


def holds() -> bool:
    """Does a rollback by the command hold `migrate`?"""
    return bool(_settings().get("HOLD", True)) and not settings.DEBUG


def switched_off() -> str:
    """What holds every `migrate` of this process: `environment` or `setting`; empty if nothing does."""
    if os.environ.get("RUN_MIGRATIONS", "").strip().lower() in ("false", "0", "no", "off"):
        return "environment"
    return "" if _settings().get("MIGRATE", True) else "setting"


def reverses() -> dict[str, tuple[tuple[Any, ...], str]]:
    """What to run in place of operations without a reverse: by app.name (a function, SQL statements or None for each, digest).

    Errors: ImproperlyConfigured.
    """
    found = _settings().get("REVERSES", {})
    if problems := _reverse_problems(found):
        raise ImproperlyConfigured(problems[0])
    return {name: _reverse(name, value) for name, value in found.items()}


_DECLARATIONS = ("breaking", "release", "reversible_by_design")


def _declaration_problems(found: dict[str, Any]) -> list[str]:
    said = []
    floor, required, declared = found.get("FLOOR", ()), found.get("REQUIRE", ()), found.get("DECLARED", {})
    if not _are_names([floor] if isinstance(floor, str) else floor):
        said.append("ROLLBACK['FLOOR'] must be the name of a migration, as 'app.0007_name', or a list of such.")
    if not isinstance(required, (list, tuple)) or not set(map(str, required)) <= set(_DECLARATIONS):
        said.append(f"ROLLBACK['REQUIRE'] must be a list of these: {', '.join(_DECLARATIONS)}.")
    if not isinstance(declared, dict) or not (
        _are_names(list(declared)) and all(_is_declaration(each) for each in declared.values())
    ):
        said.append("ROLLBACK['DECLARED'] must be like {'app.0007_name': {'breaking': True, 'release': '2.1'}}.")
    return said


def _are_names(found: Any) -> bool:
    return isinstance(found, (list, tuple)) and all(isinstance(each, str) and "." in each for each in found)


def _is_declaration(found: Any) -> bool:
    return isinstance(found, dict) and set(map(str, found)) <= set(_DECLARATIONS)


def floor() -> tuple[str, ...]:
    """The migrations below which no rollback is promised; none, if what is set is no such list."""
    found = _settings()
    if _declaration_problems({"FLOOR": found.get("FLOOR", ())}):
        return ()
    names = found.get("FLOOR", ())
    return (names,) if isinstance(names, str) else tuple(names)


def required() -> tuple[str, ...]:
    """What each migration has to declare."""
    return tuple(name for name in _DECLARATIONS if name in _settings().get("REQUIRE", ()))


def declared() -> dict[str, dict[str, Any]]:
    """What is declared of the migrations of others, by `app.name`; nothing, if what is set is no such thing."""
    found = {"DECLARED": _settings().get("DECLARED", {})}
    return {} if _declaration_problems(found) else dict(found["DECLARED"])


def seed() -> Any:
    """The project's own function that makes rows for `checkrollback`; None, if there is none. Errors: ImproperlyConfigured."""
    return _function("SEED")


def fleet() -> Any:
    """The function that yields the members of the fleet; None, if there is none. Errors: ImproperlyConfigured."""
    return _function("FLEET")


def _function(key: str) -> Any:
    """Errors: ImproperlyConfigured."""
    found = _settings().get(key)
    try:
        found = import_string(found) if isinstance(found, str) else found
    # The module is the project's, and may raise anything.
    except Exception as error:
        raise ImproperlyConfigured(f"ROLLBACK['{key}'] fails: {type(error).__name__}: {error}") from error
    if found is None or callable(found):
        return found
    raise ImproperlyConfigured(_no_function(key, found))


def _may_be_function(found: Any) -> bool:
    return found is None or isinstance(found, str) or callable(found)


def _no_function(key: str, found: Any) -> str:
    return f"ROLLBACK['{key}'] must be a callable or its dotted path, not {type(found).__name__}."


def _reverse_problems(found: Any) -> list[str]:
    if not isinstance(found, dict):
        return [f"ROLLBACK['REVERSES'] must be a dict, not {type(found).__name__}."]
    wrong = [name for name in found if not isinstance(name, str)]
    return [f"ROLLBACK['REVERSES'] must have names of migrations for keys, not {name!r}." for name in wrong]


def _reverse(name: str, value: Any) -> tuple[tuple[Any, ...], str]:
    digest = ""
    if isinstance(value, tuple) and len(value) == 2 and _DIGEST.fullmatch(str(value[1])):
        value, digest = value
    is_list = isinstance(value, list) and not all(_is_sql(each) for each in value)
    return tuple(_part(name, each) for each in (value if is_list else [value])), digest


def _is_sql(value: Any) -> bool:
    return isinstance(value, str) and value != "noop" and not _PATH.fullmatch(value)


def _part(name: str, value: Any) -> Any:
    if value == "noop":
        return None
    if isinstance(value, list) and all(map(_is_sql, value)):
        return tuple(value)
    if callable(value):
        return value
    try:
        return import_string(value)
    # The module is the project's, and may raise anything.
    except Exception as error:
        words = f"ROLLBACK['REVERSES'][{name!r}] is no function, list of SQL statements, or 'noop'"
        raise ImproperlyConfigured(f"{words}: {type(error).__name__}: {error}") from error


def release() -> str:
    """The name of the release that runs; empty if nobody says.

    RELEASE is a text, or a function that returns one, or its dotted path; without it the environment's ROLLBACK_RELEASE counts.

    Errors: ImproperlyConfigured, whatever is wrong with it.
    """
    found = _settings().get("RELEASE")
    try:
        if isinstance(found, str) and _PATH.fullmatch(found):
            found = import_string(found)
        if callable(found):
            found = found()
    # The function is the project's, and may raise anything.
    except Exception as error:
        raise ImproperlyConfigured(f"ROLLBACK['RELEASE'] fails: {type(error).__name__}: {error}") from error
    if found is None or found == "":
        found = os.environ.get("ROLLBACK_RELEASE", "")
    if not isinstance(found, str):
        raise ImproperlyConfigured(f"ROLLBACK['RELEASE'] must give a str, not {type(found).__name__}.")
    if not found.isprintable() or len(found) > LONGEST_RELEASE:
        raise ImproperlyConfigured(
            f"The name of the release must have at most {LONGEST_RELEASE} characters, none of them a control character."
        )
    return found
