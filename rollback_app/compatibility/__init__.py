"""Could a code's models work on a schema as it is? Table by table: what it reads, inserts, updates, deletes, and why not.

`judge` compares what models ask of their tables with a live schema. Both are plain data: `database.schema` reads them.
"""

from __future__ import annotations

from .judge import judge
from .rules import Known, Place
from .schema import (
    Column,
    Constraint,
    Fills,
    ForeignKey,
    ModelTable,
    Reading,
    Relation,
    Rule,
    Schema,
    Trigger,
    Wanted,
)
from .touched import defaults_of, look_at, names_now, other_tables, touched
from .types import Type, of_words
from .verdict import Answer, Does, Outcome, Reason, TableVerdict, Verdict

__all__ = [
    "Answer",
    "Column",
    "Constraint",
    "Does",
    "Fills",
    "ForeignKey",
    "Known",
    "ModelTable",
    "Outcome",
    "Place",
    "Reading",
    "Reason",
    "Relation",
    "Rule",
    "Schema",
    "TableVerdict",
    "Trigger",
    "Type",
    "Verdict",
    "Wanted",
    "defaults_of",
    "judge",
    "look_at",
    "names_now",
    "of_words",
    "other_tables",
    "touched",
]
