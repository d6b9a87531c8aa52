"""What every test may use: the vectors, and a policy on skips.

A test that is skipped proves nothing, so no skip is silent. At the end of a run each one is printed with its reason;
where CI is set, one that tests/skips.txt does not list makes the run fail.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from tests.publisher import Publisher

HERE = Path(__file__).parent
OWN_VECTORS = HERE / "data" / "vectors"
NOT_SET = "CLEARKEY_VECTORS is not set: it names the folder with other tools' encrypted files"

# The fixtures are part of what we ship, and the suite uses them as any user would: by the name of the entry point.
pytest_plugins = ("clearkey",)

# `make test` must end in minutes and say the same twice; `make fuzz` goes further, elsewhere at every run.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=100, database=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile("default")


# ------------------------------------------------------------------------------------------------ vectors
@pytest.fixture(scope="session")
def vectors_folder() -> Path:
    """The folder of other tools' files that CLEARKEY_VECTORS names, with its vectors.json."""
    named = os.environ.get("CLEARKEY_VECTORS")
    if not named:
        pytest.skip(NOT_SET)
    folder = Path(named)
    # Named and not there is a mistake of whoever named it, not a reason to prove less.
    assert (folder / "vectors.json").is_file(), f"CLEARKEY_VECTORS names {folder}, which holds no vectors.json"
    return folder


@pytest.fixture(scope="session")
def own_vectors() -> Path:
    """The vectors that are part of this repository."""
    return OWN_VECTORS


# ------------------------------------------------------------------------------------------------ the user's data
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """A test that leaves its process the highest priority of the machine fails: all later ones would inherit that."""
    yield
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        pytest.fail(f"{item.nodeid} leaves its process in another class of scheduling", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test writes to the data of whoever runs it: device key, development authority and stores lie here.

    In the environment, so that programs that tests run inherit it; one that is given another HOME must be given
    another CLEARKEY_HOME too, or none.
    """
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("clearkey-data")
        patch.setenv("CLEARKEY_HOME", str(folder))
        yield folder


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """An authority that published the components of this checkout, and serves them."""
    from tests.publisher import Publisher

    with Publisher().serving() as made:
        yield made


# ------------------------------------------------------------------------------------------------ skips
class SkipPolicy:
    """Collects every skip of a run, prints them, and fails a CI run over those that are not listed."""

    def __init__(self, listed: list[tuple[str, str]], *, strict: bool) -> None:
        self._listed = listed
        self._strict = strict
        self._seen: dict[str, str] = {}

    def is_listed(self, test: str, reason: str) -> bool:
        return any(fnmatch.fnmatch(test, ids) and fnmatch.fnmatch(reason, why) for ids, why in self._listed)

    def unlisted(self) -> Iterator[str]:
        return (test for test, reason in self._seen.items() if not self.is_listed(test, reason))

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            where = report.longrepr
            reason = where[2] if isinstance(where, tuple) else str(where)
            self._seen[report.nodeid] = reason.removeprefix("Skipped: ").strip()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)  # a module may skip itself whole

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._strict and session.exitstatus == pytest.ExitCode.OK and any(self.unlisted()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._seen:
            return
        terminalreporter.section("skipped tests, each with its reason")
        for test, reason in sorted(self._seen.items()):
            mark = "listed    " if self.is_listed(test, reason) else "NOT LISTED"
            terminalreporter.line(f"{mark} {test}: {reason}")
        if self._strict and any(self.unlisted()):
            terminalreporter.line("A skip that tests/skips.txt does not list fails this run (CI is set).", red=True)


def read_skips(text: str) -> list[tuple[str, str]]:
    """Read `glob of test ids | glob of the reason` lines; `#` begins a comment line."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        ids, bar, why = line.partition("|")
        if not (bar and ids.strip() and why.strip()):
            raise pytest.UsageError(f"tests/skips.txt line {number} is not `test id glob | reason glob`: {line!r}")
        rows.append((ids.strip(), why.strip()))
    return rows


def pytest_configure(config: pytest.Config) -> None:
    listed = read_skips((HERE / "skips.txt").read_text(encoding="utf-8"))
    strict = os.environ.get("CI", "").lower() not in ("", "0", "false")
    config.pluginmanager.register(SkipPolicy(listed, strict=strict), "skip-policy")
