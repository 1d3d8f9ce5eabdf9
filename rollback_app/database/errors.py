"""What a database says of an error, in its own words."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The database's own words, without the position and the repetition of the statement."""
    text = str(error)
    if len(error.args) == 2 and isinstance(error.args[0], int):  # of MariaDB and MySQL: number and text
        text = f"{error.args[1]} (error {error.args[0]})"
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)


def details(error: BaseException) -> list[str]:
    """What the server says besides, as PostgreSQL does: which rows, which view, and what it advises."""
    said = getattr(error.__cause__, "diag", None)
    found = {"Detail": getattr(said, "message_detail", None), "The server's hint": getattr(said, "message_hint", None)}
    return [f"{name}: {text}" for name, text in found.items() if text]


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error; empty, if there is none."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""  # of psycopg, and of psycopg2
