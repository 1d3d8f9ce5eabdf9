"""What is in a database, its schema and rows; and what differs between two looks at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rollback_app.database import Database, catalog
from rollback_app.executor import differences, names_in
from rollback_app.safety import in_words

# What the catalog's facts about tables do not tell. (What PostgreSQL makes for a table by itself is not among them.)
_OBJECTS = ("view ", "materialized view ", "trigger ", "function ", "procedure ", "aggregate ")
# In these Django leaves what was made for a model for good.
_OF_DJANGO = ("auth_permission", "django_content_type")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Schema:
    """facts: by the table. indexes: the table of each, by its name. objects: views, triggers and functions, as "view name"; empty
    if nobody looked."""

    facts: Mapping[str, catalog.Facts]
    indexes: Mapping[str, str]
    objects: frozenset[str] = frozenset()


class Watcher:
    """Looks at the schema of a database: at all of it once, and then at what statements have named since."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.named: set[str] = set()
        self._all = self._read(None)

    @contextmanager
    def watching(self) -> Iterator[None]:
        def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            self.named.update(names_in(sql))
            return execute(sql, params, many, context)

        with self._database.connection.execute_wrapper(note):
            yield

    def settled(self) -> None:
        """What was named is there for good."""
        self._all = self.schema(objects=False)
        self.named.clear()

    def schema(self, *, objects: bool) -> Schema:
        """As it is now. objects: look at views, triggers and functions, too."""
        facts, indexes = dict(self._all.facts), dict(self._all.indexes)
        if self.named:
            tables = self.named | {indexes[name] for name in self.named & indexes.keys()}
            now = self._read(tables)
            facts = {name: each for name, each in facts.items() if name not in tables} | dict(now.facts)
            indexes |= now.indexes
        names = self._database.object_names() if objects else ()
        return Schema(facts, indexes, frozenset(name for name in names if name.startswith(_OBJECTS)))

    def _read(self, tables: Collection[str] | None) -> Schema:
        rows = catalog.rows(self._database.connection, tables)
        found: dict[str, catalog.Facts] = {}
        for fact, number in catalog.facts(rows).items():
            found.setdefault(fact[0], Counter())[fact] = number
        return Schema(found, {name: table for table, _, _, name in rows if name})


def changed(before: Schema, after: Schema) -> list[str]:
    """What is another now, a sentence for each; but for what Django is known to leave."""
    tables = {
        name for name in before.facts.keys() | after.facts.keys() if before.facts.get(name) != after.facts.get(name)
    }
    found = differences(_of(before, tables), _of(after, tables))
    words = in_words(sorted(each for each in found.elements() if not each.by_django))
    words = [each.replace(", which the migrations do not say", "") for each in words]
    words += [f"the {name} is missing" for name in sorted(before.objects - after.objects)]
    return words + [f"the {name} is there" for name in sorted(after.objects - before.objects)]


def _of(schema: Schema, tables: Iterable[str]) -> catalog.Facts:
    found: catalog.Facts = Counter()
    for table in tables:
        found += schema.facts.get(table, Counter())
    return found


def rows_of(database: Database, tables: Iterable[str]) -> dict[str, list[Row]]:
    """The rows of these tables, a column's value by its name."""
    found: dict[str, list[Row]] = {}
    with database.connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {database.connection.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


def changed_rows(
    before: Mapping[str, list[Row]],
    after: Mapping[str, list[Row]],
    touched: Collection[tuple[str, str]],
) -> list[str]:
    """The tables whose rows are others now, a sentence for each. touched: tables (name, "") that are not compared, and columns
    (table, name) that are not."""
    found = []
    for table in sorted(before.keys() & after.keys()):
        if (table, "") in touched or table in _OF_DJANGO:
            continue
        if len(before[table]) != len(after[table]):
            found.append(f"{table} has {_rows(len(after[table]))} instead of {len(before[table])}")
            continue
        columns = [name for name in (before[table] or [{}])[0] if (table, name) not in touched]
        different = [name for name in columns if _values(before[table], [name]) != _values(after[table], [name])]
        if different:
            found.append(f"{table} has other values in {', '.join(different)}")
        elif _values(before[table], columns) != _values(after[table], columns):
            found.append(f"the values of {table} are in other rows")
    return found


def _rows(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"


def _values(rows: Iterable[Row], columns: list[str]) -> Counter[str]:
    return Counter(repr([row.get(name) for name in columns]) for row in rows)
