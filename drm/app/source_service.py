"""Serves the application's media source to the worker (other half: drm/pmp/source_proxy.py).

A thread of its own reads samples straight into shared memory, as far as the worker gave credit and room.
"""

from __future__ import annotations

import collections
import functools
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import msgspec

from drm.component import MediaSource, SourceCharacteristic
from drm.errors import (
    DRMError,
    ErrorRecord,
    InvalidArgumentError,
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
    SourceTold,
    TellSource,
)
from drm.wire.ring import RingWriter

__all__ = ["SourceService", "characteristics_of", "duration_of"]

logger = logging.getLogger(__name__)

_VIDEO_RING: Final = 16 << 20  # bytes; one picture must fit
_OTHER_RING: Final = 4 << 20
_MAX_CREDIT: Final = 1024  # samples that a worker may ask for at once
_MAX_REQUESTS: Final = 4096  # that wait to be served; a worker's credits run out long before
_BATCH: Final = 16  # samples in one message
_BATCH_SUBSAMPLES: Final = 2048  # and the subsamples that they may have together, which bounds the message
_STEP: Final = 0.2  # seconds between two tries to let a read go
_LEFT: Final = 5.0  # seconds after which a source that does not come back is left to its thread
_MAX_SUBSAMPLES: Final = 7000  # of one message of 64 KiB: each has up to nine bytes

_Send = Callable[[FromApp, Sequence[int]], None]
_T = TypeVar("_T")


class _SourceFailedError(Exception):
    """The application's source raised, or gave what is none of its samples: its fault, whatever the class."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.what)
        self.record = record


def characteristics_of(source: MediaSource) -> SourceCharacteristic:
    """What it can do, of what this version knows. Raises InvalidArgumentError for an answer that is none."""
    return SourceCharacteristic(_whole("characteristics", source.characteristics) & sum(SourceCharacteristic))


def duration_of(source: MediaSource) -> int:
    """Its length in units of 100 ns; 0: not known. Raises as `characteristics_of`."""
    return max(0, _whole("duration", source.duration))


def _whole(what: str, value: object) -> int:
    if not isinstance(value, int):
        raise InvalidArgumentError(f"the {what} of a media source is a whole number", seen=type(value).__name__)
    return int(value)


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
        self._requests: queue.SimpleQueue[SelectStreams | NeedSamples | TellSource | None] = queue.SimpleQueue()
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

    def request(self, message: SelectStreams | NeedSamples | TellSource) -> None:
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
        self._interrupt()

    def close(self) -> None:
        """Stop, and wait until all is unmapped; a source that does not come back is left to its thread. Idempotent."""
        self.stop()
        if threading.current_thread() is self._thread:
            return
        for _ in range(round(_LEFT / _STEP)):
            if not self._thread.is_alive():
                self._unmap()
                return
            self._thread.join(_STEP)
            self._interrupt()  # it may have begun another read meanwhile
        logger.warning("the media source does not end its read; it is left alone")

    def _interrupt(self) -> None:
        """A source that waits for a server lets go, if it can. Its own code runs here: nobody waits for it."""

        def let_go() -> None:
            try:
                self._reading.interrupt()
            except BaseException:  # the application's own fault, and too late to tell of
                logger.exception("the media source failed when it was interrupted")

        threading.Thread(target=let_go, name="media-source-interrupt", daemon=True).start()

    def _unmap(self) -> None:
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.ring.close()

    def _serve(self) -> None:
        try:
            self._answer()
        finally:
            self._unmap()
            try:
                self._reading.shutdown()
            except BaseException:  # the application's own fault, and nobody waits for it
                logger.exception("the media source failed when it was needed no more")

    def _answer(self) -> None:
        while (message := self._requests.get()) is not None:
            try:
                if isinstance(message, SelectStreams):
                    self._select(message)
                elif isinstance(message, TellSource):
                    self._tell(message)
                elif message.epoch == self._epoch:
                    self._supply(message)
            except _SourceFailedError as error:
                self._failed(error.record)
            except WireError as error:
                self._broken = error
                logger.info("the media source stops: %s", error.what)
                return
            except (PMPProcessDiedError, SessionShutdownError) as error:
                logger.info("the media source stops: %s", error.what)
                return
            except DRMError as error:
                self._failed(error.to_record())

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
        _of_source(lambda: self._reading.select(wanted, message.position))
        self._send(SourceStarted(self._session, self._topology_id, self._epoch), ())

    def _tell(self, message: TellSource) -> None:
        error: ErrorRecord | None = None
        try:
            _of_source(lambda: self._reading.tell(message.state))
        except _SourceFailedError as failed:
            error = failed.record
        self._send(SourceTold(self._session, self._topology_id, message.number, error), ())

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
            _of_source(functools.partial(_crosses, told))
            self._send(told, ())

    def _batch(self, stream: _Stream) -> list[Sample]:
        batch: collections.deque[Sample] = collections.deque()
        subsamples = 0
        while len(batch) < min(_BATCH, stream.credit) and subsamples < _BATCH_SUBSAMPLES:
            sample = stream.held or _of_source(lambda: self._next(stream.stream_id))
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
                _of_source(functools.partial(self._reading.read_into, sample, into))
            stream.ring.take(position)
            batch.append(msgspec.structs.replace(sample, offset=offset))
            subsamples += weight
        return list(batch)

    def _next(self, stream_id: int) -> Sample | None:
        sample = self._reading.next_sample(stream_id)
        if sample is None:
            return None
        if type(sample) is not Sample or sample.track_id != stream_id or sample.size < 0:
            raise InvalidArgumentError("the media source gave something that is no sample of this stream")
        return sample


def _of_source(call: Callable[[], _T]) -> _T:
    """Do what may fail by the source's own fault. Raises _SourceFailedError, whatever that raised."""
    try:
        return call()
    except DRMError as error:
        raise _SourceFailedError(error.to_record()) from None
    except BaseException as error:  # noqa: BLE001 - an application's own source must not leave the session waiting
        record = DRMError(f"the media source failed: {type(error).__name__}: {error}").to_record()
        raise _SourceFailedError(record) from None


def _crosses(told: Samples) -> None:
    """Raise for samples that would not decode in the worker, which would end over them."""
    msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=Samples)


def _subsamples(sample: Sample) -> int:
    """How many the sample's message has to tell of, under all of its keys."""
    crypto = sample.crypto
    if crypto is None:
        return 0
    return len(crypto.subsamples) + sum(len(part.subsamples) for part in crypto.others)
