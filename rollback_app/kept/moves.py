"""The SQL that moves the rows of an entry back: into its table, or its column; and what is in the way of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollback_app.bookkeeping import table_of
from rollback_app.database import (
    WHY,
    Database,
    Reference,
    Shape,
    cast,
    default,
    inserting,
    nowhere,
    parameter,
    references,
    same,
    updating,
)
from rollback_app.safety import Kept, KeptKind

from .copies import BECAME

FieldOf = Callable[[str, str], Any]


@dataclass(frozen=True)
class Obstacle:
    """condition: of the rows of a kept table, k, that cannot go back. why: the reason, in words."""

    condition: str
    why: str
    params: Sequence[Any] = ()


@dataclass(frozen=True)
class Statement:
    sql: str
    params: Sequence[Any] = ()


class Move(ABC):
    """An entry on the way to its table, `live`. wins: does what was kept win over what is there? field_of: the field that the
    code has for a table and a column, or None."""

    def __init__(self, database: Database, entry: Kept, live: Shape, *, wins: bool, field_of: FieldOf) -> None:
        self.database, self.entry, self.live, self.wins = database, entry, live, wins
        self._connection, self._field_of = database.connection, field_of
        self.table, self.source = self._quote(entry.table), self._quote(table_of(entry.number))
        self._types = dict(entry.columns)
        self._casts = {
            name: cast(self._connection, self.source, name, self._types[name], column.type)
            for name in [*self.names, *self.key]
            if (column := live.column(name))
        }

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The columns that are written."""

    @property
    @abstractmethod
    def key(self) -> Sequence[str]:
        """The columns that tell which row is which."""

    @abstractmethod
    def statements(self, only: str, params: Sequence[Any] = ()) -> list[Statement]:
        """What moves the rows of k for which this condition holds, each of them once."""

    @abstractmethod
    def _own_obstacles(self) -> Iterator[Obstacle]:
        """What is in the way of rows, besides values that the columns cannot take."""

    def obstacles(self, beside: Mapping[str, Move], *, marked: bool = False) -> list[Obstacle]:
        """beside: what goes back in the same transaction, by table. marked: of that, only rows that have no reason to stay."""
        return [
            *self._own_obstacles(),
            *self._values(),
            *self._pointing(beside, "q." + WHY + " IS NULL" if marked else "1 = 1"),
        ]

    def references(self) -> list[Reference]:
        """The foreign keys of the columns that are written."""
        found = references(self._connection, self.entry.table)
        return [each for each in found if set(each.columns) <= set(self.names)]

    def _values(self) -> Iterator[Obstacle]:
        for name in self.names:
            column = self.live.column(name)
            if column and column.required:
                yield Obstacle(f"k.{self._quote(name)} IS NULL", f"{name} takes no null")
            if self._casts[name].lost:
                yield Obstacle(self._casts[name].lost, self._casts[name].why)

    def _pointing(self, beside: Mapping[str, Move], counts: str) -> Iterator[Obstacle]:
        for reference in self.references():
            values = [self._casts[name].expression for name in reference.columns]
            targets = [self._quote(name) for name in reference.targets]
            match = " AND ".join(f"p.{target} = {value}" for target, value in zip(targets, values, strict=True))
            conditions = [f"{value} IS NOT NULL" for value in values]
            conditions.append(f"NOT EXISTS (SELECT 1 FROM {self._quote(reference.table)} p WHERE {match})")
            if other := beside.get(reference.table):
                conditions.append(nowhere(self._connection, values, other.source, targets, counts))
            yield Obstacle(
                " AND ".join(conditions), f"{', '.join(reference.columns)} points to no row of {reference.table}"
            )

    def _matching(self) -> str:
        """The condition that t, of the table, is the row of k."""
        return " AND ".join(f"t.{self._quote(name)} = {self._casts[name].expression}" for name in self.key)

    def _there(self, condition: str = "1 = 1") -> str:
        return f"EXISTS (SELECT 1 FROM {self.table} t WHERE {self._matching()} AND {condition})"

    def _quote(self, name: str) -> str:
        return str(self._connection.ops.quote_name(name))


