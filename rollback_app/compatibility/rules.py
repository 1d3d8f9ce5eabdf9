"""What speaks against a model on a live table: one function for each kind of thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .schema import Column, Constraint, Fills, ForeignKey, ModelTable, Reading, Relation, Rule, Schema, Wanted
from .verdict import Answer, Does, Reason, reason

ALL = tuple(Does)
WRITES = (Does.INSERTS, Does.UPDATES)
_STATEMENTS = {Does.INSERTS: "INSERT", Does.UPDATES: "UPDATE", Does.DELETES: "DELETE"}


@dataclass(frozen=True)
class Known:
    """What is known besides the schema. models: of the code, by table. names: what tables (name, "") and columns (table, name)
    of the code are called in the database. defaults: SQL for a value that the newer code gives a column (table, name). others:
    tables that the code knows besides, in lower case."""

    models: Mapping[str, ModelTable]
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    defaults: Mapping[tuple[str, str], str] = field(default_factory=dict)
    others: Collection[str] = ()

    @cached_property
    def pointing(self) -> Mapping[str, list[tuple[ModelTable, Wanted]]]:
        """For each table the columns of models that point to it."""
        found: dict[str, list[tuple[ModelTable, Wanted]]] = {}
        for model in self.models.values():
            for wanted in model.columns:
                found.setdefault(wanted.points_to, []).append((model, wanted))
        return found


@dataclass(frozen=True)
class Place:
    """A model, the table that is there for it, and all around it."""

    model: ModelTable
    relation: Relation
    schema: Schema
    known: Known

    def pairs(self) -> Iterator[tuple[Wanted, Column]]:
        """The columns that both have."""
        for wanted in self.model.columns:
            if wanted.column in self.relation.columns:
                yield wanted, self.relation.columns[wanted.column]

    @property
    def unknown(self) -> Mapping[str, Column]:
        """The columns that the model does not have, or that it never gives a value."""
        given = {wanted.column for wanted in self.model.columns if not wanted.generated}
        return {name: column for name, column in self.relation.columns.items() if name not in given}

    def alter(self, column: Column, change: str) -> str:
        quote = self.schema.quote
        return (
            f"{self.schema.setting}ALTER TABLE {quote(self.relation.name)} {change.format(column=quote(column.name))};"
        )


def missing_table(model: ModelTable, known: Known) -> Reason:
    if schema := _schema_of(model.table):
        return reason(f"Its table is in a schema of its own, {schema}, which is not looked at.", Answer.MAYBE, *ALL)
    now = known.names.get((model.table, ""))
    return reason(f"There is no table {model.table}{f': it is called {now} now' if now else ''}.", Answer.NO, *ALL)


def _schema_of(table: str) -> str:
    """The schema that a name holds, as other"."table does; mostly empty."""
    return ".".join([part for part in re.split('["`]', table) if part.strip(".")][:-1])


def missing_columns(place: Place) -> Iterator[Reason]:
    for wanted in place.model.columns:
        if wanted.column not in place.relation.columns:
            now = place.known.names.get((place.model.table, wanted.column))
            text = f"There is no column {wanted.column}{f': it is called {now} now' if now else ''}."
            yield reason(text, Answer.NO, Does.READS, Does.UPDATES, *() if wanted.generated else [Does.INSERTS])
            # Django reads the rows that it deletes, unless it need not.
            yield reason(text, Answer.NO if wanted.primary_key else Answer.MAYBE, Does.DELETES)


def in_place_of_a_table(place: Place) -> Iterator[Reason]:
    relation = place.relation
    if relation.kind == "table" or not place.model.managed:
        return
    instead = {event for trigger in relation.triggers for event in trigger.events}
    for does, statement in _STATEMENTS.items():
        takes = statement in relation.takes | instead
        text = f"{relation.name} is a {relation.kind}{'' if takes else f', which takes no {statement}'}."
        yield reason(text, Answer.MAYBE if takes else Answer.NO, does)


def demanded_values(place: Place) -> Iterator[Reason]:
    """Columns that the model gives no value, and that have none of their own."""
    for name, column in place.unknown.items():
        if not column.null and column.fills is Fills.NOTHING and place.relation.kind == "table":
            text = (
                f"Column {name} must have a value, has no database default, and this code gives it none."
                f"{_no_bridge(place.schema)}"
            )
            yield reason(text, Answer.NO, Does.INSERTS, bridge=_bridge(place, column))


def _no_bridge(schema: Schema) -> str:
    return " SQLite cannot give it one without making the table anew." if schema.vendor == "sqlite" else ""


def _bridge(place: Place, column: Column) -> str:
    """SQL after which an INSERT need not name the column: the newer code's own default, where it may stand in several rows."""
    default = place.known.defaults.get((place.relation.name, column.name))
    alone = any(rule.rule is Rule.UNIQUE and rule.columns == {column.name} for rule in place.relation.constraints)
    if place.schema.vendor == "sqlite":
        return ""
    if default and not alone:
        return place.alter(column, "ALTER COLUMN {column} SET DEFAULT " + _escaped(default, place.schema.vendor))
    return _drop_not_null(place, column)


