"""The answer: what a code could do with each table of a database, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum


class Answer(str, Enum):
    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


class Does(str, Enum):
    """What a code does with the rows of a table."""

    READS = "reads"
    INSERTS = "inserts"
    UPDATES = "updates"
    DELETES = "deletes"


@dataclass(frozen=True)
class Reason:
    """text: a sentence with the facts. answers: what it makes of the answers for its table. bridge: SQL that takes it away."""

    text: str
    answers: Mapping[Does, Answer]
    bridge: str = ""


def reason(text: str, answer: Answer, *does: Does, bridge: str = "") -> Reason:
    return Reason(text, dict.fromkeys(does, answer), bridge)


@dataclass(frozen=True)
class TableVerdict:
    table: str
    reasons: tuple[Reason, ...] = ()

    def answer(self, does: Does) -> Answer:
        return worst(reason.answers.get(does, Answer.YES) for reason in self.reasons)

    @property
    def worst(self) -> Answer:
        return worst(map(self.answer, Does))

    @property
    def because(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(reason.text for reason in self.reasons))

    @property
    def bridge(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(reason.bridge for reason in self.reasons if reason.bridge))


class Outcome(str, Enum):
    RUNS = "runs"
    WITH_CARE = "runs with care"
    FAILS = "fails"


_OUTCOMES = {Answer.YES: Outcome.RUNS, Answer.MAYBE: Outcome.WITH_CARE, Answer.NO: Outcome.FAILS}


@dataclass(frozen=True)
class Verdict:
    """Could a code run on a database as it is? It speaks of the schema only.

    tables: those that were looked at, by name. unknown: migrations that are applied, and that the code does not have. pending:
    those that it has, and that are not applied. look_at: migrations that may have changed rows, of which nothing is said.
    unclear: why nothing is known, if so.
    """

    tables: tuple[TableVerdict, ...] = ()
    unknown: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    look_at: tuple[str, ...] = field(default=())
    unclear: str = ""

    @property
    def outcome(self) -> Outcome:
        unclear = [Answer.MAYBE] if self.unclear else []
        return _OUTCOMES[worst([*unclear, *(table.worst for table in self.tables)])]


def worst(answers: Iterable[Answer]) -> Answer:
    return max(answers, key=list(Answer).index, default=Answer.YES)


def softened(found: Reason) -> Reason:
    """The same, said of what is not known for sure."""
    answers = {does: min(answer, Answer.MAYBE, key=list(Answer).index) for does, answer in found.answers.items()}
    return replace(found, answers=answers)
