"""What is declared of a migration: by attributes of its class, which need no import, or in the settings for those of others."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.db.migrations import Migration

from rollback_app.history import Code, Key
from rollback_app.planner import Kind

from .findings import Finding
from .new import DECLARATIONS, Looked


def with_declared(code: Code, declared: Mapping[str, Mapping[str, Any]]) -> Code:
    """The code, its migrations with these attributes: by `app.name`."""
    migrations = dict(code.migrations)
    for name, attributes in declared.items():
        key = Key(*name.partition(".")[::2])
        if key in migrations:
            migrations[key] = _with(migrations[key], attributes)
    return replace(code, migrations=migrations)


def _with(migration: Migration, attributes: Mapping[str, Any]) -> Migration:
    found = copy.copy(migration)
    vars(found).update(attributes)
    return found


def missing(looked: Looked) -> Iterator[Finding]:
    for name in DECLARATIONS:
        if name in looked.required and name not in looked.declared:
            text = f"{looked.step.key} does not declare {name}, which ROLLBACK['REQUIRE'] demands."
            example = {"breaking": bool(_breaks(looked)), "release": "2.1", "reversible_by_design": False}[name]
            why = " Its operations say so." if name == "breaking" else ""
            yield looked.finding("rollback.C030", text, f"Add to the Migration class: {name} = {example!r}.{why}")


def contradicted(looked: Looked) -> Iterator[Finding]:
    if looked.declared.get("breaking") is False and (why := _breaks(looked)):
        text = f"{looked.step.key} declares breaking = False, and {why}."
        yield looked.finding("rollback.C031", text, "Declare breaking = True, or do that in a later release.")


def mistyped(looked: Looked) -> Iterator[Finding]:
    for name, kind in DECLARATIONS.items():
        value = looked.declared.get(name, kind())
        if not isinstance(value, kind) or (name in looked.declared and value == ""):
            wanted = "True or False" if kind is bool else "the name of a release, as '2.1'"
            text = f"{looked.step.key} declares {name} = {value!r:.80}, which must be {wanted}."
            yield looked.finding("rollback.C032", text, "Correct it on the Migration class.")


def _breaks(looked: Looked) -> str:
    """Why an older release, or a rollback, would miss something; the end of a sentence. Empty, if its operations destroy nothing
    and can be undone."""
    for effect in looked.step.effects:
        if effect.kind is Kind.IRREVERSIBLE:
            return effect.words
    for effect in () if looked.kept else looked.applying.effects:
        if effect.kind in (Kind.DROPS_TABLE, Kind.DROPS_COLUMN):
            return effect.words
    return ""
