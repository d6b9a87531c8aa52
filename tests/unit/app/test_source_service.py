"""The source's service: no more than credit and room allow, and whatever goes wrong is told to the worker."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence

import pytest

from drm.app.source_service import SourceService
from drm.errors import MediaError
from drm.media import Sample, StreamDescriptor, TrackInfo, TrackType
from drm.shared_source import SharedSources
from drm.wire import messages as wire
from drm.wire.ring import RingReader

STREAM = StreamDescriptor(TrackInfo(3, TrackType.AUDIO, "mp4a", 48_000))
RING = 4 << 20  # bytes of a sound stream's ring


class Source:
    """Samples of these sizes; each is filled with its number."""

    def __init__(self, sizes: Sequence[int], failure: Exception | None = None) -> None:
        self.sizes, self.failure = sizes, failure
        self.at = 0

    def streams(self) -> Sequence[StreamDescriptor]:
        return [STREAM]

    def get_input_trust_authority(self, stream_id: int) -> None:
        return None

    def select(self, stream_ids: Sequence[int], position: int = 0) -> None:
        self.at = 0

    def next_sample(self, stream_id: int) -> Sample | None:
        if self.at == len(self.sizes):
            if self.failure is not None:
                raise self.failure
            return None
        self.at += 1
        return Sample(3, self.at, 0, 1, True, 10**6 + self.at, self.sizes[self.at - 1])

    def read_into(self, sample: Sample, into: memoryview) -> None:
        into[:] = bytes([sample.dts % 256]) * sample.size


class Worker:
    """What the service sends, and the ring as a worker maps it."""

    def __init__(self, source: Source) -> None:
        self.sent: queue.Queue[object] = queue.Queue()
        self.ring: RingReader | None = None
        self.service = SourceService(SharedSources().cursor(source), [STREAM], self._send, 1, 1)
        self.service.start()

    def _send(self, message: object, fds: Sequence[int]) -> None:
        if isinstance(message, wire.AttachRing):
            self.ring = RingReader(fds[0], message.size)
        else:
            self.sent.put(message)

    def ask(self, count: int, released: int = 0, epoch: int = 1) -> None:
        self.service.request(wire.NeedSamples(1, 1, epoch, 3, count, released))

    def select(self, epoch: int = 1) -> None:
        self.service.request(wire.SelectStreams(1, 1, epoch, (3,)))
        assert self.sent.get(timeout=5) == wire.SourceStarted(1, 1, epoch)

    def got(self, count: int) -> list[Sample]:
        """So many samples, each with its own bytes in the ring."""
        found: list[Sample] = []
        while len(found) < count:
            message = self.sent.get(timeout=5)
            assert isinstance(message, wire.Samples), message
            for sample in message.samples:
                with self.ring.view(sample.offset, sample.size) as view:
                    assert bytes(view) == bytes([sample.dts % 256]) * sample.size
            found += message.samples
        assert len(found) == count
        return found

    def nothing(self) -> None:
        with pytest.raises(queue.Empty):
            self.sent.get(timeout=0.1)


@pytest.fixture
def worker() -> Iterator[Callable[[Source], Worker]]:
    made: list[Worker] = []

    def make(source: Source) -> Worker:
        made.append(Worker(source))
        return made[-1]

    yield make
    for each in made:
        each.service.close()
        each.service.close()
        each.ring.close()


def test_it_sends_what_was_asked_for_and_no_more(worker: Callable[[Source], Worker]) -> None:
    w = worker(Source([10] * 100))
    w.ask(5)  # before anything is selected: nothing
    w.nothing()
    w.select()
    w.nothing()
    w.ask(40)
    assert [s.dts for s in w.got(40)] == list(range(1, 41))
    w.nothing()
    w.ask(60, 400)
    w.got(60)
    w.ask(5, 1000)
    assert w.sent.get(timeout=5) == wire.Samples(1, 1, 1, 3, (), end=True)
    w.ask(5, 1000)
    w.nothing()


def test_a_full_ring_waits_for_room(worker: Callable[[Source], Worker]) -> None:
    w = worker(Source([RING // 4 + 1] * 6))
    w.select()
    w.ask(32)
    w.got(3)
    w.nothing()
    w.ask(1, RING // 4 + 1)
    w.got(1)
    w.nothing()


def test_a_new_epoch_begins_anew_and_old_requests_are_void(worker: Callable[[Source], Worker]) -> None:
    w = worker(Source([10] * 100))
    w.select()
    w.ask(20)
    w.got(20)
    w.select(2)
    w.ask(9, 200, epoch=1)
    w.nothing()
    w.ask(3, epoch=2)
    assert [s.dts for s in w.got(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        (Source([5], MediaError("planted")), "E-MEDIA", "planted"),
        (Source([5], ZeroDivisionError("planted")), "E-UNEXPECTED", "ZeroDivisionError: planted"),
        (Source([5, RING + 1]), "E-MEDIA-UNSUPPORTED", f"{RING + 1} bytes"),
        (Source([5, 2**62]), "E-MEDIA-UNSUPPORTED", f"{2**62} bytes"),
    ],
    ids=["its own error", "another error", "a sample over the ring", "a sample of exabytes"],
)
def test_a_source_that_fails_says_so(worker: Callable[[Source], Worker], source: Source, code: str, words: str) -> None:
    w = worker(source)
    w.select()
    w.ask(10)
    failed = w.sent.get(timeout=5)
    while isinstance(failed, wire.Samples):
        failed = w.sent.get(timeout=5)
    assert isinstance(failed, wire.SourceFailed)
    assert (failed.epoch, failed.error.code) == (1, code)
    assert words in failed.error.what
