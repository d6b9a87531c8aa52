"""The tutorial's code runs, in a real worker, and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "own-components.md"
BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """What the page's blocks come to: those of one title follow one another."""
    found: dict[str, str] = {}
    for _, title, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        found[title] = found.get(title, "") + text
    return found


def test_every_block_of_code_has_its_place() -> None:
    assert PAGE.read_text(encoding="utf-8").count("\n```") == 2 * len(BLOCK.findall(PAGE.read_text(encoding="utf-8")))


def test_the_program_prints_what_the_page_says(tmp_path: Path) -> None:
    told = files()
    expected = told.pop("output")
    for name, text in told.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "main.py"],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == expected.splitlines()
