"""Kill -9 before every call that changes a file: clients go on, and the same command, given again, completes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Of the six rotations one by root and one by targets: the others differ from these in names alone.
COMMANDS = ("publish", "revoke", "timestamp", "components")
SCRIPT = Path(__file__).with_name("killed_publisher.py")


@pytest.fixture(scope="module")
def runs(memory: Path) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All four at once, side by side."""
    started = {}
    for command in COMMANDS:
        (memory / command).mkdir()
        words = [sys.executable, SCRIPT, memory / command, command]
        started[command] = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield started
    for run in started.values():
        run.kill()
        run.communicate()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_at_any_change_harms_nobody(runs, command):
    out, said = runs[command].communicate(timeout=100)
    assert runs[command].returncode == 0, said[-3000:]
    # A hook that saw too little would prove too little: plan, files and their names, links, the swap, what is removed.
    assert json.loads(out)["points"] > 40
