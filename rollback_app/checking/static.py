"""The checks that need no database: one function for each, from what is seen of a migration to findings."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from typing import Any

from django.db.migrations import RunPython, RunSQL

from rollback_app.planner import (
    Kind,
    Need,
    cascades,
    changes_something,
    ends_transaction,
    is_concurrent,
    name_of_code,
    refuses_transaction,
)

from .declared import contradicted, missing, mistyped
from .filling import fills_what_is_new, is_filled_again, leaves_nothing
from .findings import Finding
from .narrowing import narrows
from .new import Looked

Check = Callable[[Looked], Iterator[Finding]]
_REVERSIBLE = "If that is intended, say so with reversible_by_design = True on the Migration class."
_BREAKING = (
    "Leave it for a later release, have migrate keep it with ROLLBACK['KEEP_DROPPED'], or say that it is intended with "
    "breaking = True on the Migration class."
)


def read_through(looked: Looked) -> list[Finding]:
    """What reading a migration finds, by the line."""
    return sorted((finding for check in CHECKS for finding in check(looked)), key=lambda finding: finding.line)


def irreversible(looked: Looked) -> Iterator[Finding]:
    for effect in looked.step.effects:
        if effect.kind is Kind.IRREVERSIBLE:
            hint = "Give it a reverse: reverse_code for RunPython, reverse_sql for RunSQL, database_backwards for an operation."
            yield looked.finding("rollback.C001", f"{looked.step.key} {effect.words}.", hint, effect.index)


def reverses_nothing(looked: Looked) -> Iterator[Finding]:
    if looked.declared.get("reversible_by_design") is True:
        return
    for index, operation in looked.leaves():
        if isinstance(operation, RunPython) and operation.reverse_code and _does_nothing(operation.reverse_code):
            stays = not (
                _does_nothing(operation.code) or fills_what_is_new(looked, index) or leaves_nothing(looked, index)
            )
            done = f"what {name_of_code(operation.code)} did to the data" if stays else ""
        elif isinstance(operation, RunSQL) and operation.reverse_sql in ("", [], ()):
            done = "what its SQL did" if changes_something(operation.sql) else ""
        else:
            continue
        if done:
            text = f"{looked.step.key} reverses nothing: {done} stays."
            yield looked.finding("rollback.C002", text, f"Write a reverse. {_REVERSIBLE}", index)


def loses(looked: Looked) -> Iterator[Finding]:
    for effect in _destroying(looked):
        if effect.kind in (Kind.DROPS_TABLE, Kind.DROPS_COLUMN) and not is_filled_again(looked, effect.index):
            back = (
                "the table again, empty" if effect.kind is Kind.DROPS_TABLE else "the column again, without its values"
            )
            text = f"{looked.step.key} {effect.words}: undoing it makes {back}."
            yield looked.finding("rollback.C003", text, _BREAKING, effect.index)


def narrowing(looked: Looked) -> Iterator[Finding]:
    for effect in _destroying(looked):
        for requirement in effect.requirements:
            if requirement.need is Need.KEPT and narrows(requirement.before, requirement.after):
                words = requirement.words.removesuffix(" again")
                text = (
                    f"{looked.step.key} {words}: values that do not fit are cut or refused, and undoing it does not bring "
                    "them back."
                )
                yield looked.finding("rollback.C004", text, _BREAKING, effect.index)


def cascading(looked: Looked) -> Iterator[Finding]:
    for index, operation in looked.leaves():
        if isinstance(operation, RunSQL):
            for direction, sql in (("runs", operation.sql), ("is undone by", operation.reverse_sql)):
                if words := cascades(sql or ""):
                    text = f"{looked.step.key} {direction} SQL with CASCADE, which takes along what no migration knows: {words}."
                    hint = "Drop by name what shall go, without CASCADE."
                    yield looked.finding("rollback.C005", text, hint, index)


def unnamed(looked: Looked) -> Iterator[Finding]:
    for index, operation in looked.leaves():
        for code in _codes(operation):
            if getattr(code, "__name__", "") == "<lambda>":
                text = f"{looked.step.key} runs a lambda, which no plan, log or traceback can tell by its name."
                hint = "Make it a function with a name, or RunPython.noop."
                yield looked.finding("rollback.C006", text, hint, index, line=_line_of(code, looked))


def commits(looked: Looked) -> Iterator[Finding]:
    for index, operation in looked.leaves():
        if isinstance(operation, RunSQL) and (words := ends_transaction(operation.reverse_sql or "")):
            text = f"{looked.step.key} has reverse SQL with {words}, which would end the transaction of a rollback half-way."
            yield looked.finding("rollback.C007", text, f"Take {words} out of the reverse SQL.", index)


def needs_no_transaction(looked: Looked) -> Iterator[Finding]:
    if not looked.step.migration.atomic:
        return
    for index, operation in looked.leaves():
        words = type(operation).__name__ if is_concurrent(type(operation)) else ""
        if isinstance(operation, RunSQL):
            words = refuses_transaction(operation.sql) or refuses_transaction(operation.reverse_sql or "")
        if words:
            text = f"{looked.step.key} is atomic, and {words} cannot run inside a transaction."
            hint = "Put it into a migration of its own, with atomic = False on the Migration class."
            yield looked.finding("rollback.C008", text, hint, index)


def undeclared_dependency(looked: Looked) -> Iterator[Finding]:
    seen = set()
    for app, model, line in looked.source.models_asked_for():
        if app in looked.installed - looked.apps and (app, model) not in seen:
            seen.add((app, model))
            text = f"{looked.step.key} uses {app}.{model} and depends on no migration of {app}."
            hint = f"Add one to its dependencies: the migration of {app} that made the model as it is used here."
            yield looked.finding("rollback.C009", text, hint, line=line)


def _destroying(looked: Looked) -> Iterator[Any]:
    """The effects of applying it, if what they destroy is neither kept nor declared."""
    if not (looked.kept or looked.declared.get("breaking") is True):
        yield from looked.applying.effects


def _codes(operation: Any) -> Iterator[Any]:
    if isinstance(operation, RunPython):
        yield from filter(None, (operation.code, operation.reverse_code))


def _line_of(code: Any, looked: Looked) -> int:
    """Of a function in the migration's own file; else of the operation."""
    here = getattr(code, "__module__", "") == type(looked.step.migration).__module__
    return code.__code__.co_firstlineno if here else 0


def _does_nothing(code: Any) -> bool:
    """Is it RunPython.noop, or a function that only returns nothing?"""
    if code == RunPython.noop:
        return True
    made = getattr(code, "__code__", None)
    kinds = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    return made is not None and not made.co_names and {each.opname for each in dis.get_instructions(made)} <= kinds


# In the order of their ids.
CHECKS: tuple[Check, ...] = (
    irreversible,
    reverses_nothing,
    loses,
    narrowing,
    cascading,
    unnamed,
    commits,
    needs_no_transaction,
    undeclared_dependency,
    missing,
    contradicted,
    mistyped,
)
