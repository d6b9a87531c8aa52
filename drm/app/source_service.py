"""Serves the application's media source to the worker (other half: drm/pmp/source_proxy.py).

A thread of its own reads samples straight into shared memory, as far as the worker gave credit and room.
"""

from __future__ import annotations

import collections
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from drm.errors import (
    DRMError,
    ErrorRecord,
    PMPProcessDiedError,
    SessionShutdownError,
    UnsupportedMediaError,
    WireError,
)
from drm.media import Sample, StreamDescriptor, TrackType
from drm.shared_source import SourceCursor
from drm.wire.messages import (
    AttachRing,
    FromApp,
    NeedSamples,
    Samples,
    SelectStreams,
    SourceFailed,
    SourceStarted,
)
from drm.wire.ring import RingWriter

__all__ = ["SourceService"]

logger = logging.getLogger(__name__)

_VIDEO_RING: Final = 16 << 20  # bytes; one picture must fit
_OTHER_RING: Final = 4 << 20
_MAX_CREDIT: Final = 1024  # samples that a worker may ask for at once
_MAX_REQUESTS: Final = 4096  # that wait to be served; a worker's credits run out long before
_BATCH: Final = 16  # samples in one message
_BATCH_SUBSAMPLES: Final = 2048  # and the subsamples that they may have together, which bounds the message
_STEP: Final = 0.2  # seconds between two tries to let a read go
_MAX_SUBSAMPLES: Final = 7000  # of one message of 64 KiB: each has up to nine bytes

_Send = Callable[[FromApp, Sequence[int]], None]


class _Stream:
    def __init__(self, descriptor: StreamDescriptor) -> None:
        self.stream_id = descriptor.track.track_id
        is_video = descriptor.track.type is TrackType.VIDEO
        self.ring = RingWriter(_VIDEO_RING if is_video else _OTHER_RING)
        self.credit = 0
        self.ended = True
        self.held: Sample | None = None  # read from the source, and no room for it yet