def _escaped(sql: str, vendor: str) -> str:
    text = sql.replace("{", "{{").replace("}", "}}")
    return f"({text})" if vendor == "mysql" else text  # a text there may have only an expression as its default


def _drop_not_null(place: Place, column: Column) -> str:
    if place.schema.vendor == "sqlite":
        return ""
    if place.schema.vendor == "mysql":
        return place.alter(column, f"MODIFY {{column}} {column.definition}")
    return place.alter(column, "ALTER COLUMN {column} DROP NOT NULL")


def values_of_its_own(place: Place) -> Iterator[Reason]:
    """Columns that the database fills, or no longer fills."""
    for wanted, column in place.pairs():
        name = column.name
        if column.fills is Fills.GENERATED and not wanted.generated:
            yield reason(f"Column {name} is generated by the database, and takes no value.", Answer.NO, *WRITES)
        elif wanted.generated and column.fills is not Fills.GENERATED:
            yield reason(f"Column {name} is no longer generated by the database.", Answer.MAYBE, *WRITES)
        elif column.fills is Fills.ALWAYS:
            answer = Answer.MAYBE if wanted.automatic else Answer.NO
            yield reason(f"Column {name} is numbered by the database (GENERATED ALWAYS).", answer, Does.INSERTS)
        elif wanted.automatic and column.fills is Fills.NOTHING and not column.null:
            yield reason(f"Column {name} is no longer numbered by the database.", Answer.NO, Does.INSERTS)
        elif wanted.db_default and column.fills is Fills.NOTHING and not column.null:
            yield reason(f"Column {name} has lost its database default.", Answer.MAYBE, Does.INSERTS)


def nulls(place: Place) -> Iterator[Reason]:
    for wanted, column in place.pairs():
        if wanted.null and not column.null and not wanted.primary_key and place.relation.kind == "table":
            text = f"Column {column.name} must have a value; this code may leave it empty."
            yield reason(text, Answer.MAYBE, *WRITES, bridge=_drop_not_null(place, column))


def types(place: Place) -> Iterator[Reason]:
    for wanted, column in place.pairs():
        if wanted.type.family == column.type.family:
            if place.schema.enforces_types and column.type.narrower(wanted.type):
                text = f"Column {column.name} is {column.type.words}, narrower than {wanted.type.words}."
                yield reason(text, Answer.MAYBE, *WRITES)
            continue
        text = (
            f"Column {column.name} holds {_kind(column)}; this code expects {wanted.type.family} ({wanted.type.words})."
        )
        reading = wanted.reads(column.type.family)
        if reading is not Reading.SAME:
            fails = reading is Reading.FAILS and not column.null and column.type.family not in ("text", "JSON")
            yield reason(text, Answer.NO if fails else Answer.MAYBE, Does.READS)
        takes = _takes(place.schema.vendor, wanted, column)
        yield reason(text, takes, Does.UPDATES, *() if wanted.automatic else [Does.INSERTS])
        if wanted.primary_key:
            yield reason(text, takes, Does.DELETES)


def _kind(column: Column) -> str:
    return f"{column.type.family} ({column.type.words})" if column.type.known else column.type.words


_NUMBERS = {"whole number", "decimal number", "floating number"}
# PostgreSQL's casts of assignment, besides those between numbers, from texts, and to texts.
_CASTS = {("date", "date and time"), ("date and time", "date"), ("date and time", "time")}
_CASTS |= {("time", "duration"), ("duration", "time")}


def _takes(vendor: str, wanted: Wanted, column: Column) -> Answer:
    """Does the column take the values of a field of another kind? Some of them, unless PostgreSQL knows no way."""
    pair = wanted.type.family, column.type.family
    if vendor != "postgresql" or wanted.null or not (wanted.type.known and column.type.known):
        return Answer.MAYBE
    some = "text" in pair or set(pair) <= _NUMBERS or pair in _CASTS
    return Answer.MAYBE if some else Answer.NO


