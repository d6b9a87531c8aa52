"""Playbacks in which one process lies to the other: one end for each, in good time, and nothing left. See the module.

`make soak` says a hundred thousand mutants in each direction; here are some hundreds, in a process of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COUNTS = {"worker": 300, "app": 600}
CONTROL = """
import json
from tests.fuzz.wire import hostile_messages as hostile
from tests.fuzz.wire.transcript import Lie
recording = hostile.recorded()
truth = [Lie(side, 0, (), len(side)) for side in recording]
hostile.lie = lambda _rng, said, _begin=0: truth[said is recording.from_worker]
runs = hostile.against_the_worker, hostile.against_the_application
outcomes = []
for run in runs:
    told = []
    hostile.lie = lambda *_: told.append(1) or truth[run is runs[1]]._replace(mutants=1)
    outcomes.append(run(recording, 3, 1))
print(json.dumps([[dict(outcome.ends), outcome.findings] for outcome in outcomes]))
"""
BROKEN = """
from tests.fuzz.wire import hostile_messages as hostile
recording = hostile.recorded()
PART
outcome = hostile.RUN(recording, 2, 1)
print("\\n".join(outcome.findings) or "nothing")
"""
BREAKS = {
    "a fault of the worker's": (
        "against_the_worker",
        "hostile.WorkerService._session = lambda *_: 1 / 0",
        "ZeroDivisionError",
    ),
    "a worker that does not end": (
        "against_the_worker",
        "import time; hostile.LIMIT = 0.3; hostile.WorkerService.run = lambda _: time.sleep(60)",
        "no end within",
    ),
    "a fault of the application's": (
        "against_the_application",
        "from drm.app.server import PMPServer; PMPServer._take = lambda *_: 1 / 0",
        "ZeroDivisionError",
    ),
    "descriptors that are left": (
        "against_the_application",
        "import drm.wire.channel as c; end = c.Channel.close\n"
        "def close(self):\n    import os; os.dup(0); end(self)\n"
        "c.Channel.close = close",
        "descriptors are left",
    ),
    "threads that are left": (
        "against_the_application",
        "import drm.wire.channel as c; import threading, time; end = c.Channel.close\n"
        "def close(self):\n    threading.Thread(target=time.sleep, args=[9], daemon=True).start(); end(self)\n"
        "c.Channel.close = close",
        "threads are left",
    ),
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240, check=False, cwd=ROOT,
                          env=os.environ)  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize("direction", COUNTS)
def test_whoever_is_lied_to_has_one_end_and_leaves_nothing(direction: str) -> None:
    words = ("--direction", direction, "--count", str(COUNTS[direction]), "--seed", "2")
    said = run("-m", "tests.fuzz.wire.hostile_messages", *words)
    assert said.returncode == 0, said.stdout + said.stderr
    assert " 0 findings" in said.stdout


def test_a_recording_without_lies_is_a_sound_playback_for_both_sides() -> None:
    """The control: what is said to them is what they would hear of each other."""
    said = run("-c", CONTROL)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == [[{"0": 3}, []], [{"played": 3}, []]]


@pytest.mark.parametrize("broken", BREAKS)
def test_what_is_looked_for_is_found(broken: str) -> None:
    name, part, finding = BREAKS[broken]
    said = run("-c", BROKEN.replace("PART", part).replace("RUN", name))
    assert finding in said.stdout, said.stdout + said.stderr
