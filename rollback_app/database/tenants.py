"""The schema in which a connection is now, where a package keeps one of many there.

django-tenants (https://django-tenants.readthedocs.io) and django-pgschemas (https://django-pgschemas.readthedocs.io) set the
search path to that schema and `public`, anew for each cursor. So `public` is seen from all of them: its tables must not be taken
for those of the schema.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.tenants import TenantSchema

_TAKEN_BY_RUNSCHEMA = (("--exclude", "--exclude-migration"), ("--no-input", "--no-question"))


# In the settings of a connection that a fleet has put into a schema: its name.
ONE_OF_MANY = "ROLLBACK_SCHEMA"


def schema_of(connection: BaseDatabaseWrapper) -> TenantSchema | None:
    """None, where there is one database, and that is all."""
    packages = {base.__module__.split(".")[0] for base in type(connection).__mro__}
    if "django_tenants" in packages:
        return _of_django_tenants(connection)
    if "django_pgschemas" in packages:
        return _of_django_pgschemas()
    name = connection.settings_dict.get(ONE_OF_MANY)
    return TenantSchema(name, "migrate") if name else None


def _of_django_tenants(connection: Any) -> TenantSchema:
    name = connection.schema_name
    if name == getattr(settings, "PUBLIC_SCHEMA_NAME", "public"):
        return TenantSchema(name, "migrate_schemas --shared")
    option = f"--schema={shlex.quote(name)}"
    return TenantSchema(name, f"migrate_schemas {option}", "tenant_command", option)


def _of_django_pgschemas() -> TenantSchema:
    name = import_module("django_pgschemas.schema").get_current_schema().schema_name
    option = f"--schema={name}"
    if name == "public":
        return TenantSchema(name, f"migrateschema {option}")
    return TenantSchema(name, f"migrateschema {option}", "runschema", option, _TAKEN_BY_RUNSCHEMA)


def same_again(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Another connection to the same database and schema."""
    other: BaseDatabaseWrapper = connection.copy()
    schema = schema_of(connection)
    if schema and hasattr(other, "set_schema"):  # of django-tenants, whose connections begin in `public`
        other.set_schema(schema.name)
    return other


def in_own_schema(connection: BaseDatabaseWrapper, table: str) -> str:
    """The name of a table in quotes, for to_regclass: of the schema in which the connection is, where that is one of many."""
    quote = connection.ops.quote_name
    schema = schema_of(connection)
    return quote(table) if schema is None or '"."' in table else f"{quote(schema.name)}.{quote(table)}"


class InSchema:
    """A part of `Database`. schema: in which the connection was when this was made, where that is one of many."""

    schema: TenantSchema | None

    def spelled(self, text: str) -> str:
        """The text, and each command in it as it has to be typed to be about this schema."""
        return self.schema.spelled(text) if self.schema else text

    @property
    def setting(self) -> str:
        """See `safety.Inspector`."""
        return self.schema.setting if self.schema else ""

    def of_other_schemas(self, tables: Collection[str]) -> Sequence[str]:
        """See `safety.Inspector`."""
        return []

    def is_placing(self, sql: str) -> bool:
        """Is it a statement with which such a package tells a cursor where it is, and nothing else?"""
        return self.schema is not None and sql.startswith(("SET search_path = ", "SHOW search_path")) and ";" not in sql


# The tables, views and sequences of a schema, and temporary ones. The server has no index of a schema's tables, but keeps that
# they need it: so this takes as long with one schema as with thousands. current_schema() is the name of the first of the search
# path that is there. As an array, since else the server would rather read its whole catalog.
_HERE = """ARRAY(SELECT objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND classid = 'pg_class'::regclass
    AND refobjid IN ((SELECT oid FROM pg_namespace WHERE nspname = current_schema()), pg_my_temp_schema()))"""


def own_alone(connection: BaseDatabaseWrapper, relation: str) -> str:
    """A condition, to follow others, that leaves out what can be seen and is not of the connection's own schema, nor temporary.
    Nothing, where that schema is not one of many. relation: the column with the number of the table or view."""
    return "" if schema_of(connection) is None else f" AND {relation} = ANY ({_HERE})"
