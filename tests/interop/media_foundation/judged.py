"""The differences between Wine's logs and ours that are known, each with its causes; and the verdict on each cause."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.interop.media_foundation.comparison import Hunk, hunks
from tests.interop.media_foundation.logs import KINDS, wine_log
from tests.interop.media_foundation.scenarios import FOLDER, every

__all__ = [
    "DIFFERENCES", "VERDICTS", "Difference", "Verdict", "breaches", "known", "of_kind", "settled", "updated",
    "verdicts",
]  # fmt: skip

DIFFERENCES: Final = FOLDER / "differences.toml"
VERDICTS: Final = FOLDER / "verdicts.toml"
_AGAIN: Final = 2  # times that a scenario is played once more
_HEAD: Final = """\
# Where the product's logs differ from Wine's, scenario by scenario: the lines on both sides, and why (verdicts.toml).
# `python -m tests.interop.media_foundation --update` writes this file; causes are kept, and a new difference has none.
"""


class Verdict(NamedTuple):
    """What is to be thought of one cause of differences."""

    verdict: str  # wine, ours, choice or python
    rules: tuple[int, ...]  # numbers of conformance assertions
    page: str  # Microsoft's
    why: str


class Difference(NamedTuple):
    """Lines that differ: Wine's are `hunk.one`, ours `hunk.other`."""

    hunk: Hunk
    because: tuple[str, ...]  # names of verdicts


@cache
def verdicts() -> dict[str, Verdict]:
    """By the name of the cause."""
    read = tomllib.loads(VERDICTS.read_text(encoding="utf-8"))
    return {name: Verdict(row["verdict"], tuple(row["rules"]), row["page"], row["why"]) for name, row in read.items()}


def known(path: Path = DIFFERENCES) -> dict[str, list[Difference]]:
    """Each listed difference, by scenario."""
    read: dict[str, list[dict[str, Any]]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        name: [Difference(Hunk(tuple(row["wine"]), tuple(row["ours"])), tuple(row["because"])) for row in rows]
        for name, rows in read.items()
    }


def of_kind(name: str, kind: str) -> str:
    """The name under which the differences of a scenario are listed for one kind of session, where kinds differ."""
    return f"{name}-{kind}"


def breaches(name: str, kind: str, log: str, listed: Mapping[str, list[Difference]]) -> list[str]:
    """Of one scenario's log: what differs from Wine's and is not listed, and what is listed and differs no more."""
    left = list(listed.get(of_kind(name, kind), listed.get(name, ())))
    found = []
    for hunk in hunks(wine_log(name), log, waits_for_211=every()[name].waits_for_211):
        like = next((each for each in left if each.hunk.is_like(hunk)), None)
        if like is None:
            found += [f"{name}: new", *_lines(hunk)]
        else:
            left.remove(like)
    for each in left:
        found += [f"{name}: listed, and gone", *_lines(each.hunk)]
    return found


def _lines(hunk: Hunk) -> Iterator[str]:
    yield from (f"    Wine  {line}" for line in hunk.one)
    yield from (f"    ours  {line}" for line in hunk.other)


def settled(
    kind: str, logs: Mapping[str, str], listed: Mapping[str, list[Difference]], again: Callable[[str], str]
) -> dict[str, str]:
    """The same logs, but for scenarios with breaches: these are played again, alone, and the first sound log counts.

    A busy machine is late. `again` plays a scenario once more on a session of this kind.
    """
    found = {}
    for name, first in logs.items():
        log = first
        for _ in range(_AGAIN):
            if breaches(name, kind, log, listed):
                log = again(name)
        found[name] = log
    return found


def updated(logs: Mapping[str, Mapping[str, str]], listed: Mapping[str, list[Difference]]) -> str:
    """differences.toml for these logs, by kind and scenario; what was not played stays as it is listed.

    A scenario is listed once, by its first kind, unless it is listed by kind already.
    """
    text = [_HEAD]
    for name in every():
        by_kind = [of_kind(name, kind) for kind in KINDS if of_kind(name, kind) in listed]
        for key in by_kind or [name]:
            kind = key.removeprefix(f"{name}-") if by_kind else next(iter(logs), "")
            before, differences = list(listed.get(key, ())), listed.get(key, [])
            if name in logs.get(kind, {}):
                found = hunks(wine_log(name), logs[kind][name], waits_for_211=every()[name].waits_for_211)
                differences = [
                    next((each for each in before if each.hunk.is_like(hunk)), Difference(hunk, ())) for hunk in found
                ]
            for each in differences:
                text.append(f"[[{key}]]\nbecause = {json.dumps(list(each.because))}")
                text += [_array("wine", each.hunk.one), _array("ours", each.hunk.other), ""]
    return "\n".join(text)


def _array(key: str, lines: tuple[str, ...]) -> str:
    if not lines:
        return f"{key} = []"
    return "\n".join([f"{key} = [", *(f"  {json.dumps(line)}," for line in lines), "]"])
