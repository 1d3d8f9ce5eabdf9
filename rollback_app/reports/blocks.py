"""The parts of a document, for formats that have headings and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Name:
    """A name or a command, which stands as it is. A text is a sequence of texts and names."""

    text: str


Text = Sequence["str | Name"]


@dataclass(frozen=True)
class Heading:
    text: Text
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: Text


@dataclass(frozen=True)
class Listing:
    """Several texts below each other. to_tick: each with a box to tick."""

    items: Sequence[Text]
    to_tick: bool = False


@dataclass(frozen=True)
class Table:
    titles: Sequence[str]
    rows: Sequence[Sequence[Text]]


@dataclass(frozen=True)
class Shell:
    """Lines to type."""

    lines: Sequence[str]


Block = Heading | Paragraph | Listing | Table | Shell
