"""Lays two logs side by side, without their times.

Clock readings count as equal within 150 ms, numbers of frames within 2. What the source and the sink were told (lines
with ~) is not compared, nor is the capability RATE_FORWARD: Wine's sample grabber has no rate support.
"""

from __future__ import annotations

import difflib
import re
from typing import Final, NamedTuple

__all__ = ["Hunk", "hunks", "is_same"]

_RATE_FORWARD: Final = 16
_NEAR_MS, _NEAR_FRAMES = 150, 2
_NUMBER: Final = re.compile(r"-?\d+(?=ms| at the sink)")


class Hunk(NamedTuple):
    """Lines in a row that differ; one side may be empty."""

    one: tuple[str, ...]
    other: tuple[str, ...]

    def is_like(self, hunk: Hunk) -> bool:
        """Whether both say the same, but for what a clock may differ by."""
        return all(
            len(mine) == len(its) and all(map(is_same, mine, its))
            for mine, its in ((self.one, hunk.one), (self.other, hunk.other))
        )


def _rows(log: str) -> list[str]:
    """The lines that are compared, in one spelling."""
    found = []
    for line in log.splitlines():
        text = re.sub(r"^ *\d+ ", "", line).replace(" (other id)", "").replace(" none", "")
        if text.startswith((" ", "~", "#", "311 ")) or not text.strip():
            continue  # 311: late frames, on a busy machine
        text = re.sub(r"(caps=|delta=|Capabilities -> 0{8} )(\d+)", _without_rate, text)
        text = re.sub(r"(: 0 at the sink),.*", r"\1", text)
        text = re.sub(r"^(108 \w+ \w+ rate=\d+)(\.0)? .*", r"\1", text)
        text = re.sub(r"^(108 \w+ \w+ rate=\d+)\.0$", r"\1", text)
        text = re.sub(r"^(10[79] \w+ \w+).*", r"\1", text)
        found.append(text.strip())
    return found


def _without_rate(found: re.Match[str]) -> str:
    return found[1] + str(int(found[2]) & ~_RATE_FORWARD)


def is_same(one: str, other: str) -> bool:
    """Whether two lines say the same, but for what a clock may differ by."""
    if one == other or _NUMBER.sub("N", one) != _NUMBER.sub("N", other):
        return one == other
    pairs = zip(_NUMBER.finditer(one), _NUMBER.finditer(other), strict=True)
    return all(
        abs(int(a[0]) - int(b[0])) <= (_NEAR_FRAMES if one[a.end() :].startswith(" at") else _NEAR_MS) for a, b in pairs
    )


def hunks(one: str, other: str) -> list[Hunk]:
    """What differs between two logs, in order; empty when nothing does."""
    known: list[str] = []

    def spelling(line: str) -> str:
        for each in known:
            if is_same(line, each):
                return each
        known.append(line)
        return line

    left, right = _rows(one), _rows(other)
    matcher = difflib.SequenceMatcher(None, [spelling(x) for x in left], [spelling(x) for x in right], autojunk=False)
    return [
        Hunk(tuple(left[i1:i2]), tuple(right[j1:j2])) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"
    ]
