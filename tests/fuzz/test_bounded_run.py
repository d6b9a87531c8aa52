"""A short run of the mutants in every suite; `make fuzz` goes further. And the run itself: it finds what there is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.mutation import Seed, mutant, seeds
from tests.fuzz.run import Limits, run
from tests.fuzz.targets import read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found() -> list[Seed]:
    return seeds()


def test_mutants_of_the_vectors(found: list[Seed]) -> None:
    outcome = run(found, 3, 0, 8_000, Limits(total=8.0))
    assert outcome.findings == []
    assert outcome.inputs > 500
    assert outcome.past_the_head * 2 >= outcome.inputs * 0.95


def test_the_sound_files_give_their_samples(found: list[Seed]) -> None:
    assert len(found) >= 50
    assert all(read(seed, seed.data, 0)[0] for seed in found)
    assert all(read(seed, seed.data, 0)[1] > 30 for seed in found if not seed.name.endswith("init"))


def test_an_input_is_the_same_every_time(found: list[Seed]) -> None:
    assert [mutant(found, 1, n) for n in range(20)] == [mutant(found, 1, n) for n in range(20)]
    assert len({mutant(found, 1, n)[1] for n in range(200)}) > 190


def breaks(how: str):
    def reader(_seed: Seed, _data: bytes, index: int) -> tuple[bool, int]:
        if index != 3:
            return True, 0
        if how == "error":
            raise KeyError("a fault of the code")
        if how == "memory":
            bytearray(1 << 30)
        begin = time.monotonic()
        while how == "time" and time.monotonic() < begin + 20:
            pass
        return True, 0

    return reader


@pytest.mark.parametrize(("how", "says"), [("error", "KeyError"), ("memory", "MemoryError"), ("time", "TooSlow")])
def test_faults_are_found_and_the_run_goes_on(found: list[Seed], how: str, says: str) -> None:
    outcome = run(found, 1, 0, 6, Limits(seconds=0.3), reader=breaks(how))
    assert outcome.inputs == 6
    assert [says in line and " index 3:" in line for line in outcome.findings] == [True]


def test_edges_are_counted(found: list[Seed]) -> None:
    outcome = run(found, 1, 0, 40, Limits(), trace_every=4)
    assert outcome.traced == 10
    assert outcome.edges > 500
    assert 500 < outcome.lines < outcome.lines_in_all


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "--count",
        "50",
        "--trace-every",
        "10",
        "--json",
        tmp_path / "out.json",
    ]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.startswith("50 inputs of seed 1 from 0")
    assert '"findings": []' in (tmp_path / "out.json").read_text()
