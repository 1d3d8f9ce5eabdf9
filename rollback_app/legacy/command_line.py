"""What was typed behind `legacyrollbacksql` -> what is printed: the statement, the list of commands, or a file of Python.

Shared by the Django command and `python -m rollback_app`, and so, like `legacy`, without Django.
"""

from __future__ import annotations

import csv
import importlib
import os
import sqlite3
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from dateutil.parser import isoparse

from rollback_app import moments
from rollback_app.errors import DatabaseUnusable, UsageError, shown
from rollback_app.moments import Moment

from . import sql

HELP = (
    "For releases without this app: prints one SQL statement that returns the migrate commands that take a database back to "
    "a moment, or a comment for an app whose records alone do not tell. Changes nothing."
)
_SCHEMES = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
_COLUMNS = ("id", "app", "name", "applied")


@dataclass(frozen=True)
class Project:
    """What the settings say, where there are some. zone: of a moment without an offset. stored_in: see `sql.statement`."""

    dialect: str
    zone: str
    stored_in: tzinfo


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "moment",
        nargs="+",
        metavar="MOMENT",
        help='The date and time to go back to, such as "2024-05-01 10:00+02:00". Unapplies what was applied at or after it.',
    )
    parser.add_argument(
        "--dialect",
        metavar="NAME",
        help=f"The database of the statement: {', '.join(sql.DIALECTS)} (mysql is MariaDB too). Default: the project's.",
    )
    parser.add_argument(
        "--database",
        default="default",
        metavar="ALIAS",
        help="The alias of the database in DATABASES. Default: default.",
    )
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        help="The time zone of a moment without an offset, such as Europe/Berlin. Default: the project's TIME_ZONE.",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--dsn",
        metavar="URL",
        help="Run the statement, read-only, and print the commands: postgresql://user@host/name, mysql://user@host/name, or an "
        "SQLite file. Put the password into PGPASSWORD or MYSQL_PWD.",
    )
    instead.add_argument(
        "--csv",
        metavar="FILE",
        help="Print the commands for a dump of django_migrations, with the columns id, app, name, applied.",
    )
    instead.add_argument(
        "--standalone",
        action="store_true",
        help="Print one file of Python that looks at the code too: python manage.py shell < rollback_plan.py",
    )


def answer(options: Namespace, project: Project | None) -> str:
    """What to print. Errors: UsageError, DatabaseUnusable."""
    default_zone = options.timezone if options.timezone is not None else project.zone if project else None
    moment = moments.parse(" ".join(options.moment), default_zone=default_zone, now=datetime.now(timezone.utc))
    stored_in = project.stored_in if project else timezone.utc
    database = "" if options.database == "default" else options.database
    if options.dialect and (options.dsn is not None or options.csv is not None or options.standalone):
        raise UsageError(
            "--dialect chooses the statement to print, and --dsn, --csv and --standalone print none.",
            hint="Leave out --dialect.",
        )
    if options.standalone:
        return standalone(moment, database)
    if options.dsn is not None:
        return _listed(_from_dsn(options.dsn, moment, stored_in, database), moment)
    if options.csv is not None:
        return _listed(_from_csv(Path(options.csv), moment, stored_in, database), moment)
    dialect = options.dialect if options.dialect is not None else project.dialect if project else None
    if dialect is None:
        raise UsageError(
            "Without a project, the statement needs to know the kind of database.",
            hint=f"Add --dialect with one of: {', '.join(sql.DIALECTS)}.",
        )
    return sql.statement(dialect, moment, stored_in=stored_in, database=database)


def standalone(moment: Moment, database: str = "") -> str:
    """The text of `standalone.py`, with the moment and the alias in it."""
    source = Path(__file__).with_name("standalone.py").read_text(encoding="utf-8")
    at = moment.at.astimezone(timezone.utc).isoformat()
    for line, value in [('MOMENT = ""\n', at), ('DATABASE = "default"\n', database or "default")]:
        source = source.replace(line, f"{line.partition('=')[0]}= {value!r}\n")
    return source


def _listed(commands: list[str], moment: Moment) -> str:
    return "\n".join(commands) or f"# Nothing was applied at or after {moments.clock(moment.at)} UTC."


# Databases


