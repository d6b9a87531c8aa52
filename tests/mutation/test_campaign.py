"""A campaign over a small tree of its own: what is noticed, what is not, and what is remembered. And one over ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutation.__main__ import ROOT
from tests.mutation.campaign import EQUIVALENT, KILLED, SURVIVED, TIME, UNREACHED, Campaign, chosen
from tests.mutation.groups import Equivalent, Group, read_equivalents, read_groups
from tests.mutation.operators import mutants
from tests.mutation.runs import Runner, running
from tests.mutation.tree import Tree, copied_tree

MODULE = """\
LIMIT = 3

def is_small(number):
    return number < LIMIT

def doubled(number):
    if number > 100:
        return 200
    return number * 2

def never(number):
    return number

def counted(number):
    while number < 5:
        number += 1
    return number

def started():
    return 1
"""
TESTS = """\
import subprocess, sys
from code import *
from small import *

def test_small():
    assert is_small(2)
    assert not is_small(3)

def test_doubled():
    assert doubled(3) == 6

def test_counted():
    assert counted(1) == 5
""".replace("from code import *\n", "")
PROCESSES = """\
import subprocess, sys

def test_started():
    program = "import small; assert small.started() == 1"
    assert subprocess.run([sys.executable, "-c", program], cwd="@").returncode == 0
