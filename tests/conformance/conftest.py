"""Holds the conformance tests to the registry of assertions, and writes docs/conformance.md when asked to.

A test that names an assertion which is not there fails the run; so does, when the whole folder ran, an assertion that
has no test. `python -m tests.conformance` runs the folder and writes the page.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.table import Table, number_of

HERE = Path(__file__).parent


class Conformance:
    """One run's table, and whether the run was about the whole folder."""

    def __init__(self, page: Path | None) -> None:
        self._page = page
        self._numbers: dict[str, int] = {}  # by node id
        self._collected: set[Path] = set()
        self._left_out = False
        self.table = Table()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        if HERE not in item.path.parents:
            return
        self._collected.add(item.path)
        number = number_of(item.name)
        if number is not None:
            self._numbers[item.nodeid] = number
            self.table.expect(number, item.nodeid)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        named = (item for item in items if HERE in item.path.parents and number_of(item.name) is not None)
        self._left_out = self._left_out or any(named)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        number = self._numbers.get(report.nodeid)
        if number is not None and (report.when == "call" or not report.passed):
            self.table.note(number, report.nodeid, report.outcome)

    def problems(self, session: pytest.Session) -> list[str]:
        found = [f"{test} names an assertion that is not in tests/conformance/assertions.py"
                 for test in self.table.unknown()]  # fmt: skip
        if self.is_whole(session):
            found += [f"{each.name} has no test: {each.title}" for each in self.table.missing()]
        return found

    def is_whole(self, session: pytest.Session) -> bool:
        """Every file of the folder was collected, and nothing of it was left out."""
        chosen = self._left_out or any("::" in word for word in session.config.args)
        return not chosen and self._collected >= set(HERE.rglob("test_*.py"))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.found = self.problems(session)
        if self.found and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._page is not None:
            self._page.write_text(self.table.page(), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.found:
            return
        terminalreporter.section("conformance")
        for problem in self.found:
            terminalreporter.line(problem, red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--conformance-page", metavar="FILE", type=Path, help="write what the conformance tests came to")


def pytest_configure(config: pytest.Config) -> None:
    # From a run of the whole suite this file is found too late for the option to exist.
    page = config.getoption("--conformance-page", default=None)
    config.pluginmanager.register(Conformance(page), "conformance")
