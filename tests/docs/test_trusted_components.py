"""The how-to's publisher and application run, with a real server and real workers, and print what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from player.options import CACERT_VARIABLE, ROOT_VARIABLE, STORE_VARIABLE, URL_VARIABLE
from tests.interop.command import without_remarks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "trusted-components.md"
BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def test_the_program_prints_what_the_page_says(tmp_path: Path) -> None:
    told = {title: text for _, title, text in BLOCK.findall(PAGE.read_text(encoding="utf-8"))}
    expected = told.pop("output")
    assert set(told) == {"publisher.py", "main.py"}
    for name, text in told.items():
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
    assert without_remarks(ran.stderr) == []
    assert ran.stdout.splitlines() == expected.splitlines()


@pytest.mark.parametrize("variable", [ROOT_VARIABLE, URL_VARIABLE, STORE_VARIABLE, CACERT_VARIABLE])
def test_every_variable_is_on_the_page(variable: str) -> None:
    assert variable in PAGE.read_text(encoding="utf-8")
