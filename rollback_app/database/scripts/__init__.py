"""What an SQL script needs besides the statements of the run itself, for the program that the database comes with.

Values are composed into statements by the driver, or quoted by the database.
"""

from rollback_app.database.base import Database

from .base import Condition, Dialect, Numbers
from .mysql import MySQLDialect
from .postgresql import PostgreSQLDialect
from .sqlite import SQLiteDialect

__all__ = ["Condition", "Dialect", "Numbers", "dialect"]

_DIALECTS: dict[str, type[Dialect]] = {
    "postgresql": PostgreSQLDialect,
    "sqlite": SQLiteDialect,
    "mysql": MySQLDialect,
}


def dialect(database: Database) -> Dialect:
    """Scripts for this database."""
    return _DIALECTS[database.connection.vendor](database)