def rules(place: Place) -> Iterator[Reason]:
    """Unique, check and exclusion rules that the model does not know."""
    given = {wanted.column for wanted in place.model.columns if not wanted.generated}
    checked = {wanted.column for wanted in place.model.columns if wanted.checked}
    for rule in place.relation.constraints:
        if not _is_known(rule, place.model, checked):
            columns = f" ({', '.join(sorted(rule.columns))})" if rule.columns else ""
            article = "An" if rule.rule.value[0] in "aeio" else "A"
            text = (
                f"{article} {rule.rule.value} rule that this code does not know may refuse rows: {rule.name}{columns}."
            )
            touched = bool(rule.columns & given) or not rule.columns
            if not _lets_all_pass(rule, place):
                yield reason(text, Answer.MAYBE, Does.INSERTS)
            if touched:
                yield reason(text, Answer.MAYBE, Does.UPDATES)


def _is_known(rule: Constraint, model: ModelTable, checked: set[str]) -> bool:
    if rule.name in model.constraints:
        return True
    if rule.rule is Rule.UNIQUE and rule.plain:
        return any(known <= rule.columns for known in model.unique)
    return rule.rule is Rule.CHECK and len(rule.columns) == 1 and rule.columns <= checked


def _lets_all_pass(rule: Constraint, place: Place) -> bool:
    """Does it mention a column that stays empty in all rows that the model inserts?"""
    empty = {
        name for name, column in place.unknown.items() if column.null and column.fills is Fills.NOTHING
    } & rule.columns
    return rule.rule is Rule.UNIQUE and rule.plain and rule.nulls_distinct and bool(empty)


def foreign_keys(place: Place) -> Iterator[Reason]:
    """Those of this table that the model does not know."""
    known = {(wanted.column, wanted.points_to) for wanted in place.model.columns if wanted.constraint}
    for key in place.schema.keys_of.get(place.relation.name, ()):
        if (key.columns[0], key.target) in known:
            continue
        text = f"A foreign key that this code does not know may refuse rows: {', '.join(key.columns)} to {key.target}."
        given = [place.unknown.get(column) for column in key.columns]
        if not all(column and column.fills is Fills.NOTHING for column in given):
            yield reason(text, Answer.MAYBE, Does.INSERTS)
        if not all(given):
            yield reason(text, Answer.MAYBE, Does.UPDATES)


def rows_that_point_here(place: Place) -> Iterator[Reason]:
    """Foreign keys from elsewhere, of which the code knows nothing when it deletes a row."""
    for key in place.schema.keys_to.get(place.relation.name, ()):
        wanted = _field_of(key, place.known)
        if key.table.lower() in place.known.others or (wanted is not None and wanted.on_delete != "DATABASE"):
            continue
        name = f"{key.table} ({', '.join(key.columns)})"
        if wanted is None and key.on_delete:
            yield reason(f"{key.on_delete} of rows in {name}, when the row that they point to is deleted.", Answer.YES)
        answers = [] if key.on_delete else [Does.DELETES]
        text = f"A row to which {name} points cannot be deleted; this code knows nothing of it."
        yield from (reason(text, Answer.MAYBE, does) for does in answers)


def _field_of(key: ForeignKey, known: Known) -> Wanted | None:
    model = known.models.get(key.table)
    fields = model.columns if model else ()
    return next((each for each in fields if (each.column,) == key.columns and each.points_to == key.target), None)


_BY_DJANGO = frozenset({"CASCADE", "SET NULL", "DJANGO"})


def models_that_point_here(place: Place) -> Iterator[Reason]:
    """Tables that Django itself looks through when it deletes a row here."""
    for model, wanted in place.known.pointing.get(place.model.table, ()):
        relation = place.schema.relations.get(model.table)
        if wanted.on_delete in _BY_DJANGO and not _schema_of(model.table):
            if relation is None or wanted.column not in relation.columns:
                text = f"To delete a row, this code looks for {wanted.column} in {model.table}, which is not there."
                yield reason(text, Answer.NO, Does.DELETES)
            elif any(each.column not in relation.columns for each in model.columns):
                text = f"To delete a row, this code may read {model.table}, of which columns are missing."
                yield reason(text, Answer.MAYBE, Does.DELETES)
            elif wanted.on_delete == "SET NULL" and not relation.columns[wanted.column].null:
                text = f"To delete a row, this code empties {wanted.column} in {model.table}, which must not be empty."
                yield reason(text, Answer.MAYBE, Does.DELETES)


def triggers(place: Place) -> Iterator[Reason]:
    for trigger in place.relation.triggers if place.relation.kind == "table" else ():
        does = [does for does, statement in _STATEMENTS.items() if statement in trigger.events]
        yield reason(f"Trigger {trigger.name} may change or refuse rows.", Answer.MAYBE, *does)


RULES: tuple[Callable[[Place], Iterator[Reason]], ...] = (
    missing_columns,
    in_place_of_a_table,
    demanded_values,
    values_of_its_own,
    nulls,
    types,
    rules,
    foreign_keys,
    rows_that_point_here,
    models_that_point_here,
    triggers,
)
