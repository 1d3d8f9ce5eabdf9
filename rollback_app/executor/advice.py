"""What to do about a database's error. The reader sees the database's own words beside this."""

from __future__ import annotations

from dataclasses import dataclass

from rollback_app.database import sqlstate

INTERRUPTED = "If you still want this rollback, {again}."
TRACEBACK = "--traceback shows where the code failed. Fix the code, or the rows that it read, then {again}."
ENDED = "Remove what ends the transaction, or give up all-or-nothing with --step-by-step, then {again}."
NO_TRANSACTION = (
    "This cannot run inside the transaction of the whole run. With atomic = False in the migration, --step-by-step runs it"
    " outside of one."
)
DURABLE = (
    "The code wants a transaction of its own (durable=True). With atomic = False in its migration, --step-by-step gives it"
    " one."
)
GONE = (
    "Look at what unapplying these migrations does, or accept it and add --no-verify. Then {again}. A new plan names"
    " what would go."
)
UNKNOWN = "Fix the problem named above, then {again}."


@dataclass(frozen=True)
class Kind:
    """A kind of error, recognised by the beginning of its SQLSTATE (PostgreSQL), its number (MariaDB, MySQL) or its text (SQLite,
    drivers). words: what to do about it; {again} stands for running the command again, {step} for the migration."""

    words: str
    states: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()


# https://www.postgresql.org/docs/current/errcodes-appendix.html, https://mariadb.com/docs/server/reference/error-codes,
# https://www.sqlite.org/rescode.html. The first that fits counts.
KINDS = (
    Kind(
        "Somebody else held a lock for longer than --lock-timeout. Wait until they are done, then {again}.",
        ("55P03",),
        (1205, 3572),
        ("database is locked", "database table is locked", "database schema is locked"),
    ),
    Kind("Another transaction got in the way. When it is done, {again}.", ("40",), (1020, 1213)),
    Kind(
        "The statement took longer than --statement-timeout allows, or somebody cancelled it. Allow more time, then {again}.",
        ("57014",),
        (1317, 1969, 3024),
        ("interrupted",),
    ),
    Kind(
        "The code went on after a statement that had failed. Fix the code, or what made that statement fail, then {again}.",
        ("25P02",),
        (),
        ("can't execute queries until the end of the 'atomic' block",),
    ),
    Kind(
        "The server ended the transaction because it took longer than a timeout of the server. Raise that, then {again}.",
        ("25P03", "25P04"),
    ),
    Kind(
        "The database is read-only: a standby, or set so. Connect to the server that takes writes, or let this one take"
        " them, then {again}.",
        ("25006",),
        (1290, 1792, 1836),
        ("readonly database",),
    ),
    Kind(
        NO_TRANSACTION,
        ("25001", "2D000", "55P04"),
        (),
        ("from within a transaction", "inside a transaction", "start a transaction within a transaction"),
    ),
    Kind(
        "Rows in the table violate a constraint. Fix the rows listed above, then {again}.",
        ("23", "44"),
        (1048, 1062, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 1761, 1762, 3819, 4025),
        ("constraint failed",),
    ),
    Kind(
        "A value in the table does not fit the type that its column gets back. Fix the rows, then {again}.",
        ("22",),
        (1138, 1264, 1265, 1292, 1366, 1406, 1411, 1690),
        ("datatype mismatch", "out of range"),
    ),
    Kind(
        "The database cannot convert these types by itself. Give the migration reverse SQL that converts the values, then"
        " {again}.",
        ("42804", "42846"),
    ),
    Kind(
        "The foreign key does not match the table that it points to. Compare that table with its migrations, then {again}.",
        ("42830",),
        (1005, 1215, 1239, 1822, 3780),
        ("foreign key mismatch",),
    ),
    Kind(
        "Other objects depend on it. Drop those named above, {again}, and create them again afterwards if they are still"
        " needed.",
        ("2BP01", "0A000"),
        (1553, 1828, 1829, 1832, 1833, 3730),
        ("error in view", "error in trigger", "error in index"),
    ),
    Kind(
        "Something of that name exists already. If it is not needed, drop or rename it, then {again}.",
        ("42P04", "42P06", "42P07", "42701", "42710"),
        (1007, 1050, 1060, 1061, 1068, 1826),
        ("already exists", "duplicate column name", "already another table"),
    ),
    Kind(
        "What this step undoes does not exist. If {step} was recorded without ever being run, add --fake {step}.",
        ("3F000", "42P01", "42703", "42704", "42883"),
        (1051, 1054, 1091, 1146, 1176, 1305, 1360),
        ("no such table", "no such column", "no such index", "no such view", "no such trigger"),
    ),
    Kind(
        "The SQL is not valid on this database. Fix the migration's SQL, then {again}.",
        ("42601",),
        (1064,),
        ("syntax error",),
    ),
    Kind(
        "The database user has no right to do this. Grant it, or connect as the owner of the table, then {again}.",
        ("42501",),
        (1044, 1142, 1143, 1227, 1370),
        ("not authorized", "access to "),
    ),
    Kind(
        "The server did not accept the connection. Look at DATABASES in the settings and at the server's limits, then {again}.",
        ("28", "3D000", "53300"),
        (1040, 1045, 1049, 1130, 1203, 1698),
        ("unable to open database file", "file is not a database"),
    ),
    Kind(
        "The disk of the database is full. Free some space, then {again}.",
        ("53100",),
        (1021, 1114),
        ("database or disk is full",),
    ),
    Kind(
        "The run locks more tables at once than the server has memory for. Raise its max_locks_per_transaction, or add"
        " --step-by-step, then {again}.",
        ("53200",),
    ),
    Kind(
        "A limit of the database is exceeded: the message above says which. Fix the rows or the migration, then {again}.",
        ("54",),
        (1069, 1071, 1117, 1118),
        ("too big", "too many"),
    ),
    Kind(
        "The table is in use in this very transaction: rows were changed, or a query is still open. Finish that in the"
        " migration's code, or add --step-by-step, then {again}.",
        ("55006",),
    ),
    Kind("The object is not in a state that allows this. Change what is named above, then {again}.", ("55000",)),
    Kind(
        "A trigger or function of the database refused this with the words above. Do what it demands, then {again}.",
        ("P0",),
        (1644,),
    ),
    Kind(
        "The database may be damaged, or its disk. Look in the server's log before you try again.",
        ("58", "XX"),
        (1026, 1030, 1034, 1194, 1195),
        ("malformed", "disk I/O error"),
    ),
    Kind(
        "The connection was lost. The server's log has the reason. When the server is back, {again}.",
        ("08", "57P0"),
        (1053, 1927, 2006, 2013, 2055),
        # from PostgreSQL's drivers: a server that is gone sends no SQLSTATE
        ("connection is closed", "connection is lost", "closed the connection", "connection already closed"),
    ),
)


def about_code(error: BaseException) -> str:
    """What to do when Python code raised."""
    return DURABLE if isinstance(error, RuntimeError) and "durable atomic block" in str(error) else TRACEBACK


def about(error: BaseException) -> str:
    """What to do; empty, if only the error's own words tell."""
    state, number = sqlstate(error), error.args[0] if error.args else None
    for kind in KINDS:
        # Where there is a code, words in the text prove nothing: they may be names of tables.
        by_text = not state and not isinstance(number, int) and any(text in str(error) for text in kind.texts)
        if (state and state.startswith(kind.states)) or number in kind.numbers or by_text:
            return kind.words
    return ""
