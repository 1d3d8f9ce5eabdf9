"""`python -m example_project.page [PORT]`: the shop after three deployments and a rollback, and its admin with the page."""

from __future__ import annotations

import os
import secrets
import sys
from io import StringIO
from pathlib import Path

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.settings_page"
    os.environ.pop("EXAMPLE_DATABASE_URL", None)  # it must not touch a server
    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from example_project import history

    Path(settings.DATABASES["default"]["NAME"]).unlink(missing_ok=True)
    print("A small shop is made: three deployments, a rollback of the last one, and forward again.", flush=True)
    history.build(first=[("admin", "0003_logentry_add_action_flag_choices")])
    for deployment in history.DEPLOYMENTS:
        call_command("markrelease", deployment.release, at=f"{deployment.at:%Y-%m-%d} 23:59+00:00", stdout=StringIO())
    call_command("rollbackmigrationsafter", "2024-05-15 11:00", interactive=False, verbosity=0, reason="Checkout fails")
    call_command("migratehold", off=True, stdout=StringIO())
    call_command("migrate", verbosity=0)
    password = secrets.token_urlsafe(9)
    get_user_model().objects.create_superuser("admin", "admin@example.com", password)
    port = sys.argv[1] if len(sys.argv) > 1 else "8000"
    print(f'Open http://127.0.0.1:{port}/admin/rollbacks/ as "admin" with the password "{password}". Ctrl+C ends it.')
    sys.stdout.flush()
    # Without DEBUG, under which a rollback would leave no hold; so the files of the admin need to be asked for.
    call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, insecure_serving=True, verbosity=0)


if __name__ == "__main__":
    main()
