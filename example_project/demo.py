"""`python -m example_project.demo`: the shop goes through three deployments, back before the last, and forward again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from zoneinfo import ZoneInfo

import django

ROOT = Path(__file__).resolve().parent.parent


def say(text: str) -> None:
    print("\n" + textwrap.fill(text, 80, initial_indent="# ", subsequent_indent="# "), flush=True)


def manage(line: str) -> int:
    """Run a line of the shell that begins with `python manage.py`, and show it."""
    print(f"$ {line}", flush=True)
    return subprocess.run(
        [sys.executable, *shlex.split(line)[1:]], cwd=ROOT, check=False, stderr=subprocess.STDOUT
    ).returncode


def show_database() -> None:
    """Each table of the shop with its columns, and the orders and users as they are."""
    from django.db import connection

    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            if table.partition("_")[0] in ("accounts", "catalog", "orders") and not table.startswith("accounts_user_"):
                columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
                shown = [
                    name for name in columns if table != "accounts_user" or name in ("id", "username", "loyalty_points")
                ]
                cursor.execute(f"SELECT {', '.join(map(connection.ops.quote_name, shown))} FROM {table} ORDER BY 1")
                print(f"  {table} ({', '.join(shown)})")
                for row in cursor.fetchall():
                    print(f"      {', '.join(str(value) for value in row)}")
    connection.close()


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
    os.environ.pop("EXAMPLE_DATABASE_URL", None)  # a demonstration needs nothing, and must not touch a server
    django.setup()
    from django.conf import settings

    from example_project import history

    Path(settings.DATABASES["default"]["NAME"]).unlink(missing_ok=True)
    say("A small shop: three releases are deployed, with Django's own migrate, and people use it in between.")
    history.build()
    zone = ZoneInfo(settings.TIME_ZONE)  # that of all that follows
    for deployment in history.DEPLOYMENTS:
        print(f"  {deployment.release} on {deployment.at.astimezone(zone):%d %B %Y, %H:%M} {zone.key}")
    say(
        "The database after release 2.2. New in it: order notes, invoices, loyalty points, lower-case states of orders."
    )
    show_database()
    say("2.2 went wrong. What would a rollback to before it do? This only looks.")
    manage('python manage.py rollbackmigrationsafter "2024-05-15 11:00" --plan')
    say("It keeps what it drops, so nothing is lost, and it needs no consent. We run it.")
    manage('python manage.py rollbackmigrationsafter "2024-05-15 11:00" --no-input')
    say("The database is what it was under 2.1: the columns and the table are gone, and the orders are OPEN again.")
    show_database()
    say("2.1 runs again, and Grace orders tea. What has been kept meanwhile?")
    history.order_of_2_1()
    manage("python manage.py showkept")
    say(
        "The rollback holds migrate, so that no container of 2.2 undoes it. Once 2.2 is fixed, the hold is lifted, and Django's "
        "own migrate puts back what was kept."
    )
    manage("python manage.py migratehold --off")
    manage("python manage.py migrate")
    say(
        "The database as if nobody had ever rolled back: notes, the invoice and the loyalty points are there, and so is "
        "the order that 2.1 took."
    )
    show_database()
    say("Without keeping it would be a loss, and without a terminal nothing is lost without consent: exit status 3.")
    status = manage('python manage.py rollbackmigrationsafter "2024-05-15 11:00" --no-keep --no-input -v 0')
    print(f"(exit status {status})")
    say(
        "One deployment further back is a migration that cannot be undone. The command finds it before it changes anything."
    )
    status = manage('python manage.py rollbackmigrationsafter "2024-04-08 11:00" --plan')
    print(f"(exit status {status})")
    say("What to try next, on the same database (example_project/demo.sqlite3):")
    print("  python manage.py showdeployments")
    print('  python manage.py rollbackmigrationsafter "2024-05-15" --format json --plan')
    print("  python manage.py rollbackmigrationsafter --help")
    print("Use the Python of .venv (.venv/bin/python). README.md tells the rest.")


if __name__ == "__main__":
    main()
