"""Plants mutants one after another, runs the tests that reach each, and keeps what came of it in a file.

The file makes a campaign resumable: a kill holds as long as its module stays as it is, a survival only as long as the
tests do too.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutation.groups import Equivalent, Group
from tests.mutation.operators import Mutant, mutants
from tests.mutation.runs import Runner
from tests.mutation.tree import Tree

__all__ = ["BUDGET", "EQUIVALENT", "KILLED", "SURVIVED", "TIME", "UNREACHED", "Campaign", "Found", "chosen"]

BUDGET = 20.0  # seconds of tests, as they were measured, that one mutant is held against; the quick ones first
_STARTING = 8.0  # seconds of processor time that a run may take beside its tests
_SLACK = 4  # times as much as was measured; of the wall clock again as much, for the machine may be busy
_MOST_TESTS = 300

KILLED, TIME, SURVIVED, UNREACHED, EQUIVALENT = "killed", "time", "survived", "unreached", "equivalent"


@dataclass(frozen=True)
class Found:
    """A mutant of a module of a group."""

    group: Group
    module: str
    mutant: Mutant


def chosen(root: Path, modules: Sequence[tuple[Group, str]], *, sample: int = 0, seed: int = 0) -> list[Found]:
    """The mutants of these modules; with `sample` so many of them, drawn by `seed`, in their order."""
    everything = [
        Found(group, module, mutant)
        for group, module in modules
        for mutant in mutants((root / module).read_text(encoding="utf-8"))
    ]
    if not sample or sample >= len(everything):
        return everything
    drawn = sorted(random.Random(seed).sample(range(len(everything)), sample))
    return [everything[index] for index in drawn]


class Campaign:
    """Runs mutants in a copied tree. What is known already is not run again."""

    def __init__(self, tree: Tree, runner: Runner, state: Path, equivalents: Sequence[Equivalent] = ()) -> None:
        self._tree = tree
        self._runner = runner
        self._path = state
        self._equivalents = equivalents
        self._state: dict[str, Any] = {"reach": {}, "results": {}}
        if state.exists():
            self._state = json.loads(state.read_text(encoding="utf-8"))

    def outcome(self, each: Found, budget: float = BUDGET) -> dict[str, Any]:
        """What comes of a mutant, run if it is not known yet.

        Raises RuntimeError when a test fails without any mutant: it would notice everything.
        """
        known = self.known(each)
        if known is None:
            known = self._run(each, budget)
            self._state["results"].setdefault(each.module, {})[each.mutant.name] = known
            self._save()
        return known

    def known(self, each: Found) -> dict[str, Any] | None:
        """What is known of a mutant without running it."""
        if any(row.is_of(each.module, each.mutant) for row in self._equivalents):
            return {"outcome": EQUIVALENT}
        known: dict[str, Any] | None = self._state["results"].get(each.module, {}).get(each.mutant.name)
        if known is None or known["module"] != self._digest([each.module]):
            return None
        if known["outcome"] in (SURVIVED, UNREACHED) and known["tests"] != self._tests_digest(each.group):
            return None
        return known

    # ------------------------------------------------------------------ one mutant

    def _run(self, each: Found, budget: float) -> dict[str, Any]:
        tests, processes = self._covering(each, budget)
        kept = {"module": self._digest([each.module]), "tests": self._tests_digest(each.group)}
        if not tests and not processes:
            return {"outcome": UNREACHED, **kept}
        seconds = 0.0
        self._tree.plant(each.module, each.mutant.source)
        try:
            for part in (tests, processes):
                if not part:
                    continue
                allowed = _STARTING + _SLACK * sum(part.values())
                ended = self._runner.run(list(part), cpu=allowed, wall=_SLACK * allowed)
                seconds += ended.seconds
                if not ended.passed:
                    outcome = TIME if ended.ended == "time" else KILLED
                    return {"outcome": outcome, "by": ended.failed, "seconds": round(seconds, 2), **kept}
        finally:
            self._tree.restore(each.module)
        return {"outcome": SURVIVED, "ran": len(tests) + len(processes), "seconds": round(seconds, 2), **kept}

    # ------------------------------------------------------------------ which tests

    def _covering(self, each: Found, budget: float) -> tuple[dict[str, float], dict[str, float]]:
        """Tests that reach the mutant in their own process, and those that do so in another, with their seconds."""
        reach = self._reach(each.group)
        lines = set(range(each.mutant.line, each.mutant.last_line + 1))
        own: list[tuple[bool, float, str]] = []
        for name, test in reach.items():
            reached = test["lines"].get(each.module, ())
            # What is made with the import is seen by whoever reads it, also without a line of the module.
            if not test["process"] and (not each.mutant.in_function or not lines.isdisjoint(reached)):
                own.append((not reached, test["seconds"], name))
        others = [(False, test["seconds"], name) for name, test in reach.items() if test["process"]]
        return _within(own, budget), _within(others, 3 * budget)

    def _reach(self, group: Group) -> dict[str, dict[str, Any]]:
        digest = self._digest([*group.modules]) + self._tests_digest(group)
        known = self._state["reach"].get(group.name)
        if known is None or known["digest"] != digest:
            tests = {}
            for paths, process in ((group.tests, False), (group.processes, True)):
                if paths:
                    tests |= self._measured(group, paths, process=process)
            known = self._state["reach"][group.name] = {"digest": digest, "tests": tests}
            self._save()
        reached: dict[str, dict[str, Any]] = known["tests"]
        return reached

    def _measured(self, group: Group, paths: Sequence[str], *, process: bool) -> dict[str, dict[str, Any]]:
        ended, tests = self._runner.measure(paths, group.modules, wall=1800)
        if not ended.passed:
            raise RuntimeError(f"a test fails without any mutant: {ended.failed}\n{ended.output[-2000:]}")
        return {name: {**test, "process": process} for name, test in tests.items() if test.get("passed")}

    # ------------------------------------------------------------------ the file

    def _tests_digest(self, group: Group) -> str:
        paths = []
        for test in (*group.tests, *group.processes):
            named = self._tree.root / test.partition("::")[0]
            paths += sorted(named.rglob("*.py")) if named.is_dir() else [named]
        return self._digest([str(path.relative_to(self._tree.root)) for path in paths])

    def _digest(self, paths: Sequence[str]) -> str:
        digest = hashlib.sha256()
        for path in paths:
            digest.update((self._tree.root / path).read_bytes())
        return digest.hexdigest()[:16]

    def _save(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(self._state), encoding="utf-8")
        draft.replace(self._path)


def _within(tests: list[tuple[bool, float, str]], budget: float) -> dict[str, float]:
    """Those that reach the module first, and of these the quick ones, as many as fit; one in any case."""
    taken: dict[str, float] = {}
    for _far, seconds, name in sorted(tests)[:_MOST_TESTS]:
        if taken and sum(taken.values()) + seconds > budget:
            break
        taken[name] = seconds
    return taken
