"""The cases in which the query of Flagsmith's guide is wrong (L01 …), on every database, and beside that query itself.

Oracle's dialect is only parsed here: there is no Oracle server in the suite.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import sqlglot
from django.db import DatabaseError, transaction

from rollback_app import legacy
from rollback_app.errors import UsageError
from rollback_app.moments import Moment
from tests.legacy.rows import MOMENT, HandMade, T, ask, early, late, write
from tests.support.databases import Database

FAILS = "fails"


@dataclass(frozen=True)
class Case:
    """ours: what the statement returns; of a comment its beginning. seed: what the guide's query returns."""

    rows: list[HandMade]
    ours: list[str]
    seed: list[str] | str


def to(app: str, target: str) -> str:
    return f"python manage.py migrate {app} {target}"


CASES = {
    "L01 a name without a number": Case(
        [*early("b", "0001_initial", "0002_x"), *late("b", "add_b")], [to("b", "0002_x")], FAILS
    ),
    "L01 among others": Case(
        [*early("b", "0001_initial", "0002_x"), *late("b", "0003_y", "add_b")], [to("b", "0002_x")], [to("b", "0002")]
    ),
    "L02 a short number": Case([*early("b", "1_initial"), *late("b", "2_x")], [to("b", "1_initial")], FAILS),
    "L03 a date": Case(
        [*early("b", "20240101_a", "20240301_a"), *late("b", "20240605_b", "20240605123000_c")],
        [to("b", "20240301_a")],
        [to("b", "2023")],
    ),
    "L04 five digits": Case(
        [*early("b", "9998_y", "9999_a"), *late("b", "10000_b")], [to("b", "9999_a")], [to("b", "0999")]
    ),
    "L05 0000 goes": Case(late("b", "0000_initial"), [to("b", "zero")], [to("b", "00-1")]),
    "L06 0000 stays": Case(
        [*early("b", "0000_initial"), *late("b", "0001_next")], [to("b", "0000_initial")], [to("b", "zero")]
    ),
    "L07 a gap": Case(
        [*early("b", "0007_a", "0008_b"), *late("b", "0010_c", "0011_d")], [to("b", "0008_b")], [to("b", "0009")]
    ),
    "L08 two of a number": Case(
        [*early("b", "0039_z", "0040_b", "0040_a"), *late("b", "0041_c")], [to("b", "0040_a")], [to("b", "0040")]
    ),
    "L08 and two after it": Case(
        [*early("b", "0039_z", "0040_b", "0040_a"), *late("b", "0041_c", "0042_d")],
        ["# b: several rows before the moment have the highest number"],
        [to("b", "0040")],
    ),
    "L09 a squash": Case(
        [*early("b", "0001_t", "0002_x", "0003_y"), *late("b", "0001_squashed_0003_y")],
        ["# b: 0001_squashed_0003_y was recorded at or after the moment; that can be a note"],
        [to("b", "zero")],
    ),
    "L09 a squash and more": Case(
        [*early("b", "0001_t", "0002_x", "0003_y"), *late("b", "0001_squashed_0003_y", "0004_z")],
        ["# b: 0001_squashed_0003_y was recorded"],
        [to("b", "zero")],
    ),
    "L09 a squash, its originals gone from the rows": Case(
        late("b", "0001_squashed_0003_y"), ["# b: 0001_squashed_0003_y was recorded"], [to("b", "zero")]
    ),
    "L09 a squash with a name of its own": Case(
        [*early("b", "0001_t", "0002_x", "0003_y"), *late("b", "0001_all")],
        ["# b: 0001_all was recorded at or after the moment, and is not numbered above"],
        [to("b", "zero")],
    ),
    "L09 an older squash": Case(
        [*early("b", "0001_t", "0002_x", "0001_squashed_0002_x", "0003_y"), *late("b", "0004_z")],
        [to("b", "0003_y")],
        [to("b", "0003")],
    ),
    "L09 an older squash of all": Case(
        [*early("b", "0001_t", "0002_x", "0001_squashed_0002_x"), *late("b", "0003_z")],
        ["# b: 0002_x was the newest before the moment, and is inside 0001_squashed_0002_x"],
        [to("b", "0002")],
    ),
    "L09 an older squash alone": Case(
        [*early("b", "0001_squashed_0002_x"), *late("b", "0003_z")],
        [to("b", "0001_squashed_0002_x")],
        [to("b", "0002")],
    ),
    "L10 a second 0001": Case(
        [*early("b", "0001_initial"), *late("b", "0001_extra")], [to("b", "0001_initial")], [to("b", "zero")]
    ),
    "L10 and a merge": Case(
        [*early("b", "0001_initial"), *late("b", "0001_extra", "0002_merge")],
        ["# b: 0001_extra was"],
        [to("b", "zero")],
    ),
    "L11 a branch is kept (K02)": Case(
        [*early("b", "0001_t", "0002_a"), *late("b", "0002_b", "0003_merge")],
        ["# b: 0002_b was recorded at or after the moment, and is not numbered above"],
        [to("b", "0001")],
    ),
    "L11 a branch is left (K04)": Case(
        [*early("b", "0001_t", "0002_x", "0003_y"), *late("b", "0004_b", "0005_merge")],
        ["# b: 0005_merge was recorded at or after the moment: a merge"],
        [to("b", "0003")],
    ),
    "L11 a branch without numbers": Case(
        [*early("b", "0001_t", "0002_a"), *late("b", "other", "0003_join")], ["# b: other was recorded"], FAILS
    ),
    "L11 the older ones without numbers": Case(
        [*early("b", "first", "second"), *late("b", "third")],
        ["# b: the newest before the moment, second, has no number"],
        FAILS,
    ),
    "L11 the older ones are out of order": Case(
        [*early("b", "0001_t", "0003_y", "0002_x"), *late("b", "0004_z")],
        ["# b: the newest before the moment, 0002_x, has no number, or not the highest"],
        [to("b", "0003")],
    ),
    "L11 a single older one": Case(
        [*early("b", "0001_t"), *late("b", "0002_a", "0002_b", "more", "0003_merge")],
        [to("b", "0001_t")],
        [to("b", "0001")],
    ),
    "L12 edited rows": Case(
        [("b", "0004_z", 20), ("b", "0003_y", 10), ("b", "0001_t", -20), ("b", "0002_x", -10)],
        [to("b", "0002_x")],
        [to("b", "0003")],
    ),
    "L12 the same time": Case(
        [("b", "0001_t", -10), ("b", "0002_x", -10), ("b", "0003_y", 0)], [to("b", "0002_x")], [to("b", "0002")]
    ),
    "L12 recorded twice": Case(
        [("b", "0001_t", -20), ("b", "0002_x", -10), ("b", "0003_y", 5), ("b", "0002_x", 6)],
        [to("b", "0002_x")],
        [to("b", "0002")],
    ),
    "L14 the order of apps": Case(
        [
            *early("a", "0001_a", at=-30),
            *early("b", "0001_b", at=-20),
            *early("c", "0001_c", at=-10),
            *late("b", "0002_b", at=5),
            *late("c", "0002_c", at=9),
            *late("a", "0002_a", at=7),
            *late("b", "0003_b", at=8),
        ],
        [to("c", "0001_c"), to("b", "0001_b"), to("a", "0001_a")],
        [to("b", "0001"), to("c", "0001"), to("a", "0001")],
    ),
    "L15 odd text in a name that goes": Case(
        [*early("b", "0001_t"), *late("b", "0002_x; rm -rf /")], [to("b", "0001_t")], [to("b", "0001")]
    ),
    "L15 odd text in the target": Case(
        [*early("b", "0001_t", "0002_'$(reboot)'"), *late("b", "0003_x")],
        ["# b: the name to go back to has characters that mean something to a shell"],
        [to("b", "0002")],
    ),
    "L15 a line break at the end": Case(
        [*early("b", "0001_t", "0002_x\n"), *late("b", "0003_x")],
        ["# b: the name to go back to has characters that mean something to a shell"],
        [to("b", "0002")],
    ),
    "L15 odd text in an app": Case(
        late("b; reboot\n", "0001_t"),
        ["# the app of the row with id 1: its name has characters that mean something to a shell"],
        [to("b; reboot\n", "zero")],
    ),
    "L15 an option": Case(
        late("--fake", "0001_t"), ["# the app of the row with id 1: its name"], [to("--fake", "zero")]
    ),
    "L15 odd text in a comment": Case(
        [*early("b", "0001_t", "0002_x"), *late("b", "0001_squashed_\nreboot")],
        ["# b: the row with id 3 was recorded at or after the moment"],
        [to("b", "zero")],
    ),
    "L15 letters beyond ASCII": Case(
        [*early("b", "0001_größe"), *late("b", "0002_x")], ["# b: the name to go back to"], [to("b", "0001")]
    ),
    "a name that is the beginning of another": Case(
        [*early("b", "0001_t", "0002_x"), *late("b", "0002_x_more")],
        ["# b: 0002_x_more was recorded"],
        [to("b", "0001")],
    ),
    "a name that is the beginning of its only successor": Case(
        [*early("b", "0001_t"), *late("b", "0001_t_more")],
        ["# b: it must go back to 0001_t, and migrate would take that for something else"],
        [to("b", "zero")],
    ),
    "a migration called zero": Case(
        [*early("b", "zero"), *late("b", "0002_x")],
        ["# b: it must go back to zero, and migrate would take that for something else"],
        [to("b", "0001")],
    ),
    "a name as long as can be": Case(
        [*early("b", "1" * 254 + "_"), *late("b", "1" * 255)], [to("b", "1" * 254 + "_")], [to("b", "1110")]
    ),
    "nothing to do": Case(early("b", "0001_t"), [], []),
    "nothing at all": Case([], [], []),
}


