"""What a run keeps of what it drops, so that going forward again brings it back."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from rollback_app.errors import shown
from rollback_app.planner import Effect, Requirement, Step, TableChange

from .counts import Count, Violations
from .objects import Object

KEPT_PREFIX = "rollback_kept_"


def table_of(number: int) -> str:
    """The table that holds what is kept under this number."""
    return f"{KEPT_PREFIX}{number}"


class KeptKind(str, Enum):
    """What is kept: a whole table; a column, as key and value; the values of a column that a change cuts or rounds, with the
    row's key; the definition of an object that no migration knows."""

    TABLE = "table"
    COLUMN = "column"
    VALUES = "values"
    OBJECT = "object"


@dataclass(frozen=True)
class Keeping:
    """What the user wants to be kept. wanted: anything at all? at_most: bytes for a run. tables: those to keep besides, by
    name."""

    wanted: bool = True
    at_most: int = 1_000_000_000
    tables: tuple[str, ...] = ()


NOT_KEEPING = Keeping(wanted=False)


@dataclass(frozen=True)
class ToKeep:
    """Something that a run will keep before its first step.

    about, words: the migration whose undoing drops it, and how the plan says so; empty for a table that the user named. table,
    column: as they are called before the run. name, definition: of an object; name also of a table that an object makes again.
    rows, bytes: as far as they are known; those that there are when the run keeps it count. field: the field of a column, which
    knows what adding the column gives. everything: keep also the rows that have just that, since code may fill the column on
    the way forward. condition: of the rows whose values are changed, in SQL; empty if only looking at each could tell, so that
    all that have a value are kept. only_losses: keep no row that holds only what nobody would miss. put_back: will the next
    `migrate` put it back by itself?
    """

    kind: KeptKind
    about: str
    table: str
    column: str = ""
    words: str = ""
    name: str = ""
    definition: str = ""
    rows: Count | None = None
    bytes: int | None = None
    condition: str = field(default="", compare=False, repr=False)
    field: Any = field(default=None, compare=False, repr=False)
    everything: bool = False
    only_losses: bool = False
    put_back: bool = True

    @property
    def source(self) -> str:
        return source(self.kind, self.table, self.column, self.name)


@dataclass(frozen=True)
class Drop:
    """A table or a column that a step drops. table, column: as they are called before the run. count: rows of the table, or
    those with a value in the column; None if there is none, or nothing was counted. keep: what the run keeps of it. why_not:
    why it keeps nothing, in words; empty if nobody wants it to.
    way_out: what to type to keep or to lose it."""

    step: Step
    effect: Effect
    table: str
    column: str
    count: Count | None
    keep: ToKeep | None = None
    why_not: str = ""
    way_out: str = ""


@dataclass(frozen=True)
class Change:
    """Values that a step cuts or rounds. violations: which. keep: what the run keeps of them. kept_with: are they kept anyway,
    with a column that the plan drops later? why_not, way_out: as of Drop."""

    step: Step
    requirement: Requirement
    violations: Violations
    keep: ToKeep | None = None
    kept_with: bool = False
    why_not: str = ""
    way_out: str = ""

    @property
    def is_kept(self) -> bool:
        return bool(self.keep) or self.kept_with


@dataclass(frozen=True)
class Hanging:
    """An object that no migration knows, and the first change of the plan that reaches it. keep: what the run keeps of it: its
    definition, and the rows of a table. why_not: why it keeps nothing, in words; empty if nobody wants it to. way_out: what to do
    about that."""

    change: TableChange
    object: Object
    keep: tuple[ToKeep, ...] = ()
    why_not: str = ""
    way_out: str = ""


class KeptState(str, Enum):
    """COPIED: the run has not dropped it yet, or broke off before it could; it counts as kept once its source is gone
    (`Catalogue.entries`)."""

    COPIED = "copied"
    KEPT = "kept"
    PARTLY = "partly"
    PUT_BACK = "put back"
    DROPPED = "dropped"


