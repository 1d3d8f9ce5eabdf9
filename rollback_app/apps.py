"""How Django finds this app."""

from django.apps import AppConfig


class RollbackConfig(AppConfig):
    name = "rollback_app"
    verbose_name = "Rollback of migrations"