@pytest.mark.parametrize("name", CASES)
def test_case(database: Database, name: str) -> None:
    case = CASES[name]
    write(database, case.rows)
    lines = ask(database)
    assert [line[: len(start)] for line, start in zip(lines, case.ours, strict=True)] == case.ours
    for line, start in zip(lines, case.ours, strict=True):
        assert line == start or start.startswith("#")
        assert len(line.splitlines()) == 1


# Written after the description of the guide's query: the number in front minus one, of the first row by id of each app.
SEED = """
    SELECT 'python manage.py migrate ' || app || ' ' || CASE substring(name, 1, 4)::integer
        WHEN 1 THEN 'zero' ELSE lpad((substring(name, 1, 4)::integer - 1)::text, 4, '0') END
    FROM django_migrations
    WHERE id IN (SELECT min(id) FROM django_migrations WHERE applied >= '2024-05-01 08:00:00' GROUP BY app)
    ORDER BY id
"""


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", CASES)
def test_the_guides_query(database: Database, name: str) -> None:
    """What it answers in the same cases, with the session's zone being that of the literal."""
    case = CASES[name]
    write(database, case.rows)
    with transaction.atomic(database.alias), database.connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        if case.seed == FAILS:
            with (
                pytest.raises(DatabaseError, match="invalid input syntax for type integer"),
                transaction.atomic(database.alias),
            ):
                cursor.execute(SEED)
        else:
            cursor.execute(SEED)
            assert [line for (line,) in cursor.fetchall()] == case.seed


