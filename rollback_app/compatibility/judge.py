"""Models and a live schema -> the answers, table by table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from .rules import ALL, RULES, Known, Place, missing_table
from .schema import ModelTable, Schema
from .verdict import Answer, Does, Reason, TableVerdict, reason, softened


def judge(
    models: Sequence[ModelTable],
    schema: Schema,
    names: Mapping[tuple[str, str], str] | None = None,
    defaults: Mapping[tuple[str, str], str] | None = None,
    others: Collection[str] = (),
) -> tuple[TableVerdict, ...]:
    """What a code with these models could do with these tables. names, defaults, others: see `Known`."""
    known = Known({model.table: model for model in models if not model.problem}, names or {}, defaults or {}, others)
    found = {model.table: list(_reasons(model, schema, known)) for model in models}
    _add_cascades(found, known)
    for model in models:
        found[model.table] += [inherited for parent in model.parents for inherited in _of_parent(parent, found)]
    return tuple(TableVerdict(table, tuple(reasons)) for table, reasons in sorted(found.items()))


def _reasons(model: ModelTable, schema: Schema, known: Known) -> Iterator[Reason]:
    if model.problem:
        yield reason(f"The model {model.label} cannot be made: {model.problem}", Answer.MAYBE, *ALL)
        return
    relation = schema.relations.get(model.table)
    if relation is None:
        found = [missing_table(model, known)]
    else:
        place = Place(model, relation, schema, known)
        found = [each for rule in RULES for each in rule(place)]
    # Migrations do not make the table of a model that is not managed: what it is for cannot be known.
    yield from found if model.managed else map(softened, found)


def _add_cascades(found: Mapping[str, list[Reason]], known: Known) -> None:
    """Add to each table what hinders Django from deleting the rows that it deletes along with a row of that table."""

    def can_delete(table: str) -> bool:
        return TableVerdict(table, tuple(found[table])).answer(Does.DELETES) is Answer.YES

    hindered = [table for table in found if not can_delete(table)]
    while hindered:
        table = hindered.pop()
        columns = known.models[table].columns if table in known.models else ()
        for target in {each.points_to for each in columns if each.on_delete == "CASCADE"} & found.keys():
            if can_delete(target):
                text = f"To delete a row, this code also deletes the rows of {table} that point to it, which may fail."
                found[target].append(reason(text, Answer.MAYBE, Does.DELETES))
                hindered.append(target)


def _of_parent(parent: str, found: Mapping[str, Sequence[Reason]]) -> Iterator[Reason]:
    own = TableVerdict(parent, tuple(found.get(parent, ())))
    for answer in (Answer.MAYBE, Answer.NO):
        if does := [each for each in ALL if own.answer(each) is answer]:
            yield reason(f"Its rows have a part in {parent}.", answer, *does)