class SourceService:
    """Feeds one worker from one source. Made for one topology; ends with it."""

    def __init__(
        self, reading: SourceCursor, streams: Sequence[StreamDescriptor], send: _Send, session: int, topology_id: int
    ) -> None:
        self._reading = reading
        self._session = session
        self._topology_id = topology_id
        self._send = send
        self._streams: dict[int, _Stream] = {}
        try:
            for stream in streams:
                self._streams[stream.track.track_id] = _Stream(stream)
        except BaseException:
            self._unmap()
            raise
        self._requests: queue.SimpleQueue[SelectStreams | NeedSamples | None] = queue.SimpleQueue()
        self._stream_ids = frozenset(self._streams)
        self._epoch = 0
        self._broken: WireError | None = None
        self._thread = threading.Thread(target=self._serve, name="media-source", daemon=True)

    def start(self) -> None:
        """Hand the rings over and begin to serve."""
        for stream in self._streams.values():
            ring = AttachRing(self._session, self._topology_id, stream.stream_id, stream.ring.size)
            self._send(ring, [stream.ring.fd])
        self._thread.start()

    def request(self, message: SelectStreams | NeedSamples) -> None:
        """Take what the worker asks for; the reader's thread calls this and never waits.

        Raises:
            WireError: no sound worker asks for that, now or the last time.
        """
        if self._broken is not None:
            raise self._broken
        if isinstance(message, NeedSamples):
            if message.stream_id not in self._stream_ids:
                raise WireError(f"the worker asks for stream {message.stream_id}, which is not in its topology")
            if not 0 < message.count <= _MAX_CREDIT:
                raise WireError(f"the worker asks for {message.count} samples at once")
        if self._requests.qsize() >= _MAX_REQUESTS:
            raise WireError(f"the worker left {_MAX_REQUESTS} requests waiting")
        self._requests.put(message)

    def stop(self) -> None:
        """Serve no more, and return at once: the thread unmaps when it is done. Idempotent."""
        self._requests.put(None)
        self._reading.interrupt()

    def close(self) -> None:
        """Stop, and wait until all is unmapped. Idempotent."""
        self.stop()
        while self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(_STEP)
            self._reading.interrupt()  # it may have begun another read meanwhile
        self._unmap()

    def _unmap(self) -> None:
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.ring.close()

    def _serve(self) -> None:
        try:
            self._answer()
        finally:
            self._unmap()

    def _answer(self) -> None:
        while (message := self._requests.get()) is not None:
            try:
                if isinstance(message, SelectStreams):
                    self._select(message)
                elif message.epoch == self._epoch:
                    self._supply(message)
            except WireError as error:
                self._broken = error
                logger.info("the media source stops: %s", error.what)
                return
            except (PMPProcessDiedError, SessionShutdownError) as error:
                logger.info("the media source stops: %s", error.what)
                return
            except DRMError as error:
                self._failed(error.to_record())
            except Exception as error:  # noqa: BLE001 - an application's own source must not leave the session waiting
                self._failed(DRMError(f"the media source failed: {type(error).__name__}: {error}").to_record())

    def _failed(self, record: ErrorRecord) -> None:
        with suppress(WireError, PMPProcessDiedError, SessionShutdownError):  # then nobody waits any more
            self._send(SourceFailed(self._session, self._topology_id, self._epoch, record), ())

    def _select(self, message: SelectStreams) -> None:
        self._epoch = message.epoch
        wanted = [stream_id for stream_id in message.stream_ids if stream_id in self._streams]
        for stream in self._streams.values():
            stream.ring.reset()
            stream.credit = 0
            stream.held = None
            stream.ended = stream.stream_id not in wanted
        self._reading.select(wanted, message.position)
        self._send(SourceStarted(self._session, self._topology_id, self._epoch), ())

    def _supply(self, message: NeedSamples) -> None:
        stream = self._streams[message.stream_id]
        stream.ring.release(message.released)
        stream.credit += message.count
        while stream.credit > 0 and not stream.ended:
            batch = self._batch(stream)
            if not batch and not stream.ended:
                return  # no room: the worker asks again when it has used some
            stream.credit -= len(batch)
            told = Samples(self._session, self._topology_id, self._epoch, stream.stream_id, tuple(batch), stream.ended)
            self._send(told, ())

    def _batch(self, stream: _Stream) -> list[Sample]:
        batch: collections.deque[Sample] = collections.deque()
        subsamples = 0
        while len(batch) < min(_BATCH, stream.credit) and subsamples < _BATCH_SUBSAMPLES:
            sample = stream.held or self._reading.next_sample(stream.stream_id)
            if sample is None:
                stream.ended = True
                break
            if sample.size > stream.ring.size:
                raise UnsupportedMediaError(
                    f"a sample of {sample.size} bytes is larger than any that is played",
                    where=f"track {stream.stream_id}",
                    seen=f"the limit is {stream.ring.size} bytes",
                    maybe="the file is damaged",
                )
            weight = _subsamples(sample)
            if weight > _MAX_SUBSAMPLES:
                raise UnsupportedMediaError(
                    f"a sample of {weight} subsamples is more than playback takes",
                    where=f"track {stream.stream_id}, sample at byte {sample.offset}",
                    seen=f"the limit is {_MAX_SUBSAMPLES}",
                    remedy="clearkey decrypt takes it",
                )
            if batch and subsamples + weight > _MAX_SUBSAMPLES:
                stream.held = sample
                break
            place = stream.ring.place(sample.size)
            if place is None:
                stream.held = sample
                break
            stream.held = None
            offset, position = place
            with stream.ring.view(offset, sample.size) as into:
                self._reading.read_into(sample, into)
            stream.ring.take(position)
            batch.append(msgspec.structs.replace(sample, offset=offset))
            subsamples += weight
        return list(batch)


def _subsamples(sample: Sample) -> int:
    """How many the sample's message has to tell of, under all of its keys."""
    crypto = sample.crypto
    if crypto is None:
        return 0
    return len(crypto.subsamples) + sum(len(part.subsamples) for part in crypto.others)
