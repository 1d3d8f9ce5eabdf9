"""python -m benchmarks.counting [--rows 1000000] [--databases sqlite postgresql mariadb]: see README.md."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.large_table import on_each_database, seconds

VALUES = """
    INSERT INTO counted (id, a, b, c)
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1000)
    SELECT (x.n - 1) * 1000 + y.n, y.n, CASE WHEN y.n > 500 THEN y.n END, 'some text'
    FROM number x CROSS JOIN number y WHERE x.n <= {thousands}
"""


def warm(what: Callable[[], object]) -> float:
    """Seconds of the median of five, after one that warms the caches."""
    what()
    return seconds(what, times=5)


def measure(alias: str, rows: int) -> None:
    from django.db import connections, models

    from rollback_app import database as databases
    from rollback_app.planner import Need, Requirement
    from tests.support.databases import ALIASES, Database, empty

    place = Database(ALIASES[alias], alias)
    empty(place)
    connection = connections[place.alias]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE counted (id integer PRIMARY KEY, a integer, b integer, c varchar(20))")
        cursor.execute(VALUES.format(thousands=rows // 1000))
        cursor.execute({"mysql": "ANALYZE TABLE counted"}.get(connection.vendor, "ANALYZE"))
        if connection.vendor == "mysql":
            cursor.fetchall()

    def plain() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM counted")
            if cursor.fetchone() != (rows,):
                raise RuntimeError("not all rows are there")

    def ask(columns: dict[str, models.Field | None]) -> Callable[[], object]:  # type: ignore[type-arg]
        return lambda: databases.get(place.alias).count("counted", columns)

    def requirement(need: Need, column: str) -> Callable[[], object]:
        field = models.IntegerField()
        asked = Requirement(
            need, "counted", (column,), "", before=models.BigIntegerField(), after=field, today="counted"
        )
        return lambda: databases.get(place.alias).violations(asked)

    ways: dict[str, Callable[[], object]] = {
        "rows of a table that goes": ask({}),
        "values of one column that goes": ask({"a": None}),
        "values of three columns that go, in one query": ask({"a": None, "b": None, "c": None}),
        "nulls in the way": requirement(Need.NO_NULLS, "b"),
        "doubled values in the way": requirement(Need.UNIQUE, "a"),
    }
    if connection.vendor != "sqlite":  # which does not mind
        ways["numbers in the way that are too large"] = requirement(Need.FITS, "a")
    base = warm(plain)
    for name, way in ways.items():
        took = warm(way)
        print(f"| {alias} | {name} | {took / base:.1f} |", flush=True)
    empty(place)


if __name__ == "__main__":
    on_each_database(__doc__, "| database | what is counted | times a plain count(*) |\n|---|---|--:|", measure)
