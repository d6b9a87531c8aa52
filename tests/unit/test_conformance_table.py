"""The table of conformance assertions, seen from outside: real runs of pytest over a small folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.assertions import ASSERTIONS
from tests.conformance.table import PAGE, Table

ROOT = Path(__file__).parents[2]
ALL = "".join(f"def test_mf_{number:03}_holds(): pass\n" for number in ASSERTIONS)


def run(folder: Path, content: str, *words: str) -> tuple[subprocess.CompletedProcess[str], str]:
    home = folder / "tests" / "conformance"
    home.mkdir(parents=True)
    for name in ("conftest.py", "assertions.py", "table.py", "about_linux.txt", "wine.toml"):
        shutil.copy(PAGE.parents[1] / "tests" / "conformance" / name, home)
    (home / "test_all.py").write_text("import pytest\n" + content)
    page = folder / "page.md"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    done = subprocess.run(
        [*command, f"--conformance-page={page}", "tests/conformance", *words],
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done, page.read_text()


def test_a_run_with_a_test_for_each_is_good_and_makes_the_page(tmp_path: Path) -> None:
    done, page = run(tmp_path, ALL + "def test_mf_001_again(): pytest.skip('no worker')\n")
    assert done.returncode == 0, done.stdout
    assert "| MF-001 |" in page
    assert "passed (2 tests, 1 of them not run) |" in page
    assert page.count("| passed (1 test) |") == len(ASSERTIONS) - 1
    assert f"**{len(ASSERTIONS)} of {len(ASSERTIONS)} hold.**" in page


@pytest.mark.parametrize(
    ("content", "words", "code", "said"),
    [
        (ALL + "def test_mf_999_what(): pass\n", (), 1, "test_mf_999_what names an assertion that is not in"),
        (ALL.replace("_001_", "_002_again_"), (), 1, "MF-001 has no test"),
        (ALL.replace("_001_", "_002_again_"), ("-k", "test_mf_003"), 0, ""),
        (ALL.replace("_001_holds(): pass", "_001_holds(): assert False"), (), 1, ""),
    ],
    ids=["unknown", "missing", "missing-in-a-part", "failed"],
)
def test_a_run_is_held_to_the_registry(
    tmp_path: Path, content: str, words: tuple[str, ...], code: int, said: str
) -> None:
    done, page = run(tmp_path, content, *words)
    assert done.returncode == code, done.stdout
    assert said in done.stdout
    assert ("MF-001 has no test" in done.stdout) == ("MF-001" in said)
    assert ("| **failed** (1 of 1 test) |" in page) == ("assert False" in content)


def test_the_worst_phase_of_a_test_counts() -> None:
    table = Table()
    table.note(1, "a", "failed")
    table.note(1, "a", "passed")
    assert not table.has_passed(1)


def test_the_page_tells_of_the_assertions_as_they_are() -> None:
    rows = [line.split(" | ")[:4] for line in PAGE.read_text().splitlines() if line.startswith("| MF-")]
    assert rows == [[f"| {a.name}", a.title, a.document, ", ".join(a.known)] for a in ASSERTIONS.values()]
