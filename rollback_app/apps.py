"""How Django finds this app."""

import django
from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

OLDEST_DJANGO = (4, 2)


class RollbackConfig(AppConfig):
    name = "rollback_app"
    verbose_name = "Rollback of migrations"

    def ready(self) -> None:
        if django.VERSION < OLDEST_DJANGO:
            oldest = ".".join(map(str, OLDEST_DJANGO))
            raise ImproperlyConfigured(
                f"rollback_app needs Django {oldest} or newer. This is Django {django.get_version()}: "
                "use `python -m rollback_app legacyrollbacksql` there, which needs no project."
            )
        from . import checks, receivers  # noqa: PLC0415  # models cannot be made before the apps are ready

        receivers.connect()
        checks.connect()
