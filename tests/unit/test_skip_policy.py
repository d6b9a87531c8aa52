"""The skip policy of tests/conftest.py, seen from outside: real runs of pytest over a small suite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
import pytest

def test_good():
    pass

def test_wants_a_peer():
    pytest.skip("no GPAC here")
"""
WHOLE_MODULE = 'import pytest\npytest.skip("no GPAC here", allow_module_level=True)\n'


def run_suite(folder: Path, skips: str, *, ci: str) -> subprocess.CompletedProcess[str]:
    tests = folder / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    (tests / "skips.txt").write_text(skips)
    (tests / "test_small.py").write_text(TESTS)
    (tests / "test_small_module.py").write_text(WHOLE_MODULE)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "tests"],
        check=False,
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("skips", "ci", "good"),
    [
        ("", "true", False),
        ("# a comment\n* | another reason\n", "true", False),
        ("tests/other.py* | no GPAC here\n", "true", False),
        ("tests/test_small.py* | no GPAC*\n", "true", False),
        ("tests/test_small*.py* | no GPAC*\n", "true", True),
        ("", "", True),
        ("", "false", True),
    ],
    ids=["unlisted", "other-reason", "other-test", "one-of-two", "listed", "not-ci", "ci-false"],
)
def test_a_skip_is_printed_and_fails_ci_unless_listed(tmp_path: Path, skips: str, ci: str, good: bool) -> None:
    run = run_suite(tmp_path, skips, ci=ci)
    assert run.returncode == (0 if good else 1), run.stdout + run.stderr
    printed = [line for line in run.stdout.splitlines() if line.endswith(": no GPAC here") and "LISTED" in line.upper()]
    assert len(printed) == 2, run.stdout  # the test, and the module that skipped itself whole


def test_a_broken_line_in_the_list_is_an_error_not_a_hole(tmp_path: Path) -> None:
    run = run_suite(tmp_path, "* no bar here\n", ci="true")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "line 1" in run.stderr
