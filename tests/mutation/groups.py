"""Which modules are mutated and which tests must notice, and which mutants change nothing: two tables, read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.operators import Mutant

__all__ = ["Equivalent", "Group", "read_equivalents", "read_groups"]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Group:
    """Modules that the same tests cover."""

    name: str
    modules: tuple[str, ...]  # paths from the root
    tests: tuple[str, ...]  # that reach them in their own process: followed line by line
    processes: tuple[str, ...] = ()  # that reach them in a process that they start: run whole, after the others
    is_whole: bool = False  # small enough, and important enough, to be run whole


@dataclass(frozen=True)
class Equivalent:
    """A change that no test can notice, and why."""

    module: str
    where: str
    was: str
    becomes: str
    reason: str
    nth: tuple[int, ...] = ()  # none: each that reads so

    def is_of(self, module: str, mutant: Mutant) -> bool:
        """Whether it speaks of this mutant."""
        told = (self.module, self.where, self.was, self.becomes)
        return told == (module, mutant.where, mutant.was, mutant.becomes) and (not self.nth or mutant.nth in self.nth)


def read_groups(root: Path, table: Path = HERE / "groups.toml") -> dict[str, Group]:
    """The groups by name. Raises ValueError for a path or pattern of the table that names nothing."""
    found = {}
    for name, row in tomllib.loads(table.read_text(encoding="utf-8")).items():
        modules = []
        for pattern in row["modules"]:
            paths = sorted(str(path.relative_to(root)) for path in root.glob(pattern) if path.name != "__init__.py")
            if not paths:
                raise ValueError(f"{table.name}: group {name} names {pattern}, and there is no such module")
            modules += paths
        named = (*row["tests"], *row.get("processes", ()))
        missing = [test for test in named if not (root / test.partition("::")[0]).exists()]
        if missing:
            raise ValueError(f"{table.name}: group {name} names {missing[0]}, and there is no such test")
        found[name] = Group(
            name, tuple(modules), tuple(row["tests"]), tuple(row.get("processes", ())), row.get("whole", False)
        )
    return found


def read_equivalents(table: Path = HERE / "equivalents.toml") -> list[Equivalent]:
    """The mutants that change nothing. Raises TypeError or ValueError for a row that is not one."""
    rows = tomllib.loads(table.read_text(encoding="utf-8")).get("equivalent", [])
    found = [Equivalent(**{**row, "nth": tuple(row.get("nth", ()))}) for row in rows]
    for row in found:
        if len(row.reason) < 20:
            raise ValueError(f"{table.name}: {row.module} {row.where}: {row.was!r} stands there without a reason")
    return found
