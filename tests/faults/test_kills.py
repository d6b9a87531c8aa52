"""Kills at random moments: a share of those that `make soak` does, and that what they look for would be found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COUNT = 16
BROKEN = """
import mmap, os, subprocess
from tests.faults import kills
play, plays = kills.play, []
def broken():
    play()
    plays.append(1)
    if len(plays) > 1:
        BREAK
kills.LIMIT, kills.play = 2.0, broken
kills._sent = lambda *_: False  # nobody is killed: what is found is what was broken
kept = []
print("\\n".join(kills.kill_often(1, 1).findings) or "nothing")
"""
BREAKS = {
    "a process that is left": (
        "subprocess.run(['/bin/sh', '-c', 'sleep 9 >/dev/null 2>&1 &'])",
        "orphans: ['Name:\\tsleep",
    ),
    "shared memory that is left": (
        "memory = os.memfd_create('kept'); os.ftruncate(memory, 4096); kept.append(mmap.mmap(memory, 4096))",
        "before, and then",
    ),
    "an error of another kind": ("raise OSError('planted')", "OSError: planted"),
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240, check=False, cwd=ROOT)


@pytest.mark.timeout(300)
def test_whoever_is_left_has_one_end_and_nothing_else_is_left() -> None:
    said = run("-m", "tests.faults.kills", "--count", str(COUNT), "--seed", "5")
    assert said.returncode == 0, said.stdout + said.stderr
    assert " 0 findings" in said.stdout
    assert "E-PMP-DIED" in said.stdout


@pytest.mark.parametrize("broken", BREAKS)
def test_what_is_looked_for_is_found(broken: str) -> None:
    code, finding = BREAKS[broken]
    said = run("-c", BROKEN.replace("BREAK", code))
    assert finding in said.stdout, said.stdout + said.stderr
