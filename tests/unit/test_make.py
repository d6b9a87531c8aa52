"""The first thing a newcomer types, on a machine where it cannot work: the Makefile says what is missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLD = "#!/bin/sh\ncase $1 in --version) echo Python 3.10.12;; *) exit 1;; esac\n"
NEW_BUT_BARE = "#!/bin/sh\ncase $2 in *ensurepip*) exit 1;; *) exit 0;; esac\n"


@pytest.mark.parametrize(
    ("python", "says"),
    [
        (OLD, ["Python 3.11 or newer is needed; found Python 3.10.12", "install uv"]),
        (None, ["Python 3.11 or newer is needed; found none", "install uv"]),
        (NEW_BUT_BARE, ["apt install python3-venv"]),
    ],
    ids=["too-old", "none", "no-venv"],
)
def test_make_play_says_what_is_missing(tmp_path: Path, python: str | None, says: list[str]) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("make", "sh", "touch", "rm"):
        found = shutil.which(tool)
        assert found is not None, f"this test needs {tool}"
        (tools / tool).symlink_to(found)
    if python is not None:
        (tools / "python3").write_text(python)
        (tools / "python3").chmod(0o755)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)

    run = subprocess.run(
        ["make", "play"],
        cwd=tmp_path,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert run.returncode != 0
    assert all(words in run.stderr for words in says), run.stderr
    assert not (tmp_path / ".venv").exists()
    assert "Traceback" not in run.stderr
