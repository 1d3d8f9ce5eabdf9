"""What to do about a database's error. The reader sees the database's own words beside this."""

from __future__ import annotations

from dataclasses import dataclass

INTERRUPTED = "If you still want this rollback, {again}."
TRACEBACK = "--traceback shows where the code failed. Fix the code, or the rows that it read, then {again}."
ENDED = "Remove what ends the transaction, or give up all-or-nothing with --step-by-step, then {again}."
DURABLE = (
    "The code wants a transaction of its own (durable=True). With atomic = False in its migration, --step-by-step gives it"
    " one."
)
UNKNOWN = "Fix the problem named above, then {again}."


@dataclass(frozen=True)
class Kind:
    """A kind of error, recognised by the beginning of its SQLSTATE (PostgreSQL), its number (MariaDB, MySQL) or its text (SQLite,
    drivers). words: what to do about it; {again} stands for running the command again."""

    words: str
    states: tuple[str, ...]
    numbers: tuple[int, ...]
    texts: tuple[str, ...]


# https://www.postgresql.org/docs/current/errcodes-appendix.html, https://mariadb.com/docs/server/reference/error-codes,
# https://www.sqlite.org/rescode.html
KINDS = (
    Kind(
        "Somebody else held a lock for longer than --lock-timeout. Wait until they are done, then {again}.",
        ("55P03",),
        (1205,),
        ("database is locked", "database table is locked"),
    ),
    Kind(
        "The statement took longer than --statement-timeout allows, or somebody cancelled it. Allow more time, then {again}.",
        ("57014",),
        (1969, 3024),
        ("interrupted",),
    ),
    Kind(
        "Rows in the table violate a constraint. Fix the rows listed above, then {again}.",
        ("23",),
        (1048, 1062, 1216, 1217, 1451, 1452, 1557, 1761, 4025, 3819),
        ("constraint failed",),
    ),
    Kind(
        "The database user has no right to do this. Grant it, or connect as the owner of the table, then {again}.",
        ("42501",),
        (1044, 1142, 1143, 1227),
        ("readonly database",),
    ),
    Kind(
        "The disk of the database is full. Free some space, then {again}.",
        ("53100",),
        (1021, 1114),
        ("database or disk is full",),
    ),
    # Not in the tests: whoever provokes it takes all locks of the server.
    Kind(
        "The run locks more tables at once than the server has memory for. Raise its max_locks_per_transaction, or add"
        " --step-by-step, then {again}.",
        ("53200",),
        (),
        (),
    ),
    Kind(
        "The connection was lost. The server's log has the reason. When the server is back, {again}.",
        ("08", "57P0"),
        (1927, 2006, 2013),
        # from PostgreSQL's driver: a server that is gone sends no SQLSTATE
        ("connection is closed", "connection is lost", "closed the connection"),
    ),
)


def about_code(error: BaseException) -> str:
    """What to do when Python code raised."""
    return DURABLE if isinstance(error, RuntimeError) and "durable atomic block" in str(error) else TRACEBACK


def about(error: BaseException) -> str:
    """What to do; empty, if only the error's own words tell."""
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or ""
    number = error.args[0] if error.args else None
    for kind in KINDS:
        if state.startswith(kind.states) or number in kind.numbers or any(text in str(error) for text in kind.texts):
            return kind.words
    return ""
