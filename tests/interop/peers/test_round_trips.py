"""Round trips with every peer that is here, both ways, for every scheme, sample for sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.peers import readers, sealed, writers
from tests.interop.peers.clips import Clips
from tests.interop.peers.known import READING_OURS, VERSIONS, WRITING_FOR_US, Fault, fault, surprise
from tests.interop.peers.outcomes import peer_reads, we_read
from tests.interop.peers.programs import NAMES, PeerError, Program
from tests.interop.peers.samples import samples_of


def told(program: Program, words: str) -> str:
    listed = VERSIONS[program.name]
    other = f" (the list of known faults was made with {listed})" if program.version != listed else ""
    return f"{program.name} {program.version}{other}: {words}"


@pytest.mark.parametrize("name", NAMES)
def test_a_peer_that_is_absent_is_named(programs: dict[str, Program], name: str) -> None:
    if name not in programs:
        pytest.skip(f"peer not on PATH: {name}")
    assert programs[name].version


@pytest.mark.parametrize("case", sealed.CASES, ids=lambda case: case.name)
def test_peers_decrypt_what_we_encrypt(
    programs: dict[str, Program], clips: Clips, tmp_path: Path, case: sealed.Case
) -> None:
    path, clip, keys = case.encrypt(clips, tmp_path)
    clear, hidden = samples_of(clip.path), samples_of(path)
    for kind in clip.kinds:
        assert (hidden[kind] == clear[kind]) is (kind not in case.kinds)
    surprises = []
    for program in (programs[name] for name in readers.NAMES if name in programs):
        outcome = peer_reads(program, path, clip, keys)
        words = surprise(fault(READING_OURS, program.name, case.name), outcome)
        if words:
            surprises.append(told(program, words))
    assert not surprises, "\n".join(surprises)


@pytest.mark.parametrize("case", writers.CASES, ids=lambda case: case.name)
def test_we_decrypt_what_peers_encrypt(
    programs: dict[str, Program], clips: Clips, tmp_path: Path, case: writers.Case
) -> None:
    if case.program not in programs:
        pytest.skip(f"peer not on PATH: {case.program}")
    program = programs[case.program]
    try:
        outcome = we_read(program, case, clips, tmp_path / case.file_name)
    except PeerError as error:
        outcome = f"cannot write it: {error}"
    words = surprise(fault(WRITING_FOR_US, program.name, case.name), outcome)
    assert not words, told(program, words)


@pytest.mark.parametrize(
    ("faults", "cases"), [(READING_OURS, sealed.CASES), (WRITING_FOR_US, writers.CASES)], ids=["reading", "writing"]
)
def test_every_known_fault_is_one_of_a_case(
    faults: tuple[Fault, ...], cases: tuple[sealed.Case | writers.Case, ...]
) -> None:
    for known in faults:
        used = {peer for peer in known.peers for case in cases if fault(faults, peer, case.name) is known}
        assert used == set(known.peers), known


def test_a_surprise_is_told_both_ways() -> None:
    known = Fault(("gpac",), ("a *",), "72 of 72", "does not read it")
    assert fault((known,), "gpac", "a b") is known
    assert fault((known,), "gpac", "b") is fault((known,), "MP4Box", "a b") is None
    assert surprise(None, "") == surprise(known, "72 of 72 video samples wrong") == ""
    assert surprise(None, "3 of 72 video samples wrong")
    assert surprise(known, "3 of 72 video samples wrong")
    assert "strike it" in surprise(known, "")
