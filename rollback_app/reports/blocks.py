"""The parts of a document, for formats that have headings and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


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
    """Lines to paste: into a shell, or in another language."""

    lines: Sequence[str]
    language: Literal["console", "sql"] = "console"


@dataclass(frozen=True)
class Deployments:
    """The deployments around a moment, oldest first. cut: the moment, in words. before, after: how many older ones that stay, and
    newer ones that are undone, are left out. A history without a moment has no cut, and its table begins with the newest."""

    cut: str
    shown: Sequence[DeploymentBlock]
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class DeploymentBlock:
    """when: in the zone of the plan. release: empty if it is not known. number: of its migrations. what: the number for each
    app. plan: the address of what a rollback to before it would do, for a page that has such addresses."""

    fate: Fate
    when: str
    release: str
    number: int
    what: str
    plan: str = ""


@dataclass(frozen=True)
class Steps:
    """The steps of a plan, in the order of the run."""

    shown: Sequence[StepBlock]


@dataclass(frozen=True)
class StepBlock:
    """One step. name: of the migration. does: what undoing it does, and what is kept and lost of it. needs: the numbers of the
    steps that have to be undone before it, since they depend on it. mark: the worst of it. seconds: in a rehearsal."""

    number: int
    app: str
    name: str
    applied: str
    does: Sequence[str]
    needs: Sequence[int] = ()
    mark: Mark = "plain"
    seconds: str = ""


Fate = Literal["kept", "undone", "cut in two", "applied", "rolled back"]
Mark = Literal["blocked", "lost", "kept", "code", "plain"]

Block = Heading | Paragraph | Listing | Table | Shell | Deployments | Steps