class RowsMove(Move):
    """The rows of a table."""

    @property
    def names(self) -> Sequence[str]:
        return [name for name in dict(self.entry.columns) if name in self.live.stored]

    @property
    def key(self) -> Sequence[str]:
        return self.live.key if set(self.live.key) <= set(self.names) else ()

    @property
    def left_out(self) -> list[str]:
        """The kept columns that the table does not have."""
        return [name for name, _ in self.entry.columns if self.live.column(name) is None]

    def statements(self, only: str, params: Sequence[Any] = ()) -> list[Statement]:
        found = []
        # Where there are none, the server need not look for each, which it may do by reading again all that it has just inserted.
        if self.key and self.wins and self._has_rows():
            changed = [name for name in self.names if name not in self.key] or self.key
            values = {self._quote(name): self._casts[name].expression for name in changed}
            where = f"{self._matching()} AND {only}"
            found.append(Statement(updating(self._connection, self.table, self.source, values, where), params))
            only = f"{only} AND NOT {self._there()}"
        new = {name: value for name in self._new() if (value := self._given(name)) is not None}
        columns = [self._quote(name) for name in [*self.names, *new]]
        listed = [self._casts[name].expression for name in self.names]
        # With its type, which a server does not know of a parameter.
        listed += [self._placeholder(name) for name in new]
        select = f"SELECT {', '.join(listed)} FROM {self.source} k WHERE {only}"
        # Rows that are there already were changed before.
        found.append(Statement(inserting(self._connection, self.table, columns, select), [*new.values(), *params]))
        return found

    def _own_obstacles(self) -> Iterator[Obstacle]:
        if self.key and not self.wins:
            yield Obstacle(self._there(), "a row with the same key is there")
        for name in self._new():
            column = self.live.column(name)
            if column and column.required and self._given(name) is None:
                yield Obstacle("1 = 1", f"{name} is new, takes no null and has no default")
        for name in () if self.key else self.left_out:
            yield Obstacle(f"k.{self._quote(name)} IS NOT NULL", f"column {name} is not there")

    def _has_rows(self) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {self.table})")
            return bool(cursor.fetchone()[0])

    def _new(self) -> list[str]:
        return [name for name in self.live.stored if name not in self._types]

    def _given(self, name: str) -> Any:
        return default(self._connection, self._field_of(self.entry.table, name))

    def _placeholder(self, name: str) -> str:
        return parameter(self._connection, self.live.column(name))


class ColumnMove(Move):
    """The values of a column."""

    @property
    def names(self) -> Sequence[str]:
        return [self.entry.column]

    @property
    def key(self) -> Sequence[str]:
        return self.entry.key

    def statements(self, only: str, params: Sequence[Any] = ()) -> list[Statement]:
        values = {self._quote(self.entry.column): self._casts[self.entry.column].expression}
        where = f"{self._matching()} AND {only}"
        return [Statement(updating(self._connection, self.table, self.source, values, where), params)]

    def _own_obstacles(self) -> Iterator[Obstacle]:
        yield Obstacle(f"NOT {self._there()}", "the row is not there")
        if not self.wins:
            yield self._guard()

    def _guard(self) -> Obstacle:
        """The rows that hold something else than what was kept, and not only what adding the column gives."""
        column = self.entry.column
        own, params = self.database.own_value(column, self._field_of(self.entry.table, column))
        kept = same(self._connection, f"t.{self._quote(column)}", self._casts[column].expression)
        return Obstacle(self._there(f"{own} AND NOT ({kept})"), "the row holds a value of its own", params)


class ValuesMove(ColumnMove):
    """Values that a change of a column has cut or rounded: the kept table has beside them what they have become."""

    def _guard(self) -> Obstacle:
        column = self.live.column(self.entry.column)
        kind = column.type if column else ""
        became = cast(self._connection, self.source, BECAME, self._types[self.entry.column], kind).expression
        still = same(self._connection, f"t.{self._quote(self.entry.column)}", became)
        return Obstacle(self._there(f"NOT ({still})"), "the row holds another value by now")


MOVES: Mapping[KeptKind, type[Move]] = {
    KeptKind.TABLE: RowsMove,
    KeptKind.COLUMN: ColumnMove,
    KeptKind.VALUES: ValuesMove,
}
