"""Where a member is: makes its schema the one that the connection works in, as the project's own package for tenants does."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, InterfaceError
from django.utils.connection import ConnectionDoesNotExist
from django.utils.module_loading import import_string

from rollback_app.database import ONE_OF_MANY, first_line, spelling
from rollback_app.errors import DatabaseUnusable, RollbackError, UsageError, shown
from rollback_app.history import Member

PUBLIC = "public"
MANY = 100  # visits, after which memory is given back
_visits = itertools.count(1)


@contextmanager
def place_of(member: Member) -> Iterator[None]:
    """Inside, the connection of its alias works with this member alone.

    Errors: DatabaseUnusable, if there is no such schema; UsageError, for an alias that there is not, or a schema in a
    database that has none.
    """
    try:
        connection = connections[member.alias]
    except ConnectionDoesNotExist as error:
        known = ", ".join(sorted(connections))
        raise UsageError(
            f"There is no database '{shown(member.alias)}' in DATABASES.", hint=f"Known: {known}."
        ) from error
    try:
        with _in_schema(connection, member) if member.schema else nullcontext():
            yield
    finally:
        many = next(_visits) % MANY == 0
        # Databases may be thousands, and a server takes a hundred connections. Where schemas are many, a process of the server
        # keeps in memory what it has read of each table for as long as its connection lasts.
        alone = not member.schema and member.alias != DEFAULT_DB_ALIAS
        if (many or alone) and not connection.in_atomic_block:
            connection.close()
        # Rendered models are cyclic garbage, for which Python does not look by itself: a run keeps it away from what is there.
        if many:
            gc.collect()


@contextmanager
def _in_schema(connection: BaseDatabaseWrapper, member: Member) -> Iterator[None]:
    if connection.vendor != "postgresql":
        raise UsageError(
            f"{member.name}: {connection.vendor} has no schemas.",
            hint="Give a member the alias of a database of its own.",
        )
    by_django_tenants = hasattr(connection, "set_schema")
    try:
        _check_schema(connection, member)
        tenant = _tenant(connection, member.schema) if by_django_tenants else None
    except (DatabaseError, InterfaceError) as error:
        raise DatabaseUnusable(
            f"{member.name} cannot be read: {first_line(error)}",
            hint="Check DATABASES in the settings, and that the server is running.",
        ) from error
    if by_django_tenants:
        inside = _in_schema_of_django_tenants(connection, member.schema, tenant)
    elif hasattr(settings, "TENANTS"):
        inside = import_string("django_pgschemas.schema.Schema").create(member.schema)
    else:
        inside = _from_its_beginning(connection, member.schema)
    with inside, _errors_spelled(member.alias):
        yield


@contextmanager
def _errors_spelled(alias: str) -> Iterator[None]:
    """The commands that an error names are about this schema."""
    try:
        yield
    except RollbackError as error:
        spelled = spelling([alias])
        error.message, error.hint = spelled(error.message), spelled(error.hint)
        raise


def home() -> Member:
    """Where the state of fleets is kept."""
    return Member(DEFAULT_DB_ALIAS, DEFAULT_DB_ALIAS, schema_of_shared(DEFAULT_DB_ALIAS))


def schema_of_shared(alias: str) -> str:
    """The schema of what tenants share; empty for a project without tenants in schemas."""
    if hasattr(connections[alias], "set_schema"):
        return str(getattr(settings, "PUBLIC_SCHEMA_NAME", PUBLIC))
    return PUBLIC if hasattr(settings, "TENANTS") and connections[alias].vendor == "postgresql" else ""


def _check_schema(connection: BaseDatabaseWrapper, member: Member) -> None:
    """A schema that is not there would be passed over in silence, and the tables of the next one taken for its own.
    Errors: DatabaseUnusable; those of Django's database layer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", [member.schema])
        if cursor.fetchone() is None:
            raise DatabaseUnusable(
                f"There is no schema '{member.schema}' in {member.alias}.",
                hint="If that tenant is gone, leave it out with --except.",
            )


def _tenant(connection: BaseDatabaseWrapper, schema: str) -> Any:
    """As django-tenants has it; None for the shared schema. Where tenants are of several types, the router asks it for its own.
    Errors: those of Django's database layer."""
    if schema == schema_of_shared(connection.alias):
        return None
    model = import_string("django_tenants.utils.get_tenant_model")()
    return model.objects.using(connection.alias).filter(schema_name=schema).first()


@contextmanager
def _in_schema_of_django_tenants(connection: Any, schema: str, tenant: Any) -> Iterator[None]:
    before = connection.tenant, connection.include_public_schema
    if tenant:
        connection.set_tenant(tenant)
    else:
        connection.set_schema(schema)
    try:
        yield
    finally:
        connection.set_tenant(*before)


@contextmanager
def _from_its_beginning(connection: BaseDatabaseWrapper, schema: str) -> Iterator[None]:
    """The connection is made anew with that schema, so that it also has it after it was lost and made again."""
    before = connection.settings_dict
    quoted = connection.ops.quote_name(schema).replace("\\", r"\\").replace(" ", r"\ ")
    words = f"{before['OPTIONS'].get('options', '')} -c search_path={quoted}".strip()
    connection.close()
    options = {
        name: value for name, value in before["OPTIONS"].items() if name != "pool"
    }  # whose connections are shared
    connection.settings_dict = {**before, "OPTIONS": {**options, "options": words}, ONE_OF_MANY: schema}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = before
