"""How Django finds this app."""

from django.apps import AppConfig

from . import checks


class RollbackConfig(AppConfig):
    name = "rollback_app"
    verbose_name = "Rollback of migrations"

    def ready(self) -> None:
        from . import receivers  # noqa: PLC0415  # it has a model, which cannot be made before the apps are ready

        receivers.connect()
        checks.connect()
