"""The lists, as pages tell them: docs/explanation/media-foundation.md, and what docs/conformance.md says of Wine."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Final

from tests.interop.media_foundation.judged import known, verdicts
from tests.interop.media_foundation.scenarios import FOLDER, every

__all__ = ["COLUMN", "PAGE", "column", "page", "tried", "write"]

_ROOT: Final = FOLDER.parents[2]
PAGE: Final = _ROOT / "docs" / "explanation" / "media-foundation.md"
COLUMN: Final = _ROOT / "tests" / "conformance" / "wine.toml"
_WORDS: Final = {
    "wine": "Wine departs",
    "ours": "to be changed here",
    "choice": "our choice",
    "python": "no counterpart",
}
_PARTS: Final = {
    "choice": (
        "Our choice",
        "No source decides, or sources contradict each other. Wine does one thing, we do another, and this is why.",
    ),
    "ours": ("To be changed here", "The page that is named, or Wine, is right, and we are not there yet."),
    "wine": (
        "Where Wine is wrong, or lacks it",
        "The page that is named decides; what we do is on the left of the semicolon.",
    ),
    "python": ("What has no counterpart", "In Python, or in the source and the sink that our scenarios play with."),
}


def tried() -> dict[int, list[str]]:
    """The scenarios that try an assertion, by its number."""
    read = tomllib.loads((FOLDER / "rules.toml").read_text(encoding="utf-8"))
    return {int(number): names for number, names in read.items()}


def column() -> str:
    """wine.toml: what Wine does about each assertion that was tried there, in the words of the conformance page."""
    rows = [
        "# Written by `python -m tests.interop.media_foundation --update`: what Wine does, by the assertion's number."
    ]
    touched = {number for each in verdicts().values() for number in each.rules}
    for number in sorted(touched | set(tried())):
        causes = [name for name, each in verdicts().items() if number in each.rules]
        differs = (
            f"[{name}](explanation/media-foundation.md#{name}): {_WORDS[verdicts()[name].verdict]}" for name in causes
        )
        rows.append(f"{number} = {json.dumps('; '.join(differs) or 'the same')}")
    return "\n".join(rows) + "\n"


def page() -> str:
    """docs/explanation/media-foundation.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield (FOLDER / "about.txt").read_text(encoding="utf-8").rstrip()
    yield ""
    differing = {key.partition("-")[0] for key in known()}
    places = sum(map(len, known().values()))
    yield f"So far: {len(every())} scenarios, {len(differing)} of which differ, in {places} places."
    for verdict, (title, words) in _PARTS.items():
        causes = {name: each for name, each in verdicts().items() if each.verdict == verdict}
        if not causes:
            continue
        yield f"\n## {title}\n\n{words}\n"
        yield "| cause | what differs | Microsoft's page | assertions | scenarios |"
        yield "| --- | --- | --- | --- | --- |"
        for name, each in causes.items():
            rules = ", ".join(f"MF-{number:03}" for number in each.rules)
            scenarios = [key for key, rows in known().items() if any(name in row.because for row in rows)]
            yield f'| <a id="{name}"></a>{name} | {each.why} | {each.page} | {rules} | {", ".join(scenarios)} |'


def write() -> None:
    """Write both."""
    PAGE.write_text(page(), encoding="utf-8")
    COLUMN.write_text(column(), encoding="utf-8")
