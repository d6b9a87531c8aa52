"""Small mistakes to plant in a module: each mutant is the module with one node of its syntax tree changed.

A mutant is named by the function that it stands in and by what was there and is there now, not by its line, so that it
keeps its name when lines move.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants"]

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_EXCHANGED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_WHOLE = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)  # turned, each says the opposite


@dataclass(frozen=True)
class Mutant:
    """One change of one module, and the whole source with it."""

    where: str  # the function or class, as __qualname__ has it; "" at the top of the module
    line: int  # of the original
    last_line: int
    in_function: bool  # runs when it is called; otherwise with the import
    kind: str
    was: str
    becomes: str
    nth: int  # among those of this function that read the same, from 1
    source: str

    @property
    def name(self) -> str:
        """The same for the same change, whatever else changes in the module."""
        parts = (self.where, self.kind, self.was, self.becomes, str(self.nth))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of `source`, in the order of its lines; none comes twice.

    Left alone: what has no effect when it runs or is words alone - annotations, docstrings, decorators, assertions,
    the words of messages, `__all__`, what stands under `if TYPE_CHECKING`, and bodies of protocols.
    """
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    same: Counter[tuple[str, ...]] = Counter()
    found = []
    for path, scope in _places(tree):
        node = _at(tree, path)
        for kind, change in _changes(node, scope):
            was, lines = ast.unparse(node), _lines(node)
            replaced = change(copy.deepcopy(node))
            _put(tree, path, replaced)
            text = ast.unparse(tree)
            _put(tree, path, node)
            if text not in seen:
                seen.add(text)
                reads = (scope.name, kind, was, ast.unparse(replaced))
                same[reads] += 1
                found.append(Mutant(scope.name, *lines, scope.function is not None, *reads[1:], same[reads], text))
    yield from sorted(found, key=lambda mutant: mutant.line)


# ------------------------------------------------------------------------------------------------ where
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class _Scope:
    name: str = ""
    function: _Function | None = None
    outer: _Function | None = None


_Path = tuple[tuple[str, int | None], ...]


def _places(tree: ast.Module) -> Iterator[tuple[_Path, _Scope]]:
    yield from _below(tree, (), _Scope())


def _below(node: ast.AST, path: _Path, scope: _Scope) -> Iterator[tuple[_Path, _Scope]]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "keywords" if isinstance(node, ast.ClassDef) else ""):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST) or _is_left_alone(child):
                continue
            here = (*path, (name, index))
            # Defaults are made with the function, not in it.
            inner = _Scope(scope.name, scope.outer) if isinstance(child, ast.arguments) else scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                qualified = f"{scope.name}.{child.name}" if scope.name else child.name
                inside = scope.function if isinstance(child, ast.ClassDef) else child
                inner = _Scope(qualified, inside, scope.function)
            if isinstance(child, ast.expr | ast.stmt):
                yield here, inner
            yield from _below(child, here, inner)


def _lines(node: ast.AST) -> tuple[int, int]:
    """Of what runs when the mutant does: of a compound statement the condition."""
    part = node.test if isinstance(node, ast.If | ast.While | ast.IfExp) else node
    return part.lineno, part.end_lineno or part.lineno


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.ClassDef):
        return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _at(tree: ast.AST, path: _Path) -> ast.AST:
    for name, index in path:
        value = getattr(tree, name)
        tree = value if index is None else value[index]
    return tree


def _put(tree: ast.AST, path: _Path, node: ast.AST) -> None:
    parent, (name, index) = _at(tree, path[:-1]), path[-1]
    if index is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[index] = node


# ------------------------------------------------------------------------------------------------ what
def _changes(node: ast.AST, scope: _Scope):
    """The kinds of change that fit `node`, each with a function from a copy of it to what stands there instead."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            yield "comparison turned", lambda new, place=place, operator=operator: _turned(new, place, operator)
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not _is_turned_already(node.test):
        yield "condition negated", _with_test_negated
    if isinstance(node, ast.BoolOp):
        yield "and/or swapped", _swapped
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not dropped", lambda new: new.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "truth turned", lambda new: ast.copy_location(ast.Constant(not new.value), new)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "constant off by one", lambda new: ast.copy_location(ast.Constant(new.value + 1), new)
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _EXCHANGED:
        yield "arithmetic exchanged", _exchanged
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
        yield "call dropped", lambda new: ast.copy_location(ast.Pass(), new)
    if isinstance(node, ast.Raise):
        yield "refusal dropped", lambda new: ast.copy_location(ast.Pass(), new)
    if isinstance(node, ast.Break | ast.Continue):
        other = ast.Continue if isinstance(node, ast.Break) else ast.Break
        yield "break/continue swapped", lambda new: ast.copy_location(other(), new)
    if isinstance(node, ast.Return) and node.value is not None:
        yield from _returns(node, scope)


def _is_turned_already(test: ast.expr) -> bool:
    """Its negation is a mutant of its own kind."""
    if isinstance(test, ast.Compare):
        return len(test.ops) == 1 and isinstance(test.ops[0], _WHOLE)
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _turned(new: ast.Compare, place: int, operator: ast.cmpop) -> ast.Compare:
    new.ops[place] = _TURNED[type(operator)]()
    return new


def _with_test_negated(new: ast.If | ast.While | ast.IfExp) -> ast.AST:
    new.test = ast.UnaryOp(ast.Not(), new.test)
    return new


def _swapped(new: ast.BoolOp) -> ast.BoolOp:
    new.op = ast.Or() if isinstance(new.op, ast.And) else ast.And()
    return new


def _exchanged(new: ast.BinOp | ast.AugAssign) -> ast.AST:
    new.op = _EXCHANGED[type(new.op)]()
    return new


def _returns(node: ast.Return, scope: _Scope):
    if isinstance(node.value, ast.Constant):  # a number or a truth is turned by itself
        if isinstance(node.value.value, str | bytes) and node.value.value:
            yield "return value", lambda new: ast.copy_location(ast.Return(ast.Constant(None)), new)
        return
    answer = scope.function.returns if scope.function is not None else None
    if isinstance(answer, ast.Name) and answer.id == "bool":
        yield "return value", lambda new: ast.copy_location(ast.Return(ast.UnaryOp(ast.Not(), new.value)), new)
    else:
        yield "return value", lambda new: ast.copy_location(ast.Return(ast.Constant(None)), new)
