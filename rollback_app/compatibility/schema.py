"""A live schema, and what a code's models ask of it: plain data, as `database` reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from .types import Type


class Fills(str, Enum):
    """What gives a column its value where an INSERT names none. ALWAYS: a number, also where an INSERT names another."""

    NOTHING = "nothing"
    DEFAULT = "default"
    NUMBER = "number"
    ALWAYS = "always"
    GENERATED = "generated"


class Rule(str, Enum):
    """What a database may refuse rows for."""

    UNIQUE = "unique"
    CHECK = "check"
    EXCLUSION = "exclusion"


@dataclass(frozen=True)
class Column:
    """definition: as MariaDB and MySQL want it to let the column be empty."""

    name: str
    type: Type
    null: bool
    fills: Fills = Fills.NOTHING
    definition: str = ""


@dataclass(frozen=True)
class Constraint:
    """name: as the database has it. columns: those that it mentions. plain: is it about whole rows and bare columns, so that it
    can be known by its columns? nulls_distinct: does it let rows pass that hold a null?"""

    rule: Rule
    name: str
    columns: frozenset[str]
    plain: bool = True
    nulls_distinct: bool = True


@dataclass(frozen=True)
class Trigger:
    name: str
    events: frozenset[str]  # of INSERT, UPDATE, DELETE


@dataclass(frozen=True)
class ForeignKey:
    """on_delete: CASCADE, SET NULL, …; empty where the row that is pointed to cannot be deleted."""

    table: str
    columns: tuple[str, ...]
    target: str
    on_delete: str = ""


@dataclass(frozen=True)
class Relation:
    """A table, or what is in the place of one. kind: table, view, materialized view, foreign table. takes: the statements of
    INSERT, UPDATE and DELETE that a view may take."""

    name: str
    kind: str = "table"
    takes: frozenset[str] = frozenset()
    columns: Mapping[str, Column] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    triggers: tuple[Trigger, ...] = ()


def _grouped(pairs: Iterable[tuple[str, ForeignKey]]) -> Mapping[str, list[ForeignKey]]:
    found: dict[str, list[ForeignKey]] = {}
    for name, key in pairs:
        found.setdefault(name, []).append(key)
    return found


def _in_double_quotes(name: str) -> str:
    return f'"{name}"'


@dataclass(frozen=True)
class Schema:
    """What there is of the tables that were asked for. vendor: as Django calls it. foreign_keys: of them and to them. setting:
    what stands before a statement that is shown to be pasted."""

    vendor: str
    relations: Mapping[str, Relation]
    foreign_keys: tuple[ForeignKey, ...] = ()
    quote: Callable[[str], str] = _in_double_quotes
    setting: str = ""

    @cached_property
    def keys_of(self) -> Mapping[str, list[ForeignKey]]:
        """Foreign keys by their table."""
        return _grouped((key.table, key) for key in self.foreign_keys)

    @cached_property
    def keys_to(self) -> Mapping[str, list[ForeignKey]]:
        """Foreign keys by the table that they point to."""
        return _grouped((key.target, key) for key in self.foreign_keys)

    @property
    def enforces_types(self) -> bool:
        return self.vendor != "sqlite"


class Reading(str, Enum):
    """What Django's own conversion makes of the values of another type: those of the field, others, or an error."""

    SAME = "same"
    OTHER = "other"
    FAILS = "fails"


@dataclass(frozen=True)
class Wanted:
    """A column that a model has. null: may its field be empty? automatic: is it a key that the database numbers? generated:
    does the database compute it? db_default: does Django leave its value to the database? points_to: the table of the model
    that it points to; constraint: with a foreign key in the database. on_delete: what becomes of the rows that point to
    one that Django deletes: it deletes them too (CASCADE), empties the column (SET NULL), looks for them (DJANGO), leaves them to
    the database (DATABASE), or nobody looks (NOBODY). reads: what becomes of values of a type of this family."""

    column: str
    type: Type
    null: bool = False
    automatic: bool = False
    generated: bool = False
    db_default: bool = False
    primary_key: bool = False
    checked: bool = False
    points_to: str = ""
    constraint: bool = False
    on_delete: str = ""
    reads: Callable[[str], Reading] = lambda family: Reading.OTHER


@dataclass(frozen=True)
class ModelTable:
    """What a model asks of its table. unique: the sets of columns that it holds to be unique. constraints: the names of all that
    it knows. parents: the tables of the models that it inherits from. managed: do migrations make this table? problem: why
    nothing is known of the model."""

    label: str
    table: str
    columns: tuple[Wanted, ...] = ()
    unique: frozenset[frozenset[str]] = frozenset()
    constraints: frozenset[str] = frozenset()
    parents: tuple[str, ...] = ()
    managed: bool = True
    problem: str = ""
