"""The mutants of small sources: each kind of change, what is left alone, and names that last."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.operators import mutants


def changes(source: str) -> set[tuple[str, str]]:
    return {(mutant.was, mutant.becomes) for mutant in mutants(source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, b):\n    x = a < b", {("a < b", "a <= b")}),
        ("def f(a, b):\n    x = a >= b", {("a >= b", "a > b")}),
        ("def f(a, b):\n    x = a == b", {("a == b", "a != b")}),
        ("def f(a, b):\n    x = a is not b", {("a is not b", "a is b")}),
        ("def f(a, b):\n    x = a in b", {("a in b", "a not in b")}),
        ("def f(a, b, c):\n    x = a < b < c", {("a < b < c", "a <= b < c"), ("a < b < c", "a < b <= c")}),
        ("def f(a, b):\n    x = a and b", {("a and b", "a or b")}),
        ("def f(a):\n    x = not a", {("not a", "a")}),
        ("def f():\n    x = True", {("True", "False")}),
        ("x = 7", {("7", "8")}),
        ("def f(a):\n    a += a", {("a += a", "a -= a")}),
        ("def f(a):\n    x = a << a", {("a << a", "a >> a")}),
        ("def f(a):\n    a.wipe()", {("a.wipe()", "pass")}),
        ("def f(a):\n    raise a", {("raise a", "pass")}),
        ("def f(a):\n    return a", {("return a", "return None")}),
        ("def f(a) -> bool:\n    return a", {("return a", "return not a")}),
        ("def f():\n    return 'text'", {("return 'text'", "return None")}),
        ("def f():\n    return None", set()),
        ("def f(a):\n    for b in a:\n        break", {("break", "continue")}),
        ("def f(a):\n    x = 1 if a else a", {("1 if a else a", "1 if not a else a"), ("1", "2")}),
    ],
)
def test_each_kind_of_change(source: str, expected: set[tuple[str, str]]) -> None:
    assert changes(source) == expected


def test_a_condition_is_negated_unless_its_turned_comparison_says_the_same() -> None:
    assert changes("def f(a):\n    if a:\n        pass") == {("if a:\n    pass", "if not a:\n    pass")}
    assert changes("def f(a):\n    while a < a:\n        pass") == {
        ("a < a", "a <= a"),
        ("while a < a:\n    pass", "while not a < a:\n    pass"),
    }
    assert changes("def f(a):\n    if a == a:\n        pass") == {("a == a", "a != a")}
    assert changes("def f(a):\n    if not a:\n        pass") == {("not a", "a")}


@pytest.mark.parametrize(
    "source",
    [
        '"""A number: 7."""',
        "def f(a: 'list[7]') -> 'set[7]':\n    pass",
        "@dataclass(slots=True)\nclass A(Base, frozen=True):\n    pass",
        "def f(a):\n    assert a == 7",
        "def f(a):\n    x = f'{a[7]} and {a == 7}'",
        "__all__ = ['a'] if 7 else []",
        "if TYPE_CHECKING:\n    x = 7",
        "class A(Protocol):\n    def f(self):\n        return 7",
        "import a\nfrom b import c",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert changes(source) == set()


def test_every_mutant_is_a_program_of_its_own() -> None:
    source = "def f(a, b):\n    if a < 3 and not b:\n        return a + 1\n    g(a)\n    raise ValueError(f'{a}')\n"
    found = list(mutants(source))
    sources = [mutant.source for mutant in found]
    assert len(found) == len(set(sources)) == 10
    assert ast.unparse(ast.parse(source)) not in sources
    for text in sources:
        compile(text, "mutant", "exec")


def test_a_mutant_says_where_it_is() -> None:
    source = "import a\n\nx = 1\nclass A:\n    y = 2\n    def f(self):\n        def g(\n"
    source += "            b=3,\n        ):\n            return b\n"
    found = {(m.was, m.becomes): m for m in mutants(source)}
    told = {was: (m.where, m.line, m.in_function) for (was, _), m in found.items()}
    assert told == {
        "1": ("", 3, False),
        "2": ("A", 5, False),
        "3": ("A.f.g", 8, True),
        "return b": ("A.f.g", 10, True),
    }
    (default,) = mutants("def f(a=1):\n    pass\n")
    assert (default.where, default.in_function) == ("f", False), "made when the module is imported"
    (condition,) = mutants("def f(a):\n    if (\n        a\n    ):\n        a = a\n")
    assert (condition.line, condition.last_line) == (3, 3), "of a compound statement the condition alone"


def test_a_name_outlasts_moved_lines_and_tells_twins_apart() -> None:
    source = "def f(a):\n    x = 1\n    y = 1\n"
    before, after = list(mutants(source)), list(mutants("# more\n\n\n" + source))
    assert [mutant.nth for mutant in before] == [1, 2]
    assert [mutant.name for mutant in before] == [mutant.name for mutant in after]
    assert [mutant.line for mutant in before] != [mutant.line for mutant in after]
    assert len({mutant.name for mutant in before}) == 2
