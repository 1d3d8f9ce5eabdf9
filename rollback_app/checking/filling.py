"""What the text of code tells: that it fills a column which the same migration adds, or one that it adds again when it is undone;
that it leaves nothing behind. In doubt, that it may do anything."""

from __future__ import annotations

import ast
import builtins
import sys
from dataclasses import dataclass
from typing import Any

from django.db.migrations import AddField, RemoveField, RunPython

from rollback_app.planner import changes_something

from .new import Looked
from .source import Source, model_asked_for

# Methods that may change more than the fields that are named in their call.
_MAY_DO_MORE = {
    *("create", "get_or_create", "update_or_create", "bulk_create", "delete", "add", "set", "remove", "clear"),
    *("execute", "executemany", "callproc", "cursor", "raw"),
}
_DOES_ANYTHING = {"setattr", "delattr", "exec", "eval", "__import__"}


@dataclass(frozen=True)
class _Filled:
    """What code sets, through one model, and that is all that it does. model: (app, name); None, if that is not written out."""

    model: tuple[str, str] | None
    fields: frozenset[str]

    def is_of(self, app: str, operation: Any) -> bool:
        """Of the model of an operation on a field?"""
        return self.model is None or (self.model[0], self.model[1].lower()) == (app, operation.model_name_lower)


def fills_what_is_new(looked: Looked, index: int) -> bool:
    """Does the code of this operation only fill columns that the migration has added before it, and drops when it is undone?"""
    leaves = list(looked.leaves())
    filled = [_filled(looked, leaf.code) for place, leaf in leaves if place == index and isinstance(leaf, RunPython)]
    added = [leaf for place, leaf in leaves if place < index and isinstance(leaf, AddField)]
    return bool(filled) and all(each is not None and _are_added(looked, each, added) for each in filled)


def _are_added(looked: Looked, filled: _Filled, added: list[AddField]) -> bool:
    ours = [each for each in added if each.name in filled.fields and filled.is_of(looked.step.key.app, each)]
    return {each.name for each in ours} == filled.fields and len({each.model_name_lower for each in ours}) == 1


def is_filled_again(looked: Looked, index: int) -> bool:
    """Does this operation remove a field that the reverse of code before it fills when the migration is undone?"""
    leaves = list(looked.leaves())
    removed = [leaf for place, leaf in leaves if place == index and isinstance(leaf, RemoveField)]
    before = [leaf for place, leaf in leaves if place < index and isinstance(leaf, RunPython)]
    filled = [found for each in before if each.reverse_code and (found := _filled(looked, each.reverse_code))]
    return bool(removed) and all(
        any(each.name in code.fields and code.is_of(looked.step.key.app, each) for code in filled) for each in removed
    )


def leaves_nothing(looked: Looked, index: int) -> bool:
    """Does the code of this operation only send SQL, written out, that leaves nothing behind?"""
    codes = [leaf.code for place, leaf in looked.leaves() if place == index and isinstance(leaf, RunPython)]
    functions = [_function(looked, code) for code in codes]
    return bool(codes) and all(function is not None and _leaves_nothing(function) for function in functions)


def _leaves_nothing(function: ast.FunctionDef) -> bool:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return bool(calls) and not any(
        not (isinstance(call.func, ast.Attribute) and call.func.attr == "execute")
        or not (len(call.args) == 1 and isinstance(call.args[0], ast.Constant))
        or changes_something(call.args[0].value)
        for call in calls
    )


def _function(looked: Looked, code: Any) -> ast.FunctionDef | None:
    """None, if it is not in the file of the migration."""
    here = getattr(code, "__module__", "") == type(looked.step.migration).__module__
    return looked.source.function(getattr(code, "__name__", "")) if here else None


def _filled(looked: Looked, code: Any) -> _Filled | None:
    """None, if it may do anything else, or is not in the file of the migration."""
    function, source = _function(looked, code), looked.source
    if function is None:
        return None
    arguments = [argument.arg for argument in function.args.args]
    attributes = (node for node in ast.walk(function) if isinstance(node, ast.Attribute))
    assigned = frozenset(each.attr for each in attributes if isinstance(each.ctx, ast.Store))
    asked, fields = [], set[str]()
    for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name == "get_model":
            asked.append(model_asked_for(call, arguments[:1]))
        elif name in ("update", "bulk_update", "save"):
            found = _fields_of(name, call, assigned)
            if found is None:
                return None
            fields |= found
        elif name in _MAY_DO_MORE or not _only_reads(call.func, source, arguments):
            return None
    return _Filled(asked[0], frozenset(fields)) if len(asked) == 1 and fields else None


def _fields_of(name: str, call: ast.Call, assigned: frozenset[str]) -> frozenset[str] | None:
    """The fields that one of these methods sets; None, if they are not written out. assigned: what is set on rows before."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name == "update":
        return None if call.args or None in given else frozenset(filter(None, given))
    names = given.get("update_fields") if name == "save" else given.get("fields", [*call.args, None, None][1])
    if names is None:
        return assigned if name == "save" and not call.args and None not in given else None
    words = names.elts if isinstance(names, (ast.List, ast.Tuple)) else []
    written = frozenset(each.value for each in words if isinstance(each, ast.Constant) and isinstance(each.value, str))
    return written if written and len(written) == len(words) else None


def _only_reads(called: ast.expr, source: Source, arguments: list[str]) -> bool:
    """Is it a method of a row or a query, a builtin, or something of Python's or Django's library that computes?"""
    is_method, root = isinstance(called, ast.Attribute), called
    while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)):
        root = root.value if not isinstance(root, ast.Call) else root.func
    if not isinstance(root, ast.Name):
        return is_method  # of a text, or of a list
    if root.id in source.foreign:
        module = source.foreign[root.id]
        return module.partition(".")[0] in sys.stdlib_module_names or module.startswith(
            ("django.utils", "django.db.models")
        )
    if not is_method:
        return hasattr(builtins, root.id) and root.id not in _DOES_ANYTHING
    return root.id not in arguments[1:2]  # the schema editor
