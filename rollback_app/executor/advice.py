"""What to do about an error of a database: the words for a tired stranger, who sees its own words beside them."""

from __future__ import annotations

from dataclasses import dataclass

INTERRUPTED = "Decide whether you still want it."
TRACEBACK = "See where in the code that was with --traceback; mend it, or what it met in the rows."


@dataclass(frozen=True)
class Kind:
    """A kind of error, told by SQLSTATE's beginning (PostgreSQL), number (MariaDB, MySQL) or text (SQLite, drivers)."""

    words: str
    states: tuple[str, ...]
    numbers: tuple[int, ...]
    texts: tuple[str, ...]


# https://www.postgresql.org/docs/current/errcodes-appendix.html, https://mariadb.com/docs/server/reference/error-codes,
# https://www.sqlite.org/rescode.html
KINDS = (
    Kind(
        "Somebody else held what it needs for longer than --lock-timeout. Wait until they are done.",
        ("55P03",),
        (1205,),
        ("database is locked", "database table is locked"),
    ),
    Kind(
        "It took longer than --statement-timeout allows, or somebody cancelled it. Allow more.",
        ("57014",),
        (1969, 3024),
        ("interrupted",),
    ),
    Kind(
        "Rows, or a rule that the database keeps, stand against it. Change those.",
        ("23",),
        (1048, 1062, 1216, 1217, 1451, 1452, 1557, 1761, 4025, 3819),
        ("constraint failed",),
    ),
    Kind(
        "The user of this connection may not do that. Give it the right, or connect as the owner of the table.",
        ("42501",),
        (1044, 1142, 1143, 1227),
        ("readonly database",),
    ),
    Kind(
        "There is no room left. Make some on the disk of the database.",
        ("53100",),
        (1021, 1114),
        ("database or disk is full",),
    ),
    # Not in the tests: whoever provokes it takes the locks of all others on the server.
    Kind(
        "The run locks more tables at once than the server has room for. Raise its max_locks_per_transaction, or add"
        " --step-by-step.",
        ("53200",),
        (),
        (),
    ),
    Kind(
        "The connection is gone. Look into the server's log for the reason.",
        ("08", "57P0"),
        (1927, 2006, 2013),
        # PostgreSQL's driver, which has no SQLSTATE from a server that is gone
        ("connection is closed", "connection is lost", "closed the connection"),
    ),
)


def about(error: BaseException) -> str:
    """What to mend; empty, if only the error's own words tell."""
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or ""
    number = error.args[0] if error.args else None
    for kind in KINDS:
        if state.startswith(kind.states) or number in kind.numbers or any(text in str(error) for text in kind.texts):
            return kind.words
    return ""
