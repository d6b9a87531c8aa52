"""Samples of very many subsamples: as many as a message can tell of are sent, and more are refused by number."""

from __future__ import annotations

import queue
from collections.abc import Sequence

import msgspec
import pytest

from drm.app.source_service import SourceService
from drm.keys import KeyId
from drm.media import KeyPart, Sample, SampleCrypto, Scheme, StreamDescriptor, TrackInfo, TrackType
from drm.shared_source import SharedSources
from drm.wire import messages as wire

STREAM = StreamDescriptor(TrackInfo(3, TrackType.VIDEO, "avc1", 1000))
LARGEST = (0xFFFF, 0xFFFF_FFFF)  # what takes the most bytes in a message


class Source:
    def __init__(self, counts: Sequence[int], *, several_keys: bool = False) -> None:
        self.left = list(counts)
        self.several_keys = several_keys

    def select(self, stream_ids: Sequence[int], position: int = 0) -> None:
        pass

    def next_sample(self, stream_id: int) -> Sample | None:
        if not self.left:
            return None
        count = self.left.pop(0)
        kid = KeyId(bytes(range(200, 216)))
        parts = (KeyPart(kid, bytes(16), (LARGEST,) * (count // 2)),) if self.several_keys else ()
        own = count - count // 2 if self.several_keys else count
        crypto = SampleCrypto(kid, Scheme.CBCS, bytes(range(16)), (LARGEST,) * own, 1, 9, parts)
        return Sample(3, 1 << 40, 0, 1 << 31, True, 1 << 40, 10, 1, crypto)

    def read_into(self, sample: Sample, into: memoryview) -> None:
        into[:] = bytes(sample.size)


def sent(source: Source) -> list[object]:
    """Every message, in order, until the stream ends or fails."""
    messages: queue.Queue[object] = queue.Queue()
    service = SourceService(SharedSources().cursor(source), [STREAM], lambda message, _fds: messages.put(message), 1, 1)  # type: ignore[arg-type]  # no more of one is used
    service.start()
    try:
        service.request(wire.SelectStreams(1, 1, 1, (3,)))
        service.request(wire.NeedSamples(1, 1, 1, 3, 100, 0))
        found: list[object] = []
        while not found or not (isinstance(found[-1], wire.SourceFailed) or getattr(found[-1], "end", False)):
            found.append(messages.get(timeout=5))
        return found
    finally:
        service.close()


@pytest.mark.parametrize("several_keys", [False, True])
@pytest.mark.parametrize("counts", [[7000], [7000, 1, 7000], [2047, 7000, 2047, 2047], [1] * 40])
def test_no_message_is_over_the_limit(counts: list[int], several_keys: bool) -> None:
    messages = [each for each in sent(Source(counts, several_keys=several_keys)) if isinstance(each, wire.Samples)]
    assert [len(each.crypto.subsamples) + sum(len(p.subsamples) for p in each.crypto.others)
            for message in messages for each in message.samples] == counts  # fmt: skip
    assert max(len(msgspec.msgpack.encode(message)) for message in messages) <= wire.MAX_MESSAGE


def test_one_that_no_message_can_tell_of_is_refused_by_number() -> None:
    *before, failed = sent(Source([3, 7001]))
    assert isinstance(failed, wire.SourceFailed)
    assert "7001 subsamples" in str(failed)
    assert "the limit is 7000" in str(failed)
    assert before
