"""What undoing one operation does, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.db.models import Field

from .requirements import Requirement


def is_concurrent(kind: type) -> bool:
    """Does this kind of operation refuse to run in a transaction (AddIndexConcurrently and its kin)?

    Found by name: importing django.contrib.postgres needs psycopg, and a project with such an operation has imported it.
    """
    return any(
        (base.__module__, base.__name__) == ("django.contrib.postgres.operations", "NotInTransactionMixin")
        for base in kind.__mro__
    )


class Kind(str, Enum):
    """What kind of thing undoing an operation is."""

    DROPS_TABLE = "drops table"
    DROPS_COLUMN = "drops column"
    MAKES = "makes"
    CHANGES = "changes"
    CODE = "runs code"
    RUNS_SQL = "runs SQL"
    NOOP = "reverses nothing"
    NO_EFFECT = "no effect"
    UNKNOWN = "unknown"
    IRREVERSIBLE = "cannot be undone"


@dataclass(frozen=True)
class Effect:
    """What undoing one operation does.

    words: for a person, a verb first. table, column, field: what is dropped, made or renamed, as the database names it before.
    renamed_to: the name that the table or column has afterwards, if it changes. index: the operation's place in its migration,
    from 0. twin_waits: what waits for the plain twin of a concurrent operation, as "writes to a_t". ends_transaction,
    refuses_transaction: the words of an SQL statement that does so. touches: the table that is changed in another way.
    requirements: what must be true before, or it fails. frees: the name of the index or constraint that is dropped. remakes:
    does SQLite make the table anew, of the columns that the model has? sql: what RunSQL runs. own: is it the project's own
    reverse, for an operation that has none?
    """

    kind: Kind
    words: str
    index: int
    table: str = ""
    column: str = ""
    touches: str = ""
    frees: str = ""
    requirements: tuple[Requirement, ...] = field(default=(), compare=False, repr=False)
    field: Field[Any, Any] | None = field(default=None, compare=False, repr=False)
    renamed_to: str = ""
    twin_waits: str = ""
    ends_transaction: str = ""
    refuses_transaction: str = ""
    remakes: bool = False
    sql: str = ""
    own: bool = False
