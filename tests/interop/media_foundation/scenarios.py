"""The scenarios of scenarios.txt: which there are, and which of them every run of the suite plays."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["FOLDER", "SCENARIOS", "Scenario", "every", "some"]

FOLDER: Final = Path(__file__).parent
SCENARIOS: Final = FOLDER / "scenarios.txt"
_DEFAULT: Final = 60  # frames of a presentation that does not say


class Scenario(NamedTuple):
    """Steps in order, for a fresh session."""

    name: str
    session: tuple[str, ...]  # attributes of the session
    steps: tuple[str, ...]

    @property
    def waits_for_211(self) -> bool:
        """Whether it looks at what is in flight when the source is done."""
        return "wait 211" in self.steps

    @property
    def lengths(self) -> set[int]:
        """Of the clips that it needs, in frames."""
        topologies = [step for step in self.steps if step.startswith("topo ")]
        return {int(found[1]) if (found := re.search(r"frames=(\d+)", step)) else _DEFAULT for step in topologies}


@cache
def every() -> dict[str, Scenario]:
    """All of them by name, in the order of the file."""
    found = {}
    for block in re.split(r"^(?=\[)", SCENARIOS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, *lines = block.splitlines()
        name, *session = title.strip("[] ").split()
        steps = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
        found[name] = Scenario(name, tuple(session), steps)
    return found


@cache
def some() -> tuple[str, ...]:
    """The names of those that every run of the suite plays."""
    lines = re.findall(r"^# suite: (.*)", SCENARIOS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return tuple(name for line in lines for name in line.split())
