"""docs/explanation/three-ways.md: each stop is a file with a function, and both are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "three-ways.md"
STOP = re.compile(r"`((?:drm|ita|license_server|player)/[\w/]+\.py)`\s+`([\w.]+)`")
STOPS = STOP.findall(PAGE.read_text(encoding="utf-8"))


def defined(file: Path, name: str) -> bool:
    """Whether `name`, a class, a function or `Class.method`, is defined in `file`."""
    body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body
    for part in name.split("."):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = next((node for node in body if isinstance(node, kinds) and node.name == part), None)
        if found is None:
            return False
        body = found.body
    return True


def test_every_row_names_a_stop() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| [\w*]", line)]
    stops = [row for row in rows if not row.startswith("| where")]
    assert len(stops) > 30
    assert [row for row in stops if not STOP.search(row)] == []


@pytest.mark.parametrize(("file", "name"), sorted(set(STOPS)))
def test_the_stop_is_there(file: str, name: str) -> None:
    assert defined(ROOT / file, name)


def test_a_name_that_is_gone_would_be_seen() -> None:
    assert not defined(ROOT / "drm/app/sources.py", "open_sauce")
    assert not defined(ROOT / "ita/key_ring.py", "KeyRing.gone")


FOREIGN = {
    "application": ("drm/pmp/", "ita/", "license_server/"),
    "worker": ("drm/app/", "license_server/", "player/"),
    "license server": ("drm/app/", "drm/pmp/", "ita/", "player/"),
    "**boundary**": ("drm/app/", "drm/pmp/"),
}


def test_the_folder_says_in_which_process_a_stop_is() -> None:
    """A row that says `application` names no file of the worker, and the other way round."""
    for row in (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")):
        for file, _ in STOP.findall(row):
            assert not file.startswith(FOREIGN[row.split("|")[1].strip()]), row
