"""What the reference says of commands, tables and JSON, made from the parsers, the models and the schema.

tests/test_docs.py checks it: `UPDATE_TRANSCRIPTS=1 pytest tests/test_docs.py` writes it anew into docs/reference.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from rollback_app import bookkeeping
from rollback_app.bookkeeping.tables import OwnMeta

FOLDER = Path(__file__).parents[2] / "docs/reference"
BLOCK = re.compile(r"(?<=<!-- made -->\n)(.*?)(?=<!-- end of made -->)", re.DOTALL)
# Another name for a command, and the command in whose part of the reference it is.
ALIASES = {"rollbackmigrationsappliedafter": "rollbackmigrationsafter"}
SCHEMA: dict[str, Any] = json.loads((files("rollback_app") / "reports/schema.json").read_text())


def commands() -> list[str]:
    return sorted(name for name, app in get_commands().items() if app == "rollback_app")


def own_options(name: str) -> dict[str, str | None]:
    """Option -> help text, without Django's own options."""
    parser = load_command_class("rollback_app", name).create_parser("manage.py", name)
    django = BaseCommand().create_parser("manage.py", "x")
    known = {option for action in django._actions for option in action.option_strings}
    return {
        option: action.help for action in parser._actions for option in action.option_strings if option not in known
    }


def glance() -> str:
    """A row for each command: what it is for, which options it has."""
    rows = ["| command | what for | options |\n|---|---|---|\n"]
    for name in commands():
        text = " ".join(str(load_command_class("rollback_app", name).help).split())
        sentence = re.split(r"(?<=[.?]) |: ", text, maxsplit=1)[0]
        sentence += "" if sentence.endswith((".", "?")) else "."
        options = ", ".join(f"`{option}`" for option in own_options(name) if option != "--noinput")
        part = ALIASES.get(name, name)
        rows.append(f"| [`{name}`](command.md#{part}) | {sentence} | {options} |\n")
    return "".join(rows)


def columns() -> str:
    """A row for each of our tables."""
    assert bookkeeping  # which has made the models
    models = sorted(OwnMeta.apps.all_models["rollback_app"].values(), key=lambda model: model._meta.db_table)
    rows = ["| table | its columns |\n|---|---|\n"]
    for model in models:
        names = ", ".join(f"`{field.column}`" for field in model._meta.local_fields)
        rows.append(f"| `{model._meta.db_table}` | {names} |\n")
    return "".join(rows)


def fields() -> str:
    """A part for each object of the JSON, those of the commands first."""
    return "\n".join(part for name, schema in SCHEMA["$defs"].items() for part in _object(name, schema))


def _object(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}\n\n{textwrap.fill(schema['description'], 100)}\n"
    rows = [
        f"| `{field}` | {_type(described)} | {described['description']} |\n"
        for field, described in schema["properties"].items()
    ]
    yield f"| field | what it is | meaning |\n|---|---|---|\n{''.join(rows)}"


_TYPES = {"string": "text", "integer": "whole number", "boolean": "true, false", "null": "null", "object": "object"}


def _type(schema: Mapping[str, Any]) -> str:
    """What a field holds, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join("null" if value is None else f"`{value}`" for value in values)
    if "anyOf" in schema:
        return ", ".join(map(_type, schema["anyOf"]))
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"object: {schema['propertyNames']['description']} → {_type(schema['additionalProperties'])}"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    named = {"string": "time"} if schema.get("format") == "date-time" else {}
    return ", ".join(named.get(kind) or _TYPES.get(kind, kind) for kind in kinds)


MADE = {"at-a-glance.md": glance, "tables.md": columns, "json.md": fields}


def written(page: str) -> str:
    """The page with what is made."""
    made = MADE[page]()
    text, number = BLOCK.subn(lambda _: made, (FOLDER / page).read_text())
    assert number == 1
    return text
