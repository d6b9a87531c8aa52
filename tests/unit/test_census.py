"""The census of the product: how many modules stand in which room, and that each room says what it is.

`make check` runs it with the rules of the house (test_house.py), whose trees of files it reads. As there, each rule
is run over what git tracks, and over a small tree with a breach planted in it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.test_house import PACKAGES, ROOT, Rule, Tree, planted_tree, tracked

MOST = 26  # modules in a room, `__init__` not counted: more, and nobody finds one by reading the list
FLAT = 20  # beyond that, a room that is not divided needs a reason
FLAT_ROOMS: dict[str, str] = {
    "drm/isobmff": "a module for each box or table of one standard, by its name",
    "drm/session": "a module for each object of the Media Session, by its name",
    "drm/trust/authority": "a module for each act of a publisher, by its name",
}

# Where the code of a package runs, in the words that its docstring may use.
PLACES = re.compile(r"\b(?:application|worker|process(?:es)?|license server|clearkey|command|verbs?|pytest|alembic)\b")
FEWEST_WORDS = 6  # of that docstring: a name alone says too little


# ------------------------------------------------------------------------------------------------ rules
def census(tree: Tree) -> Counter[str]:
    """Modules of the product by folder, `__init__.py` counted by no folder."""
    paths = map(PurePosixPath, tree.paths)
    return Counter(
        str(path.parent)
        for path in paths
        if path.suffix == ".py" and path.name != "__init__.py" and path.parts[0] in PACKAGES
    )


def crowded_rooms(tree: Tree) -> Iterator[str]:
    for folder, modules in sorted(census(tree).items()):
        if modules > MOST:
            yield f"{folder} holds {modules} modules, more than {MOST}: which of them are a room of their own?"
        elif modules > FLAT and folder not in FLAT_ROOMS:
            yield f"{folder} holds {modules} modules, more than {FLAT}, and no reason says why it is not divided"


def silent_packages(tree: Tree) -> Iterator[str]:
    for path, module in tree.python(packages=True):
        if not path.endswith("/__init__.py"):
            continue
        said = ast.get_docstring(module) or ""
        first = said.partition("\n\n")[0]
        if not first.endswith(".") or len(first.split()) < FEWEST_WORDS:
            yield f"{path} does not say in a sentence what the package is"
        elif not PLACES.search(said):
            yield f"{path} does not say where the package runs"


# ------------------------------------------------------------------------------------------------ the tests
def room(modules: int) -> dict[str, str]:
    return {f"drm/room/m{number}.py": "__all__ = []\n" for number in range(modules)}


GOOD = '"""A room of the platform. Runs in the application alone."""\n'
# Each rule with files that break it once, and what its breach names.
PLANTED: list[tuple[Rule, dict[str, str], str]] = [
    (crowded_rooms, room(FLAT + 1), "no reason"),
    (crowded_rooms, room(MOST + 1), f"more than {MOST}"),
    (silent_packages, {"drm/room/__init__.py": ""}, "what the package is"),
    (silent_packages, {"drm/room/__init__.py": '"""Boxes."""\n'}, "what the package is"),
    (silent_packages, {"drm/room/__init__.py": '"""All the boxes that we know of."""\n'}, "where the package runs"),
    (silent_packages, {"player/__init__.py": "# A comment of the command is not a docstring, however long it is.\n"},
     "what the package is"),
]  # fmt: skip


@pytest.mark.parametrize("rule", [crowded_rooms, silent_packages], ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule: Rule) -> None:
    assert list(rule(tracked())) == []


@pytest.mark.parametrize(("rule", "files", "named"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_the_rule_finds_a_planted_breach(tmp_path: Path, rule: Rule, files: dict[str, str], named: str) -> None:
    sound = {"drm/room/__init__.py": GOOD, **room(FLAT), **{f"tests/t{number}.py": "" for number in range(MOST + 1)}}
    assert list(rule(planted_tree(tmp_path / "sound", sound))) == []
    breaches = list(rule(planted_tree(tmp_path / "broken", {**sound, **files})))
    assert len(breaches) == 1
    assert named in breaches[0]


def test_no_reason_outlives_its_room() -> None:
    """A room that is small again would be free to grow."""
    modules = census(tracked())
    assert [folder for folder in FLAT_ROOMS if modules[folder] <= FLAT] == []


def test_the_census_counts_every_module_once() -> None:
    """Print it (`pytest -s`): modules and lines of each folder. What lies on the disk is what git tracks."""
    modules, lines = Counter[str](), Counter[str]()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            folder = path.parent.relative_to(ROOT).as_posix()
            modules[folder] += 1
            lines[folder] += len(path.read_text(encoding="utf-8").splitlines())
    for folder in sorted(modules):
        print(f"{modules[folder]:4} {lines[folder]:7,} {folder}")
    print(f"{modules.total():4} {lines.total():7,} in all")
    assert modules.total() == sum(1 for _ in tracked().python(packages=True)), "a module that git does not track"
