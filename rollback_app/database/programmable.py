"""What recording views, functions and triggers, and bringing them back, asks of a database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from rollback_app.safety import Defined


class Programmable:
    """A part of `Database`."""

    connection: BaseDatabaseWrapper

    @abstractmethod
    def defined(self) -> Sequence[Defined]:
        """The views, materialized views, functions, procedures and triggers of the schema, without those of extensions; mostly
        what others need comes before these."""

    @abstractmethod
    def table_definitions(self, names: Collection[str]) -> Mapping[str, str]:
        """The SQL that makes each of these tables, with its constraints, indexes and triggers. Those that are not there are left
        out."""

    @property
    def replaces_objects(self) -> bool:
        """Does a definition replace an object of the same name?"""
        return False

    def with_users(self, objects: Collection[str]) -> Collection[str]:
        """These objects, and those that need them and would keep them from being dropped; all as "view name"."""
        return objects

    def drop(self, each: Defined) -> None:
        """Errors: those of Django's database layer."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"DROP {each.kind.upper()} {self._in_a_statement(each)}")

    def _in_a_statement(self, each: Defined) -> str:
        quote = str(self.connection.ops.quote_name(""))[0]
        return (
            f"{quote}{each.name.replace(quote, quote * 2)}{quote}"  # Django's own takes a name with quotes to be quoted
        )
