"""Every word of advice that the product has, read from its source: what an error says to try, and what names a command.

A hole of an f-string stays as `{expression}`, so that a text is known by its source, and matched with what is printed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PRODUCT = ("drm", "ita", "player", "license_server", "sample_content")
PARAMETERS = frozenset({"remedy", "advice", "hint"})
_HOLE = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class Text:
    """One text of the source: where it stands, and its words with holes as `{expression}`."""

    path: str  # from the root of the repository
    line: int
    words: str
    braces: tuple[str, ...] = ()  # the holes, as they stand in `words`

    def matches(self, said: str) -> bool:
        """Whether `said` is this text with something in each hole."""
        parts = [re.escape(self.words)]
        for hole in self.braces:
            parts[-1:] = parts[-1].split(re.escape(hole), 1)
        return re.fullmatch(".*?".join(parts), said, re.DOTALL) is not None


@cache
def _trees() -> dict[str, ast.Module]:
    found = {}
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found[str(path.relative_to(ROOT))] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def _text(path: str, node: ast.expr) -> Text | None:
    if isinstance(node, ast.Constant):
        return Text(path, node.lineno, node.value) if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        words, holes = "", []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                holes.append("{" + ast.unparse(part.value) + "}")
                words += holes[-1]
            elif isinstance(part, ast.Constant):
                words += part.value
        return Text(path, node.lineno, words, tuple(holes))
    return None


def _strings(path: str, node: ast.AST) -> Iterator[Text]:
    """Yield the texts in an expression: whole f-strings, never their parts, and nothing that is only compared."""
    if isinstance(node, ast.expr) and (text := _text(path, node)):
        yield text
        return
    if isinstance(node, ast.IfExp):
        children: list[ast.AST] = [node.body, node.orelse]
    elif isinstance(node, (ast.Compare, ast.Subscript, ast.Call)):
        children = []
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from _strings(path, child)


@cache
def _positions() -> dict[str, int]:
    """Functions and classes with a parameter that takes advice: name to the place among positional ones."""
    found: dict[str, int] = {}
    for tree in _trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [each.arg for each in node.args.args if each.arg not in {"self", "cls"}]
                for name in PARAMETERS & set(names):
                    found[node.name] = names.index(name)
            elif isinstance(node, ast.ClassDef):
                fields = [each.target.id for each in node.body
                          if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]  # fmt: skip
                for name in PARAMETERS & set(fields):
                    found[node.name] = fields.index(name)
    return found


def _sources(node: ast.AST, told: dict[str, int]) -> Iterator[ast.expr]:
    """Yield the expressions in which `node` hands advice over or keeps it."""
    if isinstance(node, ast.keyword) and node.arg in PARAMETERS:
        yield node.value
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in told and len(node.args) > told[name]:
            yield node.args[told[name]]
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            if name in PARAMETERS and node.value is not None:
                yield node.value


@cache
def _named(tree: ast.Module, name: str) -> tuple[ast.expr, ...]:
    return tuple(_found(tree, name))


def _found(tree: ast.Module, name: str) -> Iterator[ast.expr]:
    """Yield what is assigned to `name` anywhere in a file, also as one of several names."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value
                elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    yield from (value for each, value in zip(target.elts, node.value.elts, strict=True)
                                if isinstance(each, ast.Name) and each.id == name)  # fmt: skip
        elif isinstance(node, ast.For) and isinstance(node.target, ast.Tuple) and isinstance(node.iter, ast.Name):
            places = [at for at, each in enumerate(node.target.elts) if isinstance(each, ast.Name) and each.id == name]
            for table in _named(tree, node.iter.id) if places else ():
                if isinstance(table, ast.Tuple):
                    yield from (row.elts[places[0]] for row in table.elts if isinstance(row, ast.Tuple))
        elif isinstance(node, ast.FunctionDef) and node.name == name:
            yield from (each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names in an expression; what fills the hole of a text is no advice by itself."""
    if isinstance(node, ast.Name):
        yield node.id
    elif not isinstance(node, (ast.JoinedStr, ast.Compare)):
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


@cache
def remedies() -> tuple[Text, ...]:
    """Everything that an error or a verdict says to try, each text once for each file."""
    found: dict[tuple[str, str], Text] = {}
    told = _positions()
    for path, tree in _trees().items():
        for node in ast.walk(tree):
            for expression in _sources(node, told):
                waiting, seen = [expression], set()
                while waiting:
                    each = waiting.pop()
                    for text in _strings(path, each):
                        if text.words.strip() and text.words != ", or ":
                            found.setdefault((path, text.words), text)
                    names = set(_names(each)) - seen
                    seen |= names
                    waiting += [value for name in names for value in _named(tree, name)]
    return tuple(sorted(found.values(), key=lambda text: (text.path, text.line)))


@cache
def texts() -> tuple[Text, ...]:
    """Every text of the product, docstrings among them."""
    found = []
    for path, tree in _trees().items():
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)
                  if part is not node}  # fmt: skip
        found += [text for node in ast.walk(tree) if id(node) not in inside and isinstance(node, ast.expr)
                  and (text := _text(path, node))]  # fmt: skip
    return tuple(found)


@cache
def classes() -> dict[str, set[str]]:
    """The classes of the product by name, each with the names of its methods and members."""
    found: dict[str, set[str]] = {}
    for tree in _trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                methods = {each.name for each in node.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))}
                members = {
                    each.target.id
                    for each in node.body
                    if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
                }
                found.setdefault(node.name, set()).update(methods | members)
    return found
