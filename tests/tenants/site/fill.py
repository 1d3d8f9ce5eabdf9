"""Makes customers: `python fill.py NAME…`. The first one migrates, in two deployments, of 1 and of 6 May 2024 at 10:00; for
each of the others the same statements run in its schema, which takes milliseconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from customers.models import Client  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

EARLY, LATE = "2024-05-01 10:00+00", "2024-05-06 10:00+00"
BEFORE = {
    "contenttypes": "0002",
    "shop": "0002",
    "notes": "0001",
    "customers": "0001",
}  # where the first deployment ends
_CHANGES = ("CREATE", "ALTER", "INSERT", "UPDATE", "DELETE", "COMMENT", "SET CONSTRAINTS")
_OLD_ROWS = """
INSERT INTO notes_note (text) SELECT 'note of ' || current_schema();
"""
_OLD_ROWS_OF_A_CUSTOMER = """
INSERT INTO shop_product (name, currency_id)
SELECT thing || ' of ' || current_schema(), 1 FROM unnest('{lamp,chair}'::text[]) thing;
"""
_NEW_ROWS = """
UPDATE notes_note SET pinned = 'yes';
"""
_NEW_ROWS_OF_A_CUSTOMER = """
UPDATE shop_product SET price = 120 WHERE name LIKE 'lamp%';
INSERT INTO shop_review (text, product_id) SELECT 'review of ' || name, id FROM shop_product;
"""


def migrate(schema: str, *args: str) -> None:
    if settings.KIND == "django_tenants":
        where = {"shared": True} if schema == "public" else {"schema_name": schema}
        call_command("migrate_schemas", *args, **where, verbosity=0)
    else:
        call_command("migrateschema", *args, schemas=[schema], verbosity=0)


@contextmanager
def inside(schema: str) -> Iterator[None]:
    if settings.KIND == "django_tenants":
        connection.set_schema(schema)
        yield
        connection.set_schema_to_public()
    else:
        from django_pgschemas.schema import Schema

        with Schema.create(schema):
            yield


def run(schema: str, *statements: str) -> None:
    with inside(schema), connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)


def deploy(schema: str) -> None:
    """Both deployments, with rows that were written after each of them."""
    of_a_customer = schema != "public"
    for app, name in BEFORE.items():
        migrate(schema, app, name)
    run(schema, _OLD_ROWS + _OLD_ROWS_OF_A_CUSTOMER * of_a_customer)
    if schema == "public":
        run(schema, "INSERT INTO customers_currency (code) VALUES ('USD')")
    run(schema, f"UPDATE django_migrations SET applied = '{EARLY}'::timestamptz + id * interval '1 ms'")
    migrate(schema)
    run(schema, _NEW_ROWS + _NEW_ROWS_OF_A_CUSTOMER * of_a_customer)
    late = (
        f"UPDATE django_migrations SET applied = '{LATE}'::timestamptz + id * interval '1 ms' WHERE applied > '{LATE}'"
    )
    run(schema, late)


class Statements(list[str]):
    """Those that change something."""

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        text = str(sql)
        if text.lstrip().upper().startswith(_CHANGES):
            cursor = connection.connection.cursor()
            self.append(connection.ops.compose_sql(text, params) if params else text)
            cursor.close()
        return execute(sql, params, many, context)


def main(names: list[str]) -> None:
    if "customers_client" not in connection.introspection.table_names():
        deploy("public")
    Client.objects.bulk_create([Client(schema_name=name, name=name.title()) for name in names])
    statements = Statements()
    for number, name in enumerate(names):
        run("public", f"CREATE SCHEMA {connection.ops.quote_name(name)}")
        if number == 0:
            with connection.execute_wrapper(statements):
                deploy(name)
        else:
            run(name, ";\n".join(statement.rstrip("; \n") for statement in statements))


main(sys.argv[1:])
