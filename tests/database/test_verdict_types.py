"""Each kind of field on a column of each other kind: what the verdict says is what happens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from django.db import models

from rollback_app.compatibility import Answer, Does, judge
from rollback_app.database import schema
from tests.support.databases import Database
from tests.support.verdicts import filled, rendered, tried, untrue

FIELDS: Mapping[str, Any] = {
    "small": models.SmallIntegerField,
    "integer": models.IntegerField,
    "big": models.BigIntegerField,
    "positive": models.PositiveIntegerField,
    "decimal": lambda: models.DecimalField(max_digits=8, decimal_places=2),
    "float": models.FloatField,
    "char": lambda: models.CharField(max_length=40),
    "short": lambda: models.CharField(max_length=6),
    "text": models.TextField,
    "boolean": models.BooleanField,
    "date": models.DateField,
    "datetime": models.DateTimeField,
    "time": models.TimeField,
    "duration": models.DurationField,
    "uuid": models.UUIDField,
    "json": models.JSONField,
    "binary": models.BinaryField,
}


def model_of(field: str) -> Any:
    return rendered("a", "Thing", id=models.BigAutoField(primary_key=True), value=FIELDS[field]())


@pytest.mark.parametrize("newer", FIELDS)
def test_types(newer: str, database: Database) -> None:
    with database.connection.schema_editor() as editor:
        editor.create_model(model_of(newer))
    filled(database, model_of(newer)).save(using=database.alias)
    wrong, said = [], {}
    for older in FIELDS:
        model = model_of(older)
        wanted = schema.wanted(database.connection, model, str)
        (table,) = judge([wanted], schema.live(database.connection, ["a_thing"]))
        said[older] = {does.value: table.answer(does).value for does in Does if table.answer(does) is not Answer.YES}
        wrong += [f"{older} on {newer}: {each}" for each in untrue(table, tried(database, model))]
    assert wrong == [], json.dumps(said, indent=1)
    assert said[newer] == {}
