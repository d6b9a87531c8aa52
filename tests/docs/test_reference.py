"""The pages of docs/reference say what the code says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.docs.reference import FOLDER, PAGES


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    # In a process of its own: what other tests import, or define below DRMError, must not get into the pages.
    program = "import json, sys; from tests.docs.reference import pages; json.dump(pages(), sys.stdout)"
    words = [sys.executable, "-c", program]
    ran = subprocess.run(words, cwd=FOLDER.parents[1], capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, str] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("name", [*PAGES, "index"])
def test_the_page_is_what_the_code_says(made: dict[str, str], name: str) -> None:
    there = {path.name for path in FOLDER.glob("*.md")}
    assert there == set(made), "python -m tests.docs"
    if f"{name}.md" in made:
        assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == made[f"{name}.md"], "python -m tests.docs"


def test_the_pages_tell_of_what_matters(made: dict[str, str]) -> None:
    assert "### `create_pmp_media_session(" in made["session.md"]
    assert "**`set_topology(" in made["session.md"]
    assert "SESSION_TOPOLOGY_SET = 101" in made["events.md"]
    assert "| `MF_E_SHUTDOWN` | `0xC00D3E85` |" in made["errors.md"]
    assert "`KeyMissingError`" in made["errors.md"]
    assert not [name for name, text in made.items() if " at 0x" in text or "<object" in text or "/work/" in text]
