"""What a run of the conformance tests came to, assertion by assertion, and the page that tells it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.conformance.assertions import ASSERTIONS, Assertion

__all__ = ["PAGE", "Table", "number_of"]

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
_NAME = re.compile(r"test_mf_(\d{3})_\w")
_ABOUT = Path(__file__).with_name("about_linux.txt")
_WINE = Path(__file__).with_name("wine.toml")
_KNOWN = {
    "D": "documented by Microsoft",
    "S": "done by the code of a Microsoft sample (protectedplayback, storecdm)",
    "W": "observed on Windows by the conformance tests of the Wine project",
    "I": "the order, or the detail, is that of Wine's implementation",
    "C": "no source says it: our own choice",
}


def number_of(test: str) -> int | None:
    """The assertion that a test function is about, or None."""
    named = _NAME.match(test)
    return int(named[1]) if named else None


class Table:
    """Notes the outcome of each test by the assertion that its name begins with."""

    def __init__(self) -> None:
        self._outcomes: dict[int, dict[str, str]] = {}

    def expect(self, number: int, test: str) -> None:
        """There is such a test; it has not run yet."""
        self._outcomes.setdefault(number, {})[test] = "not run"

    def note(self, number: int, test: str, outcome: str) -> None:
        """It ended: passed, failed or skipped. Of its phases the worst one counts."""
        of_number = self._outcomes.setdefault(number, {})
        if of_number.get(test) != "failed":
            of_number[test] = outcome

    def unknown(self) -> list[str]:
        """Tests that name an assertion which is in no registry."""
        return [test for number, tests in self._outcomes.items() if number not in ASSERTIONS for test in tests]

    def missing(self) -> list[Assertion]:
        """Assertions that have no test."""
        return [each for number, each in ASSERTIONS.items() if not self._outcomes.get(number)]

    def result(self, number: int) -> str:
        """What became of one assertion, in the words of the page."""
        outcomes = list(self._outcomes.get(number, {}).values())
        if not outcomes:
            return "no test"
        count = f"{len(outcomes)} test{'s' if len(outcomes) > 1 else ''}"
        if "failed" in outcomes:
            return f"**failed** ({outcomes.count('failed')} of {count})"
        if "passed" in outcomes:
            left_out = len(outcomes) - outcomes.count("passed")
            return f"passed ({count}{f', {left_out} of them not run' if left_out else ''})"
        return f"not run ({count})"

    def page(self) -> str:
        """docs/conformance.md."""
        return "\n".join(_lines(self)) + "\n"

    def has_passed(self, number: int) -> bool:
        """Whether it holds, as far as its tests ran."""
        return self.result(number).startswith("passed")


def _lines(table: Table) -> Iterator[str]:
    passed = sum(table.has_passed(number) for number in ASSERTIONS)
    yield "# Conformance with Media Foundation"
    yield ""
    yield (
        "What Microsoft's pages on the Media Session and the protected media path say, as numbered assertions, and\n"
        "what a run of their tests found. Each test drives a real session, in a real locked-down worker wherever the\n"
        "assertion is about one. Written by `python -m tests.conformance`; do not edit it by hand."
    )
    yield ""
    yield f"**{passed} of {len(ASSERTIONS)} hold.**"
    yield ""
    yield "How a rule is known:"
    yield ""
    yield from (f"- {letter}: {meaning}" for letter, meaning in _KNOWN.items())
    yield ""
    yield (
        "Wine: what its Media Foundation does in the scenarios that try the rule on it too; [where we\n"
        "depart](explanation/media-foundation.md) has every difference, and why."
    )
    yield ""
    wine = tomllib.loads(_WINE.read_text(encoding="utf-8"))
    yield from _rows(
        (
            (
                each.name,
                each.title,
                each.document,
                ", ".join(each.known),
                wine.get(str(number), "not tried"),
                table.result(number),
            )
            for number, each in ASSERTIONS.items()
        )
    )
    yield ""
    yield _ABOUT.read_text(encoding="utf-8").rstrip()


def _rows(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| id | what holds | Microsoft's page | known | Wine | result |"
    yield "| --- | --- | --- | --- | --- | --- |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
