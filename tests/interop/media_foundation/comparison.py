"""Lays two logs side by side, without their times.

Clock readings count as equal within 150 ms, numbers of frames within 2. What the source and the sink were told (lines
with ~) is not compared, nor is the capability RATE_FORWARD: Wine's sample grabber has no rate support. Nor are events
211 and 311: the first comes when the source is done, which is sooner where more is read ahead, and the second tells of
late frames. A scenario that waits for one says so when it does not come; what is in flight then is not compared either.
"""

from __future__ import annotations

import difflib
import re
from typing import Final, NamedTuple

__all__ = ["Hunk", "hunks", "is_same"]

_RATE_FORWARD: Final = 16
_NEAR_MS, _NEAR_FRAMES = 150, 2
_TWICE: Final = 2  # two logs that are each so near a third may be so far from each other
_NUMBER: Final = re.compile(r"-?\d+(?=ms| at the sink)")


class Hunk(NamedTuple):
    """Lines in a row that differ; one side may be empty."""

    one: tuple[str, ...]
    other: tuple[str, ...]

    def is_near(self) -> bool:
        """Whether its two sides are the same but for times, twice as far apart as two lines may be."""
        return len(self.one) == len(self.other) and all(
            is_same(one, other, _TWICE) for one, other in zip(self.one, self.other, strict=True)
        )

    def is_like(self, hunk: Hunk) -> bool:
        """Whether both say the same, but for what a clock may differ by."""
        return all(
            len(mine) == len(its) and all(map(is_same, mine, its))
            for mine, its in ((self.one, hunk.one), (self.other, hunk.other))
        )


def _rows(log: str, *, waits_for_211: bool) -> list[str]:
    """The lines that are compared, in one spelling."""
    found, in_flight = [], False
    for line in log.splitlines():
        text = re.sub(r"^ *\d+ ", "", line).replace(" (other id)", "").replace(" none", "")
        if text.startswith((" ", "~", "#", "311 ")) or not text.strip():
            continue
        in_flight = text.startswith("211 ") or (in_flight and text.startswith(("frames ", "clock: ")))
        if text.startswith("211 ") or (in_flight and waits_for_211):
            continue
        text = re.sub(r"(caps=|delta=|Capabilities -> 0{8} )(\d+)", _without_rate, text)
        text = re.sub(r"(: 0 at the sink),.*", r"\1", text)
        text = re.sub(r"^(108 \w+ \w+ rate=\d+)(\.0)? .*", r"\1", text)
        text = re.sub(r"^(108 \w+ \w+ rate=\d+)\.0$", r"\1", text)
        text = re.sub(r"^(10[79] \w+ \w+).*", r"\1", text)
        found.append(text.strip())
    return found


def _without_rate(found: re.Match[str]) -> str:
    return found[1] + str(int(found[2]) & ~_RATE_FORWARD)


def is_same(one: str, other: str, times: int = 1) -> bool:
    """Whether two lines say the same, but for what a clock may differ by, so many times."""
    if one == other or _NUMBER.sub("N", one) != _NUMBER.sub("N", other):
        return one == other
    pairs = zip(_NUMBER.finditer(one), _NUMBER.finditer(other), strict=True)
    return all(
        abs(int(a[0]) - int(b[0])) <= times * (_NEAR_FRAMES if one[a.end() :].startswith(" at") else _NEAR_MS)
        for a, b in pairs
    )


def hunks(one: str, other: str, *, waits_for_211: bool = False) -> list[Hunk]:
    """What differs between two logs, in order; empty when nothing does. `waits_for_211`: see above."""
    known: list[str] = []

    def spelling(line: str) -> str:
        for each in known:
            if is_same(line, each):
                return each
        known.append(line)
        return line

    left, right = (_rows(log, waits_for_211=waits_for_211) for log in (one, other))
    matcher = difflib.SequenceMatcher(None, [spelling(x) for x in left], [spelling(x) for x in right], autojunk=False)
    return [
        Hunk(tuple(left[i1:i2]), tuple(right[j1:j2])) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"
    ]