@dataclass(frozen=True)
class Kept:
    """An entry of the catalogue of kept data.

    number: of the entry, and of its table. run: of the journal, 0 if the run was not noted. columns: (name, type) of the kept
    table, the type as the database spells it. rows, bytes: when it was kept. made: UTC. left: rows that are still kept. why:
    (rows, reason) for those that could not be put back. tried: was it put back once by itself, as far as it could be? about: the
    migration whose undoing drops the source. by_migrate: has a `migrate` kept it, which it dropped, so that a rollback puts it
    back? Then about is the migration whose applying drops it.

    Of a run that is not one transaction: names: (table, column), as the
    source is called in the course of the run. fingerprint: of the source when it was copied, or when the run itself had last
    changed it. changing: has a step begun that may change it?
    """

    number: int
    run: int
    kind: KeptKind
    table: str
    column: str
    name: str
    definition: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    rows: int
    bytes: int | None
    made: datetime
    state: KeptState
    left: int
    why: tuple[tuple[int, str], ...] = ()
    put_back: bool = True
    tried: bool = False
    about: str = ""
    names: tuple[tuple[str, str], ...] = ()
    fingerprint: str = ""
    changing: bool = False
    by_migrate: bool = False

    @property
    def source(self) -> str:
        return source(self.kind, self.table, self.column, self.name)

    @property
    def half_made(self) -> bool:
        """Did a run die while it made this copy? Nothing was dropped then."""
        return self.state is KeptState.COPIED and not self.rows and self.kind is not KeptKind.OBJECT

    @property
    def open(self) -> bool:
        """Is anything of it still kept?"""
        return self.state in (KeptState.COPIED, KeptState.KEPT, KeptState.PARTLY)


@dataclass(frozen=True)
class KeptData:
    """What is kept in one database.

    title: what to call it. entries: newest first. without_entry: the numbers of tables of kept rows that the catalogue does
    not know. without_table: those of entries whose table somebody has dropped; such an entry counts as dropped. now: when
    this was looked at. setting: what stands before a statement that is shown to be pasted.
    """

    alias: str
    title: str
    entries: tuple[Kept, ...]
    without_entry: tuple[int, ...]
    without_table: frozenset[int]
    now: datetime
    setting: str = ""

    @property
    def numbers(self) -> set[int]:
        return {entry.number for entry in self.entries} | set(self.without_entry)

    def only(self, numbers: Collection[int]) -> KeptData:
        """The same, of these numbers alone."""
        return replace(
            self,
            entries=tuple(each for each in self.entries if each.number in numbers),
            without_entry=tuple(each for each in self.without_entry if each in numbers),
        )


def source(kind: KeptKind, table: str, column: str, name: str) -> str:
    """`table`, `table.column`, or the name of an object."""
    if kind is KeptKind.OBJECT:
        return name
    return f"{table}.{column}" if column else table


_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "kiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(B|kB|MB|GB|kiB|MiB|GiB)")


@dataclass(frozen=True)
class Size:
    """Bytes, as they are typed and shown: with B, kB, MB, GB (powers of 1000) or kiB, MiB, GiB (powers of 1024)."""

    bytes: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Errors: ValueError, with a sentence that says what is understood."""
        found = _SIZE.fullmatch(text)
        if text != "0" and not found:
            raise ValueError(f"'{shown(text)}' is not a size. Give one such as 10GB, 500MB or 0.")
        return cls(round(float(found[1]) * _UNITS[found[2]]) if found else 0)

    def __str__(self) -> str:
        unit, factor = next(
            (each for each in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)) if self.bytes >= each[1]), ("B", 1)
        )
        number = self.bytes / factor
        return f"{number:.0f} {unit}" if number >= 10 or factor == 1 else f"{number:.1f} {unit}".replace(".0 ", " ")
