"""What a script notes in our tables: when and by whom it was run, which is not when it was made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.db.models import Q, sql

from rollback_app.database import Dialect

from .holds import TABLE as HOLDS
from .kept import TABLE as KEPT
from .runs import TABLE as RUNS
from .tables import Table


def stamps(
    dialect: Dialect, run: int, hold: int, kept: Collection[int], copies: Collection[tuple[int, str]]
) -> Iterator[str]:
    """The statements that note it in the rows of these numbers; 0: there is none. copies: of what is kept in a table, the number
    and the table, whose rows are counted when the script is run."""
    who = [f"operator = {dialect.who}"] if dialect.who else []
    times = [f"started = {dialect.began}", f"finished = {dialect.now}", f"seconds = {dialect.seconds}"]
    if run:
        yield _update(dialect, RUNS, [run], *times, *who)
    if hold:
        yield _update(dialect, HOLDS, [hold], f"since = {dialect.now}", *who)
    if kept:
        yield _update(dialect, KEPT, sorted(kept), f"made = {dialect.now}")
    for number, table in copies:
        rows, left = dialect.quote("rows"), dialect.quote("left")
        count = f"(SELECT count(*) FROM {dialect.quote(table)})"
        yield _update(dialect, KEPT, [number], f"{rows} = {count}", f"{left} = {count}")


def _update(dialect: Dialect, table: str, numbers: Collection[int], *values: str) -> str:
    which = ", ".join(map(str, numbers))
    return f"UPDATE {dialect.quote(table)} SET {', '.join(values)} WHERE id IN ({which})"


class Written(Table):
    """A table of ours, what is done to which is written down, and not done. statements: what was. Others must write no rows
    until these are executed: each has the next number, as it is now."""

    def __init__(self, table: Table, dialect: Dialect, statements: list[str], taken: Collection[int] = ()) -> None:
        super().__init__(table.database, table.model)
        self._dialect, self._statements = dialect, statements
        self._changes = [dialect.composed(statement, params or None) for statement, params in self.changes()]
        self._number = max([0, *taken, *self.read(lambda row: int(row.id))])

    def add(self, **values: Any) -> int:
        self._statements += self._changes
        self._changes = []
        self._number += 1
        query: Any = sql.InsertQuery(self.model)
        query.insert_values(self.model._meta.concrete_fields, [self.model(id=self._number, **values)])
        ((statement, params),) = query.get_compiler(connection=self.database.connection).as_sql()
        self._statements.append(self._dialect.composed(statement, params))
        self._statements += self._dialect.numbered(self.name, self._number)
        return self._number

    def change(self, number: int, only: Mapping[str, Any], **values: Any) -> None:
        query: Any = sql.UpdateQuery(self.model)
        query.add_q(Q(pk=number, **only))
        query.add_update_values(values)
        self._statements.append(
            self._dialect.composed(*query.get_compiler(connection=self.database.connection).as_sql())
        )
