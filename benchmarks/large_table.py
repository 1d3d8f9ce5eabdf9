"""Measuring something on a large table of each database."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

from tests import servers


def on_each_database(description: str | None, header: str, measure: Callable[[str, int], None]) -> None:
    """Reads the command line, and prints a table. measure: is given a database and a number of rows, and prints lines."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=1_000_000, help="in the table, in thousands and up to a million")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql", "mariadb"])
    options = parser.parse_args()
    os.environ["TEST_DATABASES"] = ",".join(options.databases)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    servers.start(name for name in options.databases if name != "sqlite")

    import django

    django.setup()
    print(header)
    for name in options.databases:
        print(f"{name}: {options.rows} rows", file=sys.stderr)
        measure(name, options.rows)


def _nothing() -> None:
    pass


def seconds(
    what: Callable[[], object],
    before: Callable[[], object] = _nothing,
    after: Callable[[], object] = _nothing,
    *,
    times: int = 3,
) -> float:
    """The median of so many times; `before` and `after` are not measured."""
    took = []
    for _ in range(times):
        before()
        start = time.perf_counter()
        what()
        took.append(time.perf_counter() - start)
        after()
    return statistics.median(took)
