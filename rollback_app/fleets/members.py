"""Who belongs to the fleet: every tenant, several databases, or what the settings say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any
from zlib import crc32

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import DatabaseError, InterfaceError
from django.utils.module_loading import import_string

from rollback_app import conf
from rollback_app.database import first_line
from rollback_app.errors import CodeUnusable, DatabaseUnusable, UsageError, shown
from rollback_app.history import Member, MemberRecord, MemberState
from rollback_app.reports import forward_command

from .places import home, place_of, schema_of_shared

_NONE = (
    "Give --database several times, or --all-databases; or name in the settings what yields the members: "
    'ROLLBACK["FLEET"] = "shop.fleet.members"'
)


def find(databases: Sequence[str] = (), *, all_databases: bool = False) -> list[Member]:
    """All members, by name; those that others need come last.

    databases: the aliases of those that are meant; without them the settings' own function says who belongs to it, or the
    package for tenants. A function may make aliases, so that it is asked again in each process.

    Errors: UsageError, if there is no fleet; CodeUnusable, of the settings' function; DatabaseUnusable.
    """
    if databases or all_databases:
        found = [Member(alias, alias) for alias in (databases or connections)]
    elif function := _function():
        found = _told(function)
    else:
        found = _tenants()
    names = [member.name for member in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"Two members of the fleet are called {shown(twice[0])}.", hint="Give each a name of its own.")
    return sorted(found, key=lambda member: (member.shared, member.name))


def chosen(
    members: Sequence[Member], only: Sequence[str], but: Sequence[str], shard: tuple[int, int] | None = None
) -> list[Member]:
    """Those whose names match one of `only`, if there are any, and none of `but`; both may have wildcards. shard: (number from 1,
    how many) of the part that is meant, without what the others need.

    Errors: UsageError, for a name that matches none.
    """
    for name in (*only, *but):
        if not any(fnmatchcase(member.name, name) for member in members):
            some = ", ".join(member.name for member in members[:5])
            more = f", … ({len(members)} in all)" if len(members) > 5 else ""
            raise UsageError(f"No member of the fleet is called '{shown(name)}'.", hint=f"Known: {some}{more}.")
    return [
        member
        for member in members
        if (not only or any(fnmatchcase(member.name, name) for name in only))
        and not any(fnmatchcase(member.name, name) for name in but)
        and (shard is None or (not member.shared and crc32(member.name.encode()) % shard[1] == shard[0] - 1))
    ]


def forward(members: Sequence[MemberRecord], *, named: bool, held: bool) -> list[str]:
    """The commands that take all of these forward again; none, if only the project knows. named: were the databases named? held:
    are there holds to lift?"""
    if any(each.member.schema for each in members):
        for package, (lift, migrate) in _FORWARD.items():
            if apps.is_installed(package):
                return [
                    f"python manage.py {lift} && python manage.py {migrate}" if held else f"python manage.py {migrate}"
                ]
    back = [each.member.alias for each in members if named and each.state is MemberState.DONE and each.digest]
    return [forward_command(alias, held=held) for alias in dict.fromkeys(back)]


# How each package lifts the holds in all schemas, and migrates all.
_FORWARD = {
    "django_tenants": (
        "migratehold --off && python manage.py all_tenants_command --no-public migratehold --off",
        "migrate_schemas",
    ),
    "django_pgschemas": (
        "runschema migratehold --include-all-schemas --off",
        "migrateschema --include-all-schemas",
    ),
}


def _function() -> Any:
    """Errors: CodeUnusable."""
    try:
        return conf.fleet()
    except ImproperlyConfigured as error:
        raise CodeUnusable(str(error), hint="Fix it in the settings.") from error


def _told(function: Any) -> list[Member]:
    """Errors: CodeUnusable."""
    try:
        found = list(function())
    # It is the project's, and may raise anything.
    except Exception as error:
        raise CodeUnusable(
            f"ROLLBACK['FLEET'] fails: {type(error).__name__}: {first_line(error)}", hint="Fix it, or give --database."
        ) from error
    for each in found:
        if not isinstance(each, Member):
            raise CodeUnusable(
                f"ROLLBACK['FLEET'] must yield members, not {type(each).__name__}.",
                hint="Use `from rollback_app.fleets import Member`, and Member(name, alias, schema).",
            )
    return found


def _tenants() -> list[Member]:
    """Errors: UsageError, DatabaseUnusable."""
    for package in ("django_tenants", "django_pgschemas"):
        if apps.is_installed(package):
            alias = import_string(f"{package}.utils.get_tenant_database_alias")()
            fixed = getattr(settings, "TENANTS", {}).keys() - {"default"}  # of django-pgschemas
            return _schemas(alias, import_string(f"{package}.utils.get_tenant_model")(), fixed)
    raise UsageError("There is no fleet: this project has no tenants in schemas.", hint=_NONE)


def _schemas(alias: str, model: Any, fixed: Iterable[str]) -> list[Member]:
    """Errors: DatabaseUnusable."""
    shared = schema_of_shared(alias)
    try:
        with place_of(home()):
            names = [] if model is None else model.objects.using(alias).values_list("schema_name", flat=True)
            found = {*names, *fixed} - {shared}
    except (DatabaseError, InterfaceError) as error:
        raise DatabaseUnusable(
            f"The tenants of {alias} cannot be read: {first_line(error)}",
            hint="Check DATABASES in the settings, and that the server is running.",
        ) from error
    return [Member(name, alias, name) for name in found] + [Member(shared, alias, shared, shared=True)]