@pytest.mark.databases("postgresql")
def test_l13_a_session_in_another_zone(database: Database) -> None:
    write(database, [*early("b", "0001_t"), *late("b", "0002_x", at=60)])
    with transaction.atomic(database.alias), database.connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'America/New_York'")
        cursor.execute(SEED)
        assert cursor.fetchall() == []
        assert ask(database) == [to("b", "0001_t")]


@pytest.mark.databases("mariadb", "sqlite")
def test_l13_times_that_are_stored_without_a_zone(database: Database) -> None:
    """UTC with USE_TZ; without it the project's zone, which is two hours ahead here."""
    write(database, [*early("b", "0001_t"), *late("b", "0002_x", at=3600), *late("b", "0003_y", at=7200)])
    assert ask(database) == [to("b", "0001_t")]
    assert ask(database, stored_in=ZoneInfo("Europe/Berlin")) == [to("b", "0002_x")]


def test_at_the_moment_and_a_microsecond_before(database: Database) -> None:
    at = T + timedelta(microseconds=500_000)
    write(database, [("a", "0001_t", -1), ("a", "0002_x", 0.5), ("b", "0001_t", 0.499_999)])
    assert ask(database, Moment("x", at, timezone.utc, "UTC")) == [to("a", "0001_t")]


@pytest.mark.databases("mariadb")
def test_a_column_of_whole_seconds(database: Database) -> None:
    """As MySQL 5.5 and Django 1.7 made it: what is within the second of the moment counts as at it."""
    write(database, [])
    with database.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations MODIFY applied datetime NOT NULL")
        cursor.execute("INSERT INTO django_migrations VALUES (1, 'b', '0001_t', '2024-05-01 07:59:59')")
        cursor.execute("INSERT INTO django_migrations VALUES (2, 'b', '0002_x', '2024-05-01 08:00:00')")
    assert ask(database) == [to("b", "0001_t")]
    assert ask(database, Moment("x", T + timedelta(milliseconds=700), timezone.utc, "UTC")) == [to("b", "0001_t")]
    assert ask(database, Moment("x", T + timedelta(milliseconds=1700), timezone.utc, "UTC")) == []


