"""What a worker may use: memory, descriptors, shared memory and time; and what becomes of one that wants more."""

from __future__ import annotations

import contextlib
from uuid import UUID

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.session_proxy import SessionConfiguration
from drm.app.sources import open_source
from drm.class_ids import HASH_SINK
from drm.errors import InvalidArgumentError, MemoryLimitError, StalledMediaError, WireError
from drm.lockdown import limits
from drm.pmp.shared_ring import SharedRing
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.pipeline import component_failed
from drm.session.topology import SinkActivate, Topology, TransformNode
from drm.wire.ring import RingWriter
from drm.worker_memory import LEAST_MEMORY, MOST_MEMORY, private_share, shared_share
from tests.unit.app.pmp import COMPONENTS, Playback, clip, configured

GREEDY = UUID("77777777-0000-0000-0000-000000000005")


def failing(playback: Playback, options: dict[str, object]) -> MediaEvent:
    """Play through the greedy transform, to the event that tells what came of it."""
    topology: Topology = Topology(playback.source)
    sink = SinkActivate(HASH_SINK, {}, playback.handed)
    for each in playback.source.streams():
        topology.connect(each, sink, transforms=[TransformNode(GREEDY, options)])
    playback.set_topology(topology)
    playback.until(E.SESSION_TOPOLOGY_SET)[-1].raise_for_status()
    playback.session.start()
    while (event := playback.session.get_event(timeout=60)).type != E.ERROR:
        pass
    return event


def greedy(**more: object) -> Playback:
    return Playback(clip(), configured(components=(COMPONENTS / "greedy",), **more))


def test_python_that_runs_out_of_memory_is_one_event_and_the_worker_goes_on() -> None:
    with greedy() as playback:
        with pytest.raises(MemoryLimitError) as found:
            failing(playback, {}).raise_for_status()
        assert found.value.code == "E-MEDIA-MEMORY"
        assert "--worker-memory 2048" in found.value.remedy
        assert playback.session.get_rate() == 1.0, "it still answers"


def test_computing_without_an_end_ends_the_worker() -> None:
    """It answers every call meanwhile, so nothing but the time that it computes gives it away."""
    with greedy(cpu_limit=2.0) as playback, pytest.raises(StalledMediaError, match="without coming to another sample"):
        failing(playback, {"wants": "time"}).raise_for_status()


def test_computing_that_leads_on_is_left_alone() -> None:
    with Playback(clip(frames=60), configured(cpu_limit=0.5)) as playback:
        assert playback.play()[-1].type == E.SESSION_ENDED


@pytest.mark.parametrize("memory", [LEAST_MEMORY - 1, MOST_MEMORY + 1, 0, -1])
def test_a_limit_that_is_none_is_refused(memory: int) -> None:
    with pytest.raises(InvalidArgumentError, match="worker_memory"):
        SessionConfiguration(worker_memory=memory).worker(0)  # type: ignore[arg-type]


def test_what_a_lack_of_memory_looks_like() -> None:
    for error in (MemoryError(), RuntimeError("can't start new thread")):
        assert isinstance(component_failed(error), MemoryLimitError)
    assert not isinstance(component_failed(RuntimeError("planted")), MemoryLimitError)


def test_the_two_shares_are_the_whole() -> None:
    assert private_share(1024) + shared_share(1024) == 1 << 30
    assert private_share(1024) == 768 << 20


def test_rings_count_until_they_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_shared_left", 20 << 20)
    writer = RingWriter(8 << 20)
    try:
        rings = [SharedRing(writer.fd, 8 << 20) for _ in range(2)]
        with pytest.raises(MemoryLimitError, match="share more memory"):
            SharedRing(writer.fd, 8 << 20)
        rings.pop().close()
        rings.append(SharedRing(writer.fd, 8 << 20))
        with pytest.raises(WireError):
            SharedRing(writer.fd, 1 << 20)
        for ring in rings:
            ring.close()
        assert limits._shared_left == 20 << 20
    finally:
        writer.close()


def test_a_queue_that_would_map_too_much_is_one_event() -> None:
    with contextlib.ExitStack() as opened:
        playback = opened.enter_context(Playback(clip(), configured(worker_memory=LEAST_MEMORY)))
        for _ in range(4):  # 20 MiB each, and a quarter of 256 may be shared
            playback.source = open_source(opened.enter_context(contextlib.closing(FileByteStream(clip()))))
            playback.set_topology()
        playback.session.start()
        found: list[MediaEvent] = []
        while not found or not found[-1].status:
            found.append(playback.event())
        with pytest.raises(MemoryLimitError):
            found[-1].raise_for_status()