def _from_dsn(dsn: str, moment: Moment, stored_in: tzinfo, database: str) -> list[str]:
    url = _url(dsn)
    dialect = _SCHEMES.get(url.scheme.partition("+")[0])
    if dialect is None:
        raise UsageError(
            f"--dsn: '{shown(url.scheme)}' is not a database that this command can read.",
            hint=f"Begin it with one of: {', '.join(f'{scheme}://' for scheme in _SCHEMES)}; or give an SQLite file.",
        )
    query = sql.statement(dialect, moment, stored_in=stored_in, database=database)
    driver = _driver(*{"postgresql": ["psycopg"], "mysql": ["MySQLdb", "pymysql"], "sqlite": ["sqlite3"]}[dialect])
    connect = {"postgresql": _postgresql, "mysql": _mysql, "sqlite": _sqlite}[dialect]
    try:
        with closing(connect(driver, url)) as connection, closing(connection.cursor()) as cursor:
            if dialect == "mysql":
                cursor.execute("START TRANSACTION READ ONLY")
            cursor.execute(query)
            return [_text(line) for (line,) in cursor.fetchall()]
    # A port that is no number is a ValueError, an option behind '?' that the driver does not know a TypeError.
    except (driver.Error, ValueError, TypeError) as error:
        words = " ".join(str(error).split()) or type(error).__name__
        for secret in filter(None, {url.password, unquote(url.password or "")}):
            words = words.replace(secret, "…")
        raise DatabaseUnusable(
            f"{shown(f'{url.scheme}://{url.hostname or str()}{url.path}')} cannot be read: {words}",
            hint="Check --dsn, PGPASSWORD or MYSQL_PWD, and whether this is the database of the project.",
        ) from error


def _url(dsn: str) -> SplitResult:
    """Errors: UsageError."""
    try:
        url = urlsplit(dsn if "://" in dsn else f"sqlite:///{quote(dsn)}")
        if dsn and dsn.isprintable():
            return url
        why = "a control character" if dsn else "it is empty"
    except ValueError as error:  # it says which part, and not the password
        why = str(error)
    raise UsageError(f"--dsn cannot be read: {shown(why)}.", hint="For example: --dsn postgresql://user@host/name")


def _driver(*names: str) -> ModuleType:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise UsageError(
        f"--dsn needs {' or '.join(names)}, which is not installed here.",
        hint="Install it, or run the printed statement with any client, or dump the table and give the file to --csv.",
    )


def _postgresql(driver: Any, url: SplitResult) -> Any:
    connection = driver.connect(url._replace(scheme="postgresql").geturl())
    connection.read_only = True
    return connection


def _mysql(driver: Any, url: SplitResult) -> Any:
    password = unquote(url.password) if url.password is not None else os.environ.get("MYSQL_PWD", "")
    return driver.connect(
        host=url.hostname or "localhost",
        port=url.port or 3306,
        user=unquote(url.username or ""),
        password=password,
        database=unquote(url.path.lstrip("/")),
        **dict(parse_qsl(url.query)),
    )


def _sqlite(driver: Any, url: SplitResult) -> Any:
    """`sqlite:///relative` and `sqlite:////absolute`, as most tools have it."""
    path = Path(unquote(url.path.removeprefix("/")))
    return driver.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _text(line: Any) -> str:
    return line.decode() if isinstance(line, bytes) else str(line)


# Dumps


def _from_csv(path: Path, moment: Moment, stored_in: tzinfo, database: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(csv.reader(file), stored_in))
    # ValueError: not UTF-8, or a name that no file can have. Our own errors are none.
    except (OSError, ValueError, csv.Error) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(
            f"--csv: the file '{shown(str(path))}' cannot be read: {shown(why)}", hint="Give a CSV file in UTF-8."
        ) from error
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE django_migrations (id INTEGER, app TEXT, name TEXT, applied TEXT)")
        connection.executemany("INSERT INTO django_migrations VALUES (?, ?, ?, ?)", rows)
        query = sql.statement("sqlite", moment, stored_in=stored_in, database=database)
        return [line for (line,) in connection.execute(query)]


def _rows(lines: Iterable[list[str]], stored_in: tzinfo) -> Iterator[tuple[int, str, str, str]]:
    """Errors: UsageError, which names the line."""
    places = list(range(4))
    for number, line in enumerate(lines, 1):
        if number == 1 and {word.strip().lower() for word in line} >= set(_COLUMNS):
            header = [word.strip().lower() for word in line]
            places = [header.index(column) for column in _COLUMNS]
        elif line:
            try:
                row_id, app, name, applied = (line[place] for place in places)
                at = isoparse(applied.strip())
                at = (at if at.tzinfo else at.replace(tzinfo=stored_in)).astimezone(stored_in)
                yield int(row_id), app, name, f"{at:%Y-%m-%d %H:%M:%S.%f}"
            except (ValueError, IndexError, OverflowError) as error:
                raise UsageError(
                    f"--csv: line {number} is not a record of django_migrations: {shown(','.join(line))}",
                    hint='The columns are id, app, name, applied, the last as "2024-05-01 10:00:00.123456+00:00".',
                ) from error
