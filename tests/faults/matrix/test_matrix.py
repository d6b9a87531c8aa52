"""Every method of an application's source, sink, loader, manager and enabler goes wrong in every way.

Each time one event or one exception tells of it, and the session closes and shuts down; nothing hangs, and the worker
that all of them share is still there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from drm.app import WorkerConfiguration, create_pmp_server
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.media import Scheme, TrackType
from sample_content.clip import Clip, make_clip
from tests.faults.matrix.cases import CASES, RAISES, Case
from tests.faults.matrix.world import COMPONENTS, KEYS, Result, drive

AT_ONCE = 8


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Case, Result | None]]:
    """What came of every case: most of their time is waiting, so they run side by side."""
    folder = tmp_path_factory.mktemp("matrix")
    clear, film = folder / "clear.mp4", folder / "film.mp4"
    make_clip(clear, Clip(width=64, height=48, frames=8, gop=4, sound=False))
    encrypt_file(clear, film, scheme=Scheme.CENC, tracks={TrackType.VIDEO: TrackEncryption(*next(iter(KEYS.items())))})
    with create_pmp_server(WorkerConfiguration(components=COMPONENTS, sealed=False)) as server:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            slow_first = sorted(CASES, key=lambda case: case.how != "hangs")
            found = pool.map(lambda case: drive(case, server, film if case.is_protected else clear), slow_first)
            made = dict(zip(slow_first, found, strict=True))
        os.kill(server.pid, 0)
        yield made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_is_told_once_and_the_session_closes(case: Case, results: dict[Case, Result | None]) -> None:
    result = results[case]
    assert result is not None, "it hangs"
    told = [] if case.outcome in (0, -1, 107) else [case.outcome]
    assert result.failures == told, result
    assert result.ended is (case.outcome == 107), result
    assert result.closed, result


def test_the_matrix_is_whole() -> None:
    assert len(RAISES) == 6
    assert {case.whose for case in CASES} == {"source", "sink", "loader", "manager", "enabler"}
    assert {case.how for case in CASES if case.method == "next_sample"} == {*RAISES, "hangs", "nonsense"}
