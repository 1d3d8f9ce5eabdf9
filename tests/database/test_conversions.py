"""Every pair of types: which values do not fit when the type changes back, and which come out changed, is what the server
itself does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import DatabaseError, models
from django.db.models import Field

from rollback_app import database as databases
from rollback_app.database import column_types
from rollback_app.planner import Need, Requirement
from rollback_app.safety import Violations
from tests.support.databases import Database

UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"

FIELDS: Mapping[str, tuple[type[Field[Any, Any]], dict[str, Any]]] = {
    "integer": (models.IntegerField, {}),
    "big": (models.BigIntegerField, {}),
    "positive": (models.PositiveIntegerField, {}),
    "boolean": (models.BooleanField, {}),
    "float": (models.FloatField, {}),
    "decimal": (models.DecimalField, {"max_digits": 6, "decimal_places": 2}),
    "text of 5": (models.CharField, {"max_length": 5}),
    "text of 40": (models.CharField, {"max_length": 40}),
    "slug": (models.SlugField, {"max_length": 12, "db_index": False}),
    "text": (models.TextField, {}),
    "date": (models.DateField, {}),
    "datetime": (models.DateTimeField, {}),
    "time": (models.TimeField, {}),
    "duration": (models.DurationField, {}),
    "uuid": (models.UUIDField, {}),
    "json": (models.JSONField, {}),
    "binary": (models.BinaryField, {}),
    "address": (models.GenericIPAddressField, {}),
}
NUMBERS = ["0", "1", "5", "-3", "12345", "70000", "9007199254740993"]
TEXTS = ["''", "'5'", "'05'", "' 5'", "'5 '", "'-5'", "'abc'", "'1.50'", "'1e3'", "'true'"]
LONG_TEXTS = [
    *(
        "'99999'",
        "'9999999999'",
        "'abcdefgh'",
        "'abc         '",
        "'2024-05-01'",
        "'2024-02-30'",
        "'2024-05-01 10:00:00'",
    ),
    *(
        "'10:00:00'",
        "'25:00:00'",
        f"'{UUID}'",
        f"'{UUID.replace('-', '')}'",
        """'{"a": 1}'""",
        "'null'",
        "'127.0.0.1'",
        "'1.2345'",
    ),
]
VALUES: Mapping[str, Sequence[str]] = {
    "integer": NUMBERS[:6],
    "big": NUMBERS,
    "positive": ["0", "1", "5", "70000"],
    "boolean": ["true", "false"],
    "float": ["0", "1", "1.5", "0.1", "2.5", "1e20", "-3", "123456.789", "0.30000000000000004"],
    "decimal": ["0", "1", "1.50", "2.55", "1234.56", "-3"],
    "text of 5": TEXTS,
    "text of 40": [*TEXTS, *LONG_TEXTS],
    "slug": ["'abc'", "'5'", "'abcdefghijkl'"],
    "text": ["'5'", "'abcdefgh'", "'abc         '", "'2024-05-01'", """'{"a": 1}'""", "'é'"],
    "date": ["'2024-05-01'", "'1999-12-31'"],
    "datetime": ["'2024-05-01 00:00:00'", "'2024-05-01 10:00:00'", "'2024-05-01 10:00:00.123456'"],
    "time": ["'10:00:00'", "'00:00:00'", "'10:00:00.123456'"],
    "duration": ["0", "1", "1000000", "90000000000"],
    "uuid": [f"'{UUID}'"],
    "json": ["'5'", "'5.5'", """'"a"'""", """'{"a": 1}'""", "'true'", "'null'"],
    "binary": ["x'616263'", "x'35'", "x'ff'"],
    "address": ["'127.0.0.1'", "'::1'"],
}
OTHERWISE: Mapping[tuple[str, str], Sequence[str]] = {
    ("postgresql", "duration"): ["'0'", "'1 second'", "'25 hours'", "'1 day'", "'00:00:00.5'"],
    ("postgresql", "binary"): ["'abc'", "'5'", r"'\xff'"],
    ("sqlite", "uuid"): [f"'{UUID.replace('-', '')}'"],
}


def model(kind: str) -> Any:
    field_type, options = FIELDS[kind]
    meta = type("Meta", (), {"app_label": "a", "db_table": "tt", "apps": Apps()})
    fields = {"id": models.IntegerField(primary_key=True), "x": field_type(null=True, **options)}
    return type("T", (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


class Table:
    """A table tt with a column x, and what may be in it. alter: as undoing an AlterField does it."""

    def __init__(self, database: Database, kind: str) -> None:
        self.database, self.connection, self.kind = database, database.connection, kind
        self.values = OTHERWISE.get((database.vendor, kind), VALUES[kind])
        self.execute("DROP TABLE IF EXISTS tt")
        with self.connection.schema_editor() as editor:
            editor.create_model(model(kind))
        self.fill(range(len(self.values)))

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, None)
            return list(cursor.fetchall()) if cursor.description else []

    def fill(self, ids: Any) -> None:
        self.execute("DELETE FROM tt")
        for number in ids:
            self.execute(f"INSERT INTO tt (id, x) VALUES ({number}, {self.values[number]})")

    def alter(self, old: str, new: str) -> bool:
        before, after = model(old), model(new)
        try:
            with self.connection.schema_editor() as editor:
                editor.alter_field(before, before._meta.get_field("x"), after._meta.get_field("x"))
        except DatabaseError:
            return False
        return True

    def look(self) -> dict[int, Any]:
        x = {"sqlite": "quote(x)", "postgresql": "x::text", "mysql": "concat(x, HEX(x))"}[self.connection.vendor]
        return dict(self.execute(f"SELECT id, {x} FROM tt ORDER BY id"))

    def said(self, need: Need, new: str) -> Violations | None:
        before, after = (model(kind)._meta.get_field("x") for kind in (self.kind, new))
        requirement = Requirement(need, "tt", ("x",), "", before=before, after=after, today="tt")
        return databases.get(self.database.alias).violations(requirement)

    def ids(self, found: Violations | None) -> set[int]:
        """Those that the query lists; as many as were counted."""
        if found is None:
            return set()
        ids = {row[0] for row in self.execute(found.query)}
        assert len(ids) == found.count.number
        return ids


def back(table: Table, new: str, ids: Sequence[int]) -> set[int]:
    """The rows that are not the same after the column has become the other type, and its own again."""
    before = table.look()
    assert table.alter(table.kind, new)
    there = table.look()
    if table.alter(new, table.kind):
        again = table.look()
        return {number for number in ids if before[number] != again[number]}
    if len(ids) > 1:  # one of them does not come back
        found = set()
        for number in ids:
            table.__init__(table.database, table.kind)  # type: ignore[misc]
            table.fill([number])
            found |= back(table, new, [number])
        return found
    return {number for number in ids if before[number] != there[number]}


@pytest.mark.parametrize("kind", FIELDS)
def test_pairs(database: Database, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_types, "LISTED_VALUES", 100)
    wrong = []
    for new in FIELDS:
        if new == kind:
            continue
        table = Table(database, kind)
        impossible = table.said(Need.FITS, new)
        if impossible and impossible.why:
            table.fill([])
            if table.alter(kind, new):
                wrong.append(f"{kind} to {new} is possible")
            continue
        refused = table.ids(impossible)
        table.fill(set(range(len(table.values))) - refused)  # only of what fits it can be said what it breaks
        refused |= table.ids(table.said(Need.CHECK, new))
        table.fill(range(len(table.values)))
        changed = table.ids(table.said(Need.KEPT, new)) - refused
        everything = set(range(len(table.values)))
        for number in sorted(refused):
            table.fill([number])
            if table.alter(kind, new):
                wrong.append(f"{kind} to {new}: {table.values[number]} fits")
                table = Table(database, kind)
        rest = sorted(everything - refused)
        table.fill(rest)
        if not rest:
            continue
        if not table.alter(kind, new):
            wrong.append(f"{kind} to {new}: something in {[table.values[number] for number in rest]} does not fit")
            continue
        table = Table(database, kind)
        table.fill(rest)
        really = back(table, new, rest)
        for number in sorted(really ^ changed):
            said = "not said" if number in really else "said"
            wrong.append(f"{kind} to {new}: {table.values[number]} is {said} to be changed")
    assert not wrong, "\n".join(wrong)