@pytest.mark.databases("mariadb")
def test_names_that_differ_in_their_case(database: Database) -> None:
    write(database, [*early("b", "0001_t", "0002_x"), *late("b", "0003_A", "0003_a")])
    assert ask(database) == [to("b", "0002_x")]


def test_the_alias_is_part_of_the_commands(database: Database) -> None:
    write(database, [*early("b", "0001_t"), *late("b", "0002_x")])
    assert [shlex.split(line) for line in ask(database, alias="it's other")] == [
        ["python", "manage.py", "migrate", "b", "0001_t", "--database", "it's other"]
    ]


@pytest.mark.parametrize("dialect", legacy.DIALECTS)
def test_l16_each_dialect_can_be_parsed_and_has_the_moment_once(dialect: str) -> None:
    at = datetime(2024, 5, 1, 8, 0, 0, 250_000, tzinfo=timezone.utc)
    sql = legacy.statement(dialect, Moment("x", at, timezone.utc, "UTC"), database="other")
    code = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))
    assert code.count("2024-05-01 08:00:00.250000") == 1
    assert code.index("2024-05-01") < code.index("django_migrations")
    (parsed,) = sqlglot.parse(sql, dialect={"postgresql": "postgres"}.get(dialect, dialect))
    assert isinstance(parsed, sqlglot.exp.Select)
    assert {table.name.lower() for table in parsed.find_all(sqlglot.exp.Table)} == {
        *("django_migrations", "cut", "recorded", "placed", "apps"),
        *(["dual"] if dialect == "oracle" else []),
    }
    assert [column.alias_or_name for column in parsed.expressions] == ["command"]


def test_the_text_of_the_moment_stays_in_its_comment() -> None:
    odd = Moment("2024-05-01\n08:00", T, timezone.utc, "UTC")
    for dialect in legacy.DIALECTS:
        assert legacy.statement(dialect, odd).count("2024-05-01 08:00") == 2


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(UsageError, match="There is no dialect 'access'"):
        legacy.statement("access", MOMENT)
