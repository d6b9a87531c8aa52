"""A pytest plugin that notes which lines of some modules each test reaches, in this process, and how long it takes.

Modules that a component's loader compiled out of verified bytes are named by their path from the root; they count too.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

__all__ = ["Reach", "pytest_configure"]


class Reach:
    """Follows the tests of a run and writes what they reached when it ends."""

    def __init__(self, root: Path, modules: list[str], output: Path) -> None:
        self._root = f"{root}{os.sep}"
        self._modules = frozenset(modules)
        self._output = output
        self._of_file: dict[str, str | None] = {}
        self._reached: set[tuple[str, int]] = set()
        self._tests: dict[str, dict[str, Any]] = {}

    def _module(self, code: CodeType) -> str | None:
        name = code.co_filename
        if name not in self._of_file:
            path = name.removeprefix(self._root)
            self._of_file[name] = path if path in self._modules else None
        return self._of_file[name]

    def _follow(self, frame: FrameType, _event: str, _argument: object) -> Any:
        module = self._module(frame.f_code)
        if module is None:
            return None
        note = self._reached.add

        def line(frame: FrameType, event: str, _argument: object) -> Any:
            if event == "line":
                note((module, frame.f_lineno))
            return line

        return line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._reached = set()
        threading.settrace(self._follow)
        sys.settrace(self._follow)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]  # None ends it
            lines: dict[str, list[int]] = {}
            for module, number in sorted(self._reached):
                lines.setdefault(module, []).append(number)
            self._tests.setdefault(item.nodeid, {})["lines"] = lines

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests.setdefault(report.nodeid, {})
        test["seconds"] = test.get("seconds", 0.0) + report.duration
        test["passed"] = test.get("passed", True) and report.outcome == "passed"

    def pytest_sessionfinish(self) -> None:
        self._output.write_text(json.dumps(self._tests))


def pytest_configure(config: pytest.Config) -> None:
    """Begin, where the environment says for which modules (a JSON list) and whither."""
    if "MUTATION_REACH" in os.environ:
        told = json.loads(os.environ["MUTATION_REACH"])
        config.pluginmanager.register(Reach(config.rootpath, told["modules"], Path(told["output"])))
