"""The text of a migration's file: on which lines its operations are, and for which models its code asks."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

_CATCHES = {"LookupError", "Exception", "KeyError"}


@dataclass(frozen=True)
class Source:
    """file: what to call it. text: what is in it; empty, if that is not known."""

    file: str
    text: str

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def _class(self) -> ast.ClassDef | None:
        classes = [node for node in self._tree.body if isinstance(node, ast.ClassDef)]
        return next((node for node in classes if node.name == "Migration"), None)

    @property
    def line(self) -> int:
        """Where the class begins; 1, if there is none."""
        return self._class.lineno if self._class else 1

    def line_of(self, index: int, number: int) -> int:
        """Where the operation of this index begins. number: of operations that there are. Where they are not written as a list,
        the line of the class."""
        for node in self._class.body if self._class else ():
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.List):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                if names == ["operations"] and len(node.value.elts) == number:
                    return node.value.elts[index].lineno
        return self.line

    def function(self, name: str) -> ast.FunctionDef | None:
        """That of this name; None, if none or several are defined here."""
        found = [node for node in self._tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        return found[0] if len(found) == 1 else None

    @cached_property
    def foreign(self) -> Mapping[str, str]:
        """What code here may call besides methods: where each name that is imported comes from; "" for what is defined here."""
        found: dict[str, str] = {}
        for node in self._tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found[node.name] = ""
            elif isinstance(node, ast.Import):
                found |= {(each.asname or each.name).partition(".")[0]: each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                found |= {each.asname or each.name: f"{module}.{each.name}" for each in node.names}
        return found

    def models_asked_for(self) -> Iterator[tuple[str, str, int]]:
        """(app, model, line) of each `apps.get_model("app", "Model")` in a function, unless its LookupError is caught."""
        yield from _asked(self._tree, frozenset())


def _asked(node: ast.AST, registries: frozenset[str]) -> Iterator[tuple[str, str, int]]:
    """registries: what the functions around it call the registry of apps that they are given."""
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        registries |= {*names[:1], *({"apps"} & set(names))}
    if isinstance(node, ast.Call) and (found := model_asked_for(node, registries)):
        yield (*found, node.lineno)
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Try) and any(_is_caught(handler) for handler in node.handlers):
        children = [*node.handlers, *node.orelse, *node.finalbody]
    for child in children:
        yield from _asked(child, registries)


def _is_caught(handler: ast.ExceptHandler) -> bool:
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else _CATCHES
    return bool(names & _CATCHES)


def model_asked_for(call: ast.Call, registries: Collection[str]) -> tuple[str, str] | None:
    """(app, model), if this is `apps.get_model("app", "Model")`."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr == "get_model"):
        return None
    if not (isinstance(function.value, ast.Name) and function.value.id in registries):
        return None
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    values = [*call.args, *(given[name] for name in ("app_label", "model_name") if name in given)]
    words = [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    if len(words) == 1 and len(values) == 1:
        words = words[0].split(".")
    return (words[0], words[1]) if len(words) == 2 else None
