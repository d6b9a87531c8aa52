"""Kill -9 before every call of an update that changes a file, and updates by many processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.trust.authority.publishing import publish

# The fewest points that each must have: a hook that saw too little would prove too little.
SCENARIOS = {"first": 30, "replace": 60, "heal": 25, "unchanged": 20}
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def runs(memory: Path) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All at once, side by side."""
    started = {}
    for scenario in SCENARIOS:
        work = memory / f"killed-{scenario}"
        work.mkdir()
        words = [sys.executable, HERE / "killed_updater.py", work, scenario]
        started[scenario] = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield started
    for run in started.values():
        run.kill()
        run.communicate()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kill_at_any_change_leaves_old_or_new(runs, scenario):
    out, said = runs[scenario].communicate(timeout=100)
    assert runs[scenario].returncode == 0, said[-3000:]
    told = json.loads(out)
    assert told["points"] > SCENARIOS[scenario]
    if scenario == "replace":  # the list was in force at some point, and the replacement was not there yet
        assert set(told["found"]) == {"1.0.0", "revoked", "1.1.0"}


def test_many_processes_update_and_read_while_the_publisher_signs_anew(home, installation, component):
    publish(home, [component()])
    installation.update()
    words = [sys.executable, HERE / "contending_updater.py", installation.store.folder, home.trees.shown]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    started = [subprocess.Popen(words, text=True, **pipes) for _ in range(6)]
    try:
        for run in started:
            assert run.stdout is not None
            assert run.stdout.readline() == "ready\n"
        signed = 0
        end = time.monotonic() + 3
        while time.monotonic() < end:
            with home.writing(("again",)), home.change(("again",)) as repository:
                repository.finish()
            signed += 1
            time.sleep(0.05)
        told = []
        for run in started:
            out, said = run.communicate("stop\n", timeout=30)
            assert run.returncode == 0, said[-3000:]
            told.append(json.loads(out))
    finally:
        for run in started:
            run.kill()
            run.communicate()
    assert not [failure for one in told for failure in one["failures"]]
    assert all(one["updates"] and one["looks"] for one in told)
    assert sum(one["installed"] for one in told) >= min(signed, 6) // 2  # they had something to quarrel about
    assert installation.version() == "1.0.0"
    assert installation.is_tidy()