"""
GROUP = Group("small", ("small.py",), ("test_small.py",), ("test_started.py",))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of one module, and this package, which runs in it."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "tests" / "mutation").mkdir(parents=True)
    for path in Path(__file__).parent.glob("*.py"):
        (folder / "tests" / "mutation" / path.name).write_bytes(path.read_bytes())
    (folder / "small.py").write_text(MODULE)
    (folder / "test_small.py").write_text(TESTS)
    (folder / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\npythonpath = ["."]\naddopts = ["-p", "no:clearkey", "-p", "no:cacheprovider"]\n'
    )
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True, timeout=30)
    return folder


@pytest.fixture(scope="module")
def tree(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    target = tmp_path_factory.mktemp("copies") / "tree"
    (source / "test_started.py").write_text(PROCESSES.replace("@", str(target)))
    return copied_tree(source, target)


@pytest.fixture(scope="module")
def runner(tree: Tree) -> Iterator[Runner]:
    with running(tree) as made:
        yield made


def outcomes(campaign: Campaign, tree: Tree) -> dict[tuple[str, str, str], str]:
    found = chosen(tree.root, [(GROUP, "small.py")])
    return {
        (each.mutant.where, each.mutant.was, each.mutant.becomes): campaign.outcome(each)["outcome"] for each in found
    }


def test_what_is_noticed_and_what_is_not(tree: Tree, runner: Runner, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    never = Equivalent("small.py", "never", "return number", "return None", "nobody has ever called it, and will not")
    found = outcomes(Campaign(tree, runner, state, [never]), tree)
    assert found == {
        ("", "3", "4"): KILLED,
        ("is_small", "number < LIMIT", "number <= LIMIT"): KILLED,
        ("is_small", "return number < LIMIT", "return None"): KILLED,
        ("doubled", "number > 100", "number >= 100"): SURVIVED,
        ("doubled", "100", "101"): SURVIVED,
        ("doubled", "if number > 100:\n    return 200", "if not number > 100:\n    return 200"): KILLED,
        ("doubled", "200", "201"): SURVIVED,  # reached by no test of this process, and by none of another
        ("doubled", "return number * 2", "return None"): KILLED,
        ("doubled", "number * 2", "number // 2"): KILLED,
        ("doubled", "2", "3"): KILLED,
        ("never", "return number", "return None"): EQUIVALENT,
        ("counted", "number < 5", "number <= 5"): KILLED,
        ("counted", "5", "6"): KILLED,
        ("counted", "while number < 5:\n    number += 1", "while not number < 5:\n    number += 1"): KILLED,
        ("counted", "number += 1", "number -= 1"): TIME,
        ("counted", "1", "2"): SURVIVED,
        ("counted", "return number", "return None"): KILLED,
        ("started", "1", "2"): KILLED,
    }
    assert (tree.root / "small.py").read_text() == MODULE
    assert not list(tree.root.glob("*.original"))
    again = Campaign(tree, NoRunner(), state, [never])  # type: ignore[arg-type]  # runs nothing
    assert outcomes(again, tree) == found, "all of it is known, and nothing is run again"


class NoRunner:
    """Fails a test that runs anything."""


def test_what_is_known_holds_until_the_module_or_a_test_changes(tree: Tree, runner: Runner, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    killed, survived = (
        next(each for each in chosen(tree.root, [(GROUP, "small.py")]) if each.mutant.was == was)
        for was in ("number * 2", "number > 100")
    )
    campaign = Campaign(tree, runner, state)
    assert campaign.outcome(killed)["outcome"] == KILLED
    assert campaign.outcome(killed)["by"] == "test_small.py::test_doubled"
    assert campaign.outcome(survived)["outcome"] == SURVIVED
    tests = tree.root / "test_small.py"
    tests.write_text(TESTS + "\ndef test_hundred():\n    assert doubled(100) == 200\n    assert doubled(101) == 200\n")
    try:
        assert campaign.known(killed) is not None
        assert campaign.known(survived) is None
        assert campaign.outcome(survived)["outcome"] == SURVIVED, "twice a hundred is two hundred either way"
        (tree.root / "small.py").write_text(MODULE + "\n")
        assert campaign.known(killed) is None
    finally:
        tests.write_text(TESTS)
        (tree.root / "small.py").write_text(MODULE)


def test_a_test_that_fails_without_a_mutant_ends_the_campaign(tree: Tree, runner: Runner, tmp_path: Path) -> None:
    (tree.root / "test_small.py").write_text(TESTS + "\ndef test_no():\n    assert False\n")
    try:
        first = chosen(tree.root, [(GROUP, "small.py")])[0]
        with pytest.raises(RuntimeError, match=r"test_small\.py::test_no"):
            Campaign(tree, runner, tmp_path / "state.json").outcome(first)
    finally:
        (tree.root / "test_small.py").write_text(TESTS)


def test_a_sample_is_drawn_by_its_seed(tree: Tree) -> None:
    modules = [(GROUP, "small.py")]
    whole = [each.mutant.name for each in chosen(tree.root, modules)]

    def sample(seed: int) -> list[str]:
        return [each.mutant.name for each in chosen(tree.root, modules, sample=5, seed=seed)]

    assert sample(1) == sample(1) != sample(2)
    assert len(sample(1)) == 5
    assert [name for name in whole if name in sample(1)] == sample(1), "in their order"
    assert [each.mutant.name for each in chosen(tree.root, modules, sample=500)] == whole


def test_a_copy_is_brought_up_to_date_and_loads_itself(source: Path, tree: Tree) -> None:
    (tree.root / "gone.py").write_text("x = 1\n")
    (source / "new.py").write_text("x = 2\n")
    copied_tree(source, tree.root)
    assert not (tree.root / "gone.py").exists()
    assert (tree.root / "new.py").read_text() == "x = 2\n"
    (source / "new.py").unlink()
    program = "import sys, pytest; print(sys.prefix)"
    ran = subprocess.run([tree.python, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == str(tree.root / ".venv") != sys.prefix


# ------------------------------------------------------------------------------------------------ the tables
def test_every_group_names_modules_and_tests_that_are_there() -> None:
    groups = read_groups(ROOT)
    assert {"ita", "cenc", "lockdown", "decisions"} == {name for name, group in groups.items() if group.is_whole}
    modules = [module for group in groups.values() for module in group.modules]
    assert len(modules) == len(set(modules)), "a module belongs to one group"


@pytest.mark.parametrize(("row", "words"), [("modules = ['no/*.py']", "no/"), ("modules = ['ita/*.py']", "no_test")])
def test_a_group_that_names_nothing_is_refused(tmp_path: Path, row: str, words: str) -> None:
    (tmp_path / "groups.toml").write_text(f"[a]\n{row}\ntests = ['tests/no_test.py']\n")
    with pytest.raises(ValueError, match=words):
        read_groups(ROOT, tmp_path / "groups.toml")


def test_no_equivalent_outlives_its_mutant() -> None:
    """A row that no mutant fits would excuse one that comes later."""
    rows = read_equivalents()
    found = {row.module: list(mutants((ROOT / row.module).read_text(encoding="utf-8"))) for row in rows}
    assert [row for row in rows if not any(row.is_of(row.module, mutant) for mutant in found[row.module])] == []
    assert len({(row.module, row.where, row.was, row.becomes, row.nth) for row in rows}) == len(rows)


def test_an_equivalent_needs_a_reason(tmp_path: Path) -> None:
    row = {"module": "a.py", "where": "f", "was": "1", "becomes": "2", "reason": "it is"}
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in row.items())
    (tmp_path / "rows.toml").write_text(f"[[equivalent]]\n{lines}\n")
    with pytest.raises(ValueError, match="without a reason"):
        read_equivalents(tmp_path / "rows.toml")


# ------------------------------------------------------------------------------------------------ ours
CI_GROUPS, CI_SAMPLE, CI_SEED = ("ita", "cenc"), 40, 20_240
MOST_SURVIVORS = 2  # one in twenty


@pytest.mark.timeout(900)
def test_of_forty_mutants_of_ita_and_cenc_two_survive_at_most(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`make mutate` runs all of them. A survivor is named by its change: it wants a test, or a row with a reason."""
    groups = read_groups(ROOT)
    modules = [(groups[name], module) for name in CI_GROUPS for module in groups[name].modules]
    tree = copied_tree(ROOT, tmp_path_factory.mktemp("mutation") / "tree")
    found = chosen(ROOT, modules, sample=CI_SAMPLE, seed=CI_SEED)
    counted: Counter[str] = Counter()
    survivors = []
    with running(tree) as runner:
        campaign = Campaign(tree, runner, tree.root / "build" / "state.json", read_equivalents())
        for each in found:
            outcome = campaign.outcome(each)["outcome"]
            counted[outcome] += 1
            if outcome in (SURVIVED, UNREACHED):
                survivors.append(f"{each.module}:{each.mutant.line} {each.mutant.was} -> {each.mutant.becomes}")
    assert sum(counted.values()) == CI_SAMPLE
    assert counted[KILLED] >= CI_SAMPLE // 2, counted
    assert len(survivors) <= MOST_SURVIVORS, survivors
