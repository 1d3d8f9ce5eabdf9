"""The same command as rollbackmigrationsafter, under the name that Flagsmith's releases ship it."""

from rollback_app.management.commands.rollbackmigrationsafter import Command

__all__ = ["Command"]
